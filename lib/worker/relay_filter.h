/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Which datagrams a relay has passed on already (FAULTS row 21): of each id the newest 16,384 are
 * known, by tags of 32 bits.
 *
 * A tag is made of the whole datagram, with a secret: whoever does not know it cannot make up one
 * that is taken for a copy of another one, nor change one byte of a copy and have the real one
 * dropped. Where a tag is kept goes by the datagram's number (RFC 4303 section 2.2), so that those
 * of a flow lie side by side, and the newest overwrite the oldest.
 */
#ifndef LANEMESH_WORKER_RELAY_FILTER_H
#define LANEMESH_WORKER_RELAY_FILTER_H

#include "ip.h"

#include <rte_branch_prediction.h>

#define LM_RELAY_SETS 4096 /* power of two; each has four tags */
/* Of datagrams that are passed on; no WAN port's MTU allows a longer one. */
#define LM_RELAY_LONGEST 9216

struct lm_relay_set {
	uint64_t newer, older; /* two tags each, the newest in the lowest bits; 0: none */
};

/* Key of the tags. Const. */
struct lm_relay_secret {
	uint64_t length[2], fold;
	/* For each block of 32 bytes, and for the last 32 bytes, which count twice. */
	uint8_t pad[LM_RELAY_LONGEST + 32] __attribute__((aligned(64)));
};

/* One datagram to make a tag of: where, and how long. */
struct lm_relay_print {
	const uint8_t *p;
	unsigned len;
	uint64_t print; /* out */
};

/* Makes the prints of n datagrams. */
typedef void lm_relay_prints(const struct lm_relay_secret *key, struct lm_relay_print *d,
			     unsigned n);
lm_relay_prints lm_relay_prints_sse2, lm_relay_prints_avx2;
/* The better one of those that this CPU has. */
lm_relay_prints *lm_relay_prints_choose(void);

/* Where the tag of an ESP packet, or another datagram, is kept. */
static inline unsigned lm_relay_set_of(const uint8_t *p, uint64_t print)
{
	uint32_t spi = lm_word(p);

	/* Lanes, and sessions one after the other, do not run in step. */
	if (likely((p[0] & 0x80) != 0))
		return (lm_be32(p + 4) + (spi * 0x9e3779b1u >> 12)) & (LM_RELAY_SETS - 1);
	return print & (LM_RELAY_SETS - 1);
}

static inline uint32_t lm_relay_tag(uint64_t print)
{
	uint32_t tag = (uint32_t)(print >> 32);

	return tag + (tag == 0); /* 0 is nobody's */
}

static inline bool lm_relay_seen(const struct lm_relay_set *s, uint32_t tag)
{
	return (uint32_t)s->newer == tag || s->newer >> 32 == tag || (uint32_t)s->older == tag ||
	       s->older >> 32 == tag;
}

static inline void lm_relay_remember(struct lm_relay_set *s, uint32_t tag)
{
	s->older = s->older << 32 | s->newer >> 32;
	s->newer = s->newer << 32 | tag;
}

#endif
