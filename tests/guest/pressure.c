// SPDX-License-Identifier: GPL-2.0
/* Empty tables where memory is short: they go before anything else has to. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"

#define CGROUP		"/sys/fs/cgroup/ptest"
#define MAX		"24M"	/* room for 6144 tables, were there nothing else */
#define TABLES		16384UL

static void cgroup_write(const char *file, const char *text)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP "/%s", file);
	write_text(path, text);
}

static long cgroup_read(const char *file, const char *key)
{
	char path[128];

	snprintf(path, sizeof(path), CGROUP "/%s", file);
	return read_number(path, key);
}

/* Runs fn in a cgroup with little memory; returns its status. */
static int with_little(void (*fn)(void))
{
	int status, i;
	pid_t pid;

	write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
	SYS(mkdir(CGROUP, 0755));
	cgroup_write("memory.max", MAX);
	cgroup_write("memory.swap.max", "0");
	pid = SYS(fork());
	if (!pid) {
		char self[16];

		snprintf(self, sizeof(self), "%d", getpid());
		cgroup_write("cgroup.procs", self);
		fn();
		_exit(0);
	}
	SYS(waitpid(pid, &status, 0));
	note("%ld kills", cgroup_read("memory.events", "oom_kill"));
	/* What the child had goes a little later than the child. */
	for (i = 0; i < 100 && rmdir(CGROUP); i++)
		nap(20);
	return status;
}

/* A page in each of many tables, each given back at once by its file. */
static void touch_and_punch(void)
{
	int fd = memfd(TABLES * TABLE);
	char *p = mmap(NULL, TABLES * TABLE, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_NORESERVE, fd, 0);
	size_t i;

	CHECK(p != MAP_FAILED, "mmap: %m");
	for (i = 0; i < TABLES; i++) {
		*(volatile char *)(p + i * TABLE) = 1;
		SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      i * TABLE, PAGE));
	}
}

static void memory_cgroup(void)
{
	int status = with_little(touch_and_punch);

	if (mode == MODE_MODULE) {
		CHECK(status == 0, "ended with status %#x", status);
		return;
	}
	CHECK(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL,
	      "ended with status %#x, not killed", status);
}

const struct test_case pressure_cases[] = {
	{ "pressure.memory_cgroup", "freed instead of an OOM kill",
	  memory_cgroup },
	{ }
};
