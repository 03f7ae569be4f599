/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef FWD_TEST_H
#define FWD_TEST_H

#include "fwd_internal.h"

#include <setjmp.h>

#include <cmocka.h>

/* xorshift64*: the same sequence on every machine. */
static inline uint64_t rnd(uint64_t *s)
{
	*s ^= *s >> 12;
	*s ^= *s << 25;
	*s ^= *s >> 27;
	return *s * 0x2545f4914f6cdd1dull;
}

static inline struct lm_prefix prefix(const char *text)
{
	struct lm_prefix p;

	assert_int_equal(lm_prefix_parse(text, &p), 0);
	return p;
}

static inline struct lm_route to_peer(uint32_t peer)
{
	return (struct lm_route){.kind = LM_ROUTE_PEER, .peer = peer};
}

static inline uint32_t host4(const struct lm_ip *ip)
{
	return (uint32_t)ip->b[0] << 24 | (uint32_t)ip->b[1] << 16 | (uint32_t)ip->b[2] << 8 |
	       ip->b[3];
}

/* Through the bulk lookups, a burst of one. */
static inline uint32_t lookup(const struct lm_fwd *f, const struct lm_ip *ip)
{
	const uint8_t *p6 = ip->b;
	uint32_t a = host4(ip), slot;

	if (ip->family == 4)
		lm_fwd_lookup4(f, &a, &slot, 1);
	else
		lm_fwd_lookup6(f, &p6, &slot, 1);
	return slot;
}

static inline uint32_t lookup_text(const struct lm_fwd *f, const char *text)
{
	struct lm_ip ip;

	assert_int_equal(lm_ip_parse(text, &ip), 0);
	return lookup(f, &ip);
}

#endif
