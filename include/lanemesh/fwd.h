/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * fwd: where an inner packet goes. Longest-prefix match for IPv4 and IPv6, the
 * table of next hops that it points into, the check of inner source addresses,
 * and the TCP MSS clamp. No DPDK type appears here.
 *
 * Threads: one writer (the control thread) calls create, free, route_set,
 * route_del, quiesce and route_count. Any number of readers (workers) call the lookups
 * and lm_fwd_adjs at the same time, each registered and online in the RCU
 * variable, and forget every index before they next report quiescent.
 *
 * What a removed route used (a next hop, a group of table entries) is set aside
 * and used again only after all readers have been quiescent. That wait happens in
 * lm_fwd_quiesce, or when nothing unused is left: so a batch of changes costs one
 * wait, not one each.
 */
#ifndef LANEMESH_FWD_H
#define LANEMESH_FWD_H

#include <lanemesh/base.h>

struct lm_fwd;

/* Where packets to a prefix go. */
enum lm_route_kind {
	LM_ROUTE_PEER,	    /* sealed to `peer` */
	LM_ROUTE_NEIGHBOUR, /* out of `port` to `mac` */
	LM_ROUTE_CONNECTED, /* on `port`'s link, not resolved: to the control thread */
	LM_ROUTE_TO_ME,	    /* an address of ours: to the kernel */
	LM_ROUTE_DROP,	    /* counted */
	LM_ROUTE_NONE,	    /* only found in the table: no prefix covers the address */
};

/* Fields that a kind does not use are ignored. */
struct lm_route {
	enum lm_route_kind kind;
	uint32_t peer;
	uint16_t port;
	struct lm_mac mac;
	struct lm_ip via; /* CONNECTED: whom to resolve; none = the destination itself */
};

/* A next hop as the workers see it: half a cache line, constant while any route uses it. */
struct lm_adj {
	uint32_t peer; /* UINT32_MAX unless kind is LM_ROUTE_PEER */
	uint16_t port;
	uint8_t kind; /* enum lm_route_kind */
	struct lm_mac mac;
	struct lm_ip via;
	uint8_t pad_[2];
} __attribute__((aligned(32)));
_Static_assert(sizeof(struct lm_adj) == 32, "a next hop is half a cache line");

#define LM_FWD_ROUTES4_DEFAULT 65536
#define LM_FWD_ROUTES6_DEFAULT 16384
#define LM_FWD_ROUTES_MAX      4194304

struct lm_fwd_config {
	uint32_t max_routes4, max_routes6; /* 0 = default */
	void *qsbr; /* struct rte_rcu_qsbr, borrowed; NULL: there are no concurrent readers */
};

/*
 * Tables are reserved address space that costs memory only where routes touch it. A full table
 * refuses with -ENOSPC; prefixes longer than /24 share a pool of groups sized for realistic
 * mixes (lib/fwd/README.md). 0, -EINVAL or -ENOMEM with err.
 */
int lm_fwd_create(const struct lm_fwd_config *cfg, struct lm_fwd **out,
		  struct lm_error *err) LM_MUST_CHECK;
/* No reader may be left. NULL is allowed. */
void lm_fwd_free(struct lm_fwd *f);

/* Adds or replaces; readers see the old target or the new one. -EINVAL: prefix or kind impossible;
 * -ENOSPC, -ENOMEM: the table is as it was. May wait for readers (see above). */
int lm_fwd_route_set(struct lm_fwd *f, const struct lm_prefix *prefix,
		     const struct lm_route *r) LM_MUST_CHECK;
/* -ENOENT when there is none. Readers may still use it until lm_fwd_quiesce returns. */
int lm_fwd_route_del(struct lm_fwd *f, const struct lm_prefix *prefix);
/* Waits until no reader uses what was removed or replaced before, and recycles it. */
void lm_fwd_quiesce(struct lm_fwd *f);
uint32_t lm_fwd_route_count(const struct lm_fwd *f);

/* ------------------------------------------------------------- lookups -- */

/* Index of "no prefix covers it"; its lm_adj has kind LM_ROUTE_NONE. */
#define LM_ADJ_NONE 0u

/* dst: n IPv4 addresses in host byte order; adj: an index for each. Any n; made for 64. */
void lm_fwd_lookup4(const struct lm_fwd *f, const uint32_t *dst, uint32_t *adj, unsigned n)
    LM_NONNULL(1, 2, 3);
/* dst: pointers to n IPv6 addresses as on the wire, any alignment, e.g. inside the packets. */
void lm_fwd_lookup6(const struct lm_fwd *f, const uint8_t *const *dst, uint32_t *adj, unsigned n)
    LM_NONNULL(1, 2, 3);
/* The table that the indexes point into; the pointer stays the same for f's life. */
const struct lm_adj *lm_fwd_adjs(const struct lm_fwd *f);

/* -------------------------------------------------------- source check -- */

/*
 * Inner source addresses that a peer (or this site's LAN) may send: FAULTS row 30. Filled once,
 * then constant; the owner publishes it to the workers.
 *
 * An address passes when the longest prefix of the list that covers it is at least as long as the
 * route that covers it, or that route leads to the same peer. So who may carry ::/0 or a large
 * prefix still cannot send from a smaller one inside it that is another site's or our own.
 * Unspecified, loopback, multicast, link-local IPv6, 0/8, 240/4 and v4-mapped IPv6 never pass.
 */
#define LM_SRCCHECK_MAX 40
struct lm_srccheck {
	uint32_t peer; /* UINT32_MAX: our LANs */
	/* What lm_srccheck4_quick asks: the longest prefix without any of those addresses. */
	uint32_t quick_net, quick_mask;
	uint8_t n4, n6;
	uint8_t pad_[2];
	/* Longest prefix first, host byte order: n4 times address and mask in one, then n6 times
	 * both halves of the address and the length. */
	uint64_t nets[];
};
/* Bytes that lm_srccheck_init needs; the caller allocates, aligned as for uint64_t. */
size_t lm_srccheck_size(const struct lm_prefix *prefixes, unsigned n);
/* -EINVAL: too many prefixes or an impossible one; then nothing passes. */
int lm_srccheck_init(struct lm_srccheck *c, uint32_t peer, const struct lm_prefix *prefixes,
		     unsigned n) LM_MUST_CHECK;
/* src in host byte order; adj: what lm_fwd_lookup4 said about src (looked up in the burst). */
bool lm_srccheck4(const struct lm_srccheck *c, const struct lm_fwd *f, uint32_t src, uint32_t adj)
    LM_NONNULL(1, 2);
/* True: lm_srccheck4 would say so too. owner: the next hop that adj stands for. */
static inline bool lm_srccheck4_quick(const struct lm_srccheck *c, uint32_t src,
				      const struct lm_adj *owner)
{
	/* Next hops other than a peer have the LANs' number. */
	return (src & c->quick_mask) == c->quick_net && owner->peer == c->peer;
}
bool lm_srccheck6(const struct lm_srccheck *c, const struct lm_fwd *f, const uint8_t src[16],
		  uint32_t adj) LM_NONNULL(1, 2, 3);

/* ----------------------------------------------------------------- MSS -- */

/*
 * Lowers the MSS option of a TCP segment with SYN (RFC 9293 section 3.7.1) to what fits `mtu`, the
 * largest inner packet of the path, and updates the checksum (RFC 1624). Everything else, wrong
 * headers and options included, stays untouched. pkt: IPv4 or IPv6 packet. Was it changed?
 */
bool lm_mss_clamp(uint8_t *pkt, size_t len, uint16_t mtu) LM_NONNULL(1);

#endif
