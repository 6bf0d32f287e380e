/* SPDX-License-Identifier: GPL-2.0 */
#ifndef LEAST_H
#define LEAST_H

#include <sys/types.h>

/*
 * Page tables a process has, and the least it could have:
 *  pte	ranges of 2 MiB that hold anything (a page, a swap entry, a marker), a
 *	huge anonymous page among them, which keeps a table to be split with;
 *	the zero page is nothing, for it can be read again without a table;
 *  pmd	ranges of 1 GiB, and pud ranges of 512 GiB, that hold any of these.
 * VmPTE counts tables of these three levels, and not the top one: what it has
 * above `least_kb` is tables that hold nothing. Of these the PTE tables are
 * `pte_now - pte`, and the rest are tables of the upper levels.
 *
 * Not seen are pages of VM_PFNMAP VMAs such as [vvar], but for those that
 * have others beside them, as [vvar] has [vdso]. Memory that userfaultfd
 * write-protects would seem to have tables everywhere.
 */
struct footprint {
	long rss_kb, vmpte_kb, least_kb;
	long pte, pmd, pud;
	long pte_now;		/* PTE tables it has */
};

/* Returns 0, or -1 with errno set. */
int footprint(pid_t pid, struct footprint *f);

/* Prints "rss_kb vmpte_kb least_kb pte pmd pud pte_now", and a newline. */
int print_footprint(pid_t pid);

#endif
