/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routing information base: every route that somebody offers for a prefix; the
 * best one is in the workers' FIB. Sources in order of preference: our own
 * addresses, the LAN's neighbours, the kernel's routes on LAN twins, peers.
 */
#ifndef LM_CONTROL_RIB_H
#define LM_CONTROL_RIB_H

#include <lanemesh/worker.h>

enum lm_rib_source { LM_RIB_LOCAL, LM_RIB_NEIGHBOUR, LM_RIB_KERNEL, LM_RIB_PEER };
const char *lm_rib_source_name(enum lm_rib_source s);

struct lm_rib;

/* Told when the first peer offers a prefix, and when the last one no longer does: for the kernel.
 */
typedef void (*lm_rib_export_fn)(void *user, const struct lm_prefix *prefix, bool present);

/* log may be NULL. */
struct lm_rib *lm_rib_new(struct lm_dp *dp, const struct lm_log *log, lm_rib_export_fn exported,
			  void *user);
void lm_rib_free(struct lm_rib *rib);
/* Offers a route. id tells offers of one source for one prefix apart (peer number, ifindex); the
 * lowest wins, among peers the lowest that can be reached. Replaces what the same source and id
 * offered. 0 or -errno; the FIB's own refusal is logged, and the prefix is then in the FIB no more
 * until lm_rib_retry. */
int lm_rib_put(struct lm_rib *rib, const struct lm_prefix *prefix, enum lm_rib_source source,
	       uint32_t id, const struct lm_route *route);
void lm_rib_drop(struct lm_rib *rib, const struct lm_prefix *prefix, enum lm_rib_source source,
		 uint32_t id);
/*
 * A peer that cannot be reached: for one prefix, all peers that can be reached are better; and
 * when it is the best, the way is that of the longest prefix that covers this one and is either a
 * reachable peer's, or the site's own (lm_rib_own) and leads into a LAN. Only when there is none it
 * stays with the peer, where the workers drop it. At first every peer is taken to be reachable.
 * prefixes: those that it offers.
 */
void lm_rib_reachable(struct lm_rib *rib, uint32_t peer, bool reachable,
		      const struct lm_prefix *prefixes, unsigned n);
/* What may have to be done anew for the prefixes of unreachable peers, when other routes changed.
 */
void lm_rib_cover(struct lm_rib *rib, const struct lm_prefix *prefixes, unsigned n);
/* Have routes changed since the last call? */
bool lm_rib_changed(struct lm_rib *rib);
/* What this site may carry itself; copied. */
void lm_rib_own(struct lm_rib *rib, const struct lm_prefix *prefixes, unsigned n);
/* Tries again what the FIB refused. */
void lm_rib_retry(struct lm_rib *rib);
/* Every prefix with its offers. best: it is in the FIB; that may be a way which nobody offered for
 * this prefix, lm_rib_reachable, and then comes last. */
typedef void (*lm_rib_each_fn)(void *user, const struct lm_prefix *prefix,
			       enum lm_rib_source source, const struct lm_route *route, bool best);
void lm_rib_each(const struct lm_rib *rib, lm_rib_each_fn each, void *user);

#endif
