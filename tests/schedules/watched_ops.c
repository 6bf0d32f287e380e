// SPDX-License-Identifier: GPL-2.0
/*
 * Memory that userfaultfd watches. Nobody answers for what is missing or protected: an access
 * is an error, so that it is known which pages are.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "advice.h"
#include "schedule.h"
#include "../guest/uffd.h"

void watch(struct worker *w, struct block *b)
{
	struct uffdio_api api = {
		.api = UFFD_API,
		.features = UFFD_FEATURE_SIGBUS | UFFD_FEATURE_PAGEFAULT_FLAG_WP |
			    UFFD_FEATURE_WP_UNPOPULATED | UFFD_FEATURE_POISON,
	};
	struct uffdio_register reg = {
		.range = { (uintptr_t)b->p, BLOCK },
		.mode = UFFDIO_REGISTER_MODE_MISSING | UFFDIO_REGISTER_MODE_WP,
	};
	struct part x = whole(w, b);

	w->uffd = must(w, syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
	must(w, ioctl(w->uffd, UFFDIO_API, &api));
	must(w, ioctl(w->uffd, UFFDIO_REGISTER, &reg));
	set(&x, MISSING, true);
}

/* EEXIST where something is. */
static void expect(struct part *x, const char *what, int page, long ret, bool can)
{
	tried(x->w, ret);
	if (can ? ret != 0 : ret != -1 || errno != EEXIST)
		wrong(x->w, "%s of block %d page %d (%p), which is %#x: %ld, %m", what, x->b->id,
		      page, x->b->p + page * PAGE, x->b->is[page], ret);
}

static void op_copy(struct part *x)
{
	static __thread char from[PAGE] __attribute__((aligned(4096)));
	struct block *b = x->b;
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i++) {
		struct uffdio_copy copy = {
			.dst = (uintptr_t)(b->p + i * PAGE), .src = (uintptr_t)from, .len = PAGE,
		};
		/* Over markers, too. */
		bool can = b->is[i] & MISSING;
		uint32_t seed = b->seed[i];

		b->seed[i] = ++x->w->seeds;
		*word_at(from, i) = content(b, i);
		expect(x, "UFFDIO_COPY", i, ioctl(x->w->uffd, UFFDIO_COPY, &copy), can);
		*word_at(from, i) = 0;
		if (can)
			b->is[i] = 0;
		else
			b->seed[i] = seed;
	}
}

/* Not over a marker. */
static void op_zero(struct part *x)
{
	struct block *b = x->b;
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i++) {
		struct uffdio_zeropage zero = {
			.range = { (uintptr_t)(b->p + i * PAGE), PAGE },
		};
		bool can = b->is[i] == MISSING;

		expect(x, "UFFDIO_ZEROPAGE", i, ioctl(x->w->uffd, UFFDIO_ZEROPAGE, &zero), can);
		if (can) {
			b->is[i] = 0;
			b->seed[i] = 0;
		}
	}
}

static void op_poison(struct part *x)
{
	struct block *b = x->b;
	unsigned int i = x->from;
	struct uffdio_poison poison = { .range = { (uintptr_t)(b->p + i * PAGE), PAGE } };
	bool can = b->is[i] == MISSING;

	expect(x, "UFFDIO_POISON", i, ioctl(x->w->uffd, UFFDIO_POISON, &poison), can);
	if (can)
		b->is[i] |= POISONED;
}

static void op_write_protect(struct part *x)
{
	bool on = below(&x->w->ops, 2);
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)x->p, x->len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	if (has(x, POISONED))
		return;
	must(x->w, ioctl(x->w->uffd, UFFDIO_WRITEPROTECT, &wp));
	set(x, PROTECTED, on);
}

static void op_write(struct part *x)
{
	struct block *b = x->b;
	unsigned int i;

	for (i = x->from; i < x->from + x->n; i += 3) {
		uint32_t seed = b->seed[i];
		uint64_t word;
		long ret;

		b->seed[i] = ++x->w->seeds;
		word = content(b, i);
		must(x->w, pwrite(x->w->sink, &word, 8, 0));
		ret = tried(x->w, pread(x->w->sink, (void *)word_at(b->p + i * PAGE, i), 8, 0));
		if (b->is[i])
			b->seed[i] = seed;
		if (b->is[i] ? ret != -1 || errno != EFAULT : ret != 8)
			wrong(x->w, "a write to block %d page %u (%p), which is %#x: %ld, %m", b->id,
			      i, b->p + i * PAGE, b->is[i], ret);
	}
}

static void op_check(struct part *x)
{
	check(x);
}

static void op_give_back(struct part *x)
{
	must(x->w, madvise(x->p, x->len, MADV_DONTNEED));
	zeroed(x);
	set(x, POISONED | PROTECTED, false);
	set(x, MISSING, true);
}

static void op_page_out(struct part *x)
{
	must(x->w, madvise(x->p, x->len, MADV_PAGEOUT));
}

const struct op watched_ops[] = {
	{ "watched: copy", op_copy }, { "watched: copy", op_copy }, { "watched: zero", op_zero },
	{ "watched: zero", op_zero }, { "watched: poison", op_poison },
	{ "watched: protect", op_write_protect }, { "watched: protect", op_write_protect },
	{ "watched: write", op_write }, { "watched: check", op_check },
	{ "watched: give back", op_give_back }, { "watched: give back", op_give_back },
	{ "watched: page out", op_page_out },
	{ }
};
