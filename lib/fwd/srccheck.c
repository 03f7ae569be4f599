/* SPDX-License-Identifier: BSD-3-Clause */
/* FAULTS row 30: a decrypted packet's source must belong to its sender (Nebula #1494). */
#include "fwd_internal.h"

#include <errno.h>

static uint64_t be64(const uint8_t *p)
{
	uint64_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap64(v);
}

static uint32_t be32(const uint8_t *p)
{
	uint32_t v;

	memcpy(&v, p, sizeof(v));
	return __builtin_bswap32(v);
}

static uint32_t mask32(unsigned len)
{
	return len == 0 ? 0 : ~0u << (32 - len);
}

static uint64_t mask64(unsigned len)
{
	return len == 0 ? 0 : len >= 64 ? ~0ull : ~0ull << (64 - len);
}

#define WORDS4 1u
#define WORDS6 3u

static unsigned len4(uint64_t entry)
{
	return (unsigned)__builtin_popcount((uint32_t)entry);
}

static void add4(struct lm_srccheck *c, const struct lm_prefix *p)
{
	unsigned i = c->n4++;

	for (; i > 0 && len4(c->nets[i - 1]) < p->len; i--)
		c->nets[i] = c->nets[i - 1];
	c->nets[i] = (uint64_t)be32(p->ip.b) << 32 | mask32(p->len);
}

/* After all of IPv4. */
static void add6(struct lm_srccheck *c, const struct lm_prefix *p)
{
	uint64_t *net = c->nets + c->n4 * WORDS4;
	unsigned i = c->n6++;

	for (; i > 0 && net[(i - 1) * WORDS6 + 2] < p->len; i--)
		memcpy(net + i * WORDS6, net + (i - 1) * WORDS6, WORDS6 * sizeof(*net));
	net += i * WORDS6;
	net[0] = be64(p->ip.b);
	net[1] = be64(p->ip.b + 8);
	net[2] = p->len;
}

size_t lm_srccheck_size(const struct lm_prefix *prefixes, unsigned n)
{
	size_t words = 0;

	for (unsigned i = 0; i < n; i++)
		words += prefixes[i].ip.family == 4 ? WORDS4 : WORDS6;
	return sizeof(struct lm_srccheck) + words * sizeof(uint64_t);
}

/* RFC 1812 section 5.3.7 and RFC 3927 section 2.7: never a source that a router forwards. */
static bool special4(uint32_t a)
{
	unsigned top = a >> 24;

	return top == 0 || top == 127 || top >= 224 || a >> 16 == 0xa9fe;
}

/* Has the prefix such an address? */
static bool has_special4(uint32_t net, uint32_t mask)
{
	static const struct {
		uint32_t net, mask;
	} special[] = {{0, 0xff000000},
		       {0x7f000000, 0xff000000},
		       {0xe0000000, 0xe0000000},
		       {0xa9fe0000, 0xffff0000}};

	for (unsigned i = 0; i < LM_ARRAY_SIZE(special); i++)
		if (((net ^ special[i].net) & mask & special[i].mask) == 0)
			return true;
	return false;
}

static void choose_quick(struct lm_srccheck *c)
{
	for (unsigned i = 0; i < c->n4; i++) {
		uint32_t net = (uint32_t)(c->nets[i] >> 32), mask = (uint32_t)c->nets[i];

		if (has_special4(net, mask))
			continue;
		c->quick_net = net;
		c->quick_mask = mask;
		return;
	}
}

int lm_srccheck_init(struct lm_srccheck *c, uint32_t peer, const struct lm_prefix *prefixes,
		     unsigned n)
{
	/* quick_net and no mask: nothing passes. */
	*c = (struct lm_srccheck){.peer = peer, .quick_net = 1};
	if (n > LM_SRCCHECK_MAX)
		return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (!lm_prefix_valid(&prefixes[i]))
			return -EINVAL;
	for (unsigned i = 0; i < n; i++)
		if (prefixes[i].ip.family == 4)
			add4(c, &prefixes[i]);
	for (unsigned i = 0; i < n; i++)
		if (prefixes[i].ip.family == 6)
			add6(c, &prefixes[i]);
	choose_quick(c);
	return 0;
}

/* RFC 4291 section 2.5.2 to 2.7; v4-mapped (Nebula #1786) would be an IPv4 source unseen by the
 * IPv4 check. The deprecated v4-compatible block ::/96 goes with ::, ::1. */
static bool special6(uint64_t hi, uint64_t lo)
{
	if (hi == 0 && (lo >> 32 == 0 || lo >> 32 == 0xffff))
		return true;
	return hi >> 56 == 0xff || hi >> 54 == 0x3fa;
}

/* The list has a prefix that covers the source. Then routes that lead to the one who sent it need
 * no look at their length, which costs a lookup. */
static inline bool leads_there(const struct lm_srccheck *c, const struct lm_adj *owner)
{
	return c->peer == UINT32_MAX && owner->kind != LM_ROUTE_PEER;
}

/* How long is the route that covers the address? */
static __attribute__((noinline)) unsigned depth4(const struct lm_fwd *f, uint32_t src)
{
	const uint8_t b[4] = {src >> 24, src >> 16, src >> 8, src};

	return LM_LPM_DEPTH(lm_lpm_find(&f->lpm4, b));
}

bool lm_srccheck4(const struct lm_srccheck *c, const struct lm_fwd *f, uint32_t src, uint32_t adj)
{
	const struct lm_adj *owner = &f->adj.adjs[adj];

	if (c->n4 == 0 || special4(src))
		return false;
	if (owner->kind == LM_ROUTE_PEER && owner->peer == c->peer)
		return true;
	for (unsigned i = 0; i < c->n4; i++) {
		uint64_t e = c->nets[i];

		if (((src ^ (uint32_t)(e >> 32)) & (uint32_t)e) == 0)
			return leads_there(c, owner) || len4(e) >= depth4(f, src);
	}
	return false;
}

bool lm_srccheck6(const struct lm_srccheck *c, const struct lm_fwd *f, const uint8_t src[16],
		  uint32_t adj)
{
	const struct lm_adj *owner = &f->adj.adjs[adj];
	uint64_t hi = be64(src), lo = be64(src + 8);

	if (c->n6 == 0 || special6(hi, lo))
		return false;
	if (owner->kind == LM_ROUTE_PEER && owner->peer == c->peer)
		return true;
	for (unsigned i = 0; i < c->n6; i++) {
		const uint64_t *net = c->nets + c->n4 * WORDS4 + i * WORDS6;
		unsigned len = (unsigned)net[2];

		if (((hi ^ net[0]) & mask64(len)) == 0 &&
		    ((lo ^ net[1]) & mask64(len > 64 ? len - 64 : 0)) == 0)
			return leads_there(c, owner) ||
			       len >= LM_LPM_DEPTH(lm_lpm_find(&f->lpm6, src));
	}
	return false;
}
