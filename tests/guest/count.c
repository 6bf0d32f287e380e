// SPDX-License-Identifier: GPL-2.0
/* Whether what the counters say is what the kernel's own numbers say. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"
#include "request.h"

#define N	256
#define LEN	(N * TABLE)
/* The whole system's, in which others have tables, too. */
#define ROUGHLY	16

static char group[64];

struct books {
	long vmpte, group, system;
	long zaps, scans, zeroes, not_copied;
};

static struct books begun;

static struct books look(void)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/memory.stat", group);
	return (struct books) {
		.vmpte = pid_tables(0),
		.group = read_number(path, "pagetables") / (long)PAGE,
		.system = read_number("/proc/vmstat", "nr_page_table_pages"),
		.zaps = counter("freed"),
		.scans = counter("scan_freed"),
		.zeroes = counter("scan_freed_zero"),
		.not_copied = counter("not_copied"),
	};
}

/*
 * Since begin() so many tables were made, and so many went each way; the
 * kernel's numbers say the same. A table is VmPTE's no more when it is
 * unlinked, and counts for the others until it is freed, by RCU; the group's
 * number is up to two seconds old.
 */
static void begin(void)
{
	begun = look();
}

static void went_at(int line, long made, long zaps, long scans, long zeroes)
{
	double start = now();
	struct books b;
	long moved;

	do {
		b = look();
		moved = b.vmpte - begun.vmpte;
		if (b.zaps - begun.zaps != zaps ||
		    b.scans - begun.scans != scans ||
		    b.zeroes - begun.zeroes != zeroes)
			fail_at(__FILE__, line,
				"counted: %ld by zaps, %ld by scans, %ld of zero pages; not %ld, %ld, %ld",
				b.zaps - begun.zaps, b.scans - begun.scans,
				b.zeroes - begun.zeroes, zaps, scans, zeroes);
		if (moved != made - zaps - scans - zeroes)
			fail_at(__FILE__, line, "VmPTE moved by %ld, not %ld",
				moved, made - zaps - scans - zeroes);
		if (b.group - begun.group == moved &&
		    labs(b.system - begun.system - moved) <= ROUGHLY)
			return;
		nap(100);
	} while (now() - start < 10 * patience);
	fail_at(__FILE__, line,
		"VmPTE moved by %ld, the cgroup's number by %ld, the system's by %ld",
		moved, b.group - begun.group, b.system - begun.system);
}

#define went(made, zaps, scans, zeroes)					\
	went_at(__LINE__, made, zaps, scans, zeroes)

/* A cgroup of its own, which pays for all tables made from now on. */
static void join_group(void)
{
	char path[96], pid[16];

	snprintf(group, sizeof(group), "/sys/fs/cgroup/ptest-%d", getpid());
	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	SYS(mkdir(group, 0755));
	snprintf(path, sizeof(path), "%s/cgroup.procs", group);
	snprintf(pid, sizeof(pid), "%d", getpid());
	write_text(path, pid);
}

static void leave_group(void)
{
	char pid[16];

	snprintf(pid, sizeof(pid), "%d", getpid());
	write_text("/sys/fs/cgroup/cgroup.procs", pid);
	rmdir(group);
}

/* N tables with nothing in them. */
static char *emptied(char *p, int fd)
{
	fill(p, LEN, TABLE, 1);
	SYS(ftruncate(fd, 0));
	SYS(ftruncate(fd, LEN));
	return p;
}

static void background_takes(long n)
{
	background_keeps(tables() - n);
}

/* How many tables a child has less than this process, and were not copied. */
static long not_copied(long *counted)
{
	long *child = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0), here, less;
	long before = counter("not_copied");
	pid_t pid;

	CHECK(child != MAP_FAILED, "mmap: %m");
	*child = 0;
	here = pid_tables(0);
	pid = SYS(fork());
	if (!pid) {
		*child = pid_tables(0);
		_exit(0);
	}
	SYS(waitpid(pid, NULL, 0));
	*counted = counter("not_copied") - before;
	less = here - *child;
	SYS(munmap(child, PAGE));
	return less;
}

static void counters_add_up(void)
{
	long counted, counted_before, less, less_before;
	struct ptreclaim_request r;
	char *p, *q, *zero;
	int fd;

	if (!device_there())
		return;
	/* The upper tables are not counted in VmPTE: they are made before. */
	p = map_anon(LEN);
	zero = map_anon(LEN);
	q = fresh(LEN);
	fd = memfd(LEN);
	map_at(q, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	join_group();
	ask(SELF, NULL, 0, ZEROES);
	mark();
	background_keeps(0);
	nap(3000);

	/* By zaps. */
	begin();
	fill(p, LEN, TABLE, 1);
	went(N, 0, 0, 0);
	advise_pieces(p, LEN, MIB(1), MADV_DONTNEED);
	went(N, N, 0, 0);

	/* By the background scan. */
	begin();
	emptied(q, fd);
	went(N, 0, 0, 0);
	background_takes(N);
	went(N, 0, N, 0);
	verify_zero(zero, LEN, TABLE);
	went(2 * N, 0, N, 0);
	background_takes(N);
	went(2 * N, 0, N, N);

	/* On request. */
	begin();
	emptied(q, fd);
	verify_zero(zero, LEN, TABLE);
	r = ask(SELF, NULL, 0, DRY | ZEROES);
	went(2 * N, 0, 0, 0);
	r = ask(SELF, q, LEN, ZEROES);
	CHECK(r.freed == N, "%llu freed", r.freed);
	went(2 * N, 0, N, 0);
	r = ask(SELF, NULL, 0, ZEROES);
	CHECK(r.freed == N, "%llu freed", r.freed);
	went(2 * N, 0, N, N);

	/* With all that memory unmapped: nothing is counted twice. */
	begin();
	fill(p, LEN, TABLE, 1);
	went(N, 0, 0, 0);
	SYS(munmap(p, LEN));
	went(0, 0, 0, 0);
	map_at(p, LEN, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	begin();
	fill(p, PAGE, PAGE, 1);
	went(1, 0, 0, 0);

	/* What fork() does not copy: the child's VmPTE is less by that. */
	less_before = not_copied(&counted_before);
	/* Until the child's own are gone, and the scanner knows it no more. */
	mark();
	background_keeps(0);
	nap(3000);
	begin();
	advise(p + TABLE, LEN - TABLE, MADV_GUARD_INSTALL);
	advise(p + TABLE, LEN - TABLE, MADV_GUARD_REMOVE);
	went(N - 1, 0, 0, 0);
	less = not_copied(&counted);
	CHECK(counted - counted_before == N - 1, "%ld not copied",
	      counted - counted_before);
	CHECK(less - less_before == N - 1, "the child has %ld tables less",
	      less - less_before);
	background_takes(N - 1);
	went(N - 1, 0, N - 1, 0);
	leave_group();
}

struct line {
	int pid;
	long looked, freed, zero, back, waiting, patience;
};

/* This process' line of what the background has made of whom. */
static struct line my_line(void)
{
	FILE *f = fopen("/sys/kernel/debug/ptreclaim/processes", "r");
	struct line l, mine = {};
	char text[128] = "";

	CHECK(f && fgets(text, sizeof(text), f) && !strcmp(text,
	      "pid looked freed freed_zero refaulted waiting patience\n"),
	      "'%s' heads the list of processes", text);
	while (fgets(text, sizeof(text), f)) {
		CHECK(sscanf(text, "%d %ld %ld %ld %ld %ld %ld", &l.pid,
			     &l.looked, &l.freed, &l.zero, &l.back, &l.waiting,
			     &l.patience) == 7, "%s", text);
		if (l.pid == getpid()) {
			CHECK(!mine.pid, "two lines");
			mine = l;
		}
	}
	fclose(f);
	return mine;
}

static void processes(void)
{
	int fd = memfd(SIZE);
	char *p = map_at(fresh(SIZE), SIZE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 fd), *zeroes = map_anon(4 * TABLE);
	struct line l;
	size_t i;

	mark();
	fill(p, SIZE, TABLE, 1);
	for (i = 0; i < 4 * TABLE; i += TABLE)
		(void)*(volatile char *)(zeroes + i);
	SYS(ftruncate(fd, 0));
	background(0);
	if (mode != MODE_MODULE)
		return;
	/* The scan that has freed them is about to end. */
	nap(50);
	l = my_line();
	CHECK(l.pid && l.freed == NR + 4 && l.zero == 4 && !l.back &&
	      l.looked >= l.freed, "looked at %ld, freed %ld, %ld of them with "
	      "zero pages, %ld back", l.looked, l.freed, l.zero, l.back);
}

const struct test_case count_cases[] = {
	{ "count.processes", LATER ", and listed", processes },
	{ "device.counters_add_up", "counters, VmPTE and cgroup agree",
	  counters_add_up },
	{ }
};
