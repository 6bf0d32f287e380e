// SPDX-License-Identifier: GPL-2.0
/*
 * An idle system with many page tables, and whether the scanner leaves it alone.
 * Nothing else may run meanwhile: each program that starts or ends is a reason
 * to look.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE		4096UL
#define TABLE		(2UL << 20)
#define TRACE		"/sys/kernel/tracing/trace"
#define TRACING_ON	"/sys/kernel/tracing/tracing_on"
#define ATTEMPTS	20
#define REST		3	/* seconds; many of the scanner's intervals */

static void __attribute__((noreturn)) fail(const char *what)
{
	fprintf(stderr, "idle: %s: %m\n", what);
	exit(2);
}

static int shared_pages(size_t size)
{
	int fd = memfd_create("idle", 0);

	if (fd < 0 || ftruncate(fd, size))
		fail("memfd");
	return fd;
}

/* Full tables for the price of the tables: all map the same 512 pages. */
static void map_full(int fd, size_t tables)
{
	char *p = (char *)(1UL << 44);
	size_t i;

	for (i = 0; i < tables; i++, p += TABLE)
		if (mmap(p, TABLE, PROT_READ | PROT_WRITE,
			 MAP_SHARED | MAP_POPULATE | MAP_FIXED_NOREPLACE, fd,
			 0) != p)
			fail("mmap");
}

/* Processes that only exist, until the input ends. */
static int hold(size_t processes, size_t tables)
{
	int fd = shared_pages(TABLE), done[2];
	size_t i;
	char c;

	if (pipe(done))
		fail("pipe");
	for (i = 0; i < processes; i++) {
		pid_t pid = fork();

		if (pid < 0)
			fail("fork");
		if (pid)
			continue;
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		map_full(fd, tables);
		if (write(done[1], "", 1) != 1)
			fail("write");
		for (;;)
			pause();
	}
	close(done[1]);
	for (i = 0; i < processes; i++)
		if (read(done[0], &c, 1) != 1)
			return 2;	/* one has said why */
	puts("ready");
	fflush(stdout);
	while (read(STDIN_FILENO, &c, 1) > 0)
		;
	return 0;
}

static void put(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_TRUNC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		fail(path);
	close(fd);
}

/* How often the scanner has run, and how often its timer. */
struct events {
	int runs, timers;
};

static struct events traced(void)
{
	struct events seen = { 0, 0 };
	static char line[1024];
	FILE *f = fopen(TRACE, "r");

	if (!f)
		fail(TRACE);
	while (fgets(line, sizeof(line), f)) {
		if (*line == '#')
			continue;
		seen.runs += !!strstr(line, " workqueue_execute_start: ");
		seen.timers += !!strstr(line, " timer_expire_entry: ");
	}
	fclose(f);
	return seen;
}

static struct events watch(unsigned int seconds, int truncate)
{
	struct timespec left = { seconds, 0 };

	put(TRACE, "");
	put(TRACING_ON, "1");
	if (truncate >= 0 && ftruncate(truncate, 0))
		fail("ftruncate");
	while (nanosleep(&left, &left))
		;
	put(TRACING_ON, "0");
	return traced();
}

/* This program's own start is looked at as well: that must be over before. */
static void wait_for_rest(void)
{
	struct events seen;
	int i;

	for (i = 0; i < ATTEMPTS; i++) {
		seen = watch(REST, -1);
		if (!seen.runs && !seen.timers) {
			printf("rest %d\n", i * REST);
			return;
		}
	}
	printf("restless %d\n", seen.runs);
}

int main(int argc, char **argv)
{
	int truncate = -1;
	struct events seen;

	if (argc == 4 && !strcmp(argv[1], "hold"))
		return hold(atoi(argv[2]), atoi(argv[3]));
	if ((argc != 3 || strcmp(argv[1], "watch")) &&
	    (argc != 3 || strcmp(argv[1], "truncate"))) {
		fprintf(stderr, "usage: idle hold PROCESSES TABLES\n"
			"       idle watch|truncate SECONDS\n"
			"watch: once the scanner rests, how often it runs in so "
			"many seconds;\ntruncate: the same, after a truncate "
			"of a mapped file.\n");
		return 2;
	}
	if (*argv[1] == 't') {
		char *p;

		truncate = shared_pages(PAGE);
		p = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED,
			 truncate, 0);
		if (p == MAP_FAILED)
			fail("mmap");
		*(volatile char *)p = 1;
	}
	wait_for_rest();
	seen = watch(atoi(argv[2]), truncate);
	printf("runs %d\ntimers %d\n", seen.runs, seen.timers);
	return 0;
}
