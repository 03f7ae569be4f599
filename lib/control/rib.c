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
	bool changed;
	uint64_t *unreachable;	/* peers, by bit */
	uint32_t n_unreachable; /* words */
	struct lm_prefix own[LM_DP_PREFIXES_MAX];
	unsigned n_own;
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
	free(rib->unreachable);
	free(rib);
}

static bool out_of_reach(const struct lm_rib *rib, enum lm_rib_source source, uint32_t id)
{
	return source == LM_RIB_PEER && id / 64 < rib->n_unreachable &&
	       (rib->unreachable[id / 64] >> id % 64 & 1) != 0;
}

static bool better(const struct lm_rib *rib, const struct lm_rib_offer *a,
		   enum lm_rib_source source, uint32_t id)
{
	bool a_out = out_of_reach(rib, a->source, a->id), b_out = out_of_reach(rib, source, id);

	if (a->source != source)
		return a->source < source;
	return a_out != b_out ? b_out : a->id < id;
}

static bool is_own(const struct lm_rib *rib, const struct lm_prefix *p)
{
	for (unsigned i = 0; i < rib->n_own; i++)
		if (rib->own[i].len > 0 && lm_prefix_covers(&rib->own[i], p))
			return true;
	return false;
}

/* The next hop of the longest prefix around p by which its traffic may go instead; 0: none. */
static uint32_t around(const struct lm_rib *rib, const struct lm_prefix *p)
{
	const struct lm_rib_store *s = &rib->store;
	const uint32_t *lengths = s->lengths[p->ip.family == 6];

	for (unsigned len = p->len; len-- > 0;) {
		struct lm_prefix wider = lm_prefix_of(&p->ip, len);
		uint32_t n = lengths[len] > 0 ? lm_rib_entry_find(s, &wider) : 0;
		const struct lm_rib_offer *o;

		if (n == 0 || lm_rib_entry(s, n)->offers == 0)
			continue;
		o = lm_rib_offer(s, lm_rib_entry(s, n)->offers);
		if (o->source == LM_RIB_PEER ? !out_of_reach(rib, LM_RIB_PEER, o->id)
					     : o->source == LM_RIB_KERNEL && is_own(rib, p))
			return o->hop;
	}
	return 0;
}

/* Where packets for the entry are to go. */
static uint32_t choose(const struct lm_rib *rib, const struct lm_rib_entry *e)
{
	const struct lm_rib_offer *o = lm_rib_offer(&rib->store, e->offers);
	uint32_t hop = 0;

	if (out_of_reach(rib, o->source, o->id))
		hop = around(rib, &e->prefix);
	return hop != 0 ? hop : o->hop;
}

static bool offered_by_peer(const struct lm_rib_store *s, const struct lm_rib_entry *e)
{
	for (uint32_t o = e->offers; o != 0; o = lm_rib_offer(s, o)->next)
		if (lm_rib_offer(s, o)->source == LM_RIB_PEER)
			return true;
	return false;
}

/* The entry is in the FIB by this next hop (a reference), 0: not at all. */
static void in_fib(struct lm_rib *rib, struct lm_rib_entry *e, uint32_t hop)
{
	rib->changed |= e->fib != hop;
	lm_rib_hop_put(&rib->store, e->fib);
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
		in_fib(rib, e, 0);
		lm_rib_entry_del(s, n);
		return 0;
	}
	hop = choose(rib, e);
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
		in_fib(rib, e, 0);
		return rc;
	}
	e->refused = false;
	in_fib(rib, e, lm_rib_hop_again(s, hop));
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

static void link_offer(struct lm_rib *rib, struct lm_rib_entry *e, uint32_t n)
{
	struct lm_rib_store *s = &rib->store;
	struct lm_rib_offer *o = lm_rib_offer(s, n);
	uint32_t *at = &e->offers;

	while (*at != 0 && better(rib, lm_rib_offer(s, *at), o->source, o->id))
		at = &lm_rib_offer(s, *at)->next;
	o->next = *at;
	*at = n;
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
	uint32_t n = lm_rib_entry_find(s, prefix), o, old = 0;
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
	*lm_rib_offer(s, o) =
	    (struct lm_rib_offer){.id = id, .hop = hop, .source = (uint8_t)source};
	link_offer(rib, lm_rib_entry(s, n), o);
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

static bool mark(struct lm_rib *rib, uint32_t peer, bool reachable)
{
	uint32_t words = peer / 64 + 1;

	if (words > rib->n_unreachable) {
		uint64_t *grown;

		if (reachable)
			return false;
		grown = realloc(rib->unreachable, words * sizeof(*grown));
		if (grown == NULL)
			return false; /* tried first then, and dropped: as if it could be reached */
		memset(grown + rib->n_unreachable, 0,
		       (words - rib->n_unreachable) * sizeof(*grown));
		rib->unreachable = grown;
		rib->n_unreachable = words;
	}
	if (reachable)
		rib->unreachable[peer / 64] &= ~(1ull << peer % 64);
	else
		rib->unreachable[peer / 64] |= 1ull << peer % 64;
	return true;
}

void lm_rib_reachable(struct lm_rib *rib, uint32_t peer, bool reachable,
		      const struct lm_prefix *prefixes, unsigned n)
{
	struct lm_rib_store *s = &rib->store;

	if (out_of_reach(rib, LM_RIB_PEER, peer) == !reachable || !mark(rib, peer, reachable))
		return;
	rib->changed = true;
	for (unsigned i = 0; i < n; i++) {
		uint32_t e = lm_rib_entry_find(s, &prefixes[i]);
		uint32_t o = e != 0 ? unlink_offer(s, lm_rib_entry(s, e), LM_RIB_PEER, peer) : 0;

		if (o == 0)
			continue;
		link_offer(rib, lm_rib_entry(s, e), o);
		(void)settle(rib, e);
	}
}

void lm_rib_cover(struct lm_rib *rib, const struct lm_prefix *prefixes, unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		uint32_t e = lm_rib_entry_find(&rib->store, &prefixes[i]);

		if (e != 0)
			(void)settle(rib, e);
	}
}

bool lm_rib_changed(struct lm_rib *rib)
{
	bool changed = rib->changed;

	rib->changed = false;
	return changed;
}

void lm_rib_own(struct lm_rib *rib, const struct lm_prefix *prefixes, unsigned n)
{
	rib->n_own = n < LM_ARRAY_SIZE(rib->own) ? n : (unsigned)LM_ARRAY_SIZE(rib->own);
	memcpy(rib->own, prefixes, rib->n_own * sizeof(*prefixes));
	rib->changed = true;
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

static void each_offer(const struct lm_rib_store *s, const struct lm_rib_entry *e,
		       lm_rib_each_fn each, void *user)
{
	bool found = e->fib == 0;

	for (uint32_t n = e->offers; n != 0; n = lm_rib_offer(s, n)->next) {
		const struct lm_rib_offer *o = lm_rib_offer(s, n);
		bool best = !found && o->hop == e->fib;

		found |= best;
		each(user, &e->prefix, o->source, lm_rib_hop_route(s, o->hop), best);
	}
	if (!found) {
		const struct lm_route *r = lm_rib_hop_route(s, e->fib);

		each(user, &e->prefix, r->kind == LM_ROUTE_PEER ? LM_RIB_PEER : LM_RIB_KERNEL, r,
		     true);
	}
}

void lm_rib_each(const struct lm_rib *rib, lm_rib_each_fn each, void *user)
{
	const struct lm_rib_store *s = &rib->store;

	for (uint32_t i = 0; s->buckets != NULL && i <= s->mask; i++)
		for (uint32_t n = s->buckets[i]; n != 0; n = lm_rib_entry(s, n)->next)
			each_offer(s, lm_rib_entry(s, n), each, user);
}
