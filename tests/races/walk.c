// SPDX-License-Identifier: GPL-2.0
/*
 * Somebody stands with his hand on a table, and a zap frees it meanwhile, waits
 * for RCU, and the page goes to somebody else ("Who else can hold a pointer to
 * the table when its pmd is cleared", Documentation/locking.md).
 *
 * He stands at the beginning of pte_offset_map_lock(), with the VMA lock or
 * mmap_lock for reading and a pointer to the pmd, having seen a table there; no
 * RCU reader yet, no page table lock. What must hold: he looks at the pmd again,
 * and does what he came for in a new table, or finds nothing.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "../guest/uffd.h"
#include "beside.h"
#include "races.h"

static void zap_rest_only(void)
{
	advise(rest, REST, MADV_DONTNEED);
}

static void zap_and_reuse(void)
{
	zap_rest_only();
	reuse_table();
}

static void walk_beside_zap(void)
{
	const char *name = strrchr(this_race->name, '.') + 1;
	const struct peer *peer = peer_named(name);
	long freed;

	actors();
	peer->setup();
	if (peer->ready)
		peer->ready();
	mark();
	fill_rest();
	freed = counter("freed");
	remember_table(table);
	meet(&(struct meeting) {
		.place = "pte_offset_map_lock",
		.in_table = table,
		.first = peer->act,
		.beside = zap_and_reuse,
		.conduct = GOES,
	});
	CHECK(counter("freed") - freed == 1, "%ld tables freed",
	      counter("freed") - freed);
	CHECK(tables() == peer->tables, "%ld tables left, not %d", tables(),
	      peer->tables);
	peer->check();
	verify_zero(rest, REST, PAGE);
}

/*
 * A page in swap, whose fault has read the entry and the page, and stands before it
 * locks the table. The zap frees the entry with the table: the fault must not take the page.
 */
static void zap_spot_too(void)
{
	advise(spot, table + TABLE - spot, MADV_DONTNEED);
}

static void zap_spot_and_reuse(void)
{
	zap_spot_too();
	reuse_table();
}

static uint64_t got_by_fault;

static void read_zero_or_old(void)
{
	got_by_fault = *(volatile uint64_t *)spot;
}

static void swap_in_beside_zap(void)
{
	actors();
	anon_area();
	mark();
	fill(spot, PAGE, PAGE, 3);
	swap_out(spot, PAGE);
	fill_rest();
	remember_table(table);
	meet(&(struct meeting) {
		.place = "pte_offset_map_lock",
		.in_table = table,
		.first = read_zero_or_old,
		.beside = zap_spot_and_reuse,
		.conduct = GOES,
	});
	CHECK(!got_by_fault, "the fault read %#lx", got_by_fault);
	verify_zero(spot, PAGE, PAGE);
	CHECK(tables() == 1, "%ld tables left", tables());
}

/*
 * A page under migration: its entry is a migration entry, nobody maps it, its
 * folio is locked. He who migrates stands before he puts the page back by rmap.
 */
static void migrate_there(void)
{
	void *page = spot;
	int node = 1, status;

	SYS(syscall(SYS_move_pages, 0, 1L, &page, &node, &status, 2));
}

static void migrating_area(void)
{
	int node = 0, status = -1;
	void *page;

	actors();
	anon_area();
	mark();
	fill(spot, PAGE, PAGE, 3);
	page = spot;
	SYS(syscall(SYS_move_pages, 0, 1L, &page, &node, &status, 2));
	CHECK(status == 0, "move_pages gives %d", status);
}

/* The zap drops the entry: then he finds no table, and the page goes. */
static void migrate_beside_zap(void)
{
	long freed = counter("freed");

	migrating_area();
	fill_rest();
	remember_table(table);
	meet(&(struct meeting) {
		.place = "folio_migrate_flags",
		.first = migrate_there,
		.beside = zap_spot_and_reuse,
		.conduct = GOES,
	});
	CHECK(counter("freed") - freed == 1, "%ld tables freed",
	      counter("freed") - freed);
	CHECK(!tables(), "%ld tables left", tables());
	verify_zero(spot, PAGE, PAGE);
}

/* A request finds the entry, and the table stays. */
static struct ptreclaim_request answer;

static void request_table(void)
{
	answer = ask(SELF, table, TABLE, 0);
}

static void migrate_beside_request(void)
{
	migrating_area();
	meet(&(struct meeting) {
		.place = "folio_migrate_flags",
		.first = migrate_there,
		.beside = request_table,
		.conduct = GOES,
	});
	CHECK(answer.kept[PTRECLAIM_KEPT_MIGRATION] == 1 && !answer.freed,
	      "the request freed %llu, and kept %llu for migration",
	      answer.freed, answer.kept[PTRECLAIM_KEPT_MIGRATION]);
	CHECK(tables() == 1, "%ld tables left", tables());
	verify(spot, PAGE, PAGE, 3);
}

/* The same of the hook: it keeps the table. */
static void migrate_beside_zap_of_others(void)
{
	long kept = counter("kept_migration");

	migrating_area();
	fill_rest();
	meet(&(struct meeting) {
		.place = "folio_migrate_flags",
		.first = migrate_there,
		.beside = zap_rest_only,
		.conduct = GOES,
	});
	CHECK(counter("kept_migration") - kept == 1, "not kept for migration");
	CHECK(tables() == 1, "%ld tables left", tables());
	verify(spot, PAGE, PAGE, 3);
	verify_zero(rest, REST, PAGE);
}

/*
 * A page of a device (lib/test_hmm.c) comes where nothing was, into a table made for
 * it. The table is freed before it is locked: another one must be made (patch 4).
 */
#define MIRROR		"/dev/hmm_dmirror0"
#define MIGRATE_TO_DEV	_IOWR('H', 2, struct mirror_command)

struct mirror_command {
	uint64_t addr, ptr, npages, cpages, faults;
};

static int mirror;

static void to_device(void)
{
	static char page[PAGE];
	struct mirror_command c = {
		.addr = (uintptr_t)spot, .ptr = (uintptr_t)page, .npages = 1,
	};

	CHECK(!ioctl(mirror, MIGRATE_TO_DEV, &c), "the page does not move: %m");
}

static void device_page_beside_request(void)
{
	long freed = counter("scan_freed");

	actors();
	anon_area();
	mirror = SYS(open(MIRROR, O_RDWR | O_CLOEXEC));
	ask(SELF, area, TABLE, DRY);
	mark();
	meet(&(struct meeting) {
		.place = "pte_offset_map_lock",
		.in_table = table,
		.first = to_device,
		.beside = request_table,
		.conduct = GOES,
	});
	CHECK(counter("scan_freed") - freed == 1, "%ld tables freed",
	      counter("scan_freed") - freed);
	CHECK(tables() == 1, "%ld tables left", tables());
	verify_zero(spot, PAGE, PAGE);
	close(mirror);
}

/*
 * GUP-fast stands with interrupts off, holding a pointer to the entry and the page,
 * but no reference yet. The zap has unlinked the table; its flush waits for an
 * answer of each CPU in the mm's mask, and RCU for the end of interrupts off. He
 * must find that the pmd or the entry has changed, drop the page, and fault.
 */
static uint64_t spliced;

static void splice_page(void)
{
	struct iovec from = { spot, sizeof(spliced) };
	int pipes[2];

	SYS(pipe(pipes));
	SYS(vmsplice(pipes[1], &from, 1, 0));
	spliced = 1;
	SYS(read(pipes[0], &spliced, sizeof(spliced)));
}

static void gup_fast_beside_zap(void)
{
	long freed = counter("freed");

	actors();
	anon_area();
	mark();
	fill(spot, PAGE, PAGE, 3);
	fill_rest();
	meet(&(struct meeting) {
		.place = "try_grab_folio_fast",
		.first = splice_page,
		.beside = zap_spot_too,
		.conduct = WAITS,
	});
	CHECK(counter("freed") - freed == 1, "%ld tables freed",
	      counter("freed") - freed);
	CHECK(!spliced, "GUP-fast took %#lx", spliced);
	CHECK(tables() == 1, "%ld tables left", tables());
	verify_zero(spot, PAGE, PAGE);
}

const struct race walk_races[] = {
	{ "walk.write", walk_beside_zap },
	{ "walk.read", walk_beside_zap },
	{ "walk.process_vm_readv", walk_beside_zap },
	{ "walk.uffdio_copy", walk_beside_zap },
	{ "walk.uffdio_writeprotect", walk_beside_zap },
	{ "walk.mincore", walk_beside_zap },
	{ "walk.pagemap", walk_beside_zap },
	{ "walk.smaps", walk_beside_zap },
	{ "walk.pagemap_scan", walk_beside_zap },
	{ "walk.swap_in_read", swap_in_beside_zap },
	{ "walk.migration_zapped", migrate_beside_zap },
	{ "walk.migration_kept", migrate_beside_zap_of_others },
	{ "walk.migration_requested", migrate_beside_request },
	{ "walk.device_page", device_page_beside_request },
	{ "walk.gup_fast_taking", gup_fast_beside_zap },
	{ }
};
