// SPDX-License-Identifier: GPL-2.0
/* Each allocation fails in turn. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"
#include "request.h"

unsigned int sweep_nth;

static int nth_fd = -1;

/* A process of a fork() has its parent's file, of the parent's thread. */
void nth_reopen(void)
{
	if (nth_fd >= 0)
		close(nth_fd);
	nth_fd = SYS(open("/proc/thread-self/fail-nth", O_RDWR | O_CLOEXEC));
}

void nth_begin(unsigned int n)
{
	char text[16];
	int len;

	if (nth_fd < 0)
		nth_reopen();
	len = snprintf(text, sizeof(text), "%u", n);
	CHECK(pwrite(nth_fd, text, len, 0) == len, "fail-nth: %m");
}

unsigned int nth_end(void)
{
	char text[16] = "";

	CHECK(pread(nth_fd, text, sizeof(text) - 1, 0) > 0, "fail-nth: %m");
	CHECK(pwrite(nth_fd, "0", 1, 0) == 1, "fail-nth: %m");
	return strtoul(text, NULL, 10);
}

unsigned int nth_of(pid_t pid)
{
	char path[64];
	long n;

	snprintf(path, sizeof(path), "/proc/%d/fail-nth", pid);
	n = read_number(path, NULL);
	CHECK(n >= 0, "%s: %m", path);
	return n;
}

static bool hit(const struct sweep *s, unsigned int n, bool *failed)
{
	unsigned int left;
	int ret;

	s->make();
	if (!s->rest)
		nth_begin(n);
	ret = s->act();
	left = s->rest ? s->rest() : nth_end();
	*failed = ret;
	CHECK(!ret || !left, "failed with %s, and no allocation had", strerror(-ret));
	s->look(ret);
	CHECK(!tables(), "%ld tables are left of the round in which allocation %u failed",
	      tables(), n);
	return !left;
}

/* Once without: what a process has only once is there afterwards. Gives how many sites there are. */
static unsigned int dry(const struct sweep *s)
{
	unsigned int left;
	int ret;

	mark();
	sweep_nth = NTH_NEVER;
	s->make();
	if (!s->rest)
		nth_begin(NTH_NEVER);
	ret = s->act();
	left = s->rest ? s->rest() : nth_end();
	s->look(ret);
	mark();
	return NTH_NEVER - left;
}

void sweep(const struct sweep *s)
{
	unsigned int sites = dry(s), step = sites / (2 * rounds) + 1;
	unsigned int n, hits = 0, errors = 0;
	bool failed;

	for (n = 1 + dice() % step; n < NTH_NEVER; n += step) {
		sweep_nth = n;
		if (!hit(s, n, &failed))
			break;
		hits++;
		errors += failed;
	}
	note("%u allocations of %u made to fail, %u of them with an error", hits, sites, errors);
	CHECK(hits >= s->least / step, "only %u allocations were made to fail, not %u", hits,
	      s->least / step);
}

void reclaimed_at(const char *file, int line, const void *p, size_t len)
{
	struct ptreclaim_request r = ask_at(file, line, SELF, p, len, ZEROES);

	if (r.freed != r.empty + r.zero_only)
		fail_at(file, line,
			"%llu of %llu empty tables freed, %llu busy, %llu without a VMA",
			r.freed, r.empty + r.zero_only,
			r.kept[PTRECLAIM_KEPT_BUSY], r.kept[PTRECLAIM_KEPT_NO_VMA]);
	r = ask_at(file, line, SELF, p, len, ZEROES | DRY);
	if (r.empty || r.zero_only)
		fail_at(file, line, "%llu tables are empty, %llu have zero pages",
			r.empty, r.zero_only);
}
