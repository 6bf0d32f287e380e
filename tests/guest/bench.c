// SPDX-License-Identifier: GPL-2.0
/*
 * Instructions per operation, with the kernel's own reclaim and with the
 * module's, in one process on one boot; and per page table that is looked at on
 * request, as the background looks too. To be run with the CPU's clock counting
 * instructions (scripts/guest --icount): there, two runs agree within 0.1 %.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/ptreclaim.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <unistd.h>
#include <x86intrin.h>

#define PAGE	4096UL
#define KIB(n)	((n) * 1024UL)
#define TABLE	KIB(2048)
#define GIB	(1UL << 30)
#define ENABLED	"/sys/module/ptreclaim/parameters/enabled"
#define SCAN	"/sys/module/ptreclaim/parameters/scan"
#define DEVICE	"/dev/ptreclaim"

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif

#define die(...)							\
	do {								\
		fprintf(stderr, "bench: " __VA_ARGS__);			\
		fputc('\n', stderr);					\
		exit(2);						\
	} while (0)

/*
 * One phase: ticks per call or cycle in each of many batches. What counts is
 * the median batch, which has no interrupt's work in it.
 */
#define BATCHES	4096

struct sample {
	double batch[BATCHES];
	size_t n;
	/* the batch under way */
	uint64_t ticks, calls;
};

struct op {
	const char *name;
	double limit;
	void (*run)(const struct op *op, struct sample *s, uint64_t amount);
	uint64_t amount;	/* calls, or ticks for a loop */
	size_t len;
	unsigned int batch;	/* calls in one */
};

static bool one_kernel;		/* no module: both columns are the same */
static bool verbose;

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

static double median(struct sample *s)
{
	qsort(s->batch, s->n, sizeof(*s->batch), ascending);
	return s->n & 1 ? s->batch[s->n / 2] :
	       (s->batch[s->n / 2 - 1] + s->batch[s->n / 2]) / 2;
}

static void touch(char *p, size_t len)
{
	for (size_t i = 0; i < len; i += PAGE)
		*(volatile char *)(p + i) = 1;
}

static void map(char *p, size_t len)
{
	if (mmap(p, len, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED_NOREPLACE |
		 MAP_NORESERVE, -1, 0) != p)
		die("mmap of %zu bytes: %m", len);
}

static void unmap(char *p, size_t len)
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
static char *fresh(size_t len)
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

/* Tables of one kind, in a range that has no others. */
struct kind {
	const char *name;
	double aim;		/* for a look; 0 is none */
	void (*make)(char *p, size_t n);
	bool empty;
};

static void each_table(char *p, size_t n, size_t offset, int advice)
{
	for (size_t i = 0; i < n; i++, p += TABLE) {
		if (!advice)
			touch(p + offset, PAGE);
		else if (madvise(p + offset, PAGE, advice))
			die("madvise(%d): %m", advice);
	}
}

/* Guard pages come and go without a zap that could free the table. */
static void make_empty(char *p, size_t n)
{
	map(p, n * TABLE);
	each_table(p, n, 0, MADV_GUARD_INSTALL);
	each_table(p, n, 0, MADV_GUARD_REMOVE);
}

/* The same 512 pages in all of them. */
static void make_full(char *p, size_t n)
{
	int fd = memfd_create("bench", 0);

	if (fd < 0 || ftruncate(fd, TABLE))
		die("memfd: %m");
	for (size_t i = 0; i < n; i++, p += TABLE)
		if (mmap(p, TABLE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE | MAP_FIXED_NOREPLACE, fd,
			 0) != p)
			die("mmap: %m");
	close(fd);
}

static void make_first(char *p, size_t n)
{
	map(p, n * TABLE);
	each_table(p, n, 0, 0);
}

static void make_middle(char *p, size_t n)
{
	map(p, n * TABLE);
	each_table(p, n, TABLE / 2, 0);
}

static void make_last(char *p, size_t n)
{
	map(p, n * TABLE);
	each_table(p, n, TABLE - PAGE, 0);
}

#define LOOK_FULL	60
#define LOOK_EMPTY	1300

static const struct kind kinds[] = {
	{ "full", LOOK_FULL, make_full, false },
	{ "one page, the first", LOOK_FULL, make_first, false },
	{ "one page, in the middle", 0, make_middle, false },
	{ "one page, the last", 0, make_last, false },
	{ "empty", LOOK_EMPTY, make_empty, true },
};

#define KINDS	(sizeof(kinds) / sizeof(kinds[0]))

/* Ticks of one request for the range, which has n tables of this kind. */
static uint64_t request(int fd, const struct kind *kind, char *p, size_t len,
			size_t n, bool dry)
{
	struct ptreclaim_request r = {
		.size = sizeof(r),
		.flags = dry ? PTRECLAIM_DRY_RUN : 0,
		.pidfd = PTRECLAIM_SELF,
		.start = (uintptr_t)p,
		.len = len,
	};
	size_t empty = kind->empty ? n : 0;
	uint64_t then = __rdtsc(), ticks;
	int ret = ioctl(fd, PTRECLAIM_IOC_RECLAIM, &r);

	ticks = __rdtsc() - then;
	if (ret)
		die("%s: %m", DEVICE);
	if (r.tables != n || r.empty != empty || r.freed != (dry ? 0 : empty))
		die("%s: of %zu tables, %zu of them empty, it says that it "
		    "found %llu, %llu empty, and freed %llu", kind->name,
		    n, empty, r.tables, r.empty, r.freed);
	return ticks;
}

#define ROUNDS		15
#define SOME		500UL	/* in one PMD table, with room for a hole */
#define MANY		25600UL

/* Returns whether the aim was met. */
static bool look_at_some(int fd, const struct kind *kind)
{
	static struct sample hole, look, real;
	struct sample *all[] = { &hole, &look, &real };
	double per_look, per_free;
	bool ok;

	for (size_t i = 0; i < 3; i++)
		all[i]->n = 0;
	for (int i = 0; i < ROUNDS; i++) {
		size_t len = SOME * TABLE;
		char *p = fresh(len);

		kind->make(p, SOME);
		hole.batch[hole.n++] = request(fd, kind, p + len, PAGE, 0, true);
		look.batch[look.n++] = request(fd, kind, p, len, SOME, true);
		real.batch[real.n++] = request(fd, kind, p, len, SOME, false);
		unmap(p, len);
	}
	per_look = (median(&look) - median(&hole)) / SOME;
	per_free = (median(&real) - median(&look)) / SOME;
	if (verbose)
		printf("# a request for no table: %.0f\n", median(&hole));
	ok = !kind->aim || per_look < kind->aim;
	printf("%-36s %10.1f ", kind->name, per_look);
	if (kind->aim)
		printf("%10.0f", kind->aim);
	else
		printf("%10s", "-");
	printf(" %13.1f%s\n", per_free, ok ? "" : "  TOO MUCH");
	fflush(stdout);
	return ok;
}

static void look_at_many(int fd, const struct kind *kind)
{
	size_t len = MANY * TABLE;
	char *p = fresh(len);
	uint64_t look, real;

	kind->make(p, MANY);
	look = request(fd, kind, p, len, MANY, true);
	real = request(fd, kind, p, len, MANY, false);
	printf("all %lu: %-26s %10lu %10s %13lu\n", MANY, kind->name, look, "-",
	       real - look);
	fflush(stdout);
	unmap(p, len);
}

/* Returns whether all aims were met. */
static bool looks(const char *only)
{
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);
	bool ok = true;
	size_t i;

	if (fd < 0) {
		printf("FAILED: what a look at a page table costs: %s: %m\n",
		       DEVICE);
		return false;
	}
	printf("\n%-36s %10s %10s %13s\n", "instructions per page table",
	       "one look", "aim below", "lock and free");
	for (i = 0; i < KINDS; i++)
		if (strstr("look", only) || strstr(kinds[i].name, only))
			ok &= look_at_some(fd, &kinds[i]);
	/* What the full ones cost too, and these need less memory. */
	if (strstr("look", only)) {
		look_at_many(fd, &kinds[1]);
		look_at_many(fd, &kinds[KINDS - 1]);
	}
	close(fd);
	return ok;
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
