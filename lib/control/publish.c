/* SPDX-License-Identifier: BSD-3-Clause */
/* The mesh's operations, carried out on the data plane, the RIB and the disk. */
#include "internal.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>

/* The slot of a peer number, made on first use. NULL: no memory. */
static struct lm_peer_slot *slot(struct lm_control *c, uint32_t peer)
{
	if (peer >= c->cfg->max_peers)
		return NULL;
	if (peer >= c->n_peers) {
		uint32_t n = peer + 64;
		struct lm_peer_slot **p = realloc(c->peers, n * sizeof(*p));

		if (p == NULL)
			return NULL;
		memset(p + c->n_peers, 0, (n - c->n_peers) * sizeof(*p));
		c->peers = p;
		c->n_peers = n;
	}
	if (c->peers[peer] == NULL)
		c->peers[peer] = calloc(1, sizeof(**c->peers));
	return c->peers[peer];
}

/* A restart or a lost path is over within this time, or the peer's networks go another way. */
#define DOWN_GRACE (3 * LM_SEC)

static void tell_rib(struct lm_control *c, uint32_t peer, struct lm_peer_slot *s, bool unreachable)
{
	if (s->unreachable == unreachable)
		return;
	s->unreachable = unreachable;
	lm_rib_reachable(c->rib, peer, !unreachable, s->prefixes, s->n_prefixes);
}

static void went_up_or_down(struct lm_control *c, uint32_t peer, struct lm_peer_slot *s)
{
	if (!s->answers || !s->has_path) {
		if (s->down_since == 0)
			s->down_since = lm_control_now(c).mono;
		return;
	}
	s->down_since = 0;
	tell_rib(c, peer, s, false);
}

void lm_control_reachability(struct lm_control *c)
{
	lm_time now = lm_control_now(c).mono;

	for (uint32_t i = 0; i < c->n_peers; i++) {
		struct lm_peer_slot *s = c->peers[i];

		if (s != NULL && s->down_since != 0 && now - s->down_since >= DOWN_GRACE)
			tell_rib(c, i, s, true);
	}
	if (!lm_rib_changed(c->rib))
		return;
	for (uint32_t i = 0; i < c->n_peers; i++)
		if (c->peers[i] != NULL && c->peers[i]->unreachable)
			lm_rib_cover(c->rib, c->peers[i]->prefixes, c->peers[i]->n_prefixes);
}

static int op_send(void *user, const struct lm_path *path, const uint8_t *data, size_t len)
{
	return lm_underlay_send(user, path, data, len);
}

static int op_sa_in_add(void *user, const struct lm_mesh_sa_in *sa)
{
	struct lm_control *c = user;

	return lm_dp_sa_in_add(c->dp, sa->peer, sa->spi_base, sa->lanes, sa->keys);
}

static void op_sa_in_del(void *user, uint32_t spi_base)
{
	struct lm_control *c = user;

	lm_dp_sa_in_del(c->dp, spi_base);
}

static int op_sa_out_set(void *user, uint32_t peer, const struct lm_mesh_sa_out *sa)
{
	struct lm_control *c = user;

	if (sa == NULL)
		return lm_dp_sa_out_set(c->dp, peer, 0, 0, NULL);
	return lm_dp_sa_out_set(c->dp, peer, sa->spi_base, sa->lanes, sa->keys);
}

static void op_path_set(void *user, uint32_t peer, const struct lm_path *path)
{
	struct lm_control *c = user;
	struct lm_peer_slot *s = slot(c, peer);

	if (s == NULL)
		return;
	s->has_path = path != NULL;
	if (path != NULL)
		s->path = *path;
	lm_underlay_publish(c, peer);
	went_up_or_down(c, peer, s);
}

static void op_reachable(void *user, uint32_t peer, bool yes)
{
	struct lm_control *c = user;
	struct lm_peer_slot *s = slot(c, peer);

	if (s == NULL)
		return;
	s->answers = yes;
	went_up_or_down(c, peer, s);
}

static bool listed(const struct lm_prefix *list, unsigned n, const struct lm_prefix *p)
{
	for (unsigned i = 0; i < n; i++)
		if (lm_prefix_equal(&list[i], p))
			return true;
	return false;
}

/* Offers these routes to the peer and takes back the others. */
static int set_routes(struct lm_control *c, uint32_t peer, struct lm_peer_slot *s,
		      const struct lm_prefix *prefixes, unsigned n)
{
	struct lm_route r = {.kind = LM_ROUTE_PEER, .peer = peer};
	struct lm_prefix *kept = NULL;

	if (n > 0 && (kept = malloc(n * sizeof(*kept))) == NULL)
		return -ENOMEM;

	for (unsigned i = 0; i < s->n_prefixes; i++)
		if (!listed(prefixes, n, &s->prefixes[i]))
			lm_rib_drop(c->rib, &s->prefixes[i], LM_RIB_PEER, peer);
	for (unsigned i = 0; i < n; i++)
		if (!listed(s->prefixes, s->n_prefixes, &prefixes[i]))
			(void)lm_rib_put(c->rib, &prefixes[i], LM_RIB_PEER, peer, &r);
	if (n > 0)
		memcpy(kept, prefixes, n * sizeof(*kept));
	free(s->prefixes);
	s->prefixes = kept;
	s->n_prefixes = (uint8_t)n;
	return 0;
}

static int op_peer_set(void *user, uint32_t peer, const struct lm_cert *cert,
		       const struct lm_announcement *ann)
{
	struct lm_control *c = user;
	struct lm_peer_slot *s = slot(c, peer);
	struct lm_prefix may[LM_DP_PREFIXES_MAX], routes[LM_DP_PREFIXES_MAX];
	unsigned n_may = 0, n_routes = 0;
	int rc;

	if (s == NULL)
		return -ENOMEM;
	for (unsigned i = 0; i < cert->n_overlays; i++) {
		may[n_may++] = lm_prefix_of(&cert->overlays[i], lm_ip_bits(&cert->overlays[i]));
		routes[n_routes++] = may[i];
	}
	for (unsigned i = 0; i < cert->n_prefixes; i++)
		may[n_may++] = cert->prefixes[i];
	for (unsigned i = 0; ann != NULL && i < ann->n_prefixes; i++)
		routes[n_routes++] = ann->prefixes[i];
	rc = lm_dp_peer_set(c->dp, peer, may, n_may);
	if (rc != 0)
		return rc;
	rc = set_routes(c, peer, s, routes, n_routes);
	went_up_or_down(c, peer, s);
	return rc;
}

static void op_peer_gone(void *user, uint32_t peer)
{
	struct lm_control *c = user;
	struct lm_peer_slot *s = slot(c, peer);

	if (s == NULL)
		return;
	tell_rib(c, peer, s, false);
	(void)set_routes(c, peer, s, NULL, 0); /* needs no memory */
	if (lm_dp_path_set(c->dp, peer, NULL, 0) != 0 || lm_dp_peer_set(c->dp, peer, NULL, 0) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "peer %u not taken out of the data plane", peer);
	c->peers[peer] = NULL;
	free(s);
}

/* Stored first: a sequence number that a coordinator may have seen is never used again. Live peers
 * are sent the announcement at once. If its number is lost in a crash and used again, the peer that
 * has the other one shows it to us when we connect, and ours goes on from there. */
void lm_control_announce(struct lm_control *c)
{
	if (c->announce_due != 0)
		lm_state_sequence_set(c, c->announce_due);
}

void lm_control_announce_stored(struct lm_control *c, uint64_t sequence)
{
	const uint8_t *data;
	size_t len;

	if (c->announce_due != sequence) { /* there is a newer one already */
		lm_control_announce(c);
		return;
	}
	c->announce_due = 0;
	data = c->mesh != NULL ? lm_mesh_own_announcement(c->mesh, &len) : NULL;
	if (data != NULL)
		lm_coords_publish(c, data, len);
}

static void op_announce(void *user, uint64_t sequence, const uint8_t *data, size_t len)
{
	struct lm_control *c = user;

	(void)data;
	(void)len;
	c->announce_due = sequence;
	lm_control_announce(c);
}

static void op_revocation(void *user, const uint8_t *data, size_t len)
{
	struct lm_control *c = user;

	lm_control_raise_floor(c, data, len);
	if (lm_directory_put_revocation(c->directory, data, len) == 0)
		lm_state_save_now(c);
	lm_coords_revocation(c, data, len);
}

static void op_signal(void *user, const uint8_t node[32])
{
	lm_coords_signal(user, node);
}

static void op_random(void *user, void *out, size_t len)
{
	(void)user;
	randombytes_buf(out, len);
}

const struct lm_mesh_ops lm_control_mesh_ops = {
    .send = op_send,
    .sa_in_add = op_sa_in_add,
    .sa_in_del = op_sa_in_del,
    .sa_out_set = op_sa_out_set,
    .path_set = op_path_set,
    .reachable = op_reachable,
    .relay_set = lm_control_relay_set,
    .relay_end = lm_control_relay_end,
    .peer_set = op_peer_set,
    .peer_gone = op_peer_gone,
    .announce = op_announce,
    .revocation = op_revocation,
    .signal = op_signal,
    .random = op_random,
};
