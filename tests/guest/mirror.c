// SPDX-License-Identifier: GPL-2.0
/*
 * A secondary MMU, as of a GPU, that reads what the process has: the kernel's
 * lib/test_hmm.c. It keeps what it has found in the page tables until an mmu
 * notifier tells it not to.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "leftovers.h"
#include "ptest.h"
#include "request.h"

#define MIRROR		"/dev/hmm_dmirror0"

/* As lib/test_hmm_uapi.h has them. */
struct mirror_read {
	uint64_t addr, ptr, npages, cpages, faults;
};
#define MIRROR_READ	_IOWR('H', 0, struct mirror_read)

static int mirror;

/* One page of each table, which must hold its word, or zero. Gives how many of
 * them had to be looked up. */
static size_t mirrored(char *p, uint64_t seed)
{
	static uint64_t page[PAGE / sizeof(uint64_t)];
	size_t i, faults = 0;

	for (i = 0; i < SIZE; i += TABLE) {
		struct mirror_read r = {
			.addr = (uintptr_t)p + i,
			.ptr = (uintptr_t)page,
			.npages = 1,
		};
		uint64_t want = seed ? word(p + i, seed) : 0;

		SYS(ioctl(mirror, MIRROR_READ, &r));
		CHECK(r.cpages == 1, "%lu pages read", r.cpages);
		CHECK(page[0] == want, "the mirror of table %zu shows %#lx, not %#lx",
		      i / TABLE, page[0], want);
		faults += r.faults;
	}
	return faults;
}

/* Zero pages that the mirror knows of. */
static char *known(char *(*make)(void))
{
	char *p;

	mirror = SYS(open(MIRROR, O_RDWR | O_CLOEXEC));
	p = make();
	CHECK(mirrored(p, 0) == NR, "it knew some before");
	CHECK(mirrored(p, 0) == 0, "it does not keep them");
	mark();
	return p;
}

/* What comes in place of the zero pages is told to nobody: no page was there. */
static void sees_new_pages(char *p)
{
	fill(p, SIZE, KIB(64), 1);
	mirrored(p, 1);
	close(mirror);
}

static void by_request(char *(*make)(void))
{
	char *p;

	if (!device_there())
		return;
	p = known(make);
	ask(SELF, p, SIZE, DRY | ZEROES);
	CHECK(mirrored(p, 0) == 0, "a dry run has cleared some");
	CHECK(ask(SELF, p, SIZE, ZEROES).freed == NR, "not all were freed");
	sees_new_pages(p);
}

static void in_one_vma(void)
{
	by_request(zero_pages);
}

static void straddle(void)
{
	by_request(straddling_zero_pages);
}

static void by_scan(void)
{
	char *p = known(zero_pages);

	background(-NR);
	sees_new_pages(p);
}

const struct test_case mirror_cases[] = {
	{ "mirror.zero_pages", LATER ", and told", by_scan },
	{ "mirror.zero_pages_by_request", ASKED ", and told", in_one_vma },
	{ "mirror.straddling_zero_pages", ASKED ", and told", straddle },
	{ }
};
