/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Signals: a node says that it wants to reach another, so that both open their NATs at
 * once. Passed on between two nodes that are connected now; never stored, never an error
 * for the sender, who must not learn who is connected from that.
 */
#include "server.h"

/* Token bucket of the sender: a hostile member can signal to everybody. */
static bool sender_allowed(struct lm_coord_conn *c, lm_time now)
{
	const struct lm_coord_limits *l = &c->server->cfg.limits;

	c->signals += (double)(now - c->signals_at) / (double)LM_SEC * l->signal_rate;
	c->signals_at = now;
	if (c->signals > l->signal_burst)
		c->signals = l->signal_burst;
	if (c->signals < 1)
		return false;
	c->signals -= 1;
	return true;
}

/* The table of buckets knows addresses: a pair is the /64 that its hash spells. */
static bool pair_allowed(struct lm_coord_server *s, lm_time now, const uint8_t from[LM_KEY_LEN],
			 const uint8_t to[LM_KEY_LEN])
{
	struct lm_ip pair = {.family = 6};

	lm_blake2b(pair.b, sizeof(pair.b), NULL, 0, from, LM_KEY_LEN, to, LM_KEY_LEN);
	return lm_ratelimit_take(s->pairs, now, &pair);
}

void conn_signal(struct lm_coord_conn *c, lm_time now, const struct lm_coord_msg *m)
{
	struct lm_coord_server *s = c->server;
	struct lm_coord_msg out = {.type = LM_COORD_SIGNALLED, .number = m->number};
	struct lm_coord_conn *to;

	if (!sender_allowed(c, now)) {
		s->n.signals_limited++;
		return;
	}
	HASH_FIND(hh, s->nodes, m->node, LM_KEY_LEN, to);
	if (to == NULL || to == c) {
		s->n.signals_absent++;
		return;
	}
	/* Who takes nothing is not to be ended by what others say. */
	if (!pair_allowed(s, now, c->node, m->node) ||
	    to->pipe.out_len >= s->cfg.limits.output / 2) {
		s->n.signals_limited++;
		return;
	}
	memcpy(out.node, c->node, LM_KEY_LEN);
	s->n.signals++;
	conn_put(to, now, &out);
	conn_flush(to, now);
}
