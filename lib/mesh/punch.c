/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Hole punching. A NAT or a stateful firewall lets in who was sent something
 * before, so both sides must send at about the same time. Message 1 of the
 * handshake is what they send; who gets no answer has a coordinator tell the
 * other one (SIGNAL), who then tries too, at once. Where message 1s are used up
 * (FAULTS row 14), or a session is there, a datagram of one byte, a keepalive of
 * RFC 3948 section 2.3, opens the way in.
 */
#include "internal.h"

#define PUNCHES		   3		/* to one address, in LM_M_CANDIDATE_REFILL */
#define SIGNAL_GAP	   LM_SEC	/* doubles with each one that changed nothing, six times */
#define SIGNALLED_RECENTLY (5 * LM_SEC) /* the other side is trying already */
#define SIGNALLED_GAP	   (2 * LM_SEC) /* what a hostile coordinator can make us do, each so often */
#define SIGNALLED_RATE	   100.0	/* and in a second, for all peers */

/* What message 1s leave of the 5 kB of FAULTS row 14. */
static bool may_punch(const struct lm_mesh *m, struct candidate *c)
{
	if (c->punches == 0 || lm_m_since(m, c->punched) >= LM_M_CANDIDATE_REFILL) {
		c->punched = m->now.mono;
		c->punches = 0;
	}
	if (c->punches == PUNCHES)
		return false;
	c->punches++;
	return true;
}

static void open_way(struct lm_mesh *m, struct peer *p)
{
	static const uint8_t keepalive = 0xff;
	struct lm_path targets[LM_M_TARGETS];
	uint8_t n = lm_m_targets(m, p, true, targets);

	for (unsigned i = 0; i < n; i++) {
		struct candidate *c = lm_m_candidate(p, &targets[i].remote);

		if (c != NULL && may_punch(m, c))
			(void)lm_m_send(m, &targets[i], &keepalive, sizeof(keepalive));
	}
}

void lm_m_signal(struct lm_mesh *m, struct peer *p)
{
	lm_time gap = SIGNAL_GAP << (p->signals < 6 ? p->signals : 6);

	if (p->n_candidates == 0 ||
	    (p->signalled != 0 && lm_m_since(m, p->signalled) < SIGNALLED_RECENTLY) ||
	    (p->signal_sent != 0 && lm_m_since(m, p->signal_sent) < gap))
		return;
	p->signal_sent = m->now.mono;
	p->signals += p->signals < UINT8_MAX;
	m->count.signals_sent++;
	m->ops.signal(m->user, p->node);
}

static bool allowed(struct lm_mesh *m, struct peer *p)
{
	if (p->signalled != 0 && lm_m_since(m, p->signalled) < SIGNALLED_GAP)
		return false;
	m->signal_tokens +=
	    (double)lm_m_since(m, m->signal_refilled) / (double)LM_SEC * SIGNALLED_RATE;
	if (m->signal_tokens > SIGNALLED_RATE)
		m->signal_tokens = SIGNALLED_RATE;
	m->signal_refilled = m->now.mono;
	if (m->signal_tokens < 1)
		return false;
	m->signal_tokens -= 1;
	return true;
}

void lm_mesh_signalled(struct lm_mesh *m, struct lm_now now, const uint8_t node[32])
{
	struct peer *p;

	lm_m_enter(m, now);
	p = lm_m_peer_find(m, node);
	if (p == NULL || p->barred != LM_TRUSTED || !allowed(m, p)) {
		m->count.signals_ignored++;
		return;
	}
	m->count.signals_taken++;
	lm_m_called(m, p);
	p->signalled = m->now.mono;
	/* The peer has lost the session that we still have, or a coordinator lies: what we have
	 * stays; is anybody there? */
	if (p->current != NULL && p->active != NULL)
		lm_m_active_check(m, p);
	else if (p->current == NULL)
		lm_m_connect_again(m, p, 0);
	open_way(m, p);
	lm_m_leave(m);
}
