/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LEAST_H
#define LEAST_H

#include <sys/types.h>

/*
 * Page tables a process has, and the least it could have:
 *  pte	ranges of 2 MiB that hold anything (a page, a swap entry, a marker), a
 *	huge anonymous page among them, which keeps a table to be split with;
 *  pmd	ranges of 1 GiB, and pud ranges of 512 GiB, that hold any of these.
 * VmPTE counts tables of these three levels, and not the top one. A table of
 * the upper levels that holds nothing any more stays until munmap(), so what
 * VmPTE has above `least_kb` is empty tables of any level.
 *
 * Not seen are pages of VM_PFNMAP VMAs such as [vvar], but for those that
 * have others beside them, as [vvar] has [vdso].
 */
struct footprint {
	long rss_kb, vmpte_kb, least_kb;
	long pte, pmd, pud;
};

/* Returns 0, or -1 with errno set. */
int footprint(pid_t pid, struct footprint *f);

/* Prints "rss_kb vmpte_kb least_kb pte pmd pud", and a newline. */
int print_footprint(pid_t pid);

#endif
