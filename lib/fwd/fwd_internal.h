/* SPDX-License-Identifier: BSD-3-Clause */
#ifndef LM_FWD_INTERNAL_H
#define LM_FWD_INTERNAL_H

#include "adj.h"
#include "lpm.h"

struct rte_rcu_qsbr;

struct lm_fwd {
	struct lm_lpm lpm4, lpm6; /* one writer, many readers; see there */
	struct lm_adj_table adj;  /* same */
	struct rte_rcu_qsbr *qsbr;
};

#endif
