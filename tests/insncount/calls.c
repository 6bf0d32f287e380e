// SPDX-License-Identifier: GPL-2.0
/*
 * calls TIMES: known numbers of things between marks of tools/insncount.
 *
 * Phases 1, 2, 3	TIMES system calls, twice and three times as many
 * 4			PAGES pages of memory are touched
 * 5			each of them is discarded for itself
 * 6			the same while another thread runs, if there is a CPU for it
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096UL
#define PAGES	128UL
#define TABLE	(512 * PAGE)
/* Nobody looks at it. */
#define WARM_UP	99

static atomic_bool running, over;
static char *memory;

static void mark(unsigned long number)
{
	asm volatile("mov %0, %%r14; xchg %%r15, %%r15" : : "r" (number) : "r14", "memory");
}

static void must(bool right, const char *what)
{
	if (!right) {
		perror(what);
		exit(1);
	}
}

static void calls(unsigned long number, long times)
{
	mark(number);
	while (times-- > 0)
		syscall(SYS_getppid);
	mark(0);
}

static void touch(void)
{
	for (unsigned long n = 0; n < PAGES; n++)
		((volatile char *)memory)[n * PAGE] = 1;
}

static void discard(void)
{
	for (unsigned long n = 0; n < PAGES; n++)
		must(!madvise(memory + n * PAGE, PAGE, MADV_DONTNEED), "madvise");
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	must(!sched_setaffinity(0, sizeof(set), &set), "sched_setaffinity");
}

static void *run(void *unused)
{
	stay_on(1);
	atomic_store(&running, true);
	while (!atomic_load(&over))
		;
	return unused;
}

static void beside_another_thread(void)
{
	pthread_t other;

	must(!pthread_create(&other, NULL, run, NULL), "pthread_create");
	while (!atomic_load(&running))
		sched_yield();
	touch();
	mark(6);
	discard();
	mark(0);
	atomic_store(&over, true);
	pthread_join(other, NULL);
}

int main(int argc, char **argv)
{
	long times = argc > 1 ? atol(argv[1]) : 100;

	stay_on(0);
	/* Pages of 4 KiB, in one table. */
	memory = mmap(NULL, 2 * TABLE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	must(memory != MAP_FAILED, "mmap");
	memory = (char *)(((unsigned long)memory + TABLE - 1) & -TABLE);
	must(!madvise(memory, TABLE, MADV_NOHUGEPAGE), "madvise");

	/* The first time there are faults for this program's own code. */
	calls(WARM_UP, times);
	for (unsigned long n = 1; n <= 3; n++)
		calls(n, n * times);
	touch();
	discard();
	mark(4);
	touch();
	mark(0);
	mark(5);
	discard();
	mark(0);
	if (sysconf(_SC_NPROCESSORS_ONLN) > 1)
		beside_another_thread();
	return 0;
}
