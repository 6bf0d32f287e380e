// SPDX-License-Identifier: GPL-2.0
/* /dev/ptreclaim: what is refused, to whom, and how a request ends early. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"
#include "request.h"

#define NOBODY		65534
#define VER0		PTRECLAIM_REQUEST_SIZE_VER0
#define SIZED(size)							\
	_IOC(_IOC_READ | _IOC_WRITE, PTRECLAIM_IOC, 1, size)

#ifndef PIDFD_SELF_THREAD
#define PIDFD_SELF_THREAD	-10000
#define PIDFD_SELF_THREAD_GROUP	-10001
#endif
#ifndef PIDFD_THREAD
#define PIDFD_THREAD		O_EXCL
#endif

/* The request ends with this error (0: none), and says nothing else. */
static void ends_at(int line, struct ptreclaim_request r, int err)
{
	struct ptreclaim_request was = r;
	int ret = request(&r);

	if (ret != -err)
		fail_at(__FILE__, line, "%s, not %s", strerror(-ret),
			strerror(err));
	if (ret && memcmp(&r.next, &was.next, sizeof(r) -
			  offsetof(struct ptreclaim_request, next)))
		fail_at(__FILE__, line, "the request was written to");
}

#define ENDS(err, ...)							\
	do {								\
		struct ptreclaim_request q = {				\
			.pidfd = SELF, .flags = DRY, .next = 0xABCD,	\
		};							\
									\
		__VA_ARGS__;						\
		ends_at(__LINE__, q, err);				\
	} while (0)

static void raw_ends_at(int line, unsigned int cmd, void *arg, int err)
{
	int ret = raw_request(cmd, arg) ? errno : 0;

	if (ret != err)
		fail_at(__FILE__, line, "%s, not %s", strerror(ret),
			strerror(err));
}

#define RAW(cmd, arg, err)	raw_ends_at(__LINE__, cmd, arg, err)

static void sizes(void)
{
	static const struct ptreclaim_request dry = {
		.pidfd = SELF, .flags = DRY,
	};
	char *two, *end;
	struct {
		struct ptreclaim_request r;
		unsigned char more[16000];
	} *big;
	size_t i;

	if (!device_there())
		return;
	CHECK(sizeof(struct ptreclaim_request) == VER0, "the size is %zu",
	      sizeof(struct ptreclaim_request));
	two = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE,
		   MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(two != MAP_FAILED, "mmap: %m");
	big = (void *)two;
	for (i = 0; i < VER0; i++) {
		big->r = dry;
		big->r.size = i;
		RAW(SIZED(i), big, EINVAL);
	}
	/* The two sizes differ. */
	for (i = 0; i < 3 * VER0; i++) {
		big->r = dry;
		big->r.size = i;
		RAW(SIZED(VER0), big, i == VER0 ? 0 : EINVAL);
	}
	for (i = VER0 + 1; i < 2 * VER0; i++) {
		big->r = dry;
		big->r.size = VER0;
		RAW(SIZED(i), big, EINVAL);
	}
	/* Longer, with nothing behind what is known, and with something. */
	for (i = VER0 + 1; i < sizeof(*big); i += i < 2 * VER0 ? 1 : 1021) {
		unsigned char *last = (unsigned char *)big + i - 1;

		big->r = dry;
		big->r.size = i;
		RAW(SIZED(i), big, 0);
		CHECK(big->r.tables && big->r.next, "nothing was written");
		*last = 1;
		big->r = dry;
		if (last < big->more)
			*last = 1;
		big->r.size = i;
		RAW(SIZED(i), big, E2BIG);
		CHECK(!big->r.tables, "it was written to");
		*last = 0;
	}
	/* What is behind the caller's struct is not looked at, nor written. */
	memset(big->more, 0xAA, sizeof(big->more));
	big->r = dry;
	big->r.size = VER0;
	RAW(SIZED(VER0), big, 0);
	for (i = 0; i < sizeof(big->more); i++)
		CHECK(big->more[i] == 0xAA, "byte %zu behind it changed", i);
	/* The last bytes that there are. */
	end = two + 8 * PAGE;
	SYS(mprotect(end - PAGE, PAGE, PROT_NONE));
	big = (void *)(end - PAGE - VER0);
	big->r = dry;
	big->r.size = VER0;
	RAW(SIZED(VER0), big, 0);
	big->r.size = VER0 + 1;
	RAW(SIZED(VER0 + 1), big, EFAULT);
}

static void flags(void)
{
	uint32_t bit;

	if (!device_there())
		return;
	for (bit = 1; bit; bit <<= 1) {
		ENDS(bit > FULLNESS ? EINVAL : 0, q.flags = bit);
		ENDS(EINVAL, q.reserved = bit);
	}
	ENDS(EINVAL, q.flags = ~0U);
	ENDS(0, q.flags = DRY | ZEROES | FULLNESS);
	ENDS(EINVAL, q.reserved = ~0U);
}

static void bad_ranges(void)
{
	static const uint64_t beyond[] = {
		1UL << 47, 1UL << 56, (1UL << 57) - PAGE, 1UL << 63,
		0xffff800000000000, 0xffffffff80000000, -GIB, -2 * PAGE,
	};
	struct ptreclaim_request r;
	char *p;
	size_t i;

	if (!device_there())
		return;
	p = map_anon(SIZE);
	for (i = 1; i < PAGE; i <<= 1) {
		ENDS(EINVAL, q.start = i);
		ENDS(EINVAL, q.len = i);
		ENDS(EINVAL, q.start = (uintptr_t)p + i, q.len = PAGE);
		ENDS(EINVAL, q.start = (uintptr_t)p, q.len = PAGE + i);
	}
	/* Whatever wraps, and what would end at 2^64. */
	ENDS(EINVAL, q.start = -PAGE, q.len = PAGE);
	ENDS(EINVAL, q.start = -PAGE, q.len = 2 * PAGE);
	ENDS(EINVAL, q.start = 1UL << 63, q.len = 1UL << 63);
	ENDS(EINVAL, q.start = (uintptr_t)p, q.len = -PAGE);
	ENDS(0, q.start = 0, q.len = -PAGE);
	/* Where no user's memory can be, nothing is found. */
	for (i = 0; i < sizeof(beyond) / sizeof(*beyond); i++) {
		r = ask(SELF, (void *)beyond[i], PAGE, 0);
		CHECK(!r.tables, "%llu tables at %#lx", r.tables, beyond[i]);
		if (beyond[i] < 1UL << 56)
			continue;
		r = ask(SELF, (void *)beyond[i], 0, 0);
		CHECK(!r.tables && r.next == beyond[i],
		      "%llu tables, next is %#llx, from %#lx to the end",
		      r.tables, r.next, beyond[i]);
	}
}

static void bad_pointers(void)
{
	struct ptreclaim_request *r;

	if (!device_there())
		return;
	RAW(PTRECLAIM_IOC_RECLAIM, NULL, EFAULT);
	RAW(PTRECLAIM_IOC_RECLAIM, (void *)PAGE, EFAULT);
	RAW(PTRECLAIM_IOC_RECLAIM, (void *)-1, EFAULT);
	RAW(PTRECLAIM_IOC_RECLAIM, (void *)-PAGE, EFAULT);
	RAW(PTRECLAIM_IOC_RECLAIM, (void *)0xffff888000000000, EFAULT);
	RAW(PTRECLAIM_IOC_RECLAIM, (void *)(1UL << 63), EFAULT);
	r = mmap(NULL, PAGE, PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	CHECK(r != MAP_FAILED, "mmap: %m");
	*r = (struct ptreclaim_request) {
		.size = sizeof(*r), .pidfd = SELF, .flags = DRY,
	};
	RAW(PTRECLAIM_IOC_RECLAIM, r, 0);
	/* It can be read, but not written. */
	SYS(mprotect(r, PAGE, PROT_READ));
	RAW(PTRECLAIM_IOC_RECLAIM, r, EFAULT);
	SYS(munmap(r, PAGE));
	RAW(PTRECLAIM_IOC_RECLAIM, r, EFAULT);
}

/* The same process by the same pidfd, asked by process_madvise(). */
static int process_madvise_says(int pidfd)
{
	struct iovec iov = { (void *)device_there, 1 };
	long ret;

	iov.iov_base = (void *)((uintptr_t)iov.iov_base & -PAGE);
	iov.iov_len = PAGE;
	ret = syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_PAGEOUT, 0);
	return ret < 0 ? errno : 0;
}

/* Both ways to ask, and process_madvise(), which knows no dry run, agree. */
#define REFUSED(fd, err)						\
	do {								\
		ENDS(err, q.pidfd = fd);				\
		ENDS(err, q.pidfd = fd, q.flags = 0);			\
		CHECK(process_madvise_says(fd) == (err),		\
		      "process_madvise() says %s",			\
		      strerror(process_madvise_says(fd)));		\
	} while (0)

static void *thread_id(void *arg)
{
	*(_Atomic pid_t *)arg = syscall(SYS_gettid);
	pause();
	return NULL;
}

static void pidfds(void)
{
	_Atomic pid_t tid = 0;
	pthread_t thread;
	int fd, zero;
	pid_t pid;

	if (!device_there())
		return;
	REFUSED(-2, EBADF);
	REFUSED(1 << 30, EBADF);
	REFUSED(0x7fffffff, EBADF);
	zero = SYS(open("/dev/zero", O_RDWR));
	REFUSED(zero, EBADF);
	REFUSED(device_fd(), EBADF);
	fd = pidfd_of(getpid());
	ENDS(0, q.pidfd = fd);
	close(fd);
	REFUSED(fd, EBADF);

	/* kthreadd */
	fd = pidfd_of(2);
	REFUSED(fd, ESRCH);
	close(fd);

	pid = SYS(fork());
	if (!pid) {
		pause();
		_exit(0);
	}
	fd = pidfd_of(pid);
	ENDS(0, q.pidfd = fd);
	ENDS(0, q.pidfd = fd, q.flags = 0);
	SYS(kill(pid, SIGKILL));
	SYS(waitid(P_PID, pid, &(siginfo_t){ }, WEXITED | WNOWAIT));
	/* A zombie; then gone. */
	REFUSED(fd, ESRCH);
	SYS(waitpid(pid, NULL, 0));
	REFUSED(fd, ESRCH);
	close(fd);

	/* What is in no table of files, and means the caller. */
	ENDS(0, q.pidfd = PIDFD_SELF_THREAD);
	ENDS(0, q.pidfd = PIDFD_SELF_THREAD_GROUP, q.flags = 0);
	/* As process_madvise(): of processes, not of their threads. */
	CHECK(!pthread_create(&thread, NULL, thread_id, &tid), "no thread");
	while (!tid)
		nap(1);
	fd = SYS(syscall(SYS_pidfd_open, tid, PIDFD_THREAD));
	REFUSED(fd, ESRCH);
}

static void other_ioctls(void)
{
	static const unsigned int dirs[] = {
		_IOC_NONE, _IOC_READ, _IOC_WRITE,
	};
	struct ptreclaim_request r = {
		.size = sizeof(r), .pidfd = SELF, .flags = DRY,
	};
	char buf[64] = "";
	unsigned int i;
	int fd;

	if (!device_there())
		return;
	RAW(PTRECLAIM_IOC_RECLAIM, &r, 0);
	for (i = 0; i < 256; i++) {
		if (i != 1)
			RAW(_IOC(_IOC_READ | _IOC_WRITE, PTRECLAIM_IOC, i,
				 sizeof(r)), &r, ENOTTY);
		if (i != PTRECLAIM_IOC)
			RAW(_IOC(_IOC_READ | _IOC_WRITE, i, 1, sizeof(r)), &r,
			    ENOTTY);
	}
	for (i = 0; i < 3; i++)
		RAW(_IOC(dirs[i], PTRECLAIM_IOC, 1, sizeof(r)), &r, ENOTTY);
	RAW(0, &r, ENOTTY);
	RAW(~0U, &r, ENOTTY);

	fd = device_fd();
	CHECK(read(fd, buf, sizeof(buf)) == -1 && errno == EINVAL, "read()");
	CHECK(write(fd, buf, sizeof(buf)) == -1 && errno == EINVAL, "write()");
	CHECK(lseek(fd, 0, SEEK_SET) == -1 && errno == ESPIPE, "lseek()");
	CHECK(mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0) == MAP_FAILED &&
	      errno == ENODEV, "mmap()");
}

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

static char *empty_tables(void)
{
	char *p = map_anon(SIZE);

	advise(p, SIZE, MADV_GUARD_INSTALL);
	advise(p, SIZE, MADV_GUARD_REMOVE);
	return p;
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
	p = empty_tables();
	r = foretold(SELF, p, SIZE, 0);
	CHECK(r.freed == NR, "%llu tables freed", r.freed);
	p = empty_tables();
	r = foretold(pidfd_of(getpid()), p, SIZE, 0);
	CHECK(r.freed == NR, "%llu tables freed", r.freed);

	SYS(pipe(ready));
	pid = SYS(fork());
	if (!pid) {
		other.p = empty_tables();
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
	root.p = empty_tables();
	root.pidfd = pidfd_of(getpid());
	mark();
	in_child(nobody_and_root, &root);
	in_child(ptracer_and_root, &root);
	CHECK(tables() == 0, "%ld of root's tables went", -tables());
	CHECK(ask(SELF, root.p, SIZE, DRY).empty == NR, "tables went");
	in_child(nobody_and_nobody, NULL);
	in_child(nobody_and_nobody, (void *)(uintptr_t)(1 << CAP_SYS_NICE));
}

/* So many tables that a request takes a while. */
#define MANY	20000UL

static char *many;
static double whole_time;
static _Atomic bool sender_stop;
static double sent_at;
static _Atomic long sent;

static void handler(int sig)
{
	(void)sig;
}

static void make_many(void)
{
	size_t i;

	if (!many)
		many = map_at(fresh_bare(MANY * TABLE, GIB), MANY * TABLE,
			      PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1);
	for (i = 0; i < MANY; i++)
		CHECK(!*(volatile uint64_t *)(many + i * TABLE), "not zero");
}

static void measure(void)
{
	struct ptreclaim_request r;
	double start = now();

	r = ask(SELF, many, MANY * TABLE, DRY | FULLNESS);
	whole_time = now() - start;
	CHECK(r.tables == MANY && r.zero_only == MANY, "%llu tables",
	      r.tables);
}

static void sleep_for(double s)
{
	usleep(s * 1e6);
}

static void *sender(void *arg)
{
	pthread_t target = *(pthread_t *)arg;

	pin(1);
	while (!sender_stop) {
		sleep_for(whole_time / 4);
		sent_at = now();
		sent++;
		pthread_kill(target, SIGALRM);
	}
	return NULL;
}

/*
 * One request after the other, each from where a signal has ended the last:
 * together they see each table once. Gives how often a signal came.
 */
static int in_parts(uint32_t flags, uint64_t *tables, uint64_t *freed)
{
	struct ptreclaim_request r = { .start = (uintptr_t)many };
	uint64_t end = r.start + MANY * TABLE;
	int interrupted = 0, ret;

	*tables = *freed = 0;
	do {
		struct ptreclaim_request next = {
			.pidfd = SELF, .flags = flags, .start = r.start,
			.len = end - r.start,
		};
		double late;

		r = next;
		ret = request(&r);
		late = now() - sent_at;
		CHECK(!ret || ret == -EINTR, "%s", strerror(-ret));
		if (ret) {
			interrupted++;
			CHECK(late < whole_time / 2 + 0.05,
			      "%.3f s until the signal was heeded, of %.3f",
			      late, whole_time);
		}
		*tables += r.tables;
		*freed += r.freed;
		r.start = r.next;
	} while (ret);
	CHECK(r.next == end, "it ends at %#llx", r.next);
	return interrupted;
}

static void interrupted(void)
{
	struct sigaction sa = { .sa_handler = handler };
	pthread_t self = pthread_self(), thread;
	uint64_t seen, freed;
	int n, i;

	if (!device_there())
		return;
	/* The upper tables first: these stay. */
	make_many();
	ask(SELF, many, MANY * TABLE, ZEROES);
	mark();
	make_many();
	left(MANY, MANY, MANY);
	measure();
	/* For this case the alarm is another. */
	SYS(sigaction(SIGALRM, &sa, NULL));
	CHECK(!pthread_create(&thread, NULL, sender, &self), "no thread");
	for (i = n = 0; i < 5 && n < 3; i++) {
		n = in_parts(DRY | FULLNESS, &seen, &freed);
		CHECK(seen == MANY && !freed, "%lu tables seen", seen);
	}
	note("%.3f s, %d times interrupted", whole_time, n);
	CHECK(n > 0, "%ld signals, and none came in between", sent);
	left(MANY, MANY, MANY);

	n = in_parts(FULLNESS | ZEROES, &seen, &freed);
	note("%d times interrupted, freeing", n);
	CHECK(n > 0, "%ld signals, and none came in between", sent);
	CHECK(seen == MANY && freed == MANY, "%lu tables seen, %lu freed", seen, freed);
	left(MANY, MANY, 0);
	sender_stop = true;
	pthread_join(thread, NULL);
}

static void killed(void)
{
	double delay, start, took;
	int pidfd, i, status;
	pid_t pid;
	long n;

	if (!device_there())
		return;
	make_many();
	measure();
	pidfd = pidfd_of(getpid());
	delay = whole_time / 2;
	for (i = 0; i < 8; i++, delay /= 2) {
		ask(SELF, many, MANY * TABLE, ZEROES);
		mark();
		make_many();
		left(MANY, MANY, MANY);
		pid = SYS(fork());
		if (!pid) {
			pin(1);
			ask(pidfd, many, MANY * TABLE, ZEROES | FULLNESS);
			_exit(0);
		}
		sleep_for(delay);
		start = now();
		SYS(kill(pid, SIGKILL));
		SYS(waitpid(pid, &status, 0));
		took = now() - start;
		n = tables();
		note("killed after %.3f s: gone %.3f s later, %ld tables left",
		     delay, took, n);
		CHECK(took < whole_time / 2 + 0.5, "%.3f s until it was gone",
		      took);
		if (n > 0 && n < (long)MANY)
			break;
		delay = n ? delay * 3 : delay;
	}
	CHECK(i < 8, "none was killed in between");
	/* The rest goes with the next. */
	ask(SELF, many, MANY * TABLE, ZEROES);
	left(MANY, MANY, 0);
}

const struct test_case refuse_cases[] = {
	{ "device.refuses_sizes", "refused: EINVAL, E2BIG", sizes },
	{ "device.refuses_flags", "refused: EINVAL", flags },
	{ "device.refuses_ranges", "refused: EINVAL", bad_ranges },
	{ "device.refuses_pointers", "refused: EFAULT", bad_pointers },
	{ "device.refuses_pidfds", "refused: EBADF, ESRCH", pidfds },
	{ "device.refuses_others", "refused: EACCES, EPERM", others },
	{ "device.refuses_other_calls", "refused: ENOTTY and others",
	  other_ioctls },
	{ "device.interrupted", "ended by a signal, and gone on with",
	  interrupted },
	{ "device.killed", "ended by SIGKILL", killed },
	{ }
};
