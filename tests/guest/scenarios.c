// SPDX-License-Identifier: GPL-2.0
/*
 * Every way a user page table can become empty, and what becomes of it, as
 * KTAP. `--list` names the cases, each with what it expects of the module; what
 * it expects in each mode is in left(off, builtin, module). With `--mode any`
 * the mode may change meanwhile; only races, which check contents, can be run,
 * and with `--thp` they get huge pages as the system has them.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <fnmatch.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"

static const struct test_case *const themes[] = {
	dontneed_cases, shared_cases, unmap_cases, marker_cases, later_cases,
	pressure_cases, upper_cases, huge_cases, reap_cases, survive_cases,
	race_cases, device_cases, pidfd_cases, count_cases, refuse_cases,
	permission_cases, cut_short_cases, mirror_cases, refault_cases,
	tlb_cases, attack_cases,
};

static const char *only = "*";
static bool huge;

static void usage(int status)
{
	printf("usage: scenarios [--mode off|builtin|module|any] [--seconds N] "
	       "[--patience SECONDS] [--only PATTERN] [--thp] [--list]\n");
	exit(status);
}

/* The kernel behaves as if the module were not there unless it is enabled. */
static const char *mode_mismatch(void)
{
	char enabled[4] = "";
	FILE *f = fopen("/sys/module/ptreclaim/parameters/enabled", "r");
	bool loaded = f;

	if (f && !fgets(enabled, sizeof(enabled), f))
		enabled[0] = 0;
	if (f)
		fclose(f);
	if (huge && mode != MODE_ANY)
		return "--thp is for --mode any";
	if (mode == MODE_ANY)
		return strncmp(only, "race.", 5) ? "--only race.*, please" : NULL;
	if (mode == MODE_MODULE && (!loaded || enabled[0] != 'Y'))
		return "the module is not loaded and enabled";
	if (mode != MODE_MODULE && loaded && enabled[0] == 'Y')
		return "the module is loaded and enabled";
	if (mode == MODE_MODULE && counter("freed") < 0)
		return "the module's counters cannot be read";
	return NULL;
}

/* Swap on a RAM disk, for the cases about it, unless there is some. */
static void make_swap(void)
{
	static uint32_t page[PAGE / 4];
	const char *disk = "/dev/zram0";
	char line[256] = "";
	FILE *f = fopen("/proc/swaps", "r");
	int fd, n = 0;

	while (f && fgets(line, sizeof(line), f))
		n++;
	if (f)
		fclose(f);
	f = n < 2 ? fopen("/sys/block/zram0/disksize", "w") : NULL;
	if (!f)
		return;
	fputs("256M", f);
	fclose(f);
	/* union swap_header: version, and the number of the last page. */
	page[1024 / 4] = 1;
	page[1024 / 4 + 1] = (256 << 8) - 1;
	memcpy((char *)page + PAGE - 10, "SWAPSPACE2", 10);
	fd = open(disk, O_WRONLY);
	if (fd < 0 || write(fd, page, PAGE) != PAGE || close(fd) ||
	    swapon(disk, 0))
		printf("# no swap on %s: %m\n", disk);
}

/* Returns 0 when it passed; the case itself has said why when it did not. */
static int run_case(const struct test_case *c)
{
	pid_t pid;
	int status;

	fflush(stdout);
	pid = fork();
	if (pid < 0)
		return perror("# fork"), 1;
	if (!pid) {
		/* Children of the case go with it. */
		setpgid(0, 0);
		alarm(120 + seconds);
		if (!huge)
			thp(false);
		pin(0);
		c->run();
		_exit(0);
	}
	printf("# %s is process %d\n", c->name, pid);
	if (waitpid(pid, &status, 0) != pid)
		return perror("# waitpid"), 1;
	kill(-pid, SIGKILL);
	while (waitpid(-1, NULL, WNOHANG) > 0)
		;
	if (WIFSIGNALED(status))
		printf("# %s\n", WTERMSIG(status) == SIGALRM ? "took too long" :
		       strsignal(WTERMSIG(status)));
	return status;
}

int main(int argc, char **argv)
{
	size_t theme, n = 0, failed = 0;
	const struct test_case *c;
	const char *mismatch;
	bool list = false;
	int i;

	/* The same addresses every time: no table appears by chance. */
	if (!(personality(0xffffffff) & ADDR_NO_RANDOMIZE) &&
	    personality(ADDR_NO_RANDOMIZE) != -1)
		execv("/proc/self/exe", argv);

	for (i = 1; i < argc; i++) {
		const char *value = i + 1 < argc ? argv[i + 1] : NULL;

		if (!strcmp(argv[i], "--list")) {
			list = true;
			continue;
		}
		if (!strcmp(argv[i], "--thp")) {
			huge = true;
			continue;
		}
		if (!strcmp(argv[i], "--help"))
			usage(0);
		if (!value)
			usage(2);
		if (!strcmp(argv[i], "--mode")) {
			if (!strcmp(value, "off"))
				mode = MODE_OFF;
			else if (!strcmp(value, "builtin"))
				mode = MODE_BUILTIN;
			else if (!strcmp(value, "module"))
				mode = MODE_MODULE;
			else if (!strcmp(value, "any"))
				mode = MODE_ANY;
			else
				usage(2);
		} else if (!strcmp(argv[i], "--seconds")) {
			seconds = atoi(value);
		} else if (!strcmp(argv[i], "--patience")) {
			patience = atof(value);
		} else if (!strcmp(argv[i], "--only")) {
			only = value;
		} else {
			usage(2);
		}
		i++;
	}

	if (access("/sys/kernel/debug/sched", F_OK))
		mount("debugfs", "/sys/kernel/debug", "debugfs", 0, NULL);

	for (theme = 0; theme < sizeof(themes) / sizeof(*themes); theme++)
		for (c = themes[theme]; c->name; c++) {
			if (fnmatch(only, c->name, 0))
				continue;
			n++;
			if (list)
				printf("%-36s %s\n", c->name, c->expects);
		}
	if (list)
		return 0;

	mismatch = mode_mismatch();
	if (mismatch) {
		printf("Bail out! %s\n", mismatch);
		return 2;
	}

	make_swap();
	printf("KTAP version 1\n1..%zu\n", n);
	n = 0;
	for (theme = 0; theme < sizeof(themes) / sizeof(*themes); theme++)
		for (c = themes[theme]; c->name; c++) {
			int bad;

			if (fnmatch(only, c->name, 0))
				continue;
			/* Should the last one have left it on. */
			if (mode == MODE_MODULE)
				write_text(SCAN, "N");
			bad = run_case(c);
			failed += !!bad;
			printf("%sok %zu %s # expects: %s\n",
			       bad ? "not " : "", ++n, c->name,
			       mode == MODE_MODULE ? c->expects :
			       mode == MODE_ANY ? "contents intact" :
			       mode == MODE_OFF ? "as without any reclaim" :
			       "as with CONFIG_PT_RECLAIM alone");
		}
	if (mode == MODE_MODULE)
		write_text(SCAN, "Y");
	printf("# %zu passed, %zu failed\n", n - failed, failed);
	return failed ? 1 : 0;
}
