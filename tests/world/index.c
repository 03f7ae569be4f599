/* SPDX-License-Identifier: BSD-3-Clause */
/* What the world looks up: keys that were used, who is at an address, what is inside the mesh. */
#include "inside.h"

#include <stdlib.h>
#include <uthash.h>

/* ------------------------------------------------------------ used keys -- */

/* Fingerprints of 64 bits in open addressing, as a long run has tens of millions. The bytes of a
 * key are as good as random. */
struct keys {
	uint64_t *slots; /* 0: free */
	size_t size, used;
};

static bool key_put(uint64_t *slots, size_t size, uint64_t print)
{
	size_t i = print & (size - 1);

	while (slots[i] != 0) {
		if (slots[i] == print)
			return false;
		i = (i + 1) & (size - 1);
	}
	slots[i] = print;
	return true;
}

static void keys_grow(struct world *w, struct keys *k)
{
	size_t size = k->size == 0 ? 1024 : 2 * k->size;
	uint64_t *slots = calloc(size, sizeof(*slots));

	world_must(w, slots != NULL);
	for (size_t i = 0; i < k->size; i++)
		if (k->slots[i] != 0)
			(void)key_put(slots, size, k->slots[i]);
	free(k->slots);
	k->slots = slots;
	k->size = size;
}

bool key_fresh(struct world *w, const struct lm_esp_key *key)
{
	struct keys *k = w->keys;
	uint64_t print;

	memcpy(&print, key->key, sizeof(print));
	if (k == NULL) {
		k = w->keys = calloc(1, sizeof(*k));
		world_must(w, k != NULL);
	}
	if (2 * k->used >= k->size)
		keys_grow(w, k);
	if (print == 0 || !key_put(k->slots, k->size, print))
		return false;
	k->used++;
	return true;
}

/* --------------------------------------------------------------- places -- */

struct place_key {
	const struct nat *domain;
	struct lm_endpoint at;
};

struct places {
	UT_hash_handle hh;
	struct place_key key;
	struct node *node;
	uint8_t port;
};

static struct place_key place_key(const struct nat *domain, const struct lm_endpoint *at)
{
	struct place_key k;

	memset(&k, 0, sizeof(k));
	k.domain = domain;
	k.at.ip.family = at->ip.family;
	memcpy(k.at.ip.b, at->ip.b, sizeof(k.at.ip.b));
	k.at.port = at->port;
	return k;
}

void place_set(struct world *w, struct node *n, unsigned port)
{
	struct place_key key = place_key(n->behind[port], &n->wan[port]);
	struct places *p;

	HASH_FIND(hh, w->places, &key, sizeof(key), p);
	if (p == NULL) {
		p = calloc(1, sizeof(*p));
		world_must(w, p != NULL);
		p->key = key;
		HASH_ADD(hh, w->places, key, sizeof(p->key), p);
	}
	p->node = n;
	p->port = (uint8_t)port;
}

static bool is_at(const struct node *n, unsigned port, const struct nat *domain,
		  const struct lm_endpoint *at)
{
	return port < n->n_wan && n->behind[port] == domain && lm_endpoint_equal(&n->wan[port], at);
}

struct node *place_find(struct world *w, const struct nat *domain, const struct lm_endpoint *at,
			unsigned *port)
{
	struct place_key key = place_key(domain, at);
	struct places *p;

	HASH_FIND(hh, w->places, &key, sizeof(key), p);
	if (p != NULL && is_at(p->node, p->port, domain, at)) {
		*port = p->port;
		return p->node;
	}
	for (unsigned i = 0; i < w->n_nodes && w->n_nodes <= WORLD_SMALL; i++)
		for (*port = 0; *port < w->nodes[i]->n_wan; ++*port)
			if (is_at(w->nodes[i], *port, domain, at))
				return w->nodes[i];
	return NULL;
}

/* ------------------------------------------------------ inside the mesh -- */

struct overlays {
	UT_hash_handle hh;
	struct lm_prefix prefix;
};

void overlay_add(struct world *w, const struct lm_prefix *p)
{
	struct lm_prefix key = lm_prefix_of(&p->ip, p->len);
	struct overlays *o;

	if (p->len == 0) /* a way out, not a claim on all addresses */
		return;
	HASH_FIND(hh, w->overlays, &key, sizeof(key), o);
	if (o != NULL)
		return;
	o = calloc(1, sizeof(*o));
	world_must(w, o != NULL);
	o->prefix = key;
	HASH_ADD(hh, w->overlays, prefix, sizeof(o->prefix), o);
	w->overlay_lengths[key.ip.family == 6][key.len] = true;
	for (unsigned i = 0; i < (key.len >= 8 ? 1 : 1u << (8 - key.len)); i++)
		w->overlay_tops[key.ip.family == 6][key.ip.b[0] + i] = true;
}

bool overlay_has(const struct world *w, const struct lm_ip *ip)
{
	if (!w->overlay_tops[ip->family == 6][ip->b[0]])
		return false;
	for (unsigned len = 1; len <= lm_ip_bits(ip); len++) {
		struct lm_prefix key;
		struct overlays *o;

		if (!w->overlay_lengths[ip->family == 6][len])
			continue;
		key = lm_prefix_of(ip, len);
		HASH_FIND(hh, w->overlays, &key, sizeof(key), o);
		if (o != NULL)
			return true;
	}
	return false;
}

/* ---------------------------------------------------------------- names -- */

struct names {
	UT_hash_handle hh;
	uint8_t key[LM_KEY_LEN];
	struct node *node;
};

void name_add(struct world *w, struct node *n)
{
	struct names *e = calloc(1, sizeof(*e));

	world_must(w, e != NULL);
	memcpy(e->key, n->id->ed_public, sizeof(e->key));
	e->node = n;
	HASH_ADD(hh, w->names, key, sizeof(e->key), e);
}

struct node *world_who(const struct world *w, const uint8_t key[LM_KEY_LEN])
{
	struct names *e;

	HASH_FIND(hh, w->names, key, LM_KEY_LEN, e);
	return e != NULL ? e->node : NULL;
}

#define FREE_ALL(head, e, tmp)                                                                     \
	HASH_ITER(hh, head, e, tmp)                                                                \
	{                                                                                          \
		HASH_DEL(head, e);                                                                 \
		free(e);                                                                           \
	}

void index_free(struct world *w)
{
	struct places *p, *p_tmp;
	struct overlays *o, *o_tmp;
	struct names *e, *e_tmp;

	FREE_ALL(w->places, p, p_tmp)
	FREE_ALL(w->overlays, o, o_tmp)
	FREE_ALL(w->names, e, e_tmp)
	if (w->keys != NULL)
		free(w->keys->slots);
	free(w->keys);
}
