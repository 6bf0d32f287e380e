// SPDX-License-Identifier: GPL-2.0
/* Memory is given back, and an allocation on the way fails. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "faults.h"
#include "leftovers.h"

#ifndef SYS_process_mrelease
#define SYS_process_mrelease	448
#endif

/* So many tables, and pages enough in each that the gather needs room. */
#define LEN		(3 * TABLE)
#define STEP		KIB(64)

static char *p;
static int fd;
static pid_t child;
static unsigned int child_left;

/* The tables above it are there before, and stay. */
static void sweep_here(const struct sweep *s)
{
	p = fresh(LEN);
	sweep(s);
}

static void anon(void)
{
	map_at(p, LEN, PROT_READ | PROT_WRITE, PRIVATE, -1);
	fill(p, LEN, STEP, 1);
}

static void gone(int ret)
{
	CHECK(!ret, "%s", strerror(-ret));
	CHECK(!tables(), "%ld tables are left", tables());
	verify_zero(p, LEN, KIB(512));
	advise(p, LEN, MADV_DONTNEED);
	CHECK(!tables(), "%ld tables are left the second time", tables());
	SYS(munmap(p, LEN));
}

static int dontneed_pieces(void)
{
	size_t i;

	for (i = 0; i < LEN; i += MIB(1))
		if (madvise(p + i, MIB(1), MADV_DONTNEED))
			return -errno;
	return 0;
}

/*
 * Without a page for its pages the gather flushes in between, and drops the PTE
 * lock; without one for its tables each table goes by itself.
 */
static void dontneed(void)
{
	sweep_here(&(struct sweep){ anon, dontneed_pieces, gone, .least = 8 });
}

static int dontneed_all(void)
{
	return madvise(p, LEN, MADV_DONTNEED) ? -errno : 0;
}

static void dontneed_whole(void)
{
	sweep_here(&(struct sweep){ anon, dontneed_all, gone, .least = 2 });
}

static void straddle(void)
{
	size_t i;

	anon();
	for (i = 0; i < LEN; i += TABLE)
		SYS(mprotect(p + i, MIB(1), PROT_READ | PROT_WRITE | PROT_EXEC));
}

static void straddling_vmas(void)
{
	sweep_here(&(struct sweep){ straddle, dontneed_pieces, gone, .least = 8 });
}

/* What could not be unmapped is as it was, and can be when there is memory. */
static int munmap_middle(void)
{
	return munmap(p + TABLE / 2, LEN - TABLE) ? -errno : 0;
}

static void unmapped(int ret)
{
	if (ret) {
		CHECK(ret == -ENOMEM, "%s", strerror(-ret));
		verify(p, LEN, STEP, 1);
		CHECK(!munmap_middle(), "the second time: %m");
	}
	verify(p, TABLE / 2, STEP, 1);
	verify(p + LEN - TABLE / 2, TABLE / 2, STEP, 1);
	CHECK(tables() == 2, "%ld tables are left, not the two at the ends", tables());
	SYS(munmap(p, LEN));
}

static void munmap_case(void)
{
	sweep_here(&(struct sweep){ anon, munmap_middle, unmapped, .least = 3 });
}

/* It is mappings that are allocated here, not room for pages. */
static void few_pages(void)
{
	map_at(p, LEN, PROT_READ | PROT_WRITE, PRIVATE, -1);
	fill(p, LEN, KIB(256), 1);
}

static int decommit_pieces(void)
{
	size_t i;

	for (i = 0; i < LEN; i += KIB(512))
		if (mmap(p + i, KIB(512), PROT_NONE, PRIVATE | MAP_FIXED |
			 MAP_NORESERVE, -1, 0) != p + i)
			return -errno;
	return 0;
}

static void decommitted(int ret)
{
	if (ret)
		CHECK(!decommit_pieces(), "the second time: %m");
	CHECK(!tables(), "%ld tables are left", tables());
	SYS(munmap(p, LEN));
}

static void decommit(void)
{
	sweep_here(&(struct sweep){ few_pages, decommit_pieces, decommitted, .least = 20 });
}

/* By the file: under the rmap lock nothing is freed at once. */
static void shared_file(void)
{
	fd = memfd(LEN);
	map_at(p, LEN, PROT_READ | PROT_WRITE, MAP_SHARED, fd);
	fill(p, LEN, STEP, 1);
}

static int truncate_it(void)
{
	return ftruncate(fd, MIB(1)) ? -errno : 0;
}

static int punch_it(void)
{
	return fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, MIB(1),
			 LEN - MIB(1)) ? -errno : 0;
}

static int remove_it(void)
{
	return madvise(p + MIB(1), LEN - MIB(1), MADV_REMOVE) ? -errno : 0;
}

static void shortened(int ret)
{
	if (ret)
		SYS(ftruncate(fd, MIB(1)));
	verify(p, MIB(1), STEP, 1);
	reclaimed(p, LEN);
	CHECK(tables() == 1, "%ld tables are left, not the one in use", tables());
	SYS(ftruncate(fd, LEN));
	verify_zero(p + MIB(1), LEN - MIB(1), STEP);
	SYS(munmap(p, LEN));
	close(fd);
}

static void truncate_case(void)
{
	sweep_here(&(struct sweep){ shared_file, truncate_it, shortened, .least = 1 });
}

static void punch(void)
{
	sweep_here(&(struct sweep){ shared_file, punch_it, shortened, .least = 1 });
}

static void by_madvise(void)
{
	sweep_here(&(struct sweep){ shared_file, remove_it, shortened, .least = 1 });
}

/* A child that ends while its n-th allocation fails. */
static int child_ends(void)
{
	siginfo_t info;

	child = SYS(fork());
	if (!child) {
		nth_reopen();
		advise(p, LEN / 2, MADV_DONTNEED);
		nth_begin(sweep_nth);
		_exit(0);
	}
	SYS(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	child_left = nth_of(child);
	SYS(waitpid(child, NULL, 0));
	CHECK(info.si_code == CLD_EXITED && !info.si_status,
	      "the child ended with %d", info.si_status);
	return 0;
}

static unsigned int of_child(void)
{
	return child_left;
}

static void parent_is_whole(int ret)
{
	CHECK(!ret, "%s", strerror(-ret));
	verify(p, LEN, STEP, 1);
	SYS(munmap(p, LEN));
}

static void exits(void)
{
	sweep_here(&(struct sweep){ anon, child_ends, parent_is_whole, of_child, .least = 1 });
}

/* Before the point of no return exec() fails; after it the process is killed. */
static int child_execs(void)
{
	siginfo_t info;

	child = SYS(fork());
	if (!child) {
		nth_reopen();
		nth_begin(sweep_nth);
		execl("/proc/self/exe", "faults", "--nothing", NULL);
		_exit(0);
	}
	SYS(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
	child_left = nth_of(child);
	SYS(waitpid(child, NULL, 0));
	/* 127: the C library did not get the memory that it begins with. */
	CHECK(info.si_code != CLD_EXITED || !info.si_status || info.si_status == 127,
	      "the child ended with %d", info.si_status);
	return 0;
}

static void execs(void)
{
	sweep_here(&(struct sweep){ anon, child_execs, parent_is_whole, of_child, .least = 20 });
}

/* A victim that was killed and is stopped on its way out, as in reap.c. */
static void victim(void)
{
	int status;

	anon();
	child = SYS(fork());
	if (!child) {
		SYS(ptrace(PTRACE_TRACEME, 0, 0, 0));
		fill(p, LEN, STEP, 2);
		raise(SIGSTOP);
		for (;;)
			pause();
	}
	SYS(waitpid(child, &status, 0));
	CHECK(WIFSTOPPED(status), "the victim is at %#x", status);
	SYS(ptrace(PTRACE_SETOPTIONS, child, 0, PTRACE_O_TRACEEXIT));
	fd = SYS(syscall(SYS_pidfd_open, child, 0));
	SYS(kill(child, SIGKILL));
	SYS(waitpid(child, &status, 0));
	CHECK(status >> 8 == (SIGTRAP | PTRACE_EVENT_EXIT << 8), "the victim is at %#x",
	      status);
}

static int mrelease(void)
{
	return syscall(SYS_process_mrelease, fd, 0) ? -errno : 0;
}

static void released(int ret)
{
	char path[64];

	if (ret) {
		CHECK(ret == -ENOMEM || ret == -EAGAIN, "%s", strerror(-ret));
		SYS(mrelease());
	}
	snprintf(path, sizeof(path), "/proc/%d/status", child);
	CHECK(read_number(path, "RssAnon") == 0, "%ld kB are left",
	      read_number(path, "RssAnon"));
	SYS(ptrace(PTRACE_CONT, child, 0, 0));
	SYS(waitpid(child, NULL, 0));
	close(fd);
	verify(p, LEN, STEP, 1);
	SYS(munmap(p, LEN));
}

static void mrelease_case(void)
{
	sweep_here(&(struct sweep){ victim, mrelease, released, .least = 1 });
}

#define NONE_LEFT	"each allocation fails in turn: no table left"

const struct test_case alloc_zap_cases[] = {
	{ "faults.alloc.dontneed", NONE_LEFT, dontneed },
	{ "faults.alloc.dontneed_whole", NONE_LEFT, dontneed_whole },
	{ "faults.alloc.dontneed_straddling", NONE_LEFT, straddling_vmas },
	{ "faults.alloc.munmap", NONE_LEFT " or all as before", munmap_case },
	{ "faults.alloc.decommit", NONE_LEFT, decommit },
	{ "faults.alloc.truncate", NONE_LEFT, truncate_case },
	{ "faults.alloc.punch_hole", NONE_LEFT, punch },
	{ "faults.alloc.madv_remove", NONE_LEFT, by_madvise },
	{ "faults.alloc.exit", NONE_LEFT, exits },
	{ "faults.alloc.exec", NONE_LEFT, execs },
	{ "faults.alloc.process_mrelease", NONE_LEFT, mrelease_case },
	{ }
};
