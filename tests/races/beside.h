/* SPDX-License-Identifier: GPL-2.0 */
/* Those who come to a table while another CPU stands with it. */
#ifndef BESIDE_H
#define BESIDE_H

#include "../guest/ptest.h"
#include "races.h"

#define REST		(16 * PAGE)

/*
 * Four tables; the second one is the table. Its last pages are the rest that is
 * zapped; the spot is where others fill it. The first table has one page.
 */
extern char *area, *table, *rest, *spot;
extern bool of_file;		/* its pages are those of a file */

/* Who stands: zap.c, scan.c. */
enum whose { ZAP, LOOK };

struct peer {
	const char *name;
	/*
	 * Conduct at each place: g goes through, w waits, m either, - no race. ZAP:
	 * hook, locked, unlinked, unflushed; LOOK: looked, covered, pmd, locked,
	 * unflushed, flushed.
	 */
	const char *conduct[2];
	void (*setup)(void);	/* the area */
	void (*ready)(void);	/* more of it, before tables are counted */
	void (*act)(void);
	void (*check)(void);
	int tables;		/* more than before the rest was filled */
	int freed;		/* by whomever */
	bool rest_gone;		/* the rest does not read zero */
	/* If he comes before the table is unlinked, and goes through. */
	int early_tables, early_freed;
	void (*made)(void);	/* when the table is there */
};

extern const struct peer fault_peers[], change_peers[];
const struct peer *each_peer(const struct peer *peer);	/* after NULL the first */
bool stands_for_others(const struct peer *peer);

/* Somebody stands at a symbol, and a peer comes. */
struct stop {
	const char *name, *symbol;
};
struct pair {
	const struct peer *peer;
	unsigned int stop;
};
/* "KIND.STOP.PEER" of all that is a race; how many they are. */
size_t pair_up(struct race *races, const char *kind, enum whose whose,
	       const struct stop *stops, void (*run)(void));

void anon_area(void);
void places(char *p);
void fill_rest(void);
const struct peer *peer_named(const char *name);

/* In the end. */
void first_is_there(void);
void nothing_at_spot(void);
void spot_is_there(void);

#endif
