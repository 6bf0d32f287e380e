// SPDX-License-Identifier: GPL-2.0
/* A program whose memory comes from a thread of its own: userfaultfd. */
#define _GNU_SOURCE
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "life.h"
#include "ptest.h"
#include "request.h"
#include "uffd.h"

/* What a page that is missing shall hold: by the round, as long as it lasts. */
static _Atomic uint64_t uffd_seed;
static char *staging;

static void *uffd_handler(void *arg)
{
	int fd = *(int *)arg;
	struct uffd_msg msg;

	for (;;) {
		struct pollfd pfd = { .fd = fd, .events = POLLIN };
		char *at, *from;
		int ret;

		poll(&pfd, 1, -1);
		if (read(fd, &msg, sizeof(msg)) != sizeof(msg))
			continue;
		CHECK(msg.event == UFFD_EVENT_PAGEFAULT, "event %d", msg.event);
		at = (char *)(msg.arg.pagefault.address & ~(PAGE - 1));
		from = staging + (at - area) / TABLE * TABLE;
		*(volatile uint64_t *)from = word(at, uffd_seed);
		/* A page that is not its own alone cannot be moved. */
		ret = (uintptr_t)at / PAGE & 1 ? uffd_move_page(fd, at, from) : -1;
		if (ret)
			ret = uffd_copy_page(fd, at, from);
		CHECK(!ret || errno == EEXIST, "UFFDIO_COPY: %m");
	}
	return NULL;
}

void uffd_begin(void)
{
	static pthread_t thread;
	static int fd;

	staging = map_anon(chunks * CHUNK);
	advise(area, chunks * CHUNK, MADV_NOHUGEPAGE);
	advise(staging, chunks * CHUNK, MADV_NOHUGEPAGE);
	fd = uffd_open(UFFD_FEATURE_MOVE);
	uffd_watch(fd, area, chunks * CHUNK, UFFDIO_REGISTER_MODE_MISSING);
	CHECK(!pthread_create(&thread, NULL, uffd_handler, &fd), "no thread");
}

void uffd_round(void)
{
	size_t n = 1UL << pick(5), from = pick(chunks - n + 1);
	char *p = area + from * CHUNK;
	size_t step = PAGE << pick(5);

	uffd_seed = ++next_seed;
	verify(p, n * CHUNK, step, uffd_seed);
	fill(p, n * CHUNK, step, ++next_seed);
	verify(p, n * CHUNK, step, next_seed);
	advise_pieces(p, n * CHUNK, CHUNK, MADV_DONTNEED);
	look(SELF, p, n * CHUNK);
}
