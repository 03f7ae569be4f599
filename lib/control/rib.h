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
 * lowest wins. Replaces what the same source and id offered. 0 or -errno; the FIB's own refusal
 * is logged, and the prefix is then in the FIB no more until lm_rib_retry. */
int lm_rib_put(struct lm_rib *rib, const struct lm_prefix *prefix, enum lm_rib_source source,
	       uint32_t id, const struct lm_route *route);
void lm_rib_drop(struct lm_rib *rib, const struct lm_prefix *prefix, enum lm_rib_source source,
		 uint32_t id);
/* Tries again what the FIB refused. */
void lm_rib_retry(struct lm_rib *rib);
/* Every prefix with its offers, best first. best: is it in the FIB? */
void lm_rib_each(const struct lm_rib *rib,
		 void (*each)(void *user, const struct lm_prefix *prefix, enum lm_rib_source source,
			      const struct lm_route *route, bool best),
		 void *user);

#endif
