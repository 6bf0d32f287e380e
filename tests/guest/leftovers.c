// SPDX-License-Identifier: GPL-2.0
/* Tables that map nothing, made in each way that leaves such behind. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "leftovers.h"
#include "ptest.h"
#include "uffd.h"

#define SHARED		(MAP_SHARED | MAP_ANONYMOUS)
#define EXEC		(PROT_READ | PROT_WRITE | PROT_EXEC)

char *filled(int flags, int fd)
{
	char *p = map_at(fresh(SIZE), SIZE, PROT_READ | PROT_WRITE, flags, fd);

	fill(p, SIZE, KIB(64), 1);
	return p;
}

char *lazyfree(void)
{
	char *p = filled(PRIVATE, -1);

	advise(p, SIZE, MADV_FREE);
	page_out(p, SIZE);
	return p;
}

char *shmem_reclaim(void)
{
	char *p = filled(SHARED, -1);

	page_out(p, SIZE);
	return p;
}

static char *truncate_of(int flags)
{
	int fd = memfd(SIZE);
	char *p = filled(flags, fd);

	SYS(ftruncate(fd, 0));
	SYS(ftruncate(fd, SIZE));
	close(fd);
	return p;
}

char *truncate_shared(void)
{
	return truncate_of(MAP_SHARED);
}

char *truncate_private(void)
{
	return truncate_of(MAP_PRIVATE);
}

char *punch_hole(void)
{
	int fd = memfd(SIZE);
	char *p = filled(MAP_SHARED, fd);

	SYS(fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0,
		      SIZE));
	close(fd);
	return p;
}

char *madv_remove(void)
{
	char *p = filled(SHARED, -1);

	advise_pieces(p, SIZE, KIB(64), MADV_REMOVE);
	return p;
}

/* Half a table off, so that the entries move one by one. */
char *mremap_leftovers(void)
{
	char *p = filled(PRIVATE, -1), *q = fresh(SIZE + TABLE) + MIB(1);

	CHECK(mremap(p, SIZE, SIZE, MREMAP_MAYMOVE | MREMAP_FIXED |
		     MREMAP_DONTUNMAP, q) == q, "mremap: %m");
	return p;
}

char *guards_come_and_go(char *p)
{
	advise(p, SIZE, MADV_GUARD_INSTALL);
	advise(p, SIZE, MADV_GUARD_REMOVE);
	return p;
}

char *guard_removed(void)
{
	return guards_come_and_go(map_anon(SIZE));
}

char *uffd_unregister(void)
{
	int fd = uffd_open(UFFD_FEATURE_WP_UNPOPULATED);
	char *p = map_anon(SIZE);

	uffd_watch(fd, p, SIZE, UFFDIO_REGISTER_MODE_WP);
	uffd_protect(fd, p, SIZE, true);
	uffd_unwatch(fd, p, SIZE);
	close(fd);
	return p;
}

char *zero_pages(void)
{
	char *p = map_anon(SIZE);

	verify_zero(p, SIZE, KIB(64));
	return p;
}

void in_halves(char *p)
{
	size_t i;

	for (i = 0; i < SIZE; i += TABLE)
		SYS(mprotect(p + i, MIB(1), EXEC));
}

char *straddling(void)
{
	char *p = truncate_shared();

	in_halves(p);
	return p;
}

char *straddling_zero_pages(void)
{
	char *p = map_anon(SIZE);

	in_halves(p);
	verify_zero(p, SIZE, KIB(64));
	return p;
}

char *half_a_vma(void)
{
	char *p = fresh(SIZE);
	int fd = memfd(MIB(1));
	size_t i;

	for (i = 0; i < SIZE; i += TABLE) {
		map_at(p + i, MIB(1), PROT_READ | PROT_WRITE, MAP_SHARED, fd);
		fill(p + i, PAGE, PAGE, 1);
	}
	SYS(ftruncate(fd, 0));
	close(fd);
	return p;
}
