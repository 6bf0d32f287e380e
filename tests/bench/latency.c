// SPDX-License-Identifier: GPL-2.0
/*
 * How long each madvise(MADV_DONTNEED) takes by itself, in ticks of the TSC. Under -icount with
 * shift=0 that is the instructions which the machine executes meanwhile: the program's, the
 * kernel's, and those of any interrupt or other task that comes between.
 *
 * Of each pattern one line, "latency NAME calls N sum TICKS PERCENT:TICKS...": so many percent of
 * the calls took no longer than that.
 */
#define _GNU_SOURCE
#include <sys/mman.h>

#include "bench.h"

/* Of random patterns; more than a program's TLB or a list of free pages would remember. */
#define TABLES	64UL
#define MOST	20000UL

static uint32_t took[MOST];
static unsigned long calls;
static uint64_t reading;	/* what it takes to look at the clock */

static uint64_t ticks(void)
{
	return __builtin_ia32_rdtsc();
}

/* A machine whose clock does not count instructions has nothing to say here. */
static void check_clock(void)
{
	unsigned long rounds = 10000, n;
	uint64_t begin = ticks();

	reading = ticks() - begin;
	begin = ticks();
	n = rounds;
	/* Two instructions a round. A timer's interrupt may come, and takes some thousands. */
	asm volatile("1: dec %0; jnz 1b" : "+r" (n));
	n = ticks() - begin - reading;
	if (reading > 10 || n < 2 * rounds || n > 4 * rounds)
		die("a tick is no instruction: %lu for %lu; with scripts/guest --icount it is",
		    n, 2 * rounds);
}

static uint64_t random_number(void)
{
	static uint64_t dice = 1;

	dice = dice * 6364136223846793005 + 1442695040888963407;
	return dice >> 33;
}

/*
 * A timer's interrupts are due at fixed times. If each round took as long as the last, they would
 * come to none of the calls, or to many; so rounds differ by about what a call takes.
 */
static void pause_a_while(size_t len)
{
	unsigned long n = 1 + random_number() % (2 * PAGE + len / 4);

	asm volatile("1: dec %0; jnz 1b" : "+r" (n));
}

static void timed(char *p, size_t len)
{
	uint64_t begin;

	pause_a_while(len);
	begin = ticks();
	advise(p, len, MADV_DONTNEED);
	took[calls++] = ticks() - begin - reading;
}

static int by_size(const void *a, const void *b)
{
	uint32_t x = *(const uint32_t *)a, y = *(const uint32_t *)b;

	return (x > y) - (x < y);
}

static void print(const char *name)
{
	static const double percents[] = {
		0, 1, 2, 5, 10, 20, 30, 40, 50, 60, 70, 80, 85, 90, 92, 94, 95, 96, 97, 98, 98.5,
		99, 99.5, 99.8, 99.9, 99.95, 100,
	};
	unsigned long sum = 0;

	qsort(took, calls, sizeof(*took), by_size);
	for (unsigned long i = 0; i < calls; i++)
		sum += took[i];
	printf("latency %s calls %lu sum %lu", name, calls, sum);
	for (size_t i = 0; i < sizeof(percents) / sizeof(*percents); i++) {
		/* In hundredths of a percent, so that no rounding decides. */
		unsigned long share = percents[i] * 100 + 0.5;
		unsigned long rank = (share * calls + 9999) / 10000;

		printf(" %g:%u", percents[i], took[rank ? rank - 1 : 0]);
	}
	putchar('\n');
}

static void report(const struct row *row)
{
	if (is_counting())
		print(row->name + sizeof("latency.") - 1);
}

static void start(unsigned long times)
{
	if (times > MOST)
		die("more calls than there is room for: %lu", times);
	calls = 0;
	check_clock();
}

/* Pages of a full table; each is there again before the next goes. */
static void full(const struct row *row, unsigned long times)
{
	char *p = fresh(TABLE);

	start(times);
	map(p, TABLE);
	populate(p, TABLE);
	for (unsigned long i = 0; i < times; i++) {
		char *at = p + i * 37 % (TABLE / row->len) * row->len;

		timed(at, row->len);
		touch(at, row->len, PAGE);
	}
	unmap(p, TABLE);
	report(row);
}

/* Full tables, a piece after the other: the last one of each leaves it empty. */
static void emptying(const struct row *row, unsigned long times)
{
	unsigned long pieces = TABLE / row->len, tables = (times + pieces - 1) / pieces;
	char *p = fresh(tables * TABLE);

	start(tables * pieces);
	map(p, tables * TABLE);
	for (unsigned long i = 0; i < tables; i++) {
		populate(p + i * TABLE, TABLE);
		for (size_t at = 0; at < TABLE; at += row->len)
			timed(p + i * TABLE + at, row->len);
	}
	unmap(p, tables * TABLE);
	report(row);
}

/*
 * A page each STEP may be there or not, and changes that at a random moment: half of them are
 * there at any time. With few of them in a table all are gone now and then.
 */
static void at_random(const struct row *row, unsigned long times)
{
	static bool there[TABLES * TABLE / PAGE];
	unsigned long places = TABLES * TABLE / row->step;
	char *p = fresh(TABLES * TABLE);

	start(times);
	map(p, TABLES * TABLE);
	for (unsigned long i = 0; i < places; i++) {
		there[i] = i & 1;
		if (there[i])
			touch(p + i * row->step, PAGE, PAGE);
	}
	while (calls < times) {
		unsigned long i = random_number() % places;

		if (there[i])
			timed(p + i * row->step, row->len);
		else
			touch(p + i * row->step, PAGE, PAGE);
		there[i] = !there[i];
	}
	unmap(p, TABLES * TABLE);
	report(row);
}

const struct row latency_rows[] = {
	{ "latency.4k.full", NOTHING, full, 10000, .len = PAGE },
	{ "latency.64k.full", NOTHING, full, 2000, .len = KIB(64) },
	{ "latency.64k.emptying", FREES, emptying, 2048, .len = KIB(64) },
	{ "latency.2m.emptying", FREES, emptying, 100, .len = TABLE },
	{ "latency.4k.half_empty", NOTHING, at_random, 10000, .len = PAGE, .step = PAGE },
	{ "latency.4k.few_left", FREES, at_random, 10000, .len = PAGE, .step = TABLE / 4 },
	{ }
};
