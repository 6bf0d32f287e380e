/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * /dev/ptreclaim: look for page tables that map nothing, and free them.
 */
#ifndef _UAPI_LINUX_PTRECLAIM_H
#define _UAPI_LINUX_PTRECLAIM_H

#include <linux/ioctl.h>
#include <linux/types.h>

/* ptreclaim_request.flags */
#define PTRECLAIM_DRY_RUN	(1U << 0)	/* look, free nothing */
#define PTRECLAIM_ZERO_PAGES	(1U << 1)	/* also what holds only zero pages */
#define PTRECLAIM_FULLNESS	(1U << 2)	/* count entries, which takes longer */

/* ptreclaim_request.pidfd: the caller itself; any pidfd is one of a process */
#define PTRECLAIM_SELF		(-1)

/* ptreclaim_request.kept: why a table was not freed, or would not be */
enum ptreclaim_kept {
	PTRECLAIM_KEPT_PRESENT,		/* it maps a page */
	PTRECLAIM_KEPT_SWAP,		/* it has a swap entry */
	PTRECLAIM_KEPT_MARKERS,		/* it has a guard, uffd-wp or poison marker */
	PTRECLAIM_KEPT_MIGRATION,	/* it has a migration or device entry */
	PTRECLAIM_KEPT_BUSY,		/* it changed, or a lock was not to be had */
	PTRECLAIM_KEPT_NO_VMA,		/* munmap() is at work on its range */
	PTRECLAIM_KEPT_ZERO_PAGES,	/* zero pages, and the flag was not given */
	PTRECLAIM_KEPT_MLOCKED,		/* zero pages of a locked mapping */
	PTRECLAIM_KEPT_UFFD,		/* zero pages that userfaultfd watches */
	PTRECLAIM_KEPT_SOFT_DIRTY,	/* zero pages, and one is marked soft-dirty */
	PTRECLAIM_KEPT_SHARED,		/* zero pages of a file or shared mapping */
	PTRECLAIM_KEPT_MAX = 16,	/* room for more; unused ones are 0 */
};

/*
 * ptreclaim_request.fullness[i]: tables with so many entries in use:
 * none, 1, up to 7, up to 63, up to 255, up to 510, 511, all 512.
 */
#define PTRECLAIM_FULLNESS_MAX	8

/**
 * struct ptreclaim_request - what to look at, and what came of it
 * @size: sizeof(struct ptreclaim_request), as the caller knows it
 * @flags: PTRECLAIM_*
 * @pidfd: whose page tables; another process takes the rights that
 *	   process_madvise(2) asks for
 * @reserved: 0
 * @start: an address, a multiple of the page size
 * @len: bytes from there, a multiple of the page size; 0: to the end. Tables
 *	 that the range meets only in part are looked at as a whole.
 * @next: where to go on after EINTR; the end of the range when all is done
 * @tables: PTE tables looked at
 * @empty: of these, tables with no entry
 * @zero_only: tables with nothing but zero pages
 * @freed: tables freed; they are back in the system after an RCU grace period
 * @kept: the others, by reason; those of a dry run that would be freed are in
 *	  none of them
 * @fullness: with PTRECLAIM_FULLNESS, how full they are
 *
 * From @next on the kernel writes. It also does so with EINTR, and with ESRCH for
 * a process that exits meanwhile.
 * Later versions may be longer: what a kernel does not know must be 0.
 */
struct ptreclaim_request {
	__u32		size;
	__u32		flags;
	__s32		pidfd;
	__u32		reserved;
	__aligned_u64	start;
	__aligned_u64	len;
	__aligned_u64	next;
	__aligned_u64	tables;
	__aligned_u64	empty;
	__aligned_u64	zero_only;
	__aligned_u64	freed;
	__aligned_u64	kept[PTRECLAIM_KEPT_MAX];
	__aligned_u64	fullness[PTRECLAIM_FULLNESS_MAX];
};

#define PTRECLAIM_REQUEST_SIZE_VER0	264

/*
 * Errors: EINVAL (size, flags, reserved, a range that is not of pages or wraps),
 * E2BIG (a longer struct with something in it), EBADF (no pidfd), ESRCH (no
 * process any more, or a kernel thread), EACCES and EPERM (not allowed), EINTR
 * (a signal), EFAULT, ENOTTY (another ioctl).
 */
#define PTRECLAIM_IOC		0xBD
#define PTRECLAIM_IOC_RECLAIM	_IOWR(PTRECLAIM_IOC, 0x01, struct ptreclaim_request)

#endif /* _UAPI_LINUX_PTRECLAIM_H */
