// SPDX-License-Identifier: GPL-2.0
/*
 * The module is loaded, and an allocation on the way fails: of the kernel, or of
 * the module itself. Either it is loaded all the same, or nothing of it is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"

static const char *parameters = "refill_ms=0";

static int load(unsigned int n, unsigned int *left)
{
	int fd = SYS(open(ko, O_RDONLY | O_CLOEXEC)), ret;

	nth_begin(n);
	ret = syscall(SYS_finit_module, fd, parameters, 0) ? -errno : 0;
	*left = nth_end();
	close(fd);
	return ret;
}

static void unload(void)
{
	SYS(syscall(SYS_delete_module, "ptreclaim", 0));
}

/* All that it makes. */
static void nothing_there(unsigned int n)
{
	static const char *const what[] = {
		"/sys/module/ptreclaim", "/dev/ptreclaim", "/sys/class/misc/ptreclaim",
		"/sys/kernel/debug/ptreclaim", "/sys/bus/workqueue/devices/ptreclaim",
		"/sys/kernel/debug/tracing/events/ptreclaim",
	};
	unsigned int i;

	for (i = 0; i < sizeof(what) / sizeof(*what); i++)
		CHECK(access(what[i], F_OK) && errno == ENOENT,
		      "allocation %u failed, and %s is left", n, what[i]);
}

/* It decides, that is, and it says so. */
static void works(void)
{
	unsigned int left;
	long freed;
	char *p;
	int ret = load(0, &left);

	CHECK(!ret, "insmod: %s", strerror(-ret));
	freed = counter("freed");
	mark();
	p = filled(PRIVATE, -1);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	CHECK(!tables() && counter("freed") >= freed + NR, "%ld tables are left, %ld freed",
	      tables(), counter("freed") - freed);
	SYS(munmap(p, SIZE));
	unload();
	nothing_there(0);
}

/* The whole way through the last so many, the others by samples. */
static void each(void)
{
	unsigned int n, all, left, hits = 0, loaded = 0, step;
	int ret;

	works();
	ret = load(NTH_NEVER, &left);
	CHECK(!ret, "insmod: %s", strerror(-ret));
	unload();
	all = NTH_NEVER - left;
	step = rounds * 8 > all ? 1 : all / (rounds * 8) + 1;
	note("%u allocations; each %u is made to fail", all, step);
	for (n = 1 + dice() % step; ; n += step) {
		double start = now();

		ret = load(n, &left);
		if (left)
			break;
		hits++;
		if (ret) {
			CHECK(ret == -ENOMEM, "allocation %u failed: %s", n, strerror(-ret));
			nothing_there(n);
		} else {
			loaded++;
			unload();
			nothing_there(n);
		}
		if (hits % 16 == 0)
			note("allocation %u: %s, %.2f s", n, strerror(-ret), now() - start);
	}
	if (!ret)
		unload();
	note("%u allocations made to fail; %u times it was loaded all the same", hits, loaded);
	CHECK(hits >= all / step / 2, "only %u were made to fail", hits);
	works();
}

const struct test_case load_cases[] = {
	{ "faults.load.each", "insmod fails and leaves nothing, or it works", each },
	{ }
};
