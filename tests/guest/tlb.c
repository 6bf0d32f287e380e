// SPDX-License-Identifier: GPL-2.0
/*
 * What other CPUs have cached when a table goes, as far as programs can see it:
 * a reader that never enters the kernel must not see what was there before; and
 * how many CPUs are told, how often.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ptest.h"
#include "request.h"

#define ROUNDS	8

/* A page of each table, all of different sets of a TLB. */
#define STEP	(TABLE + PAGE)

/* Frees the tables of the range, which hold nothing but zero pages. */
static void reclaim(char *p, size_t len)
{
	if (mode == MODE_MODULE)
		ask(SELF, p, len, ZEROES);
	else
		advise(p, len, MADV_DONTNEED);
}

/* So many times this CPU was told to flush its TLB: its column of the line. */
static long told(int cpu)
{
	char line[512], *p = line;
	FILE *f = fopen("/proc/interrupts", "r");
	long n = -1;

	CHECK(f, "/proc/interrupts: %m");
	while (n < 0 && fgets(line, sizeof(line), f)) {
		p = strstr(line, "TLB:");
		if (!p)
			continue;
		p += 4;
		do
			n = strtol(p, &p, 10);
		while (cpu--);
	}
	fclose(f);
	CHECK(n >= 0, "no TLB line in /proc/interrupts");
	return n;
}

/* What the reader is at. */
static struct {
	char *volatile range;
	_Atomic int asked, answered;
	_Atomic uint64_t floor;		/* less than that is old */
	_Atomic bool stop, missed;
} reader;

/* Reads all tables each time it is asked, and keeps in user space in between. */
static void *read_when_asked(void *arg)
{
	size_t i;

	(void)arg;
	pin(1);
	while (!reader.stop) {
		if (reader.answered == reader.asked)
			continue;
		for (i = 0; i < SIZE; i += STEP)
			if (*(volatile uint64_t *)(reader.range + i) <
			    reader.floor)
				reader.missed = true;
		reader.answered = reader.asked;
	}
	return NULL;
}

static void let_it_read(uint64_t floor)
{
	reader.floor = floor;
	reader.asked++;
	while (reader.answered != reader.asked)
		sched_yield();
}

static void with_reader(void *(*fn)(void *), void (*body)(void))
{
	pthread_t thread;

	reader.stop = false;
	CHECK(!pthread_create(&thread, NULL, fn, NULL), "no thread");
	body();
	reader.stop = true;
	pthread_join(thread, NULL);
}

/* Once a table of zero pages is freed, what is written is what others read. */
static void write_after(void)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		reader.range = map_anon(SIZE);
		mark();
		let_it_read(0);
		left(NR, NR, NR);
		reclaim(reader.range, SIZE);
		left(NR, 0, 0);
		fill(reader.range, SIZE, STEP, i);
		let_it_read(1);
		CHECK(!reader.missed, "another CPU reads the old page");
	}
}

static void zero_pages(void)
{
	with_reader(read_when_asked, write_after);
}

static char *raced;
static _Atomic uint64_t written;

/* Whatever was written when it began to read is there. */
static void *read_on(void *arg)
{
	uint64_t floor;

	(void)arg;
	pin(1);
	while (!reader.stop) {
		floor = written;
		if (*(volatile uint64_t *)raced < floor)
			reader.missed = true;
	}
	return NULL;
}

/* At some time, or as soon as the table is counted as gone. */
static void *write_meanwhile(void *arg)
{
	double start = now();

	pin(0);
	if (!arg)
		nap(20);
	else
		while (tables() > 0 && now() - start < 1)
			nap(1);
	*(volatile uint64_t *)raced = 1;
	written = 1;
	return NULL;
}

static bool when_gone;

static void reclaim_beside_writer(void)
{
	pthread_t writer;

	while (tables() < 1)
		sched_yield();
	CHECK(!pthread_create(&writer, NULL, write_meanwhile,
			      when_gone ? raced : NULL), "no thread");
	/* It may be faster, and then all is to stay as it is. */
	if (mode == MODE_MODULE)
		ask(SELF, raced, TABLE, ZEROES);
	pthread_join(writer, NULL);
	nap(20);
	CHECK(!reader.missed, "another CPU reads the old page");
	CHECK(*(volatile uint64_t *)raced == 1, "the page is lost");
}

/* Nobody can fill the pmd before all CPUs have forgotten the old table. */
static void zero_pages_beside_writer(void)
{
	int i;

	for (i = 0; i < ROUNDS; i++) {
		raced = map_anon(TABLE);
		written = 0;
		when_gone = i & 1;
		mark();
		with_reader(read_on, reclaim_beside_writer);
	}
}

static _Atomic int touched;

/* Uses its address space, and then sleeps: its CPU is in lazy TLB mode. */
static void *doze(void *arg)
{
	char *p = arg;

	pin(1);
	while (!reader.stop) {
		(*(volatile char *)p)++;
		touched = 1;
		nap(200);
	}
	return NULL;
}

/* CPUs in lazy TLB mode may walk page tables speculatively: they are told. */
static void lazy_cpu(void)
{
	char *p = map_anon(ROUNDS * TABLE), *own = map_anon(PAGE);
	pthread_t thread;
	long before, heard = 0;
	int i;

	if (mode == MODE_OFF)
		return;
	CHECK(!pthread_create(&thread, NULL, doze, own), "no thread");
	for (i = 0; i < ROUNDS; i++) {
		char *table = p + i * TABLE;

		verify_zero(table, PAGE, PAGE);
		for (touched = 0; !touched; )
			nap(5);
		nap(20);
		before = told(1);
		reclaim(table, TABLE);
		heard += told(1) > before;
	}
	reader.stop = true;
	pthread_join(thread, NULL);
	note("told %ld of %d times", heard, ROUNDS);
	CHECK(heard > ROUNDS / 2, "the sleeping CPU was told %ld of %d times",
	      heard, ROUNDS);
}

/* Tables are flushed in batches, not one by one. */
static void count_flushes(void)
{
	long before, flushes;

	reader.range = map_anon(SIZE);
	let_it_read(0);
	before = told(1);
	reclaim(reader.range, SIZE);
	flushes = told(1) - before;
	note("%ld flushes for %d tables", flushes, NR);
	CHECK(flushes < NR / 2, "%ld flushes for %d tables", flushes, NR);
}

static void batches(void)
{
	with_reader(read_when_asked, count_flushes);
}

const struct test_case tlb_cases[] = {
	{ "tlb.zero_pages", "no CPU reads the old page", zero_pages },
	{ "tlb.zero_pages_beside_writer", "no CPU reads the old page",
	  zero_pages_beside_writer },
	{ "tlb.lazy_cpu", "a sleeping CPU is told", lazy_cpu },
	{ "tlb.batches", "few flushes for many tables", batches },
	{ }
};
