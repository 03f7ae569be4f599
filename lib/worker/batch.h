/* SPDX-License-Identifier: BSD-3-Clause */
/* A burst's route lookup: destinations and sources of both families, each in one call. */
#ifndef LANEMESH_WORKER_BATCH_H
#define LANEMESH_WORKER_BATCH_H

#include "ip.h"
#include "worker_internal.h"

static inline void lm_batch_reset(struct lm_batch *b)
{
	b->n = b->n6 = 0;
}

static inline void lm_crypt_reset(struct lm_crypt *c)
{
	c->n = 0;
	c->ip6 = false;
	c->inner_bytes = c->frame_bytes = 0;
}

/* Makes m, a checked IPv4 packet at ip, number i of the batch. Its n is for the caller to count. */
static inline void lm_batch_put4(struct lm_batch *b, unsigned i, struct rte_mbuf *m, uint8_t *ip)
{
	b->m[i] = m;
	b->ip[i] = ip;
	b->addr4[i] = (struct lm_pair){.dst = lm_be32(ip + 16), .src = lm_be32(ip + 12)};
}

/* ip: a checked packet of either family in m. */
static inline void lm_batch_add(struct lm_batch *b, struct rte_mbuf *m, uint8_t *ip)
{
	unsigned i = b->n++;

	lm_batch_put4(b, i, m, ip);
	if (!lm_is_ip4(ip)) {
		/* Looked up in vain: cheaper than two lists for a burst of one family. */
		b->addr4[i] = (struct lm_pair){0};
		b->dst6[b->n6] = ip + 24;
		b->src6[b->n6] = ip + 8;
		b->at6[b->n6++] = (uint8_t)i;
	}
}

static inline void lm_batch_lookup4(struct lm_batch *b, const struct lm_fwd *f)
{
	lm_fwd_lookup4(f, &b->addr4[0].dst, &b->hop[0].dst, 2 * b->n);
}

static inline void lm_batch_lookup(struct lm_batch *b, const struct lm_fwd *f)
{
	uint32_t dst[LM_BURST], src[LM_BURST];

	if (b->n6 < b->n)
		lm_batch_lookup4(b, f);
	if (b->n6 > 0) {
		lm_fwd_lookup6(f, b->dst6, dst, b->n6);
		lm_fwd_lookup6(f, b->src6, src, b->n6);
		for (unsigned k = 0; k < b->n6; k++) {
			b->hop[b->at6[k]] = (struct lm_pair){.dst = dst[k], .src = src[k]};
		}
	}
}

/* FAULTS row 30. src: the next hop that the lookup found for the packet's source. */
static inline bool lm_source_ok(const struct lm_srccheck *c, const struct lm_fwd *f,
				const uint8_t *ip, uint32_t src)
{
	if (unlikely(c == NULL))
		return false;
	return lm_is_ip4(ip) ? lm_srccheck4(c, f, lm_be32(ip + 12), src)
			     : lm_srccheck6(c, f, ip + 8, src);
}

#endif
