/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Relay ids: the control thread's side of relay.c. The table is made anew when an id comes or
 * goes, and half full at most; a change of one id swaps its slot's pointer.
 */
#include "relay.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/random.h>

int lm_relay_init(struct lm_dp *dp)
{
	struct lm_relay_secret *secret = aligned_alloc(64, RTE_ALIGN(sizeof(*secret), 64));
	uint8_t *p = (uint8_t *)secret;

	dp->relay_secret = secret;
	dp->relay_prints = lm_relay_prints_choose();
	dp->relay_tat = calloc(dp->max_peers, sizeof(dp->relay_tat[0]));
	if (secret == NULL || dp->relay_tat == NULL)
		return -ENOMEM;
	for (size_t done = 0; done < sizeof(*secret);) {
		ssize_t n = getrandom(p + done, sizeof(*secret) - done, 0);

		if (n < 0 && errno != EINTR)
			return -errno;
		done += n > 0 ? (size_t)n : 0;
	}
	return 0;
}

static void put(struct lm_relay_table *t, struct lm_relay *r)
{
	uint32_t i = lm_relay_slot(t, r->id);

	while (t->slot[i].relay != NULL)
		i = (i + 1) & t->mask;
	t->slot[i].id = r->id;
	lm_rcu_store(&t->slot[i].relay, r);
}

/* A copy without the one at `leave`, with room for another one. */
static struct lm_relay_table *copy(const struct lm_relay_table *from,
				   const struct lm_relay_slot *leave)
{
	uint32_t live = from != NULL ? from->used : 0, slots = 16;
	struct lm_relay_table *t;

	while (slots < 2 * (live + 1))
		slots *= 2;
	t = calloc(1, sizeof(*t) + slots * sizeof(t->slot[0]));
	if (t == NULL)
		return NULL;
	t->mask = slots - 1;
	for (uint32_t i = 0; from != NULL && i <= from->mask; i++)
		if (from->slot[i].relay != NULL && &from->slot[i] != leave) {
			put(t, from->slot[i].relay);
			t->used++;
		}
	return t;
}

static struct lm_relay_slot *find(struct lm_relay_table *t, uint64_t id)
{
	for (uint32_t i = t != NULL ? lm_relay_slot(t, id) : 0; t != NULL; i = (i + 1) & t->mask) {
		if (t->slot[i].relay == NULL)
			return NULL;
		if (t->slot[i].id == id)
			return &t->slot[i];
	}
	return NULL;
}

static void swap_table(struct lm_dp *dp, struct lm_relay_table *new)
{
	struct lm_relay_table *old = dp->relays;

	lm_rcu_store(&dp->relays, new);
	lm_dp_quiesce(dp);
	free(old);
}

static struct lm_relay *relay_new(const struct lm_dp *dp, uint64_t id, const struct lm_dp_relay *d)
{
	struct lm_relay *r = aligned_alloc(64, sizeof(*r));
	uint16_t udp_be = htobe16(d->from.port);
	unsigned longest;

	if (r == NULL)
		return NULL;
	*r = (struct lm_relay){.id = id, .port = d->port, .member = d->member, .udp_be = udp_be};
	if (d->from.ip.family == 4)
		r->from4 = lm_relay_from4(d->from.ip.b, (const uint8_t *)&udp_be);
	else
		memcpy(r->from6, d->from.ip.b, sizeof(r->from6));
	if (d->outer != NULL) {
		r->passes_on = true;
		r->outer = *d->outer;
		longest = dp->port[r->outer.port].mtu -
			  (r->outer.hdr_len - LM_ETH_LEN - LM_RELAY_HDR_LEN);
		r->longest =
		    (uint16_t)RTE_MIN(longest, (unsigned)LM_RELAY_LONGEST + LM_RELAY_HDR_LEN);
	}
	return r;
}

static bool valid(const struct lm_dp *dp, uint64_t id, const struct lm_dp_relay *d)
{
	if (id == 0 || d->port >= dp->n_ports || dp->port[d->port].role != LM_DP_WAN ||
	    (d->from.ip.family != 4 && d->from.ip.family != 6) || d->from.port == 0)
		return false;
	if (d->outer == NULL)
		return true;
	return d->member < dp->max_peers && d->outer->relay_len == LM_RELAY_HDR_LEN &&
	       d->outer->port < dp->n_ports && dp->port[d->outer->port].role == LM_DP_WAN;
}

static int add(struct lm_dp *dp, struct lm_relay *r)
{
	struct lm_relay_table *t = dp->relays != NULL && dp->relays->used >= LM_DP_RELAYS_MAX
				       ? NULL
				       : copy(dp->relays, NULL);

	if (t == NULL)
		return dp->relays != NULL && dp->relays->used >= LM_DP_RELAYS_MAX ? -ENOSPC
										  : -ENOMEM;
	put(t, r);
	t->used++;
	swap_table(dp, t);
	return 0;
}

int lm_dp_relay_set(struct lm_dp *dp, uint64_t id, const struct lm_dp_relay *d)
{
	struct lm_relay_slot *slot = find(dp->relays, id);
	struct lm_relay *r, *old;
	int e;

	if (!valid(dp, id, d))
		return -EINVAL;
	r = relay_new(dp, id, d);
	if (r == NULL)
		return -ENOMEM;
	if (slot != NULL && slot->relay->passes_on == r->passes_on) {
		old = slot->relay;
		r->state = old->state;
		lm_rcu_store(&slot->relay, r);
		lm_dp_quiesce(dp);
		free(old);
		return 0;
	}
	if (r->passes_on) {
		r->state = aligned_alloc(64, sizeof(*r->state));
		if (r->state == NULL) {
			free(r);
			return -ENOMEM;
		}
		memset(r->state, 0, sizeof(*r->state));
	}
	e = slot != NULL ? -EEXIST : add(dp, r);
	if (e != 0) {
		free(r->state);
		free(r);
	}
	return e;
}

void lm_dp_relay_end(struct lm_dp *dp, uint64_t id)
{
	struct lm_relay_slot *slot = find(dp->relays, id);
	struct lm_relay_table *t;
	struct lm_relay *r;

	if (slot == NULL)
		return;
	r = slot->relay;
	t = copy(dp->relays, slot);
	if (t == NULL) {
		/* No memory for a table without it: it stays, and matches nothing any more. */
		__atomic_store_n(&r->port, LM_DP_PORT_NONE, __ATOMIC_RELAXED);
		return;
	}
	swap_table(dp, t);
	free(r->state);
	free(r);
}

void lm_dp_relay_quota(struct lm_dp *dp, uint64_t bytes_per_second)
{
	__atomic_store_n(&dp->relay_rate, bytes_per_second, __ATOMIC_RELAXED);
}

int lm_dp_relay_usage(const struct lm_dp *dp, uint64_t id, struct lm_dp_relay_usage *out)
{
	const struct lm_relay_slot *slot = find(dp->relays, id);
	const struct lm_relay_state *s = slot != NULL ? slot->relay->state : NULL;

	memset(out, 0, sizeof(*out));
	if (s == NULL)
		return -ENOENT;
	out->packets = __atomic_load_n(&s->packets, __ATOMIC_RELAXED);
	out->bytes = __atomic_load_n(&s->bytes, __ATOMIC_RELAXED);
	return 0;
}

void lm_relays_free(struct lm_dp *dp)
{
	for (uint32_t i = 0; dp->relays != NULL && i <= dp->relays->mask; i++) {
		if (dp->relays->slot[i].relay == NULL)
			continue;
		free(dp->relays->slot[i].relay->state);
		free(dp->relays->slot[i].relay);
	}
	free(dp->relays);
	free(dp->relay_tat);
	free(dp->relay_secret);
}
