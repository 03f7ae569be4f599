/* SPDX-License-Identifier: BSD-3-Clause */
#include "rib_store.h"

#include <errno.h>
#include <stdlib.h>

struct lm_rib {
	struct lm_rib_store store;
	struct lm_dp *dp;
	const struct lm_log *log;
	lm_rib_export_fn exported;
	void *user;
	bool refused; /* some entry may be */
};

const char *lm_rib_source_name(enum lm_rib_source s)
{
	static const char *const names[] = {
	    [LM_RIB_LOCAL] = "local",
	    [LM_RIB_NEIGHBOUR] = "neighbour",
	    [LM_RIB_KERNEL] = "kernel",
	    [LM_RIB_PEER] = "mesh",
	};

	return names[s];
}

struct lm_rib *lm_rib_new(struct lm_dp *dp, const struct lm_log *log, lm_rib_export_fn exported,
			  void *user)
{
	struct lm_rib *rib = calloc(1, sizeof(*rib));

	if (rib != NULL) {
		lm_rib_store_init(&rib->store);
		rib->dp = dp;
		rib->log = log;
		rib->exported = exported;
		rib->user = user;
	}
	return rib;
}

void lm_rib_free(struct lm_rib *rib)
{
	if (rib == NULL)
		return;
	lm_rib_store_free(&rib->store);
	free(rib);
}

static bool better(const struct lm_rib_offer *a, enum lm_rib_source source, uint32_t id)
{
	return a->source != source ? a->source < source : a->id < id;
}

static bool offered_by_peer(const struct lm_rib_store *s, const struct lm_rib_entry *e)
{
	for (uint32_t o = e->offers; o != 0; o = lm_rib_offer(s, o)->next)
		if (lm_rib_offer(s, o)->source == LM_RIB_PEER)
			return true;
	return false;
}

/* The entry is in the FIB by this next hop (a reference), 0: not at all. */
static void in_fib(struct lm_rib_store *s, struct lm_rib_entry *e, uint32_t hop)
{
	lm_rib_hop_put(s, e->fib);
	e->fib = hop;
}

/* Brings the FIB in line with the entry's best offer; frees the entry when none is left. */
static int settle(struct lm_rib *rib, uint32_t n)
{
	struct lm_rib_store *s = &rib->store;
	struct lm_rib_entry *e = lm_rib_entry(s, n);
	char text[LM_PREFIX_STRLEN];
	uint32_t hop;
	int rc;

	if (e->exported != offered_by_peer(s, e)) {
		e->exported = !e->exported;
		rib->exported(rib->user, &e->prefix, e->exported);
	}
	if (e->offers == 0) {
		if (e->fib != 0)
			(void)lm_dp_route_del(rib->dp, &e->prefix);
		in_fib(s, e, 0);
		lm_rib_entry_del(s, n);
		return 0;
	}
	hop = lm_rib_offer(s, e->offers)->hop;
	if (e->fib == hop)
		return 0;
	rc = lm_dp_route_set(rib->dp, &e->prefix, lm_rib_hop_route(s, hop));
	if (rc != 0) {
		if (!e->refused)
			lm_log(rib->log, LM_LOG_ERROR, "route %s not installed: %s",
			       lm_prefix_format(&e->prefix, text), strerror(-rc));
		e->refused = rib->refused = true;
		/* What is there leads where nobody offers to go any more, perhaps to a peer whose
		 * number another one will have. */
		if (e->fib != 0)
			(void)lm_dp_route_del(rib->dp, &e->prefix);
		in_fib(s, e, 0);
		return rc;
	}
	e->refused = false;
	in_fib(s, e, lm_rib_hop_again(s, hop));
	return 0;
}

/* Takes one offer out of the list; 0 when it is not there. */
static uint32_t unlink_offer(struct lm_rib_store *s, struct lm_rib_entry *e,
			     enum lm_rib_source source, uint32_t id)
{
	for (uint32_t *at = &e->offers; *at != 0; at = &lm_rib_offer(s, *at)->next) {
		uint32_t n = *at;
		struct lm_rib_offer *o = lm_rib_offer(s, n);

		if (o->source == source && o->id == id) {
			*at = o->next;
			return n;
		}
	}
	return 0;
}

/* A new offer, not yet in a list, for the prefix's entry *n, which is made when there is none. */
static uint32_t offer_new(struct lm_rib_store *s, const struct lm_prefix *prefix, uint32_t *n)
{
	uint32_t o = lm_slots_take(&s->offers);

	if (o != 0 && *n == 0 && (*n = lm_rib_entry_new(s, prefix)) == 0) {
		lm_slots_give(&s->offers, o);
		return 0;
	}
	return o;
}

int lm_rib_put(struct lm_rib *rib, const struct lm_prefix *prefix, enum lm_rib_source source,
	       uint32_t id, const struct lm_route *route)
{
	struct lm_rib_store *s = &rib->store;
	uint32_t n = lm_rib_entry_find(s, prefix), o, old = 0, *at;
	uint32_t hop = lm_rib_hop_get(s, route);

	if (hop == 0)
		return -ENOMEM;
	o = n != 0 ? unlink_offer(s, lm_rib_entry(s, n), source, id) : 0;
	if (o != 0)
		old = lm_rib_offer(s, o)->hop;
	else
		o = offer_new(s, prefix, &n);
	if (o == 0) {
		lm_rib_hop_put(s, hop);
		return -ENOMEM;
	}
	at = &lm_rib_entry(s, n)->offers;
	while (*at != 0 && better(lm_rib_offer(s, *at), source, id))
		at = &lm_rib_offer(s, *at)->next;
	*lm_rib_offer(s, o) =
	    (struct lm_rib_offer){.next = *at, .id = id, .hop = hop, .source = (uint8_t)source};
	*at = o;
	lm_rib_hop_put(s, old);
	return settle(rib, n);
}

void lm_rib_drop(struct lm_rib *rib, const struct lm_prefix *prefix, enum lm_rib_source source,
		 uint32_t id)
{
	struct lm_rib_store *s = &rib->store;
	uint32_t n = lm_rib_entry_find(s, prefix);
	uint32_t o = n != 0 ? unlink_offer(s, lm_rib_entry(s, n), source, id) : 0;

	if (o == 0)
		return;
	lm_rib_hop_put(s, lm_rib_offer(s, o)->hop);
	lm_slots_give(&s->offers, o);
	(void)settle(rib, n);
}

void lm_rib_retry(struct lm_rib *rib)
{
	struct lm_rib_store *s = &rib->store;

	if (!rib->refused)
		return;
	rib->refused = false;
	for (uint32_t i = 0; i <= s->mask; i++)
		for (uint32_t n = s->buckets[i], next; n != 0; n = next) {
			next = lm_rib_entry(s, n)->next;
			if (lm_rib_entry(s, n)->fib == 0)
				(void)settle(rib, n);
		}
}

void lm_rib_each(const struct lm_rib *rib,
		 void (*each)(void *user, const struct lm_prefix *prefix, enum lm_rib_source source,
			      const struct lm_route *route, bool best),
		 void *user)
{
	const struct lm_rib_store *s = &rib->store;

	for (uint32_t i = 0; s->buckets != NULL && i <= s->mask; i++)
		for (uint32_t n = s->buckets[i]; n != 0; n = lm_rib_entry(s, n)->next) {
			const struct lm_rib_entry *e = lm_rib_entry(s, n);

			for (uint32_t o = e->offers; o != 0; o = lm_rib_offer(s, o)->next)
				each(user, &e->prefix, lm_rib_offer(s, o)->source,
				     lm_rib_hop_route(s, lm_rib_offer(s, o)->hop),
				     e->fib != 0 && o == e->offers);
		}
}
