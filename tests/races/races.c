// SPDX-License-Identifier: GPL-2.0
/*
 * races --mode off|builtin|module [--only PATTERN]... [--times N] [--list]
 *	 [--bug BITS=NAME]...
 * Prints "ok NAME" or "not ok NAME" for each race, each time it is run.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <fnmatch.h>
#include <getopt.h>
#include <malloc.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

#include "races.h"

#define KHUGEPAGED	"/sys/kernel/mm/transparent_hugepage/khugepaged/"

const struct race *this_race;
static const char *patterns[16];
static int npatterns;
static int times = 1;
static bool only_list, rare_too;
static char *bugs[16];
static int nbugs;

static bool wanted(const struct race *race)
{
	int i;

	if (mode != MODE_MODULE && !race->everywhere)
		return false;
	for (i = 0; i < npatterns; i++)
		if (!fnmatch(patterns[i], race->name, 0))
			return true;
	return !npatterns && (rare_too || !race->rare);
}

static const struct race *themes(int i)
{
	const struct race *all[] = { window_races, walk_races, unmap_races,
		zap_race_list(), scan_race_list(), unload_races, NULL };

	return all[i];
}

static bool one(const struct race *race)
{
	int status;
	pid_t pid;

	fflush(NULL);
	pid = SYS(fork());
	if (!pid) {
		this_race = race;
		alarm(1200);
		race->run();
		_exit(0);
	}
	SYS(waitpid(pid, &status, 0));
	forget_stops();
	printf("%s %s\n", status ? "not ok" : "ok", race->name);
	return !status;
}

static int all(const struct race *races)
{
	int failed = 0, i;

	for (; races->name; races++) {
		if (!wanted(races))
			continue;
		if (only_list) {
			printf("%s\n", races->name);
			continue;
		}
		for (i = 0; i < times; i++)
			failed += !one(races);
	}
	return failed;
}

/* "BITS=NAME": the race with these mistakes made on purpose, and without. */
static void with_bug(char *bug)
{
	static const char file[] = "/sys/module/ptreclaim/parameters/seeded_bugs";
	char *name = strchr(bug, '=');
	int i;

	CHECK(name, "what is '%s'?", bug);
	*name++ = 0;
	patterns[0] = name;
	npatterns = 1;
	write_text(file, bug);
	for (i = 0; themes(i); i++)
		all(themes(i));
	write_text(file, "0");
	for (i = 0; themes(i); i++)
		all(themes(i));
}

/* Swap on a RAM disk. */
static void make_swap(void)
{
	static uint32_t page[PAGE / 4];
	int fd;

	write_text("/sys/block/zram0/disksize", "64M");
	/* union swap_header: version, and the number of the last page. */
	page[1024 / 4] = 1;
	page[1024 / 4 + 1] = (64 << 8) - 1;
	memcpy((char *)page + PAGE - 10, "SWAPSPACE2", 10);
	fd = SYS(open("/dev/zram0", O_WRONLY));
	CHECK(write(fd, page, PAGE) == PAGE, "zram0: %m");
	close(fd);
	SYS(swapon("/dev/zram0", 0));
}

void pin_kthread(const char *name, int cpu)
{
	cpu_set_t set;
	char path[280], comm[32];
	struct dirent *entry;
	DIR *dir = opendir("/proc");
	bool found = false;
	FILE *f;

	CHECK(dir, "/proc: %m");
	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	while ((entry = readdir(dir))) {
		snprintf(path, sizeof(path), "/proc/%s/comm", entry->d_name);
		f = fopen(path, "r");
		if (!f)
			continue;
		if (!fgets(comm, sizeof(comm), f))
			*comm = 0;
		fclose(f);
		comm[strcspn(comm, "\n")] = 0;
		if (strcmp(comm, name))
			continue;
		SYS(sched_setaffinity(atoi(entry->d_name), sizeof(set), &set));
		found = true;
	}
	closedir(dir);
	CHECK(found, "there is no %s", name);
}

/* It may spin for a lock of one who stands: not where somebody else is to run. */
void khugepaged_rests(void)
{
	write_text(KHUGEPAGED "scan_sleep_millisecs", "600000");
	khugepaged(false);
	pin_kthread("khugepaged", READER);
}

/* On the CPU of the one beside, who waits for what it does: it is idle when that waits. */
void khugepaged_works(void)
{
	pin_kthread("khugepaged", BESIDE);
	khugepaged(true);
	write_text(KHUGEPAGED "scan_sleep_millisecs", "0");
}

/*
 * The first huge page of a boot waits for all CPUs, so that no later one does.
 * Who collapses or looks on its own does so when a race asks for it.
 */
static void prepare(void)
{
	char *p = map_anon(TABLE);

	khugepaged_rests();
	write_text("/sys/kernel/mm/transparent_hugepage/enabled", "madvise");
	if (mode == MODE_MODULE)
		write_text(SCAN, "N");
	thp(true);
	advise(p, TABLE, MADV_HUGEPAGE);
	*(volatile char *)p = 1;
	CHECK(smaps_kb(p, "AnonHugePages") == 2048, "there are no huge pages");
	SYS(munmap(p, TABLE));
	make_swap();
	host_ready();
	symbols_read();
	spins_known();
}

/*
 * Races count by VmPTE. An arena of each thread would be a table of its own; and a page of the
 * heap that is new in the midst of a race may be the first one of its table. The processes of
 * the races have what is here now.
 */
static void fill_heap(void)
{
	size_t len = KIB(512);
	char *p;

	mallopt(M_ARENA_MAX, 1);
	mallopt(M_MMAP_THRESHOLD, 2 * len);
	mallopt(M_TRIM_THRESHOLD, 2 * len);
	p = malloc(len);
	CHECK(p, "malloc: %m");
	memset(p, 1, len);
	free(p);
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
		{ "mode", required_argument, NULL, 'm' },
		{ "only", required_argument, NULL, 'o' },
		{ "times", required_argument, NULL, 't' },
		{ "bug", required_argument, NULL, 'b' },
		{ "rare", no_argument, NULL, 'r' },
		{ "list", no_argument, NULL, 'l' },
		{ }
	};
	int c, i, failed = 0;

	fill_heap();
	setlinebuf(stdout);
	while ((c = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (c == 'm')
			mode = !strcmp(optarg, "off") ? MODE_OFF :
			       !strcmp(optarg, "builtin") ? MODE_BUILTIN :
			       MODE_MODULE;
		else if (c == 'o' && npatterns < 16)
			patterns[npatterns++] = optarg;
		else if (c == 't')
			times = atoi(optarg);
		else if (c == 'b' && nbugs < 16)
			bugs[nbugs++] = optarg;
		else if (c == 'r')
			rare_too = true;
		else if (c == 'l')
			only_list = true;
		else
			return 2;
	}
	if (!only_list)
		prepare();
	for (i = 0; i < nbugs; i++)
		with_bug(bugs[i]);
	for (i = 0; !nbugs && themes(i); i++)
		failed += all(themes(i));
	return failed > 0;
}
