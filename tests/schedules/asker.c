// SPDX-License-Identifier: GPL-2.0
/*
 * A thread that owns nothing: it walks the page tables of all the others, as anybody may,
 * makes the kernel short of memory, and asks the module, where it is loaded, for what is empty.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/ioctl.h>
#include <time.h>
#include <unistd.h>

#include <linux/ptreclaim.h>

#include "schedule.h"

static atomic_bool over;
static pthread_t thread;
static struct rng rng;

static void request(int device)
{
	struct ptreclaim_request r = {
		.size = sizeof(r),
		.flags = PTRECLAIM_ZERO_PAGES,
		.pidfd = PTRECLAIM_SELF,
	};

	if (device >= 0 && ioctl(device, PTRECLAIM_IOC_RECLAIM, &r))
		wrong(NULL, "a request: %m");
}

static void read_all(const char *path)
{
	char buf[4096];
	int fd = open(path, O_RDONLY | O_CLOEXEC);

	while (fd >= 0 && read(fd, buf, sizeof(buf)) > 0)
		;
	close(fd);
}

static void read_pagemap(void)
{
	static uint64_t entries[TABLE / PAGE];
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);
	char *at = mixed_map + below(&rng, TABLES) * TABLE;

	if (pread(fd, entries, sizeof(entries), (uintptr_t)at / PAGE * 8) < 0)
		wrong(NULL, "pagemap: %m");
	close(fd);
}

/* All shrinkers, the module's among them. */
static void shrink(void)
{
	int fd = open("/proc/sys/vm/drop_caches", O_WRONLY | O_CLOEXEC);

	if (write(fd, "2", 1) != 1)
		wrong(NULL, "drop_caches: %m");
	close(fd);
}

static void *ask(void *unused)
{
	int device = open("/dev/ptreclaim", O_RDWR | O_CLOEXEC);

	while (!atomic_load(&over)) {
		struct timespec ts = { 0, 1 + next_random(&rng) % 200000 };

		switch (below(&rng, 16)) {
		case 0:
			read_all("/proc/self/smaps_rollup");
			break;
		case 1:
			read_pagemap();
			break;
		case 2:
			shrink();
			break;
		default:
			request(device);
		}
		nanosleep(&ts, NULL);
	}
	close(device);
	return unused;
}

void ask_begin(uint64_t number)
{
	rng.state = mix(number, 0xa5);
	if (pthread_create(&thread, NULL, ask, NULL))
		wrong(NULL, "no thread: %m");
}

void ask_end(void)
{
	atomic_store(&over, true);
	pthread_join(thread, NULL);
}
