// SPDX-License-Identifier: GPL-2.0
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "ptest.h"
#include "request.h"

int device_fd(void)
{
	static int fd = -1;

	if (fd < 0)
		fd = SYS(open(DEVICE, O_RDWR | O_CLOEXEC));
	return fd;
}

bool device_there(void)
{
	bool loaded = !access("/sys/module/ptreclaim", F_OK);
	int fd = open(DEVICE, O_RDWR | O_CLOEXEC);

	if (loaded)
		CHECK(fd >= 0, "%s: %m", DEVICE);
	else
		CHECK(fd < 0 && errno == ENOENT, "%s without the module: %m",
		      DEVICE);
	if (fd >= 0)
		close(fd);
	return mode == MODE_MODULE;
}

int raw_request(unsigned int cmd, void *arg)
{
	return ioctl(device_fd(), cmd, arg);
}

uint64_t all_kept(const struct ptreclaim_request *r)
{
	uint64_t sum = 0;
	int i;

	for (i = 0; i < PTRECLAIM_KEPT_MAX; i++)
		sum += r->kept[i];
	return sum;
}

const char *wrong_sums(const struct ptreclaim_request *was,
		       const struct ptreclaim_request *r, int ret)
{
	uint64_t end = was->start + was->len, sum = 0, live = 0;
	int i;

	if (ret && ret != -EINTR)
		return NULL;
	if (memcmp(was, r, offsetof(struct ptreclaim_request, next)))
		return "what was asked has changed";
	if (!was->len)
		end = r->next > was->start ? r->next : was->start;
	if (!ret && r->next != end)
		return "next is not the end";
	if (ret && (r->next < was->start || (was->len && r->next >= end)))
		return "next is not in the range";

	for (i = 0; i <= PTRECLAIM_KEPT_MIGRATION; i++)
		live += r->kept[i];
	for (i = PTRECLAIM_KEPT_SHARED + 1; i < PTRECLAIM_KEPT_MAX; i++)
		if (r->kept[i])
			return "a reason that there is not";
	if (!(was->flags & DRY)) {
		if (r->tables != r->freed + all_kept(r))
			return "tables != freed + kept";
	} else {
		if (r->freed)
			return "a dry run has freed something";
		if (r->tables != r->empty + r->zero_only + live)
			return "tables != empty + zero_only + kept of live";
		if (all_kept(r) > live + r->zero_only)
			return "a dry run keeps what is empty";
	}
	if (!(was->flags & ZEROES) &&
	    r->kept[PTRECLAIM_KEPT_ZERO_PAGES] != r->zero_only)
		return "zero pages are not kept without the flag";
	if (was->flags & ZEROES && r->kept[PTRECLAIM_KEPT_ZERO_PAGES])
		return "zero pages are kept despite the flag";

	for (i = 0; i < PTRECLAIM_FULLNESS_MAX; i++)
		sum += r->fullness[i];
	if (sum != (was->flags & FULLNESS ? r->tables : 0))
		return "fullness != tables";
	return NULL;
}

int request_at(const char *file, int line, struct ptreclaim_request *r)
{
	struct ptreclaim_request was;
	const char *wrong;
	int ret;

	r->size = sizeof(*r);
	was = *r;
	ret = raw_request(PTRECLAIM_IOC_RECLAIM, r) ? -errno : 0;
	wrong = wrong_sums(&was, r, ret);
	if (wrong)
		fail_at(file, line,
			"%s: flags %u, %#llx to %#llx: next %#llx tables %llu empty %llu zero %llu freed %llu kept %llu",
			wrong, was.flags, was.start, was.start + was.len,
			r->next, r->tables, r->empty, r->zero_only, r->freed,
			(unsigned long long)all_kept(r));
	return ret;
}

struct ptreclaim_request ask_at(const char *file, int line, int pidfd,
				const void *start, size_t len, uint32_t flags)
{
	struct ptreclaim_request r = {
		.flags = flags, .pidfd = pidfd,
		.start = (uintptr_t)start, .len = len,
	};
	int ret = request_at(file, line, &r);

	if (ret)
		fail_at(file, line, "the request failed: %s", strerror(-ret));
	return r;
}

struct ptreclaim_request foretold_at(const char *file, int line, int pidfd,
				     const void *start, size_t len,
				     uint32_t flags)
{
	struct ptreclaim_request dry, real;
	int i;

	dry = ask_at(file, line, pidfd, start, len, flags | DRY);
	real = ask_at(file, line, pidfd, start, len, flags);
	if (dry.tables != real.tables || dry.empty != real.empty ||
	    dry.zero_only != real.zero_only)
		fail_at(file, line,
			"%llu tables, %llu empty, %llu zero, not %llu, %llu, %llu",
			real.tables, real.empty, real.zero_only, dry.tables,
			dry.empty, dry.zero_only);
	for (i = 0; i < PTRECLAIM_KEPT_MAX; i++)
		if (dry.kept[i] != real.kept[i])
			fail_at(file, line,
				"%llu kept for reason %d, %llu foretold",
				real.kept[i], i, dry.kept[i]);
	if (dry.tables - all_kept(&dry) != real.freed)
		fail_at(file, line, "%llu freed, %llu foretold", real.freed,
			dry.tables - (unsigned long long)all_kept(&dry));
	if (memcmp(dry.fullness, real.fullness, sizeof(dry.fullness)))
		fail_at(file, line, "another fullness than foretold");
	return real;
}

int pidfd_of(pid_t pid)
{
	return SYS(syscall(SYS_pidfd_open, pid, 0));
}
