/* SPDX-License-Identifier: GPL-2.0 */
/* What the parts of the bench share. */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#define PAGE	4096UL
#define KIB(n)	((n) * 1024UL)
#define TABLE	KIB(2048)

#define die(...)							\
	do {								\
		fprintf(stderr, "bench: " __VA_ARGS__);			\
		fputc('\n', stderr);					\
		exit(2);						\
	} while (0)

extern bool verbose;

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

double median(struct sample *s);

void touch(char *p, size_t len);
void map(char *p, size_t len);
void unmap(char *p, size_t len);
/* Addresses that nothing has used, from the start of a PMD table on. */
char *fresh(size_t len);

/* What a look costs; returns whether all aims were met. */
bool looks(const char *only);

#endif
