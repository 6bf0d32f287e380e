// SPDX-License-Identifier: GPL-2.0
/*
 * Who runs when. Under -icount one CPU runs at a time, until the next timer of any CPU is
 * due. So each worker sets timers before an operation, at random moments inside of it: nobody
 * waits for them, and their interrupt does nothing, but it is another CPU's turn.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <sys/timerfd.h>
#include <time.h>

#include "schedule.h"

/* Cuts come 2^shortest to 2^(shortest + span) ns after their operation has begun. */
static unsigned int shortest, span;

/* An instruction takes 2^shift ns. */
void pace_of(uint64_t number, unsigned int shift)
{
	struct rng r = { mix(number, 0x9ace) };

	shortest = 9 + below(&r, 4) + shift;
	span = 3 + below(&r, 4);
}

static uint64_t some_ns(struct rng *r)
{
	uint64_t least = 1ULL << (shortest + below(r, span));

	return least + next_random(r) % least;
}

void make_cuts(struct worker *w)
{
	int i;

	for (i = 0; i < CUTS; i++)
		w->cuts[i] = must(w, timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC));
}

void before_operation(struct worker *w)
{
	volatile unsigned int spin;
	struct timespec ts = { 0 };
	int i;

	switch (below(&w->pace, 12)) {
	case 0:
		sched_yield();
		break;
	case 1:
		ts.tv_nsec = some_ns(&w->pace);
		nanosleep(&ts, NULL);
		break;
	case 2:
		for (spin = below(&w->pace, 20000); spin; spin--)
			;
		break;
	}
	for (i = 0; i < CUTS; i++) {
		struct itimerspec cut = { .it_value.tv_nsec = some_ns(&w->pace) };

		timerfd_settime(w->cuts[i], 0, &cut, NULL);
	}
}
