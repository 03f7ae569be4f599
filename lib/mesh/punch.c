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

#define SIGNAL_GAP LM_SEC /* doubles with each one that changed nothing, six times */
/* What one coordinator can make us do for a peer, and in a second for all of them. Others are
 * heard nonetheless: a hostile one must not speak so much that they are not. */
#define SIGNALLED_GAP  (2 * LM_SEC)
#define SIGNALLED_RATE 50.0
/* What message 1s leave of the 5 kB of FAULTS row 14. NATs and firewalls let answers in for longer
 * than this (RFC 4787 REQ-5; Linux 30 s): whoever used it up has left the way open. */
#define PUNCH_GAP (LM_M_HOST_LIFE / 3)

static bool may_punch(struct lm_mesh *m, struct peer *p, struct candidate *c)
{
	if (c->punched != 0 && lm_m_since(m, c->punched) < PUNCH_GAP)
		return false;
	if (!c->answered && !lm_m_host_spend(m, p, &c->ep.ip, 1))
		return false;
	c->punched = m->now.mono;
	return true;
}

static void open_way(struct lm_mesh *m, struct peer *p)
{
	static const uint8_t keepalive = 0xff;
	struct lm_path targets[LM_M_TARGETS];
	uint8_t n = lm_m_targets(m, p, true, targets);

	for (unsigned i = 0; i < n; i++) {
		struct candidate *c = lm_m_candidate(p, &targets[i].remote);

		if (c != NULL && may_punch(m, p, c))
			(void)lm_m_send(m, &targets[i], &keepalive, sizeof(keepalive));
	}
}

void lm_m_signal(struct lm_mesh *m, struct peer *p)
{
	lm_time gap = SIGNAL_GAP << (p->signals < 6 ? p->signals : 6);

	if (p->n_candidates == 0 || (p->signal_sent != 0 && lm_m_since(m, p->signal_sent) < gap))
		return;
	p->signal_sent = m->now.mono;
	p->signals += p->signals < UINT8_MAX;
	m->count.signals_sent++;
	m->ops.signal(m->user, p->node);
}

static bool allowed(struct lm_mesh *m, struct peer *p, unsigned coordinator)
{
	struct signaller *s = &m->signallers[coordinator];
	uint16_t bit = (uint16_t)(1u << coordinator);

	if (p->signalled == 0 || lm_m_since(m, p->signalled) >= SIGNALLED_GAP) {
		p->signalled = m->now.mono;
		p->signallers = 0;
	}
	if ((p->signallers & bit) != 0)
		return false;
	s->tokens += (double)lm_m_since(m, s->refilled) / (double)LM_SEC * SIGNALLED_RATE;
	if (s->tokens > SIGNALLED_RATE)
		s->tokens = SIGNALLED_RATE;
	s->refilled = m->now.mono;
	if (s->tokens < 1)
		return false;
	s->tokens -= 1;
	p->signallers |= bit;
	return true;
}

void lm_mesh_signalled(struct lm_mesh *m, struct lm_now now, unsigned coordinator,
		       const uint8_t node[32])
{
	struct peer *p;

	lm_m_enter(m, now);
	p = lm_m_peer_find(m, node);
	if (p == NULL || p->barred != LM_TRUSTED || coordinator >= LM_MESH_COORDS_MAX ||
	    !allowed(m, p, coordinator)) {
		m->count.signals_ignored++;
		return;
	}
	m->count.signals_taken++;
	lm_m_called(m, p);
	/* The peer has lost the session that we still have, or a coordinator lies: what we have
	 * stays; is anybody there? */
	if (p->current != NULL && p->active != NULL)
		lm_m_active_check(m, p);
	else if (p->current == NULL)
		lm_m_connect_again(m, p, 0);
	open_way(m, p);
	lm_m_leave(m);
}
