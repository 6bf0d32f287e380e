// SPDX-License-Identifier: GPL-2.0
/* Loops as will-it-scale has them: write, give back, check; by one thread and by four. */
#define _GNU_SOURCE
#include <pthread.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "bench.h"

#define MOST	4
#define EACH	TABLE

static struct worker {
	const struct row *row;
	unsigned long times;
	char *p;
	unsigned int cpu;
} workers[MOST];

static pthread_barrier_t ready, done;

static void flush_loop(struct worker *w)
{
	for (unsigned long i = 0; i < w->times; i++) {
		/* Not the last one, which may be there to stay. */
		volatile char *at = w->p + i % (EACH / PAGE - 1) * PAGE;

		*at = 1;
		advise((char *)at, PAGE, MADV_DONTNEED);
		if (*at)
			die("%s: the page is still there", w->row->name);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	pin(w->cpu);
	pthread_barrier_wait(&ready);
	flush_loop(w);
	pthread_barrier_wait(&done);
	return NULL;
}

/* Each thread has a table of its own, in a mapping of its own. */
static void run(const struct row *row, unsigned long times, int fd)
{
	int flags = fd < 0 ? MAP_PRIVATE | MAP_ANONYMOUS : MAP_PRIVATE;
	pthread_t thread[MOST];
	unsigned int i;

	pthread_barrier_init(&ready, NULL, row->threads + 1);
	pthread_barrier_init(&done, NULL, row->threads + 1);
	for (i = 0; i < row->threads; i++) {
		struct worker *w = &workers[i];

		*w = (struct worker){ row, times, fresh(EACH), i };
		SYS(mmap(w->p, EACH, PROT_READ | PROT_WRITE, flags | MAP_FIXED, fd, 0));
		/* What stays in the table. */
		if (row->step)
			touch(w->p + EACH - PAGE, PAGE, PAGE);
		if (pthread_create(&thread[i], NULL, work, w))
			die("no thread");
	}
	begin();
	pthread_barrier_wait(&ready);
	pthread_barrier_wait(&done);
	end(times * row->threads);
	for (i = 0; i < row->threads; i++) {
		pthread_join(thread[i], NULL);
		unmap(workers[i].p, EACH);
	}
}

static void anon(const struct row *row, unsigned long times)
{
	run(row, times, -1);
}

static void file(const struct row *row, unsigned long times)
{
	int fd = memfd(EACH);

	run(row, times, fd);
	close(fd);
}

/* As an allocator does that has no cache. */
static void map_touch_unmap(const struct row *row, unsigned long times)
{
	char *p = fresh(TABLE);

	begin();
	for (unsigned long i = 0; i < times; i++) {
		map(p, row->len);
		touch(p, row->len, PAGE);
		unmap(p, row->len);
	}
	end(times);
}

static void touch_and_give_back(const struct row *row, unsigned long times)
{
	char *p = fresh(TABLE);

	map(p, TABLE);
	begin();
	for (unsigned long i = 0; i < times; i++) {
		touch(p, row->len, PAGE);
		advise(p, row->len, MADV_DONTNEED);
	}
	end(times);
	unmap(p, TABLE);
}

const struct row loop_rows[] = {
	{ "loop.tlb_flush.anon", FREES, anon, 5000, .threads = 1, .unit = "cycle" },
	{ "loop.tlb_flush.file", FREES, file, 5000, .threads = 1, .unit = "cycle" },
	{ "loop.tlb_flush.anon.4_threads", FREES, anon, 3000, .threads = 4, .unit = "cycle" },
	{ "loop.tlb_flush.file.4_threads", FREES, file, 3000, .threads = 4, .unit = "cycle" },
	{ "loop.tlb_flush.beside_page", NOTHING, anon, 5000, .step = 1, .threads = 1,
	  .unit = "cycle" },
	{ "loop.tlb_flush.beside_page.4_threads", NOTHING, anon, 3000, .step = 1,
	  .threads = 4, .unit = "cycle" },
	{ "loop.touch_dontneed.64k", FREES, touch_and_give_back, 400, .len = KIB(64),
	  .unit = "cycle" },
	{ "loop.touch_dontneed.1m", FREES, touch_and_give_back, 40, .len = MIB(1),
	  .unit = "cycle" },
	{ "loop.mmap_munmap.64k", NOTHING, map_touch_unmap, 400, .len = KIB(64),
	  .unit = "cycle" },
	{ }
};
