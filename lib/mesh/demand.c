/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * With whom a session is kept. In a mesh of moderate size with everybody, so that
 * the first packet finds its way; in a large one only with those that traffic
 * wants, or that want us: keepalives and rekeys of sessions that nobody uses would
 * grow with the square of the mesh. A session that is not used is not rekeyed, and
 * so ends by itself.
 */
#include "internal.h"

#define WANTED (300 * LM_SEC) /* after the last traffic */
#define CALLED (30 * LM_SEC)  /* after a signal: the other side wants us, says a coordinator */

bool lm_m_wants(const struct lm_mesh *m, const struct peer *p)
{
	/* A relay is asked for at once when the straight way to somebody dies. */
	return m->n_peers <= m->eager_peers || p->is_relay || m->now.mono < p->wanted_until;
}

void lm_m_want(struct lm_mesh *m, struct peer *p)
{
	p->wanted_until = m->now.mono + WANTED;
}

void lm_m_called(struct lm_mesh *m, struct peer *p)
{
	if (p->wanted_until < m->now.mono + CALLED)
		p->wanted_until = m->now.mono + CALLED;
}

void lm_mesh_wanted(struct lm_mesh *m, struct lm_now now, uint32_t peer)
{
	struct peer *p;

	lm_m_enter(m, now);
	if (peer >= m->max_peers || m->by_index[peer] == NULL)
		return;
	p = m->by_index[peer];
	lm_m_want(m, p);
	if (p->current == NULL && !p->connecting)
		lm_m_connect_again(m, p, 0);
	lm_m_leave(m);
}
