/* SPDX-License-Identifier: GPL-2.0 */
/* userfaultfd, with what older headers do not have. */
#ifndef UFFD_H
#define UFFD_H

#include <linux/userfaultfd.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifndef UFFD_FEATURE_WP_UNPOPULATED
#define UFFD_FEATURE_WP_UNPOPULATED	(1 << 13)
#endif
#ifndef UFFD_FEATURE_POISON
#define UFFD_FEATURE_POISON		(1 << 14)
#define UFFDIO_POISON_NR		0x08
struct uffdio_poison {
	struct uffdio_range range;
	uint64_t mode;
	int64_t updated;
};
#define UFFDIO_POISON	_IOWR(UFFDIO, UFFDIO_POISON_NR, struct uffdio_poison)
#endif
#ifndef UFFD_FEATURE_MOVE
#define UFFD_FEATURE_MOVE	(1 << 16)
struct uffdio_move {
	uint64_t dst, src, len, mode;
	int64_t move;
};
#define UFFDIO_MOVE	_IOWR(UFFDIO, 0x05, struct uffdio_move)
#endif

int uffd_open(uint64_t features);
void uffd_watch(int fd, char *p, size_t len, uint64_t how);
void uffd_unwatch(int fd, char *p, size_t len);
void uffd_protect(int fd, char *p, size_t len, bool on);

/* One page; as the ioctl() returns. */
int uffd_copy_page(int fd, char *to, const char *from);
int uffd_move_page(int fd, char *to, const char *from);

#endif
