// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ptest.h"
#include "uffd.h"

int uffd_open(uint64_t features)
{
	struct uffdio_api api = { .api = UFFD_API, .features = features };
	int fd = SYS(syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK));

	SYS(ioctl(fd, UFFDIO_API, &api));
	return fd;
}

void uffd_watch(int fd, char *p, size_t len, uint64_t how)
{
	struct uffdio_register reg = {
		.range = { (uintptr_t)p, len }, .mode = how,
	};

	SYS(ioctl(fd, UFFDIO_REGISTER, &reg));
}

void uffd_unwatch(int fd, char *p, size_t len)
{
	struct uffdio_range range = { (uintptr_t)p, len };

	SYS(ioctl(fd, UFFDIO_UNREGISTER, &range));
}

void uffd_protect(int fd, char *p, size_t len, bool on)
{
	struct uffdio_writeprotect wp = {
		.range = { (uintptr_t)p, len },
		.mode = on ? UFFDIO_WRITEPROTECT_MODE_WP : 0,
	};

	SYS(ioctl(fd, UFFDIO_WRITEPROTECT, &wp));
}

int uffd_copy_page(int fd, char *to, const char *from)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)to, .src = (uintptr_t)from, .len = PAGE,
	};

	return ioctl(fd, UFFDIO_COPY, &copy);
}

int uffd_move_page(int fd, char *to, const char *from)
{
	struct uffdio_move move = {
		.dst = (uintptr_t)to, .src = (uintptr_t)from, .len = PAGE,
	};

	return ioctl(fd, UFFDIO_MOVE, &move);
}
