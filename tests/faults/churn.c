// SPDX-License-Identifier: GPL-2.0
/*
 * Random calls on memory of which every page is known: what it holds, or that it
 * is zero. Calls may fail for want of memory; then nothing may have changed that
 * is not given back.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"
#include "request.h"

#define TABLES		6
#define LEN		(TABLES * TABLE)
/* Only each so manieth page is used: more tables than pages. */
#define STEP		KIB(128)
#define CELLS		(LEN / STEP)

struct churned {
	char *p;
	char *here, *there;		/* what moves between them */
	uint32_t round[CELLS];		/* 0: zero */
	uint32_t next;
};

static bool may_fail(int ret, const char *what)
{
	if (!ret)
		return true;
	CHECK(errno == ENOMEM || errno == EAGAIN || errno == EINTR || errno == EBUSY ||
	      errno == EINVAL, "%s: %m", what);
	return false;
}

static void write_cells(struct churned *c, size_t from, size_t to)
{
	c->next++;
	for (; from < to; from++) {
		fill(c->p + from * STEP, PAGE, PAGE, c->next);
		c->round[from] = c->next;
	}
}

static void swap(struct churned *c)
{
	char *here = c->here;

	c->here = c->there;
	c->there = here;
}

static void check_cells(const struct churned *c)
{
	size_t i;

	for (i = 0; i < CELLS; i++)
		if (c->round[i])
			verify(c->p + i * STEP, PAGE, PAGE, c->round[i]);
		else
			verify_zero(c->p + i * STEP, PAGE, PAGE);
}

static void forget(struct churned *c, size_t from, size_t to)
{
	memset(c->round + from, 0, (to - from) * sizeof(*c->round));
}

/* Until it is there again: what was unmapped must not stay a hole. */
static void map_again(char *at, size_t len)
{
	while (mmap(at, len, PROT_READ | PROT_WRITE, PRIVATE | MAP_FIXED | MAP_NORESERVE, -1,
		    0) != at)
		CHECK(errno == ENOMEM, "mmap: %m");
}

/* A mapping of its own, half a table off in one of its places. */
static void move(struct churned *c)
{
	uint64_t *first = (uint64_t *)c->here, *last = (uint64_t *)(c->here + TABLE - PAGE);

	CHECK(*first == *last, "%p: %#lx and %#lx", c->here, *first, *last);
	*first = *last = ++c->next;
	if (mremap(c->here, TABLE, TABLE, MREMAP_MAYMOVE | MREMAP_FIXED, c->there) != c->there)
		may_fail(-1, "mremap");
	else
		swap(c);
	first = (uint64_t *)c->here;
	CHECK(*first == c->next, "%p: %#lx, not %#x", c->here, *first, c->next);
}

static void child(const struct churned *c)
{
	pid_t pid = fork();
	int status;

	if (pid < 0) {
		may_fail(-1, "fork");
		return;
	}
	if (!pid) {
		check_cells(c);
		madvise(c->p, LEN / 2, MADV_DONTNEED);
		_exit(0);
	}
	while (waitpid(pid, &status, 0) < 0)
		CHECK(errno == EINTR, "waitpid: %m");
	CHECK(!status || WIFSIGNALED(status), "the child ended with %#x", status);
}

static void reclaim(void)
{
	struct ptreclaim_request r = {
		.size = sizeof(r), .pidfd = SELF, .flags = ZEROES,
	};
	struct ptreclaim_request was = r;
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC), ret;
	const char *wrong;

	if (fd < 0) {
		may_fail(-1, DEVICE);
		return;
	}
	ret = ioctl(fd, PTRECLAIM_IOC_RECLAIM, &r) ? -errno : 0;
	wrong = wrong_sums(&was, &r, ret);
	CHECK(!wrong, "%s", wrong);
	close(fd);
}

static void one_call(struct churned *c)
{
	size_t from = dice() % CELLS, to = from + 1 + dice() % (CELLS - from);
	char *at = c->p + from * STEP;
	size_t len = (to - from) * STEP, i;

	switch (dice() % 12) {
	case 0: case 1: case 2:
		write_cells(c, from, to);
		break;
	case 3: case 4:
		for (i = from; i < to; i++)
			CHECK(!madvise(c->p + i * STEP, STEP, MADV_DONTNEED), "dontneed: %m");
		forget(c, from, to);
		break;
	case 5:
		if (may_fail(munmap(at, len), "munmap")) {
			map_again(at, len);
			forget(c, from, to);
		}
		break;
	case 6:
		map_again(at, len);
		forget(c, from, to);
		break;
	case 7:
		move(c);
		break;
	case 8:
		may_fail(mprotect(at, len, PROT_READ | PROT_WRITE | PROT_EXEC), "mprotect");
		may_fail(mprotect(at, len, PROT_READ | PROT_WRITE), "mprotect back");
		break;
	case 9:
		/* As far as it got, what was there is gone. */
		may_fail(madvise(at, len, MADV_GUARD_INSTALL), "guard");
		while (!may_fail(madvise(at, len, MADV_GUARD_REMOVE), "unguard"))
			;
		map_again(at, len);
		forget(c, from, to);
		break;
	case 10:
		child(c);
		break;
	case 11:
		reclaim();
		break;
	}
}

void churn(double until, unsigned int most_rounds)
{
	static struct churned c;

	if (!c.p) {
		c.p = fresh(LEN);
		map_again(c.p, LEN);
		c.here = fresh(TABLE);
		c.there = fresh(2 * TABLE) + MIB(1);
		map_again(c.here, TABLE);
	}
	while (most_rounds-- && now() < until) {
		one_call(&c);
		check_cells(&c);
	}
	check_cells(&c);
	/* As it was before anything. */
	while (!may_fail(munmap(c.p, LEN), "munmap of all"))
		;
	map_again(c.p, LEN);
	forget(&c, 0, CELLS);
}
