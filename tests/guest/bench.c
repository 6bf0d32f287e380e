// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions per operation, with the kernel's own reclaim and with the
 * module's, in one process on one boot; and per look at a page table, see
 * looks.c. To be run with the CPU's clock counting instructions (scripts/guest
 * --icount): there, two runs agree within 0.1 %.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <x86intrin.h>

#include "bench.h"

#define GIB	(1UL << 30)
#define ENABLED	"/sys/module/ptreclaim/parameters/enabled"
#define SCAN	"/sys/module/ptreclaim/parameters/scan"

struct op {
	const char *name;
	double limit;
	void (*run)(const struct op *op, struct sample *s, uint64_t amount);
	uint64_t amount;	/* calls, or ticks for a loop */
	size_t len;
	unsigned int batch;	/* calls in one */
};

static bool one_kernel;		/* no module: both columns are the same */
bool verbose;

static void end_batch(struct sample *s)
{
	if (s->n < BATCHES)
		s->batch[s->n++] = (double)s->ticks / s->calls;
	s->ticks = 0;
	s->calls = 0;
}

static int ascending(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

double median(struct sample *s)
{
	qsort(s->batch, s->n, sizeof(*s->batch), ascending);
	return s->n & 1 ? s->batch[s->n / 2] :
	       (s->batch[s->n / 2 - 1] + s->batch[s->n / 2]) / 2;
}

void touch(char *p, size_t len)
{
	for (size_t i = 0; i < len; i += PAGE)
		*(volatile char *)(p + i) = 1;
}

void map(char *p, size_t len)
{
	if (mmap(p, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
		 MAP_NORESERVE, -1, 0) != p)
		die("mmap of %zu bytes: %m", len);
}

void unmap(char *p, size_t len)
{
	if (munmap(p, len))
		die("munmap: %m");
}

static void give_back(char *p, size_t len)
{
	if (madvise(p, len, MADV_DONTNEED))
		die("madvise: %m");
}

/*
 * Never the same address twice, so that each table is freed as one that was
 * not freed a moment ago. A page at the end keeps the PMD table; it is the
 * only one of its kind, for each VMA more makes every fault a little longer.
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
	touch(keeper, PAGE);
	return p;
}

static void one_call(const struct op *op, struct sample *s, char *p, size_t len)
{
	uint64_t then = __rdtsc();

	give_back(p, len);
	s->ticks += __rdtsc() - then;
	if (++s->calls == op->batch)
		end_batch(s);
}

/* Only the call is timed; the table is full again before the next one. */
static void part_of_full(const struct op *op, struct sample *s, uint64_t calls)
{
	char *p = fresh(TABLE);

	map(p, TABLE);
	touch(p, TABLE);
	for (uint64_t i = 0; i < calls; i++) {
		char *at = p + i * 37 % (TABLE / op->len) * op->len;

		one_call(op, s, at, op->len);
		touch(at, op->len);
	}
	unmap(p, TABLE);
}

/* A table after the other, each with `len` bytes of pages, given back whole. */
static void whole(const struct op *op, struct sample *s, uint64_t calls)
{
	for (uint64_t done = 0; done < calls;) {
		size_t n = calls - done < 500 ? calls - done : 500;
		char *p = fresh(n * TABLE);

		map(p, n * TABLE);
		for (size_t i = 0; i < n; i++) {
			touch(p + i * TABLE, op->len);
			one_call(op, s, p + i * TABLE, TABLE);
		}
		unmap(p, n * TABLE);
		done += n;
	}
}

/*
 * Loops are timed as a whole, the module's work now and then with them: each
 * batch is longer than the interval in which a table is freed at most once.
 */
#define LOOP_BATCH	110000000UL

static void loop(struct sample *s, uint64_t ticks,
		 void (*body)(char *p, size_t len), char *p, size_t len)
{
	uint64_t begin = __rdtsc(), then = begin, now;

	do {
		body(p, len);
		s->calls++;
		now = __rdtsc();
		if (now - then >= LOOP_BATCH) {
			s->ticks = now - then;
			end_batch(s);
			then = now;
		}
	} while (now - begin < ticks);
}

static void touch_and_give_back(char *p, size_t len)
{
	touch(p, len);
	give_back(p, len);
}

static void map_and_unmap(char *p, size_t len)
{
	map(p, len);
	touch(p, len);
	unmap(p, len);
}

static void cycle(const struct op *op, struct sample *s, uint64_t ticks)
{
	char *p = fresh(TABLE);

	map(p, TABLE);
	loop(s, ticks, touch_and_give_back, p, op->len);
	unmap(p, TABLE);
}

static void map_cycle(const struct op *op, struct sample *s, uint64_t ticks)
{
	loop(s, ticks, map_and_unmap, fresh(TABLE), op->len);
}

/* The table meets a VMA that has nothing in it, so munmap() leaves it. */
static void map_cycle_beside(const struct op *op, struct sample *s,
			     uint64_t ticks)
{
	char *p = fresh(TABLE);

	if (mmap(p + TABLE / 2, PAGE, PROT_NONE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0) == MAP_FAILED)
		die("mmap: %m");
	loop(s, ticks, map_and_unmap, p, op->len);
	unmap(p + TABLE / 2, PAGE);
}

#define LOOP	1250000000UL	/* more than a second of the guest's time */

static const struct op ops[] = {
	{ "DONTNEED 4 KiB of a full table", 1.02, part_of_full, 8000, PAGE, 10 },
	{ "DONTNEED 64 KiB of a full table", 1.02, part_of_full, 1500,
	  KIB(64), 5 },
	{ "DONTNEED 2 MiB, full", 1.02, whole, 60, TABLE, 1 },
	{ "DONTNEED 2 MiB with one page", 1.05, whole, 4000, PAGE, 10 },
	{ "touch + DONTNEED 1 page, cycle", 1.02, cycle, LOOP, PAGE, 0 },
	{ "touch + DONTNEED 16 pages, cycle", 1.02, cycle, LOOP, KIB(64), 0 },
	{ "touch + DONTNEED 256 pages, cycle", 1.02, cycle, LOOP, KIB(1024),
	  0 },
	{ "mmap + touch + munmap 64 KiB, cycle", 1.02, map_cycle, LOOP,
	  KIB(64), 0 },
	{ "the same beside an unused VMA", 1.02, map_cycle_beside, LOOP,
	  KIB(64), 0 },
};

#define OPS	(sizeof(ops) / sizeof(ops[0]))

static void use_module(bool module)
{
	int fd;

	if (one_kernel)
		return;
	fd = open(ENABLED, O_WRONLY);
	if (fd < 0 || write(fd, module ? "Y" : "N", 1) != 1)
		die("%s: %m", ENABLED);
	close(fd);
}

/* An instruction must be a tick, or the figures mean nothing. */
static void check_clock(void)
{
	uint64_t n = 1000000, then = __rdtsc(), ticks;

	asm volatile("1: dec %0; jnz 1b" : "+r"(n));
	ticks = __rdtsc() - then;
	if (ticks < 2000000 || ticks > 2100000)
		die("2000000 instructions took %lu ticks: not under --icount",
		    ticks);
}

static double percent_apart(double a, double b)
{
	return 100 * (a > b ? a - b : b - a) / a;
}

/* Returns whether the limit was kept. */
static bool measure(const struct op *op, unsigned int percent)
{
	static const bool order[] = { false, true, true, false };
	static struct sample s;
	double phase[4], mean[2] = { 0, 0 }, ratio, noise;
	uint64_t amount = op->amount * percent / 100;
	unsigned int i;
	bool ok;

	for (i = 0; i < 4; i++) {
		use_module(order[i]);
		memset(&s, 0, sizeof(s));
		op->run(op, &s, amount / 10 + 1);
		memset(&s, 0, sizeof(s));
		op->run(op, &s, amount);
		phase[i] = median(&s);
		if (verbose)
			printf("# %s: %zu batches, %.0f to %.0f, median %.0f\n",
			       order[i] ? "module" : "builtin", s.n, s.batch[0],
			       s.batch[s.n - 1], phase[i]);
		mean[order[i]] += phase[i] / 2;
	}
	ratio = mean[1] / mean[0];
	noise = percent_apart(phase[0], phase[3]);
	if (noise < percent_apart(phase[1], phase[2]))
		noise = percent_apart(phase[1], phase[2]);
	ok = ratio <= op->limit;
	printf("%-36s %10.0f %10.0f %8.4f %6.2f %7.2f%s\n", op->name, mean[0],
	       mean[1], ratio, op->limit, noise, ok ? "" : "  TOO MUCH");
	fflush(stdout);
	return ok;
}

/* Whether it scanned in the background; it must not while we count. */
static char scanned;

static void set_scan(char yes)
{
	int fd = open(SCAN, O_WRONLY);

	if (fd < 0 || write(fd, &yes, 1) != 1)
		fprintf(stderr, "bench: %s: %m\n", SCAN);
	close(fd);
}

static void restore_scan(void)
{
	set_scan(scanned);
}

static void stop_scan(void)
{
	int fd = open(SCAN, O_RDONLY);

	if (fd < 0 || read(fd, &scanned, 1) != 1)
		die("%s: %m", SCAN);
	close(fd);
	atexit(restore_scan);
	set_scan('N');
}

int main(int argc, char **argv)
{
	unsigned int percent = 100;
	bool any_clock = false, ok = true;
	const char *only = "";
	size_t i;

	for (int k = 1; k < argc; k++) {
		if (!strcmp(argv[k], "--one-kernel"))
			one_kernel = true;
		else if (!strcmp(argv[k], "--any-clock"))
			any_clock = true;
		else if (!strcmp(argv[k], "--verbose"))
			verbose = true;
		else if (!strcmp(argv[k], "--percent") && k + 1 < argc)
			percent = atoi(argv[++k]);
		else if (!strcmp(argv[k], "--only") && k + 1 < argc)
			only = argv[++k];
		else
			die("usage: bench [--percent N] [--only TEXT] "
			    "[--one-kernel] [--any-clock] [--verbose]");
	}
	if (!any_clock)
		check_clock();
	prctl(PR_SET_THP_DISABLE, 1, 0, 0, 0);
	if (!one_kernel)
		stop_scan();
	printf("%-36s %10s %10s %8s %6s %7s\n", "instructions per call or cycle",
	       "builtin", "module", "ratio", "limit", "noise %");
	for (i = 0; i < OPS; i++)
		if (strstr(ops[i].name, only))
			ok &= measure(&ops[i], percent);
	use_module(true);
	if (!one_kernel)
		ok &= looks(only);
	return !ok;
}
