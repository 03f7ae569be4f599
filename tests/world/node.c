/* SPDX-License-Identifier: BSD-3-Clause */
/* A node: its mesh core, and a data plane that only keeps books. */
#include "world.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* An ESP packet of the model: SPI, number, the key in the clear, who, for whom. */
#define ESP_LEN (8 + sizeof(struct lm_esp_key) + 8)

static struct sa_in *find_sa(struct node *n, uint32_t spi)
{
	for (unsigned i = 0; i < NODE_SAS; i++)
		if (n->sas[i].used && n->sas[i].spi_base == (spi & ~LM_SPI_LANE_MASK))
			return &n->sas[i];
	return NULL;
}

unsigned node_sas(const struct node *n)
{
	unsigned sum = 0;

	for (unsigned i = 0; i < NODE_SAS; i++)
		sum += n->sas[i].used;
	return sum;
}

/* ------------------------------------------------------------ operations -- */

static void op_send(void *user, const struct lm_path *path, const uint8_t *data, size_t len)
{
	struct node *n = user;
	struct world *w = n->world;

	world_must(w, path->port < n->n_wan && len > 0 && len <= LM_CONTROL_MAX);
	world_must(w, lm_demux(data, len) == LM_DEMUX_CONTROL);
	n->sent++;
	n->sent_bytes += len;
	n->inits += data[4] == LM_MSG_INIT;
	/* FAULTS row 32: never into the tunnel. */
	for (unsigned i = 0; i < w->n_nodes; i++)
		if (lm_cert_carries(&w->nodes[i]->cert_body, &path->remote.ip))
			n->sent_to_overlay++;
	world_must(w, n->sent_to_overlay == 0);
	if (!n->silent)
		world_send(w, &n->wan[path->port], &path->remote, data, len);
}

static int op_sa_in_add(void *user, const struct lm_mesh_sa_in *sa)
{
	struct node *n = user;
	struct world *w = n->world;
	struct node_peer *p = &n->peers[sa->peer];

	world_must(w, sa->peer < WORLD_NODES && p->used);
	world_must(w, lm_spi_base_valid(sa->spi_base) && sa->lanes >= 1 && sa->lanes <= 64);
	world_must(w, find_sa(n, sa->spi_base) == NULL);
	if (n->fail_sa_in > 0) {
		n->fail_sa_in--;
		return -ENOSPC;
	}
	/* Current, four superseded ones and one being confirmed, and one as they change places. */
	world_must(w, ++p->n_in <= 8);
	for (unsigned i = 0; i < NODE_SAS; i++) {
		if (n->sas[i].used)
			continue;
		n->sas[i] = (struct sa_in){.used = true,
					   .spi_base = sa->spi_base,
					   .peer = sa->peer,
					   .lanes = sa->lanes,
					   .key = sa->keys[0]};
		n->sas_added++;
		return 0;
	}
	world_fail(w, "node %u has more than %d inbound SAs", n->number, NODE_SAS);
}

static void op_sa_in_del(void *user, uint32_t spi_base)
{
	struct node *n = user;
	struct sa_in *sa = find_sa(n, spi_base);

	world_must(n->world, sa != NULL);
	n->peers[sa->peer].n_in--;
	sa->used = false;
	n->sas_removed++;
}

static int op_sa_out_set(void *user, uint32_t peer, const struct lm_mesh_sa_out *sa)
{
	struct node *n = user;
	struct node_peer *p = &n->peers[peer];

	world_must(n->world, peer < WORLD_NODES && p->used);
	p->has_out = sa != NULL;
	if (sa == NULL)
		return 0;
	n->out_sets++;
	world_must(n->world, sa->peer == peer && p->has_path);
	world_must(n->world, lm_spi_base_valid(sa->spi_base) && find_sa(n, sa->session) != NULL);
	/* Numbers start at 1 with each call, so a key must never come twice. */
	for (unsigned i = 0; i < sa->lanes; i++)
		world_must(n->world, world_key_fresh(n->world, &sa->keys[i]));
	p->session = sa->session;
	p->spi_base = sa->spi_base;
	p->lanes = sa->lanes;
	p->key = sa->keys[0];
	p->seq = 0;
	return 0;
}

static void op_path_set(void *user, uint32_t peer, const struct lm_path *path)
{
	struct node *n = user;

	world_must(n->world, peer < WORLD_NODES && n->peers[peer].used);
	n->peers[peer].has_path = true;
	n->peers[peer].path = *path;
	n->path_sets++;
}

static int op_peer_set(void *user, uint32_t peer, const struct lm_cert *cert,
		       const struct lm_announcement *ann)
{
	struct node *n = user;
	struct node_peer *p = &n->peers[peer];

	world_must(n->world, peer < WORLD_NODES);
	world_must(n->world, ann == NULL || memcmp(ann->node, cert->node, LM_KEY_LEN) == 0);
	if (n->fail_peer_set > 0) {
		n->fail_peer_set--;
		return -ENOMEM;
	}
	world_must(n->world, !p->used || memcmp(p->cert.node, cert->node, LM_KEY_LEN) == 0);
	p->used = true;
	p->cert = *cert;
	return 0;
}

static void op_peer_gone(void *user, uint32_t peer)
{
	struct node *n = user;

	world_must(n->world, peer < WORLD_NODES && n->peers[peer].used);
	world_must(n->world, n->peers[peer].n_in == 0 && !n->peers[peer].has_out);
	n->peers[peer] = (struct node_peer){0};
}

static void op_announce(void *user, uint64_t sequence, const uint8_t *data, size_t len)
{
	struct node *n = user;

	world_must(n->world, len <= sizeof(n->ann) && sequence > n->ann_sequence);
	memcpy(n->ann, data, len);
	n->ann_len = len;
	n->ann_sequence = sequence;
	n->announces++;
	if (n->announced != NULL)
		n->announced(n);
}

static void op_revocation(void *user, const uint8_t *data, size_t len)
{
	struct node *n = user;

	(void)data;
	world_must(n->world, len > 0);
	n->revocations++;
}

static void op_random(void *user, void *out, size_t len)
{
	world_random_bytes(((struct node *)user)->world, out, len);
}

static const struct lm_mesh_ops ops = {
    .send = op_send,
    .sa_in_add = op_sa_in_add,
    .sa_in_del = op_sa_in_del,
    .sa_out_set = op_sa_out_set,
    .path_set = op_path_set,
    .peer_set = op_peer_set,
    .peer_gone = op_peer_gone,
    .announce = op_announce,
    .revocation = op_revocation,
    .random = op_random,
};

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

/* ------------------------------------------------------------------ life -- */

struct node *world_node(struct world *w)
{
	struct node *n = calloc(1, sizeof(*n));
	unsigned i = w->n_nodes;
	uint8_t key[32];
	struct lm_cert *c;

	world_must(w, n != NULL && i < WORLD_NODES);
	n->world = w;
	n->number = i;
	n->reports = true;
	n->max_peers = WORLD_NODES;
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
	c->n_overlays = 1;
	c->overlays[0] = lm_ip4((uint8_t[]){10, 255, 0, (uint8_t)(i + 1)});
	c->n_prefixes = 1;
	c->prefixes[0] = (struct lm_prefix){lm_ip4((uint8_t[]){10, (uint8_t)i, 0, 0}), 24};
	n->n_wan = 1;
	n->wan[0] = (struct lm_endpoint){lm_ip4((uint8_t[]){192, 0, 2, (uint8_t)(i + 1)}), 4500};
	memcpy(n->authorities.mesh, c->mesh, sizeof(c->mesh));
	n->authorities.n = 1;
	memcpy(n->authorities.keys[0], w->authority->ed_public, LM_KEY_LEN);
	w->nodes[w->n_nodes++] = n;
	node_sign(n, w->authority);
	return n;
}

void node_sign(struct node *n, const struct lm_identity *authority)
{
	struct lm_error err;
	int len;

	memcpy(n->cert_body.node, n->id->ed_public, LM_KEY_LEN);
	memcpy(n->cert_body.issuer, authority->ed_public, LM_KEY_LEN);
	len = lm_cert_sign(authority, &n->cert_body, n->cert, sizeof(n->cert), &err);
	if (len < 0)
		world_fail(n->world, "certificate: %s", err.text);
	n->cert_len = (size_t)len;
}

void node_local(struct node *n)
{
	struct lm_local_endpoint eps[WORLD_PORTS];

	for (unsigned i = 0; i < n->n_wan; i++)
		eps[i] = (struct lm_local_endpoint){
		    .port = (uint16_t)i, .kind = LM_EP_HOST, .ep = n->wan[i]};
	lm_mesh_local(n->mesh, world_now(n->world, n), eps, n->n_wan);
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
	    .lanes = (uint8_t)(1 + n->number % 4),
	    .max_peers = n->max_peers,
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
	n->started = n->world->now;
	n->mesh = lm_mesh_new(&cfg, &ops, n, world_now(n->world, n), &err);
	if (n->mesh == NULL)
		world_fail(n->world, "node %u: %s", n->number, err.text);
	n->log = kept;
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
	world_must(n->world, node_sas(n) == 0);
	for (unsigned i = 0; i < WORLD_NODES; i++)
		world_must(n->world, !n->peers[i].used);
}

enum lm_verdict node_tell(struct node *a, struct node *b)
{
	return lm_mesh_record(b->mesh, world_now(b->world, b), a->cert, a->cert_len, a->ann,
			      a->ann_len);
}

void world_tell_all(struct world *w)
{
	for (unsigned i = 0; i < w->n_nodes; i++)
		for (unsigned j = 0; j < w->n_nodes; j++)
			if (i != j && w->nodes[j]->mesh != NULL)
				(void)node_tell(w->nodes[i], w->nodes[j]);
}

size_t world_revoke(struct world *w, const struct node *node, uint64_t serial, uint8_t *buf,
		    size_t cap)
{
	struct lm_revocation r = {.number = ++w->revocation_number,
				  .issued = w->wall,
				  .next_update = w->wall + 365 * 86400};
	uint8_t be[8];
	struct lm_error err;
	int len;

	for (unsigned i = 0; i < 8; i++)
		be[i] = (uint8_t)(serial >> (56 - 8 * i));
	memcpy(r.issuer, w->authority->ed_public, LM_KEY_LEN);
	snprintf(r.mesh, sizeof(r.mesh), "testmesh");
	r.n_nodes = node != NULL;
	r.nodes = node != NULL ? node->id->ed_public : NULL;
	r.n_serials = node == NULL;
	r.serials = be;
	len = lm_revocation_sign(w->authority, &r, buf, cap, &err);
	if (len < 0)
		world_fail(w, "revocation: %s", err.text);
	for (unsigned i = 0; i < w->n_nodes; i++)
		if (w->nodes[i]->mesh != NULL && w->nodes[i] != node)
			world_must(w,
				   lm_mesh_revocation(w->nodes[i]->mesh, world_now(w, w->nodes[i]),
						      buf, (size_t)len) == LM_TRUSTED);
	return (size_t)len;
}

/* ------------------------------------------------------------ data plane -- */

struct node_peer *node_peer_of(struct node *a, const struct node *b)
{
	for (unsigned i = 0; i < WORLD_NODES; i++)
		if (a->peers[i].used &&
		    memcmp(a->peers[i].cert.node, b->id->ed_public, LM_KEY_LEN) == 0)
			return &a->peers[i];
	return NULL;
}

bool node_up(const struct node *a, const struct node *b, struct lm_peer_info *info)
{
	struct lm_peer_info local;

	if (info == NULL)
		info = &local;
	if (a->mesh == NULL)
		return false;
	for (uint32_t i = 0; lm_mesh_peer(a->mesh, i, info); i = info->index + 1)
		if (memcmp(info->cert->node, b->id->ed_public, LM_KEY_LEN) == 0)
			return info->state == LM_PEER_UP;
	return false;
}

bool node_send_esp(struct node *a, struct node *b)
{
	struct world *w = a->world;
	struct node_peer *p = node_peer_of(a, b);
	uint8_t pkt[ESP_LEN];
	struct lm_writer wr = lm_writer(pkt, sizeof(pkt));
	struct sa_in *there;

	if (p == NULL || !p->has_out || !p->has_path)
		return false;
	p->seq++;
	lm_w_u32(&wr, p->spi_base);
	lm_w_u32(&wr, p->seq);
	lm_w_copy(&wr, &p->key, sizeof(p->key));
	lm_w_u32(&wr, a->number);
	lm_w_u32(&wr, b->number);
	world_must(w, !wr.bad);
	if (!w->esp_may_miss) {
		there = b->mesh != NULL ? find_sa(b, p->spi_base) : NULL;
		if (there == NULL)
			world_fail(w, "gw%u sends to gw%u on SPI %08x, which is not installed",
				   a->number, b->number, p->spi_base);
	}
	a->esp_sent++;
	if (!a->silent)
		world_send(w, &a->wan[p->path.port], &p->path.remote, pkt, sizeof(pkt));
	return true;
}

static void deliver_esp(struct node *n, unsigned port, const struct datagram *d)
{
	struct world *w = n->world;
	struct lm_reader r = lm_reader(d->data, d->len);
	uint32_t spi = lm_r_u32(&r), seq = lm_r_u32(&r), from, to;
	struct sa_in *sa = find_sa(n, spi);
	struct lm_esp_key key;

	lm_r_copy(&r, &key, sizeof(key));
	from = lm_r_u32(&r);
	to = lm_r_u32(&r);
	if (r.bad)
		return;
	if (sa == NULL || memcmp(&key, &sa->key, sizeof(key)) != 0) {
		n->esp_lost_here++;
		if (!w->esp_may_miss)
			world_fail(w, "gw%u got ESP of gw%u on SPI %08x, which is not installed",
				   n->number, from, spi);
		return;
	}
	/* Whoever can open it is the one it is for, and knows whose it is. */
	world_must(w, to == n->number);
	world_must(w, memcmp(n->peers[sa->peer].cert.node, w->nodes[from]->id->ed_public,
			     LM_KEY_LEN) == 0);
	n->esp_got++;
	sa->last_rx = world_now(w, n).mono;
	if (seq <= sa->top)
		return;
	sa->top = seq;
	if (sa->has_from && lm_endpoint_equal(&sa->from, &d->from))
		return;
	sa->has_from = true;
	sa->from = d->from;
	lm_mesh_moved(n->mesh, world_now(w, n), sa->spi_base,
		      &(struct lm_path){.port = (uint16_t)port, .remote = d->from});
}

void node_deliver(struct node *n, unsigned port, const struct datagram *d)
{
	if (lm_demux(d->data, d->len) == LM_DEMUX_ESP)
		deliver_esp(n, port, d);
	else
		lm_mesh_datagram(n->mesh, world_now(n->world, n),
				 &(struct lm_path){.port = (uint16_t)port, .remote = d->from},
				 d->data, d->len);
}

void node_report(struct node *n)
{
	for (unsigned i = 0; i < NODE_SAS; i++) {
		const struct sa_in *sa = &n->sas[i];
		const struct node_peer *p = &n->peers[sa->peer];

		if (sa->used)
			lm_mesh_usage(n->mesh, world_now(n->world, n), sa->spi_base, sa->last_rx,
				      p->has_out && p->session == sa->spi_base ? p->seq : 0);
	}
}
