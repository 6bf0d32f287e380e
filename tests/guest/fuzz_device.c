// SPDX-License-Identifier: GPL-2.0
/*
 * Random requests to /dev/ptreclaim from threads and processes, while others
 * map, unmap, move, fault, fork and exec. Each thread that uses memory knows
 * what must be in it.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ptest.h"
#include "request.h"

#define USERS		3
#define ASKERS		3
#define FAMILIES	2		/* processes with all of these */
#define BLOCKS		16UL		/* tables of each user */
#define LEN		(BLOCKS * TABLE)
#define SPAN		(2 * GIB)	/* and what it may move them to */
#define PIDFDS		8

static uint64_t seed;
static double stop_at;
static char *arena;
static _Atomic int pidfds[PIDFDS];

/* What the processes have done, together. */
static struct {
	_Atomic long requests, fine, freed, rounds, children;
} *done;

/* splitmix64 */
static uint64_t next(uint64_t *state)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

static uint64_t pick(uint64_t *rng, uint64_t n)
{
	return next(rng) % n;
}

static bool one_in(uint64_t *rng, uint64_t n)
{
	return !pick(rng, n);
}

/* Somewhere in or near what is mapped, seldom anywhere. */
static uint64_t some_address(uint64_t *rng)
{
	uint64_t at = (uintptr_t)arena + pick(rng, USERS * SPAN);

	switch (pick(rng, 16)) {
	case 0:
		return next(rng) >> pick(rng, 64);
	case 1:
		return (uintptr_t)&at & -PAGE;
	case 2:
		return 0;
	case 3:
		return at;
	case 4:
		return -(next(rng) >> pick(rng, 64));
	case 5 ... 8:
		return at & -TABLE;
	default:
		return at & -PAGE;
	}
}

static uint64_t some_length(uint64_t *rng)
{
	switch (pick(rng, 8)) {
	case 0:
		return 0;
	case 1:
		return next(rng) >> pick(rng, 64);
	case 2:
		return -(pick(rng, 1000) * PAGE);
	case 3:
		return pick(rng, 2048) * PAGE;
	default:
		return pick(rng, 2 * BLOCKS) * TABLE;
	}
}

static int some_pidfd(uint64_t *rng)
{
	switch (pick(rng, 12)) {
	case 0:
		return next(rng);
	case 1:
		return pick(rng, 64);
	case 2:
		return -10000 - (int)pick(rng, 3);
	case 3 ... 7:
		return pidfds[pick(rng, PIDFDS)];
	default:
		return SELF;
	}
}

static unsigned int some_command(uint64_t *rng, size_t size)
{
	if (one_in(rng, 32))
		return next(rng);
	if (one_in(rng, 16))
		return _IOC(pick(rng, 4), PTRECLAIM_IOC, pick(rng, 256), size);
	return _IOC(_IOC_READ | _IOC_WRITE, PTRECLAIM_IOC, 1, size);
}

/* The size is mostly right, the pointer is mostly good. */
static void one_request(uint64_t *rng, unsigned char *buf, size_t buf_len)
{
	struct ptreclaim_request r, was;
	size_t size = sizeof(r), i;
	unsigned int cmd;
	void *arg = buf;
	const char *wrong;
	int ret;

	memset(buf, 0, buf_len);
	if (one_in(rng, 8))
		size = pick(rng, one_in(rng, 2) ? 1 << 14 : 2 * sizeof(r));
	memset(&r, 0, sizeof(r));
	r.size = one_in(rng, 32) ? next(rng) : size;
	r.flags = one_in(rng, 16) ? next(rng) : pick(rng, 8);
	r.reserved = one_in(rng, 32) ? next(rng) : 0;
	r.pidfd = some_pidfd(rng);
	r.start = some_address(rng);
	r.len = some_length(rng);
	for (i = offsetof(struct ptreclaim_request, next); i < sizeof(r); i++)
		((unsigned char *)&r)[i] = next(rng);
	memcpy(buf, &r, sizeof(r));
	was = r;
	if (one_in(rng, 16))
		buf[pick(rng, buf_len)] = next(rng);
	memcpy(&was, buf, sizeof(was));
	if (one_in(rng, 8))
		arg = buf + buf_len - pick(rng, 2 * sizeof(r));
	else if (one_in(rng, 16))
		arg = (void *)(one_in(rng, 2) ? next(rng) : some_address(rng));
	/* A wild pointer must not hit what somebody checks. */
	if ((char *)arg >= arena - PAGE && (char *)arg < arena + USERS * SPAN)
		arg = NULL;

	cmd = some_command(rng, size);
	ret = raw_request(cmd, arg) ? -errno : 0;
	done->requests++;
	switch (ret) {
	case 0:
	case -EINTR:
	case -EINVAL:
	case -E2BIG:
	case -EBADF:
	case -ESRCH:
	case -EACCES:
	case -EPERM:
	case -EFAULT:
	case -ENOTTY:
		break;
	default:
		FAIL("a request ends with %s", strerror(-ret));
	}
	if (ret || arg != buf || cmd != PTRECLAIM_IOC_RECLAIM)
		return;
	memcpy(&r, buf, sizeof(r));
	wrong = wrong_sums(&was, &r, ret);
	CHECK(!wrong, "%s: flags %u, %#llx, %#llx: tables %llu freed %llu",
	      wrong, was.flags, was.start, was.len, r.tables, r.freed);
	done->fine++;
	done->freed += r.freed;
}

static void *asker(void *arg)
{
	uint64_t rng = seed + (uintptr_t)arg * 7919;
	size_t len = 1 << 14;
	unsigned char *buf = mmap(NULL, len + PAGE, PROT_READ | PROT_WRITE,
				  MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	CHECK(buf != MAP_FAILED, "mmap: %m");
	SYS(mprotect(buf + len, PAGE, PROT_NONE));
	while (now() < stop_at)
		one_request(&rng, buf, len);
	return NULL;
}

static void map_fixed(char *p, size_t len, int prot, int flags)
{
	CHECK(mmap(p, len, prot, MAP_FIXED | MAP_NORESERVE | flags, -1, 0) == p,
	      "mmap of %zu bytes at %p: %m", len, p);
}

/*
 * Has BLOCKS tables in its own part of the arena, with a page in so many
 * places; what is in there is known from one step to the next.
 */
static void *user(void *arg)
{
	uint64_t id = (uintptr_t)arg, rng = seed + id * 104729;
	char *home = arena + id * SPAN, *p = home, *to;
	const int rw = PROT_READ | PROT_WRITE;
	size_t step = KIB(64), at, len;
	uint64_t round = 0;
	bool full = false, shared = false;

	map_fixed(p, LEN, rw, MAP_PRIVATE | MAP_ANONYMOUS);
	for (; now() < stop_at; done->rounds++) {
		if (full)
			verify(p, LEN, step, round);
		else
			verify_zero(p, LEN, KIB(64));
		at = pick(&rng, BLOCKS) * TABLE;
		len = (1 + pick(&rng, BLOCKS - at / TABLE)) * TABLE;
		switch (pick(&rng, 10)) {
		case 0 ... 1:
			if (full)
				break;
			step = PAGE << pick(&rng, 8);
			fill(p, LEN, step, ++round);
			full = true;
			break;
		case 2:
			advise_pieces(p, LEN, TABLE >> pick(&rng, 6),
				      MADV_DONTNEED);
			full &= shared;
			break;
		case 3:
			SYS(munmap(p, LEN));
			p = home + pick(&rng, 256) * TABLE;
			shared = one_in(&rng, 3);
			map_fixed(p, LEN, rw, MAP_ANONYMOUS |
				  (shared ? MAP_SHARED : MAP_PRIVATE));
			full = false;
			break;
		case 4:
			/* What moves by entries, and what by tables. */
			if (full)
				break;
			to = home + GIB + pick(&rng, 200) * MIB(1);
			CHECK(mremap(p, LEN, LEN, MREMAP_MAYMOVE | MREMAP_FIXED,
				     to) == to, "mremap: %m");
			SYS(munmap(to, LEN));
			map_fixed(p, LEN, rw, MAP_PRIVATE | MAP_ANONYMOUS);
			shared = false;
			break;
		case 5:
			/* VMAs of many kinds, and one again. */
			SYS(mprotect(p + at, len, PROT_READ));
			SYS(mprotect(p + at + len / 2, PAGE, PROT_NONE));
			SYS(mprotect(p, LEN, rw));
			break;
		case 6:
			if (full)
				break;
			/* Not on a shared mapping before 6.15, nor mlocked. */
			if (madvise(p + at, len, MADV_GUARD_INSTALL))
				break;
			SYS(madvise(p + at, len, MADV_GUARD_REMOVE));
			break;
		case 7:
			SYS(mlock2(p + at, PAGE, MLOCK_ONFAULT));
			SYS(munlock(p + at, PAGE));
			break;
		case 8:
			if (madvise(p + at, len, one_in(&rng, 2) ?
				    MADV_HUGEPAGE : MADV_NOHUGEPAGE))
				FAIL("MADV_HUGEPAGE: %m");
			break;
		case 9:
			if (madvise(p + at, len, MADV_PAGEOUT) &&
			    errno != EINVAL && errno != EAGAIN)
				FAIL("MADV_PAGEOUT: %m");
			break;
		}
	}
	return NULL;
}

/* Children for a while, by whose pidfds others ask. */
static void *parent(void *arg)
{
	uint64_t rng = seed + (uintptr_t)arg * 15485863;

	while (now() < stop_at) {
		size_t slot = pick(&rng, PIDFDS);
		unsigned int ms = pick(&rng, 30);
		bool exec = one_in(&rng, 3);
		uint64_t own = next(&rng);
		pid_t pid = SYS(fork());
		int fd, status;

		if (!pid) {
			unsigned char buf[4096];
			char *p;

			/* Nobody's but its own: the others are not here. */
			p = mmap(NULL, LEN, PROT_READ | PROT_WRITE,
				 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
			CHECK(p != MAP_FAILED, "mmap: %m");
			fill(p, LEN, KIB(256), own);
			if (one_in(&own, 2))
				one_request(&own, buf, sizeof(buf));
			advise(p, LEN, MADV_DONTNEED);
			nap(ms);
			verify_zero(p, LEN, KIB(256));
			if (exec)
				execl("/proc/self/exe", "fuzz_device", "--nap",
				      NULL);
			_exit(0);
		}
		fd = pidfd_of(pid);
		close(atomic_exchange(&pidfds[slot], fd));
		if (one_in(&rng, 2)) {
			nap(pick(&rng, 40));
			kill(pid, SIGKILL);
		}
		/* A zombie for a moment. */
		nap(pick(&rng, 3));
		SYS(waitpid(pid, &status, 0));
		CHECK(!status || (WIFSIGNALED(status) &&
				  WTERMSIG(status) == SIGKILL),
		      "a child ended with status %#x", status);
		done->children++;
	}
	return NULL;
}

static void handler(int sig)
{
	(void)sig;
}

static void family(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pthread_t threads[USERS + ASKERS + 1];
	size_t n = 0, i;
	uint64_t rng = seed;

	SYS(sigaction(SIGUSR1, &sa, NULL));
	arena = fresh_bare(USERS * SPAN + 2 * GIB, GIB) + GIB;
	for (i = 0; i < PIDFDS; i++)
		pidfds[i] = pidfd_of(i % 2 ? getpid() : getppid());
	for (i = 0; i < USERS; i++)
		CHECK(!pthread_create(&threads[n++], NULL, user, (void *)i),
		      "no thread");
	for (i = 0; i < ASKERS; i++)
		CHECK(!pthread_create(&threads[n++], NULL, asker,
				      (void *)(i + 1)), "no thread");
	CHECK(!pthread_create(&threads[n++], NULL, parent, (void *)1),
	      "no thread");
	/* Now and then a signal ends a request. */
	while (now() < stop_at) {
		nap(pick(&rng, 20));
		pthread_kill(threads[USERS + pick(&rng, ASKERS)], SIGUSR1);
	}
	for (i = 0; i < n; i++)
		pthread_join(threads[i], NULL);
}

int main(int argc, char **argv)
{
	pid_t pids[FAMILIES];
	int i, status, bad = 0;

	if (argc == 2 && !strcmp(argv[1], "--nap")) {
		nap(10);
		return 0;
	}
	if (argc < 2 || argc > 3) {
		fprintf(stderr, "usage: fuzz_device SECONDS [SEED]\n");
		return 2;
	}
	seconds = atoi(argv[1]);
	seed = argc > 2 ? strtoull(argv[2], NULL, 0) :
	       (uint64_t)time(NULL) * 1000003 + getpid();
	note("seed %#lx, %u seconds", seed, seconds);
	if (!device_there())
		return 2;
	done = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(done != MAP_FAILED, "mmap: %m");
	stop_at = now() + seconds;
	for (i = 0; i < FAMILIES; i++) {
		pids[i] = SYS(fork());
		if (!pids[i]) {
			seed += i * 1000;
			/* Its children go with it. */
			SYS(setpgid(0, 0));
			alarm(seconds + 120);
			family();
			_exit(0);
		}
	}
	for (i = 0; i < FAMILIES; i++) {
		SYS(waitpid(pids[i], &status, 0));
		if (status)
			note("process %d ended with status %#x", i, status);
		bad += !!status;
		kill(-pids[i], SIGKILL);
	}
	note("%ld requests, %ld fine, %ld tables freed, %ld rounds, %ld children",
	     done->requests, done->fine, done->freed, done->rounds,
	     done->children);
	if (!done->fine || !done->freed || !done->rounds || !done->children) {
		note("something was never done");
		bad++;
	}
	return bad ? 1 : 0;
}
