// SPDX-License-Identifier: GPL-2.0
/* usage: schedule NUMBER SHIFT LABEL. Each line of output begins with the label. */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "advice.h"
#include "schedule.h"
#include "../guest/least.h"

#define BASE		((char *)0x100000000000)
#define RW		(PROT_READ | PROT_WRITE)

int constant_file;
char *constant_map, *huge_map, *mixed_map;
const char *label;

static struct worker workers[WORKERS];
static pthread_barrier_t start;
static __thread struct worker *self;

/* Who has ended an operation, in the order in which that came about. */
static uint8_t order[WORKERS * OPERATIONS];
static atomic_uint ended;

void wrong(struct worker *w, const char *fmt, ...)
{
	char text[512];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = w ? snprintf(text, sizeof(text), "%s WRONG: %s %d, operation %d (%s): ", label,
			 w->child ? "child of worker" : "worker", w->nr, w->done, w->now) :
		snprintf(text, sizeof(text), "%s WRONG: ", label);
	n += vsnprintf(text + n, sizeof(text) - n - 1, fmt, ap);
	va_end(ap);
	text[n++] = '\n';
	if (write(STDOUT_FILENO, text, n) != n)
		_exit(2);
	_exit(1);
}

/* What is lost may be missed by an access, too. */
static void on_signal(int nr, siginfo_t *info, void *unused)
{
	(void)unused;
	wrong(self, "%s at %p", strsignal(nr), info->si_addr);
}

static void catch_signals(void)
{
	struct sigaction sa = { .sa_sigaction = on_signal, .sa_flags = SA_SIGINFO };

	sigaction(SIGSEGV, &sa, NULL);
	sigaction(SIGBUS, &sa, NULL);
}

long tried(struct worker *w, long ret)
{
	int err = errno;

	w->calls = mix(w->calls, ret == -1 ? -err : ret);
	errno = err;
	return ret;
}

long must_at(struct worker *w, const char *what, long ret)
{
	if (tried(w, ret) == -1)
		wrong(w, "%s: %m", what);
	return ret;
}

static void one_of(const struct op *ops, struct part *x)
{
	unsigned int n = 0;

	while (ops[n].name)
		n++;
	ops += below(&x->w->ops, n);
	x->w->now = ops->name;
	ops->fn(x);
}

void one_operation(struct worker *w)
{
	struct part x = some(w, &w->blocks[below(&w->ops, BLOCKS)]);

	if (below(&w->ops, 6) == 0) {
		one_of(constant_ops, &x);
		return;
	}
	switch (x.b->kind) {
	case WATCHED:
		one_of(watched_ops, &x);
		break;
	case HUGE:
		one_of(huge_ops, &x);
		break;
	case SHARED:
		one_of(below(&w->ops, 2) ? file_ops : memory_ops, &x);
		break;
	default:
		one_of(memory_ops, &x);
	}
}

static void *work(void *arg)
{
	struct worker *w = arg;

	self = w;
	make_cuts(w);
	make_blocks(w);
	/* The numbers of files depend on who came first. */
	w->calls = 0;
	pthread_barrier_wait(&start);
	while (w->done < OPERATIONS) {
		before_operation(w);
		one_operation(w);
		w->done++;
		order[atomic_fetch_add(&ended, 1)] = w->nr;
	}
	return NULL;
}

static char *map(char *at, size_t size, int flags, int fd)
{
	char *p = mmap(at, size, RW, flags | MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd, 0);

	if (p != at)
		wrong(NULL, "mmap at %p: %m", at);
	return p;
}

static int new_file(size_t size)
{
	int fd = memfd_create("schedule", MFD_CLOEXEC);

	if (fd < 0 || ftruncate(fd, size))
		wrong(NULL, "memfd: %m");
	return fd;
}

static void make_maps(void)
{
	size_t i;

	constant_file = new_file(CONSTANT);
	for (i = 0; i < CONSTANT / PAGE; i++) {
		off_t at = (char *)word_at(NULL, i) - (char *)NULL;
		uint64_t word = constant_word(i);

		if (pwrite(constant_file, &word, 8, i * PAGE + at) != 8)
			wrong(NULL, "memfd: %m");
	}
	/* What is mapped in the first page keeps the PMD table. */
	*map(BASE, PAGE, MAP_PRIVATE | MAP_ANONYMOUS, -1) = 1;
	mixed_map = BASE + TABLE;
	huge_map = map(mixed_map + (TABLES + 1) * TABLE, 2 * TABLE, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	if (madvise(huge_map, 2 * TABLE, MADV_HUGEPAGE))
		wrong(NULL, "MADV_HUGEPAGE: %m");
	constant_map = map(huge_map + 3 * TABLE + TABLE / 2, CONSTANT, MAP_SHARED, constant_file);
	map(constant_map + CONSTANT, CONSTANT, MAP_SHARED, constant_file);
}

static void make_workers(uint64_t number)
{
	struct rng r = { mix(number, 0x510) };
	int i;

	place_slots(workers, &r);
	for (i = 0; i < WORKERS; i++) {
		struct worker *w = &workers[i];

		w->nr = i;
		w->now = "begin";
		w->ops.state = mix(number, 0x100 + i);
		w->pace.state = mix(number, 0x200 + i);
		w->file = new_file(BLOCK);
		w->sink = new_file(PAGE);
	}
}

static void run(uint64_t number)
{
	pthread_t threads[WORKERS];
	int i;

	pthread_barrier_init(&start, NULL, WORKERS + 1);
	for (i = 0; i < WORKERS; i++)
		if (pthread_create(&threads[i], NULL, work, &workers[i]))
			wrong(NULL, "no thread: %m");
	pthread_barrier_wait(&start);
	ask_begin(number);
	for (i = 0; i < WORKERS; i++)
		pthread_join(threads[i], NULL);
	ask_end();
}

static void tell_order(void)
{
	unsigned int i, turns = 0;
	uint64_t sum = 0;

	for (i = 0; i < ended; i++) {
		sum = mix(sum, order[i]);
		turns += i && order[i] != order[i - 1];
	}
	printf("%s order %016lx, %u turns in %u operations\n", label, sum, turns, i);
}

/* Long enough for the scanner. */
static struct footprint settled(const char *when)
{
	struct timespec ts = { 0, 60000000 };
	struct footprint f;

	nanosleep(&ts, NULL);
	if (footprint(getpid(), &f))
		wrong(NULL, "pagemap: %m");
	printf("%s VmPTE %s: %ld kB, least %ld kB, PTE tables %ld, least %ld\n", label, when,
	       f.vmpte_kb, f.least_kb, f.pte_now, f.pte);
	return f;
}

static void look(bool huge)
{
	int i;

	for (i = 0; i < WORKERS; i++) {
		workers[i].now = "end";
		look_at_all(&workers[i], huge);
	}
}

/* Whether there are huge pages depends on who comes first: they are not among what must be equal. */
static void look_at_huge(void)
{
	look(true);
	if (madvise(huge_map, 2 * TABLE, MADV_DONTNEED))
		wrong(NULL, "MADV_DONTNEED: %m");
}

static void tell_contents(void)
{
	uint64_t sum = 0;
	size_t i;

	look(false);
	for (i = 0; i < WORKERS; i++)
		printf("%s worker %zu: calls %016lx memory %016lx\n", label, i, workers[i].calls,
		       workers[i].memory);
	for (i = 0; i < 2 * CONSTANT / PAGE; i++)
		sum = mix(sum, *word_at(constant_map + i * PAGE, i));
	printf("%s constant file: %016lx\n", label, sum);
}

/* Of the maps alone, without stacks and the heap. By the walk, which is exact at any time. */
static long rss_kb(void)
{
	long sum = 0, kb;
	unsigned long at;
	bool ours = false;
	char line[512];
	FILE *f = fopen("/proc/self/smaps", "r");

	while (f && fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-", &at) == 1 && strchr(line, '-'))
			ours = at >= (uintptr_t)BASE && at < (uintptr_t)BASE + (1UL << 30);
		else if (ours && sscanf(line, "Rss: %ld", &kb) == 1)
			sum += kb;
	}
	fclose(f);
	return sum;
}

int main(int argc, char **argv)
{
	uint64_t number;

	if (argc != 4) {
		fprintf(stderr, "usage: schedule NUMBER SHIFT LABEL\n");
		return 2;
	}
	number = strtoull(argv[1], NULL, 0);
	label = argv[3];
	setvbuf(stdout, NULL, _IOLBF, 0);
	catch_signals();
	pace_of(number, atoi(argv[2]));
	make_maps();
	make_workers(number);
	run(number);
	tell_order();
	look_at_huge();
	settled("at the end");
	tell_contents();
	settled("of all that was read");
	printf("%s RSS: %ld kB\n", label, rss_kb());
	printf("%s done\n", label);
	return 0;
}
