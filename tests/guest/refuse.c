// SPDX-License-Identifier: GPL-2.0
/* /dev/ptreclaim: what is refused, whoever asks. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "ptest.h"
#include "refuse.h"
#include "request.h"

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

void ends_at(const char *file, int line, struct ptreclaim_request r, int err)
{
	struct ptreclaim_request was = r;
	int ret = request(&r);

	if (ret != -err)
		fail_at(file, line, "%s, not %s", strerror(-ret),
			strerror(err));
	if (ret && memcmp(&r.next, &was.next, sizeof(r) -
			  offsetof(struct ptreclaim_request, next)))
		fail_at(file, line, "the request was written to");
}

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

int process_madvise_says(int pidfd)
{
	struct iovec iov = { (void *)device_there, 1 };
	long ret;

	iov.iov_base = (void *)((uintptr_t)iov.iov_base & -PAGE);
	iov.iov_len = PAGE;
	ret = syscall(SYS_process_madvise, pidfd, &iov, 1, MADV_PAGEOUT, 0);
	return ret < 0 ? errno : 0;
}

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

const struct test_case refuse_cases[] = {
	{ "device.refuses_sizes", "refused: EINVAL, E2BIG", sizes },
	{ "device.refuses_flags", "refused: EINVAL", flags },
	{ "device.refuses_ranges", "refused: EINVAL", bad_ranges },
	{ "device.refuses_pointers", "refused: EFAULT", bad_pointers },
	{ "device.refuses_pidfds", "refused: EBADF, ESRCH", pidfds },
	{ "device.refuses_other_calls", "refused: ENOTTY and others",
	  other_ioctls },
	{ }
};
