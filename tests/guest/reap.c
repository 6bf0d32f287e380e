// SPDX-License-Identifier: GPL-2.0
/* What others take from a dying process: process_mrelease(), OOM reaper. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/ptrace.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"

#ifndef SYS_process_mrelease
#define SYS_process_mrelease	448
#endif

static void wait_stop(pid_t pid, int want)
{
	int status;

	SYS(waitpid(pid, &status, 0));
	CHECK(WIFSTOPPED(status) && status >> 8 == want,
	      "status %#x, not %#x", status >> 8, want);
}

#define AT_EXIT	(SIGTRAP | PTRACE_EVENT_EXIT << 8)

/*
 * A process that is stopped on its way out, after it was killed and before
 * it gives its memory up itself: what goes now, others take.
 */
static pid_t victim(size_t fill_len, void (*rest)(char *p))
{
	static char *p;
	pid_t pid;

	/* One place for all victims, lest they differ by that. */
	if (!p)
		p = map_anon(SIZE);
	/*
	 * The last one's memory descriptor may serve again, with the same
	 * addresses: what was freed there would count as filled again.
	 */
	nap(2 * refill_ms());
	pid = SYS(fork());
	if (!pid) {
		SYS(ptrace(PTRACE_TRACEME, 0, 0, 0));
		fill(p, fill_len, KIB(64), 1);
		raise(SIGSTOP);
		if (rest)
			rest(p);
		for (;;)
			pause();
	}
	wait_stop(pid, SIGSTOP);
	SYS(ptrace(PTRACE_SETOPTIONS, pid, 0, PTRACE_O_TRACEEXIT));
	return pid;
}

static void bury(pid_t pid)
{
	int status;

	SYS(ptrace(PTRACE_CONT, pid, 0, 0));
	SYS(waitpid(pid, &status, 0));
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	      "the victim ended with %#x", status);
}

static void mrelease_one(size_t len, long *before, long *after)
{
	pid_t pid = victim(len, NULL);
	int fd = SYS(syscall(SYS_pidfd_open, pid, 0));

	*before = pid_tables(pid);
	SYS(kill(pid, SIGKILL));
	wait_stop(pid, AT_EXIT);
	CHECK(pid_tables(pid) == *before, "tables went with the signal");
	SYS(syscall(SYS_process_mrelease, fd, 0));
	*after = pid_tables(pid);
	bury(pid);
}

static void mrelease(void)
{
	long want[] = { NR, NR, 0 };
	long before[2], after[2], kept;

	mrelease_one(0, &before[0], &after[0]);
	counters_mark();
	mrelease_one(SIZE, &before[1], &after[1]);
	CHECK(before[1] - before[0] == NR, "%ld tables were filled",
	      before[1] - before[0]);
	kept = after[1] - after[0];
	CHECK(kept == want[mode], "%ld tables left, not %ld", kept,
	      want[mode]);
	grew("freed", NR);
}

static char group[128];

/* A group of processes with 16 MiB of memory; its mount goes with us. */
static void make_group(void)
{
	char path[192];

	snprintf(group, sizeof(group), "/sys/fs/cgroup");
	if (access("/sys/fs/cgroup/cgroup.procs", F_OK))
		SYS(mount("cgroup2", group, "cgroup2", 0, NULL));
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	snprintf(group, sizeof(group), "/sys/fs/cgroup/ptest-%d", getpid());
	SYS(mkdir(group, 0755));
	snprintf(path, sizeof(path), "%s/memory.max", group);
	write_text(path, "16M");
	snprintf(path, sizeof(path), "%s/memory.swap.max", group);
	write_text(path, "0");
}

static void join_and_grow(char *p)
{
	char path[192], pid[16];

	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(pid, sizeof(pid), "%d", getpid());
	write_text(path, pid);
	fill(p, SIZE, PAGE, 2);
	FAIL("64 MiB fit in 16");
}

static void oom(void)
{
	long before, after, unfilled, filled;
	double end = now() + 20;
	char status[64];
	pid_t pid;

	mrelease_one(0, &before, &unfilled);
	make_group();
	counters_mark();
	pid = victim(0, join_and_grow);
	SYS(ptrace(PTRACE_CONT, pid, 0, 0));
	wait_stop(pid, AT_EXIT);
	/* The reaper comes two seconds after the kill. */
	filled = pid_tables(pid) - before;
	CHECK(filled >= 4, "only %ld tables when it was killed", filled);
	snprintf(status, sizeof(status), "/proc/%d/status", pid);
	while (read_number(status, "RssAnon") > 0) {
		CHECK(now() < end, "the OOM reaper did not come");
		nap(50);
	}
	nap(300);
	after = pid_tables(pid) - unfilled;
	bury(pid);
	rmdir(group);
	if (mode == MODE_MODULE)
		CHECK(after == 0, "%ld of %ld tables left", after, filled);
	else
		CHECK(after == filled, "%ld of %ld tables left", after, filled);
	grew("freed", filled);
}

const struct test_case reap_cases[] = {
	{ "reap.process_mrelease", FREED, mrelease },
	{ "reap.oom_reaper", FREED, oom },
	{ }
};
