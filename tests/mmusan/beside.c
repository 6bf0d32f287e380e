// SPDX-License-Identifier: GPL-2.0
/*
 * beside SECONDS huge|small: a zap, a fault and a reader in one table at the same time.
 *
 * One thread zaps some tables, the first of which is empty long before the flush at the end.
 * Meanwhile another writes to a page of that table, which was not there: it brings a huge page, or
 * another table. The third reads what was there, and never enters the kernel: what its TLB
 * has, it uses. It may read the old page for as long as nothing else is in the pmd; only mmusan
 * sees whether it did.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define PAGE	4096UL
#define TABLE	(2UL << 20)
#define TABLES	8UL
/* Which page of the table is read, and which is written to later. */
#define READ	(5 * PAGE)
#define WRITTEN	(300 * PAGE)

static char *area;
static bool huge;
/* Grow with each round: zapping has begun, is over; the writer has written. */
static _Atomic unsigned long begun, over, written;
static _Atomic bool stop;
static _Atomic uint64_t zap_took;
static uint64_t sum;

static void die(const char *what)
{
	perror(what);
	exit(1);
}

static void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

static double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

static void *read_on(void *arg)
{
	(void)arg;
	pin(1);
	while (!stop)
		sum += *(volatile uint64_t *)(area + READ);
	return NULL;
}

/* Some time after the zap began, another each time; never longer than it took before. */
static void *write_once(void *arg)
{
	unsigned long round = 0;
	uint64_t start, wait;

	(void)arg;
	pin(2);
	while (!stop) {
		while (begun == round && !stop)
			;
		round = begun;
		start = __builtin_ia32_rdtsc();
		wait = zap_took * (round % 8) / 8;
		while (__builtin_ia32_rdtsc() - start < wait && over != round)
			;
		*(volatile uint64_t *)(area + WRITTEN) = round;
		written = round;
	}
	return NULL;
}

static void advise(char *addr, size_t len, int advice)
{
	if (madvise(addr, len, advice))
		die("madvise");
}

static void one_round(unsigned long round)
{
	uint64_t start;
	size_t i;

	/* Small pages, and then a huge one may come. */
	advise(area, TABLES * TABLE, MADV_NOHUGEPAGE);
	for (i = 0; i < TABLES * TABLE; i += PAGE)
		if (i >= TABLE || i == READ)
			*(volatile uint64_t *)(area + i) = round;
	if (huge)
		advise(area, TABLES * TABLE, MADV_HUGEPAGE);
	usleep(500);
	start = __builtin_ia32_rdtsc();
	begun = round;
	advise(area, TABLES * TABLE, MADV_DONTNEED);
	zap_took = __builtin_ia32_rdtsc() - start;
	over = round;
	while (written != round)
		sched_yield();
	usleep(500);
	advise(area, TABLES * TABLE, MADV_DONTNEED);
}

int main(int argc, char **argv)
{
	double end = now() + (argc > 1 ? atof(argv[1]) : 5);
	pthread_t reader, writer;
	unsigned long round = 0;

	huge = argc < 3 || !strcmp(argv[2], "huge");
	area = mmap((void *)(1UL << 44), TABLES * TABLE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (area == MAP_FAILED)
		die("mmap");
	pin(0);
	if (pthread_create(&reader, NULL, read_on, NULL) ||
	    pthread_create(&writer, NULL, write_once, NULL))
		die("pthread_create");
	while (now() < end)
		one_round(++round);
	stop = true;
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
	printf("# %lu rounds\n", round);
	return 0;
}
