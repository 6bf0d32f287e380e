// SPDX-License-Identifier: GPL-2.0
/* Files: the worker's own, and one that all map and nobody changes. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "advice.h"
#include "schedule.h"

static off_t offset_of(struct part *x)
{
	return x->b->offset + x->from * PAGE;
}

static void op_punch(struct part *x)
{
	if (below(&x->w->ops, 2))
		must(x->w, fallocate(x->w->file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
				     offset_of(x), x->len));
	else
		must(x->w, madvise(x->p, x->len, MADV_REMOVE));
	zeroed(x);
}

static void op_truncate(struct part *x)
{
	struct worker *w = x->w;
	off_t end = x->b->offset + BLOCK;
	uint64_t got;

	x->n = BLOCK_PAGES - x->from;
	must(w, ftruncate(w->file, offset_of(x)));
	if (probe(w, x->p, x->from, &got) != EFAULT)
		wrong(w, "%p can be read beyond the end of the file", x->p);
	must(w, ftruncate(w->file, end));
	zeroed(x);
}

/* Not through the page tables. */
static void op_write(struct part *x)
{
	struct block *b = x->b;
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i += 4) {
		off_t at = (char *)word_at(NULL, i) - (char *)NULL;
		uint64_t word;

		b->seed[i] = ++x->w->seeds;
		word = content(b, i);
		must(x->w, pwrite(x->w->file, &word, 8, b->offset + i * PAGE + at) == 8 ? 0 : -1);
	}
}

const struct op file_ops[] = {
	{ "punch", op_punch }, { "punch", op_punch }, { "truncate", op_truncate },
	{ "write", op_write },
	{ }
};

/*
 * The constant file is mapped twice in a row. Everybody reads it, and takes it out of the page
 * tables of all: contents stay. `n` pages from `from` of both.
 */
#define MAPPED_PAGES	(2 * CONSTANT / PAGE)

static void read_constant(struct worker *w, size_t page)
{
	size_t in_file = page % (CONSTANT / PAGE);
	uint64_t got = *word_at(constant_map + page * PAGE, in_file);

	if (got != constant_word(in_file))
		wrong(w, "page %zu of the constant file (%p) holds %#lx, not %#lx", in_file,
		      constant_map + page * PAGE, got, constant_word(in_file));
}

static void op_read(struct part *x)
{
	size_t at = below(&x->w->ops, MAPPED_PAGES);
	unsigned int i;

	for (i = 0; i < x->n; i++)
		read_constant(x->w, (at + i * 19) % MAPPED_PAGES);
}

/* A whole table, or both halves of one, or some. */
static void op_drop(struct part *x)
{
	static const int ways[] = { MADV_DONTNEED, MADV_DONTNEED, MADV_DONTNEED, MADV_PAGEOUT };
	char *table = (char *)((uintptr_t)(constant_map + CONSTANT) & ~(TABLE - 1));
	int advice = ways[below(&x->w->ops, 4)];
	size_t at;

	switch (below(&x->w->ops, 3)) {
	case 0:
		must(x->w, madvise(table, TABLE, advice));
		break;
	case 1:
		must(x->w, madvise(constant_map, 2 * CONSTANT, advice));
		break;
	default:
		at = below(&x->w->ops, MAPPED_PAGES - x->n);
		must(x->w, madvise(constant_map + at * PAGE, x->n * PAGE, advice));
	}
}

/* As it is there already. */
static void op_write_same(struct part *x)
{
	size_t page = below(&x->w->ops, MAPPED_PAGES), in_file = page % (CONSTANT / PAGE);

	*word_at(constant_map + page * PAGE, in_file) = constant_word(in_file);
	read_constant(x->w, page);
}

const struct op constant_ops[] = {
	{ "constant: read", op_read }, { "constant: read", op_read },
	{ "constant: drop", op_drop }, { "constant: drop", op_drop },
	{ "constant: write", op_write_same },
	{ }
};
