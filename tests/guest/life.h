/* SPDX-License-Identifier: GPL-2.0 */
/* What the kinds of life share. */
#ifndef LIFE_H
#define LIFE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define CHUNK		KIB(64)

/* The memory that is played with; whatever is written has the next seed. */
extern char *area;
extern size_t chunks;
extern uint64_t next_seed;

unsigned int pick(unsigned int n);

/* A request for a range; whether the process was still there. */
bool look(int pidfd, char *p, size_t len);

void uffd_begin(void);
void uffd_round(void);

#endif
