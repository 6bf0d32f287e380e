// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "least.h"

/* linux/fs.h of Linux 6.7; Debian 12 has older headers. */
struct region {
	uint64_t start, end, categories;
};

struct scan {
	uint64_t size, flags, start, end, walk_end, vec, vec_len, max_pages;
	uint64_t inverted, mask, anyof, returned;
};

#define SCAN		_IOWR('f', 16, struct scan)
#define IS_WRITTEN	(1 << 1)	/* so is an entry that is none */
#define IS_FILE		(1 << 2)
#define IS_PRESENT	(1 << 3)
#define IS_SWAPPED	(1 << 4)	/* or any marker */
#define IS_ZERO		(1 << 5)
#define IS_HUGE		(1 << 6)

#define USER_END	0x7ffffffff000ULL
#define REGIONS		4096
#define ATTEMPTS	5

static int read_status(pid_t pid, struct footprint *f)
{
	char line[256], path[64];
	FILE *status;

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	status = fopen(path, "r");
	if (!status)
		return -1;
	while (fgets(line, sizeof(line), status)) {
		sscanf(line, "VmRSS: %ld", &f->rss_kb);
		sscanf(line, "VmPTE: %ld", &f->vmpte_kb);
	}
	fclose(status);
	return 0;
}

/* Ranges of 1 << shift that `r` meets and that were not counted before. */
static void count(const struct region *r, int shift, uint64_t *next, long *n)
{
	uint64_t first = r->start >> shift, end = ((r->end - 1) >> shift) + 1;

	if (first < *next)
		first = *next;
	if (first < end) {
		*n += end - first;
		*next = end;
	}
}

/* A hole has none of what is asked for here, an entry of a table has. */
static int scan_pages(int fd, struct footprint *f)
{
	static struct region regions[REGIONS];
	uint64_t now = 0, pte = 0, pmd = 0, pud = 0;
	struct scan s = {
		.size = sizeof(s),
		.end = USER_END,
		.vec = (uintptr_t)regions,
		.vec_len = REGIONS,
		.anyof = IS_WRITTEN | IS_PRESENT | IS_SWAPPED,
		.returned = IS_FILE | IS_PRESENT | IS_SWAPPED | IS_ZERO |
			    IS_HUGE,
	};

	while (s.start < s.end) {
		int n = ioctl(fd, SCAN, &s), i;

		if (n < 0)
			return -1;
		for (i = 0; i < n; i++) {
			const struct region *r = &regions[i];
			uint64_t is = r->categories;
			/* A file's huge page needs no table beside it. */
			int table = (is & (IS_FILE | IS_HUGE)) !=
				    (IS_FILE | IS_HUGE);

			if (table)
				count(r, 21, &now, &f->pte_now);
			if (!(is & (IS_PRESENT | IS_SWAPPED)) ||
			    (is & (IS_ZERO | IS_HUGE)) == IS_ZERO)
				continue;
			if (table)
				count(r, 21, &pte, &f->pte);
			count(r, 30, &pmd, &f->pmd);
			count(r, 39, &pud, &f->pud);
		}
		s.start = s.walk_end;
	}
	return 0;
}

static int look(pid_t pid, int fd, struct footprint *f)
{
	long before;

	memset(f, 0, sizeof(*f));
	if (read_status(pid, f))
		return -1;
	before = f->vmpte_kb;
	if (scan_pages(fd, f) || read_status(pid, f))
		return -1;
	f->least_kb = 4 * (f->pte + f->pmd + f->pud);
	return before != f->vmpte_kb;
}

int footprint(pid_t pid, struct footprint *f)
{
	int fd, ret, i;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	/* Both numbers are to be of one moment. */
	for (i = 0; i < ATTEMPTS; i++) {
		ret = look(pid, fd, f);
		if (ret <= 0)
			break;
	}
	close(fd);
	return ret < 0 ? -1 : 0;
}

int print_footprint(pid_t pid)
{
	struct footprint f;

	if (footprint(pid, &f)) {
		fprintf(stderr, "process %d: %s\n", pid, strerror(errno));
		return -1;
	}
	printf("%ld %ld %ld %ld %ld %ld %ld\n", f.rss_kb, f.vmpte_kb,
	       f.least_kb, f.pte, f.pmd, f.pud, f.pte_now);
	fflush(stdout);
	return 0;
}
