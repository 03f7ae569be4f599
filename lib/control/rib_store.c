/* SPDX-License-Identifier: BSD-3-Clause */
#include "rib_store.h"

#include <stdlib.h>

#define HASH_NONFATAL_OOM 1
#include <uthash.h>

#define SLOTS_MIN   16u
#define BUCKETS_MIN 64u

/* -------------------------------------------------------------- arrays -- */

uint32_t lm_slots_take(struct lm_slots *s)
{
	uint32_t n = s->free;

	if (n != 0) {
		memcpy(&s->free, s->mem + (size_t)n * s->size, sizeof(s->free));
	} else {
		if (s->used == s->room) {
			uint32_t room = s->room == 0 ? SLOTS_MIN : s->room * 2;
			uint8_t *mem = realloc(s->mem, (size_t)room * s->size);

			if (mem == NULL)
				return 0;
			s->mem = mem;
			s->room = room;
			if (s->used == 0)
				s->used = 1; /* 0 is no number */
		}
		n = s->used++;
	}
	memset(s->mem + (size_t)n * s->size, 0, s->size);
	return n;
}

void lm_slots_give(struct lm_slots *s, uint32_t n)
{
	memcpy(s->mem + (size_t)n * s->size, &s->free, sizeof(s->free));
	s->free = n;
}

/* ------------------------------------------------------------ prefixes -- */

/* FNV-1a, 64 bits; whoever may choose prefixes is a member with a certificate for them. */
static uint32_t hash(const struct lm_prefix *p)
{
	const uint8_t *b = (const uint8_t *)p;
	uint64_t h = 0xcbf29ce484222325;

	for (size_t i = 0; i < sizeof(*p); i++)
		h = (h ^ b[i]) * 0x100000001b3;
	return (uint32_t)(h ^ h >> 32);
}
_Static_assert(sizeof(struct lm_prefix) == 18, "hashed as bytes: no padding");

uint32_t lm_rib_entry_find(const struct lm_rib_store *s, const struct lm_prefix *prefix)
{
	uint32_t n = s->buckets != NULL ? s->buckets[hash(prefix) & s->mask] : 0;

	while (n != 0 && memcmp(&lm_rib_entry(s, n)->prefix, prefix, sizeof(*prefix)) != 0)
		n = lm_rib_entry(s, n)->next;
	return n;
}

/* As many buckets as entries, or up to twice as many. */
static bool grow(struct lm_rib_store *s)
{
	uint32_t count = s->buckets == NULL ? BUCKETS_MIN : (s->mask + 1) * 2;
	uint32_t *buckets = calloc(count, sizeof(*buckets));

	if (buckets == NULL)
		return s->buckets != NULL; /* longer chains then */
	for (uint32_t i = 0; s->buckets != NULL && i <= s->mask; i++)
		for (uint32_t n = s->buckets[i], next; n != 0; n = next) {
			struct lm_rib_entry *e = lm_rib_entry(s, n);
			uint32_t *head = &buckets[hash(&e->prefix) & (count - 1)];

			next = e->next;
			e->next = *head;
			*head = n;
		}
	free(s->buckets);
	s->buckets = buckets;
	s->mask = count - 1;
	return true;
}

uint32_t lm_rib_entry_new(struct lm_rib_store *s, const struct lm_prefix *prefix)
{
	uint32_t n, *head;

	if ((s->buckets == NULL || s->n > s->mask) && !grow(s))
		return 0;
	n = lm_slots_take(&s->entries);
	if (n == 0)
		return 0;
	head = &s->buckets[hash(prefix) & s->mask];
	lm_rib_entry(s, n)->prefix = *prefix;
	lm_rib_entry(s, n)->next = *head;
	*head = n;
	s->n++;
	s->lengths[prefix->ip.family == 6][prefix->len]++;
	return n;
}

void lm_rib_entry_del(struct lm_rib_store *s, uint32_t n)
{
	const struct lm_prefix *prefix = &lm_rib_entry(s, n)->prefix;
	uint32_t *at = &s->buckets[hash(prefix) & s->mask];

	s->lengths[prefix->ip.family == 6][prefix->len]--;
	while (*at != n)
		at = &lm_rib_entry(s, *at)->next;
	*at = lm_rib_entry(s, n)->next;
	lm_slots_give(&s->entries, n);
	s->n--;
}

/* ----------------------------------------------------------- next hops -- */

struct lm_rib_hop {
	struct lm_route route; /* key: only the fields that its kind uses, the rest zero */
	uint32_t refs, slot;
	UT_hash_handle hh;
};

static struct lm_rib_hop *hop_at(const struct lm_rib_store *s, uint32_t hop)
{
	return ((struct lm_rib_hop **)s->hops.mem)[hop];
}

/* Equal next hops are equal bytes. */
static void normalize(struct lm_route *out, const struct lm_route *r)
{
	memset(out, 0, sizeof(*out));
	out->kind = r->kind;
	out->peer = r->peer;
	out->port = r->port;
	out->mac = r->mac;
	out->via = r->via;
}

uint32_t lm_rib_hop_get(struct lm_rib_store *s, const struct lm_route *route)
{
	struct lm_rib_hop *h;
	struct lm_route key;

	normalize(&key, route);
	HASH_FIND(hh, s->by_route, &key, sizeof(key), h);
	if (h != NULL) {
		h->refs++;
		return h->slot;
	}
	h = calloc(1, sizeof(*h));
	if (h == NULL)
		return 0;
	h->slot = lm_slots_take(&s->hops);
	if (h->slot == 0) {
		free(h);
		return 0;
	}
	memcpy(&h->route, &key, sizeof(key));
	h->refs = 1;
	HASH_ADD(hh, s->by_route, route, sizeof(h->route), h);
	if (h->hh.tbl == NULL) {
		lm_slots_give(&s->hops, h->slot);
		free(h);
		return 0;
	}
	((struct lm_rib_hop **)s->hops.mem)[h->slot] = h;
	return h->slot;
}

uint32_t lm_rib_hop_again(struct lm_rib_store *s, uint32_t hop)
{
	hop_at(s, hop)->refs++;
	return hop;
}

void lm_rib_hop_put(struct lm_rib_store *s, uint32_t hop)
{
	struct lm_rib_hop *h;

	if (hop == 0)
		return;
	h = hop_at(s, hop);
	if (--h->refs > 0)
		return;
	HASH_DEL(s->by_route, h);
	lm_slots_give(&s->hops, hop);
	free(h);
}

const struct lm_route *lm_rib_hop_route(const struct lm_rib_store *s, uint32_t hop)
{
	return &hop_at(s, hop)->route;
}

/* ------------------------------------------------------------- all of it -- */

void lm_rib_store_init(struct lm_rib_store *s)
{
	*s = (struct lm_rib_store){
	    .entries.size = sizeof(struct lm_rib_entry),
	    .offers.size = sizeof(struct lm_rib_offer),
	    .hops.size = sizeof(struct lm_rib_hop *),
	};
}

void lm_rib_store_free(struct lm_rib_store *s)
{
	struct lm_rib_hop *h, *tmp;

	HASH_ITER(hh, s->by_route, h, tmp)
	{
		HASH_DEL(s->by_route, h);
		free(h);
	}
	free(s->entries.mem);
	free(s->offers.mem);
	free(s->hops.mem);
	free(s->buckets);
}
