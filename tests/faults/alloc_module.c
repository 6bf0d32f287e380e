// SPDX-License-Identifier: GPL-2.0
/* The module's own interfaces, and an allocation on the way fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"
#include "request.h"

#define PARAMETERS	"/sys/module/ptreclaim/parameters/"
#define MODE		"/sys/module/pt_reclaim/parameters/mode"

static int fd;

static void nothing(void)
{
}

static int open_it(void)
{
	fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	return fd < 0 ? -errno : 0;
}

static void opened(int ret)
{
	if (ret) {
		CHECK(ret == -ENOMEM, "%s", strerror(-ret));
		SYS(fd = open(DEVICE, O_RDWR | O_CLOEXEC));
	}
	close(fd);
}

static void device_open(void)
{
	sweep(&(struct sweep){ nothing, open_it, opened, .least = 2 });
}

/* How many allocations a request makes. */
static unsigned int allocations(int pidfd, const char *p, uint32_t flags)
{
	unsigned int left;

	nth_begin(NTH_NEVER);
	ask(pidfd, p, SIZE, flags);
	left = nth_end();
	return NTH_NEVER - left;
}

/*
 * Under memory pressure the same code runs, where nothing may be allocated. More
 * than once: the kernel's own debugging does now and then, for objects and stacks
 * that it keeps an eye on.
 */
static void no_allocation(const char *what, char *(*make)(void), int pidfd, uint32_t flags)
{
	unsigned int n = 1, i;
	long was;
	char *p;

	for (i = 0; n && i < 8; i++) {
		p = make();
		was = tables();
		n = allocations(pidfd, p, flags);
		CHECK(flags & DRY || tables() < was, "%s: nothing was freed", what);
		SYS(munmap(p, SIZE));
	}
	CHECK(!n, "%s: %u allocations, each time", what, n);
}

static void requests(void)
{
	int self = pidfd_of(getpid());

	device_fd();
	no_allocation("truncated", truncate_shared, SELF, 0);
	no_allocation("straddling", straddling, SELF, 0);
	no_allocation("zero pages", zero_pages, SELF, ZEROES);
	no_allocation("straddling zero pages", straddling_zero_pages, SELF, ZEROES);
	no_allocation("a dry run", straddling_zero_pages, SELF, ZEROES | DRY | FULLNESS);
	no_allocation("by pidfd", guard_removed, self, ZEROES);
	/* And it is no test that finds none anywhere. */
	nth_begin(NTH_NEVER);
	close(open(DEVICE, O_RDWR));
	CHECK(nth_end() < NTH_NEVER, "not even open() allocates anything");
}

static const char *path, *before, *after;

static void text_of(char *text, size_t size)
{
	int in = SYS(open(path, O_RDONLY | O_CLOEXEC));
	ssize_t n = SYS(read(in, text, size - 1));

	text[n] = 0;
	text[strcspn(text, "\n")] = 0;
	close(in);
}

static void set_before(void)
{
	write_text(path, before);
}

static int set_after(void)
{
	int out = open(path, O_WRONLY | O_CLOEXEC), ret = 0;

	if (out < 0)
		return -errno;
	if (write(out, after, strlen(after)) < 0)
		ret = -errno;
	close(out);
	return ret;
}

static void is_set(int ret)
{
	char text[32];

	text_of(text, sizeof(text));
	CHECK(!strcmp(text, ret ? before : after), "%s is %s after %s", path, text,
	      strerror(-ret));
	if (ret)
		CHECK(!set_after(), "the second time: %m");
}

static void parameter_writes(void)
{
	static const struct {
		const char *path, *before, *after;
	} p[] = {
		{ PARAMETERS "zero_pages", "N", "Y" },
		{ PARAMETERS "scan", "Y", "N" },
		{ PARAMETERS "scan_age_ms", "100", "0" },
		{ PARAMETERS "scan_interval_ms", "200", "10" },
		{ PARAMETERS "scan_budget_us", "10000", "60000000" },
		{ PARAMETERS "enabled", "Y", "N" },
		{ PARAMETERS "enabled", "N", "Y" },
		{ MODE, "module", "builtin" },
		{ MODE, "builtin", "module" },
	};
	unsigned int i;
	char *q;

	for (i = 0; i < sizeof(p) / sizeof(*p); i++) {
		path = p[i].path;
		before = p[i].before;
		after = p[i].after;
		note("%s from %s to %s", path, before, after);
		sweep(&(struct sweep){ set_before, set_after, is_set, .least = 1 });
	}
	/* All are as they were, and the module decides. */
	q = map_anon(SIZE);
	mark();
	fill(q, SIZE, KIB(64), 1);
	advise_pieces(q, SIZE, KIB(64), MADV_DONTNEED);
	CHECK(!tables(), "%ld tables are left", tables());
}

/* What is shown is shown whole, or not at all. */
static char shown[65536];

static int show(void)
{
	ssize_t n, len = 0;
	int ret = 0;

	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	while ((n = read(fd, shown + len, sizeof(shown) - 1 - len)) > 0)
		len += n;
	if (n < 0)
		ret = -errno;
	shown[len] = 0;
	close(fd);
	return ret;
}

static void is_shown(int ret)
{
	if (ret)
		CHECK(!show(), "the second time: %m");
	CHECK(shown[0] && shown[strlen(shown) - 1] == '\n', "%s: '%s'", path, shown);
	if (strstr(path, "counters"))
		CHECK(strstr(shown, "\nscan_zero_pages "), "%s: '%s'", path, shown);
}

static void files(void)
{
	static const char *const p[] = { "counters", "processes", "scan_latency" };
	char name[64];
	unsigned int i;

	/* So that there is a line in each. */
	straddling();
	ask(SELF, NULL, 0, 0);
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), "/sys/kernel/debug/ptreclaim/%s", p[i]);
		path = name;
		sweep(&(struct sweep){ nothing, show, is_shown, .least = 2 });
	}
}

const struct test_case alloc_module_cases[] = {
	{ "faults.alloc.device_open", "each allocation fails in turn: ENOMEM, or a device",
	  device_open },
	{ "faults.alloc.requests", "nothing is allocated", requests },
	{ "faults.alloc.parameters", "each allocation fails in turn: the old value or the new one",
	  parameter_writes },
	{ "faults.alloc.files", "each allocation fails in turn: ENOMEM, or all of it", files },
	{ }
};
