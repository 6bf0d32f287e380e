// SPDX-License-Identifier: GPL-2.0
/*
 * Too little memory. In a memory cgroup page tables are charged like pages; what
 * is empty goes before anybody is killed, and who is killed leaves nothing.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"
#include "request.h"

#define MANY		3072UL		/* 12 MiB of tables */

/* A page in each of many tables, each given back at once by its file. */
static void punch_through(size_t tables_nr)
{
	int fd = memfd(tables_nr * TABLE);
	char *p = mmap(NULL, tables_nr * TABLE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, fd, 0);
	size_t i;

	CHECK(p != MAP_FAILED, "mmap: %m");
	for (i = 0; i < tables_nr; i++) {
		*(volatile char *)(p + i * TABLE) = 1;
		SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, i * TABLE,
			      PAGE));
	}
	SYS(munmap(p, tables_nr * TABLE));
	close(fd);
}

static const char *limited(const char *file, const char *value)
{
	static int nth;
	const char *group;
	char name[64];

	snprintf(name, sizeof(name), "limit-%d-%d", getpid(), nth++);
	group = group_make(name);
	group_write(group, file, value);
	group_write(group, "memory.swap.max", "0");
	return group;
}

/* Runs fn there; what it leaves behind is looked at here: the group is not main()'s. */
static int within(const char *group, void (*fn)(void))
{
	pid_t pid = SYS(fork());
	int status;

	if (!pid) {
		group_join(group);
		fn();
		_exit(0);
	}
	SYS(waitpid(pid, &status, 0));
	return status;
}

static void all_back(void)
{
	CHECK(groups_have_no_tables(), "tables are left");
	CHECK(groups_have_no_charge(), "memory is charged to who has gone");
}

static void punch_many(void)
{
	punch_through(MANY);
}

/* Who is over memory.high is held up, and that is not what this is about. */
static void punch_some(void)
{
	punch_through(MANY * 2 / 3);
}

static void max(void)
{
	const char *group = limited("memory.max", "6M");
	int status = within(group, punch_many);

	CHECK(!status, "ended with %#x: with tables to free nobody is to be killed", status);
	CHECK(!group_read(group, "memory.events", "oom_kill"), "somebody was killed");
	CHECK(group_read(group, "memory.events", "max") > 0, "the limit was never reached");
	all_back();
}

static void high(void)
{
	const char *group = limited("memory.high", "6M");
	int status = within(group, punch_some);

	CHECK(!status, "ended with %#x", status);
	CHECK(group_read(group, "memory.events", "high") > 0, "the limit was never reached");
	all_back();
}

/* The same where any decision goes the other way now and then. */
static void max_and_forced(void)
{
	const char *group = limited("memory.max", "6M");
	const char *const *d;
	int status;

	for (d = decisions; *d; d++)
		force(*d, 10);
	status = within(group, punch_many);
	CHECK(unforce() > 100, "it hardly failed");
	CHECK(!status, "ended with %#x", status);
	all_back();
}

/* More than there is room for, as fast as it can. */
static void take(size_t tables_nr)
{
	char *p = mmap(NULL, tables_nr * TABLE, PROT_READ | PROT_WRITE, PRIVATE | MAP_NORESERVE, -1,
		       0);
	size_t i;

	CHECK(p != MAP_FAILED, "mmap: %m");
	for (i = 0; i < tables_nr; i++)
		*(volatile char *)(p + i * TABLE) = 1;
	FAIL("%zu pages and tables fit", tables_nr);
}

static void sparse(void)
{
	take(MANY);
}

static void give_and_take(void)
{
	seed ^= getpid();
	churn(now() + 3600, 1000000);
}

/* Some that are killed for what they take, beside some that give back. */
static void killed_for_it(void)
{
	const char *group = limited("memory.max", "8M");
	unsigned int i, kills = rounds / 10 ?: 1;
	pid_t pid[3];

	for (i = 0; i < kills; i++) {
		int k, status;

		for (k = 0; k < 3; k++) {
			pid[k] = SYS(fork());
			if (pid[k])
				continue;
			group_join(group);
			if (k)
				give_and_take();
			nap(dice() % 50);
			sparse();
		}
		SYS(waitpid(pid[0], &status, 0));
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "it ended with %#x, not killed", status);
		CHECK(group_kill(group), "somebody does not die");
		for (k = 1; k < 3; k++) {
			SYS(waitpid(pid[k], &status, 0));
			CHECK(WIFSIGNALED(status), "beside it one ended with %#x", status);
		}
	}
	note("%ld kills", group_read(group, "memory.events", "oom_kill"));
	CHECK(group_read(group, "memory.events", "oom_kill") >= (long)kills, "too few");
	all_back();
}

/* memory.oom.group: all at once, in the middle of whatever they do. */
static void killed_together(void)
{
	const char *group = limited("memory.max", "8M");
	unsigned int i, k, kills = rounds / 10 ?: 1;
	int status;

	group_write(group, "memory.oom.group", "1");
	for (i = 0; i < kills; i++) {
		for (k = 0; k < 3; k++)
			if (!SYS(fork())) {
				group_join(group);
				if (k)
					give_and_take();
				sparse();
			}
		for (k = 0; k < 3; k++) {
			SYS(wait(&status));
			CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
			      "one ended with %#x, not killed", status);
		}
	}
	all_back();
}

/*
 * No cgroup: the machine has no memory left. Huge pages in their pool are what is
 * taken, all but some; then somebody takes more than that.
 */
#define POOL		"/proc/sys/vm/nr_hugepages"
#define SPARE_KB	(128 * 1024)

/* It is there before memory is short, or somebody else would be it. */
static pid_t sparse_victim(int *go)
{
	int end[2];
	pid_t pid;
	char c;

	SYS(pipe(end));
	pid = SYS(fork());
	if (!pid) {
		close(end[1]);
		write_text("/proc/self/oom_score_adj", "1000");
		if (read(end[0], &c, 1) == 1)
			take(32 * MANY);
		_exit(1);
	}
	close(end[0]);
	*go = end[1];
	return pid;
}

/* Of all processes but this one: whoever carries what a test says must not be killed. */
static void adjust_others(const char *value)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;

	CHECK(proc, "/proc: %m");
	while ((entry = readdir(proc))) {
		char path[64];
		int fd;

		if (atoi(entry->d_name) <= 0 || atoi(entry->d_name) == getpid())
			continue;
		snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", atoi(entry->d_name));
		fd = open(path, O_WRONLY | O_CLOEXEC);
		/* It may have gone. */
		if (fd < 0)
			continue;
		if (write(fd, value, strlen(value)) < 0 && errno != ESRCH && errno != EINVAL)
			note("%s: %m", path);
		close(fd);
	}
	closedir(proc);
}

static void machine(void)
{
	long free_kb = read_number("/proc/meminfo", "MemAvailable"), was;
	unsigned int i, kills = rounds / 20 ?: 1;
	char text[24];
	int status, go;

	write_text("/proc/self/oom_score_adj", "-1000");
	adjust_others("-1000");
	signal(SIGPIPE, SIG_IGN);
	was = read_number("/proc/vmstat", "oom_kill");
	snprintf(text, sizeof(text), "%ld", (free_kb - SPARE_KB) / 2048);
	for (i = 0; i < kills; i++) {
		pid_t victim = sparse_victim(&go), other;

		write_text(POOL, text);
		other = SYS(fork());
		if (!other)
			give_and_take();
		if (write(go, "", 1) != 1)
			note("killed before it took anything");
		close(go);
		SYS(waitpid(victim, &status, 0));
		write_text(POOL, "0");
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "it ended with %#x, not killed", status);
		SYS(kill(other, SIGKILL));
		SYS(waitpid(other, &status, 0));
	}
	adjust_others("0");
	CHECK(read_number("/proc/vmstat", "oom_kill") - was >= (long)kills,
	      "only %ld kills", read_number("/proc/vmstat", "oom_kill") - was);
}

const struct test_case limit_cases[] = {
	{ "faults.limit.max", "freed instead of an OOM kill", max },
	{ "faults.limit.high", "freed when asked to", high },
	{ "faults.limit.killed", "OOM kills leave nothing", killed_for_it },
	{ "faults.limit.killed_together", "OOM kills of groups leave nothing", killed_together },
	{ "faults.limit.machine", "OOM kills of the machine leave nothing", machine },
	{ }
};

const struct test_case forced_limit_cases[] = {
	{ "faults.limit.max_and_forced", "freed, whatever fails now and then", max_and_forced },
	{ }
};
