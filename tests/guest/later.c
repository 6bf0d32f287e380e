// SPDX-License-Identifier: GPL-2.0
/* What empties a table where no zap under the mmap or VMA lock sees it. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"
#include "uffd.h"

static char *filled(int flags, int fd)
{
	char *p = map_at(fresh(SIZE), SIZE, PROT_READ | PROT_WRITE, flags, fd);

	mark();
	fill(p, SIZE, KIB(64), 1);
	left(NR, NR, NR);
	return p;
}

static void lazyfree(void)
{
	char *p = filled(MAP_PRIVATE | MAP_ANONYMOUS, -1);

	advise(p, SIZE, MADV_FREE);
	page_out(p, SIZE);
	left(NR, NR, NR);
	background(0);
	verify_zero(p, SIZE, KIB(64));
}

static void shmem_reclaim(void)
{
	char *p = filled(MAP_SHARED | MAP_ANONYMOUS, -1);

	page_out(p, SIZE);
	left(NR, NR, NR);
	background(0);
	verify(p, SIZE, KIB(64), 1);
}

/* A page of a program in each table: pages of a file that is not in memory. */
static void file_reclaim(void)
{
	char *p = fresh(SIZE), path[256] = "";
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 16);
	int fd, i;

	CHECK(n > 0, "/proc/self/exe: %m");
	strcpy(strrchr(path, '/'), "/bench");
	fd = SYS(open(path, O_RDONLY));
	for (i = 0; i < NR; i++)
		CHECK(mmap(p + i * TABLE, PAGE, PROT_READ,
			   MAP_PRIVATE | MAP_FIXED_NOREPLACE, fd, i * PAGE) ==
		      p + i * TABLE, "mmap of %s: %m", path);
	mark();
	for (i = 0; i < NR; i++)
		(void)*(volatile char *)(p + i * TABLE);
	left(NR, NR, NR);
	for (n = 0; n < 50; n++) {
		size_t mapped = 0;

		for (i = 0; i < NR; i++) {
			advise(p + i * TABLE, PAGE, MADV_PAGEOUT);
			mapped += !!(pagemap(p + i * TABLE) & PM_PRESENT);
		}
		if (!mapped)
			break;
		nap(20);
	}
	CHECK(n < 50, "pages of %s stay mapped", path);
	left(NR, NR, NR);
	background(0);
}

static void truncate_shared(void)
{
	int fd = memfd(SIZE);
	char *p = filled(MAP_SHARED, fd);

	counters_mark();
	SYS(ftruncate(fd, 0));
	left(NR, NR, NR);
	grew("kept_rmap_lock", NR);
	background(0);
	CHECK(!pages_with(p, SIZE, PM_PRESENT), "pages are left");
	SYS(ftruncate(fd, SIZE));
	verify_zero(p, SIZE, KIB(64));
}

static void truncate_private(void)
{
	int fd = memfd(SIZE);
	char *p = filled(MAP_PRIVATE, fd);

	counters_mark();
	SYS(ftruncate(fd, 0));
	left(NR, NR, NR);
	grew("kept_rmap_lock", NR);
	background(0);
	CHECK(!pages_with(p, SIZE, PM_PRESENT), "pages are left");
}

static void punch_hole(void)
{
	int fd = memfd(SIZE);
	char *p = filled(MAP_SHARED, fd);

	counters_mark();
	SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      SIZE));
	left(NR, NR, NR);
	grew("kept_rmap_lock", NR);
	background(0);
	verify_zero(p, SIZE, KIB(64));
}

static void remove_pages(void)
{
	char *p = filled(MAP_SHARED | MAP_ANONYMOUS, -1);

	counters_mark();
	advise_pieces(p, SIZE, KIB(64), MADV_REMOVE);
	left(NR, NR, NR);
	grew("kept_rmap_lock", NR);
	background(0);
	verify_zero(p, SIZE, KIB(64));
}

/* A driver that takes pages away from a mapping: a block device's discard. */
static void device_discard(void)
{
	uint64_t range[2] = { 0, SIZE };
	char path[64], disk[64];
	unsigned int major, minor;
	int id = read_number("/sys/class/zram-control/hot_add", NULL), fd;
	char *p;
	size_t i;
	FILE *f;

	CHECK(id >= 0, "no zram device to be had");
	snprintf(path, sizeof(path), "/sys/block/zram%d/disksize", id);
	write_text(path, "64M");
	snprintf(path, sizeof(path), "/sys/block/zram%d/dev", id);
	f = fopen(path, "r");
	CHECK(f && fscanf(f, "%u:%u", &major, &minor) == 2, "%s: %m", path);
	fclose(f);
	snprintf(disk, sizeof(disk), "/dev/ptest-%d", getpid());
	SYS(mknod(disk, 0060600, makedev(major, minor)));
	fd = open(disk, O_RDWR);
	unlink(disk);
	CHECK(fd >= 0, "%s: %m", disk);

	p = map_at(fresh(SIZE), SIZE, PROT_READ, MAP_SHARED, fd);
	mark();
	for (i = 0; i < SIZE; i += TABLE)
		(void)*(volatile char *)(p + i);
	left(NR, NR, NR);
	counters_mark();
	SYS(ioctl(fd, BLKDISCARD, range));
	left(NR, NR, NR);
	grew("kept_rmap_lock", NR);
	CHECK(!pages_with(p, SIZE, PM_PRESENT), "pages are left");
	background(0);
	SYS(munmap(p, SIZE));
	close(fd);
	snprintf(path, sizeof(path), "%d", id);
	write_text("/sys/class/zram-control/hot_remove", path);
}

static void numbered(char *p, const char *at, bool write)
{
	size_t i;

	for (i = 0; i < SIZE; i += KIB(64)) {
		if (write)
			*(volatile size_t *)(p + i) = i + 1;
		else
			CHECK(*(volatile size_t *)(at + i) == i + 1,
			      "+%#zx was not moved", i);
	}
}

static void move(char *from, char *to, size_t len, int flags)
{
	char *q = mremap(from, len, len,
			 MREMAP_MAYMOVE | MREMAP_FIXED | flags, to);

	CHECK(q == to, "mremap() gave %p, not %p: %m", q, to);
}

/* Entries move one by one and leave 32 tables, to 33 others, one of them empty. */
static void mremap_shifted(void)
{
	char *p = map_anon(SIZE), *q = fresh(SIZE + TABLE) + PAGE;

	mark();
	numbered(p, NULL, true);
	left(NR, NR, NR);
	move(p, q, SIZE, MREMAP_DONTUNMAP);
	left(2 * NR + 1, 2 * NR + 1, 2 * NR + 1);
	background(NR);
	numbered(NULL, q, false);
	verify_zero(p, SIZE, KIB(64));
}

/* Aligned, the tables themselves move. */
static void mremap_aligned(void)
{
	char *p = map_anon(SIZE), *q = fresh(SIZE);

	mark();
	numbered(p, NULL, true);
	move(p, q, SIZE, MREMAP_DONTUNMAP);
	left(NR, NR, NR);
	numbered(NULL, q, false);
}

/* Half of each table moves away; what unmaps it finds the table empty. */
static void mremap_half(void)
{
	char *p = map_anon(SIZE), *q = fresh(SIZE);
	size_t i;

	mark();
	for (i = 0; i < SIZE; i += TABLE)
		*(volatile size_t *)(p + i) = i + 1;
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE)
		move(p + i, q + i, MIB(1), 0);
	left(2 * NR, 2 * NR, NR);
	for (i = 0; i < SIZE; i += TABLE)
		CHECK(*(volatile size_t *)(q + i) == i + 1, "not moved");
}

/* Tables of a child forked now. */
static long child_tables(void)
{
	long *n = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS, -1, 0), got;
	pid_t pid;

	CHECK(n != MAP_FAILED, "mmap: %m");
	*n = 0;
	pid = SYS(fork());
	if (!pid) {
		mark();
		*n = pid_tables(0);
		_exit(0);
	}
	SYS(waitpid(pid, NULL, 0));
	got = *n;
	CHECK(got > 0, "the child did not tell");
	SYS(munmap(n, PAGE));
	return got;
}

static void fork_copies_empty(void)
{
	char *p = map_anon(SIZE);
	long want[] = { NR - 1, NR - 1, -1 }, without, got;

	fill(p, PAGE, PAGE, 1);
	without = child_tables();
	mark();
	/* This empties the first table as well. */
	advise(p, SIZE, MADV_GUARD_INSTALL);
	advise(p, SIZE, MADV_GUARD_REMOVE);
	left(NR - 1, NR - 1, NR - 1);
	got = child_tables() - without;
	CHECK(got == want[mode], "the child has %ld tables, not %ld", got,
	      want[mode]);
	background(-1);
}

static void fork_after_pieces(void)
{
	char *p = map_anon(SIZE);
	long want[] = { NR - 1, NR - 1, 0 }, without, got;

	fill(p, PAGE, PAGE, 1);
	without = child_tables();
	mark();
	fill(p + TABLE, SIZE - TABLE, KIB(64), 1);
	advise_pieces(p + TABLE, SIZE - TABLE, KIB(64), MADV_DONTNEED);
	left(NR - 1, NR - 1, 0);
	got = child_tables() - without;
	CHECK(got == want[mode], "the child has %ld tables, not %ld", got,
	      want[mode]);
}

static int uffd(uint64_t features, char *p)
{
	int fd = uffd_open(features);

	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_MISSING);
	return fd;
}

static void uffd_move(void)
{
	char *src = map_anon(SIZE), *dst = map_anon(SIZE);
	int fd = uffd(UFFD_FEATURE_MOVE, dst);
	size_t i;

	mark();
	numbered(src, NULL, true);
	for (i = 0; i < SIZE; i += KIB(64)) {
		struct uffdio_move m = {
			.dst = (uintptr_t)dst + i,
			.src = (uintptr_t)src + i, .len = PAGE,
		};

		SYS(ioctl(fd, UFFDIO_MOVE, &m));
	}
	left(2 * NR, 2 * NR, 2 * NR);
	background(NR);
	numbered(NULL, dst, false);
	CHECK(!pages_with(src, SIZE, PM_PRESENT), "pages are left");
}

/* Holes can be moved too, for which the source gets tables to have them in. */
static void uffd_move_holes(void)
{
	char *src = map_anon(SIZE), *dst = map_anon(SIZE);
	int fd = uffd(UFFD_FEATURE_MOVE, dst);
	struct uffdio_move m = {
		.dst = (uintptr_t)dst, .src = (uintptr_t)src, .len = SIZE,
		.mode = 1 << 1,		/* ALLOW_SRC_HOLES */
	};

	mark();
	SYS(ioctl(fd, UFFDIO_MOVE, &m));
	left(2 * NR, 2 * NR, 2 * NR);
	background(0);
	CHECK(!pages_with(src, SIZE, PM_PRESENT), "pages appeared");
	CHECK(!pages_with(dst, SIZE, PM_PRESENT), "pages appeared");
}

/* A fault that fails for want of a page, with its table made before. */
static void uffd_missing(void)
{
	char *p = map_anon(SIZE);
	int zero = SYS(open("/dev/zero", O_RDONLY)), fd;
	size_t i;

	fd = uffd(UFFD_FEATURE_SIGBUS, p);
	mark();
	for (i = 0; i < SIZE; i += TABLE)
		CHECK(read(zero, p + i, 8) == -1 && errno == EFAULT,
		      "the fault did not fail");
	left(NR, NR, NR);
	background(0);
	CHECK(!pages_with(p, SIZE, PM_PRESENT), "pages appeared");
	close(fd);
	verify_zero(p, SIZE, KIB(64));
}

static void zero_pages(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	verify_zero(p, SIZE, KIB(64));
	left(NR, NR, NR);
	counters_mark();
	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i, MIB(1), MADV_DONTNEED);
	left(NR, NR, NR);
	grew("kept_present", NR);
	background(0);
	verify_zero(p, SIZE, KIB(64));
}

const struct test_case later_cases[] = {
	{ "later.lazyfree", LATER, lazyfree },
	{ "later.shmem_reclaim", LATER, shmem_reclaim },
	{ "later.file_reclaim", LATER, file_reclaim },
	{ "later.truncate_shared", LATER " (rmap_lock)", truncate_shared },
	{ "later.truncate_private", LATER " (rmap_lock)", truncate_private },
	{ "later.punch_hole", LATER " (rmap_lock)", punch_hole },
	{ "later.madv_remove", LATER " (rmap_lock)", remove_pages },
	{ "later.device_discard", LATER " (rmap_lock)", device_discard },
	{ "later.mremap_shifted", LATER, mremap_shifted },
	{ "later.mremap_aligned", "none left behind", mremap_aligned },
	{ "later.mremap_half", FREED, mremap_half },
	{ "later.fork_copies_empty", "not copied, then " LATER,
	  fork_copies_empty },
	{ "later.fork_after_pieces", FREED ", none to copy",
	  fork_after_pieces },
	{ "later.uffd_move", LATER, uffd_move },
	{ "later.uffd_move_holes", LATER, uffd_move_holes },
	{ "later.uffd_missing", LATER, uffd_missing },
	{ "later.zero_pages", LATER " (present)", zero_pages },
	{ }
};
