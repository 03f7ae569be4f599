/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * With many peers each packet of a burst is another's, and what is known of it is in no near cache:
 * SPI table, SA, key, next hop, peer, outer header. These passes ask for all of it before it is
 * used, so that the misses of a burst overlap. They change and decide nothing. With few peers they
 * would only cost time, so they are not made.
 */
#ifndef LANEMESH_WORKER_PREFETCH_H
#define LANEMESH_WORKER_PREFETCH_H

#include "ip.h"
#include "worker_internal.h"

#define LM_PREFETCH_PEERS 64 /* from so many on */

/* Into the second cache: the keys of a burst are as large as the first one. */
static inline void lm_prefetch_key(const struct lm_dp *dp, const void *keys, unsigned lane)
{
	const char *key = (const char *)keys + lane * dp->key_stride;

	for (unsigned off = 0; off < dp->key_stride; off += 64)
		rte_prefetch1(key + off);
}

/* The SAs of frames that look like ESP over IPv4; garbage asks for any slot. */
static inline void lm_prefetch_in(const struct lm_worker *w, const struct lm_sa_table *sas,
				  struct rte_mbuf *const *pkts, unsigned n)
{
	enum { SPI = LM_ETH_LEN + sizeof(struct lm_ip4_hdr) + sizeof(struct lm_udp_hdr) };
	const struct lm_sa_slot *slot[LM_BURST];
	uint32_t spi[LM_BURST];

	for (unsigned i = 0; i < n; i++) {
		spi[i] = pkts[i]->data_len >= SPI + 4
			     ? lm_be32(rte_pktmbuf_mtod_offset(pkts[i], uint8_t *, SPI))
			     : 0;
		slot[i] = &sas->slot[lm_sa_table_first(sas, spi[i])];
		rte_prefetch0(slot[i]);
	}
	for (unsigned i = 0; i < n; i++) {
		const struct lm_session_in *s = lm_rcu_load(&slot[i]->session);
		unsigned lanes = __atomic_load_n(&slot[i]->lanes, __ATOMIC_RELAXED);
		unsigned lane = spi[i] & LM_SPI_LANE_MASK;

		if (s == NULL || s == LM_SA_GONE || lane >= lanes)
			continue;
		rte_prefetch0(&s->sa[lane]);
		lm_prefetch_key(w->dp, &s->sa[lanes], lane);
	}
}

/* The source checks of the SAs whose packets go to the cipher now. */
static inline void lm_prefetch_sources(const struct lm_worker *w)
{
	const struct lm_peer_slot *peers = w->dp->peer;
	const struct lm_crypt *c = &w->crypt;

	for (unsigned i = 0; i < c->n; i++)
		rte_prefetch0(&peers[c->sa[i]->peer]);
	for (unsigned i = 0; i < c->n; i++)
		rte_prefetch1(lm_rcu_load(&peers[c->sa[i]->peer].source));
}

/* What sealing needs, after the route lookup. */
static inline void lm_prefetch_out(const struct lm_worker *w, const struct lm_adj *adjs,
				   const struct lm_batch *b)
{
	const struct lm_peer_slot *peers = w->dp->peer;

	for (unsigned i = 0; i < b->n; i++)
		rte_prefetch0(&adjs[b->hop[i].dst]);
	for (unsigned i = 0; i < b->n; i++)
		if (adjs[b->hop[i].dst].kind == LM_ROUTE_PEER)
			rte_prefetch0(&peers[adjs[b->hop[i].dst].peer]);
	for (unsigned i = 0; i < b->n; i++) {
		const struct lm_adj *adj = &adjs[b->hop[i].dst];
		const struct lm_sas_out *out;
		const char *path;

		if (adj->kind != LM_ROUTE_PEER)
			continue;
		out = lm_rcu_load(&peers[adj->peer].out);
		path = (const char *)lm_rcu_load(&peers[adj->peer].path);
		if (out == NULL || path == NULL)
			continue;
		rte_prefetch0(&out->sa[w->index]);
		rte_prefetch0(path);
		rte_prefetch0(path + 64);
		lm_prefetch_key(w->dp, &out->sa[w->dp->n_workers], w->index);
	}
}

#endif
