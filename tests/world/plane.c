/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A data plane that only keeps books, and checks what a mesh core asks of it:
 * no outbound key twice, no SA for a peer that is revoked, bounded SAs, prefixes
 * only as certified, no answer longer than the question of a stranger.
 */
#include "inside.h"

#include <lanemesh/esp_replay.h>

#include <errno.h>
#include <stdlib.h>

/* An ESP packet of the model: SPI, number, the key in the clear, who, for whom. */
#define ESP_LEN (8 + sizeof(struct lm_esp_key) + 8)

/* Current, four superseded ones and one being confirmed, and one as they change places. */
#define SAS_PER_PEER 8

/* ------------------------------------------------------------------ SAs -- */

static uint32_t spi_slot(const struct spi_table *t, uint32_t spi_base)
{
	return (spi_base >> 6) * 0x9e3779b1u & (t->size - 1);
}

static struct sa_in *find_sa(struct node *n, uint32_t spi)
{
	const struct spi_table *t = &n->spis;
	uint32_t base = spi & ~LM_SPI_LANE_MASK;

	if (t->size == 0)
		return NULL;
	for (uint32_t i = spi_slot(t, base); t->slots[i] != 0; i = (i + 1) & (t->size - 1))
		if (n->sas[t->slots[i] - 1].spi_base == base)
			return &n->sas[t->slots[i] - 1];
	return NULL;
}

static void put_spi(struct spi_table *t, uint32_t spi_base, uint32_t index)
{
	uint32_t i = spi_slot(t, spi_base);

	while (t->slots[i] != 0)
		i = (i + 1) & (t->size - 1);
	t->slots[i] = index + 1;
}

static void index_spis(struct node *n, uint32_t size)
{
	struct spi_table *t = &n->spis;

	free(t->slots);
	t->slots = calloc(size, sizeof(*t->slots));
	world_must(n->world, t->slots != NULL);
	t->size = size;
	for (uint32_t i = 0; i < n->cap_sas; i++)
		if (n->sas[i].used)
			put_spi(t, n->sas[i].spi_base, i);
}

/* Backward-shift deletion keeps every run whole. */
static void drop_spi(struct node *n, uint32_t spi_base)
{
	struct spi_table *t = &n->spis;
	uint32_t mask = t->size - 1, i = spi_slot(t, spi_base), j;

	while (n->sas[t->slots[i] - 1].spi_base != spi_base)
		i = (i + 1) & mask;
	for (j = (i + 1) & mask; t->slots[j] != 0; j = (j + 1) & mask) {
		uint32_t home = spi_slot(t, n->sas[t->slots[j] - 1].spi_base);

		if (((j - home) & mask) >= ((j - i) & mask)) {
			t->slots[i] = t->slots[j];
			i = j;
		}
	}
	t->slots[i] = 0;
}

static struct sa_in *new_sa(struct node *n)
{
	if (n->n_sas == n->cap_sas) {
		uint32_t cap = n->cap_sas == 0 ? 16 : 2 * n->cap_sas;

		n->sas = realloc(n->sas, cap * sizeof(n->sas[0]));
		world_must(n->world, n->sas != NULL);
		memset(n->sas + n->cap_sas, 0, (cap - n->cap_sas) * sizeof(n->sas[0]));
		n->free_sa = n->cap_sas;
		n->cap_sas = cap;
		index_spis(n, 4 * cap);
	}
	while (n->sas[n->free_sa].used)
		n->free_sa = (n->free_sa + 1) % n->cap_sas;
	n->n_sas++;
	return &n->sas[n->free_sa];
}

unsigned node_sas(const struct node *n)
{
	return n->n_sas;
}

static void touch(struct node *n, struct sa_in *sa)
{
	if (sa->active)
		return;
	sa->active = true;
	if (n->n_active == n->cap_active) {
		n->cap_active = n->cap_active == 0 ? 16 : 2 * n->cap_active;
		n->active = realloc(n->active, n->cap_active * sizeof(n->active[0]));
		world_must(n->world, n->active != NULL);
	}
	n->active[n->n_active++] = (uint32_t)(sa - n->sas);
}

/* ------------------------------------------------------------ operations -- */

static int op_send(void *user, const struct lm_path *path, const uint8_t *data, size_t len)
{
	struct node *n = user;
	struct world *w = n->world;

	world_must(w, path->port < n->n_wan && len > 0 && len <= LM_CONTROL_MAX);
	world_must(w, lm_demux(data, len) != LM_DEMUX_ESP && lm_demux(data, len) != LM_DEMUX_BAD);
	n->sent++;
	n->sent_bytes += len;
	n->inits += lm_msg_type(data, len) == LM_MSG_INIT;
	if (lm_endpoint_equal(&path->remote, &n->asker))
		n->answered += len;
	world_must(w, !overlay_has(w, &path->remote.ip)); /* FAULTS row 32 */
	if (n->unresolved)
		return -EINPROGRESS;
	if (!n->silent)
		relay_send(n, path, data, len);
	return 0;
}

static bool known(const struct node *n, uint32_t peer)
{
	return peer < n->max_peers && n->peers[peer].used;
}

void plane_must_not_be_revoked(const struct node *n, uint32_t peer)
{
	const struct node_peer *p = &n->peers[peer];

	if (p->who->revoked_by != 0 && p->who->revoked_by <= n->list)
		world_fail(n->world, "gw%u has an SA with gw%u, which list %llu revokes", n->number,
			   p->who->number, (unsigned long long)p->who->revoked_by);
}

static int op_sa_in_add(void *user, const struct lm_mesh_sa_in *sa)
{
	struct node *n = user;
	struct world *w = n->world;
	struct sa_in *in;

	world_must(w, known(n, sa->peer));
	world_must(w, lm_spi_base_valid(sa->spi_base) && sa->lanes >= 1 && sa->lanes <= 64);
	world_must(w, find_sa(n, sa->spi_base) == NULL);
	plane_must_not_be_revoked(n, sa->peer);
	if (n->fail_sa_in > 0) {
		n->fail_sa_in--;
		return -ENOSPC;
	}
	world_must(w, ++n->peers[sa->peer].n_in <= SAS_PER_PEER);
	in = new_sa(n);
	*in = (struct sa_in){.used = true,
			     .spi_base = sa->spi_base,
			     .peer = sa->peer,
			     .lanes = sa->lanes,
			     .key = sa->keys[0]};
	put_spi(&n->spis, sa->spi_base, (uint32_t)(in - n->sas));
	n->sas_added++;
	return 0;
}

static void op_sa_in_del(void *user, uint32_t spi_base)
{
	struct node *n = user;
	struct sa_in *sa = find_sa(n, spi_base);

	world_must(n->world, sa != NULL);
	n->peers[sa->peer].n_in--;
	drop_spi(n, spi_base);
	sa->used = false;
	free(sa->replay);
	sa->replay = NULL;
	n->n_sas--;
	n->sas_removed++;
}

static int op_sa_out_set(void *user, uint32_t peer, const struct lm_mesh_sa_out *sa)
{
	struct node *n = user;
	struct world *w = n->world;
	struct node_peer *p = &n->peers[peer];

	world_must(w, known(n, peer));
	p->has_out = sa != NULL;
	if (sa == NULL)
		return 0;
	n->out_sets++;
	world_must(w, sa->peer == peer && p->has_path);
	world_must(w, lm_spi_base_valid(sa->spi_base) && find_sa(n, sa->session) != NULL);
	plane_must_not_be_revoked(n, peer);
	/* Numbers start at 1 with each call, so a key must never come twice. */
	for (unsigned i = 0; i < sa->lanes; i++)
		world_must(w, key_fresh(w, &sa->keys[i]));
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

	world_must(n->world, known(n, peer));
	n->peers[peer].has_path = true;
	n->peers[peer].path = *path;
	n->path_sets++;
}

static void op_reachable(void *user, uint32_t peer, bool yes)
{
	struct node *n = user;

	world_must(n->world, known(n, peer) && n->peers[peer].reachable != yes);
	n->peers[peer].reachable = yes;
}

/* Traffic goes to a prefix only by a certificate that holds it. */
static void must_be_certified(const struct node *n, const struct lm_cert *cert,
			      const struct lm_announcement *ann)
{
	for (unsigned i = 0; i < ann->n_prefixes; i++) {
		bool inside = false;

		for (unsigned j = 0; j < cert->n_prefixes; j++)
			inside |= lm_prefix_covers(&cert->prefixes[j], &ann->prefixes[i]);
		world_must(n->world, inside);
	}
}

static int op_peer_set(void *user, uint32_t peer, const struct lm_cert *cert,
		       const struct lm_announcement *ann)
{
	struct node *n = user;
	struct world *w = n->world;
	struct node *who = world_who(w, cert->node);
	struct node_peer *p;

	world_must(w, peer < n->max_peers && who != NULL && who != n);
	world_must(w, ann == NULL || memcmp(ann->node, cert->node, LM_KEY_LEN) == 0);
	if (ann != NULL)
		must_be_certified(n, cert, ann);
	if (n->fail_peer_set > 0) {
		n->fail_peer_set--;
		return -ENOMEM;
	}
	p = &n->peers[peer];
	world_must(w, !p->used || p->who == who);
	p->used = true;
	p->who = who;
	p->serial = cert->serial;
	p->n_prefixes = cert->n_prefixes;
	return 0;
}

static void op_peer_gone(void *user, uint32_t peer)
{
	struct node *n = user;

	world_must(n->world, known(n, peer));
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
	struct lm_revocation list;
	size_t body_len;

	world_must(n->world, lm_revocation_decode(data, len, &list, &body_len) == 0);
	if (list.number > n->list)
		n->list = list.number;
	n->revocations++;
	for (uint32_t i = 0; i < n->max_peers; i++)
		if (n->peers[i].used && (n->peers[i].n_in > 0 || n->peers[i].has_out))
			plane_must_not_be_revoked(n, i);
	for (unsigned i = 0; i < n->n_relays; i++)
		if (n->relays[i].to.relay != 0)
			plane_must_not_be_revoked(n, n->relays[i].member);
}

static void op_signal(void *user, const uint8_t node[32])
{
	struct node *n = user;

	n->signals++;
	if (n->signal != NULL)
		n->signal(n, node);
}

static void op_random(void *user, void *out, size_t len)
{
	world_random_bytes(((struct node *)user)->world, out, len);
}

const struct lm_mesh_ops plane_ops = {
    .send = op_send,
    .sa_in_add = op_sa_in_add,
    .sa_in_del = op_sa_in_del,
    .sa_out_set = op_sa_out_set,
    .path_set = op_path_set,
    .reachable = op_reachable,
    .relay_set = relay_set,
    .relay_end = relay_end,
    .peer_set = op_peer_set,
    .peer_gone = op_peer_gone,
    .announce = op_announce,
    .revocation = op_revocation,
    .signal = op_signal,
    .random = op_random,
};

void plane_start(struct node *n)
{
	n->peers = calloc(n->max_peers, sizeof(n->peers[0]));
	world_must(n->world, n->peers != NULL);
}

void plane_stop(struct node *n)
{
	world_must(n->world, n->n_sas == 0 && n->n_relays == 0);
	for (unsigned i = 0; i < n->max_peers; i++)
		world_must(n->world, !n->peers[i].used);
	plane_free(n);
}

void plane_free(struct node *n)
{
	free(n->peers);
	for (uint32_t i = 0; i < n->cap_sas; i++)
		free(n->sas[i].replay);
	free(n->sas);
	free(n->spis.slots);
	free(n->active);
	free(n->relays);
	free(n->relayed_before);
	n->relays = NULL;
	n->relayed_before = NULL;
	n->n_relays = 0;
	n->peers = NULL;
	n->sas = NULL;
	n->active = NULL;
	n->spis = (struct spi_table){0};
	n->n_sas = n->cap_sas = n->n_active = n->cap_active = n->free_sa = 0;
}

/* --------------------------------------------------------------- packets -- */

struct node_peer *node_peer_of(struct node *a, const struct node *b)
{
	for (unsigned i = 0; a->peers != NULL && i < a->max_peers; i++)
		if (a->peers[i].used && a->peers[i].who == b)
			return &a->peers[i];
	return NULL;
}

bool node_send_esp(struct node *a, struct node *b)
{
	struct world *w = a->world;
	struct node_peer *p = node_peer_of(a, b);
	uint8_t pkt[ESP_LEN];
	struct lm_writer wr = lm_writer(pkt, sizeof(pkt));
	struct sa_in *own;

	if (p != NULL && !p->has_out && a->mesh != NULL) {
		lm_mesh_wanted(a->mesh, world_now(w, a), (uint32_t)(p - a->peers));
		node_sync(a);
	}
	if (p == NULL || !p->has_out || !p->has_path)
		return false;
	own = find_sa(a, p->session);
	if (own != NULL)
		touch(a, own);
	if (p->seq >= LM_ESP_HARD_LIMIT) /* FAULTS row 18 */
		return false;
	p->seq++;
	lm_w_u32(&wr, p->spi_base);
	lm_w_u32(&wr, p->seq);
	lm_w_copy(&wr, &p->key, sizeof(p->key));
	lm_w_u32(&wr, a->number);
	lm_w_u32(&wr, b->number);
	world_must(w, !wr.bad);
	if (!w->esp_may_miss && (b->mesh == NULL || find_sa(b, p->spi_base) == NULL))
		world_fail(w, "gw%u sends to gw%u on SPI %08x, which is not installed", a->number,
			   b->number, p->spi_base);
	a->esp_sent++;
	if (!a->silent)
		relay_send(a, &p->path, pkt, sizeof(pkt));
	return true;
}

static void deliver_esp(struct node *n, unsigned port, uint64_t relay, const struct datagram *d)
{
	struct world *w = n->world;
	struct lm_reader r = lm_reader(d->data, d->len);
	uint32_t spi = lm_r_u32(&r), seq = lm_r_u32(&r), from, to;
	struct sa_in *sa = find_sa(n, spi);
	struct lm_path path = {.port = (uint16_t)port, .remote = d->from, .relay = relay};
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
	world_must(w, from < w->n_nodes && n->peers[sa->peer].who == w->nodes[from]);
	if (sa->replay == NULL)
		sa->replay = calloc(1, sizeof(*sa->replay));
	world_must(w, sa->replay != NULL);
	if (lm_replay_commit(sa->replay, seq) != LM_ESP_OK) {
		n->esp_replayed++;
		return;
	}
	n->esp_got++;
	sa->last_rx = world_now(w, n).mono;
	touch(n, sa);
	if (seq <= sa->top)
		return;
	sa->top = seq;
	if (sa->has_from && sa->from.port == path.port && sa->from.relay == relay &&
	    lm_endpoint_equal(&sa->from.remote, &path.remote))
		return;
	sa->has_from = true;
	sa->from = path;
	lm_mesh_moved(n->mesh, world_now(w, n), sa->spi_base, &path);
}

static void deliver(struct node *n, unsigned port, uint64_t relay, const struct datagram *d)
{
	struct world *w = n->world;
	uint8_t type = lm_msg_type(d->data, d->len);

	if (lm_demux(d->data, d->len) == LM_DEMUX_ESP) {
		deliver_esp(n, port, relay, d);
		node_sync(n);
		return;
	}
	if (lm_demux(d->data, d->len) == LM_DEMUX_KEEPALIVE)
		return; /* the workers drop it */
	n->got++;
	n->got_bytes += d->len;
	n->answered = 0;
	n->asker = d->from;
	lm_mesh_datagram(
	    n->mesh, world_now(w, n),
	    &(struct lm_path){.port = (uint16_t)port, .remote = d->from, .relay = relay}, d->data,
	    d->len);
	/* FAULTS row 20: who has not shown that he is a peer is never sent more than he sent.
	 * Message 2 and a cookie come from where we asked. */
	if (type != LM_MSG_TRANSPORT && type != LM_MSG_RESP && type != LM_MSG_COOKIE)
		if (n->answered > d->len)
			world_fail(w, "gw%u answers %zu bytes with %llu", n->number, d->len,
				   (unsigned long long)n->answered);
	node_sync(n);
}

void node_deliver(struct node *n, unsigned port, const struct datagram *d)
{
	struct datagram inner;
	uint64_t id;

	if (lm_msg_type(d->data, d->len) != LM_MSG_RELAY)
		deliver(n, port, 0, d);
	else if (relay_arrive(n, port, d, &inner, &id))
		deliver(n, port, id, &inner);
}

void plane_report(struct node *n)
{
	for (uint32_t i = 0; i < n->n_active; i++) {
		struct sa_in *sa = &n->sas[n->active[i]];
		const struct node_peer *p = &n->peers[sa->peer];

		if (!sa->active)
			continue;
		sa->active = false;
		if (sa->used) {
			uint32_t seq = p->has_out && p->session == sa->spi_base ? p->seq : 0;
			struct lm_mesh_usage u = {
			    .last_rx = sa->last_rx, .highest_seq = seq, .tx_packets = seq};

			(void)lm_mesh_usage(n->mesh, world_now(n->world, n), sa->spi_base, &u);
		}
	}
	n->n_active = 0;
}
