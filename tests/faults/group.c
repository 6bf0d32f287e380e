// SPDX-License-Identifier: GPL-2.0
/*
 * A cgroup for each case: it pays for the tables of the case's processes, and for
 * no others. They are looked at when all cases are through, since a cgroup's
 * numbers are up to two seconds old, and what RCU frees takes its time.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"

#define ROOT		"/sys/fs/cgroup"
#define OURS		ROOT "/faults"
#define GROUPS		96
/* Seconds; what has leaked does not come back however long one waits. */
#define SETTLE		30

static char names[GROUPS][96];
static int nr;

void groups_begin(void)
{
	write_text(ROOT "/cgroup.subtree_control", "+memory");
	if (mkdir(OURS, 0755) && errno != EEXIST)
		FAIL(OURS ": %m");
	write_text(OURS "/cgroup.subtree_control", "+memory");
}

const char *group_make(const char *name)
{
	CHECK(nr < GROUPS, "too many groups");
	snprintf(names[nr], sizeof(names[nr]), OURS "/%s", name);
	if (mkdir(names[nr], 0755) && errno != EEXIST)
		FAIL("%s: %m", names[nr]);
	return names[nr++];
}

/* From here on only those of this process: a case must not empty its own. */
void groups_forget(void)
{
	nr = 0;
}

void group_write(const char *group, const char *file, const char *text)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	write_text(path, text);
}

long group_read(const char *group, const char *file, const char *key)
{
	char path[160];

	snprintf(path, sizeof(path), "%s/%s", group, file);
	return read_number(path, key);
}

void group_join(const char *group)
{
	group_write(group, "cgroup.procs", "0");
}

bool group_kill(const char *group)
{
	double end = now() + SETTLE;

	group_write(group, "cgroup.kill", "1");
	while (group_read(group, "cgroup.events", "populated") > 0) {
		if (now() > end)
			return false;
		nap(20);
	}
	return true;
}

/* RCU frees them, and the statistics come every two seconds: it is waited for. */
static bool has_no_tables(const char *group, double end)
{
	long n;

	while ((n = group_read(group, "memory.stat", "pagetables")) && now() < end)
		nap(200);
	if (n)
		note("FAILED: %s: %ld tables are left", group, n / (long)PAGE);
	return !n;
}

bool groups_have_no_tables(void)
{
	double end = now() + SETTLE;
	bool good = true;
	int i;

	for (i = 0; i < nr; i++)
		good &= has_no_tables(names[i], end);
	return good;
}

/* What it is charged for. */
static void explain(const char *group)
{
	static char text[16384];
	char path[160], *line;
	FILE *f;

	snprintf(path, sizeof(path), "%s/memory.stat", group);
	f = fopen(path, "r");
	if (!f)
		return;
	while ((line = fgets(text, sizeof(text), f)))
		if (!strstr(line, " 0\n"))
			note("    %.*s", (int)strcspn(line, "\n"), line);
	fclose(f);
}

/*
 * Bytes of slabs are charged by whole pages. What an interrupt gives back while the
 * same CPU is busy with its stock goes to objcg->nr_charged_bytes, and stays charged
 * until that objcg comes into a stock again (__refill_obj_stock()): which it does
 * when somebody in the cgroup allocates.
 */
static void take_into_stock(const char *group)
{
	pid_t pid = SYS(fork());
	int end[2];

	if (!pid) {
		group_join(group);
		SYS(pipe(end));
		_exit(0);
	}
	SYS(waitpid(pid, NULL, 0));
}

/*
 * Nobody is left in it: reclaim of all there is, and of what CPUs have in stock, but
 * for a part of a page for each CPU, which is left as long as there is the cgroup.
 */
static long charge(const char *group)
{
	long n;

	/* Pages on the way to an LRU list are in no statistics. This waits for them. */
	write_text("/proc/sys/vm/drop_caches", "1");
	group_write(group, "memory.high", "0");
	n = group_read(group, "memory.current", NULL);
	group_write(group, "memory.high", "max");
	return n;
}

static bool has_no_charge(const char *group, long most, bool may_join)
{
	double end = now() + SETTLE;
	long n, first = 0;

	while ((n = charge(group)) > most && now() < end) {
		first = first ?: n;
		nap(200);
		if (may_join)
			take_into_stock(group);
	}
	if (n <= most) {
		if (first)
			note("%s: %ld kB, then %ld kB", group, first / 1024, n / 1024);
		return true;
	}
	note("FAILED: %s: %ld kB are charged", group, n / 1024);
	explain(group);
	return false;
}

static long rests(void)
{
	return 2 * sysconf(_SC_NPROCESSORS_ONLN) * PAGE;
}

bool groups_have_no_charge(void)
{
	bool good = true;
	int i;

	for (i = 0; i < nr; i++) {
		good &= has_no_charge(names[i], rests(), true);
		rmdir(names[i]);
	}
	return good;
}

/* What was theirs is their parent's now: of all of them no more than of one. */
bool groups_are_gone(void)
{
	return has_no_charge(OURS, rests(), false) && has_no_tables(OURS, now() + SETTLE);
}
