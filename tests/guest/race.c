// SPDX-License-Identifier: GPL-2.0
/* Threads that fill, check and give back memory in each other's tables. */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"

#define THREADS	4
#define BLOCKS	8UL

static char *area;
static double stop_at;
static _Atomic long rounds;

struct worker {
	pthread_t thread;
	unsigned int id, rng;
};

static unsigned int pick(struct worker *w, unsigned int n)
{
	w->rng = w->rng * 1103515245 + 12345;
	return (w->rng >> 8) % n;
}

static void run_threads(void *(*fn)(void *), unsigned int n)
{
	static struct worker w[16];
	unsigned int i;

	stop_at = now() + seconds;
	rounds = 0;
	for (i = 0; i < n; i++) {
		w[i].id = i;
		w[i].rng = i * 7919 + getpid();
		CHECK(!pthread_create(&w[i].thread, NULL, fn, &w[i]),
		      "no thread");
	}
	for (i = 0; i < n; i++)
		pthread_join(w[i].thread, NULL);
	note("%ld rounds", rounds);
	CHECK(rounds > 0, "nothing was done");
}

/*
 * However it went: in the end nothing but new tables can be filled. (The
 * built-in frees no table in which VMAs meet.)
 */
static void all_freed(size_t tables, bool one_vma)
{
	size_t i;

	if (mode == MODE_OFF || mode == MODE_ANY ||
	    (mode == MODE_BUILTIN && !one_vma))
		return;
	thp(false);
	nap_refills();
	for (i = 0; i < tables; i++) {
		advise(area + i * TABLE, TABLE, MADV_DONTNEED);
		if (mode == MODE_MODULE)
			advise(area + i * TABLE, PAGE, MADV_DONTNEED);
	}
	mark();
	fill(area, tables * TABLE, TABLE, 1);
	left(tables, tables, tables);
}

/* Gives a block back whole or in pieces, and checks that it is gone. */
static void give_back(struct worker *w, char *p, size_t len)
{
	size_t piece = len >> pick(w, 6);

	if (piece < KIB(64))
		piece = KIB(64);
	advise_pieces(p, len, piece, MADV_DONTNEED);
	verify_zero(p, len, KIB(64));
}

/*
 * Each thread has every fourth block of 2 MiB, between those of others, in
 * huge pages when it likes.
 */
static void *own_blocks(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = w->id;

	for (; now() < stop_at; rounds++) {
		size_t b = pick(w, BLOCKS) * THREADS + w->id;
		char *p = area + b * TABLE;
		size_t step = pick(w, 2) ? PAGE : KIB(64);

		pin(pick(w, 2));
		advise(p, TABLE, pick(w, 2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
		seed += 16;
		fill(p, TABLE, step, seed);
		verify(p, TABLE, step, seed);
		if (pick(w, 2)) {
			/* Half of it first: the other half must stay. */
			give_back(w, p, MIB(1));
			verify(p + MIB(1), MIB(1), step, seed);
		}
		give_back(w, p, TABLE);
	}
	return NULL;
}

static void blocks(void)
{
	area = map_anon(THREADS * BLOCKS * TABLE);
	thp(true);
	khugepaged(true);
	run_threads(own_blocks, THREADS);
	all_freed(THREADS * BLOCKS, true);
}

/* Four threads in each table, a quarter each: it is empty now and then. */
static void *own_quarter(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = w->id;

	for (; now() < stop_at; rounds++) {
		char *p = area + pick(w, BLOCKS) * TABLE + w->id * KIB(512);
		size_t len = KIB(64) << pick(w, 4);

		pin(pick(w, 2));
		seed += 16;
		fill(p, len, PAGE, seed);
		verify(p, len, PAGE, seed);
		if (pick(w, 2))
			sched_yield();
		verify(p, len, PAGE, seed);
		give_back(w, p, len);
	}
	return NULL;
}

static void quarters(void)
{
	area = map_anon(BLOCKS * TABLE);
	run_threads(own_quarter, THREADS);
	all_freed(BLOCKS, true);
}

/* The same with a VMA for each quarter: no VMA lock covers the table. */
static void quarters_of_vmas(void)
{
	size_t i;

	area = map_anon(BLOCKS * TABLE);
	for (i = 0; i < BLOCKS * TABLE; i += MIB(1))
		SYS(mprotect(area + i, KIB(512),
			     PROT_READ | PROT_WRITE | PROT_EXEC));
	run_threads(own_quarter, THREADS);
	SYS(mprotect(area, BLOCKS * TABLE, PROT_READ | PROT_WRITE));
	all_freed(BLOCKS, false);
}

/* A page that is refilled at once, while its table goes and comes. */
static void *one_page(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = w->id;

	pin(w->id);
	for (; now() < stop_at; rounds++) {
		/* All in one table that would be empty but for the others. */
		char *p = area + w->id * 97 * PAGE;

		seed += 16;
		fill(p, PAGE, PAGE, seed);
		verify(p, PAGE, PAGE, seed);
		advise(p, PAGE, MADV_DONTNEED);
		verify_zero(p, PAGE, PAGE);
		advise(p, PAGE, MADV_DONTNEED);
	}
	return NULL;
}

static void pages(void)
{
	area = map_anon(TABLE);
	run_threads(one_page, THREADS);
	all_freed(1, true);
}

static pthread_barrier_t barrier;
static _Atomic int over;

/*
 * One thread has read the block, and so has it in its TLB, when the other
 * gives it back: after that it must read zeroes, also from a huge page that
 * took the table's place.
 */
static void *reader_and_giver(void *arg)
{
	struct worker *w = arg;
	bool giver = w->id;
	uint64_t seed;
	char *p;

	pin(w->id);
	for (seed = 1; ; seed++) {
		p = area + seed % BLOCKS * TABLE;
		if (giver) {
			over = now() >= stop_at;
			if (!over) {
				advise(p, TABLE, seed & 8 ? MADV_HUGEPAGE :
				       MADV_NOHUGEPAGE);
				fill(p, TABLE, KIB(64), seed);
				rounds++;
			}
		}
		pthread_barrier_wait(&barrier);
		if (over)
			break;
		verify(p, TABLE, KIB(64), seed);
		pthread_barrier_wait(&barrier);
		if (giver)
			advise_pieces(p, TABLE, seed & 1 ? TABLE : KIB(128),
				      MADV_DONTNEED);
		pthread_barrier_wait(&barrier);
		if (seed & 2) {
			verify_zero(p, TABLE, KIB(64));
		} else {
			if (giver) {
				advise(p, TABLE, MADV_HUGEPAGE);
				fill(p, TABLE, KIB(64), seed + 1000);
			}
			pthread_barrier_wait(&barrier);
			verify(p, TABLE, KIB(64), seed + 1000);
			verify_zero(p + PAGE, TABLE - PAGE, KIB(64));
		}
		pthread_barrier_wait(&barrier);
		if (giver)
			advise_pieces(p, TABLE, KIB(128), MADV_DONTNEED);
	}
	return NULL;
}

static void stale_tlb(void)
{
	area = map_anon(BLOCKS * TABLE);
	thp(true);
	khugepaged(true);
	over = 0;
	pthread_barrier_init(&barrier, NULL, 2);
	run_threads(reader_and_giver, 2);
	all_freed(BLOCKS, true);
}

/*
 * The second half of each block is unmapped and mapped again, while another
 * thread uses the first, which is in the same table.
 */
static void *churn(void *arg)
{
	struct worker *w = arg;
	uint64_t seed = w->id;

	for (; now() < stop_at; rounds++) {
		char *p = area + pick(w, BLOCKS) % (BLOCKS / 2) * 2 * TABLE;
		bool second = w->id & 1;

		/* Two pairs of threads, each with every other block. */
		p += (w->id / 2) * TABLE + second * MIB(1);
		seed += 16;
		fill(p, MIB(1), KIB(64), seed);
		verify(p, MIB(1), KIB(64), seed);
		if (!second) {
			give_back(w, p, MIB(1));
		} else if (pick(w, 2)) {
			SYS(munmap(p, MIB(1)));
			map_at(p, MIB(1), PROT_READ | PROT_WRITE,
			       MAP_PRIVATE | MAP_ANONYMOUS, -1);
		} else {
			CHECK(mmap(p, MIB(1), PROT_READ | PROT_WRITE,
				   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED,
				   -1, 0) == p, "mmap: %m");
			verify_zero(p, MIB(1), KIB(64));
			advise(p, MIB(1), MADV_DONTNEED);
		}
	}
	return NULL;
}

static void vma_churn(void)
{
	area = map_anon(BLOCKS * TABLE);
	run_threads(churn, THREADS);
	all_freed(BLOCKS, false);
}

static char *still;

static void *forks_and_quarters(void *arg)
{
	struct worker *w = arg;

	if (w->id)
		return own_quarter(arg);
	for (; now() < stop_at; rounds++) {
		pid_t pid = SYS(fork());
		int status;

		if (!pid) {
			verify(still, 8 * TABLE, KIB(64), 5);
			advise_pieces(still, 8 * TABLE, MIB(1), MADV_DONTNEED);
			advise_pieces(area, BLOCKS * TABLE, MIB(1),
				      MADV_DONTNEED);
			verify_zero(area, BLOCKS * TABLE, KIB(64));
			_exit(0);
		}
		SYS(waitpid(pid, &status, 0));
		CHECK(!status, "a child failed");
		verify(still, 8 * TABLE, KIB(64), 5);
	}
	return NULL;
}

static void forks(void)
{
	still = map_anon(8 * TABLE);
	fill(still, 8 * TABLE, KIB(64), 5);
	area = map_anon(BLOCKS * TABLE);
	run_threads(forks_and_quarters, THREADS);
	verify(still, 8 * TABLE, KIB(64), 5);
	all_freed(BLOCKS, true);
}

#define SPLIT	511UL		/* the table of each GiB that is split */

static _Atomic size_t at_table;

/*
 * One thread splits huge pages, which flushes with the PMD lock held. The other
 * empties the second half of a table under the same lock, each one once: when
 * the lock was taken, the table is looked at again, all of it.
 */
static void *splits_or_empties(void *arg)
{
	struct worker *w = arg;
	size_t tables = BLOCKS * GIB / TABLE, i;
	char *p;

	pin(w->id);
	if (w->id) {
		for (; now() < stop_at && at_table < tables; rounds++) {
			p = area + (at_table | SPLIT) * TABLE;
			*(volatile char *)p = 1;
			advise(p, PAGE, MADV_DONTNEED);
			advise(p, TABLE, MADV_DONTNEED);
		}
		return NULL;
	}
	for (i = 0; now() < stop_at && i < tables; i++) {
		p = area + i * TABLE + TABLE / 2;
		if (i % (GIB / TABLE) == SPLIT)
			continue;
		at_table = i;
		fill(p, TABLE / 2, KIB(128), i);
		advise(p, TABLE / 2, MADV_DONTNEED);
	}
	at_table = tables;
	return NULL;
}

static void pmd_lock_taken(void)
{
	size_t i;

	area = map_at(fresh_bare(BLOCKS * GIB, GIB), BLOCKS * GIB,
		      PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (i = 0; i < BLOCKS; i++) {
		char *p = area + i * GIB + SPLIT * TABLE;

		/* PMD tables stay. */
		advise(p, TABLE, MADV_HUGEPAGE);
		*(volatile char *)p = 1;
		advise(p, TABLE, MADV_DONTNEED);
	}
	counters_mark();
	thp(true);
	run_threads(splits_or_empties, 2);
	thp(false);
	grew("retried", 1);
	if (mode != MODE_MODULE)
		return;
	/* The tables of the other thread, which it may have filled again at once. */
	nap_refills();
	for (i = 0; i < BLOCKS; i++) {
		char *p = area + i * GIB + SPLIT * TABLE;

		*(volatile char *)p = 1;
		advise(p, TABLE, MADV_DONTNEED);
	}
	/* Its PMD tables and the PUD table are all there is to be unmapped. */
	mark();
	SYS(munmap(area, BLOCKS * GIB));
	left(0, 0, -(long)(BLOCKS + 1));
}

const struct test_case race_cases[] = {
	{ "race.blocks", "contents intact, all " FREED, blocks },
	{ "race.quarters", "contents intact, all " FREED, quarters },
	{ "race.quarters_of_vmas", "contents intact, all " FREED,
	  quarters_of_vmas },
	{ "race.pages", "contents intact, all " FREED, pages },
	{ "race.stale_tlb", "contents intact, all " FREED, stale_tlb },
	{ "race.vma_churn", "contents intact, all " FREED, vma_churn },
	{ "race.forks", "contents intact, all " FREED, forks },
	{ "race.pmd_lock_taken", FREED ", in the second attempt",
	  pmd_lock_taken },
	{ }
};
