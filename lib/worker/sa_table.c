/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * SPI block to inbound session. The control thread changes the table in place
 * while workers look things up:
 *
 *  - a slot's number is written before its pointer, and a reader loads the pointer
 *    first: who sees a session sees its number;
 *  - a slot is used again only when every worker has been quiescent since the
 *    session in it was taken out: a reader never mixes two.
 *
 * The table is never more than half full, removed entries included, so a lookup of an
 * unknown number ends soon; SPIs are random (the mesh draws them), so need no hashing
 * beyond dropping the lane.
 */
#include "worker_internal.h"

#include <stdlib.h>

struct lm_sa_table *lm_sa_table_new(uint32_t slots)
{
	struct lm_sa_table *t = calloc(1, sizeof(*t) + slots * sizeof(t->slot[0]));

	if (t != NULL)
		t->mask = slots - 1;
	return t;
}

bool lm_sa_table_full(const struct lm_sa_table *t)
{
	return t->used >= (t->mask + 1) / 2;
}

void lm_sa_table_put(struct lm_sa_table *t, struct lm_session_in *s)
{
	uint32_t i = lm_sa_table_first(t, s->spi_base);

	while (t->slot[i].session != NULL && t->slot[i].session != LM_SA_GONE)
		i = (i + 1) & t->mask;
	if (t->slot[i].session == NULL) /* workers look whether there is any */
		__atomic_store_n(&t->used, t->used + 1, __ATOMIC_RELAXED);
	__atomic_store_n(&t->slot[i].spi_base, s->spi_base, __ATOMIC_RELAXED);
	__atomic_store_n(&t->slot[i].lanes, s->lanes, __ATOMIC_RELAXED);
	lm_rcu_store(&t->slot[i].session, s);
}

/* The slot of the block that spi belongs to and the session seen in it, or NULL. */
static struct lm_sa_slot *find(struct lm_sa_table *t, uint32_t spi, struct lm_session_in **session)
{
	uint32_t base = spi & ~LM_SPI_LANE_MASK, i = lm_sa_table_first(t, spi);

	for (;; i = (i + 1) & t->mask) {
		struct lm_sa_slot *slot = &t->slot[i];

		*session = lm_rcu_load(&slot->session);
		if (*session == NULL)
			return NULL;
		if (*session != LM_SA_GONE &&
		    __atomic_load_n(&slot->spi_base, __ATOMIC_RELAXED) == base)
			return slot;
	}
}

struct lm_session_in *lm_sa_table_get(struct lm_sa_table *t, uint32_t spi)
{
	struct lm_session_in *s;

	return find(t, spi, &s) == NULL ? NULL : s;
}

struct lm_session_in *lm_sa_table_take(struct lm_sa_table *t, uint32_t spi_base)
{
	struct lm_session_in *s;
	struct lm_sa_slot *slot = find(t, spi_base, &s);

	if (slot == NULL)
		return NULL;
	lm_rcu_store(&slot->session, LM_SA_GONE);
	return s;
}

struct lm_sa_table *lm_sa_table_grown(const struct lm_sa_table *t)
{
	uint32_t live = 0, slots = 64;
	struct lm_sa_table *grown;

	for (uint32_t i = 0; i <= t->mask; i++)
		live += t->slot[i].session != NULL && t->slot[i].session != LM_SA_GONE;
	while (slots < 4 * (live + 1))
		slots *= 2;
	grown = lm_sa_table_new(slots);
	for (uint32_t i = 0; grown != NULL && i <= t->mask; i++)
		if (t->slot[i].session != NULL && t->slot[i].session != LM_SA_GONE)
			lm_sa_table_put(grown, t->slot[i].session);
	return grown;
}
