// SPDX-License-Identifier: GPL-2.0
/* /dev/ptreclaim: requests for another process, and beside faults. */
#define _GNU_SOURCE
#include <pthread.h>
#include <signal.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leftovers.h"
#include "ptest.h"
#include "request.h"

/* A process that is what fork() has made, with tables for another to free. */
struct other {
	pid_t pid;
	int pidfd, stop;
	char *p;
};

static void start_other(struct other *o, char *(*make)(void))
{
	int ready[2], stop[2];
	char c;

	SYS(pipe(ready));
	SYS(pipe(stop));
	o->pid = SYS(fork());
	if (!o->pid) {
		close(stop[1]);
		ask(SELF, NULL, 0, ZEROES);
		o->p = make();
		SYS(write(ready[1], &o->p, sizeof(o->p)));
		SYS(read(stop[0], &c, 1));
		verify_zero(o->p, SIZE, KIB(64));
		_exit(0);
	}
	close(ready[1]);
	CHECK(read(ready[0], &o->p, sizeof(o->p)) == sizeof(o->p),
	      "the child failed");
	close(ready[0]);
	close(stop[0]);
	o->stop = stop[1];
	o->pidfd = pidfd_of(o->pid);
}

static void end_other(struct other *o)
{
	int status;

	close(o->stop);
	SYS(waitpid(o->pid, &status, 0));
	CHECK(!status, "the child ended with status %#x", status);
	close(o->pidfd);
}

static void by_pidfd(void)
{
	static char *(*const makes[])(void) = {
		guard_removed, zero_pages, straddling_zero_pages,
	};
	struct ptreclaim_request r;
	struct other o;
	size_t i;
	long n;

	if (!device_there())
		return;
	for (i = 0; i < 6; i++) {
		start_other(&o, makes[i / 2]);
		n = pid_tables(o.pid);
		mark();
		r = ask(o.pidfd, o.p, SIZE, ZEROES | DRY);
		CHECK(r.tables == NR && !all_kept(&r), "%llu tables",
		      r.tables);
		CHECK(pid_tables(o.pid) == n, "a dry run has freed tables");
		r = foretold(o.pidfd, i % 2 ? o.p : NULL, i % 2 ? SIZE : 0,
			     ZEROES);
		CHECK(r.freed == NR, "%llu tables freed", r.freed);
		CHECK(pid_tables(o.pid) == n - NR, "%ld tables went",
		      n - pid_tables(o.pid));
		CHECK(tables() == 0, "%ld of its own tables went", -tables());
		end_other(&o);
	}
	/* Its own pidfd means itself. */
	guard_removed();
	i = pidfd_of(getpid());
	r = foretold(i, NULL, 0, 0);
	CHECK(r.freed == NR, "%llu tables freed", r.freed);
}

static char *area;
static _Atomic bool over;
static _Atomic long requested;

static void *requests(void *arg)
{
	int pidfd = *(int *)arg;
	unsigned int i;

	pin(1);
	for (i = 0; !over; i++) {
		size_t skip = i % 8 * KIB(640);

		requested += ask(pidfd, area + skip, SIZE - skip, i % 3 ?
				 ZEROES : ZEROES | FULLNESS).freed;
		if (i % 5 == 0)
			ask(pidfd, area, SIZE, ZEROES | FULLNESS | DRY);
	}
	return NULL;
}

/* Each of two threads has half of each table, and one goes with both. */
static void *use_and_give_back(void *arg)
{
	uint64_t seed = (uintptr_t)arg;
	char *p = area + seed * MIB(1);
	double stop = now() + seconds;
	size_t i;

	pin(seed);
	for (; now() < stop || !requested; seed += 16) {
		for (i = 0; i < SIZE; i += TABLE)
			verify_zero(p + i, MIB(1), KIB(64));
		/* Every other time the zero pages are left to requests. */
		if (seed & 16) {
			nap(seed / 16 % 10);
			continue;
		}
		for (i = 0; i < SIZE; i += TABLE)
			fill(p + i, MIB(1), KIB(32), seed);
		for (i = 0; i < SIZE; i += TABLE) {
			verify(p + i, MIB(1), KIB(32), seed);
			advise(p + i, KIB(512), MADV_DONTNEED);
			verify_zero(p + i, KIB(512), KIB(32));
			verify(p + i + KIB(512), KIB(512), KIB(32), seed);
		}
		for (i = 0; i < SIZE; i += TABLE)
			advise(p + i + KIB(512), KIB(512), MADV_DONTNEED);
	}
	return NULL;
}

/* Requests of its own and of another process, while threads use the range. */
static void beside_faults(bool halves)
{
	int self = SELF, parent, i, status;
	pthread_t user[2], asks;
	pid_t pid;

	if (!device_there())
		return;
	area = map_anon(SIZE);
	if (halves)
		in_halves(area);
	parent = pidfd_of(getpid());
	pid = SYS(fork());
	if (!pid) {
		requests(&parent);
		_exit(0);
	}
	CHECK(!pthread_create(&asks, NULL, requests, &self), "no thread");
	for (i = 0; i < 2; i++)
		CHECK(!pthread_create(&user[i], NULL, use_and_give_back,
				      (void *)(uintptr_t)i), "no thread");
	for (i = 0; i < 2; i++)
		pthread_join(user[i], NULL);
	over = true;
	pthread_join(asks, NULL);
	CHECK(waitpid(pid, &status, WNOHANG) == 0, "the other has failed");
	SYS(kill(pid, SIGKILL));
	SYS(waitpid(pid, &status, 0));
	note("%ld tables freed by request", requested);
	foretold(SELF, area, SIZE, ZEROES);
	CHECK(!ask(SELF, area, SIZE, DRY).tables, "tables are left");
	verify_zero(area, SIZE, KIB(64));
}

static void beside_faults_in_one_vma(void)
{
	beside_faults(false);
}

static void beside_faults_in_halves(void)
{
	beside_faults(true);
}

const struct test_case pidfd_cases[] = {
	{ "device.by_pidfd", ASKED " by another process", by_pidfd },
	{ "device.beside_faults", "contents intact, all " ASKED,
	  beside_faults_in_one_vma },
	{ "device.beside_faults_in_halves", "contents intact, all " ASKED,
	  beside_faults_in_halves },
	{ }
};
