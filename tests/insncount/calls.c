// SPDX-License-Identifier: GPL-2.0
/*
 * Known numbers of things between marks. Phases 1, 2 and 3: N, 2N and 3N system calls;
 * 4: PAGES pages of memory are touched; 5: each of them is discarded for itself;
 * 6: the same while another thread of the program runs, if there is a CPU for it.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#define PAGE	4096UL
#define PAGES	128UL
#define TABLE	(512 * PAGE)

static atomic_bool running, over;
static char *memory;

static void mark(unsigned long number)
{
	asm volatile("mov %0, %%r14; xchg %%r15, %%r15" : : "r" (number) : "r14", "memory");
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
		if (madvise(memory + n * PAGE, PAGE, MADV_DONTNEED))
			exit(1);
}

static void stay_on(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		exit(1);
}

static void *run(void *unused)
{
	stay_on(1);
	atomic_store(&running, true);
	while (!atomic_load(&over))
		;
	return unused;
}

int main(int argc, char **argv)
{
	long times = argc > 1 ? atol(argv[1]) : 100;
	pthread_t other;

	stay_on(0);
	/* A table of its own, with pages of 4 KiB. */
	memory = mmap(NULL, 2 * TABLE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (memory == MAP_FAILED)
		return 1;
	memory = (char *)(((unsigned long)memory + TABLE - 1) & -TABLE);
	madvise(memory, TABLE, MADV_NOHUGEPAGE);

	for (int round = 0; round < 2; round++)
		/* The first time there are faults for this program's own code. */
		for (unsigned long n = 1; n <= 3; n++)
			calls(round ? n : 99, n * times);

	mark(4);
	touch();
	mark(0);
	mark(5);
	discard();
	mark(0);

	if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
		return 0;
	if (pthread_create(&other, NULL, run, NULL))
		return 1;
	while (!atomic_load(&running))
		sched_yield();
	touch();
	mark(6);
	discard();
	mark(0);
	atomic_store(&over, true);
	pthread_join(other, NULL);
	return 0;
}
