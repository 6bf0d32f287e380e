// SPDX-License-Identifier: GPL-2.0
/*
 * What it costs to find and free empty tables: by the zap that empties them, on
 * request, and by the background scanner. Rows that only the module has are left
 * out where it is not loaded.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/ptreclaim.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define DEVICE	"/dev/ptreclaim"
/* Fewer than a PMD table has, so that there is room for nothing, too. */
#define SOME	256UL
/* So many that those of other processes, which the scanner looks at as well, hardly count. */
#define MANY	(8 * SOME)

/* By one call for all; and by one for each. */
static void zap_all(const struct row *row, unsigned long times)
{
	while (times--) {
		char *p = fresh(SOME * TABLE);

		map(p, SOME * TABLE);
		touch(p, SOME * TABLE, row->step);
		begin();
		advise(p, SOME * TABLE, MADV_DONTNEED);
		end(SOME);
		unmap(p, SOME * TABLE);
	}
}

static void zap_each(const struct row *row, unsigned long times)
{
	while (times--) {
		char *p = fresh(SOME * TABLE);

		map(p, SOME * TABLE);
		touch(p, SOME * TABLE, row->step);
		begin();
		for (size_t i = 0; i < SOME * TABLE; i += row->len)
			advise(p + i, row->len, MADV_DONTNEED);
		end(SOME);
		unmap(p, SOME * TABLE);
	}
}

/* What is freed and needed again: the one call, and the fault after it. */
static void refault(const struct row *row, unsigned long times)
{
	char *p = fresh(times * TABLE);

	map(p, times * TABLE);
	touch(p, times * TABLE, TABLE);
	for (unsigned long i = 0; i < times; i++) {
		begin();
		advise(p + i * TABLE, row->len, MADV_DONTNEED);
		touch(p + i * TABLE, PAGE, PAGE);
		end(1);
	}
	unmap(p, times * TABLE);
}

/* A call that finds all tables empty already. */
static void zap_of_empty(const struct row *row, unsigned long times)
{
	while (times--) {
		char *p = fresh(SOME * TABLE);

		make_empty(p, SOME);
		begin();
		advise(p, SOME * TABLE, MADV_DONTNEED);
		end(SOME);
		unmap(p, SOME * TABLE);
	}
	(void)row;
}

static void one_page(char *p, size_t offset)
{
	map(p, SOME * TABLE);
	touch(p + offset, (SOME - 1) * TABLE + PAGE, TABLE);
}

/* The same 512 pages in all of them. */
static void make_full(char *p)
{
	int fd = memfd(TABLE);

	for (size_t i = 0; i < SOME; i++)
		SYS(mmap(p + i * TABLE, TABLE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE | MAP_FIXED, fd, 0));
	close(fd);
}

static void request(int fd, char *p, bool dry, unsigned long empty, unsigned long freed)
{
	struct ptreclaim_request r = {
		.size = sizeof(r), .flags = dry ? PTRECLAIM_DRY_RUN : 0,
		.pidfd = PTRECLAIM_SELF, .start = (uintptr_t)p, .len = SOME * TABLE,
	};

	begin();
	SYS(ioctl(fd, PTRECLAIM_IOC_RECLAIM, &r));
	end(SOME);
	if (r.tables != SOME || r.empty != empty || r.freed != freed)
		die("of %lu tables it finds %llu, %llu empty, and frees %llu", SOME, r.tables,
		    r.empty, r.freed);
}

enum { FULL, FIRST, MIDDLE, LAST, EMPTY };

/* A look, at tables of which row->step says what they hold; row->len frees as well. */
static void look(const struct row *row, unsigned long times)
{
	int fd = SYS(open(DEVICE, O_RDWR | O_CLOEXEC));

	while (times--) {
		char *p = fresh(SOME * TABLE);

		switch (row->step) {
		case FULL:
			make_full(p);
			break;
		case EMPTY:
			make_empty(p, SOME);
			break;
		default:
			one_page(p, row->step == FIRST ? 0 : row->step == MIDDLE ? TABLE / 2 :
				 TABLE - PAGE);
		}
		request(fd, p, !row->len, row->step == EMPTY ? SOME : 0, row->len ? SOME : 0);
		unmap(p, SOME * TABLE);
	}
	close(fd);
}

static bool is_empty(int fd, char *p)
{
	struct ptreclaim_request r = {
		.size = sizeof(r), .flags = PTRECLAIM_DRY_RUN,
		.pidfd = PTRECLAIM_SELF, .start = (uintptr_t)p, .len = MANY * TABLE,
	};

	SYS(ioctl(fd, PTRECLAIM_IOC_RECLAIM, &r));
	return !r.tables;
}

/* The background scanner, until all are freed: each is looked at twice at least. */
static void background(const struct row *row, unsigned long times)
{
	int fd = SYS(open(DEVICE, O_RDWR | O_CLOEXEC));
	struct timespec interval = { .tv_nsec = 250000000 };

	while (times--) {
		char *p = fresh(MANY * TABLE);
		int looks = 0;

		make_empty(p, MANY);
		scan(true);
		begin();
		do {
			nanosleep(&interval, NULL);
		} while (++looks < 8);
		end(MANY);
		scan(false);
		if (!is_empty(fd, p))
			die("the scanner has left tables");
		unmap(p, MANY * TABLE);
	}
	close(fd);
	(void)row;
}

const struct row reclaim_rows[] = {
	{ "free.zap.one_call", FREES, zap_all, 2, .step = TABLE, .unit = "table" },
	{ "free.zap.2m", FREES, zap_each, 2, .len = TABLE, .step = TABLE, .unit = "table" },
	{ "free.zap.64k", FREES, zap_each, 2, .len = KIB(64), .step = TABLE, .unit = "table" },
	{ "free.zap.already_empty", FREES, zap_of_empty, 2, .unit = "table" },
	{ "free.refault.2m", FREES, refault, 500, .len = TABLE, .unit = "table" },
	{ "free.refault.64k", FREES, refault, 500, .len = KIB(64), .unit = "table" },
	{ "module.look.full", NOTHING, look, 4, .step = FULL, .unit = "table" },
	{ "module.look.first_page", NOTHING, look, 4, .step = FIRST, .unit = "table" },
	{ "module.look.middle_page", NOTHING, look, 4, .step = MIDDLE, .unit = "table" },
	{ "module.look.last_page", NOTHING, look, 4, .step = LAST, .unit = "table" },
	{ "module.look.empty", NOTHING, look, 4, .step = EMPTY, .unit = "table" },
	{ "module.request.empty", FREES, look, 4, .len = 1, .step = EMPTY, .unit = "table" },
	{ "module.background.empty", FREES, background, 1, .unit = "table" },
	{ }
};
