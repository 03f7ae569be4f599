/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread's side of the tables: build the new, publish the pointer, wait
 * until no worker uses the old, free it.
 */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

void lm_dp_quiesce(struct lm_dp *dp)
{
	uint64_t token = rte_rcu_qsbr_start(dp->qsbr);
	struct timespec ts = {.tv_nsec = 5000};

	/* Sleeps rather than spins: a worker that was preempted may need this very core. */
	while (rte_rcu_qsbr_check(dp->qsbr, token, false) == 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
	for (unsigned i = 0; i < dp->n_retired; i++)
		lm_slab_give(&dp->slab, dp->retired[i], sizeof(*dp->retired[i]));
	dp->n_retired = 0;
}

/* A path that was unpublished: freed with others, after one wait for all of them. When a WAN port
 * fails, each of thousands of peers gets another one, and has no time to lose. */
static void retire(struct lm_dp *dp, struct lm_path_out *old)
{
	if (old == NULL)
		return;
	if (dp->n_retired == LM_RETIRED_MAX)
		lm_dp_quiesce(dp);
	dp->retired[dp->n_retired++] = old;
}

/* -------------------------------------------------------------- routes -- */

int lm_dp_route_set(struct lm_dp *dp, const struct lm_prefix *prefix, const struct lm_route *r)
{
	if (r->kind == LM_ROUTE_PEER && r->peer >= dp->max_peers)
		return -EINVAL;
	if ((r->kind == LM_ROUTE_NEIGHBOUR || r->kind == LM_ROUTE_CONNECTED) &&
	    r->port >= dp->n_ports)
		return -EINVAL;
	return lm_fwd_route_set(dp->fwd, prefix, r);
}

int lm_dp_route_del(struct lm_dp *dp, const struct lm_prefix *prefix)
{
	return lm_fwd_route_del(dp->fwd, prefix);
}

uint32_t lm_dp_route_count(const struct lm_dp *dp)
{
	return lm_fwd_route_count(dp->fwd);
}

/* ----------------------------------------------------------- addresses -- */

static size_t source_size(const struct lm_srccheck *c)
{
	return sizeof(*c) + (c->n4 + 3u * c->n6) * sizeof(c->nets[0]);
}

static void source_free(struct lm_dp *dp, struct lm_srccheck *c)
{
	if (c != NULL)
		lm_slab_give(&dp->slab, c, source_size(c));
}

/* Publishes a source check made of prefixes; n = 0: none. */
static int publish_source(struct lm_dp *dp, struct lm_srccheck **where, uint32_t peer,
			  const struct lm_prefix *prefixes, unsigned n)
{
	struct lm_srccheck *new = NULL, *old = *where;
	size_t size;
	int e;

	if (n > LM_SRCCHECK_MAX)
		return -EINVAL;
	if (n > 0) {
		size = lm_srccheck_size(prefixes, n);
		new = lm_slab_take(&dp->slab, size);
		if (new == NULL)
			return -ENOMEM;
		e = lm_srccheck_init(new, peer, prefixes, n);
		if (e != 0) {
			lm_slab_give(&dp->slab, new, size);
			return e;
		}
	}
	lm_rcu_store(where, new);
	lm_dp_quiesce(dp);
	source_free(dp, old);
	return 0;
}

int lm_dp_own_set(struct lm_dp *dp, const struct lm_prefix *prefixes, unsigned n)
{
	return publish_source(dp, &dp->own, UINT32_MAX, prefixes, n);
}

int lm_dp_addresses_set(struct lm_dp *dp, uint16_t port, const struct lm_ip *ips, unsigned n)
{
	struct lm_addresses *new, *old;

	if (port >= dp->n_ports || n > LM_DP_ADDRESSES_MAX)
		return -EINVAL;
	new = calloc(1, sizeof(*new) + n * sizeof(new->ips[0]));
	if (new == NULL)
		return -ENOMEM;
	new->n = n;
	if (n > 0)
		memcpy(new->ips, ips, n * sizeof(new->ips[0]));
	old = dp->port[port].addresses;
	lm_rcu_store(&dp->port[port].addresses, new);
	lm_dp_quiesce(dp);
	free(old);
	return 0;
}

/* ---------------------------------------------------------------- keys -- */

static struct lm_session_in *session_new(struct lm_dp *dp, uint32_t peer, uint32_t spi_base,
					 unsigned lanes, const struct lm_esp_key *keys)
{
	size_t sas = sizeof(struct lm_session_in) + lanes * sizeof(struct lm_sa_in);
	size_t stride = dp->key_stride, size = sas + lanes * stride;
	struct lm_session_in *s = lm_slab_take(&dp->slab, size);

	if (s == NULL)
		return NULL;
	*s = (struct lm_session_in){
	    .size = size, .spi_base = spi_base, .peer = peer, .lanes = lanes};
	for (unsigned i = 0; i < lanes; i++) {
		struct lm_aead_key *key = (struct lm_aead_key *)((char *)s + sas + i * stride);

		lm_aead_key_init(dp->aead, key, keys[i].key);
		lm_sa_in_init(&s->sa[i], key, keys[i].salt, spi_base + i, peer);
	}
	return s;
}

static struct lm_sas_out *sas_out_new(struct lm_dp *dp, uint32_t spi_base, unsigned lanes,
				      const struct lm_esp_key *keys)
{
	size_t sas = sizeof(struct lm_sas_out) + lanes * sizeof(struct lm_sa_out);
	size_t stride = dp->key_stride, size = sas + lanes * stride;
	struct lm_sas_out *out = lm_slab_take(&dp->slab, size);

	if (out == NULL)
		return NULL;
	*out = (struct lm_sas_out){.size = size, .spi_base = spi_base, .lanes = lanes};
	for (unsigned i = 0; i < lanes; i++) {
		struct lm_aead_key *key = (struct lm_aead_key *)((char *)out + sas + i * stride);

		lm_aead_key_init(dp->aead, key, keys[i].key);
		lm_sa_out_init(&out->sa[i], key, keys[i].salt, spi_base + i, LM_ESP_HARD_LIMIT);
	}
	return out;
}

/* --------------------------------------------------------------- peers -- */

static void swap_out(struct lm_dp *dp, uint32_t peer, struct lm_sas_out *new)
{
	struct lm_sas_out *old = dp->peer[peer].out;

	__atomic_store_n(&dp->n_out, dp->n_out + (new != NULL) - (old != NULL), __ATOMIC_RELAXED);
	lm_rcu_store(&dp->peer[peer].out, new);
	if (old != NULL) {
		lm_dp_quiesce(dp);
		lm_slab_give(&dp->slab, old, old->size);
	}
}

static void swap_path(struct lm_dp *dp, uint32_t peer, struct lm_path_out *new)
{
	struct lm_path_out *old = dp->peer[peer].path;

	lm_rcu_store(&dp->peer[peer].path, new);
	retire(dp, old);
}

int lm_dp_peer_set(struct lm_dp *dp, uint32_t peer, const struct lm_prefix *prefixes, unsigned n)
{
	if (peer >= dp->max_peers)
		return -EINVAL;
	if (n == 0) {
		swap_out(dp, peer, NULL);
		swap_path(dp, peer, NULL);
	}
	return publish_source(dp, &dp->peer[peer].source, peer, prefixes, n);
}

int lm_dp_sa_in_add(struct lm_dp *dp, uint32_t peer, uint32_t spi_base, unsigned lanes,
		    const struct lm_esp_key *keys)
{
	struct lm_sa_table *old = dp->sas, *grown;
	struct lm_session_in *s;

	if (peer >= dp->max_peers || lanes == 0 || lanes > LM_LANES_MAX ||
	    !lm_spi_base_valid(spi_base))
		return -EINVAL;
	if (lm_sa_table_get(old, spi_base) != NULL)
		return -EEXIST;
	s = session_new(dp, peer, spi_base, lanes, keys);
	if (s == NULL)
		return -ENOMEM;
	if (lm_sa_table_full(old)) {
		grown = lm_sa_table_grown(old);
		if (grown == NULL) {
			lm_slab_give(&dp->slab, s, s->size);
			return -ENOMEM;
		}
		lm_sa_table_put(grown, s);
		lm_rcu_store(&dp->sas, grown);
		lm_dp_quiesce(dp);
		free(old);
	} else {
		lm_sa_table_put(old, s);
	}
	/* No need to wait: a worker reads the table after it has received a packet, and no packet
	 * of this session can arrive before we return. */
	return 0;
}

void lm_dp_sa_in_del(struct lm_dp *dp, uint32_t spi_base)
{
	struct lm_session_in *s = lm_sa_table_take(dp->sas, spi_base);

	if (s == NULL)
		return;
	lm_dp_quiesce(dp);
	lm_slab_give(&dp->slab, s, s->size);
}

int lm_dp_sa_out_set(struct lm_dp *dp, uint32_t peer, uint32_t spi_base, unsigned lanes,
		     const struct lm_esp_key *keys)
{
	struct lm_sas_out *new = NULL;

	if (peer >= dp->max_peers)
		return -EINVAL;
	if (spi_base != 0) {
		if (lanes != dp->n_workers || !lm_spi_base_valid(spi_base))
			return -EINVAL;
		new = sas_out_new(dp, spi_base, lanes, keys);
		if (new == NULL)
			return -ENOMEM;
	}
	swap_out(dp, peer, new);
	return 0;
}

int lm_dp_path_set(struct lm_dp *dp, uint32_t peer, const struct lm_outer *outer,
		   uint16_t inner_mtu)
{
	struct lm_path_out *new = NULL;

	if (peer >= dp->max_peers)
		return -EINVAL;
	if (outer != NULL) {
		if (outer->port >= dp->n_ports || dp->port[outer->port].role != LM_DP_WAN)
			return -EINVAL;
		new = lm_slab_take(&dp->slab, sizeof(*new));
		if (new == NULL)
			return -ENOMEM;
		*new = (struct lm_path_out){.outer = *outer, .inner_mtu = inner_mtu};
	}
	swap_path(dp, peer, new);
	return 0;
}

void lm_dp_tables_free(struct lm_dp *dp)
{
	free(dp->peer);
	free(dp->sas);
	lm_slab_free(&dp->slab);
	lm_relays_free(dp);
	for (unsigned i = 0; i < dp->n_ports; i++)
		free(dp->port[i].addresses);
	lm_fwd_free(dp->fwd);
}
