/* SPDX-License-Identifier: BSD-3-Clause */
#include "rib.h"

#include <errno.h>
#include <stdlib.h>
#include <uthash.h>

struct offer {
	struct offer *next;
	enum lm_rib_source source;
	uint32_t id;
	struct lm_route route;
};

struct entry {
	UT_hash_handle hh;
	struct lm_prefix prefix; /* key; all of its bytes are significant, there is no padding */
	struct offer *offers;	 /* best first */
	bool installed, exported;
	bool refused; /* by the FIB, and said so */
	struct lm_route in_fib;
};
_Static_assert(sizeof(struct lm_prefix) == 18, "struct lm_prefix is hashed as bytes");

struct lm_rib {
	struct entry *entries;
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
		rib->dp = dp;
		rib->log = log;
		rib->exported = exported;
		rib->user = user;
	}
	return rib;
}

static void entry_free(struct lm_rib *rib, struct entry *e)
{
	while (e->offers != NULL) {
		struct offer *o = e->offers;

		e->offers = o->next;
		free(o);
	}
	HASH_DEL(rib->entries, e);
	free(e);
}

void lm_rib_free(struct lm_rib *rib)
{
	struct entry *e, *tmp;

	if (rib == NULL)
		return;
	HASH_ITER(hh, rib->entries, e, tmp)
	entry_free(rib, e);
	free(rib);
}

static bool better(const struct offer *a, enum lm_rib_source source, uint32_t id)
{
	return a->source != source ? a->source < source : a->id < id;
}

static bool route_equal(const struct lm_route *a, const struct lm_route *b)
{
	return a->kind == b->kind && a->peer == b->peer && a->port == b->port &&
	       memcmp(&a->mac, &b->mac, sizeof(a->mac)) == 0 && lm_ip_equal(&a->via, &b->via);
}

static bool offered_by_peer(const struct entry *e)
{
	for (const struct offer *o = e->offers; o != NULL; o = o->next)
		if (o->source == LM_RIB_PEER)
			return true;
	return false;
}

/* Brings the FIB in line with the entry's best offer; frees the entry when none is left. */
static int settle(struct lm_rib *rib, struct entry *e)
{
	char text[LM_PREFIX_STRLEN];
	int rc;

	if (e->exported != offered_by_peer(e)) {
		e->exported = !e->exported;
		rib->exported(rib->user, &e->prefix, e->exported);
	}
	if (e->offers == NULL) {
		if (e->installed)
			(void)lm_dp_route_del(rib->dp, &e->prefix);
		entry_free(rib, e);
		return 0;
	}
	if (e->installed && route_equal(&e->in_fib, &e->offers->route))
		return 0;
	rc = lm_dp_route_set(rib->dp, &e->prefix, &e->offers->route);
	if (rc != 0) {
		if (!e->refused)
			lm_log(rib->log, LM_LOG_ERROR, "route %s not installed: %s",
			       lm_prefix_format(&e->prefix, text), strerror(-rc));
		e->refused = rib->refused = true;
		/* What is there leads where nobody offers to go any more, perhaps to a peer whose
		 * number another one will have. */
		if (e->installed)
			(void)lm_dp_route_del(rib->dp, &e->prefix);
		e->installed = false;
		return rc;
	}
	e->refused = false;
	e->installed = true;
	e->in_fib = e->offers->route;
	return 0;
}

static struct entry *find(const struct lm_rib *rib, const struct lm_prefix *prefix)
{
	struct entry *e;

	HASH_FIND(hh, rib->entries, prefix, sizeof(*prefix), e);
	return e;
}

/* Takes one offer out of the list; NULL when it is not there. */
static struct offer *unlink_offer(struct entry *e, enum lm_rib_source source, uint32_t id)
{
	for (struct offer **at = &e->offers; *at != NULL; at = &(*at)->next) {
		struct offer *o = *at;

		if (o->source == source && o->id == id) {
			*at = o->next;
			return o;
		}
	}
	return NULL;
}

int lm_rib_put(struct lm_rib *rib, const struct lm_prefix *prefix, enum lm_rib_source source,
	       uint32_t id, const struct lm_route *route)
{
	struct entry *e = find(rib, prefix);
	struct offer *o = e != NULL ? unlink_offer(e, source, id) : NULL;
	struct offer **at;

	if (o == NULL && (o = calloc(1, sizeof(*o))) == NULL)
		return -ENOMEM;
	if (e == NULL) {
		e = calloc(1, sizeof(*e));
		if (e == NULL) {
			free(o);
			return -ENOMEM;
		}
		e->prefix = *prefix;
		HASH_ADD(hh, rib->entries, prefix, sizeof(e->prefix), e);
	}
	*o = (struct offer){.source = source, .id = id, .route = *route};
	for (at = &e->offers; *at != NULL && better(*at, source, id); at = &(*at)->next)
		;
	o->next = *at;
	*at = o;
	return settle(rib, e);
}

void lm_rib_drop(struct lm_rib *rib, const struct lm_prefix *prefix, enum lm_rib_source source,
		 uint32_t id)
{
	struct entry *e = find(rib, prefix);
	struct offer *o = e != NULL ? unlink_offer(e, source, id) : NULL;

	if (o == NULL)
		return;
	free(o);
	(void)settle(rib, e);
}

void lm_rib_retry(struct lm_rib *rib)
{
	struct entry *e, *tmp;

	if (!rib->refused)
		return;
	rib->refused = false;
	HASH_ITER(hh, rib->entries, e, tmp)
	if (!e->installed)
		(void)settle(rib, e);
}

void lm_rib_each(const struct lm_rib *rib,
		 void (*each)(void *user, const struct lm_prefix *prefix, enum lm_rib_source source,
			      const struct lm_route *route, bool best),
		 void *user)
{
	for (const struct entry *e = rib->entries; e != NULL; e = e->hh.next)
		for (const struct offer *o = e->offers; o != NULL; o = o->next)
			each(user, &e->prefix, o->source, &o->route,
			     e->installed && o == e->offers);
}
