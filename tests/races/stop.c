// SPDX-License-Identifier: GPL-2.0
/* The host, which stops CPUs, and the threads that run on them. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <linux/membarrier.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "races.h"

/* How long something that has to come may take on a busy machine; and how often in a
 * row the host sees a CPU wait, while the other one answers interrupts. */
#define COMES_S		300
#define WAITS		5

/* The page that freezer.py reads and writes, by its physical address. */
static struct {
	char text[256];
	volatile uint32_t answer;
	volatile uint32_t standing;
	volatile uint32_t waited[CPUS];
	volatile uint64_t word;
} *page;
static uint64_t page_at;

static struct place {
	char name[48];
	unsigned long addr, length;	/* to the next symbol */
} *places;

static const char *const names[] = {
	"ptreclaim_zap", "ptr_shim_pmd_clear", "___pte_free_tlb",
	"flush_tlb_mm_range", "pte_offset_map_lock", "pte_offset_map_rw_nolock",
	"lock_vma_under_rcu", "ptr_shim_find_pmd", "ptr_shim_pte_table",
	"ptr_shim_flush_range", "ptr_shim_pte_free_defer", "free_pgtables",
	"exit_mmap", "folio_migrate_flags", "try_grab_folio_fast",
	"pte_free_defer", "tlb_finish_mmu", "ptr_shim_vma_meets",
	"do_swap_page", "do_exit", "tlb_remove_table_sync_one",
	"arch_flush_tlb_before_set_pmd", "queued_spin_lock_slowpath",
	"native_queued_spin_lock_slowpath", "smp_call_function_many_cond",
};

#define PLACES	(sizeof(names) / sizeof(names[0]))

/* The host has a breakpoint here. */
__attribute__((noinline, used)) void race_marker(uint64_t physical)
{
	asm volatile("nop; nop" : : "D"(physical) : "memory");
}

static uint64_t physical(const void *addr)
{
	uint64_t entry = pagemap(addr);

	CHECK(entry & PM_PRESENT, "the page for the host is not there");
	return (entry & ((1ULL << 55) - 1)) * PAGE +
		((uintptr_t)addr & (PAGE - 1));
}

/* True if there was an answer. */
static bool ask_host(const char *text)
{
	page->answer = 0;
	strcpy(page->text, text);
	race_marker(page_at);
	return page->answer;
}

static void tell_host(const char *text)
{
	CHECK(ask_host(text), "no answer from the host to '%s'", text);
	CHECK(page->answer == 1, "the host refuses '%s'", text);
}

/* Compaction does not move what is locked. */
void host_ready(void)
{
	double start = now();

	write_text("/proc/sys/vm/compact_unevictable_allowed", "0");
	page = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	places = mmap(NULL, 2 * PAGE, PROT_READ | PROT_WRITE,
		      MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	CHECK(page != MAP_FAILED && places != MAP_FAILED, "mmap: %m");
	SYS(mlock(page, PAGE));
	/* Once: pagemap takes mmap_lock, for which somebody may be waiting later. */
	page_at = physical(page);
	while (!ask_host("hello")) {
		CHECK(now() - start < COMES_S, "there is no host");
		nap(50);
	}
}

/*
 * Of the kernel and, when it is loaded, of the module. A line is 16 digits, a letter,
 * the name, and the module's after a tab; scanf() would take seconds for all of them.
 */
void symbols_read(void)
{
	FILE *f = fopen("/proc/kallsyms", "r");
	char line[512], *name;
	struct place *last = NULL;
	unsigned long addr;
	size_t i;

	CHECK(f, "/proc/kallsyms: %m");
	for (i = 0; i < PLACES; i++) {
		snprintf(places[i].name, sizeof(places[i].name), "%s", names[i]);
		places[i].addr = 0;
	}
	while (fgets(line, sizeof(line), f)) {
		if (strlen(line) < 20)
			continue;
		if (last) {
			addr = strtoul(line, NULL, 16);
			last->length = addr - last->addr;
			last = addr > last->addr ? NULL : last;
		}
		name = line + 19;
		/* What the compiler made of a static function has a suffix. */
		name[strcspn(name, ".\t\n")] = 0;
		for (i = 0; i < PLACES; i++)
			if (*name == *names[i] && !strcmp(name, names[i])) {
				places[i].addr = strtoul(line, NULL, 16);
				last = &places[i];
			}
	}
	fclose(f);
}

/* NULL if there is no such symbol. */
static const struct place *place(const char *symbol)
{
	size_t i;

	for (i = 0; i < PLACES; i++)
		if (!strcmp(places[i].name, symbol) && places[i].addr)
			return &places[i];
	return NULL;
}

/* The host is to know when a CPU waits: in these functions. */
void spins_known(void)
{
	static const char *const spins[] = {
		"queued_spin_lock_slowpath", "native_queued_spin_lock_slowpath",
		"smp_call_function_many_cond",
	};
	char text[48];
	size_t i, n = 0;

	for (i = 0; i < sizeof(spins) / sizeof(spins[0]); i++) {
		const struct place *at = place(spins[i]);

		if (!at)
			continue;
		snprintf(text, sizeof(text), "spin %lx %lx", at->addr, at->length);
		tell_host(text);
		n++;
	}
	CHECK(n == 2, "%zu functions in which a CPU spins, not 2", n);
}

static void want(const char *what, int cpu, const char *symbol, bool any,
		 const void *in_table)
{
	unsigned long low = in_table ? (uintptr_t)in_table & ~(TABLE - 1) : 0;
	unsigned long high = in_table ? low + TABLE - 1 : -1UL;
	bool second = !strcmp(symbol, "lock_vma_under_rcu");
	const struct place *at = place(symbol);
	char text[128];

	CHECK(at, "there is no symbol %s", symbol);
	snprintf(text, sizeof(text), "%s %d %lx %s %s %lx %lx", what, cpu, at->addr,
		 any ? "any" : "own", second ? "rsi" : "rdx", low, high);
	tell_host(text);
}

void stop_at(int cpu, const char *symbol, bool any, const void *in_table)
{
	want("stop", cpu, symbol, any, in_table);
}

void leave_out(int cpu, const char *symbol)
{
	want("leave", cpu, symbol, false, NULL);
}

bool standing(int cpu)
{
	return page->standing >> cpu & 1;
}

void let_go(int cpu)
{
	char text[32];

	CHECK(standing(cpu), "the host let CPU %d go by itself", cpu);
	snprintf(text, sizeof(text), "go %d", cpu);
	tell_host(text);
}

void forget_stops(void)
{
	tell_host("clear");
}

struct actor standing_one = { .cpu = STANDING };
struct actor one_beside = { .cpu = BESIDE };

static void *act(void *arg)
{
	struct actor *actor = arg;
	char touched[64 * 1024];
	size_t i;

	/* Nothing of its stack is to fault while somebody holds a lock. */
	for (i = 0; i < sizeof(touched); i += PAGE)
		*(volatile char *)(touched + i) = 0;
	pin(actor->cpu);
	while (1) {
		void (*fn)(void) = actor->act;

		if (!fn || actor->done) {
			nap(1);
			continue;
		}
		actor->begun = true;
		fn();
		actor->done = true;
	}
	return NULL;
}

/*
 * While somebody holds mmap_lock the one who lets the others go must not fault: a
 * program that forks starts without the entries of its text, and a fork of its own
 * takes the permission to write from the rest.
 */
static void no_faults_here(void)
{
	extern char __executable_start[], __data_start[], _end[];
	char *text = __executable_start;
	char *data = __data_start - (uintptr_t)__data_start % PAGE;

	SYS(madvise(text, data - text, MADV_POPULATE_READ));
	SYS(madvise(data, _end - data, MADV_POPULATE_WRITE));
}

/* Made before anybody holds a lock; they go with the process. */
void actors(void)
{
	no_faults_here();
	pin(CONTROL);
	CHECK(!pthread_create(&standing_one.thread, NULL, act, &standing_one) &&
	      !pthread_create(&one_beside.thread, NULL, act, &one_beside),
	      "no thread");
	nap(10);
}

void begin(struct actor *actor, void (*fn)(void))
{
	actor->begun = false;
	actor->done = false;
	actor->act = fn;
}

void end(struct actor *actor)
{
	double start = now();

	while (!actor->done) {
		CHECK(now() - start < COMES_S, "CPU %d does not come to an end",
		      actor->cpu);
		nap(1);
	}
}

void until_standing(struct actor *actor)
{
	int cpu = actor ? actor->cpu : STANDING;
	double start = now();

	while (!standing(cpu)) {
		CHECK(!actor || !actor->done,
		      "CPU %d never came to where it is to stand", cpu);
		CHECK(now() - start < COMES_S, "CPU %d does not come", cpu);
		nap(1);
	}
}

bool ends_beside(struct actor *actor)
{
	uint32_t before = page->waited[actor->cpu];
	double start = now();

	while (!actor->done) {
		uint32_t waited = page->waited[actor->cpu];

		/* What it did before it began does not count. */
		if (!actor->begun || waited < before)
			before = actor->begun ? 0 : waited;
		if (actor->begun && waited - before >= WAITS)
			return false;
		CHECK(now() - start < COMES_S,
		      "CPU %d neither ends nor waits", actor->cpu);
		nap(2);
	}
	return true;
}

bool goes_beside(struct actor *actor)
{
	double start = now();
	bool ended;

	do {
		ended = ends_beside(actor);
	} while (!ended && now() - start < COMES_S);
	return ended;
}

void meet(const struct meeting *m)
{
	bool ended;

	stop_at(STANDING, m->place, m->any, m->in_table);
	if (m->first)
		begin(&standing_one, m->first);
	else
		m->start();
	until_standing(m->first ? &standing_one : NULL);
	begin(&one_beside, m->beside);
	ended = m->conduct == GOES ? goes_beside(&one_beside) : ends_beside(&one_beside);
	CHECK(ended || m->conduct != GOES,
	      "held up by the one who stands at %s", m->place);
	CHECK(!ended || m->conduct != WAITS,
	      "did not wait for the one who stands at %s", m->place);
	let_go(STANDING);
	if (m->first)
		end(&standing_one);
	end(&one_beside);
}

void remember_table(const void *addr)
{
	char text[32];

	snprintf(text, sizeof(text), "table %lx", (uintptr_t)addr);
	tell_host(text);
}

/*
 * All ones: as a page table it maps what it must not, or nothing sensible. Pages of
 * pipes: not movable, as page tables are, so that they come from the same free list;
 * and no page table here is needed for them. They go with the process.
 */
static void use_freed_pages(void)
{
	static char ones[64 * 1024];
	int pipes[2], i;

	memset(ones, 0xff, sizeof(ones));
	SYS(pipe(pipes));
	SYS(fcntl(pipes[1], F_SETPIPE_SZ, 16 * sizeof(ones)));
	for (i = 0; i < 16; i++)
		CHECK(write(pipes[1], ones, sizeof(ones)) == sizeof(ones),
		      "pipe: %m");
}

void reuse_table(void)
{
	int i;

	SYS(syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL, 0, 0));
	for (i = 0; i < 50; i++) {
		use_freed_pages();
		tell_host("word");
		if (page->word == -1UL)
			return;
		nap(20);
	}
	FAIL("the page of the table is not used again: %#lx", page->word);
}

long smaps_kb(const void *addr, const char *key)
{
	FILE *f = fopen("/proc/self/smaps", "r");
	unsigned long start, stop, kb;
	bool here = false;
	char line[256];
	long found = -1;
	size_t len = strlen(key);

	CHECK(f, "/proc/self/smaps: %m");
	while (fgets(line, sizeof(line), f)) {
		if (sscanf(line, "%lx-%lx ", &start, &stop) == 2)
			here = start <= (uintptr_t)addr && (uintptr_t)addr < stop;
		else if (here && !strncmp(line, key, len) && line[len] == ':' &&
			 sscanf(line + len + 1, "%lu", &kb) == 1)
			found = kb;
	}
	fclose(f);
	return found;
}
