// SPDX-License-Identifier: GPL-2.0
/* SIGKILL at random moments, and allocations that fail at random. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"
#include "request.h"

/*
 * Zaps of all kinds without an end, from two threads: each has every other piece,
 * so that they share each table, and neither runs into the other's guards.
 */
static char *busy;

static void zap_for_ever(unsigned int nth)
{
	uint64_t x = seed + nth;
	size_t i;

	for (;;) {
		x = x * 6364136223846793005 + 1442695040888963407;
		i = (x >> 33) % (SIZE / MIB(1)) * MIB(1) + nth * KIB(512);
		switch ((x >> 60) % 5) {
		case 0: case 1:
			fill(busy + i, KIB(512), KIB(64), 1);
			break;
		case 2:
			madvise(busy + i, KIB(512), MADV_DONTNEED);
			break;
		case 3:
			mmap(busy + i, KIB(512), PROT_READ | PROT_WRITE,
			     PRIVATE | MAP_FIXED, -1, 0);
			break;
		case 4:
			madvise(busy + i, KIB(512), MADV_GUARD_INSTALL);
			madvise(busy + i, KIB(512), MADV_GUARD_REMOVE);
			break;
		}
	}
}

static void *zapper(void *arg)
{
	(void)arg;
	zap_for_ever(1);
	return NULL;
}

static void zaps(void)
{
	pthread_t thread;

	busy = map_anon(SIZE);
	pthread_create(&thread, NULL, zapper, NULL);
	zap_for_ever(0);
}

/* One large zap after the other: it is killed inside one. */
static void unmaps(void)
{
	char *p = fresh(SIZE);

	for (;;) {
		map_at(p, SIZE, PROT_READ | PROT_WRITE, PRIVATE, -1);
		fill(p, SIZE, KIB(256), 1);
		madvise(p, SIZE / 2, MADV_DONTNEED);
		munmap(p, SIZE);
	}
}

static void requests(void)
{
	char *p = map_anon(SIZE), *q = map_anon(SIZE);

	/* Tables whose entries are all counted: that is where it is most of the time. */
	guards_come_and_go(q);
	for (;;) {
		struct ptreclaim_request r = { .pidfd = SELF, .flags = ZEROES };
		int i;

		guards_come_and_go(p);
		verify_zero(p, SIZE / 2, KIB(512));
		for (i = 0; i < 16; i++)
			ask(SELF, NULL, 0, DRY | FULLNESS);
		request(&r);
		guards_come_and_go(q);
	}
}

/* Leftovers only: what the scanner, at its fastest, is at work on. */
static void leaves(void)
{
	char *p = map_anon(SIZE);

	for (;;)
		guards_come_and_go(p);
}

static void forks(void)
{
	fill(map_anon(SIZE), SIZE, TABLE / 2, 1);
	guards_come_and_go(map_anon(SIZE));
	for (;;) {
		pid_t pid = fork();

		if (!pid)
			_exit(0);
		waitpid(pid, NULL, 0);
	}
}

/* From just after the fork to some hundred calls later. */
static void random_nap(void)
{
	usleep(dice() % (percent(50) ? 3000 : 60000));
}

static pid_t start(void (*fn)(void))
{
	pid_t pid = SYS(fork());

	if (!pid) {
		seed ^= (uint64_t)getpid() << 32;
		fn();
		_exit(0);
	}
	return pid;
}

static void killed(void (*fn)(void))
{
	unsigned int i;
	int status;

	for (i = 0; i < rounds; i++) {
		pid_t pid = start(fn);

		random_nap();
		SYS(kill(pid, SIGKILL));
		SYS(waitpid(pid, &status, 0));
		CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
		      "it ended with %#x", status);
		while (waitpid(-1, NULL, WNOHANG) > 0)
			;
	}
	note("%u kills", rounds);
}

static void in_zaps(void)
{
	killed(zaps);
}

static void in_unmaps(void)
{
	killed(unmaps);
}

static void in_requests(void)
{
	killed(requests);
}

static void in_forks(void)
{
	killed(forks);
}

static void in_scans(void)
{
	long before = counter("scan_freed");
	double end = now() + patience;

	write_text(SCAN, "Y");
	do {
		CHECK(now() < end, "the scanner freed nothing");
		killed(leaves);
	} while (counter("scan_freed") == before);
	write_text(SCAN, "N");
}

/* Who is asked about dies, or who asks does. */
static void in_others(void)
{
	unsigned int i, answers = 0, none = 0;

	for (i = 0; i < rounds; i++) {
		pid_t victim = start(leaves), asker;
		int pidfd = pidfd_of(victim);
		struct ptreclaim_request r;
		int ret;

		asker = SYS(fork());
		if (!asker)
			for (;;) {
				r = (struct ptreclaim_request){ .pidfd = pidfd, .flags = ZEROES };
				request(&r);
			}
		random_nap();
		SYS(kill(percent(50) ? victim : asker, SIGKILL));
		r = (struct ptreclaim_request){ .pidfd = pidfd, .flags = ZEROES };
		ret = request(&r);
		CHECK(!ret || ret == -ESRCH, "%s", strerror(-ret));
		answers += !ret;
		none += !!ret;
		SYS(kill(victim, SIGKILL));
		SYS(kill(asker, SIGKILL));
		SYS(waitpid(victim, NULL, 0));
		SYS(waitpid(asker, NULL, 0));
		r = (struct ptreclaim_request){ .pidfd = pidfd, .flags = ZEROES };
		ret = request(&r);
		CHECK(ret == -ESRCH, "of a process that has gone: %s", strerror(-ret));
		close(pidfd);
	}
	note("%u answers, %u times nobody was there", answers, none);
}

/* Each allocation fails with a chance of one in a hundred, until enough have. */
static void churn_with_bad_luck(void)
{
	/* Its places are taken before anything fails. */
	churn(now() + 3600, 5);
	luck(100);
	do {
		bad_luck(true);
		churn(now() + 3600, 10 * rounds);
		bad_luck(false);
	} while (luck_so_far() <= (long)rounds);
}

static void bad_luck_all_over(void)
{
	churn_with_bad_luck();
	note("%ld allocations made to fail", luck_ends());
}

/* The same with the scanner at work, and decisions of all kinds going either way. */
static void anything(void)
{
	const char *const *d;

	write_text(SCAN, "Y");
	for (d = decisions; *d; d++)
		force(*d, 20);
	churn_with_bad_luck();
	note("%ld allocations made to fail, %ld decisions", luck_ends(), forced_so_far());
	CHECK(unforce() > (long)rounds, "too few decisions");
	write_text(SCAN, "N");
}

const struct test_case random_cases[] = {
	{ "faults.random.allocations", "any of them fails: contents stay", bad_luck_all_over },
	{ "faults.random.all", "any of them fails, any decision: contents stay", anything },
	{ }
};

const struct test_case kill_cases[] = {
	{ "faults.kill.zaps", "SIGKILL at any moment: nothing is left", in_zaps },
	{ "faults.kill.unmaps", "SIGKILL in a large zap: nothing is left", in_unmaps },
	{ "faults.kill.requests", "SIGKILL in a request: nothing is left", in_requests },
	{ "faults.kill.others", "SIGKILL of who is asked about: ESRCH", in_others },
	{ "faults.kill.scans", "SIGKILL beside the scanner: nothing is left", in_scans },
	{ "faults.kill.forks", "SIGKILL in fork(): nothing is left", in_forks },
	{ }
};
