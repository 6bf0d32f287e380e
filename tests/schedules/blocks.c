// SPDX-License-Identifier: GPL-2.0
/* What is in the memory, and where it is. */
#define _GNU_SOURCE
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "schedule.h"

/* splitmix64 */
uint64_t mix(uint64_t a, uint64_t b)
{
	uint64_t z = a + (b + 1) * 0x9e3779b97f4a7c15;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9;
	z = (z ^ (z >> 27)) * 0x94d049bb133111eb;
	return z ^ (z >> 31);
}

uint64_t next_random(struct rng *r)
{
	r->state += 0x9e3779b97f4a7c15;
	return mix(r->state, 0);
}

unsigned int below(struct rng *r, unsigned int n)
{
	return (next_random(r) >> 16) % n;
}

uint64_t constant_word(size_t page)
{
	return mix(page, 0xc0) | 1;
}

/* Each page has one word, not always at its start; at the same place in a block and in the file. */
volatile uint64_t *word_at(char *page_address, unsigned int page)
{
	return (volatile uint64_t *)(page_address + page % BLOCK_PAGES * (PAGE / BLOCK_PAGES));
}

uint64_t content(const struct block *b, unsigned int page)
{
	if (b->seed[page])
		return mix(b->id, (uint64_t)b->seed[page] << 8 | page) | 1;
	return b->kind == PRIVATE ? constant_word(b->offset / PAGE + page) : 0;
}

struct part whole(struct worker *w, struct block *b)
{
	return (struct part){ w, b, 0, BLOCK_PAGES, b->p, BLOCK };
}

/* Often all of it, or a single page: else hardly a table would ever be empty. */
struct part some(struct worker *w, struct block *b)
{
	struct part x = whole(w, b);

	switch (below(&w->ops, 4)) {
	case 0:
	case 1:
		return x;
	case 2:
		x.n = 1;
		break;
	default:
		x.n = 1 + below(&w->ops, BLOCK_PAGES);
	}
	/* At the ends of tables is where a look can be too short. */
	if (below(&w->ops, 2))
		x.from = BLOCK_PAGES - x.n;
	else
		x.from = below(&w->ops, BLOCK_PAGES - x.n + 1);
	x.p += x.from * PAGE;
	x.len = x.n * PAGE;
	return x;
}

bool has(struct part *x, uint8_t what)
{
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i++)
		if (x->b->is[i] & what)
			return true;
	return false;
}

void set(struct part *x, uint8_t what, bool on)
{
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i++)
		x->b->is[i] = on ? x->b->is[i] | what : x->b->is[i] & ~what;
}

void zeroed(struct part *x)
{
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i++)
		x->b->seed[i] = 0;
}

/* The word by a system call: what a program must not touch is an error there. */
int probe(struct worker *w, char *p, unsigned int page, uint64_t *got)
{
	if (tried(w, pwrite(w->sink, (void *)word_at(p, page), 8, 0)) != 8)
		return errno;
	must(w, pread(w->sink, got, 8, 0));
	return 0;
}

void fill(struct part *x, unsigned int step)
{
	struct block *b = x->b;
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i += step) {
		if (b->is[i])
			continue;
		b->seed[i] = ++x->w->seeds;
		*word_at(b->p + i * PAGE, i) = content(b, i);
	}
}

static bool untouchable(const struct block *b, unsigned int page)
{
	return b->is[page] & (GUARD | MISSING | POISONED);
}

static uint64_t read_page(struct worker *w, struct block *b, unsigned int page)
{
	char *p = b->p + page * PAGE;
	uint64_t got = 0;
	int err;

	if (!untouchable(b, page))
		return *word_at(p, page);
	err = probe(w, p, page, &got);
	if (err != EFAULT)
		wrong(w, "block %d page %u (%p) can be read, is %#x, and holds %#lx", b->id, page, p,
		      b->is[page], got);
	return ~(uint64_t)b->is[page];
}

void check(struct part *x)
{
	struct block *b = x->b;
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i++) {
		uint64_t got = read_page(x->w, b, i);

		if (!untouchable(b, i) && got != content(b, i))
			wrong(x->w, "block %d page %u (%p) holds %#lx, not %#lx", b->id, i,
			      b->p + i * PAGE, got, content(b, i));
	}
}

/* Of all that the worker has, huge or not: what it is, and whether that is right. */
void look_at_all(struct worker *w, bool huge)
{
	unsigned int i, k;

	for (k = 0; k < BLOCKS; k++) {
		struct part x = whole(w, &w->blocks[k]);

		if ((x.b->kind == HUGE) != huge)
			continue;
		check(&x);
		for (i = 0; i < BLOCK_PAGES; i++)
			w->memory = mix(w->memory, read_page(w, x.b, i));
	}
}

/* Over what is there, or where nothing is. */
void map_again(struct part *x)
{
	struct block *b = x->b;
	int fd = -1, flags = MAP_FIXED | MAP_NORESERVE;
	off_t offset = b->offset + x->from * PAGE;

	switch (b->kind) {
	case PRIVATE:
		fd = constant_file;
		flags |= MAP_PRIVATE;
		break;
	case SHARED:
		fd = x->w->file;
		flags |= MAP_SHARED;
		break;
	default:
		offset = 0;
		flags |= MAP_PRIVATE | MAP_ANONYMOUS;
	}
	if (mmap(x->p, x->len, PROT_READ | PROT_WRITE, flags, fd, offset) != x->p)
		wrong(x->w, "mmap at %p: %m", x->p);
}

/* In the second half the grid is half a block off the tables': some blocks are in two. */
void place_slots(struct worker *workers, struct rng *r)
{
	unsigned int i;

	for (i = 0; i < SLOTS - 1; i++) {
		struct worker *w = &workers[below(r, WORKERS)];

		/* Somebody may go short: then it is the next one's. */
		if (i >= SLOTS - 1 - WORKERS * BLOCKS)
			for (w = workers; w->nr_slots >= BLOCKS && w < workers + WORKERS - 1; w++)
				;
		w->slots[w->nr_slots++] = mixed_map + i * BLOCK +
					  (i < SLOTS / 2 ? 0 : BLOCK / 2);
	}
	for (i = 0; i < WORKERS; i++)
		workers[i].nr_free = workers[i].nr_slots;
}

static const enum kind kinds[BLOCKS] = { ANON, ANON, PRIVATE, SHARED, WATCHED, HUGE };

void make_blocks(struct worker *w)
{
	int i;

	for (i = 0; i < BLOCKS; i++) {
		struct block *b = &w->blocks[i];
		struct part x;

		b->kind = kinds[i];
		b->id = w->nr * BLOCKS + i;
		if (b->kind == PRIVATE)
			b->offset = below(&w->ops, CONSTANT / BLOCK) * BLOCK;
		if (b->kind == HUGE) {
			b->p = huge_map + (w->nr * (2 * TABLE / BLOCK / WORKERS)) * BLOCK;
			continue;
		}
		/* It is last now, and will be what moves are not for. */
		int at = below(&w->ops, w->nr_free);

		b->p = w->slots[at];
		w->slots[at] = w->slots[--w->nr_free];
		w->slots[w->nr_free] = b->p;
		x = whole(w, b);
		map_again(&x);
		if (b->kind == WATCHED)
			watch(w, b);
	}
}
