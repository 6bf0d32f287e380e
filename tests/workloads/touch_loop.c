// SPDX-License-Identifier: GPL-2.0
/*
 * The benchmark of the first series to free page tables: a large mapping, of
 * which each 2 MiB is touched and given back with MADV_DONTNEED before the
 * next, whole or in pieces. Then it says "ready", and stays until its input
 * ends.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

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

	/* Always there, or how many upper tables it takes would be luck. */
	p = mmap((void *)(1UL << 44), size, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE |
		 MAP_FIXED_NOREPLACE, -1, 0);
	if (p == MAP_FAILED)
		return perror("mmap"), 1;
	madvise(p, size, MADV_NOHUGEPAGE);

	for (i = 0; i < size; i += TABLE) {
		for (k = 0; k < TABLE; k += step)
			*(volatile size_t *)(p + i + k) = i;
		for (k = 0; k < TABLE; k += piece)
			if (madvise(p + i + k, piece, MADV_DONTNEED))
				return perror("madvise"), 1;
	}
	/* Without stdio: a buffer of its own would come to a table. */
	if (write(STDOUT_FILENO, "ready\n", 6) != 6)
		return perror("write"), 1;
	while (read(STDIN_FILENO, &k, 1) > 0)
		;
	return 0;
}
