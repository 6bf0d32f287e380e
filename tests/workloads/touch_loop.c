// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark of the first series to free page tables: a large mapping, of
 * which each 2 MiB is touched and given back with MADV_DONTNEED before the
 * next, whole or in pieces.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "least.h"

#define TABLE	(2UL << 20)

int main(int argc, char **argv)
{
	size_t size, piece, step, i, k;
	char *p;

	if (argc != 4) {
		fprintf(stderr, "usage: touch_loop SIZE_GIB PIECE_KIB STEP_KIB\n"
			"A page in every STEP_KIB is touched.\n");
		return 2;
	}
	size = strtoul(argv[1], NULL, 0) << 30;
	piece = strtoul(argv[2], NULL, 0) << 10;
	step = strtoul(argv[3], NULL, 0) << 10;

	p = mmap(NULL, size + TABLE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (p == MAP_FAILED)
		return perror("mmap"), 1;
	p = (char *)(((size_t)p + TABLE - 1) & ~(TABLE - 1));
	madvise(p, size, MADV_NOHUGEPAGE);

	for (i = 0; i < size; i += TABLE) {
		for (k = 0; k < TABLE; k += step)
			*(volatile size_t *)(p + i + k) = i;
		for (k = 0; k < TABLE; k += piece)
			if (madvise(p + i + k, piece, MADV_DONTNEED))
				return perror("madvise"), 1;
	}
	return print_footprint(getpid()) ? 1 : 0;
}
