/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's life, and what nodes are told of each other. */
#include "inside.h"

#include <stdio.h>
#include <stdlib.h>

static void sink(void *user, enum lm_log_level level, const char *line)
{
	struct node *n = user;

	if (n->log_sink != NULL && !n->log_sink(n, line))
		return;
	if (n->world->talk)
		fprintf(stderr, "%10.4f %-5s gw%u: %s\n",
			(double)(n->world->now - WORLD_START) / 1e9, lm_log_level_name(level),
			n->number, line);
}

static void tick(struct world *w, struct actor *a)
{
	struct node *n = LM_CONTAINER_OF(a, struct node, tick);

	world_trace(w, n->number);
	lm_mesh_tick(n->mesh, world_now(w, n));
	node_sync(n);
}

/* Addresses that are easy to read in small worlds, and room for 30,000 in large ones. */
static void addresses(struct node *n)
{
	struct lm_cert *c = &n->cert_body;
	uint8_t low = (uint8_t)n->number, high = (uint8_t)(n->number >> 8);
	bool small = n->number < WORLD_SMALL;

	c->n_overlays = c->n_prefixes = 1;
	c->overlays[0] = small ? lm_ip4((uint8_t[]){10, 255, 0, (uint8_t)(low + 1)})
			       : lm_ip4((uint8_t[]){10, 255, (uint8_t)(high + 1), low});
	c->prefixes[0] =
	    (struct lm_prefix){small ? lm_ip4((uint8_t[]){10, low, 0, 0})
				     : lm_ip4((uint8_t[]){10, (uint8_t)(128 + high), low, 0}),
			       24};
	n->wan[0] = (struct lm_endpoint){small ? lm_ip4((uint8_t[]){192, 0, 2, (uint8_t)(low + 1)})
					       : lm_ip4((uint8_t[]){20, 1, high, low}),
					 4500};
}

struct node *world_node(struct world *w)
{
	struct node *n = calloc(1, sizeof(*n));
	unsigned i = w->n_nodes;
	uint8_t key[32];
	struct lm_cert *c;

	world_must(w, n != NULL && i < 120 * 256);
	if (i == w->cap_nodes) {
		w->cap_nodes = i == 0 ? WORLD_SMALL : 2 * i;
		w->nodes = realloc(w->nodes, w->cap_nodes * sizeof(w->nodes[0]));
		world_must(w, w->nodes != NULL);
	}
	n->world = w;
	n->number = i;
	n->tick.run = tick;
	n->reports = true;
	n->lanes = (uint8_t)(1 + i % 4);
	n->max_peers = WORLD_SMALL;
	n->timers = lm_mesh_timers_default();
	world_random_bytes(w, key, sizeof(key));
	n->id = lm_identity_from_seed(key);
	world_must(w, n->id != NULL);
	c = &n->cert_body;
	c->serial = 100 + i;
	c->not_before = WORLD_WALL - 86400;
	c->not_after = WORLD_WALL + 30 * 86400;
	snprintf(c->mesh, sizeof(c->mesh), "testmesh");
	snprintf(c->name, sizeof(c->name), "gw%u", i);
	n->n_wan = 1;
	addresses(n);
	memcpy(n->authorities.mesh, c->mesh, sizeof(c->mesh));
	n->authorities.n = 1;
	memcpy(n->authorities.keys[0], w->authority->ed_public, LM_KEY_LEN);
	w->nodes[w->n_nodes++] = n;
	name_add(w, n);
	place_set(w, n, 0);
	node_sign(n, w->authority);
	return n;
}

void node_sign(struct node *n, const struct lm_identity *authority)
{
	uint8_t buf[LM_CERT_MAX];
	struct lm_cert *c = &n->cert_body;
	struct lm_prefix host;
	struct lm_error err;
	int len;

	memcpy(c->node, n->id->ed_public, LM_KEY_LEN);
	memcpy(c->issuer, authority->ed_public, LM_KEY_LEN);
	len = lm_cert_sign(authority, c, buf, sizeof(buf), &err);
	if (len < 0)
		world_fail(n->world, "certificate: %s", err.text);
	free(n->cert);
	n->cert = malloc((size_t)len);
	world_must(n->world, n->cert != NULL);
	memcpy(n->cert, buf, (size_t)len);
	n->cert_len = (size_t)len;
	for (unsigned i = 0; i < c->n_prefixes; i++)
		overlay_add(n->world, &c->prefixes[i]);
	for (unsigned i = 0; i < c->n_overlays; i++) {
		host = lm_prefix_of(&c->overlays[i], lm_ip_bits(&c->overlays[i]));
		overlay_add(n->world, &host);
	}
}

void node_local(struct node *n)
{
	struct lm_local_endpoint eps[WORLD_PORTS];
	unsigned n_eps = 0;

	for (unsigned i = 0; i < n->n_wan; i++) {
		if (n->wan[i].port == 0)
			continue;
		place_set(n->world, n, i);
		eps[n_eps++] = (struct lm_local_endpoint){
		    .port = (uint16_t)i, .kind = LM_EP_HOST, .ep = n->wan[i]};
	}
	lm_mesh_local(n->mesh, world_now(n->world, n), eps, n_eps);
	node_sync(n);
}

void node_start(struct node *n)
{
	struct lm_log log = {.level = LM_LOG_DEBUG, .sink = sink, .user = n};
	struct lm_log *kept = malloc(sizeof(log)); /* the mesh borrows it */
	struct lm_mesh_config cfg = {
	    .identity = n->id,
	    .cert = n->cert,
	    .cert_len = n->cert_len,
	    .authorities = n->authorities,
	    .lanes = n->lanes,
	    .max_peers = n->max_peers,
	    .eager_peers = n->eager_peers,
	    .max_half_open = n->max_half_open,
	    .handshake_limit = n->handshake_limit,
	    .announce_sequence = n->ann_sequence,
	    .timers = n->timers,
	};
	struct lm_error err;

	world_must(n->world, kept != NULL && n->mesh == NULL);
	*kept = log;
	cfg.log = kept;
	memcpy(cfg.psk, n->psk, sizeof(cfg.psk));
	plane_start(n);
	n->started = n->world->now;
	n->list = 0;
	n->mesh = lm_mesh_new(&cfg, &plane_ops, n, world_now(n->world, n), &err);
	if (n->mesh == NULL)
		world_fail(n->world, "node %u: %s", n->number, err.text);
	n->log = kept;
	lm_mesh_relaying(n->mesh, world_now(n->world, n), n->relay_pairs);
	node_local(n);
}

void node_stop(struct node *n, bool polite)
{
	bool silent = n->silent;

	n->silent = silent || !polite;
	lm_mesh_free(n->mesh, world_now(n->world, n), polite);
	n->mesh = NULL;
	n->silent = silent;
	free(n->log);
	n->log = NULL;
	node_sync(n);
	plane_stop(n);
}

enum lm_verdict node_tell(struct node *a, struct node *b)
{
	enum lm_verdict v = lm_mesh_record(b->mesh, world_now(b->world, b), a->cert, a->cert_len,
					   a->ann, a->ann_len);

	node_sync(b);
	return v;
}

void world_tell_all(struct world *w)
{
	for (unsigned i = 0; i < w->n_nodes; i++)
		for (unsigned j = 0; j < w->n_nodes; j++)
			if (i != j && w->nodes[j]->mesh != NULL)
				(void)node_tell(w->nodes[i], w->nodes[j]);
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, LM_KEY_LEN);
}

size_t world_revocation(struct world *w, struct node *node, uint64_t serial, uint8_t *buf,
			size_t cap)
{
	struct lm_revocation r = {.number = ++w->revocation_number,
				  .issued = w->wall,
				  .next_update = w->wall + 365 * 86400};
	uint8_t be[8], keys[WORLD_SMALL][LM_KEY_LEN];
	struct lm_error err;
	int len;

	for (unsigned i = 0; i < 8; i++)
		be[i] = (uint8_t)(serial >> (56 - 8 * i));
	if (node != NULL && node->revoked_by == 0)
		node->revoked_by = r.number;
	for (unsigned i = 0; i < w->n_nodes; i++) {
		if (w->nodes[i]->revoked_by == 0)
			continue;
		world_must(w, r.n_nodes < WORLD_SMALL);
		memcpy(keys[r.n_nodes++], w->nodes[i]->id->ed_public, LM_KEY_LEN);
	}
	qsort(keys, r.n_nodes, sizeof(keys[0]), by_key);
	memcpy(r.issuer, w->authority->ed_public, LM_KEY_LEN);
	snprintf(r.mesh, sizeof(r.mesh), "testmesh");
	r.nodes = keys[0];
	r.n_serials = node == NULL;
	r.serials = be;
	len = lm_revocation_sign(w->authority, &r, buf, cap, &err);
	if (len < 0)
		world_fail(w, "revocation: %s", err.text);
	return (size_t)len;
}

size_t world_revoke(struct world *w, struct node *node, uint64_t serial, uint8_t *buf, size_t cap)
{
	size_t len = world_revocation(w, node, serial, buf, cap);

	for (unsigned i = 0; i < w->n_nodes; i++) {
		struct node *n = w->nodes[i];

		if (n->mesh == NULL || n == node)
			continue;
		world_must(w, lm_mesh_revocation(n->mesh, world_now(w, n), buf, len) == LM_TRUSTED);
		node_sync(n);
	}
	return len;
}

bool node_up(const struct node *a, const struct node *b, struct lm_peer_info *info)
{
	struct lm_peer_info local;
	const struct node_peer *p;

	if (info == NULL)
		info = &local;
	if (a->mesh == NULL)
		return false;
	p = node_peer_of((struct node *)a, b);
	if (p != NULL)
		return lm_mesh_peer(a->mesh, (uint32_t)(p - a->peers), info) &&
		       info->state == LM_PEER_UP;
	for (uint32_t i = 0; lm_mesh_peer(a->mesh, i, info); i = info->index + 1)
		if (memcmp(info->cert->node, b->id->ed_public, LM_KEY_LEN) == 0)
			return info->state == LM_PEER_UP;
	return false;
}
