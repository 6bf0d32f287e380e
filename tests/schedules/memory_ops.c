// SPDX-License-Identifier: GPL-2.0
/* What a worker does with blocks that are its own. */
#define _GNU_SOURCE
#include <errno.h>
#include <sched.h>
#include <sys/mman.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "advice.h"
#include "schedule.h"

static void op_fill(struct part *x)
{
	fill(x, 1 << below(&x->w->ops, 4));
}

static void op_check(struct part *x)
{
	check(x);
}

/* In one call, or in pieces. */
static void op_give_back(struct part *x)
{
	size_t piece = below(&x->w->ops, 2) ? x->len : PAGE << below(&x->w->ops, 4), i;
	int advice = below(&x->w->ops, 4) ? MADV_DONTNEED : MADV_DONTNEED_LOCKED;

	for (i = 0; i < x->len; i += piece)
		must(x->w, madvise(x->p + i, x->len - i < piece ? x->len - i : piece, advice));
	if (x->b->kind != SHARED)
		zeroed(x);
}

/* What is in it between the two nobody knows: both are done at once. */
static void op_free(struct part *x)
{
	if (x->b->kind != ANON)
		return;
	must(x->w, madvise(x->p, x->len, MADV_FREE));
	if (below(&x->w->ops, 2))
		must(x->w, madvise(x->p, x->len, MADV_PAGEOUT));
	if (below(&x->w->ops, 2)) {
		fill(x, 1);
	} else {
		must(x->w, madvise(x->p, x->len, MADV_DONTNEED));
		zeroed(x);
	}
}

static void op_page_out(struct part *x)
{
	must(x->w, madvise(x->p, x->len, below(&x->w->ops, 4) ? MADV_PAGEOUT : MADV_COLD));
}

static void op_populate(struct part *x)
{
	static const int ways[] = { MADV_POPULATE_READ, MADV_POPULATE_WRITE, MADV_WILLNEED };

	if (has(x, GUARD))
		return;
	must(x->w, madvise(x->p, x->len, ways[below(&x->w->ops, 3)]));
}

/* They stay: whoever takes the table for empty loses them. */
static void op_guard(struct part *x)
{
	bool on = below(&x->w->ops, 2);

	if (x->b->kind != ANON)
		return;
	must(x->w, madvise(x->p, x->len, on ? MADV_GUARD_INSTALL : MADV_GUARD_REMOVE));
	if (on)
		zeroed(x);
	set(x, GUARD, on);
}

static void op_unmap(struct part *x)
{
	if (below(&x->w->ops, 2))
		must(x->w, munmap(x->p, x->len));
	if (below(&x->w->ops, 4) == 0)
		sched_yield();
	map_again(x);
	set(x, GUARD, false);
	if (x->b->kind != SHARED)
		zeroed(x);
}

static void op_protect(struct part *x)
{
	uint64_t got;

	if (below(&x->w->ops, 2)) {
		must(x->w, mprotect(x->p, x->len, PROT_READ));
		check(x);
	} else {
		must(x->w, mprotect(x->p, x->len, PROT_NONE));
		if (probe(x->w, x->p, x->from, &got) != EFAULT)
			wrong(x->w, "%p can be read in spite of PROT_NONE", x->p);
	}
	must(x->w, mprotect(x->p, x->len, PROT_READ | PROT_WRITE));
}

/* To another of its slots, with others' memory in the same table. */
static void op_move(struct part *x)
{
	struct worker *w = x->w;
	struct block *b = x->b;
	int at = below(&w->ops, w->nr_free);
	char *from = b->p, *to = w->slots[at];
	int flags = MREMAP_MAYMOVE | MREMAP_FIXED;

	if (below(&w->ops, 4) == 0)
		flags |= MREMAP_DONTUNMAP;
	if (mremap(from, BLOCK, BLOCK, flags, to) != to)
		wrong(w, "mremap from %p to %p: %m", from, to);
	if (flags & MREMAP_DONTUNMAP)
		must(w, munmap(from, BLOCK));
	b->p = to;
	w->slots[at] = from;
}

static void op_lock(struct part *x)
{
	if (has(x, GUARD))
		return;
	must(x->w, mlock(x->p, x->len));
	must(x->w, munlock(x->p, x->len));
}

/* They only change VMAs: split, and merged again. */
static void op_advise(struct part *x)
{
	static const int pairs[][2] = {
		{ MADV_SEQUENTIAL, MADV_NORMAL }, { MADV_RANDOM, MADV_NORMAL },
		{ MADV_DONTFORK, MADV_DOFORK }, { MADV_DONTDUMP, MADV_DODUMP },
		{ MADV_MERGEABLE, MADV_UNMERGEABLE }, { MADV_NOHUGEPAGE, MADV_NOHUGEPAGE },
	};
	int i = below(&x->w->ops, 6);

	must(x->w, madvise(x->p, x->len, pairs[i][0]));
	check(x);
	must(x->w, madvise(x->p, x->len, pairs[i][1]));
}

/* As another process's memory, by the kernel's own walk. */
static void op_remote(struct part *x)
{
	unsigned int page = x->from + below(&x->w->ops, x->n);
	char *p = (char *)word_at(x->b->p + page * PAGE, page);
	uint64_t got = 0;
	struct iovec here = { &got, 8 }, there = { p, 8 };
	bool write = below(&x->w->ops, 2);
	long ret;

	if (x->b->is[page])
		return;
	if (write) {
		x->b->seed[page] = ++x->w->seeds;
		got = content(x->b, page);
		ret = process_vm_writev(getpid(), &here, 1, &there, 1, 0);
	} else {
		ret = process_vm_readv(getpid(), &here, 1, &there, 1, 0);
	}
	if (tried(x->w, ret) != 8 || got != content(x->b, page))
		wrong(x->w, "by process_vm_readv() block %d page %u (%p) holds %#lx, not %#lx",
		      x->b->id, page, p, got, content(x->b, page));
}

static const struct op child_ops[] = {
	{ "child: fill", op_fill }, { "child: check", op_check },
	{ "child: give back", op_give_back }, { "child: unmap", op_unmap },
};

/* The copy is the child's, but for the worker's file; userfaultfd does not come along. */
static void op_fork(struct part *x)
{
	struct worker *w = x->w;
	int status, i;
	pid_t pid = fork();

	if (!pid) {
		w->child = true;
		for (i = 0; i < BLOCKS; i++) {
			const struct op *op = &child_ops[below(&w->ops, 4)];
			struct part y = some(w, &w->blocks[i]);

			if (y.b->kind == WATCHED)
				continue;
			w->now = op->name;
			if (y.b->kind == SHARED || y.b->kind == HUGE)
				check(&y);
			else
				op->fn(&y);
			y = whole(w, y.b);
			check(&y);
		}
		_exit(0);
	}
	must(w, pid < 0 ? -1 : 0);
	/* Its pages are the child's too, meanwhile. */
	if (x->b->kind != SHARED)
		op_fill(x);
	must(w, waitpid(pid, &status, 0) == pid ? 0 : -1);
	if (tried(w, status))
		wrong(w, "its child ended with status %#x", status);
}

const struct op memory_ops[] = {
	{ "fill", op_fill }, { "fill", op_fill }, { "check", op_check },
	{ "give back", op_give_back }, { "give back", op_give_back },
	{ "give back", op_give_back }, { "free", op_free }, { "page out", op_page_out },
	{ "page out", op_page_out }, { "populate", op_populate }, { "guard", op_guard },
	{ "unmap", op_unmap }, { "protect", op_protect }, { "move", op_move },
	{ "move", op_move }, { "move", op_move }, { "lock", op_lock },
	{ "advise", op_advise }, { "remote", op_remote }, { "fork", op_fork },
	{ }
};

/* One huge page, or none, or many small ones: whatever others make of it. */
static void op_collapse(struct part *x)
{
	char *table = (char *)((uintptr_t)x->p & ~(TABLE - 1));

	/* It may well refuse, which is no result. */
	madvise(table, TABLE, MADV_COLLAPSE);
}

const struct op huge_ops[] = {
	{ "huge: fill", op_fill }, { "huge: check", op_check },
	{ "huge: give back", op_give_back }, { "huge: give back", op_give_back },
	{ "huge: page out", op_page_out }, { "huge: collapse", op_collapse },
	{ }
};
