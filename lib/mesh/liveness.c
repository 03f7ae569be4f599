/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is the peer there, how far, and where has it moved to. A peer that was silent
 * for `keepalive` is probed, then about every second; `dead` after the first
 * unanswered probe it is down. A new source address is asked first; traffic
 * moves when the answer comes from there.
 */
#include "internal.h"

#define CHALLENGE_TRIES 4
#define CHALLENGE_WAIT	(250 * LM_MSEC)
#define MOVE_GAP	(500 * LM_MSEC)

static lm_time probe_every(const struct lm_mesh *m)
{
	lm_time wait = m->t.dead / 8;

	return wait < LM_SEC ? wait : LM_SEC;
}

static lm_time until(const struct lm_mesh *m, lm_time due)
{
	return due > m->now.mono ? due - m->now.mono : 0;
}

static void rearm(struct lm_mesh *m, struct peer *p)
{
	lm_time due = p->probe_at;

	if (p->challenge_tries > 0 && p->challenge_at < due)
		due = p->challenge_at;
	lm_m_arm(m, &p->liveness, until(m, due));
}

void lm_m_liveness_start(struct lm_mesh *m, struct peer *p)
{
	p->last_rx = m->now.mono;
	p->probing = 0;
	p->probe_at = m->now.mono + m->t.keepalive + lm_m_jitter(m, m->t.keepalive / 16);
	rearm(m, p);
}

void lm_m_heard(struct lm_mesh *m, struct peer *p, lm_time when)
{
	if (when > p->last_rx)
		p->last_rx = when;
	/* What came in before the question was put is no answer to it. */
	if (p->probing != 0 && when >= p->probing) {
		p->probing = 0;
		p->probe_at = when + m->t.keepalive;
		if (p->current != NULL)
			rearm(m, p);
	}
}

static void keepalive(struct lm_mesh *m, struct peer *p)
{
	char label[LM_M_LABEL_LEN];
	lm_time silent = lm_m_since(m, p->last_rx);

	if (p->probing == 0 && silent < m->t.keepalive) {
		p->probe_at =
		    p->last_rx + m->t.keepalive + lm_m_jitter(m, m->t.keepalive / 16) + LM_MSEC;
		return;
	}
	if (p->probing != 0 && lm_m_since(m, p->probing) >= m->t.dead) {
		lm_m_event(m, LM_LOG_WARN, "%s: silent for %llu s", lm_m_peer_label(p, label),
			   (unsigned long long)(silent / LM_SEC));
		lm_m_connect_stop(m, p);
		lm_m_sessions_free(m, p, 0);
		p->rounds = 0;
		lm_m_connect(m, p, 0, true);
		return;
	}
	if (p->probing == 0)
		p->probing = m->now.mono;
	lm_m_probe(m, p->current, &p->path);
	p->probe_at = m->now.mono + probe_every(m);
}

static void challenge(struct lm_mesh *m, struct peer *p)
{
	lm_time wait = CHALLENGE_WAIT << (CHALLENGE_TRIES - p->challenge_tries);

	p->challenge_tries--;
	p->challenge_at = m->now.mono + wait;
	lm_m_probe(m, p->current, &p->challenge);
}

void lm_m_liveness_timer(struct lm_mesh *m, struct peer *p)
{
	if (p->current == NULL)
		return;
	if (p->challenge_tries > 0 && m->now.mono >= p->challenge_at)
		challenge(m, p);
	if (m->now.mono >= p->probe_at)
		keepalive(m, p);
	if (p->current != NULL)
		rearm(m, p);
}

/* -------------------------------------------------------------- roaming -- */

void lm_m_roam(struct lm_mesh *m, struct peer *p, const struct lm_path *from)
{
	if (p->current == NULL)
		return;
	if (lm_m_path_equal(&p->path, from)) {
		p->challenge_tries = 0; /* it is back */
		return;
	}
	if (!lm_m_endpoint_ok(m, &from->remote) || !lm_m_wan_ok(m, from->port, &from->remote))
		return;
	if (p->challenge_tries > 0 && lm_m_path_equal(&p->challenge, from))
		return;
	/* FAULTS row 14: few probes a second, whatever makes us send them. */
	if (p->challenge_started != 0 && lm_m_since(m, p->challenge_started) < LM_M_CANDIDATE_GAP)
		return;
	p->challenge = *from;
	p->challenge_tries = CHALLENGE_TRIES;
	p->challenge_started = m->now.mono;
	challenge(m, p);
	rearm(m, p);
}

void lm_mesh_moved(struct lm_mesh *m, struct lm_now now, uint32_t session,
		   const struct lm_path *from)
{
	struct lm_path path = *from;
	struct session *s;

	lm_m_enter(m, now);
	path.remote.ip = lm_ip_canonical(from->remote.ip);
	s = lm_m_session_find(m, session);
	if (s != NULL && (s->state == SESSION_CURRENT || s->state == SESSION_OLD))
		lm_m_roam(m, s->peer, &path);
	lm_m_leave(m);
}

/* RFC 6298 section 2, with a floor of nothing: it is shown, not used for timeouts. */
static void rtt_sample(struct peer *p, lm_time r)
{
	if (p->rtt == 0) {
		p->rtt = r > 0 ? r : 1;
		p->rtt_var = r / 2;
		return;
	}
	p->rtt_var = (3 * p->rtt_var + (p->rtt > r ? p->rtt - r : r - p->rtt)) / 4;
	p->rtt = (7 * p->rtt + r) / 8;
}

void lm_m_probe_answered(struct lm_mesh *m, struct peer *p, uint64_t token,
			 const struct lm_path *from)
{
	char label[LM_M_LABEL_LEN], at[LM_ENDPOINT_STRLEN];

	for (unsigned i = 0; i < LM_M_PROBES; i++) {
		struct probe *q = &p->probes[i];

		if (!q->waiting || q->token != token || !lm_m_path_equal(&q->path, from))
			continue;
		q->waiting = false;
		rtt_sample(p, lm_m_since(m, q->sent));
		if (p->current == NULL || p->challenge_tries == 0 ||
		    !lm_m_path_equal(&p->challenge, from))
			return;
		/* Two sides that follow each other at once would swap paths for ever. */
		if (p->moved != 0 && lm_m_since(m, p->moved) < MOVE_GAP)
			return;
		p->moved = m->now.mono;
		m->count.moves++;
		lm_m_path_set(m, p, from);
		lm_m_event(m, LM_LOG_INFO, "%s: moved to %s", lm_m_peer_label(p, label),
			   lm_endpoint_format(&from->remote, at));
		return;
	}
}
