/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Next hops, each stored once however many routes lead to it. A slot's content
 * never changes while readers may hold its number.
 */
#ifndef LM_FWD_ADJ_H
#define LM_FWD_ADJ_H

#include <lanemesh/fwd.h>

struct lm_adj_node;

struct lm_adj_table {
	const struct lm_adj *adjs; /* readers; slot 0 is LM_ROUTE_NONE */
	struct lm_adj *wadjs;
	struct lm_adj_node **nodes; /* by slot; NULL: unused or set aside */
	struct lm_adj_node *by_value;
	uint32_t *next; /* by slot: in the free or the set-aside list */
	uint32_t max, fresh, used, n_retired;
	uint32_t free_head, retired_head; /* 0 = empty */
};

int lm_adj_init(struct lm_adj_table *t, uint32_t max) LM_MUST_CHECK;
void lm_adj_fini(struct lm_adj_table *t);
/* A reference to the slot of this value. -ENOSPC: no slot is free (perhaps some are set aside). */
int lm_adj_get(struct lm_adj_table *t, const struct lm_adj *value, uint32_t *out) LM_MUST_CHECK;
/* Gives a reference back; the last one sets the slot aside. */
void lm_adj_put(struct lm_adj_table *t, uint32_t slot);
void lm_adj_recycle(struct lm_adj_table *t);

#endif
