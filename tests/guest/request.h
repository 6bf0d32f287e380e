/* SPDX-License-Identifier: GPL-2.0 */
/* Requests to /dev/ptreclaim, each checked to add up. */
#ifndef REQUEST_H
#define REQUEST_H

#include <linux/ptreclaim.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#define DEVICE		"/dev/ptreclaim"
#define DRY		PTRECLAIM_DRY_RUN
#define ZEROES		PTRECLAIM_ZERO_PAGES
#define FULLNESS	PTRECLAIM_FULLNESS
#define SELF		PTRECLAIM_SELF

/* Whether there is one; without the module there must be none. */
bool device_there(void);
int device_fd(void);

/* An open() of /dev/ptreclaim's ioctl as it is: 0, or -1 and errno. */
int raw_request(unsigned int cmd, void *arg);

/* The same with the size filled in; 0 or -errno. */
int request_at(const char *file, int line, struct ptreclaim_request *r);
#define request(r)	request_at(__FILE__, __LINE__, r)

/* One that succeeds. */
struct ptreclaim_request ask_at(const char *file, int line, int pidfd,
				const void *start, size_t len, uint32_t flags);
#define ask(pidfd, start, len, flags)					\
	ask_at(__FILE__, __LINE__, pidfd, start, len, flags)

/* A dry run, and then what it foretold. */
struct ptreclaim_request foretold_at(const char *file, int line, int pidfd,
				     const void *start, size_t len,
				     uint32_t flags);
#define foretold(pidfd, start, len, flags)				\
	foretold_at(__FILE__, __LINE__, pidfd, start, len, flags)

uint64_t all_kept(const struct ptreclaim_request *r);
int pidfd_of(pid_t pid);

/* What does not add up in the answer to @was; NULL if all does. */
const char *wrong_sums(const struct ptreclaim_request *was,
		       const struct ptreclaim_request *r, int ret);

#endif
