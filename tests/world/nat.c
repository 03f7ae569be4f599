/* SPDX-License-Identifier: BSD-3-Clause */
/* NATs and stateful firewalls. A mapping lives as long as one of its sessions; a session is a pair
 * of an inner and a foreign endpoint. */
#include "inside.h"

#include <stdlib.h>
#include <uthash.h>

/* Foreign endpoint as far as it matters: address and port as the dependence says, else zero. */
struct inner_key {
	struct lm_endpoint inner, foreign;
};

struct nat_mapping {
	UT_hash_handle hh, hh_port;
	struct inner_key key;
	uint32_t family_port; /* outside */
	struct lm_endpoint outer;
	lm_time last;
};

/* What the filter lets in: from this foreign endpoint (as far as it matters) to this mapping. */
struct session_key {
	const struct nat_mapping *mapping;
	struct lm_endpoint foreign;
};

struct nat_session {
	UT_hash_handle hh;
	struct session_key key;
	lm_time last;
};

const char *nat_dependence_name(enum nat_dependence d)
{
	static const char *const names[] = {"EI", "AD", "APD"};

	return names[d];
}

struct nat *world_nat(struct world *w, const struct nat_kind *kind, struct nat *parent,
		      struct lm_ip outer, struct lm_prefix inside)
{
	struct nat *n = calloc(1, sizeof(*n));

	world_must(w, n != NULL);
	n->kind = *kind;
	n->parent = parent;
	n->outer = outer;
	n->inside = inside;
	n->next = w->nats;
	w->nats = n;
	return n;
}

static struct lm_endpoint as_far(enum nat_dependence d, const struct lm_endpoint *foreign)
{
	struct lm_endpoint e = {0};

	if (d == NAT_ENDPOINT_INDEPENDENT)
		return e;
	e.ip.family = foreign->ip.family;
	memcpy(e.ip.b, foreign->ip.b, sizeof(e.ip.b));
	if (d == NAT_ADDRESS_PORT)
		e.port = foreign->port;
	return e;
}

/* Keys are compared as bytes: no padding may differ. */
static struct inner_key inner_key(const struct nat *n, const struct lm_endpoint *inner,
				  const struct lm_endpoint *foreign)
{
	enum nat_dependence d = n->kind.firewall ? NAT_ENDPOINT_INDEPENDENT : n->kind.mapping;
	struct inner_key k;

	memset(&k, 0, sizeof(k));
	k.inner.ip.family = inner->ip.family;
	memcpy(k.inner.ip.b, inner->ip.b, sizeof(k.inner.ip.b));
	k.inner.port = inner->port;
	k.foreign = as_far(d, foreign);
	return k;
}

static struct session_key session_key(const struct nat *n, const struct nat_mapping *m,
				      const struct lm_endpoint *foreign)
{
	struct session_key k;
	struct lm_endpoint f = as_far(n->kind.filtering, foreign);

	memset(&k, 0, sizeof(k));
	k.mapping = m;
	memcpy(k.foreign.ip.b, f.ip.b, sizeof(k.foreign.ip.b));
	k.foreign.ip.family = f.ip.family;
	k.foreign.port = f.port;
	return k;
}

static bool blocks(struct world *w, const struct nat *n, const struct lm_endpoint *outside)
{
	return n->kind.no_udp && (w->exempt == NULL || !w->exempt(w, outside));
}

static bool dead(const struct world *w, const struct nat *n, lm_time last)
{
	return w->now - last >= n->kind.timeout;
}

static void forget(struct nat *n, struct nat_mapping *m)
{
	struct nat_session *s, *tmp;

	HASH_ITER(hh, n->sessions, s, tmp)
	if (s->key.mapping == m) {
		HASH_DEL(n->sessions, s);
		free(s);
	}
	HASH_DEL(n->by_inner, m);
	if (!n->kind.firewall)
		HASH_DELETE(hh_port, n->by_port, m);
	n->n_mappings--;
	free(m);
}

/* Memory follows what lives, not what ever was. */
static void sweep(struct world *w, struct nat *n)
{
	struct nat_session *s, *s_tmp;
	struct nat_mapping *m, *m_tmp;

	HASH_ITER(hh, n->sessions, s, s_tmp)
	if (dead(w, n, s->last)) {
		HASH_DEL(n->sessions, s);
		free(s);
	}
	HASH_ITER(hh, n->by_inner, m, m_tmp)
	if (dead(w, n, m->last))
		forget(n, m);
	n->sweep_at = 2 * HASH_COUNT(n->sessions) + 64;
}

void nat_reboot(struct nat *n)
{
	struct nat_mapping *m, *tmp;

	HASH_ITER(hh, n->by_inner, m, tmp)
	forget(n, m);
}

void nat_free(struct nat *n)
{
	nat_reboot(n);
	free(n);
}

static struct nat_mapping *by_port(struct nat *n, uint16_t port)
{
	struct nat_mapping *m;
	uint32_t key = port;

	HASH_FIND(hh_port, n->by_port, &key, sizeof(key), m);
	return m;
}

static uint16_t draw_port(struct world *w, struct nat *n, uint16_t wish)
{
	struct nat_mapping *m;
	uint16_t port = n->kind.preserves_port ? wish : 0;

	for (unsigned i = 0; i < 1000; i++) {
		m = port != 0 ? by_port(n, port) : NULL;
		if (m != NULL && dead(w, n, m->last)) {
			forget(n, m);
			m = NULL;
		}
		if (port != 0 && m == NULL)
			return port;
		port = (uint16_t)(1024 + world_random(w, 64512));
	}
	return 0;
}

static struct nat_mapping *map(struct world *w, struct nat *n, const struct lm_endpoint *inner,
			       const struct lm_endpoint *foreign)
{
	struct inner_key key = inner_key(n, inner, foreign);
	struct nat_mapping *m;
	uint16_t port = inner->port;

	HASH_FIND(hh, n->by_inner, &key, sizeof(key), m);
	if (m != NULL && !dead(w, n, m->last))
		return m;
	if (m != NULL)
		forget(n, m);
	if (!n->kind.firewall)
		port = draw_port(w, n, inner->port);
	if (port == 0)
		return NULL;
	m = calloc(1, sizeof(*m));
	world_must(w, m != NULL);
	m->key = key;
	m->family_port = port;
	m->outer = (struct lm_endpoint){n->kind.firewall ? inner->ip : n->outer, port};
	HASH_ADD(hh, n->by_inner, key, sizeof(m->key), m);
	if (!n->kind.firewall)
		HASH_ADD(hh_port, n->by_port, family_port, sizeof(m->family_port), m);
	n->n_mappings++;
	return m;
}

bool nat_out(struct world *w, struct nat *n, struct lm_endpoint *from, const struct lm_endpoint *to)
{
	struct nat_mapping *m;
	struct nat_session *s;
	struct session_key key;

	if (blocks(w, n, to))
		return false;
	m = map(w, n, from, to);
	if (m == NULL)
		return false;
	m->last = w->now;
	key = session_key(n, m, to);
	HASH_FIND(hh, n->sessions, &key, sizeof(key), s);
	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		world_must(w, s != NULL);
		s->key = key;
		s->last = w->now;
		HASH_ADD(hh, n->sessions, key, sizeof(s->key), s);
		if (HASH_COUNT(n->sessions) > n->sweep_at)
			sweep(w, n);
	}
	s->last = w->now;
	*from = m->outer;
	return true;
}

/* The firewall's mapping of an inner address, whomever it has talked to. */
static struct nat_mapping *of_inner(struct nat *n, const struct lm_endpoint *inner)
{
	struct inner_key key = inner_key(n, inner, inner);
	struct nat_mapping *m;

	HASH_FIND(hh, n->by_inner, &key, sizeof(key), m);
	return m;
}

bool nat_in(struct world *w, struct nat *n, const struct lm_endpoint *from, struct lm_endpoint *to)
{
	struct nat_mapping *m = n->kind.firewall ? of_inner(n, to) : by_port(n, to->port);
	struct nat_session *s = NULL;
	struct session_key key;

	if (m != NULL && !dead(w, n, m->last)) {
		key = session_key(n, m, from);
		HASH_FIND(hh, n->sessions, &key, sizeof(key), s);
	}
	if (blocks(w, n, from) || s == NULL || dead(w, n, s->last)) {
		n->dropped++;
		return false;
	}
	if (n->kind.inbound_refresh)
		m->last = s->last = w->now;
	*to = m->key.inner;
	return true;
}

struct nat *nat_at(const struct world *w, const struct nat *domain, const struct lm_ip *ip)
{
	for (struct nat *n = w->nats; n != NULL; n = n->next)
		if (n->parent == domain && (n->kind.firewall ? lm_prefix_contains(&n->inside, ip)
							     : lm_ip_equal(&n->outer, ip)))
			return n;
	return NULL;
}

/* The strictest of those on the way out, for what comes in. */
static struct nat_kind sum(const struct nat *n, const struct nat *up_to)
{
	struct nat_kind k = {.mapping = NAT_ENDPOINT_INDEPENDENT,
			     .filtering = NAT_ENDPOINT_INDEPENDENT};

	for (; n != up_to; n = n->parent) {
		enum nat_dependence m =
		    n->kind.firewall ? NAT_ENDPOINT_INDEPENDENT : n->kind.mapping;

		k.mapping = m > k.mapping ? m : k.mapping;
		k.filtering = n->kind.filtering > k.filtering ? n->kind.filtering : k.filtering;
		k.no_udp |= n->kind.no_udp;
	}
	return k;
}

bool nat_encloses(const struct nat *outer, const struct nat *n)
{
	for (; n != NULL; n = n->parent)
		if (n == outer)
			return true;
	return outer == NULL;
}

bool nat_direct(const struct nat *a, const struct nat *b)
{
	const struct nat *common = a, *up_to;
	struct nat_kind ka, kb;

	while (!nat_encloses(common, b))
		common = common->parent;
	/* One of them is in the open between them: the other one's packets reach it. */
	if (a == common || b == common)
		return !sum(a, common).no_udp && !sum(b, common).no_udp;
	/* A reflexive address is that on the outside of a NAT that they share, and only a hairpin
	 * leads back from there. */
	if (common != NULL && !common->kind.hairpin)
		return false;
	up_to = common != NULL ? common->parent : NULL;
	ka = sum(a, up_to);
	kb = sum(b, up_to);
	if (ka.no_udp || kb.no_udp)
		return false;
	if (ka.mapping == NAT_ENDPOINT_INDEPENDENT && kb.mapping == NAT_ENDPOINT_INDEPENDENT)
		return true;
	/* The other one's packets come from a port that nobody has told. */
	if (ka.mapping == NAT_ENDPOINT_INDEPENDENT)
		return ka.filtering != NAT_ADDRESS_PORT;
	if (kb.mapping == NAT_ENDPOINT_INDEPENDENT)
		return kb.filtering != NAT_ADDRESS_PORT;
	return false;
}
