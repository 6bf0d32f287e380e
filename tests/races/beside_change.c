// SPDX-License-Identifier: GPL-2.0
/* Those who come to a table: other zaps, and those who change what is there. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../guest/uffd.h"
#include "beside.h"
#include "races.h"

static char *other;
static int fd, uffd;

/*
 * Clean entries: a zap of dirty ones flushes under the PTE lock, before its end. They
 * would be dirty where they could be written and the page is (set_pte_range()).
 */
static void file_area(void)
{
	char *p = fresh(4 * TABLE);
	size_t i;

	of_file = true;
	fd = memfd(4 * TABLE);
	map_at(p, 4 * TABLE, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	places(p);
	for (i = 0; i < REST; i += PAGE)
		SYS(pwrite(fd, "x", 1, rest + i - area));
	SYS(mprotect(table, TABLE, PROT_READ));
}

/* The table begins in another VMA. */
static void two_vmas(void)
{
	anon_area();
	SYS(mprotect(table, MIB(1), PROT_READ | PROT_WRITE | PROT_EXEC));
}

/* Other zaps. */

static void zap_begin(void)
{
	advise(table, REST, MADV_DONTNEED);
}

static void request_table(void)
{
	ask(SELF, table, TABLE, 0);
}

static void truncate_file(void)
{
	SYS(ftruncate(fd, 0));
}

static void punch_file(void)
{
	SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, TABLE,
		      TABLE));
}

static void file_is_empty(void)
{
	char got;
	struct iovec to = { &got, 1 }, from = { spot, 1 };

	errno = 0;
	CHECK(process_vm_readv(getpid(), &to, 1, &from, 1, 0) == -1 &&
	      errno == EFAULT, "what was truncated can be read");
}

static void file_has_a_hole(void)
{
	nothing_at_spot();
	verify_zero(rest, REST, PAGE);
}

/* Those who change the address space. */

static void munmap_neighbour(void)
{
	SYS(munmap(table, MIB(1)));
}

static void neighbour_is_gone(void)
{
	unsigned char vec;

	first_is_there();
	CHECK(mincore(table, PAGE, &vec) == -1 && errno == ENOMEM,
	      "it is still mapped");
	verify_zero(table + MIB(1), MIB(1), PAGE);
}

static void munmap_all(void)
{
	SYS(munmap(area, 4 * TABLE));
}

static void all_is_gone(void)
{
	unsigned char vec;

	CHECK(mincore(area, PAGE, &vec) == -1 && errno == ENOMEM,
	      "it is still mapped");
}

static void protect(void)
{
	SYS(mprotect(table, TABLE, PROT_READ));
}

static void fork_child(void)
{
	int status;
	pid_t pid = SYS(fork());

	if (!pid) {
		verify(area, PAGE, PAGE, 1);
		verify_zero(table, TABLE, 8 * PAGE);
		_exit(0);
	}
	SYS(waitpid(pid, &status, 0));
	CHECK(!status, "the child ended with %#x", status);
}

static void fresh_place(void)
{
	other = fresh(TABLE);
}

static void move_out(void)
{
	char *p = mremap(table, TABLE, TABLE, MREMAP_MAYMOVE | MREMAP_FIXED,
			 other);

	CHECK(p == other, "mremap: %m");
}

static void moved_out(void)
{
	first_is_there();
	verify_zero(other, TABLE, 8 * PAGE);
}

static void full_place(void)
{
	other = map_anon(TABLE);
	fill(other, TABLE, 64 * PAGE, 4);
}

static void move_in(void)
{
	char *p = mremap(other, TABLE, TABLE, MREMAP_MAYMOVE | MREMAP_FIXED,
			 table);

	CHECK(p == table, "mremap: %m");
}

static void moved_in(void)
{
	size_t i;

	first_is_there();
	for (i = 0; i < TABLE; i += 64 * PAGE)
		CHECK(*(uint64_t *)(table + i) == word(other + i, 4),
		      "page %zu is not the one that was moved", i / PAGE);
}

static void collapse_first(void)
{
	SYS(madvise(area, TABLE, MADV_COLLAPSE));
}

static void first_is_huge(void)
{
	CHECK(smaps_kb(area, "AnonHugePages") == 2048, "no huge page came");
	first_is_there();
}

/* The table that goes is there already: a huge page must not come in its place. */
static void allow_huge_pages(void)
{
	advise(area, 4 * TABLE, MADV_HUGEPAGE);
}

static void khugepaged_comes(void)
{
	khugepaged_works();
	while (smaps_kb(area, "AnonHugePages") != 2048)
		nap(1);
	khugepaged_rests();
}

/* Nothing to collapse, or a table that goes: whatever it says. */
static void collapse_table(void)
{
	madvise(table, TABLE, MADV_COLLAPSE);
}

/* userfaultfd. */

static void watched_area(void)
{
	anon_area();
	fill(area + 3 * TABLE, PAGE, PAGE, 5);
	*(uint64_t *)(area + 3 * TABLE) = word(spot, 3);
	uffd = uffd_open(UFFD_FEATURE_MOVE);
}

static void watch(void)
{
	uffd_watch(uffd, spot, PAGE, UFFDIO_REGISTER_MODE_MISSING);
}

static void unwatched(void)
{
	uffd_unwatch(uffd, spot, PAGE);
	spot_is_there();
}

static void copy_in(void)
{
	static uint64_t page[PAGE / 8] __attribute__((aligned(PAGE)));

	page[0] = word(spot, 3);
	/* A table that goes is not the monitor's business (patch 3). */
	CHECK(!uffd_copy_page(uffd, spot, (char *)page), "UFFDIO_COPY: %m");
}

/* The marker needs a table, too: it must not be forgotten with one that goes. */
static void protectable_area(void)
{
	anon_area();
	uffd = uffd_open(UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_PAGEFAULT_FLAG_WP);
}

static void watch_writes(void)
{
	uffd_watch(uffd, spot, PAGE, UFFDIO_REGISTER_MODE_WP);
}

static void protect_spot(void)
{
	uffd_protect(uffd, spot, PAGE, true);
}

static void spot_is_protected(void)
{
	CHECK(pagemap(spot) & PM_UFFD_WP, "the page is not write-protected");
	uffd_unwatch(uffd, spot, PAGE);
	nothing_at_spot();
}

static void move_page_in(void)
{
	CHECK(!uffd_move_page(uffd, spot, area + 3 * TABLE), "UFFDIO_MOVE: %m");
}

/* What is in the table when the hook looks, or comes and goes meanwhile. */

static void page_at_spot(void)
{
	fill(spot, PAGE, PAGE, 3);
}

static void swap_at_spot(void)
{
	page_at_spot();
	swap_out(spot, PAGE);
}

static void swap_in(void)
{
	verify(spot, PAGE, PAGE, 3);
}

static void page_out_spot(void)
{
	SYS(madvise(spot, PAGE, MADV_PAGEOUT));
}

/* To the other node and back: one of the two is a migration. */
static void migrate_spot(void)
{
	void *page = spot;
	int node, status = -1;

	for (node = 0; node < 2; node++)
		SYS(syscall(SYS_move_pages, 0, 1L, &page, &node, &status, 2));
	CHECK(status == 1, "move_pages gives %d", status);
}

#define FAULT	{ "wwgg", "gggwwg" }
#define CHANGE	{ "wwwg", "gwwwww" }

const struct peer change_peers[] = {
	{ "uffdio_copy", FAULT, watched_area, watch, copy_in, unwatched, 1, 1, false, 1, 0 },
	{ "uffdio_move", FAULT, watched_area, watch, move_page_in, unwatched, 1, 1, false, 1, 0 },
	{ "uffdio_writeprotect", FAULT, protectable_area, watch_writes, protect_spot,
	  spot_is_protected, 1, 1, false, 1, 0 },
	{ "zap", { "wwgg", "" }, anon_area, NULL, zap_begin, nothing_at_spot, 0, 1, false },
	{ "request", { "wwgg", "" }, anon_area, NULL, request_table, nothing_at_spot, 0, 1, false },
	{ "truncate", { "wwgg", "" }, file_area, NULL, truncate_file, file_is_empty, 0, 1, true },
	{ "punch_hole", { "wwgg", "" }, file_area, NULL, punch_file, file_has_a_hole, 0, 1, false },
	{ "munmap_neighbour", { "wwgg", "" }, two_vmas, NULL, munmap_neighbour, neighbour_is_gone, 0, 1, false },
	{ "munmap", CHANGE, anon_area, NULL, munmap_all, all_is_gone, -1, 1, true, -1, 0 },
	{ "mprotect", CHANGE, anon_area, NULL, protect, nothing_at_spot, 0, 1, false, 0, 1 },
	{ "fork", CHANGE, anon_area, NULL, fork_child, nothing_at_spot, 0, 1, false, 0, 1 },
	{ "mremap_out", CHANGE, anon_area, fresh_place, move_out, moved_out, 0, 1, true, 1, 0 },
	{ "mremap_in", CHANGE, anon_area, full_place, move_in, moved_in, 0, 1, true, 0, 0 },
	{ "collapse_beside", { "wwwg", "" }, anon_area, NULL, collapse_first, first_is_huge, 0, 1, false },
	{ "khugepaged", { "wwwg", "" }, anon_area, NULL, khugepaged_comes, first_is_huge, 0, 1, false,
	  .made = allow_huge_pages },
	{ "collapse", { "wwgg", "" }, anon_area, NULL, collapse_table, nothing_at_spot, 0, 1, false },
	{ "swap_in", { "w", "" }, anon_area, swap_at_spot, swap_in, spot_is_there, 0, 0, false },
	{ "page_out", { "w", "" }, anon_area, page_at_spot, page_out_spot, spot_is_there, 0, 0, false },
	{ "migrate", { "w", "" }, anon_area, page_at_spot, migrate_spot, spot_is_there, 0, 0, false },
	{ }
};
