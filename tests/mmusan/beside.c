// SPDX-License-Identifier: GPL-2.0
/*
 * beside ROUNDS huge|zero|small: a zap, a fault and a reader in one table at the same time.
 *
 * One thread zaps some tables, the first of which is empty long before the flush at the end.
 * Meanwhile another writes to a page of that table, which was not there: it brings a huge page, or
 * another table. Or it reads there: the huge zero page comes faster, since nothing has to be cleared. The third reads what was there, and never enters the kernel: what its TLB
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
#include <unistd.h>

#define PAGE	4096UL
#define TABLE	(2UL << 20)
#define TABLES	8UL
/* Which page of the table is read, and which is written to later. */
#define READ	(5 * PAGE)
#define WRITTEN	(300 * PAGE)

static char *area;
static bool huge, zero;
/* Grow with each round: zapping has begun, is over; the writer has written. */
static _Atomic unsigned long begun, over, written, reads;
static _Atomic bool stop;
static _Atomic uint64_t zap_takes = -1;
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

static void *read_on(void *arg)
{
	(void)arg;
	pin(1);
	while (!stop) {
		sum += *(volatile uint64_t *)(area + READ);
		reads++;
	}
	return NULL;
}

/* Until the reader has what is there now. */
static void let_it_read(void)
{
	unsigned long before = reads;

	while (reads < before + 2)
		sched_yield();
}

/* Some time after the zap began, another each time; never longer than the shortest took. */
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
		wait = zap_takes / 8 * (round % 8);
		while (__builtin_ia32_rdtsc() - start < wait && over != round)
			;
		if (zero)
			(void)*(volatile uint64_t *)(area + WRITTEN);
		else
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
	uint64_t start, took;
	size_t i;

	/* Small pages, and then a huge one may come. */
	advise(area, TABLES * TABLE, MADV_NOHUGEPAGE);
	for (i = 0; i < TABLES * TABLE; i += PAGE)
		if (i >= TABLE || i == READ)
			*(volatile uint64_t *)(area + i) = round;
	if (huge)
		advise(area, TABLES * TABLE, MADV_HUGEPAGE);
	let_it_read();
	start = __builtin_ia32_rdtsc();
	begun = round;
	advise(area, TABLES * TABLE, MADV_DONTNEED);
	took = __builtin_ia32_rdtsc() - start;
	if (took < zap_takes)
		zap_takes = took;
	over = round;
	while (written != round)
		sched_yield();
	let_it_read();
	advise(area, TABLES * TABLE, MADV_DONTNEED);
}

int main(int argc, char **argv)
{
	unsigned long round, rounds = argc > 1 ? strtoul(argv[1], NULL, 0) : 30;
	pthread_t reader, writer;

	zero = argc > 2 && !strcmp(argv[2], "zero");
	huge = zero || argc < 3 || !strcmp(argv[2], "huge");
	area = mmap((void *)(1UL << 44), TABLES * TABLE, PROT_READ | PROT_WRITE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);
	if (area == MAP_FAILED)
		die("mmap");
	pin(0);
	if (pthread_create(&reader, NULL, read_on, NULL) ||
	    pthread_create(&writer, NULL, write_once, NULL))
		die("pthread_create");
	for (round = 1; round <= rounds; round++)
		one_round(round);
	stop = true;
	pthread_join(reader, NULL);
	pthread_join(writer, NULL);
	return 0;
}
