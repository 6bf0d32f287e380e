// SPDX-License-Identifier: GPL-2.0
/* fail_function, and allocations that fail by chance. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "faults.h"

#define DEBUGFS		"/sys/kernel/debug/"
#define PLENTY		1000000000L

/* Each says no by a return value that is in its retval as soon as it is there. */
const char *const decisions[] = {
	"ptr_shim_trylock", "ptr_shim_may_try_mmap", "ptr_shim_may_lock_vma",
	"ptr_shim_may_join", "ptr_shim_may_have_slot", "ptr_shim_mm_complete",
	"ptr_shim_pte_table", "ptr_shim_find_pmd", NULL,
};

static void attr(const char *what, const char *file, long value)
{
	char path[96], text[24];

	snprintf(path, sizeof(path), DEBUGFS "%s/%s", what, file);
	snprintf(text, sizeof(text), "%ld", value);
	write_text(path, text);
}

static void chance(const char *what, long of_hundred, long interval)
{
	attr(what, "verbose", 0);
	attr(what, "space", 0);
	attr(what, "times", PLENTY);
	attr(what, "interval", interval);
	attr(what, "probability", of_hundred);
}

/* How often it was, since chance(). */
static long so_far(const char *what)
{
	char path[96];

	snprintf(path, sizeof(path), DEBUGFS "%s/times", what);
	return PLENTY - read_number(path, NULL);
}

void force(const char *function, unsigned int of_hundred)
{
	write_text(DEBUGFS "fail_function/inject", function);
	chance("fail_function", of_hundred, 1);
}

long forced_so_far(void)
{
	return so_far("fail_function");
}

long unforce(void)
{
	long n = forced_so_far();

	/* Spaces: all of them. */
	write_text(DEBUGFS "fail_function/inject", " ");
	attr("fail_function", "probability", 0);
	return n;
}

static const char *const allocators[] = { "failslab", "fail_page_alloc" };

/* interval and probability multiply. */
void luck(unsigned int of_ten_thousand)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		attr(allocators[i], "task-filter", 1);
		chance(allocators[i], of_ten_thousand, 100);
	}
}

void bad_luck(bool on)
{
	static int fd = -1;

	/* What is open already takes no luck. */
	if (fd < 0)
		fd = SYS(open("/proc/self/make-it-fail", O_WRONLY | O_CLOEXEC));
	CHECK(pwrite(fd, on ? "1" : "0", 1, 0) == 1, "make-it-fail: %m");
}

long luck_so_far(void)
{
	return so_far(allocators[0]) + so_far(allocators[1]);
}

long luck_ends(void)
{
	long n = luck_so_far();
	unsigned int i;

	for (i = 0; i < 2; i++) {
		attr(allocators[i], "probability", 0);
		attr(allocators[i], "task-filter", 0);
	}
	return n;
}
