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
#define IS_FILE		(1 << 2)
#define IS_PRESENT	(1 << 3)
#define IS_SWAPPED	(1 << 4)	/* or any marker */
#define IS_HUGE		(1 << 6)

#define USER_END	0x7ffffffff000ULL
#define REGIONS		4096

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

static int scan_pages(int fd, struct footprint *f)
{
	static struct region regions[REGIONS];
	uint64_t pte = 0, pmd = 0, pud = 0;
	struct scan s = {
		.size = sizeof(s),
		.end = USER_END,
		.vec = (uintptr_t)regions,
		.vec_len = REGIONS,
		.anyof = IS_PRESENT | IS_SWAPPED,
		.returned = IS_FILE | IS_HUGE,
	};

	while (s.start < s.end) {
		int n = ioctl(fd, SCAN, &s), i;

		if (n < 0)
			return -1;
		for (i = 0; i < n; i++) {
			const struct region *r = &regions[i];

			/* A file's huge page needs no table beside it. */
			if (r->categories != (IS_FILE | IS_HUGE))
				count(r, 21, &pte, &f->pte);
			count(r, 30, &pmd, &f->pmd);
			count(r, 39, &pud, &f->pud);
		}
		s.start = s.walk_end;
	}
	return 0;
}

int footprint(pid_t pid, struct footprint *f)
{
	char path[64];
	int fd, ret;

	memset(f, 0, sizeof(*f));
	snprintf(path, sizeof(path), "/proc/%d/pagemap", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -1;
	ret = scan_pages(fd, f);
	close(fd);
	f->least_kb = 4 * (f->pte + f->pmd + f->pud);
	return ret ? ret : read_status(pid, f);
}

int print_footprint(pid_t pid)
{
	struct footprint f;

	if (footprint(pid, &f)) {
		fprintf(stderr, "process %d: %s\n", pid, strerror(errno));
		return -1;
	}
	printf("%ld %ld %ld %ld %ld %ld\n", f.rss_kb, f.vmpte_kb, f.least_kb,
	       f.pte, f.pmd, f.pud);
	fflush(stdout);
	return 0;
}
