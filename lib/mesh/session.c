/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sessions: SPI blocks, SAs, and which one is current.
 *
 * Of two handshakes that cross, that of the node with the greater key wins on
 * both sides, without any clock: the lesser node gives up its own initiation
 * when the greater one's is confirmed, and the greater node, once its own is
 * confirmed, forgets what the lesser one began before. Otherwise the session
 * confirmed last is the current one.
 */
#include "internal.h"

#include <lanemesh/esp.h>
#include <stdlib.h>

#define SPI_DRAWS 64

bool lm_m_spi_draw(struct lm_mesh *m, struct spi_slot *slot)
{
	for (int i = 0; i < SPI_DRAWS; i++) {
		struct spi_slot *taken;
		uint32_t r;

		m->ops.random(m->user, &r, sizeof(r));
		slot->spi = LM_SPI_MIN | (r & ~LM_SPI_LANE_MASK);
		HASH_FIND(hh, m->sessions, &slot->spi, sizeof(slot->spi), taken);
		if (taken != NULL)
			continue;
		HASH_ADD(hh, m->sessions, spi, sizeof(slot->spi), slot);
		return slot->hh.tbl != NULL;
	}
	return false;
}

struct session *lm_m_session_find(const struct lm_mesh *m, uint32_t spi)
{
	struct spi_slot *slot;

	HASH_FIND(hh, m->sessions, &spi, sizeof(spi), slot);
	return slot != NULL ? LM_CONTAINER_OF(slot, struct session, slot) : NULL;
}

struct session *lm_m_session_new(struct lm_mesh *m, struct peer *p, enum session_state state)
{
	struct session *s = calloc(1, sizeof(*s));

	if (s == NULL)
		return NULL;
	if (lm_m_due_init(m, &s->due, TIMER_SESSION) != 0) {
		free(s);
		return NULL;
	}
	if (!lm_m_spi_draw(m, &s->slot)) {
		lm_timer_stop(&m->timers, &s->due.timer);
		free(s);
		return NULL;
	}
	s->peer = p;
	s->state = state;
	s->initiator = state == SESSION_INIT;
	s->created = m->now.mono;
	if (state == SESSION_HALF)
		m->n_half_open++;
	DL_APPEND(p->sessions, s);
	lm_m_arm(m, &s->due, LM_M_HALF_OPEN_LIFE);
	return s;
}

static void wipe_free(void *p, size_t len)
{
	if (p != NULL)
		explicit_bzero(p, len);
	free(p);
}

static void went_down(struct lm_mesh *m, struct peer *p)
{
	char label[LM_M_LABEL_LEN];

	p->current = NULL;
	p->probing = 0;
	p->active = p->rx_path = p->moved_to = p->better = NULL;
	lm_m_reach(m, p);
	lm_m_pairs_drop(m, p);
	if (p->is_relay)
		lm_m_ways_lost(m, p);
	lm_m_disarm(m, &p->liveness);
	m->count.sessions_down++;
	(void)m->ops.sa_out_set(m->user, p->index, NULL);
	lm_m_event(m, LM_LOG_INFO, "%s: down", lm_m_peer_label(p, label));
}

void lm_m_session_free(struct lm_mesh *m, struct session *s, uint8_t close)
{
	struct peer *p = s->peer;

	if (close != 0 && s->state != SESSION_INIT && s->state != SESSION_HALF)
		lm_m_close(m, s, close);
	if (s->state == SESSION_HALF)
		m->n_half_open--;
	if (p->pacing == s)
		p->pacing = NULL;
	if (p->current == s)
		went_down(m, p);
	if (s->has_in)
		m->ops.sa_in_del(m->user, s->slot.spi);
	DL_DELETE(p->sessions, s);
	if (p->sessions == NULL)
		lm_m_paths_drop(p, p->barred != LM_TRUSTED);
	HASH_DELETE(hh, m->sessions, &s->slot);
	lm_timer_stop(&m->timers, &s->due.timer);
	lm_m_brief_free(m, s->init);
	lm_m_brief_free(m, s->reply);
	free(s->cert);
	wipe_free(s, sizeof(*s));
	lm_m_peer_check(p);
}

void lm_m_sessions_free(struct lm_mesh *m, struct peer *p, uint8_t close)
{
	struct session *s, *tmp;

	DL_FOREACH_SAFE(p->sessions, s, tmp)
	lm_m_session_free(m, s, close);
}

struct session *lm_m_session_oldest(const struct peer *p, enum session_state state, unsigned *n)
{
	struct session *oldest = NULL, *s;

	*n = 0;
	DL_FOREACH(p->sessions, s)
	{
		if (s->state != state)
			continue;
		if (oldest == NULL)
			oldest = s;
		++*n;
	}
	return oldest;
}

/* Direction 0 is initiator to responder, 1 back. */
void lm_m_session_keys(const struct session *s, bool inbound, unsigned lanes,
		       struct lm_esp_key *out)
{
	uint8_t direction = inbound == s->initiator;

	for (unsigned i = 0; i < lanes; i++)
		lm_esp_key_derive(s->esp_root, direction, (uint8_t)i, &out[i]);
}

bool lm_m_session_install(struct lm_mesh *m, struct session *s)
{
	struct lm_esp_key keys[LM_LANES_MAX];
	struct lm_mesh_sa_in sa = {
	    .peer = s->peer->index, .spi_base = s->slot.spi, .lanes = s->lanes_in, .keys = keys};
	char label[LM_M_LABEL_LEN];
	int rc;

	if (!s->peer->published && !lm_m_peer_publish(m, s->peer))
		return false;
	lm_m_session_keys(s, true, s->lanes_in, keys);
	rc = m->ops.sa_in_add(m->user, &sa);
	explicit_bzero(keys, sizeof(keys));
	if (rc != 0) {
		m->count.refused_by_data_plane++;
		lm_m_event(m, LM_LOG_ERROR, "%s: inbound SAs were not taken: %s",
			   lm_m_peer_label(s->peer, label), strerror(-rc));
		return false;
	}
	s->has_in = true;
	return true;
}

static bool send_on(struct lm_mesh *m, struct session *s)
{
	struct lm_esp_key keys[LM_LANES_MAX];
	struct lm_mesh_sa_out sa = {.peer = s->peer->index,
				    .session = s->slot.spi,
				    .spi_base = s->remote_spi,
				    .lanes = m->lanes,
				    .keys = keys};
	char label[LM_M_LABEL_LEN];
	int rc;

	if (s->has_out) /* its sequence numbers are used up: never twice from 1 */
		return false;
	s->has_out = true;
	lm_m_session_keys(s, false, m->lanes, keys);
	rc = m->ops.sa_out_set(m->user, s->peer->index, &sa);
	explicit_bzero(keys, sizeof(keys));
	if (rc != 0) {
		m->count.refused_by_data_plane++;
		lm_m_event(m, LM_LOG_ERROR, "%s: outbound SAs were not taken: %s",
			   lm_m_peer_label(s->peer, label), strerror(-rc));
	}
	return rc == 0;
}

/* Superseded: it still receives until the overlap ends. A peer that makes sessions quickly does
 * not pile them up here. */
static void retire(struct lm_mesh *m, struct session *s)
{
	unsigned n;
	struct session *oldest;

	s->state = SESSION_OLD;
	if (s->since == 0)
		s->since = m->now.mono;
	lm_m_arm(m, &s->due, m->t.overlap);
	oldest = lm_m_session_oldest(s->peer, SESSION_OLD, &n);
	if (n > LM_M_OLD_PEER)
		lm_m_session_free(m, oldest, LM_CLOSE_SUPERSEDED);
}

/* What the handshake of `won` makes pointless. */
static void drop_rivals(struct lm_mesh *m, struct session *won)
{
	struct peer *p = won->peer;
	struct session *s, *tmp;

	DL_FOREACH_SAFE(p->sessions, s, tmp)
	{
		/* The peer has never heard of these, or not that they work. */
		if (s->state == SESSION_INIT)
			lm_m_session_free(m, s, 0);
		else if (s->state == SESSION_HALF && won->initiator && p->greater)
			lm_m_session_free(m, s, 0);
		else if (s->state == SESSION_CONFIRM && !won->initiator && !p->greater)
			retire(m, s);
	}
}

static void became_current(struct lm_mesh *m, struct session *s, bool was_up)
{
	struct peer *p = s->peer;
	char label[LM_M_LABEL_LEN], at[LM_ENDPOINT_STRLEN];
	lm_time rekey;

	s->state = SESSION_CURRENT;
	s->since = m->now.mono;
	rekey = (s->initiator ? m->t.rekey : m->t.rekey / 8 * 9) + lm_m_jitter(m, m->t.rekey / 32);
	s->rekey_at = m->now.mono + rekey;
	lm_m_arm(m, &s->due, rekey < m->t.reject ? rekey : m->t.reject);
	p->last_handshake = m->now.mono;
	m->count.handshakes_done++;
	drop_rivals(m, s);
	lm_m_connect_stop(m, p);
	p->rounds = 0;
	p->signals = 0;
	if (was_up) {
		m->count.rekeys++;
		lm_m_event(m, LM_LOG_DEBUG, "%s: new session %08x", lm_m_peer_label(p, label),
			   s->slot.spi);
	} else {
		m->count.sessions_up++;
		p->up_since = m->now.mono;
		lm_m_event(m, LM_LOG_INFO, "%s: up at %s", lm_m_peer_label(p, label),
			   lm_endpoint_format(&p->path.remote, at));
	}
	lm_m_liveness_start(m, p);
	/* The initiator has measured the round trip with the probe that confirmed the session. */
	if (!s->initiator && p->active != NULL && p->active->asked == 0)
		lm_m_path_ask(m, p, p->active);
	lm_m_select(m, p);
}

/* The certificate of message 1 has been shown by who holds its key. */
static void take_cert(struct lm_mesh *m, struct session *s)
{
	struct shown_cert shown = {.raw = s->cert->raw, .len = s->cert->len};
	size_t body_len;

	memcpy(shown.hash, s->cert->hash, sizeof(shown.hash));
	if (lm_cert_decode(shown.raw, shown.len, &shown.c, &body_len) == 0)
		lm_m_peer_cert(m, s->peer, &shown);
	free(s->cert);
	s->cert = NULL;
}

bool lm_m_session_confirm(struct lm_mesh *m, struct session *s)
{
	struct peer *p = s->peer;
	struct session *before = p->current;
	struct path *r;

	if (s->state == SESSION_HALF) {
		take_cert(m, s);
		if (!lm_m_session_install(m, s)) {
			lm_m_session_free(m, s, 0);
			return false;
		}
		m->n_half_open--;
		s->state = SESSION_CONFIRM;
	}
	/* Both messages came through there. A path that works stays the one in use. */
	r = lm_m_path_heard(m, p, &s->path);
	if (r != NULL)
		lm_m_path_proven(m, p, r);
	if (r != NULL &&
	    (p->active == NULL || p->active->state != LM_PATH_ALIVE || p->active->asked != 0))
		lm_m_path_use(m, p, r);
	if (p->active == NULL || !send_on(m, s)) {
		lm_m_session_free(m, s, LM_CLOSE_SHUTDOWN);
		lm_m_connect(m, p, m->t.retry_max, true);
		return false;
	}
	p->current = s;
	lm_m_paths_fill(m, p);
	became_current(m, s, before != NULL);
	r = lm_m_path_find(p, &s->path); /* it may have gone with its WAN port */
	if (r != NULL)
		lm_m_has_moved(m, p, r);
	if (m->has_ann)
		lm_m_send_announcement(m, s, m->ann, m->ann_len);
	if (before != NULL)
		retire(m, before);
	return true;
}

static void reprobe(struct lm_mesh *m, struct session *s)
{
	lm_time wait = m->t.retry_min << (s->probes / 2 < 3 ? s->probes / 2 : 3);

	struct path *r = lm_m_path_heard(m, s->peer, &s->path);

	if (r != NULL)
		lm_m_probe(m, s, r);
	if (s->probes < UINT8_MAX)
		s->probes++;
	lm_m_arm(m, &s->due, wait);
}

void lm_m_session_timer(struct lm_mesh *m, struct session *s)
{
	struct peer *p = s->peer;
	lm_time age = lm_m_since(m, s->since);

	switch (s->state) {
	case SESSION_INIT:
	case SESSION_HALF:
		lm_m_session_free(m, s, 0);
		break;
	case SESSION_CONFIRM:
		if (lm_m_since(m, s->created) < LM_M_CONFIRM_LIFE) {
			reprobe(m, s);
			break;
		}
		lm_m_session_free(m, s, LM_CLOSE_SUPERSEDED);
		if (p->current == NULL || p->current->rekey_at <= m->now.mono)
			lm_m_connect(m, p, 0, true);
		break;
	case SESSION_CURRENT:
		if (age >= m->t.reject) {
			lm_m_session_free(m, s, LM_CLOSE_SHUTDOWN);
			lm_m_connect(m, p, 0, true);
			break;
		}
		lm_m_arm(m, &s->due, m->t.reject - age);
		lm_m_connect(m, p, 0, false);
		break;
	case SESSION_OLD:
		/* A peer that still sends on it has not heard of the new one yet. */
		if (s->last_rx != 0 && lm_m_since(m, s->last_rx) < m->t.overlap / 2 &&
		    age < m->t.reject) {
			lm_m_arm(m, &s->due, m->t.overlap / 2);
			break;
		}
		lm_m_session_free(m, s, LM_CLOSE_SUPERSEDED);
		break;
	}
}

/* The workers have stopped sending on a lane (FAULTS row 18). */
static void note_spent(struct lm_mesh *m, struct session *s)
{
	char label[LM_M_LABEL_LEN];

	if (s->spent)
		return;
	s->spent = true;
	m->count.keys_spent++;
	lm_m_event(
	    m, LM_LOG_ERROR,
	    "%s: the keys of session %08x are used up and no rekey has succeeded: traffic to "
	    "it is dropped until one does",
	    lm_m_peer_label(s->peer, label), s->slot.spi);
}

bool lm_mesh_usage(struct lm_mesh *m, struct lm_now now, uint32_t session,
		   const struct lm_mesh_usage *u)
{
	lm_time last_rx = u->last_rx;
	struct session *s;
	struct peer *p;
	bool busy;

	lm_m_enter(m, now);
	s = lm_m_session_find(m, session);
	if (s == NULL || !s->has_in)
		return false;
	p = s->peer;
	if (last_rx > m->now.mono)
		last_rx = m->now.mono;
	if (last_rx > s->last_rx) {
		s->last_rx = last_rx;
		lm_m_heard(m, p, last_rx);
		lm_m_traffic(m, p, last_rx);
		/* The peer sends ESP on it, so our probe has reached it; its answer may be lost. */
		if (s->state == SESSION_CONFIRM && !lm_m_session_confirm(m, s)) {
			lm_m_leave(m);
			return false;
		}
	}
	if (s->state == SESSION_CURRENT) {
		if (u->tx_packets != s->tx_packets)
			lm_m_traffic(m, p, 0);
		s->tx_packets = u->tx_packets;
		if (u->highest_seq >= LM_ESP_SOFT_LIMIT)
			lm_m_connect(m, p, 0, false);
		if (u->highest_seq >= LM_ESP_HARD_LIMIT)
			note_spent(m, s);
	}
	busy = lm_m_busy(m, p) && s->state != SESSION_OLD;
	lm_m_leave(m);
	return busy;
}
