/* SPDX-License-Identifier: BSD-3-Clause */
/* What is known, for people and for the control thread. Changes nothing. */
#include "internal.h"

const struct lm_mesh_counters *lm_mesh_counters(const struct lm_mesh *m)
{
	return &m->count;
}

const char *lm_peer_state_name(enum lm_peer_state s)
{
	switch (s) {
	case LM_PEER_UNREACHABLE:
		return "unreachable";
	case LM_PEER_CONNECTING:
		return "connecting";
	case LM_PEER_UP:
		return "up";
	case LM_PEER_IDLE:
		return "idle";
	}
	return "?";
}

bool lm_mesh_peer(const struct lm_mesh *m, uint32_t from, struct lm_peer_info *out)
{
	const struct peer *p = NULL;

	/* A peer that has only sent a message 1, which may be a replay, is none yet. */
	for (; from < m->max_peers && p == NULL; from++)
		if (m->by_index[from] != NULL &&
		    (m->by_index[from]->listed || m->by_index[from]->published))
			p = m->by_index[from];
	if (p == NULL)
		return false;
	*out = (struct lm_peer_info){
	    .index = p->index,
	    .state = lm_m_peer_state(p),
	    .cert = lm_m_cert(p),
	    .ann = lm_m_ann(p),
	    .path = p->path,
	    .relay = lm_m_path_relay(p, &p->path),
	    .rtt = p->active != NULL ? p->active->rtt : 0,
	    .last_rx = p->last_rx,
	    .last_handshake = p->last_handshake,
	    .handshake_tries = p->rounds,
	};
	if (p->current != NULL) {
		out->up_since = p->up_since;
		out->session = p->current->slot.spi;
		out->remote_spi = p->current->remote_spi;
	}
	return true;
}

void lm_mesh_barred(const struct lm_mesh *m,
		    void (*each)(void *user, const struct lm_cert *cert, enum lm_verdict why),
		    void *user)
{
	for (const struct peer *p = m->peers; p != NULL; p = p->hh.next)
		if (p->listed && p->barred != LM_TRUSTED)
			each(user, lm_m_cert(p), p->barred);
}

bool lm_mesh_revoked(const struct lm_mesh *m, const uint8_t node[32])
{
	static const uint8_t nobody[LM_KEY_LEN];

	/* No serial is of this issuer, so that the node's key alone counts. */
	return lm_revocations_has(&m->revocations, &m->authorities, nobody, node, 0);
}

enum lm_verdict lm_mesh_own_verdict(const struct lm_mesh *m)
{
	return lm_cert_recheck(&m->cert, &m->authorities, &m->revocations, m->now.wall);
}

void lm_mesh_candidates(const struct lm_mesh *m, uint32_t peer,
			void (*each)(void *user, const struct lm_candidate_info *c), void *user)
{
	const struct peer *p = peer < m->max_peers ? m->by_index[peer] : NULL;

	for (unsigned i = 0; p != NULL && i < p->n_candidates; i++) {
		const struct candidate *c = &p->candidates[i];
		const struct lm_candidate_info info = {
		    .ep = c->ep, .kind = c->kind, .answered = c->answered, .sent = c->sent};

		each(user, &info);
	}
}

const struct lm_cert *lm_mesh_own_cert(const struct lm_mesh *m)
{
	return &m->cert;
}

const uint8_t *lm_mesh_own_announcement(const struct lm_mesh *m, size_t *len)
{
	*len = m->has_ann ? m->ann_len : 0;
	return m->has_ann ? m->ann : NULL;
}

void lm_mesh_sessions(const struct lm_mesh *m, void (*each)(void *user, uint32_t session),
		      void *user)
{
	for (const struct peer *p = m->peers; p != NULL; p = p->hh.next)
		for (const struct session *s = p->sessions; s != NULL; s = s->next)
			if (s->has_in)
				each(user, s->slot.spi);
}

static void export_lanes(const struct session *s, bool inbound, unsigned lanes, uint32_t spi_base,
			 void (*each)(void *user, const struct lm_sa_export *sa), void *user)
{
	struct lm_esp_key keys[LM_LANES_MAX];

	lm_m_session_keys(s, inbound, lanes, keys);
	for (unsigned i = 0; i < lanes; i++) {
		struct lm_sa_export sa = {.peer = s->peer->index,
					  .inbound = inbound,
					  .spi = spi_base + i,
					  .key = keys[i]};

		each(user, &sa);
		explicit_bzero(&sa, sizeof(sa));
	}
	explicit_bzero(keys, sizeof(keys));
}

void lm_mesh_export_keys(const struct lm_mesh *m,
			 void (*each)(void *user, const struct lm_sa_export *sa), void *user)
{
	for (const struct peer *p = m->peers; p != NULL; p = p->hh.next) {
		for (const struct session *s = p->sessions; s != NULL; s = s->next) {
			if (s->has_in)
				export_lanes(s, true, s->lanes_in, s->slot.spi, each, user);
			if (s->has_out)
				export_lanes(s, false, m->lanes, s->remote_spi, each, user);
		}
	}
}
