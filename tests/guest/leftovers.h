/* SPDX-License-Identifier: GPL-2.0 */
/* Tables that map nothing, made in each way that leaves such behind. */
#ifndef LEFTOVERS_H
#define LEFTOVERS_H

#define PRIVATE		(MAP_PRIVATE | MAP_ANONYMOUS)

/* NR tables that are needed: every 64 KiB a page is written to. */
char *filled(int flags, int fd);

/*
 * Each makes NR tables that map nothing, in a range of their own that nothing
 * else has tables in.
 */
char *lazyfree(void);
char *shmem_reclaim(void);
char *truncate_shared(void);
char *truncate_private(void);
char *punch_hole(void);
char *madv_remove(void);
char *mremap_leftovers(void);
char *guard_removed(void);
char *uffd_unregister(void);
char *zero_pages(void);
/* Of two VMAs each; see in_halves(). */
char *straddling(void);
char *straddling_zero_pages(void);
/* A VMA for half of each table, and nothing beside it. */
char *half_a_vma(void);

/* The same in a range that is there already, SIZE bytes from p; returns p. */
char *guards_come_and_go(char *p);

/* Every other MiB is a VMA of another kind. */
void in_halves(char *p);

#endif
