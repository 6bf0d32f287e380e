/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Races with one CPU standing still: the host stops it at a chosen function of
 * the kernel or the module (freezer.py), and the others run on. Each case is a
 * process of its own, and says who holds what while the CPU stands.
 */
#ifndef RACES_H
#define RACES_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

#include "../guest/ptest.h"
#include "../guest/request.h"

/* Who runs where. */
enum { CONTROL, STANDING, BESIDE, READER, CPUS };

struct race {
	const char *name;
	void (*run)(void);
	const void *arg;		/* for races made from a table */
	bool everywhere;		/* also without the module */
	bool rare;			/* only with --rare, or by name */
};

extern const struct race *this_race;
extern const struct race window_races[], walk_races[],
	unmap_races[], unload_races[];
const struct race *zap_race_list(void);
const struct race *scan_race_list(void);

/*
 * stop.c: the host. A symbol of the kernel or the module; any: in whatever address
 * space, else in that of the caller; in_table: only if its argument, the third one
 * or lock_vma_under_rcu()'s second one, is an address of the same table.
 */
void host_ready(void);
void symbols_read(void);
void spins_known(void);
void stop_at(int cpu, const char *symbol, bool any, const void *in_table);
/* From now on the function does nothing on this CPU: a mistake made on purpose. */
void leave_out(int cpu, const char *symbol);
bool standing(int cpu);
void let_go(int cpu);
void forget_stops(void);

/* stop.c: threads, each on its CPU, that do one thing at a time. */
struct actor {
	int cpu;
	pthread_t thread;
	void (*_Atomic act)(void);
	_Atomic bool begun, done;
};
extern struct actor standing_one, one_beside;
void actors(void);
void begin(struct actor *actor, void (*act)(void));
void end(struct actor *actor);

/*
 * What the one beside does as long as the other one stands: it goes through
 * (the CPU that stands answers interrupts, as a preempted thread's does), or it
 * waits for a lock that the other one holds. MAY: who comes first decides.
 */
enum conduct { GOES, WAITS, MAY };

struct meeting {
	const char *place;		/* the symbol */
	bool any;
	const void *in_table;
	void (*first)(void);		/* done by the one who stands, or */
	void (*start)(void);		/* what has a kernel thread come there */
	void (*beside)(void);
	enum conduct conduct;
};
void meet(const struct meeting *m);

/* Waits until the CPU stands; fails if its actor comes to an end instead. NULL: a
 * kernel thread is to stand. */
void until_standing(struct actor *actor);
/* Until it has ended; false if it waits for a lock, as far as the host can see,
 * while the other one stands there and answers interrupts. */
bool ends_beside(struct actor *actor);
/* The same where it must not wait for a lock. What it waits for is an answer of another
 * CPU, which on a busy host is late. */
bool goes_beside(struct actor *actor);

/* races.c: who comes by himself, and when. */
void pin_kthread(const char *name, int cpu);
void khugepaged_rests(void);
void khugepaged_works(void);

/* The page of a table that is freed meanwhile goes to somebody else, for certain. */
void remember_table(const void *addr);
void reuse_table(void);

long smaps_kb(const void *addr, const char *key);

#endif
