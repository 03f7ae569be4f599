/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Is the peer there, and where does it speak from. Its paths are probed by their
 * own timers (probe.c); a peer from which nothing has come for `dead` after the
 * first unanswered probe on the path in use is down. A new source address is asked
 * at once, and so is the path in use: traffic moves when the new way answers and
 * the old one does not.
 */
#include "internal.h"

#define BUSY_LASTS (3 * LM_SEC)

void lm_m_liveness_rearm(struct lm_mesh *m, struct peer *p)
{
	lm_time due = p->probing != 0 ? p->probing + m->t.dead : LM_TIME_NEVER;
	const struct path *r;

	if (p->current == NULL)
		return;
	DL_FOREACH2(p->paths, r, next_path)
	if (r->next < due)
		due = r->next;
	lm_m_arm(m, &p->liveness, due > m->now.mono ? due - m->now.mono : 0);
}

void lm_m_liveness_start(struct lm_mesh *m, struct peer *p)
{
	p->last_rx = m->now.mono;
	p->probing = 0;
	lm_m_liveness_rearm(m, p);
}

void lm_m_heard(struct lm_mesh *m, struct peer *p, lm_time when)
{
	if (when > p->last_rx)
		p->last_rx = when;
	/* What came in before the question was put is no answer to it. */
	if (p->probing != 0 && when >= p->probing)
		p->probing = 0;
	(void)m;
}

static void silent(struct lm_mesh *m, struct peer *p)
{
	char label[LM_M_LABEL_LEN];

	lm_m_event(m, LM_LOG_WARN, "%s: silent for %llu s", lm_m_peer_label(p, label),
		   (unsigned long long)(lm_m_since(m, p->last_rx) / LM_SEC));
	lm_m_connect_stop(m, p);
	lm_m_sessions_free(m, p, 0);
	p->rounds = 0;
	lm_m_connect(m, p, 0, true);
}

void lm_m_liveness_timer(struct lm_mesh *m, struct peer *p)
{
	struct path *r, *tmp;

	if (p->current == NULL)
		return;
	if (p->probing != 0 && lm_m_since(m, p->probing) >= m->t.dead) {
		silent(m, p);
		return;
	}
	DL_FOREACH_SAFE2(p->paths, r, tmp, next_path)
	if (r->next <= m->now.mono)
		lm_m_path_timer(m, p, r);
	lm_m_liveness_rearm(m, p);
}

/* -------------------------------------------------------------- traffic -- */

bool lm_m_busy(const struct lm_mesh *m, const struct peer *p)
{
	return p->traffic != 0 && lm_m_since(m, p->traffic) < BUSY_LASTS;
}

void lm_m_traffic(struct lm_mesh *m, struct peer *p, lm_time rx)
{
	struct path *r = p->rx_path != NULL ? p->rx_path : p->active;
	bool was_busy = lm_m_busy(m, p);
	lm_time next = m->now.mono;

	lm_m_want(m, p);
	if (r != NULL && rx > r->last_rx)
		r->last_rx = rx;
	if (rx > p->esp_rx)
		p->esp_rx = rx;
	p->traffic = m->now.mono;
	lm_m_relay_want(m, p);
	/* Nobody wanted a successor when it was due, demand.c. */
	if (p->current != NULL && p->current->rekey_at <= m->now.mono && !p->connecting)
		lm_m_connect(m, p, 0, false);
	if (was_busy || p->current == NULL)
		return;
	/* Look at each path soon: what was good enough for an idle one may not be now. */
	DL_FOREACH2(p->paths, r, next_path)
	if (r->next > next) {
		r->next = next;
		next += LM_M_PROBE_PACE;
	}
	lm_m_liveness_rearm(m, p);
}

/* -------------------------------------------------------------- roaming -- */

void lm_m_active_check(struct lm_mesh *m, struct peer *p)
{
	if (p->active != NULL && p->active->state == LM_PATH_ALIVE && p->active->asked == 0)
		lm_m_path_ask(m, p, p->active);
	lm_m_liveness_rearm(m, p);
}

void lm_m_has_moved(struct lm_mesh *m, struct peer *p, struct path *r)
{
	if (r == p->active || p->active == NULL)
		return;
	p->moved_to = r;
	lm_m_active_check(m, p);
}

void lm_m_roam(struct lm_mesh *m, struct peer *p, const struct lm_path *from, bool esp)
{
	struct path *r = lm_m_path_find(p, from);
	bool fresh = r == NULL;

	if (p->current == NULL)
		return;
	/* FAULTS row 14: few probes a second, whatever makes us send them. When too many wait for
	 * theirs already, they keep their places until they had it. */
	if (fresh && p->seen_next > m->now.mono + LM_M_PATHS_SEEN * LM_M_CANDIDATE_GAP)
		return;
	if (fresh)
		r = lm_m_path_heard(m, p, from);
	if (r == NULL)
		return;
	if (fresh) {
		r->next = p->seen_next > m->now.mono ? p->seen_next : m->now.mono;
		p->seen_next = r->next + LM_M_CANDIDATE_GAP;
	} else if (r->state != LM_PATH_ALIVE &&
		   lm_m_since(m, r->last_probe) >= LM_M_CANDIDATE_GAP) {
		r->next = m->now.mono;
	}
	r->last_rx = m->now.mono;
	if (esp)
		p->rx_path = r;
	/* Messages come on every path that the peer keeps; packets, and what comes from a new
	 * place, say that it may have left the old one. */
	if (esp || fresh)
		lm_m_has_moved(m, p, r);
	lm_m_liveness_rearm(m, p);
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
		lm_m_roam(m, s->peer, &path, true);
	lm_m_leave(m);
}
