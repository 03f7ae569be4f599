/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where the RIB keeps its routes: a million prefixes are to cost little, so they and
 * their offers are numbers in growing arrays instead of pointers to single pieces,
 * and a next hop is stored once however many routes lead to it. 0 is no number.
 */
#ifndef LM_CONTROL_RIB_STORE_H
#define LM_CONTROL_RIB_STORE_H

#include "rib.h"

/* A growing array whose places are used again. A place's first four bytes, when it is free, name
 * the next free one. Pointers into it live until the next lm_slots_take. */
struct lm_slots {
	uint8_t *mem;
	uint32_t size, used, room, free;
};
/* A zeroed place; 0: no memory. */
uint32_t lm_slots_take(struct lm_slots *s);
void lm_slots_give(struct lm_slots *s, uint32_t n);

struct lm_rib_offer {
	uint32_t next; /* worse one */
	uint32_t id, hop;
	uint8_t source; /* enum lm_rib_source */
};

struct lm_rib_entry {
	uint32_t next;		/* in the bucket */
	uint32_t offers;	/* best first */
	uint32_t fib;		/* next hop in the FIB, 0: none */
	bool exported, refused; /* refused: by the FIB, and said so */
	struct lm_prefix prefix;
};
_Static_assert(sizeof(struct lm_rib_entry) == 32 && sizeof(struct lm_rib_offer) == 16,
	       "with its share of the buckets, a route stays under 64 bytes");

struct lm_rib_hop;
struct lm_rib_store {
	struct lm_slots entries, offers, hops;
	uint32_t *buckets, mask, n;
	uint32_t lengths[2][129]; /* entries of each prefix length, IPv4 and IPv6 */
	struct lm_rib_hop *by_route;
};

void lm_rib_store_init(struct lm_rib_store *s);
void lm_rib_store_free(struct lm_rib_store *s);

static inline struct lm_rib_entry *lm_rib_entry(const struct lm_rib_store *s, uint32_t n)
{
	return (struct lm_rib_entry *)s->entries.mem + n;
}

static inline struct lm_rib_offer *lm_rib_offer(const struct lm_rib_store *s, uint32_t n)
{
	return (struct lm_rib_offer *)s->offers.mem + n;
}

uint32_t lm_rib_entry_find(const struct lm_rib_store *s, const struct lm_prefix *prefix);
/* 0: no memory. */
uint32_t lm_rib_entry_new(struct lm_rib_store *s, const struct lm_prefix *prefix);
void lm_rib_entry_del(struct lm_rib_store *s, uint32_t n);

/* A reference to a next hop, to be given back; 0: no memory. */
uint32_t lm_rib_hop_get(struct lm_rib_store *s, const struct lm_route *route);
uint32_t lm_rib_hop_again(struct lm_rib_store *s, uint32_t hop);
void lm_rib_hop_put(struct lm_rib_store *s, uint32_t hop);
const struct lm_route *lm_rib_hop_route(const struct lm_rib_store *s, uint32_t hop);

#endif
