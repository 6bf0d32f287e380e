// SPDX-License-Identifier: GPL-2.0
/*
 * What a program without privileges may try: to learn of others, to use up what
 * the module has only so much of, or to keep it busy with itself. SECURITY.md has
 * the list.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"
#include "refuse.h"
#include "request.h"

#define NOBODY	65534
#define PARAMETERS	"/sys/module/ptreclaim/parameters/"

static void become_nobody(void)
{
	SYS(setresgid(NOBODY, NOBODY, NOBODY));
	SYS(setresuid(NOBODY, NOBODY, NOBODY));
	SYS(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

static void opens(const char *path, int flags)
{
	int fd = open(path, flags | O_CLOEXEC);

	CHECK(fd < 0 && errno == EACCES, "%s can be opened: %m", path);
}

static void look_around(void *arg)
{
	(void)arg;
	become_nobody();
	opens("/sys/kernel/debug/ptreclaim/counters", O_RDONLY);
	opens("/sys/kernel/debug/ptreclaim/processes", O_RDONLY);
	opens(PARAMETERS "enabled", O_WRONLY);
	opens(PARAMETERS "scan", O_WRONLY);
	opens(PARAMETERS "scan_budget_us", O_WRONLY);
	opens("/sys/module/pt_reclaim/parameters/mode", O_WRONLY);
}

/* Counters are of all processes, parameters for all. */
static void files(void)
{
	if (mode == MODE_MODULE)
		in_child(look_around, NULL);
}

/* A program of the same user that does not let itself be traced: as with sudo. */
static void ask_for_undumpable(void *arg)
{
	int ready[2];
	pid_t pid;
	char c;

	(void)arg;
	become_nobody();
	SYS(pipe(ready));
	pid = SYS(fork());
	if (!pid) {
		SYS(prctl(PR_SET_DUMPABLE, 0, 0, 0, 0));
		SYS(write(ready[1], "", 1));
		pause();
	}
	SYS(read(ready[0], &c, 1));
	ENDS(EACCES, q.pidfd = pidfd_of(pid), q.flags = DRY);
	ENDS(EACCES, q.pidfd = pidfd_of(pid), q.flags = DRY | FULLNESS);
	SYS(kill(pid, SIGKILL));
	SYS(waitpid(pid, NULL, 0));
}

static void undumpable(void)
{
	if (device_there())
		in_child(ask_for_undumpable, NULL);
}

#define PROCESSES	1100

/* More of them, each with something to be looked at, than the scanner has slots
 * for. All are found, at the latest when all are looked at again. */
static void slots(void)
{
	static pid_t pids[PROCESSES];
	static long had[PROCESSES];
	int ready[2], i, left = 0, last = PROCESSES;
	double since;
	char c;

	if (mode != MODE_MODULE)
		return;
	SYS(pipe(ready));
	for (i = 0; i < PROCESSES; i++) {
		pids[i] = SYS(fork());
		if (!pids[i]) {
			char *p = map_shared(TABLE);

			fill(p, PAGE, PAGE, 1);
			advise(p, PAGE, MADV_REMOVE);
			SYS(write(ready[1], "", 1));
			pause();
		}
		SYS(read(ready[0], &c, 1));
		had[i] = pid_tables(pids[i]);
	}
	/* A round takes as long as it takes: its budget is not what this is about. */
	write_text(PARAMETERS "scan_budget_us", "60000000");
	write_text(SCAN, "Y");
	/* As long as there is progress: however slow the machine is. */
	alarm(900);
	for (since = now(); now() - since < 60; nap(500)) {
		for (i = left = 0; i < PROCESSES; i++)
			left += pid_tables(pids[i]) >= had[i];
		if (!left)
			break;
		if (left < last)
			since = now();
		last = left;
	}
	write_text(SCAN, "N");
	write_text(PARAMETERS "scan_budget_us", "10000");
	CHECK(!left, "%d of %d processes were not found", left, PROCESSES);
}

/* More tables freed and filled again than there are words to remember them by:
 * whatever is forgotten of others, or held against them, theirs are freed. */
static void overwrite_memory(void *arg)
{
	char *p = map_at(fresh_bare(8192 * TABLE, GIB), 8192 * TABLE,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1);
	size_t i;

	(void)arg;
	for (i = 0; i < 8192; i++) {
		fill(p + i * TABLE, PAGE, PAGE, 1);
		advise(p + i * TABLE, PAGE, MADV_DONTNEED);
		fill(p + i * TABLE, 2 * PAGE, PAGE, 2);
		advise(p + i * TABLE, PAGE, MADV_DONTNEED);
	}
}

static void memory(void)
{
	char *p;

	if (mode != MODE_MODULE)
		return;
	in_child(overwrite_memory, NULL);
	p = map_anon(SIZE);
	mark();
	fill(p, SIZE, KIB(64), 1);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
}

/* How many mm_structs there are. */
static long mm_structs(void)
{
	char line[256];
	long n = -1;
	FILE *f = fopen("/proc/slabinfo", "r");

	CHECK(f, "/proc/slabinfo: %m");
	while (n < 0 && fgets(line, sizeof(line), f))
		sscanf(line, "mm_struct %ld", &n);
	fclose(f);
	CHECK(n >= 0, "no mm_struct in /proc/slabinfo");
	return n;
}

/* Waits until there are not many more than before; says how many are. */
static long more_than(long before)
{
	double start = now();
	long more;

	while ((more = mm_structs() - before) > 64 && now() - start < 10)
		nap(100);
	return more;
}

static void nothing(void *arg)
{
	(void)arg;
}

static void empty_one(void *arg)
{
	char *p = map_anon(TABLE);

	(void)arg;
	advise(p, PAGE, MADV_GUARD_INSTALL);
	advise(p, PAGE, MADV_GUARD_REMOVE);
}

static long in_children(void (*fn)(void *))
{
	long before = mm_structs();
	int i;

	for (i = 0; i < PROCESSES; i++)
		in_child(fn, NULL);
	return more_than(before);
}

/* Of processes that end as soon as there is something to be looked at nothing
 * stays behind. KASAN keeps it back for a while in any case. */
static void short_lived(void)
{
	long more;

	if (mode != MODE_MODULE)
		return;
	write_text(PARAMETERS "enabled", "N");
	more = in_children(nothing);
	write_text(PARAMETERS "enabled", "Y");
	if (more > 64) {
		note("this kernel keeps mm_structs back: nothing to be seen");
		return;
	}
	write_text(SCAN, "Y");
	more = in_children(empty_one);
	write_text(SCAN, "N");
	CHECK(more <= 64, "%ld mm_structs are left", more);
}

/* A process with more tables than the scanner looks at in one interval, and
 * always something new in them, does not keep others from their turn. */
static void keep_busy(void *arg)
{
	char *p = map_at(fresh_bare(4096 * TABLE, GIB), 4096 * TABLE,
			 PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS,
			 -1);
	int *ready = arg;
	size_t i;

	fill(p + TABLE - PAGE, 4096 * TABLE - TABLE, TABLE, 1);
	SYS(write(ready[1], "", 1));
	for (i = 0;; i = (i + 1) % 4096) {
		fill(p + i * TABLE, PAGE, PAGE, 1);
		advise(p + i * TABLE, PAGE, MADV_DONTNEED);
	}
}

static void budget(void)
{
	double was = patience;
	int ready[2];
	pid_t pid;
	char *p, c;

	if (mode != MODE_MODULE)
		return;
	SYS(pipe(ready));
	pid = SYS(fork());
	if (!pid) {
		pin(1);
		keep_busy(ready);
	}
	SYS(read(ready[0], &c, 1));
	p = map_shared(SIZE);
	mark();
	fill(p, SIZE, KIB(64), 1);
	advise(p, SIZE, MADV_REMOVE);
	left(NR, NR, NR);
	patience = 60;
	write_text(PARAMETERS "scan_budget_us", "100");
	background(0);
	write_text(PARAMETERS "scan_budget_us", "10000");
	patience = was;
	SYS(kill(pid, SIGKILL));
	SYS(waitpid(pid, NULL, 0));
}

const struct test_case attack_cases[] = {
	{ "attack.files", "refused: EACCES", files },
	{ "attack.undumpable", "refused: EACCES", undumpable },
	{ "attack.slots", "others' " LATER, slots },
	{ "attack.memory", "others' " FREED, memory },
	{ "attack.short_lived", "nothing of them stays", short_lived },
	{ "attack.budget", "others' " LATER, budget },
	{ }
};
