// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "ptest.h"

#define COUNTERS	"/sys/kernel/debug/ptreclaim/counters"

enum mode mode = MODE_MODULE;
unsigned int seconds = 5;

double patience = 1;
static long baseline;
static char counters_then[4096];

/* One write() per line, so that lines of several processes do not mix. */
static void say(const char *head, const char *fmt, va_list ap)
{
	static char line[1024];
	int n = snprintf(line, sizeof(line), "%s", head);

	n += vsnprintf(line + n, sizeof(line) - n - 1, fmt, ap);
	if (n > (int)sizeof(line) - 2)
		n = sizeof(line) - 2;
	line[n++] = '\n';
	if (write(STDOUT_FILENO, line, n) != n)
		_exit(2);
}

void note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say("# ", fmt, ap);
	va_end(ap);
}

void fail_at(const char *file, int line, const char *fmt, ...)
{
	char head[256];
	va_list ap;

	snprintf(head, sizeof(head), "# FAILED at %s:%d: ", file, line);
	va_start(ap, fmt);
	say(head, fmt, ap);
	va_end(ap);
	_exit(1);
}

/*
 * Each process has 64 GiB of its own (the module may remember an address
 * across processes), each range starts in a new GiB, and a page at the end of
 * that GiB keeps its PMD table, so that VmPTE moves by whole PTE tables only.
 */
char *fresh(size_t size)
{
	size_t span = (size + 16 * TABLE + GIB - 1) & ~(GIB - 1);
	char *base = fresh_bare(span, GIB);
	size_t i;

	for (i = GIB; i <= span; i += GIB)
		*map_at(base + i - PAGE, PAGE, PROT_READ | PROT_WRITE,
			MAP_PRIVATE | MAP_ANONYMOUS, -1) = 1;
	return base + 4 * TABLE;
}

/* The same without that page: upper-level tables come and go too. */
char *fresh_bare(size_t size, size_t align)
{
	static uintptr_t next;

	if (!next)
		next = (1UL << 44) + ((getpid() % 768UL) << 36);
	next = (next + align - 1) & ~(align - 1);
	next += size;
	return (char *)next - size;
}

char *map_at(char *addr, size_t size, int prot, int flags, int fd)
{
	char *p = mmap(addr, size, prot,
		       flags | MAP_FIXED_NOREPLACE | MAP_NORESERVE, fd, 0);

	CHECK(p == addr, "mmap of %zu bytes at %p gave %p: %m", size, addr, p);
	return p;
}

char *map_anon(size_t size)
{
	return map_at(fresh(size), size, PROT_READ | PROT_WRITE,
		      MAP_PRIVATE | MAP_ANONYMOUS, -1);
}

char *map_shared(size_t size)
{
	return map_at(fresh(size), size, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1);
}

int memfd(size_t size)
{
	int fd = SYS(memfd_create("ptest", 0));

	SYS(ftruncate(fd, size));
	return fd;
}

uint64_t word(const char *addr, uint64_t seed)
{
	return (((uintptr_t)addr >> 12) + (seed << 40)) * 0x9e3779b97f4a7c15 | 1;
}

void fill(char *addr, size_t len, size_t step, uint64_t seed)
{
	size_t i;

	for (i = 0; i < len; i += step)
		*(volatile uint64_t *)(addr + i) = word(addr + i, seed);
}

void verify_at(const char *file, int line, const char *addr, size_t len,
	       size_t step, uint64_t seed)
{
	size_t i;

	for (i = 0; i < len; i += step) {
		uint64_t got = *(volatile uint64_t *)(addr + i);

		if (got != word(addr + i, seed))
			fail_at(file, line, "%p (+%#zx) holds %#lx, not %#lx",
				addr + i, i, got, word(addr + i, seed));
	}
}

void verify_zero_at(const char *file, int line, const char *addr, size_t len,
		    size_t step)
{
	size_t i;

	for (i = 0; i < len; i += step) {
		uint64_t got = *(volatile uint64_t *)(addr + i);

		if (got)
			fail_at(file, line, "%p (+%#zx) holds %#lx, not zero",
				addr + i, i, got);
	}
}

/* Without stdio: a buffer from the heap could be a new table itself. */
static ssize_t slurp(const char *path, char *buf, size_t size)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n, len = 0;

	if (fd < 0)
		return -1;
	while ((n = read(fd, buf + len, size - 1 - len)) > 0)
		len += n;
	close(fd);
	buf[len] = 0;
	return len;
}

static long number_after(const char *text, const char *key)
{
	size_t len = strlen(key);
	const char *p;

	for (p = text; p; p = strchr(p, '\n')) {
		p += *p == '\n';
		if (!strncmp(p, key, len) && strchr(": \t", p[len]))
			return strtol(p + len + strspn(p + len, ": \t"),
				      NULL, 0);
	}
	return -1;
}

long read_number(const char *path, const char *key)
{
	static char buf[16384];

	if (slurp(path, buf, sizeof(buf)) < 0)
		return -1;
	return key ? number_after(buf, key) : strtol(buf, NULL, 0);
}

void write_text(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	CHECK(fd >= 0, "%s: %m", path);
	CHECK(write(fd, text, strlen(text)) > 0, "%s: writing '%s': %m",
	      path, text);
	close(fd);
}

static long vmpte(pid_t pid)
{
	char path[64] = "/proc/self/status";
	long kb;

	if (pid)
		snprintf(path, sizeof(path), "/proc/%d/status", pid);
	kb = read_number(path, "VmPTE");
	CHECK(kb > 0 && kb % 4 == 0, "VmPTE of %s is %ld", path, kb);
	return kb / 4;
}

long pid_tables(pid_t pid)
{
	return vmpte(pid);
}

void mark(void)
{
	vmpte(0);
	now();
	baseline = vmpte(0);
}

long tables(void)
{
	return vmpte(0) - baseline;
}

void left_at(const char *file, int line, long off, long builtin, long module)
{
	long want[] = { off, builtin, module };
	long got = tables();

	if (mode != MODE_ANY && got != want[mode])
		fail_at(file, line, "%ld tables left, %ld expected", got,
			want[mode]);
}

void background_at(const char *file, int line, long want)
{
	double start = now();

	if (mode != MODE_MODULE)
		return;
	write_text(SCAN, "Y");
	while (tables() != want && now() - start < patience)
		nap(20);
	write_text(SCAN, "N");
	if (tables() != want)
		fail_at(file, line, "%ld tables left after %.2f s, %ld expected",
			tables(), now() - start, want);
}

void background_keeps_at(const char *file, int line, long want)
{
	if (mode != MODE_MODULE)
		return;
	write_text(SCAN, "Y");
	nap(1000 * patience);
	write_text(SCAN, "N");
	if (tables() != want)
		fail_at(file, line, "%ld tables left, %ld to be kept", tables(),
			want);
}

long counter(const char *name)
{
	return read_number(COUNTERS, name);
}

void counters_mark(void)
{
	if (mode != MODE_MODULE)
		return;
	CHECK(slurp(COUNTERS, counters_then, sizeof(counters_then)) >= 0,
	      "%s: %m", COUNTERS);
}

void grew_at(const char *file, int line, const char *name, long least)
{
	long then, now;

	if (mode != MODE_MODULE)
		return;
	then = number_after(counters_then, name);
	now = counter(name);
	if (then < 0 || now < 0)
		fail_at(file, line, "no counter named %s", name);
	if (now - then < least)
		fail_at(file, line, "counter %s grew by %ld, not %ld", name,
			now - then, least);
}

uint64_t pagemap(const void *addr)
{
	int fd = SYS(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	uint64_t entry;

	CHECK(pread(fd, &entry, 8, (uintptr_t)addr / PAGE * 8) == 8,
	      "pagemap at %p: %m", addr);
	close(fd);
	return entry;
}

size_t pages_with(const char *addr, size_t len, uint64_t bits)
{
	static uint64_t entries[TABLE / PAGE];
	int fd = SYS(open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC));
	size_t i, k, n, found = 0;

	for (i = 0; i < len; i += TABLE) {
		n = (len - i < TABLE ? len - i : TABLE) / PAGE;
		CHECK(pread(fd, entries, n * 8,
			    (uintptr_t)(addr + i) / PAGE * 8) == (ssize_t)n * 8,
		      "pagemap at %p: %m", addr + i);
		for (k = 0; k < n; k++)
			found += !!(entries[k] & bits);
	}
	close(fd);
	return found;
}

void nap(unsigned int ms)
{
	struct timespec ts = { ms / 1000, ms % 1000 * 1000000L };

	while (nanosleep(&ts, &ts) && errno == EINTR)
		;
}

/* The module does not free a table again that it freed a shorter time ago. */
long refill_ms(void)
{
	long ms;

	if (mode != MODE_MODULE)
		return 1;
	ms = read_number("/sys/module/ptreclaim/parameters/refill_ms", NULL);
	CHECK(ms >= 0, "refill_ms is %ld", ms);
	return ms;
}

/* The longest that it leaves one which came back again and again: 16 times as long. */
void nap_refills(void)
{
	nap(17 * refill_ms());
}

double now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec + ts.tv_nsec / 1e9;
}

void pin(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu % sysconf(_SC_NPROCESSORS_ONLN), &set);
	SYS(sched_setaffinity(0, sizeof(set), &set));
}

void thp(bool on)
{
	SYS(prctl(PR_SET_THP_DISABLE, !on, 0, 0, 0));
}

void khugepaged(bool fills_holes)
{
	write_text("/sys/kernel/mm/transparent_hugepage/khugepaged/max_ptes_none",
		   fills_holes ? "511" : "0");
}

void in_child(void (*fn)(void *), void *arg)
{
	pid_t pid = SYS(fork());
	int status;

	if (!pid) {
		fn(arg);
		_exit(0);
	}
	SYS(waitpid(pid, &status, 0));
	CHECK(status == 0, "the child ended with status %#x", status);
}

void advise(char *addr, size_t len, int advice)
{
	int ret;

	/* MADV_FREE and others ask to be called again now and then. */
	do {
		ret = madvise(addr, len, advice);
	} while (ret && (errno == EAGAIN || errno == EINTR));
	CHECK(!ret, "madvise(%p, %#zx, %d): %m", addr, len, advice);
}

void advise_pieces(char *addr, size_t len, size_t piece, int advice)
{
	size_t i;

	for (i = 0; i < len; i += piece)
		advise(addr + i, len - i < piece ? len - i : piece, advice);
}

void page_out(char *p, size_t len)
{
	int i;

	for (i = 0; i < 50 && pages_with(p, len, PM_PRESENT); i++) {
		advise(p, len, MADV_PAGEOUT);
		nap(20);
	}
	CHECK(!pages_with(p, len, PM_PRESENT | PM_SWAP),
	      "%zu pages stay mapped", pages_with(p, len, PM_PRESENT | PM_SWAP));
}

void swap_out(char *p, size_t len)
{
	size_t pages = pages_with(p, len, PM_PRESENT), i;

	for (i = 0; i < 50; i++) {
		advise(p, len, MADV_PAGEOUT);
		if (pages_with(p, len, PM_SWAP) == pages)
			return;
		nap(20);
	}
	FAIL("%zu of %zu pages went to swap", pages_with(p, len, PM_SWAP),
	     pages);
}
