/* SPDX-License-Identifier: GPL-2.0 */
/* Requests that are refused. */
#ifndef REFUSE_H
#define REFUSE_H

#include <string.h>

#include "ptest.h"
#include "request.h"

/* The request ends with this error (0: none), and says nothing else. */
void ends_at(const char *file, int line, struct ptreclaim_request r, int err);
#define ENDS(err, ...)							\
	do {								\
		struct ptreclaim_request q = {				\
			.pidfd = SELF, .flags = DRY, .next = 0xABCD,	\
		};							\
									\
		__VA_ARGS__;						\
		ends_at(__FILE__, __LINE__, q, err);			\
	} while (0)

/* The same process by the same pidfd, asked by process_madvise(). */
int process_madvise_says(int pidfd);

/* Both ways to ask, and process_madvise(), which knows no dry run, agree. */
#define REFUSED(fd, err)						\
	do {								\
		ENDS(err, q.pidfd = fd);				\
		ENDS(err, q.pidfd = fd, q.flags = 0);			\
		CHECK(process_madvise_says(fd) == (err),		\
		      "process_madvise() says %s",			\
		      strerror(process_madvise_says(fd)));		\
	} while (0)

#endif
