// SPDX-License-Identifier: GPL-2.0
/* Mappings are moved, cut and copied, and an allocation on the way fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"

#define LEN		(2 * TABLE)
#define STEP		KIB(128)

static char *p, *q;

/* q is half a table off, so that entries move one by one. */
static void sweep_here(const struct sweep *s)
{
	/* The tables above them are there before, and stay. */
	p = fresh(LEN);
	q = fresh(LEN + TABLE) + MIB(1);
	sweep(s);
}

static void two_places(void)
{
	map_at(p, LEN, PROT_READ | PROT_WRITE, PRIVATE, -1);
	fill(p, LEN, STEP, 1);
}

/* The contents go by the old address, since word() does. */
static void verify_moved(void)
{
	size_t i;

	for (i = 0; i < LEN; i += STEP)
		CHECK(*(uint64_t *)(q + i) == word(p + i, 1), "%#zx: other contents", i);
}

static int move_it(void)
{
	return mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED, q) == q ? 0 : -errno;
}

static void moved(int ret)
{
	if (ret) {
		verify(p, LEN, STEP, 1);
		reclaimed(p, LEN);
		reclaimed(q, LEN);
		verify(p, LEN, STEP, 1);
		CHECK(!move_it(), "the second time: %m");
	}
	verify_moved();
	reclaimed(q, LEN);
	verify_moved();
	SYS(munmap(q, LEN));
}

static void move(void)
{
	sweep_here(&(struct sweep){ two_places, move_it, moved, .least = 8 });
}

static int dontunmap(void)
{
	return mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP, q) == q ?
		0 : -errno;
}

static void left_behind(int ret)
{
	if (ret) {
		verify(p, LEN, STEP, 1);
		CHECK(!dontunmap(), "the second time: %m");
	}
	verify_moved();
	reclaimed(p, LEN);
	CHECK(tables() == LEN / (long)TABLE + 1, "%ld tables are left", tables());
	verify_zero(p, LEN, STEP);
	SYS(munmap(q, LEN));
	SYS(munmap(p, LEN));
}

static void move_dontunmap(void)
{
	sweep_here(&(struct sweep){ two_places, dontunmap, left_behind, .least = 8 });
}

/* Each piece a VMA of its own. */
static int protect_pieces(void)
{
	size_t i;

	for (i = KIB(512); i < LEN; i += MIB(1))
		if (mprotect(p + i, KIB(512), PROT_READ))
			return -errno;
	return 0;
}

static void protected(int ret)
{
	if (ret)
		CHECK(!protect_pieces(), "the second time: %m");
	verify(p, LEN, STEP, 1);
	reclaimed(p, LEN);
	verify(p, LEN, STEP, 1);
	advise_pieces(p, LEN, KIB(512), MADV_DONTNEED);
	CHECK(!tables(), "%ld tables are left", tables());
	SYS(munmap(p, LEN));
}

static void protect(void)
{
	sweep_here(&(struct sweep){ two_places, protect_pieces, protected, .least = 6 });
}

/* Beside a table in use an empty one, which is not copied. */
static void half_empty(void)
{
	two_places();
	advise(p, TABLE, MADV_GUARD_INSTALL);
	advise(p, TABLE, MADV_GUARD_REMOVE);
}

static unsigned int fork_left;

/* Only what the fork itself allocates counts. */
static int fork_it(void)
{
	int status, ret = 0;
	pid_t pid;

	nth_begin(sweep_nth);
	pid = fork();
	if (!pid) {
		verify_zero(p, TABLE, STEP);
		verify(p + TABLE, TABLE, STEP, 1);
		fill(p, LEN, STEP, 2);
		advise_pieces(p, LEN, KIB(512), MADV_DONTNEED);
		verify_zero(p, LEN, STEP);
		_exit(0);
	}
	if (pid < 0)
		ret = -errno;
	fork_left = nth_end();
	if (pid > 0) {
		SYS(waitpid(pid, &status, 0));
		CHECK(!status, "the child ended with %#x", status);
	}
	return ret;
}

static unsigned int of_fork(void)
{
	return fork_left;
}

static void forked(int ret)
{
	long left;

	if (ret) {
		CHECK(ret == -ENOMEM || ret == -EAGAIN, "%s", strerror(-ret));
		sweep_nth = 0;
		CHECK(!fork_it(), "the second time: %m");
	}
	verify(p + TABLE, TABLE, STEP, 1);
	verify_zero(p, TABLE, STEP);
	left = tables();
	advise_pieces(p, LEN, KIB(512), MADV_DONTNEED);
	CHECK(!tables(), "%ld tables of %ld are left", tables(), left);
	SYS(munmap(p, LEN));
}

static void fork_case(void)
{
	sweep_here(&(struct sweep){ half_empty, fork_it, forked, of_fork, .least = 30 });
}

#define RIGHT	"each allocation fails in turn: contents stay, then all goes"

const struct test_case alloc_map_cases[] = {
	{ "faults.alloc.mremap", RIGHT, move },
	{ "faults.alloc.mremap_dontunmap", RIGHT, move_dontunmap },
	{ "faults.alloc.mprotect", RIGHT, protect },
	{ "faults.alloc.fork", RIGHT, fork_case },
	{ }
};
