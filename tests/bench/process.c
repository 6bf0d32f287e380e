// SPDX-License-Identifier: GPL-2.0
/* fork() and exec() of a process with a GiB. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "bench.h"

static void child(bool exec)
{
	pid_t pid = SYS(fork());

	if (!pid) {
		if (exec)
			execl("/proc/self/exe", "bench", "--nothing", NULL);
		_exit(0);
	}
	SYS(waitpid(pid, NULL, 0));
}

static char *gib(size_t step)
{
	char *p = fresh(GIB);

	map(p, GIB);
	if (step == PAGE)
		populate(p, GIB);
	else if (step)
		touch(p, GIB, step);
	return p;
}

static void many(const struct row *row, unsigned long times, bool exec)
{
	char *p = gib(row->step);

	for (unsigned long i = 0; i < times; i++) {
		begin();
		child(exec);
		end(1);
	}
	unmap(p, GIB);
}

static void forks(const struct row *row, unsigned long times)
{
	many(row, times, false);
}

static void execs(const struct row *row, unsigned long times)
{
	many(row, times, true);
}

/* Its tables are empty. */
static void forks_empty(const struct row *row, unsigned long times)
{
	char *p = fresh(GIB);

	make_empty(p, GIB / TABLE);
	for (unsigned long i = 0; i < times; i++) {
		begin();
		child(false);
		end(1);
	}
	unmap(p, GIB);
	(void)row;
}

const struct row process_rows[] = {
	{ "fork.small", NOTHING, forks, 50, .step = 0 },
	{ "fork.1g.full", NOTHING, forks, 1, .step = PAGE },
	{ "fork.1g.one_page", NOTHING, forks, 10, .step = TABLE },
	{ "fork.1g.empty", FREES, forks_empty, 10, .step = TABLE },
	{ "exec.1g.one_page", NOTHING, execs, 10, .step = TABLE },
	{ }
};
