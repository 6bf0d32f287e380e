/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rows of the bench. Each runs in a process of its own, at the same addresses on
 * every kernel, and says with marks what tools/insncount is to count.
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE	4096UL
#define KIB(n)	((n) * 1024UL)
#define MIB(n)	((n) * KIB(1024))
#define GIB	(1UL << 30)
#define TABLE	MIB(2)		/* what one PTE table maps */

#define die(...)							\
	do {								\
		fprintf(stderr, "bench: " __VA_ARGS__);			\
		fputc('\n', stderr);					\
		exit(2);						\
	} while (0)

#define SYS(call)							\
	({								\
		long sys_ret = (long)(call);				\
		if (sys_ret == -1)					\
			die("%s: %m", #call);				\
		sys_ret;						\
	})

/* What of a row's page tables goes. */
enum gain {
	NOTHING,		/* nothing is empty afterwards */
	FREES,			/* some are, and go */
};

struct row {
	const char *name;
	enum gain gain;
	void (*run)(const struct row *row, unsigned long times);
	unsigned long times;	/* the row's own idea of how often */
	size_t len;		/* what a call is about */
	size_t step;		/* from one page of a table to the next */
	unsigned int threads;
	const char *unit;	/* what is counted: "call" unless told */
};

/* Each theme is one file with one such list, ended by an empty entry. */
extern const struct row zap_rows[], map_rows[], process_rows[], loop_rows[], adverse_rows[],
	reclaim_rows[], growth_rows[], latency_rows[];

/* What is between them is counted, and is so many units of the row. */
void begin(void);
void end(unsigned long units);
/* Not the first time, that is for whatever the kernel does only once. */
bool is_counting(void);

/* From the start of a PMD table on, nothing has used them; never the same twice. */
char *fresh(size_t len);
void map(char *p, size_t len);
void unmap(char *p, size_t len);
/* A page each STEP. */
void touch(char *p, size_t len, size_t step);
/* All pages, by one call. */
void populate(char *p, size_t len);
void advise(char *p, size_t len, int advice);
int memfd(size_t len);
void pin(int cpu);

/* In the background, by the module. */
void scan(bool on);

/* Empty tables without a page: guard pages come and go without a zap. */
void make_empty(char *p, unsigned long tables);

#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif
#ifndef MADV_POPULATE_WRITE
#define MADV_POPULATE_WRITE	23
#endif

#endif
