// SPDX-License-Identifier: GPL-2.0
/* /dev/ptreclaim: who may ask for whose tables. */
#define _GNU_SOURCE
#include <errno.h>
#include <grp.h>
#include <linux/capability.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "leftovers.h"
#include "ptest.h"
#include "refuse.h"
#include "request.h"

#define NOBODY		65534

/* Gives up root, and all capabilities but those of the mask. */
static void drop_to_nobody(uint32_t caps)
{
	struct __user_cap_header_struct head = {
		.version = _LINUX_CAPABILITY_VERSION_3,
	};
	struct __user_cap_data_struct data[2] = {
		{ .effective = caps, .permitted = caps },
	};

	SYS(setgroups(0, NULL));
	SYS(prctl(PR_SET_KEEPCAPS, 1, 0, 0, 0));
	SYS(setresgid(NOBODY, NOBODY, NOBODY));
	SYS(setresuid(NOBODY, NOBODY, NOBODY));
	SYS(syscall(SYS_capset, &head, data));
	/* As a program of nobody's that was started anew. */
	SYS(prctl(PR_SET_DUMPABLE, 1, 0, 0, 0));
}

struct root {
	int pidfd;
	char *p;
};

static void nobody_and_root(void *arg)
{
	struct root *root = arg;

	drop_to_nobody(1 << CAP_SYS_NICE);
	REFUSED(root->pidfd, EACCES);
	REFUSED(pidfd_of(1), EACCES);
}

/* CAP_SYS_PTRACE is not enough either; but who only looks needs no other. */
static void ptracer_and_root(void *arg)
{
	struct ptreclaim_request r;
	struct root *root = arg;

	drop_to_nobody(1 << CAP_SYS_PTRACE);
	r = ask(root->pidfd, root->p, SIZE, DRY);
	CHECK(r.empty == NR, "%llu empty tables", r.empty);
	ENDS(EPERM, q.pidfd = root->pidfd, q.flags = 0);
	CHECK(process_madvise_says(root->pidfd) == EPERM, "process_madvise()");
}

static void nobody_and_nobody(void *arg)
{
	uint32_t caps = (uintptr_t)arg;
	struct ptreclaim_request r;
	struct root other;
	pid_t pid;
	char *p;
	int ready[2], fd;

	drop_to_nobody(caps);
	/* Of its own it may do all. */
	p = guard_removed();
	r = foretold(SELF, p, SIZE, 0);
	CHECK(r.freed == NR, "%llu tables freed", r.freed);
	p = guard_removed();
	r = foretold(pidfd_of(getpid()), p, SIZE, 0);
	CHECK(r.freed == NR, "%llu tables freed", r.freed);

	SYS(pipe(ready));
	pid = SYS(fork());
	if (!pid) {
		other.p = guard_removed();
		SYS(write(ready[1], &other, sizeof(other)));
		pause();
	}
	SYS(read(ready[0], &other, sizeof(other)));
	fd = pidfd_of(pid);
	r = ask(fd, other.p, SIZE, DRY);
	CHECK(r.empty == NR, "%llu empty tables", r.empty);
	if (caps) {
		r = ask(fd, other.p, SIZE, 0);
		CHECK(r.freed == NR, "%llu tables freed", r.freed);
	} else {
		ENDS(EPERM, q.pidfd = fd, q.flags = 0);
		ENDS(EPERM, q.pidfd = fd, q.flags = ZEROES | FULLNESS);
		CHECK(process_madvise_says(fd) == EPERM, "process_madvise()");
		r = ask(fd, other.p, SIZE, DRY);
		CHECK(r.empty == NR, "only %llu tables left", r.empty);
	}
	SYS(kill(pid, SIGKILL));
	SYS(waitpid(pid, NULL, 0));
}

static void others(void)
{
	struct root root;

	if (!device_there())
		return;
	root.p = guard_removed();
	root.pidfd = pidfd_of(getpid());
	mark();
	in_child(nobody_and_root, &root);
	in_child(ptracer_and_root, &root);
	CHECK(tables() == 0, "%ld of root's tables went", -tables());
	CHECK(ask(SELF, root.p, SIZE, DRY).empty == NR, "tables went");
	in_child(nobody_and_nobody, NULL);
	in_child(nobody_and_nobody, (void *)(uintptr_t)(1 << CAP_SYS_NICE));
}

const struct test_case permission_cases[] = {
	{ "device.refuses_others", "refused: EACCES, EPERM", others },
	{ }
};
