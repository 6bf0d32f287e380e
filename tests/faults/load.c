// SPDX-License-Identifier: GPL-2.0
/*
 * The module is loaded, and an allocation on the way fails, of the kernel or of
 * the module itself; or whoever loads it is killed. Either it is loaded all the
 * same, or nothing of it is there.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"

const char *ko, *load_parameters = "refill_ms=0";

int load(void)
{
	int fd = open(ko, O_RDONLY | O_CLOEXEC), ret;

	/* The first allocation is the file's. */
	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, load_parameters, 0) ? -errno : 0;
	close(fd);
	return ret;
}

int unload(void)
{
	return syscall(SYS_delete_module, "ptreclaim", 0) ? -errno : 0;
}

static void goes(void)
{
	int ret = unload();

	CHECK(!ret, "rmmod: %s", strerror(-ret));
}

static int load_failing(unsigned int n, unsigned int *left)
{
	int ret;

	nth_begin(n);
	ret = load();
	*left = nth_end();
	return ret;
}

/* All that it makes. */
static void nothing_there(const char *why, unsigned int n)
{
	static const char *const what[] = {
		"/sys/module/ptreclaim", "/dev/ptreclaim", "/sys/class/misc/ptreclaim",
		"/sys/kernel/debug/ptreclaim", "/sys/bus/workqueue/devices/ptreclaim",
		"/sys/kernel/debug/tracing/events/ptreclaim",
	};
	unsigned int i;

	for (i = 0; i < sizeof(what) / sizeof(*what); i++)
		CHECK(access(what[i], F_OK) && errno == ENOENT,
		      "%s %u, and %s is left", why, n, what[i]);
}

/* It decides, that is, and it says so. */
static void works(void)
{
	long freed;
	char *p;
	int ret = load();

	CHECK(!ret, "insmod: %s", strerror(-ret));
	freed = counter("freed");
	p = map_anon(SIZE);
	mark();
	fill(p, SIZE, KIB(64), 1);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	CHECK(!tables() && counter("freed") >= freed + NR, "%ld tables are left, %ld freed",
	      tables(), counter("freed") - freed);
	SYS(munmap(p, SIZE));
	goes();
	nothing_there("unloaded", 0);
}

/*
 * Where in the row of allocations the load is: those of the module's own init; and
 * those of the kernel's notifiers, of jump labels and trace events, which warn when
 * they have no memory. A warning ends the test, so these are left out.
 */
#define TRACING		"/sys/kernel/debug/tracing/"

static struct {
	unsigned int all, init;		/* init: the first one of it */
	unsigned int notify, notified;	/* the first one, and the one after the last */
} row;

static void trace(bool on)
{
	static const char *const events[] = {
		"p:faults/site should_fail_ex", "p:faults/init do_init_module",
		"p:faults/notify jump_label_module_notify",
		"p:faults/notified mod_sysfs_setup",
		/* When the count begins and ends. */
		"p:faults/nth proc_fail_nth_write",
	};
	char pid[16];
	unsigned int i;
	int fd;

	if (on) {
		fd = SYS(open(TRACING "kprobe_events", O_WRONLY | O_APPEND));
		for (i = 0; i < sizeof(events) / sizeof(*events); i++)
			CHECK(write(fd, events[i], strlen(events[i])) > 0, "%s: %m", events[i]);
		close(fd);
		snprintf(pid, sizeof(pid), "%d", getpid());
		write_text(TRACING "set_event_pid", pid);
	}
	write_text(TRACING "events/faults/enable", on ? "1" : "0");
	if (!on) {
		fd = SYS(open(TRACING "kprobe_events", O_WRONLY | O_TRUNC));
		close(fd);
	}
}

static void find_row(void)
{
	unsigned int left, n = 0, begun = 0;
	char line[256];
	FILE *f;
	int ret;

	trace(true);
	ret = load_failing(NTH_NEVER, &left);
	write_text(TRACING "events/faults/enable", "0");
	CHECK(!ret, "insmod: %s", strerror(-ret));
	row.all = NTH_NEVER - left;
	f = fopen(TRACING "trace", "r");
	CHECK(f, TRACING "trace: %m");
	while (fgets(line, sizeof(line), f)) {
		if (strstr(line, ": nth: "))
			begun++;
		if (begun != 1)
			continue;
		if (strstr(line, ": site: "))
			n++;
		/* The first time; the second is when it goes live. */
		if (strstr(line, ": notify: ") && !row.notify)
			row.notify = n + 1;
		if (strstr(line, ": notified: "))
			row.notified = n + 1;
		if (strstr(line, ": init: "))
			row.init = n + 1;
	}
	fclose(f);
	trace(false);
	goes();
	CHECK(n == row.all, "%u allocations were seen, not %u", n, row.all);
	CHECK(row.notify && row.notified >= row.notify && row.init >= row.notified,
	      "notifiers from %u to %u, init from %u", row.notify, row.notified, row.init);
	note("%u allocations; of notifiers from %u to %u, in init from %u", row.all, row.notify,
	     row.notified, row.init);
}

/* How far the n-th is from where it was the last time: slabs are filled up now and then. */
#define SHIFT		24

/* The way through init, of more than two a round by samples; what the kernel does before. */
static void each(void)
{
	unsigned int n, left, hits = 0, loaded = 0, in_init = 0, kernels, ours;
	int ret;

	works();
	find_row();
	kernels = row.init / rounds ?: 1;
	ours = (row.all - row.init) / (2 * rounds) + 1;
	for (n = 1 + dice() % kernels; n <= row.all; n += n + kernels < row.init ? kernels : ours) {
		if (n + SHIFT >= row.notify && n < row.notified + SHIFT)
			continue;
		ret = load_failing(n, &left);
		if (left) {
			CHECK(n + SHIFT > row.all, "allocation %u of %u was not reached", n,
			      row.all);
			goes();
			break;
		}
		hits++;
		in_init += n >= row.init;
		if (ret)
			CHECK(ret == -ENOMEM, "allocation %u failed: %s", n, strerror(-ret));
		else
			goes();
		loaded += !ret;
		nothing_there("failed was allocation", n);
	}
	note("%u allocations made to fail, %u of them in init; %u times it was loaded all the same",
	     hits, in_init, loaded);
	CHECK(in_init >= 20 / ours && hits - in_init >= rounds / 2, "too few");
	works();
}

/* What the module is at work for meanwhile. */
static void zap_for_ever(void)
{
	char *p = map_anon(SIZE);

	for (;;) {
		fill(p, SIZE, KIB(512), 1);
		advise_pieces(p, SIZE, MIB(1), MADV_DONTNEED);
	}
}

static void load_for_ever(void)
{
	for (;;) {
		load();
		unload();
	}
}

static pid_t start(void (*fn)(void))
{
	pid_t pid = SYS(fork());

	if (!pid) {
		fn();
		_exit(0);
	}
	return pid;
}

static void stop(pid_t pid)
{
	SYS(kill(pid, SIGKILL));
	SYS(waitpid(pid, NULL, 0));
}

/* Half of it done, it is done to its end or not at all. */
static void killed(void)
{
	pid_t zapper = start(zap_for_ever);
	unsigned int i, there = 0;
	double begun = now();
	useconds_t once;

	/* That it is killed anywhere between two loads. */
	load();
	unload();
	once = (now() - begun) * 1e6;
	for (i = 0; i < rounds / 2; i++) {
		pid_t loader = start(load_for_ever);

		usleep(dice() % once);
		stop(loader);
		if (!unload())
			there++;
		nothing_there("killed", i);
	}
	stop(zapper);
	note("%u kills, %u times it was loaded", i, there);
	works();
}

const struct test_case load_cases[] = {
	{ "faults.load.each", "insmod fails and leaves nothing, or it works", each },
	{ }
};

const struct test_case reload_cases[] = {
	{ "faults.load.killed", "SIGKILL of insmod and rmmod: it is loaded, or nothing is left",
	  killed },
	{ }
};
