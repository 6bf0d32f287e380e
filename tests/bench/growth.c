// SPDX-License-Identifier: GPL-2.0
/* From 10 tables to 100000: each is to cost the same. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/ptreclaim.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

static void zapped(const struct row *row, unsigned long times)
{
	unsigned long tables = row->len;

	while (times--) {
		char *p = fresh(tables * TABLE);

		map(p, tables * TABLE);
		touch(p, tables * TABLE, TABLE);
		begin();
		advise(p, tables * TABLE, MADV_DONTNEED);
		end(tables);
		unmap(p, tables * TABLE);
	}
}

static void requested(const struct row *row, unsigned long times)
{
	int fd = SYS(open("/dev/ptreclaim", O_RDWR | O_CLOEXEC));
	unsigned long tables = row->len;

	while (times--) {
		char *p = fresh(tables * TABLE);
		struct ptreclaim_request r = {
			.size = sizeof(r), .pidfd = PTRECLAIM_SELF, .start = (uintptr_t)p,
			.len = tables * TABLE,
		};

		make_empty(p, tables);
		begin();
		SYS(ioctl(fd, PTRECLAIM_IOC_RECLAIM, &r));
		end(tables);
		if (r.freed != tables)
			die("of %lu tables %llu are freed", tables, r.freed);
		unmap(p, tables * TABLE);
	}
	close(fd);
}

const struct row growth_rows[] = {
	{ "growth.zap.10", FREES, zapped, 10, .len = 10, .unit = "table" },
	{ "growth.zap.100", FREES, zapped, 2, .len = 100, .unit = "table" },
	{ "growth.zap.1000", FREES, zapped, 1, .len = 1000, .unit = "table" },
	{ "growth.zap.10000", FREES, zapped, 1, .len = 10000, .unit = "table" },
	{ "growth.zap.100000", FREES, zapped, 1, .len = 100000, .unit = "table" },
	{ "module.growth.request.10", FREES, requested, 10, .len = 10, .unit = "table" },
	{ "module.growth.request.100", FREES, requested, 2, .len = 100, .unit = "table" },
	{ "module.growth.request.1000", FREES, requested, 1, .len = 1000, .unit = "table" },
	{ "module.growth.request.10000", FREES, requested, 1, .len = 10000, .unit = "table" },
	{ "module.growth.request.100000", FREES, requested, 1, .len = 100000, .unit = "table" },
	{ }
};
