/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program whose threads share page tables, and nothing else: what each reads in its
 * memory, and what each call returns, must not depend on who runs when. What its number
 * determines: the operations of each thread, and the moments at which a CPU loses its turn.
 */
#ifndef SCHEDULE_H
#define SCHEDULE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE		4096UL
#define TABLE		(2UL << 20)	/* what one PTE table maps */
#define WORKERS		6
#define OPERATIONS	90		/* of each worker */

#define BLOCK_PAGES	32
#define BLOCK		(BLOCK_PAGES * PAGE)
#define TABLES		24
#define SLOTS		(TABLES * TABLE / BLOCK)
#define CONSTANT	TABLE		/* bytes of the file that nobody changes */
#define CUTS		2

/* Random numbers; the same from the same seed. */
struct rng {
	uint64_t state;
};

uint64_t next_random(struct rng *r);
unsigned int below(struct rng *r, unsigned int n);
uint64_t mix(uint64_t a, uint64_t b);

enum kind {
	ANON,		/* private and anonymous */
	PRIVATE,	/* private, of the constant file */
	SHARED,		/* shared, of the worker's own file */
	WATCHED,	/* anonymous, watched by userfaultfd */
	HUGE,		/* anonymous, huge pages wanted */
	KINDS
};

#define BLOCKS		6		/* of each worker */

/* What a page is, beside its contents. */
#define GUARD		1
#define MISSING		2		/* WATCHED: nobody has provided it */
#define PROTECTED	4		/* WATCHED: uffd-wp */
#define POISONED	8		/* WATCHED */

/* 32 pages in a row, wherever they are at the moment. */
struct block {
	char *p;
	enum kind kind;
	int id;				/* no two have the same */
	off_t offset;			/* in its file */
	uint32_t seed[BLOCK_PAGES];	/* 0: as it was when mapped */
	uint8_t is[BLOCK_PAGES];
};

struct worker {
	int nr;
	struct rng ops, pace;
	struct block blocks[BLOCKS];
	char *slots[SLOTS];		/* where its blocks can be; the free ones first */
	int nr_slots, nr_free;
	int file, uffd, sink;
	int cuts[CUTS];
	uint32_t seeds;
	int done;			/* operations */
	const char *now;
	uint64_t calls, memory;		/* digests of what all calls returned, of all contents */
	bool child;			/* after a fork */
};

/* A part of a block: pages from, to from + n - 1. */
struct part {
	struct worker *w;
	struct block *b;
	unsigned int from, n;
	char *p;
	size_t len;
};

typedef void (*op_fn)(struct part *);
struct op {
	const char *name;
	op_fn fn;
};

extern const struct op memory_ops[], file_ops[], watched_ops[], huge_ops[], constant_ops[];
extern int constant_file;
extern char *constant_map, *huge_map, *mixed_map;
extern const char *label;

/* Ends the program, and says where it was. */
__attribute__((noreturn, format(printf, 2, 3)))
void wrong(struct worker *w, const char *fmt, ...);

/* The result of a call goes into the digest; it must() not fail. */
long tried(struct worker *w, long ret);
long must_at(struct worker *w, const char *what, long ret);
#define must(w, call)	must_at(w, #call, (long)(call))

/* blocks.c: contents. */
uint64_t content(const struct block *b, unsigned int page);
uint64_t constant_word(size_t page);
volatile uint64_t *word_at(char *page_address, unsigned int page);
void fill(struct part *x, unsigned int step);
void check(struct part *x);
void zeroed(struct part *x);
bool has(struct part *x, uint8_t what);
void set(struct part *x, uint8_t what, bool on);
int probe(struct worker *w, char *p, unsigned int page, uint64_t *got);
void look_at_all(struct worker *w, bool huge);
void map_again(struct part *x);
struct part whole(struct worker *w, struct block *b);
struct part some(struct worker *w, struct block *b);
void make_blocks(struct worker *w);
void place_slots(struct worker *workers, struct rng *r);

/* uffd operations need it set up. */
void watch(struct worker *w, struct block *b);

/* pace.c: who runs when. */
void make_cuts(struct worker *w);
void before_operation(struct worker *w);
void pace_of(uint64_t number, unsigned int shift);

/* asker.c: who looks at the page tables and has them freed meanwhile. */
void ask_begin(uint64_t number);
void ask_end(void);

void one_operation(struct worker *w);

#endif
