// SPDX-License-Identifier: GPL-2.0
/* Those who come to a table: faults, and those who read page tables. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "../guest/uffd.h"
#include "beside.h"
#include "races.h"

char *area, *table, *rest, *spot;
bool of_file;
static uint64_t got;

void places(char *p)
{
	area = p;
	table = p + TABLE;
	rest = table + TABLE - REST;
	spot = table + 300 * PAGE;
	fill(area, PAGE, PAGE, 1);
}

void anon_area(void)
{
	places(map_anon(4 * TABLE));
}

/* Not before there is a table: what makes it would be a huge page. */
static void allow_huge(void)
{
	advise(area, 4 * TABLE, MADV_HUGEPAGE);
}

void fill_rest(void)
{
	size_t i;

	if (!of_file)
		return fill(rest, REST, PAGE, 2);
	for (i = 0; i < REST; i += PAGE)
		CHECK(*(volatile char *)(rest + i) == 'x', "not the file");
}

void first_is_there(void)
{
	verify(area, PAGE, PAGE, 1);
}

void nothing_at_spot(void)
{
	first_is_there();
	verify_zero(spot, PAGE, PAGE);
}

void spot_is_there(void)
{
	first_is_there();
	verify(spot, PAGE, PAGE, 3);
}

/* Faults. */

static void write_spot(void)
{
	fill(spot, PAGE, PAGE, 3);
}

static void read_spot(void)
{
	verify_zero(spot, PAGE, PAGE);
}

static void populate(void)
{
	SYS(madvise(spot, PAGE, MADV_POPULATE_WRITE));
	fill(spot, PAGE, PAGE, 3);
}

static void huge_is_there(void)
{
	CHECK(smaps_kb(table, "AnonHugePages") == 2048, "no huge page came");
	spot_is_there();
}

/* Others read it by its page tables. */

static void read_by_call(void)
{
	struct iovec to = { &got, sizeof(got) }, from = { spot, sizeof(got) };

	got = 1;
	SYS(process_vm_readv(getpid(), &to, 1, &from, 1, 0));
	CHECK(!got, "process_vm_readv gives %#lx", got);
}

/* get_user_pages_fast(). */
static void splice_spot(void)
{
	struct iovec from = { spot, sizeof(got) };
	int pipes[2];

	SYS(pipe(pipes));
	SYS(vmsplice(pipes[1], &from, 1, 0));
	got = 1;
	SYS(read(pipes[0], &got, sizeof(got)));
	CHECK(!got, "vmsplice gives %#lx", got);
	close(pipes[0]);
	close(pipes[1]);
}

static void read_pagemap(void)
{
	CHECK(pages_with(area, 4 * TABLE, PM_PRESENT | PM_SWAP) == 1,
	      "pagemap shows other pages than the one there is");
}

static void read_smaps(void)
{
	long kb = smaps_kb(area, "Rss");

	CHECK(kb == 4, "smaps shows %ld kB", kb);
}

static void in_core(void)
{
	static unsigned char vec[4 * TABLE / PAGE];
	size_t i, n = 0;

	SYS(mincore(area, 4 * TABLE, vec));
	for (i = 0; i < sizeof(vec); i++)
		n += vec[i] & 1;
	CHECK(n == 1, "mincore shows %zu pages", n);
}

static void scan_pagemap(void)
{
	struct {
		uint64_t start, end, categories;
	} regions[8];
	struct {
		uint64_t size, flags, start, end, walk_end, vec, vec_len,
			 max_pages, inverted, mask, anyof, returned;
	} arg = {
		.size = sizeof(arg), .start = (uintptr_t)area,
		.end = (uintptr_t)area + 4 * TABLE, .vec = (uintptr_t)regions,
		.vec_len = 8, .anyof = 1 << 3, .returned = 1 << 3,
	};
	int pagemap = SYS(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	int n = SYS(ioctl(pagemap, _IOC(_IOC_READ | _IOC_WRITE, 'f', 16,
					sizeof(arg)), &arg));

	close(pagemap);
	CHECK(n == 1 && regions[0].start == (uintptr_t)area &&
	      regions[0].end == (uintptr_t)area + PAGE,
	      "PAGEMAP_SCAN shows %d regions", n);
}

#define FAULT	{ "wwgg", "gggwwg" }
#define HUGE	{ "wwgg", "----wg" }
#define READ	{ "wwgg", "gggwgg" }

const struct peer fault_peers[] = {
	{ "write", FAULT, anon_area, NULL, write_spot, spot_is_there, 1, 1, false, 1, 0 },
	{ "read", FAULT, anon_area, NULL, read_spot, nothing_at_spot, 1, 1, false, 1, 0 },
	{ "populate", FAULT, anon_area, NULL, populate, spot_is_there, 1, 1, false, 1, 0 },
	{ "huge_page", HUGE, anon_area, NULL, write_spot, huge_is_there, 1, 1, false, 1, 0, allow_huge },
	{ "huge_zero_page", HUGE, anon_area, NULL, read_spot, nothing_at_spot, 1, 1, false, 1, 0, allow_huge },
	{ "process_vm_readv", FAULT, anon_area, NULL, read_by_call, nothing_at_spot, 1, 1, false, 1, 0 },
	{ "gup_fast", FAULT, anon_area, NULL, splice_spot, nothing_at_spot, 1, 1, false, 1, 0 },
	{ "pagemap", READ, anon_area, NULL, read_pagemap, nothing_at_spot, 0, 1, false, 0, 1 },
	{ "smaps", READ, anon_area, NULL, read_smaps, nothing_at_spot, 0, 1, false, 0, 1 },
	{ "pagemap_scan", READ, anon_area, NULL, scan_pagemap, nothing_at_spot, 0, 1, false, 0, 1 },
	{ "mincore", READ, anon_area, NULL, in_core, nothing_at_spot, 0, 1, false, 0, 1 },
	{ }
};

const struct peer *each_peer(const struct peer *peer)
{
	if (!peer)
		return fault_peers;
	peer++;
	if (peer == fault_peers + sizeof(fault_peers) / sizeof(fault_peers[0]) - 1)
		return change_peers;
	return peer->name ? peer : NULL;
}

size_t pair_up(struct race *races, const char *kind, enum whose whose,
	       const struct stop *stops, void (*run)(void))
{
	const struct peer *peer = NULL;
	struct pair *pair;
	size_t n = 0, i;
	char *name;

	while ((peer = each_peer(peer))) {
		for (i = 0; peer->conduct[whose][i]; i++) {
			if (peer->conduct[whose][i] == '-')
				continue;
			pair = malloc(sizeof(*pair));
			*pair = (struct pair) { peer, i };
			CHECK(asprintf(&name, "%s.%s.%s", kind, stops[i].name, peer->name) > 0,
			      "no memory");
			races[n++] = (struct race) { name, run, pair,
				.rare = !stands_for_others(peer) };
		}
	}
	return n;
}

const struct peer *peer_named(const char *name)
{
	const struct peer *peer = NULL;

	while ((peer = each_peer(peer)))
		if (!strcmp(peer->name, name))
			return peer;
	FAIL("nobody is named %s", name);
}

/*
 * One of each kind: a fault, a fault for a huge page, one who reads under RCU, one
 * with interrupts off, another zap, a look, the end of a VMA, tables that are
 * moved, a collapse (by call, and by khugepaged), and an entry that is not none. The others do the same to the
 * table under the same locks, and come in the long form.
 */
bool stands_for_others(const struct peer *peer)
{
	static const char *const one_of_each[] = {
		"write", "huge_page", "pagemap", "gup_fast", "zap", "request",
		"munmap", "mremap_out", "collapse", "khugepaged", "migrate",
	};
	size_t i;

	for (i = 0; i < sizeof(one_of_each) / sizeof(one_of_each[0]); i++)
		if (!strcmp(one_of_each[i], peer->name))
			return true;
	return false;
}
