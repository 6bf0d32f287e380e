// SPDX-License-Identifier: GPL-2.0
/*
 * Programs that do with their memory what they like, and know at any time what
 * must be in it, while everything else about page tables changes.
 * usage: life KIND SECONDS [TABLES]
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "life.h"
#include "ptest.h"
#include "request.h"

#define PER_TABLE	(TABLE / CHUNK)
#define MOST		1024UL
#define CHILDREN	3
#define MORE_SECONDS	300

/* What a chunk holds: zeroes, or words by its seed. */
struct state {
	uint64_t seed;
	bool same;		/* the same word in all pages, for KSM */
	bool lazy;		/* or zeroes, page by page: MADV_FREE */
};

static struct state state[MOST];
size_t chunks;
char *area;
uint64_t next_seed;
static char *side;
static int file = -1;
static unsigned int rng;
static long rounds;

unsigned int pick(unsigned int n)
{
	rng = rng * 1103515245 + 12345;
	return (rng >> 8) % n;
}

static void check(size_t from, size_t n)
{
	size_t i, at;

	for (i = from; i < from + n; i++)
		for (at = 0; at < CHUNK; at += PAGE) {
			char *p = area + i * CHUNK + at;
			uint64_t want = 0, got = *(volatile uint64_t *)p;

			if (state[i].seed)
				want = word(state[i].same ? NULL : p,
					    state[i].seed);
			if (got != want && !(state[i].lazy && !got))
				FAIL("chunk %zu +%#zx (%p) holds %#lx, not %#lx",
				     i, at, p, got, want);
		}
}

static void set(size_t from, size_t n, struct state to)
{
	while (n--)
		state[from++] = to;
}

static void zeroed(size_t from, size_t n)
{
	set(from, n, (struct state){ 0 });
}

/* Each operation gets a range of chunks, as an address and a length as well. */
#define RANGE	size_t from, size_t n, char *p, size_t len
#define UNUSED	((void)from, (void)n, (void)p, (void)len)

static void op_fill(RANGE)
{
	struct state to = { .seed = ++next_seed };

	fill(p, len, PAGE, to.seed);
	set(from, n, to);
}

static void op_same(RANGE)
{
	struct state to = { .seed = 1 + pick(3), .same = true };
	size_t i;

	for (i = 0; i < len; i += PAGE)
		*(volatile uint64_t *)(p + i) = word(NULL, to.seed);
	set(from, n, to);
}

/* Pages of zeroes that are no zero pages, until KSM comes by. */
static void op_write_zero(RANGE)
{
	size_t i;

	for (i = 0; i < len; i += PAGE)
		*(volatile uint64_t *)(p + i) = 0;
	zeroed(from, n);
}

static void op_check(RANGE)
{
	UNUSED;
	check(from, n);
}

static void op_give_back(RANGE)
{
	advise_pieces(p, len, pick(2) ? len : CHUNK, MADV_DONTNEED);
	zeroed(from, n);
}

/* A file's pages are still there afterwards. */
static void op_drop(RANGE)
{
	UNUSED;
	advise_pieces(p, len, pick(2) ? len : CHUNK, MADV_DONTNEED);
}

static void op_free(RANGE)
{
	UNUSED;
	advise(p, len, MADV_FREE);
	while (n--)
		state[from++].lazy = true;
}

static void op_page_out(RANGE)
{
	UNUSED;
	madvise(p, len, MADV_PAGEOUT);
}

static void op_huge(RANGE)
{
	char *table = area + from / PER_TABLE * TABLE;

	UNUSED;
	advise(table, TABLE, pick(2) ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
	/* It may well refuse. */
	if (pick(2))
		madvise(table, TABLE, MADV_COLLAPSE);
}

static void op_guard(RANGE)
{
	advise(p, len, MADV_GUARD_INSTALL);
	advise(p, len, MADV_GUARD_REMOVE);
	zeroed(from, n);
}

static void op_unmap(RANGE)
{
	if (pick(2))
		SYS(munmap(p, len));
	CHECK(mmap(p, len, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS |
		   MAP_FIXED | MAP_NORESERVE, -1, 0) == p, "mmap: %m");
	zeroed(from, n);
}

static void op_protect(RANGE)
{
	SYS(mprotect(p, len, PROT_READ));
	check(from, n);
	SYS(mprotect(p, len, PROT_READ | PROT_WRITE));
}

/* Away and back, with the tables or page by page. */
static void op_move(RANGE)
{
	char *to = side + (pick(2) ? 0 : PAGE) + (p - area) % TABLE;

	CHECK(mremap(p, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to,
	      "mremap: %m");
	CHECK(mremap(to, len, len, MREMAP_MAYMOVE | MREMAP_FIXED, p) == p,
	      "mremap back: %m");
	check(from, n);
}

static void op_punch(RANGE)
{
	if (pick(2))
		SYS(fallocate(file, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
			      p - area, len));
	else
		advise(p, len, MADV_REMOVE);
	zeroed(from, n);
}

static void op_truncate(RANGE)
{
	UNUSED;
	SYS(ftruncate(file, from * CHUNK));
	SYS(ftruncate(file, chunks * CHUNK));
	zeroed(from, chunks - from);
}

static long most_merged, most_zero;

static void most_of(const char *key, long *most)
{
	long n = read_number("/proc/self/ksm_stat", key);

	CHECK(n >= 0, "no %s in ksm_stat", key);
	if (n > *most)
		*most = n;
}

static void op_nap(RANGE)
{
	UNUSED;
	nap(pick(400));
	most_of("ksm_merging_pages", &most_merged);
	most_of("ksm_zero_pages", &most_zero);
}

/* Or this was no test of it: ksmd comes by when the others let it. */
static bool ksm_seen(void)
{
	return most_merged && most_zero;
}

static void ksm_end(void)
{
	note("at most %ld pages merged, %ld of zeroes", most_merged, most_zero);
	CHECK(ksm_seen(), "KSM did not do its part");
}

bool look(int pidfd, char *p, size_t len)
{
	struct ptreclaim_request r = {
		.flags = pick(8), .pidfd = pidfd,
		.start = (uintptr_t)p, .len = len,
	};
	int ret = request(&r);

	CHECK(!ret || (pidfd >= 0 && ret == -ESRCH), "request: %s",
	      strerror(-ret));
	return !ret;
}

static void op_request(RANGE)
{
	UNUSED;
	look(SELF, p, len);
}

static void op_fork(RANGE);

typedef void (*op_fn)(RANGE);

static const op_fn anon_ops[] = {
	op_fill, op_fill, op_fill, op_check, op_give_back, op_give_back,
	op_free, op_page_out, op_huge, op_guard, op_unmap, op_protect,
	op_request, NULL
};
static const op_fn file_ops[] = {
	op_fill, op_fill, op_fill, op_check, op_punch, op_truncate, op_drop,
	op_page_out, op_huge, op_fork, op_request, NULL
};
static const op_fn move_ops[] = {
	op_fill, op_fill, op_check, op_give_back, op_move, op_move, op_huge,
	op_request, NULL
};
static const op_fn ksm_ops[] = {
	op_same, op_same, op_write_zero, op_write_zero, op_fill, op_check,
	op_give_back, op_nap, op_nap, op_nap, op_nap, op_request, NULL
};
static const op_fn fork_ops[] = {
	op_fill, op_fill, op_check, op_give_back, op_unmap, op_fork, op_fork,
	NULL
};
/* What a child may do with its copy, and with a file that is not its own. */
static const op_fn child_ops[] = {
	op_fill, op_check, op_give_back, op_unmap, op_protect, NULL
};
static const op_fn child_file_ops[] = { op_check, op_drop, NULL };

static void one_of(const op_fn *ops)
{
	size_t n = 1UL << pick(7), from, count = 0;

	while (ops[count])
		count++;
	if (n > chunks)
		n = chunks;
	from = pick(chunks - n + 1);
	/* Else hardly a table would ever be empty. */
	if (!pick(3)) {
		n = PER_TABLE;
		from = from / n * n;
	}
	ops[pick(count)](from, n, area + from * CHUNK, n * CHUNK);
}

/* Several at once, which are not alone with their parent's pages. */
static void op_fork(RANGE)
{
	pid_t pid[CHILDREN];
	int i, k, status;

	UNUSED;
	for (i = 0; i < CHILDREN; i++) {
		pid[i] = SYS(fork());
		if (pid[i])
			continue;
		rng += getpid();
		for (k = 0; k < 4; k++)
			one_of(file < 0 ? child_ops : child_file_ops);
		check(from, n);
		_exit(0);
	}
	/* Its pages are copied meanwhile. */
	for (k = 0; k < 2; k++)
		one_of(file < 0 ? child_ops : child_file_ops);
	for (i = 0; i < CHILDREN; i++) {
		SYS(waitpid(pid[i], &status, 0));
		CHECK(!status, "a child ended with status %#x", status);
	}
}

/* Everybody's page tables. */
static void requests_round(void)
{
	DIR *dir = opendir("/proc");
	struct dirent *d;
	long done = 0;

	CHECK(dir, "/proc: %m");
	while ((d = readdir(dir))) {
		int fd;

		if (!isdigit(d->d_name[0]))
			continue;
		fd = syscall(SYS_pidfd_open, atoi(d->d_name), 0);
		if (fd < 0)
			continue;
		done += look(fd, NULL, 0);
		close(fd);
	}
	closedir(dir);
	CHECK(done, "no process has page tables");
	nap(pick(300));
}

static const struct kind {
	const char *name;
	const op_fn *ops;
	void (*begin)(void), (*round)(void), (*end)(void);
	/* It goes on until this is so, but not for ever. */
	bool (*enough)(void);
} kinds[] = {
	{ .name = "anon", .ops = anon_ops },
	{ .name = "file", .ops = file_ops },
	{ .name = "move", .ops = move_ops },
	{ .name = "ksm", .ops = ksm_ops, .end = ksm_end,
	  .enough = ksm_seen },
	{ .name = "forks", .ops = fork_ops },
	{ .name = "uffd", .begin = uffd_begin, .round = uffd_round },
	{ .name = "requests", .round = requests_round },
	{ }
};

static void map_area(const struct kind *kind, size_t size)
{
	if (kind->ops == file_ops) {
		file = memfd(size);
		area = map_at(fresh(size), size, PROT_READ | PROT_WRITE,
			      MAP_SHARED, file);
	} else {
		area = map_anon(size);
	}
	side = fresh(size + TABLE);
	if (kind->ops == ksm_ops) {
		advise(area, size, MADV_MERGEABLE);
		/* Splitting a huge page of zeroes leaves none to KSM. */
		advise(area, size / 2, MADV_NOHUGEPAGE);
	}
}

int main(int argc, char **argv)
{
	const struct kind *kind = kinds;
	double stop_at, tell_at;
	size_t nr;

	while (argc > 2 && kind->name && strcmp(kind->name, argv[1]))
		kind++;
	nr = argc > 3 ? strtoul(argv[3], NULL, 0) : 8;
	if (argc < 3 || !kind->name || !nr || nr * PER_TABLE > MOST) {
		fprintf(stderr, "usage: life KIND SECONDS [TABLES]\n");
		return 2;
	}
	mode = MODE_ANY;
	rng = getpid() * 7919 + (unsigned int)(now() * 1000);
	note("begins with %u", rng);
	chunks = nr * PER_TABLE;
	stop_at = now() + atof(argv[2]);
	tell_at = now() + 10;
	map_area(kind, nr * TABLE);
	if (kind->begin)
		kind->begin();
	do {
		if (kind->round)
			kind->round();
		else
			one_of(kind->ops);
		rounds++;
		if (now() >= tell_at) {
			note("%ld rounds", rounds);
			tell_at += 10;
		}
	} while (now() < stop_at || (kind->enough && !kind->enough() &&
				     now() < stop_at + MORE_SECONDS));
	if (kind->ops)
		check(0, chunks);
	note("%ld rounds", rounds);
	if (kind->end)
		kind->end();
	return 0;
}
