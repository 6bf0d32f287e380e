// SPDX-License-Identifier: GPL-2.0
/*
 * What the rows of the bench have in common. To be run under tools/insncount
 * (scripts/guest --count): the counts are in its output, by the numbers that this
 * program says the rows have.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <sched.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"

#define COUNTERS	"/sys/kernel/debug/ptreclaim/counters"
#define SCAN	"/sys/module/ptreclaim/parameters/scan"

static const struct row *const themes[] = {
	zap_rows, map_rows, process_rows, loop_rows, adverse_rows, reclaim_rows, growth_rows,
	latency_rows,
};

#define THEMES	(sizeof(themes) / sizeof(*themes))

static unsigned int number;	/* of the row; 0 is none, and nothing is counted */
static unsigned long units;

static void mark(unsigned long n)
{
	asm volatile("mov %0, %%r14; xchg %%r15, %%r15" : : "r" (n) : "r14", "memory");
}

void begin(void)
{
	if (number)
		mark(number);
}

void end(unsigned long n)
{
	if (number)
		mark(0);
	units += n;
}

bool is_counting(void)
{
	return number;
}

/*
 * Never the same address twice, so that each table is freed as one that was not
 * freed a moment ago. A page at the end keeps the PMD table.
 */
char *fresh(size_t len)
{
	static uintptr_t next = 1UL << 44;
	static char *keeper;
	size_t span = (len + TABLE + GIB - 1) & ~(GIB - 1);
	char *p = (char *)next;

	if (keeper)
		unmap(keeper, PAGE);
	next += span;
	keeper = p + span - PAGE;
	map(keeper, PAGE);
	touch(keeper, PAGE, PAGE);
	return p;
}

void map(char *p, size_t len)
{
	if (mmap(p, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE | MAP_NORESERVE, -1, 0) != p)
		die("mmap of %zu bytes: %m", len);
}

void unmap(char *p, size_t len)
{
	SYS(munmap(p, len));
}

void touch(char *p, size_t len, size_t step)
{
	for (size_t i = 0; i < len; i += step)
		*(volatile char *)(p + i) = 1;
}

void populate(char *p, size_t len)
{
	advise(p, len, MADV_POPULATE_WRITE);
}

void advise(char *p, size_t len, int advice)
{
	if (madvise(p, len, advice))
		die("madvise(%d): %m", advice);
}

int memfd(size_t len)
{
	int fd = SYS(memfd_create("bench", 0));

	SYS(ftruncate(fd, len));
	return fd;
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	SYS(sched_setaffinity(0, sizeof(set), &set));
}

void make_empty(char *p, unsigned long tables)
{
	map(p, tables * TABLE);
	for (unsigned long i = 0; i < tables; i++) {
		advise(p + i * TABLE, PAGE, MADV_GUARD_INSTALL);
		advise(p + i * TABLE, PAGE, MADV_GUARD_REMOVE);
	}
}

/* How many tables the module has freed; 0 without it. */
static long freed(void)
{
	char line[128];
	long n = 0, value;
	FILE *f = fopen(COUNTERS, "r");

	while (f && fgets(line, sizeof(line), f))
		if (sscanf(line, "freed %ld", &value) == 1 ||
		    sscanf(line, "scan_freed %ld", &value) == 1)
			n += value;
	if (f)
		fclose(f);
	return n;
}

void scan(bool on)
{
	int fd = SYS(open(SCAN, O_WRONLY));

	SYS(write(fd, on ? "Y" : "N", 1));
	close(fd);
}

/*
 * Nobody scans meanwhile; but the processes of the rows before have to be forgotten, or one of
 * them has the slot that the next row's is looked for first.
 */
static void forget_the_dead(void)
{
	struct timespec interval = { .tv_nsec = 250000000 };

	scan(true);
	nanosleep(&interval, NULL);
	scan(false);
}

static void run(const struct row *row, unsigned int nth, unsigned int percent)
{
	unsigned long times = row->times * percent / 100 ?: 1;
	const char *unit = row->unit ?: "call";
	pid_t pid;
	int status;

	fflush(stdout);
	pid = SYS(fork());
	if (!pid) {
		long before;

		/* What the kernel does only the first time is no part of the cost. */
		if (times >= 10)
			row->run(row, times / 10);
		units = 0;
		number = nth;
		before = freed();
		row->run(row, times);
		/* Who has no marks has printed what there is to say. */
		if (units)
			printf("row %u %s %s %lu %s freed %ld\n", nth, row->name,
			       row->gain == FREES ? "frees" : "nothing", units, unit,
			       freed() - before);
		fflush(stdout);
		_exit(0);
	}
	SYS(waitpid(pid, &status, 0));
	if (status)
		die("%s: ended with %#x", row->name, status);
}

/* Loaded, and not switched off. */
static bool module_is_on(void)
{
	FILE *f = fopen("/sys/module/ptreclaim/parameters/enabled", "r");
	int c = f ? fgetc(f) : 'N';

	if (f)
		fclose(f);
	return c == 'Y';
}

int main(int argc, char **argv)
{
	unsigned int percent = 100, nth = 0;
	bool list = false, module = module_is_on();
	const char *only = "*", *but = "";

	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE) &&
	    personality(ADDR_NO_RANDOMIZE) != -1)
		execv("/proc/self/exe", argv);
	for (int i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--nothing"))
			return 0;
		if (!strcmp(argv[i], "--list"))
			list = module = true;
		else if (!strcmp(argv[i], "--only") && i + 1 < argc)
			only = argv[++i];
		else if (!strcmp(argv[i], "--but") && i + 1 < argc)
			but = argv[++i];
		else if (!strcmp(argv[i], "--percent") && i + 1 < argc)
			percent = atoi(argv[++i]);
		else
			die("usage: bench [--only PATTERN] [--but PATTERN] [--percent N] [--list]");
	}
	SYS(prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0));
	/* Where a row's process has been before, flushes would have to go to. */
	pin(0);
	for (size_t i = 0; i < THEMES; i++)
		for (const struct row *row = themes[i]; row->name; row++) {
			nth++;
			if (fnmatch(only, row->name, FNM_EXTMATCH) ||
			    !fnmatch(but, row->name, FNM_EXTMATCH) ||
			    (!module && !strncmp(row->name, "module.", 7)))
				continue;
			if (list) {
				printf("%s\n", row->name);
				continue;
			}
			if (module)
				forget_the_dead();
			run(row, nth, percent);
		}
	return 0;
}
