// SPDX-License-Identifier: GPL-2.0
/*
 * What becomes of page tables when something fails: an allocation, a trylock, a
 * limit, the process itself. Each case is a process in a cgroup of its own; at the
 * end none of them may have a table or a page left. With --ko the module is loaded
 * here, and goes at the end; else it is loaded already. As KTAP.
 */
#define _GNU_SOURCE
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/personality.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "faults.h"

#define INJECT		1	/* only where anything can be made to fail */
#define LOAD		2	/* it loads the module itself */
#define BIG		4	/* where anything can, there is no time for it */

/* Those that load it come first. */
static const struct theme {
	const struct test_case *cases;
	unsigned int wants;
} themes[] = {
	{ load_cases, LOAD | INJECT }, { reload_cases, LOAD | BIG },
	{ alloc_zap_cases, INJECT }, { alloc_fill_cases, INJECT },
	{ alloc_map_cases, INJECT }, { alloc_module_cases, INJECT },
	{ forced_cases, INJECT }, { forced_scan_cases, INJECT },
	{ random_cases, INJECT }, { forced_limit_cases, INJECT },
	{ limit_cases, BIG }, { kill_cases, 0 },
};

#define THEMES		(sizeof(themes) / sizeof(*themes))

unsigned int rounds = 40;
uint64_t seed;

static const char *only = "*";
static bool injects, all;	/* the kernel can; all cases all the same */
static int planned, passed, failed;

uint64_t dice(void)
{
	/* splitmix64 */
	uint64_t z = seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

bool percent(unsigned int n)
{
	return dice() % 100 < n;
}

static void result(bool good, const char *name, const char *expects)
{
	if (good)
		passed++;
	else
		failed++;
	printf("%sok %d %s # %s\n", good ? "" : "not ", passed + failed, name, expects);
	fflush(stdout);
}

/*
 * What is in a pipe is charged to who has written it, until somebody has read it;
 * and where a pipe is spliced into a device, for longer. So what a case says goes
 * through a pipe of its own, that is empty and gone when the case is through.
 */
static pid_t relay(int *in)
{
	int end[2];
	pid_t pid;

	SYS(pipe(end));
	pid = SYS(fork());
	if (!pid) {
		static char text[4096];
		ssize_t n;

		close(end[1]);
		while ((n = read(end[0], text, sizeof(text))) > 0)
			if (write(STDOUT_FILENO, text, n) != n)
				_exit(1);
		_exit(0);
	}
	close(end[0]);
	*in = end[1];
	return pid;
}

static void run(const struct test_case *c)
{
	const char *group = group_make(c->name);
	double start = now();
	pid_t pid, reader;
	int status, in;

	fflush(stdout);
	reader = relay(&in);
	pid = fork();
	if (!pid) {
		setpgid(0, 0);
		SYS(dup2(in, STDOUT_FILENO));
		SYS(dup2(in, STDERR_FILENO));
		close(in);
		alarm(300 + 4 * rounds);
		group_join(group);
		groups_forget();
		thp(false);
		c->run();
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) != pid)
		status = -1;
	if (status > 0 && WIFSIGNALED(status))
		note("%s", WTERMSIG(status) == SIGALRM ? "took too long" :
		     strsignal(WTERMSIG(status)));
	kill(-pid, SIGKILL);
	if (!group_kill(group)) {
		note("FAILED: somebody does not die");
		status = -1;
	}
	close(in);
	waitpid(reader, NULL, 0);
	if (injects)
		unforce();
	note("%s took %.1f s", c->name, now() - start);
	result(!status, c->name, c->expects);
}

/* What is set as long as this runs, and what it was. */
static struct {
	const char *path, *value;
	char was[24];
} settings[] = {
	/* Each allocation counts, whatever it may do and however large it is. */
	{ "/sys/kernel/debug/failslab/ignore-gfp-wait", "N", "" },
	{ "/sys/kernel/debug/failslab/verbose", "0", "" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-wait", "N", "" },
	{ "/sys/kernel/debug/fail_page_alloc/ignore-gfp-highmem", "N", "" },
	{ "/sys/kernel/debug/fail_page_alloc/min-order", "0", "" },
	{ "/sys/kernel/debug/fail_page_alloc/verbose", "0", "" },
	/* The scanner at its fastest, when a case switches it on. */
	{ SCAN, "N", "" },
	{ "/sys/module/ptreclaim/parameters/scan_interval_ms", "10", "" },
	{ "/sys/module/ptreclaim/parameters/scan_age_ms", "0", "" },
	{ "/sys/module/ptreclaim/parameters/scan_budget_us", "60000000", "" },
};

#define SETTINGS	(sizeof(settings) / sizeof(*settings))

/* Where they are. */
#define INJECTION	"/sys/kernel/debug/fail"
#define PARAMETERS	"/sys/module/ptreclaim/"

static bool is_under(const char *path, const char *under)
{
	return !strncmp(path, under, strlen(under));
}

static void set(const char *under)
{
	unsigned int i;

	for (i = 0; i < SETTINGS; i++) {
		FILE *f;

		if (!is_under(settings[i].path, under))
			continue;
		f = fopen(settings[i].path, "r");
		CHECK(f && fgets(settings[i].was, sizeof(settings[i].was), f), "%s: %m",
		      settings[i].path);
		fclose(f);
		write_text(settings[i].path, settings[i].value);
	}
}

static void set_back(void)
{
	unsigned int i;

	for (i = 0; i < SETTINGS; i++)
		if (*settings[i].was)
			write_text(settings[i].path, settings[i].was);
}

/* The cases of all themes that want this, or else of those that do not. */
static int each_case(unsigned int what, bool those, void (*fn)(const struct test_case *c))
{
	const struct test_case *c;
	unsigned int i;
	int n = 0;

	for (i = 0; i < THEMES; i++) {
		unsigned int wants = themes[i].wants;

		if (!!(wants & what) != those || (wants & INJECT && !injects) ||
		    (wants & BIG && injects && !all))
			continue;
		for (c = themes[i].cases; c->name; c++) {
			if (fnmatch(only, c->name, 0))
				continue;
			n++;
			if (fn)
				fn(c);
		}
	}
	return n;
}

static void print(const struct test_case *c)
{
	printf("%-36s %s\n", c->name, c->expects);
}

/* Counters are of all processes: what others have left empty goes before a case counts. */
static void free_of_others(void)
{
	long before, after = -1;

	write_text(SCAN, "Y");
	do {
		before = after;
		nap(1000);
		after = counter("scan_freed") + counter("scan_freed_zero");
	} while (after != before);
	write_text(SCAN, "N");
}

/* The cases, and what is looked at when they are through. */
static void run_all(void)
{
	long before, after;
	int ret;

	printf("KTAP version 1\n1..%d\n", planned);
	fflush(stdout);
	note("seed %#lx", seed);
	groups_begin();
	if (injects)
		set(INJECTION);
	if (ko) {
		each_case(LOAD, true, run);
		ret = load();
		CHECK(!ret, "insmod: %s", strerror(-ret));
	}
	set(PARAMETERS);
	free_of_others();
	before = read_number("/proc/vmstat", "nr_page_table_pages");
	each_case(LOAD, false, run);
	result(groups_have_no_tables(), "faults.back.tables",
	       "no table is left in the cgroups of the cases");
	result(groups_have_no_charge(), "faults.back.charge", "nothing else is charged to them");
	result(groups_are_gone(), "faults.back.all", "nor to what was above them");
	after = read_number("/proc/vmstat", "nr_page_table_pages");
	note("nr_page_table_pages: %ld, %ld before", after, before);
	/* The kernel keeps its own: of stacks, and KASAN's shadow of them. */
	result(after < before + 64, "faults.back.system", "nr_page_table_pages is back");
	set_back();
	if (ko)
		result(!unload() && !load() && !unload(), "faults.back.module",
		       "the module goes, and comes again");
	note("%d passed, %d failed", passed, failed);
}

static void usage(int status)
{
	printf("usage: faults [--rounds N] [--seed N] [--patience SECONDS] [--ko MODULE] "
	       "[--parameters TEXT] [--only PATTERN] [--all] [--list]\n");
	exit(status);
}

int main(int argc, char **argv)
{
	int arg;
	bool list = false;

	/* The same addresses every time, hence the same tables. */
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE) &&
	    personality(ADDR_NO_RANDOMIZE) != -1)
		execv("/proc/self/exe", argv);
	patience = 20;
	seed = time(NULL);
	for (arg = 1; arg < argc; arg++) {
		const char *value = argv[arg + 1];

		if (!strcmp(argv[arg], "--nothing"))
			return 0;
		if (!strcmp(argv[arg], "--list")) {
			list = true;
			continue;
		}
		if (!strcmp(argv[arg], "--all")) {
			all = true;
			continue;
		}
		if (!value)
			usage(2);
		if (!strcmp(argv[arg], "--rounds"))
			rounds = atoi(value);
		else if (!strcmp(argv[arg], "--seed"))
			seed = strtoull(value, NULL, 0);
		else if (!strcmp(argv[arg], "--patience"))
			patience = atof(value);
		else if (!strcmp(argv[arg], "--ko"))
			ko = value;
		else if (!strcmp(argv[arg], "--parameters"))
			load_parameters = value;
		else if (!strcmp(argv[arg], "--only"))
			only = value;
		else
			usage(2);
		arg++;
	}
	all |= list;
	injects = list || !access("/sys/kernel/debug/failslab", F_OK);
	if (list) {
		each_case(~0U, false, print);
		each_case(~0U, true, print);
		return 0;
	}
	planned = each_case(LOAD, false, NULL) + 4;
	if (ko)
		planned += each_case(LOAD, true, NULL) + 1;
	run_all();
	return failed ? 1 : 0;
}
