// SPDX-License-Identifier: GPL-2.0
/* /dev/ptreclaim: requests that a signal ends early. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"
#include "request.h"

/* So many tables that a request takes a while. */
#define MANY	20000UL

static char *many;
static double whole_time;
static _Atomic bool sender_stop;
static double sent_at;
static _Atomic long sent;

static void handler(int sig)
{
	(void)sig;
}

static void make_many(void)
{
	size_t i;

	if (!many)
		many = map_at(fresh_bare(MANY * TABLE, GIB), MANY * TABLE,
			      PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (i = 0; i < MANY; i++)
		CHECK(!*(volatile uint64_t *)(many + i * TABLE), "not zero");
}

static void measure(void)
{
	struct ptreclaim_request r;
	double start = now();

	r = ask(SELF, many, MANY * TABLE, DRY | FULLNESS);
	whole_time = now() - start;
	CHECK(r.tables == MANY && r.zero_only == MANY, "%llu tables",
	      r.tables);
}

static void sleep_for(double s)
{
	usleep(s * 1e6);
}

static void *sender(void *arg)
{
	pthread_t target = *(pthread_t *)arg;

	pin(1);
	while (!sender_stop) {
		sleep_for(whole_time / 4);
		sent_at = now();
		sent++;
		pthread_kill(target, SIGALRM);
	}
	return NULL;
}

/*
 * One request after the other, each from where a signal has ended the last:
 * together they see each table once. Gives how often a signal came.
 */
static int in_parts(uint32_t flags, uint64_t *tables, uint64_t *freed)
{
	struct ptreclaim_request r = { .start = (uintptr_t)many };
	uint64_t end = r.start + MANY * TABLE;
	int interrupted = 0, ret;

	*tables = *freed = 0;
	do {
		struct ptreclaim_request next = {
			.pidfd = SELF, .flags = flags, .start = r.start,
			.len = end - r.start,
		};
		double late;

		r = next;
		ret = request(&r);
		late = now() - sent_at;
		CHECK(!ret || ret == -EINTR, "%s", strerror(-ret));
		if (ret) {
			interrupted++;
			CHECK(late < whole_time / 2 + 0.05,
			      "%.3f s until the signal was heeded, of %.3f",
			      late, whole_time);
		}
		*tables += r.tables;
		*freed += r.freed;
		r.start = r.next;
	} while (ret);
	CHECK(r.next == end, "it ends at %#llx", r.next);
	return interrupted;
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pthread_t self = pthread_self(), thread;
	uint64_t seen, freed;
	int n, i;

	if (!device_there())
		return;
	/* The upper tables first: these stay. */
	make_many();
	ask(SELF, many, MANY * TABLE, ZEROES);
	mark();
	make_many();
	left(MANY, MANY, MANY);
	measure();
	/* For this case the alarm is another. */
	SYS(sigaction(SIGALRM, &sa, NULL));
	CHECK(!pthread_create(&thread, NULL, sender, &self), "no thread");
	for (i = n = 0; i < 5 && n < 3; i++) {
		n = in_parts(DRY | FULLNESS, &seen, &freed);
		CHECK(seen == MANY && !freed, "%lu tables seen", seen);
	}
	note("%.3f s, %d times interrupted", whole_time, n);
	CHECK(n > 0, "%ld signals, and none came in between", sent);
	left(MANY, MANY, MANY);

	n = in_parts(FULLNESS | ZEROES, &seen, &freed);
	note("%d times interrupted, freeing", n);
	CHECK(n > 0, "%ld signals, and none came in between", sent);
	CHECK(seen == MANY && freed == MANY, "%lu tables seen, %lu freed", seen, freed);
	left(MANY, MANY, 0);
	sender_stop = true;
	pthread_join(thread, NULL);
}

static void killed(void)
{
	double delay, start, took;
	int pidfd, i, status;
	pid_t pid;
	long n;

	if (!device_there())
		return;
	make_many();
	measure();
	pidfd = pidfd_of(getpid());
	delay = whole_time / 2;
	for (i = 0; i < 8; i++, delay /= 2) {
		ask(SELF, many, MANY * TABLE, ZEROES);
		mark();
		make_many();
		left(MANY, MANY, MANY);
		pid = SYS(fork());
		if (!pid) {
			pin(1);
			ask(pidfd, many, MANY * TABLE, ZEROES | FULLNESS);
			_exit(0);
		}
		sleep_for(delay);
		start = now();
		SYS(kill(pid, SIGKILL));
		SYS(waitpid(pid, &status, 0));
		took = now() - start;
		n = tables();
		note("killed after %.3f s: gone %.3f s later, %ld tables left",
		     delay, took, n);
		CHECK(took < whole_time / 2 + 0.5, "%.3f s until it was gone",
		      took);
		if (n > 0 && n < (long)MANY)
			break;
		delay = n ? delay * 3 : delay;
	}
	CHECK(i < 8, "none was killed in between");
	/* The rest goes with the next. */
	ask(SELF, many, MANY * TABLE, ZEROES);
	left(MANY, MANY, 0);
}

const struct test_case cut_short_cases[] = {
	{ "device.interrupted", "ended by a signal, and gone on with",
	  interrupted },
	{ "device.killed", "ended by SIGKILL", killed },
	{ }
};
