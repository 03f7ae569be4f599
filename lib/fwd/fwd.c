/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_internal.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#include <rte_rcu_qsbr.h>

/* Groups for prefixes longer than /24. A longer IPv4 prefix needs at most one; an IPv6 one needs
 * one for every 8 bits, most of which it shares with its neighbours. */
#define GROUPS4_PER_ROUTE 1
#define GROUPS6_PER_ROUTE 4
#define GROUPS_MIN	  1024u

static uint32_t groups_for(uint64_t routes, unsigned per_route)
{
	uint64_t n = routes * per_route;

	if (n < GROUPS_MIN)
		return GROUPS_MIN;
	return n > LM_LPM_GROUPS_MAX ? LM_LPM_GROUPS_MAX : (uint32_t)n;
}

int lm_fwd_create(const struct lm_fwd_config *cfg, struct lm_fwd **out, struct lm_error *err)
{
	uint32_t n4 = cfg->max_routes4 != 0 ? cfg->max_routes4 : LM_FWD_ROUTES4_DEFAULT;
	uint32_t n6 = cfg->max_routes6 != 0 ? cfg->max_routes6 : LM_FWD_ROUTES6_DEFAULT;
	uint64_t adjs = (uint64_t)n4 + n6 + 2;
	struct lm_fwd *f;
	int rc;

	if (n4 > LM_FWD_ROUTES_MAX || n6 > LM_FWD_ROUTES_MAX)
		return lm_error_set(err, EINVAL, "route tables: at most %u routes of a family",
				    LM_FWD_ROUTES_MAX);
	if (adjs > LM_LPM_TARGET_MAX)
		adjs = LM_LPM_TARGET_MAX;
	f = aligned_alloc(64, sizeof(*f));
	if (f == NULL)
		return lm_error_set(err, ENOMEM, "route tables: out of memory");
	memset(f, 0, sizeof(*f));
	f->qsbr = cfg->qsbr;
	rc = lm_lpm_init(&f->lpm4, 32, n4, groups_for(n4, GROUPS4_PER_ROUTE));
	if (rc == 0)
		rc = lm_lpm_init(&f->lpm6, 128, n6, groups_for(n6, GROUPS6_PER_ROUTE));
	if (rc == 0)
		rc = lm_adj_init(&f->adj, (uint32_t)adjs);
	if (rc < 0) {
		lm_fwd_free(f);
		return lm_error_set(err, -rc, "route tables: no address space for %u + %u routes",
				    n4, n6);
	}
	*out = f;
	return 0;
}

void lm_fwd_free(struct lm_fwd *f)
{
	if (f == NULL)
		return;
	lm_lpm_fini(&f->lpm4);
	lm_lpm_fini(&f->lpm6);
	lm_adj_fini(&f->adj);
	free(f);
}

/* Sleeps rather than spins: a reader that was preempted may need this very core. */
static void wait_for_readers(struct rte_rcu_qsbr *qsbr)
{
	uint64_t token = rte_rcu_qsbr_start(qsbr);
	struct timespec ts = {.tv_nsec = 5000};

	while (rte_rcu_qsbr_check(qsbr, token, false) == 0)
		clock_nanosleep(CLOCK_MONOTONIC, 0, &ts, NULL);
}

void lm_fwd_quiesce(struct lm_fwd *f)
{
	if (f->lpm4.n_retired + f->lpm6.n_retired + f->adj.n_retired == 0)
		return;
	if (f->qsbr != NULL)
		wait_for_readers(f->qsbr);
	lm_lpm_recycle(&f->lpm4);
	lm_lpm_recycle(&f->lpm6);
	lm_adj_recycle(&f->adj);
}

static struct lm_lpm *lpm_of(struct lm_fwd *f, const struct lm_prefix *p)
{
	return p->ip.family == 4 ? &f->lpm4 : &f->lpm6;
}

/* Only the fields that the kind uses, so that equal targets are equal bytes. */
static int adj_from_route(struct lm_adj *a, const struct lm_route *r)
{
	memset(a, 0, sizeof(*a));
	a->kind = (uint8_t)r->kind;
	a->peer = UINT32_MAX;
	switch (r->kind) {
	case LM_ROUTE_PEER:
		a->peer = r->peer;
		return r->peer != UINT32_MAX ? 0 : -EINVAL;
	case LM_ROUTE_NEIGHBOUR:
		a->port = r->port;
		a->mac = r->mac;
		return 0;
	case LM_ROUTE_CONNECTED:
		a->port = r->port;
		a->via = r->via;
		return 0;
	case LM_ROUTE_TO_ME:
	case LM_ROUTE_DROP:
		return 0;
	case LM_ROUTE_NONE:
		break;
	}
	return -EINVAL;
}

int lm_fwd_route_set(struct lm_fwd *f, const struct lm_prefix *prefix, const struct lm_route *r)
{
	struct lm_lpm *t = lpm_of(f, prefix);
	struct lm_adj value;
	uint32_t old, slot;
	int rc;

	if (!lm_prefix_valid(prefix) || adj_from_route(&value, r) < 0)
		return -EINVAL;
	rc = lm_adj_get(&f->adj, &value, &slot);
	if (rc == -ENOSPC && f->adj.n_retired > 0) {
		lm_fwd_quiesce(f);
		rc = lm_adj_get(&f->adj, &value, &slot);
	}
	if (rc < 0)
		return rc;
	if (t->n_retired > 0 && lm_lpm_groups_needed(t, prefix) > lm_lpm_groups_free(t))
		lm_fwd_quiesce(f);
	old = lm_lpm_get(t, prefix);
	if (old == slot) {
		lm_adj_put(&f->adj, slot);
		return 0;
	}
	rc = lm_lpm_set(t, prefix, slot);
	if (rc < 0)
		lm_adj_put(&f->adj, slot);
	else if (old != 0)
		lm_adj_put(&f->adj, old);
	return rc;
}

int lm_fwd_route_del(struct lm_fwd *f, const struct lm_prefix *prefix)
{
	uint32_t old;

	if (!lm_prefix_valid(prefix))
		return -ENOENT;
	old = lm_lpm_del(lpm_of(f, prefix), prefix);
	if (old == 0)
		return -ENOENT;
	lm_adj_put(&f->adj, old);
	return 0;
}

uint32_t lm_fwd_route_count(const struct lm_fwd *f)
{
	return f->lpm4.n_rules + f->lpm6.n_rules;
}
