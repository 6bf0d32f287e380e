/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A small harness for scenarios about page tables. Every case runs in a
 * process of its own, at addresses no other case uses, and prints KTAP.
 */
#ifndef PTEST_H
#define PTEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define PAGE		4096UL
#define TABLE		(2UL << 20)	/* what one PTE table maps */
#define GIB		(1UL << 30)	/* what one PMD table maps */
#define NR		32		/* tables in a usual case */
#define SIZE		(NR * TABLE)
#define KIB(n)		((n) * 1024UL)
#define MIB(n)		((n) * KIB(1024))

/* Cases are about the other ways unless they switch this one on. */
#define SCAN		"/sys/module/ptreclaim/parameters/scan"

/* MODE_ANY: it changes meanwhile; only contents can be checked. */
enum mode { MODE_OFF, MODE_BUILTIN, MODE_MODULE, MODE_ANY };

extern enum mode mode;
extern unsigned int seconds;		/* how long the stress cases run */
extern double patience;			/* seconds the background may take */

struct test_case {
	const char *name;
	const char *expects;
	void (*run)(void);
};

/* Each theme is one file with one such list, ended by an empty entry. */
extern const struct test_case dontneed_cases[], shared_cases[], unmap_cases[],
	marker_cases[], later_cases[], pressure_cases[], upper_cases[],
	huge_cases[], reap_cases[], survive_cases[], race_cases[],
	device_cases[], pidfd_cases[], count_cases[], refuse_cases[],
	permission_cases[], cut_short_cases[], mirror_cases[],
	refault_cases[], tlb_cases[], attack_cases[];

/* What a case expects, for the heads of KTAP lines. */
#define FREED		"freed at once"
#define LATER		"freed by the background scan"
#define ASKED		"freed on request"
#define NEEDED		"kept: needed"

__attribute__((noreturn, format(printf, 3, 4)))
void fail_at(const char *file, int line, const char *fmt, ...);
__attribute__((format(printf, 1, 2)))
void note(const char *fmt, ...);

#define FAIL(...)	fail_at(__FILE__, __LINE__, __VA_ARGS__)
#define CHECK(cond, ...)						\
	do {								\
		if (!(cond))						\
			fail_at(__FILE__, __LINE__, __VA_ARGS__);	\
	} while (0)
#define SYS(call)							\
	({								\
		long sys_ret = (long)(call);				\
		if (sys_ret == -1)					\
			fail_at(__FILE__, __LINE__, "%s: %m", #call);	\
		sys_ret;						\
	})

/* Addresses: each call gives a range nothing has used; see ptest.c. */
char *fresh(size_t size);
char *fresh_bare(size_t size, size_t align);
char *map_at(char *addr, size_t size, int prot, int flags, int fd);
char *map_anon(size_t size);
char *map_shared(size_t size);
int memfd(size_t size);

/* Contents: a word per page, unlike in every page and every round. */
uint64_t word(const char *addr, uint64_t seed);
void fill(char *addr, size_t len, size_t step, uint64_t seed);
void verify_at(const char *file, int line, const char *addr, size_t len,
	       size_t step, uint64_t seed);
void verify_zero_at(const char *file, int line, const char *addr, size_t len,
		    size_t step);
#define verify(addr, len, step, seed)					\
	verify_at(__FILE__, __LINE__, addr, len, step, seed)
#define verify_zero(addr, len, step)					\
	verify_zero_at(__FILE__, __LINE__, addr, len, step)

/* Tables: those the process has gained since mark(). */
void mark(void);
long tables(void);
long pid_tables(pid_t pid);
void left_at(const char *file, int line, long off, long builtin, long module);
#define left(off, builtin, module)					\
	left_at(__FILE__, __LINE__, off, builtin, module)

/* With the background scanner on, as it is by default: so many tables are left
 * within a second, or stay for longer than it takes to free them. */
void background_at(const char *file, int line, long want);
#define background(want)	background_at(__FILE__, __LINE__, want)
void background_keeps_at(const char *file, int line, long want);
#define background_keeps(want)	background_keeps_at(__FILE__, __LINE__, want)

/* Counters of the module; with the other modes there is nothing to check. */
long counter(const char *name);
void counters_mark(void);
void grew_at(const char *file, int line, const char *name, long least);
#define grew(name, least)	grew_at(__FILE__, __LINE__, name, least)

/* What the page tables hold for an address, by /proc/self/pagemap. */
#define PM_SOFT_DIRTY	(1ULL << 55)
#define PM_GUARD	(1ULL << 58)
#define PM_UFFD_WP	(1ULL << 57)
#define PM_SWAP		(1ULL << 62)
#define PM_PRESENT	(1ULL << 63)
uint64_t pagemap(const void *addr);
size_t pages_with(const char *addr, size_t len, uint64_t bits);

long read_number(const char *path, const char *key);
void write_text(const char *path, const char *text);
void nap(unsigned int ms);
long refill_ms(void);
void nap_refills(void);
double now(void);
void pin(int cpu);
void thp(bool on);
/* Whether khugepaged, whenever it comes by, takes a table with holes for a huge
 * page. Without, a table that is not full stays as the case has left it. */
void khugepaged(bool fills_holes);

/* Runs fn in a child and fails with it. */
void in_child(void (*fn)(void *), void *arg);

/* madvise() over a range in pieces; fails on any error. */
void advise(char *addr, size_t len, int advice);
void advise_pieces(char *addr, size_t len, size_t piece, int advice);

/* Reclaim of the range, until no page is left in its tables, or until all of
 * them are in swap; fails if that does not come to be. */
void page_out(char *addr, size_t len);
void swap_out(char *addr, size_t len);

#ifndef MADV_DONTNEED_LOCKED
#define MADV_DONTNEED_LOCKED	24
#endif
#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE		25
#endif
#ifndef MADV_GUARD_INSTALL
#define MADV_GUARD_INSTALL	102
#define MADV_GUARD_REMOVE	103
#endif
#ifndef MADV_PAGEOUT
#define MADV_PAGEOUT		21
#endif

#endif
