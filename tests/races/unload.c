// SPDX-License-Identifier: GPL-2.0
/*
 * The module goes while somebody stands in it, or has just been ("Unloading",
 * Documentation/locking.md). In the hook he is an RCU reader (the PTE lock): the
 * unload waits. Behind it nothing of the module runs any more: the table goes by
 * code of the kernel, and the unload is done before it is freed. The scanner's work
 * is waited for. An open device keeps the module.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "beside.h"
#include "races.h"

static int unload_error;

static void unload(void)
{
	unload_error = syscall(SYS_delete_module, "ptreclaim", O_NONBLOCK) ?
		errno : 0;
}

static void load(void)
{
	const char *ko = getenv("PTRECLAIM_KO");
	int fd;

	CHECK(ko, "PTRECLAIM_KO is not set");
	fd = SYS(open(ko, O_RDONLY | O_CLOEXEC));
	SYS(syscall(SYS_finit_module, fd, "refill_ms=0", 0));
	close(fd);
	write_text(SCAN, "N");
	symbols_read();
}

static void zap_rest(void)
{
	advise(rest, REST, MADV_DONTNEED);
}

static void unload_beside(const char *place, enum conduct conduct)
{
	actors();
	anon_area();
	mark();
	fill_rest();
	meet(&(struct meeting) {
		.place = place,
		.first = zap_rest,
		.beside = unload,
		.conduct = conduct,
	});
	CHECK(!unload_error, "the unload fails: %s", strerror(unload_error));
	CHECK(access("/sys/module/ptreclaim", F_OK), "the module is there");
	load();
	CHECK(!tables(), "%ld tables left", tables());
	verify(area, PAGE, PAGE, 1);
	verify_zero(rest, REST, PAGE);
}

static void at_hook(void)
{
	unload_beside("ptreclaim_zap", WAITS);
}

static void unlinked(void)
{
	unload_beside("___pte_free_tlb", GOES);
}

static void empty_table(void)
{
	actors();
	anon_area();
	mark();
	advise(rest, REST, MADV_GUARD_INSTALL);
	advise(rest, REST, MADV_GUARD_REMOVE);
	CHECK(tables() == 1, "%ld tables made, not one", tables());
}

static void wake_scanner(void)
{
	write_text("/sys/devices/virtual/workqueue/ptreclaim/cpumask", "2");
	write_text("/sys/module/ptreclaim/parameters/scan_age_ms", "0");
	write_text("/sys/module/ptreclaim/parameters/scan_interval_ms", "10");
	write_text(SCAN, "Y");
}

static void scanner(void)
{
	empty_table();
	meet(&(struct meeting) {
		.place = "ptr_shim_pmd_clear",
		.any = true,
		.start = wake_scanner,
		.beside = unload,
		.conduct = WAITS,
	});
	CHECK(!unload_error, "the unload fails: %s", strerror(unload_error));
	load();
	CHECK(!tables(), "%ld tables left", tables());
	verify_zero(rest, REST, PAGE);
}

static void request_table(void)
{
	ask(SELF, table, TABLE, 0);
}

static void requested(void)
{
	empty_table();
	meet(&(struct meeting) {
		.place = "ptr_shim_find_pmd",
		.first = request_table,
		.beside = unload,
		.conduct = GOES,
	});
	CHECK(unload_error == EAGAIN || unload_error == EWOULDBLOCK,
	      "the unload of what is in use: %s", strerror(unload_error));
	CHECK(!tables(), "%ld tables left", tables());
}

const struct race unload_races[] = {
	{ "unload.hook", at_hook },
	{ "unload.unlinked", unlinked },
	{ "unload.scanner", scanner },
	{ "unload.request", requested },
	{ }
};
