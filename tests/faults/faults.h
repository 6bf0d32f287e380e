/* SPDX-License-Identifier: GPL-2.0 */
/* What is common to the cases in which something fails. */
#ifndef FAULTS_H
#define FAULTS_H

#include "ptest.h"

extern const struct test_case alloc_zap_cases[], alloc_fill_cases[],
	alloc_map_cases[], alloc_module_cases[], forced_cases[],
	forced_scan_cases[], limit_cases[], kill_cases[], random_cases[],
	load_cases[], reload_cases[], forced_limit_cases[];

extern unsigned int rounds;	/* of what is repeated at random moments */
extern uint64_t seed;

/* load.c: the module is of this file, and is loaded with these; 0 or -errno. */
extern const char *ko, *load_parameters;
int load(void);
int unload(void);

uint64_t dice(void);
/* Is about n of a hundred times. */
bool percent(unsigned int n);

/*
 * nth.c: the n-th allocation of this thread fails; of slabs, of pages of any
 * order and with any flags. What is counted is what was really made to fail.
 */
void nth_begin(unsigned int n);
/* Ends it, and gives how many allocations before the n-th are left: 0, it failed. */
unsigned int nth_end(void);
/* The same of a process that has exited and was not waited for. */
unsigned int nth_of(pid_t pid);
/* In a process of its own: what its next allocations are counted by. */
void nth_reopen(void);

#define NTH_NEVER	1000000U

/* The n of this round, for those who begin it themselves. */
extern unsigned int sweep_nth;

/*
 * The first allocation of @act fails, then the second, until there is none more; of
 * more than two a round some are left out, others with each seed. Each round makes
 * what it needs, and leaves no table.
 */
struct sweep {
	void (*make)(void);
	int (*act)(void);		/* 0 or -errno */
	/* What has become of it. When @act failed, it is tried again here. */
	void (*look)(int ret);
	/* Instead of nth_end() after @act, if it is not this thread's. */
	unsigned int (*rest)(void);
	/* With fewer than that it tests nothing. */
	unsigned int least;
};

void sweep(const struct sweep *s);

/* Tables of the range that nobody needs go on request, and none is kept for another reason. */
void reclaimed_at(const char *file, int line, const void *p, size_t len);
#define reclaimed(p, len)	reclaimed_at(__FILE__, __LINE__, p, len)

/*
 * fail.c: a function that decides says no, so many times of a hundred. How often
 * it did is counted.
 */
void force(const char *function, unsigned int of_hundred);
long forced_so_far(void);
long unforce(void);
extern const char *const decisions[];

/* make-it-fail: allocations of this process fail, so many of ten thousand. */
void luck(unsigned int of_ten_thousand);
void bad_luck(bool on);
long luck_so_far(void);
long luck_ends(void);

/* group.c: a cgroup for each case, and what is left in it when all have gone. */
void groups_begin(void);
const char *group_make(const char *name);
void group_join(const char *group);
void group_write(const char *group, const char *file, const char *text);
long group_read(const char *group, const char *file, const char *key);
/* Kills all, and waits until nobody is left. */
bool group_kill(const char *group);
void groups_forget(void);
/* Say what is left, if anything is. */
bool groups_have_no_tables(void);
bool groups_have_no_charge(void);
bool groups_are_gone(void);

/* churn.c: random calls on memory whose contents are known; errors are allowed. */
void churn(double until, unsigned int most_rounds);

#endif
