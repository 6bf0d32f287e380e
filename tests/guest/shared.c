// SPDX-License-Identifier: GPL-2.0
/* Tables that VMAs share, and MADV_DONTNEED of other kinds of VMAs. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"

/* Two VMAs in each table, the second one read-only. */
static char *halves(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	mark();
	fill(p, SIZE, KIB(64), 1);
	for (i = MIB(1); i < SIZE; i += TABLE)
		SYS(mprotect(p + i, MIB(1), PROT_READ));
	left(NR, NR, NR);
	return p;
}

static void one_call(void)
{
	char *p = halves();

	advise(p, SIZE, MADV_DONTNEED);
	left(NR, NR, 0);
	verify_zero(p, SIZE, KIB(64));
}

/* Under one VMA's lock only: the module has to get the mmap lock as well. */
static void call_per_vma(void)
{
	char *p = halves();
	size_t i;

	counters_mark();
	for (i = 0; i < SIZE; i += TABLE) {
		advise(p + i, MIB(1), MADV_DONTNEED);
		verify(p + i + MIB(1), MIB(1), KIB(64), 1);
		advise(p + i + MIB(1), MIB(1), MADV_DONTNEED);
	}
	left(NR, NR, 0);
	grew("freed", NR);
	verify_zero(p, SIZE, KIB(64));
}

/* The neighbour was never touched: nothing of it is lost, or in the way. */
static void untouched_neighbour(void)
{
	char *p = map_anon(SIZE);
	size_t i;

	for (i = MIB(1); i < SIZE; i += TABLE)
		SYS(mprotect(p + i, MIB(1), PROT_NONE));
	mark();
	for (i = 0; i < SIZE; i += TABLE)
		fill(p + i, MIB(1), KIB(64), 1);
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE)
		advise_pieces(p + i, MIB(1), KIB(256), MADV_DONTNEED);
	left(NR, NR, 0);
}

static void live_neighbour(void)
{
	char *p = halves();
	size_t i;

	for (i = 0; i < SIZE; i += TABLE)
		advise(p + i, MIB(1), MADV_DONTNEED);
	left(NR, NR, NR);
	for (i = 0; i < SIZE; i += TABLE) {
		verify_zero(p + i, MIB(1), KIB(64));
		verify(p + i + MIB(1), MIB(1), KIB(64), 1);
	}
}

static volatile bool forking;

static void *fork_often(void *unused)
{
	(void)unused;
	pin(1);
	while (forking) {
		pid_t pid = SYS(fork());

		if (!pid)
			_exit(0);
		SYS(waitpid(pid, NULL, 0));
	}
	return NULL;
}

/*
 * Another thread holds the mmap lock for writing much of the time. A table
 * whose last page goes just then stays, and is counted; no other one stays.
 */
static void mmap_lock_taken(void)
{
	static char *low, *p;
	size_t tables_at_once = 64, i;
	long straddles = 0, kept, was;
	double end = now() + 30;
	pthread_t t;

	low = map_anon(32 * TABLE);
	fill(low, 32 * TABLE, PAGE, 1);
	forking = true;
	CHECK(!pthread_create(&t, NULL, fork_often, NULL), "no thread");
	nap(20);
	do {
		/* A range of its own each time, for nothing is `refilled`. */
		p = map_anon(tables_at_once * TABLE);
		for (i = 0; i < tables_at_once; i++)
			SYS(mprotect(p + i * TABLE, MIB(1), PROT_READ));
		fill(p + MIB(1), PAGE, PAGE, 1);
		mark();
		for (i = 1; i < tables_at_once; i++)
			fill(p + i * TABLE + MIB(1), PAGE, PAGE, 1);
		was = counter("kept_straddles");
		for (i = 1; i < tables_at_once; i++)
			advise(p + i * TABLE + MIB(1), PAGE, MADV_DONTNEED);
		straddles = counter("kept_straddles") - was;
		kept = tables();
		if (mode == MODE_MODULE)
			CHECK(kept == straddles,
			      "%ld tables left, %ld counted as straddles",
			      kept, straddles);
		else
			left(tables_at_once - 1, tables_at_once - 1, 0);
		SYS(munmap(p, tables_at_once * TABLE));
	} while (mode == MODE_MODULE && !straddles && now() < end);
	forking = false;
	pthread_join(t, NULL);
	if (mode == MODE_MODULE)
		CHECK(straddles > 0, "the mmap lock was always free");
	verify(low, 32 * TABLE, PAGE, 1);
}

static void shmem_whole(void)
{
	char *p = map_shared(SIZE);

	mark();
	fill(p, SIZE, KIB(64), 1);
	left(NR, NR, NR);
	advise(p, SIZE, MADV_DONTNEED);
	left(NR, 0, 0);
	/* The memory is the file's, not the mapping's. */
	verify(p, SIZE, KIB(64), 1);
}

static void shmem_by_64k(void)
{
	char *p = map_shared(SIZE);

	mark();
	fill(p, SIZE, KIB(64), 1);
	left(NR, NR, NR);
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	verify(p, SIZE, KIB(64), 1);
}

/* A private writable file mapping with its own pages and the file's. */
static char *private_file(void)
{
	int fd = memfd(SIZE);
	char *file = map_at(fresh(SIZE), SIZE, PROT_READ | PROT_WRITE,
			    MAP_SHARED, fd);
	char *p = map_at(fresh(SIZE), SIZE, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE, fd);
	size_t i;

	for (i = 0; i < SIZE; i += KIB(64))
		*(uint64_t *)(file + i) = i + 1;
	mark();
	fill(p, SIZE, KIB(128), 1);
	for (i = KIB(64); i < SIZE; i += KIB(128))
		CHECK(*(volatile uint64_t *)(p + i) == i + 1, "wrong page");
	left(NR, NR, NR);
	return p;
}

static void verify_file(char *p)
{
	size_t i;

	for (i = 0; i < SIZE; i += KIB(64))
		CHECK(*(volatile uint64_t *)(p + i) == i + 1,
		      "+%#zx is not the file's page", i);
}

static void private_file_whole(void)
{
	char *p = private_file();

	advise(p, SIZE, MADV_DONTNEED);
	left(NR, 0, 0);
	verify_file(p);
}

static void private_file_by_64k(void)
{
	char *p = private_file();

	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	verify_file(p);
}

/* Armed with userfaultfd, but without a marker left. */
static void uffd_without_markers(void)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };
	int fd = SYS(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));
	char *p = map_anon(SIZE);

	SYS(ioctl(fd, UFFDIO_API, &api));
	mark();
	fill(p, SIZE, KIB(64), 1);
	reg.range.start = (uintptr_t)p;
	reg.range.len = SIZE;
	SYS(ioctl(fd, UFFDIO_REGISTER, &reg));
	advise_pieces(p, SIZE, KIB(64), MADV_DONTNEED);
	left(NR, NR, 0);
	SYS(ioctl(fd, UFFDIO_UNREGISTER, &reg.range));
	verify_zero(p, SIZE, KIB(64));
}

const struct test_case shared_cases[] = {
	{ "shared.one_call", FREED, one_call },
	{ "shared.call_per_vma", FREED, call_per_vma },
	{ "shared.untouched_neighbour", FREED, untouched_neighbour },
	{ "shared.live_neighbour", NEEDED " (present)", live_neighbour },
	{ "shared.mmap_lock_taken", "kept: straddles, as many as counted",
	  mmap_lock_taken },
	{ "kinds.shmem_whole", FREED, shmem_whole },
	{ "kinds.shmem_by_64k", FREED, shmem_by_64k },
	{ "kinds.private_file_whole", FREED, private_file_whole },
	{ "kinds.private_file_by_64k", FREED, private_file_by_64k },
	{ "kinds.uffd_without_markers", FREED, uffd_without_markers },
	{ }
};
