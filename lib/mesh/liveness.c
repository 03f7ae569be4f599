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

	if (p->challenge != NULL && p->challenge_at < due)
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
	if (p->active != NULL)
		lm_m_probe(m, p->current, p->active);
	p->probe_at = m->now.mono + probe_every(m);
}

static void challenge(struct lm_mesh *m, struct peer *p)
{
	lm_time wait = CHALLENGE_WAIT << (CHALLENGE_TRIES - p->challenge_tries);

	p->challenge_at = m->now.mono + wait;
	lm_m_probe(m, p->current, p->challenge);
	if (--p->challenge_tries == 0)
		p->challenge = NULL;
}

void lm_m_liveness_timer(struct lm_mesh *m, struct peer *p)
{
	if (p->current == NULL)
		return;
	if (p->challenge != NULL && m->now.mono >= p->challenge_at)
		challenge(m, p);
	if (m->now.mono >= p->probe_at)
		keepalive(m, p);
	if (p->current != NULL)
		rearm(m, p);
}

/* -------------------------------------------------------------- roaming -- */

void lm_m_roam(struct lm_mesh *m, struct peer *p, const struct lm_path *from)
{
	struct path *r;

	if (p->current == NULL)
		return;
	if (lm_m_path_equal(&p->path, from)) {
		p->challenge = NULL; /* it is back */
		return;
	}
	r = lm_m_path_heard(m, p, from);
	if (r == NULL || r == p->challenge)
		return;
	/* FAULTS row 14: few probes a second, whatever makes us send them. */
	if (p->challenge_started != 0 && lm_m_since(m, p->challenge_started) < LM_M_CANDIDATE_GAP)
		return;
	p->challenge = r;
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
static void rtt_sample(struct path *r, lm_time sample)
{
	lm_time change = r->rtt > sample ? r->rtt - sample : sample - r->rtt;

	if (r->rtt == 0) {
		r->rtt = sample > 0 ? sample : 1;
		r->rtt_var = sample / 2;
		return;
	}
	r->rtt_var = (3 * r->rtt_var + change) / 4;
	r->rtt = (7 * r->rtt + sample) / 8;
}

void lm_m_path_lost(struct lm_mesh *m, struct peer *p)
{
	struct path *r;

	DL_FOREACH(p->paths, r)
	if (r->state == LM_PATH_ALIVE)
		break;
	if (r != NULL)
		lm_m_path_use(m, p, r);
	else
		lm_m_connect(m, p, lm_m_jitter(m, (lm_time)m->n_peers * 2 * LM_MSEC), true);
}

/* A path that is being asked has answered. */
static void follow(struct lm_mesh *m, struct peer *p, struct path *r)
{
	char label[LM_M_LABEL_LEN], at[LM_ENDPOINT_STRLEN];

	/* Two sides that follow each other at once would swap paths for ever. */
	if (p->moved != 0 && lm_m_since(m, p->moved) < MOVE_GAP)
		return;
	p->moved = m->now.mono;
	m->count.moves++;
	lm_m_path_use(m, p, r);
	lm_m_event(m, LM_LOG_INFO, "%s: moved to %s", lm_m_peer_label(p, label),
		   lm_endpoint_format(&r->path.remote, at));
}

void lm_m_probe_answered(struct lm_mesh *m, struct peer *p, uint64_t token,
			 const struct lm_path *from, const struct lm_endpoint *observed)
{
	struct path *r = lm_m_path_find(p, from);

	for (unsigned i = 0; r != NULL && i < LM_M_PROBES; i++) {
		struct probe *q = &r->probes[i];

		if (!q->waiting || q->token != token)
			continue;
		q->waiting = false;
		r->state = LM_PATH_ALIVE;
		r->last_answer = m->now.mono;
		r->answered++;
		if (!lm_endpoint_equal(&r->observed, observed)) {
			r->observed = *observed;
			lm_m_stun_observed(m);
		}
		rtt_sample(r, lm_m_since(m, q->sent));
		if (p->current != NULL && r == p->challenge)
			follow(m, p, r);
		return;
	}
}
