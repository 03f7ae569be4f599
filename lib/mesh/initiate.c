/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handshakes that we start. A round makes one message 1 and gives it to each
 * candidate in turn; the next round makes another one with a fresh ephemeral
 * key, as a responder refuses keys that it has seen. Some earlier rounds stay
 * open, so that a path with a long round-trip time gets its answer in.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

int lm_m_hello(const struct lm_mesh *m, const struct session *s, uint8_t *buf, size_t cap,
	       size_t pad_to)
{
	struct lm_hello h = {.spi_base = s->slot.spi,
			     .lanes = m->lanes,
			     .cert = m->cert_raw,
			     .cert_len = m->cert_len};

	return lm_hello_encode(&h, buf, cap, pad_to);
}

static bool make_message(struct lm_mesh *m, struct session *s)
{
	struct initiation *in = s->init;
	uint8_t e[32], mac1_key[32], payload[LM_INIT_PAYLOAD_LEN];
	int rc;

	if (lm_m_hello(m, s, payload, sizeof(payload), sizeof(payload)) != (int)sizeof(payload))
		return false;
	m->ops.random(m->user, e, sizeof(e));
	lm_noise_init(&in->noise, true, m->id->x_secret, m->id->x_public, e, s->peer->x_public,
		      m->psk, m->prologue, m->prologue_len);
	explicit_bzero(e, sizeof(e));
	lm_msg_init_header(in->msg, s->slot.spi);
	rc = lm_noise_write(&in->noise, payload, sizeof(payload), in->msg + LM_INIT_NOISE_OFF);
	if (rc != 0)
		return false;
	lm_mac1_key(s->peer->x_public, mac1_key);
	lm_mac1(mac1_key, in->msg, LM_INIT_MACED, in->msg + LM_INIT_LEN - 2 * LM_MAC_LEN);
	return true;
}

/* Where the peer's cookie for the path is kept; NULL: it leads to the peer no more. */
static struct kept_cookie *cookie_of(const struct peer *p, const struct lm_path *path)
{
	struct relay_way *way;
	struct candidate *c;

	if (path->relay == 0) {
		c = lm_m_candidate(p, &path->remote);
		return c != NULL ? &c->cookie : NULL;
	}
	way = lm_m_way(p, path);
	return way != NULL ? &way->cookie : NULL;
}

/* A way through a relay has the other end's consent: rounds are all that bounds it. */
static bool spend(struct lm_mesh *m, struct peer *p, const struct lm_path *path)
{
	struct relay_way *way;

	if (path->relay == 0)
		return lm_m_candidate_spend(m, p, lm_m_candidate(p, &path->remote), LM_INIT_LEN);
	way = lm_m_way(p, path);
	if (way->sent != 0 && lm_m_since(m, way->sent) < LM_M_CANDIDATE_GAP)
		return false;
	way->sent = m->now.mono;
	return true;
}

/* The gap between two datagrams to one address does not count for the next. */
static void resend_now(const struct peer *p, const struct lm_path *path)
{
	if (path->relay == 0)
		lm_m_candidate(p, &path->remote)->sent = 0;
	else
		lm_m_way(p, path)->sent = 0;
}

/* True: the peer may get it. What only waits for the next hop's address, a few datagrams at most,
 * is no use of the tries that an address has: the router may be starting too. */
static bool send_message(struct lm_mesh *m, struct session *s, const struct lm_path *to)
{
	struct kept_cookie *c = cookie_of(s->peer, to);
	uint8_t *mac2 = s->init->msg + LM_INIT_LEN - LM_MAC_LEN;
	int rc;

	if (c == NULL || !lm_m_wan_ok(m, to->port, &to->remote) || !spend(m, s->peer, to))
		return false;
	memset(mac2, 0, LM_MAC_LEN);
	if (c->at != 0 && lm_m_since(m, c->at) < LM_COOKIE_LIFE)
		lm_mac2(c->cookie, s->init->msg, LM_INIT_MACED, mac2);
	rc = lm_m_send(m, to, s->init->msg, LM_INIT_LEN);
	if (to->relay == 0)
		lm_m_candidate(s->peer, &to->remote)->turn++;
	if (rc != 0 && to->relay == 0 && !lm_m_candidate(s->peer, &to->remote)->answered)
		lm_m_host_refund(m, &to->remote.ip, LM_INIT_LEN);
	return rc == 0 || rc == -EINPROGRESS;
}

static lm_time backoff(struct lm_mesh *m, const struct peer *p)
{
	lm_time wait = m->t.retry_min;

	for (uint32_t i = 1; i < p->rounds && wait < m->t.retry_max; i++)
		wait *= 2;
	if (wait > m->t.retry_max)
		wait = m->t.retry_max;
	return wait - wait / 4 + lm_m_jitter(m, wait / 2);
}

/* How long until the address may get another datagram. */
static lm_time gap_left(const struct lm_mesh *m, const struct peer *p, const struct lm_path *to)
{
	const struct candidate *c = to->relay == 0 ? lm_m_candidate(p, &to->remote) : NULL;

	if (c == NULL || c->sent == 0 || lm_m_since(m, c->sent) >= LM_M_CANDIDATE_GAP)
		return 0;
	return LM_M_CANDIDATE_GAP - lm_m_since(m, c->sent);
}

/* One target each LM_M_PACE; waits for those that had a datagram just now by another port, skips
 * those whose budget is spent. */
static void send_next(struct lm_mesh *m, struct peer *p)
{
	struct session *s = p->pacing;
	struct initiation *in = s->init;

	while (in->n_sent < in->n_targets) {
		lm_time wait = gap_left(m, p, &in->targets[in->n_sent]);

		if (wait > 0) {
			lm_m_arm(m, &p->connect, wait);
			return;
		}
		if (!send_message(m, s, &in->targets[in->n_sent])) {
			in->targets[in->n_sent] = in->targets[--in->n_targets];
			continue;
		}
		if (++in->n_sent < in->n_targets) {
			lm_m_arm(m, &p->connect, LM_M_PACE);
			return;
		}
	}
	p->pacing = NULL;
	lm_m_arm(m, &p->connect, backoff(m, p));
	if (in->n_sent == 0)
		lm_m_session_free(m, s, 0); /* nobody has it */
}

static bool begin_round(struct lm_mesh *m, struct peer *p)
{
	struct lm_path targets[LM_M_TARGETS];
	struct session *s, *oldest;
	unsigned n;
	uint8_t n_targets;

	/* A current path that does not answer is not the only one that is asked. */
	n_targets =
	    lm_m_targets(m, p, p->everywhere || p->current == NULL || p->rounds >= 3, targets);
	p->rounds++;
	if (n_targets == 0)
		return false;
	if (p->current == NULL && p->rounds > 1)
		lm_m_signal(m, p);
	oldest = lm_m_session_oldest(p, SESSION_INIT, &n);
	if (n >= LM_M_INITIATIONS)
		lm_m_session_free(m, oldest, 0);
	s = lm_m_session_new(m, p, SESSION_INIT);
	if (s == NULL)
		return false;
	s->init = lm_m_brief_new(m);
	if (s->init == NULL || !make_message(m, s)) {
		lm_m_session_free(m, s, 0);
		return false;
	}
	memcpy(s->init->targets, targets, sizeof(targets));
	s->init->n_targets = n_targets;
	m->count.handshakes_started++;
	p->pacing = s;
	return true;
}

void lm_m_connect_timer(struct lm_mesh *m, struct peer *p)
{
	if (!p->connecting)
		return;
	if (!lm_m_wants(m, p)) {
		lm_m_connect_stop(m, p);
		return;
	}
	/* Without an address of a family that we have a relay may still reach it. */
	if (p->pacing == NULL && !begin_round(m, p))
		lm_m_arm(m, &p->connect, backoff(m, p));
	else
		send_next(m, p);
	if (p->current == NULL)
		lm_m_relay_want(m, p);
}

void lm_m_connect_way(struct lm_mesh *m, struct peer *p, const struct lm_path *path)
{
	struct initiation *in = p->pacing != NULL ? p->pacing->init : NULL;

	if (!p->connecting)
		return;
	if (p->rounds > 2) /* there is hope again */
		p->rounds = 2;
	if (in != NULL && in->n_targets < LM_M_TARGETS)
		in->targets[in->n_targets++] = *path;
	else if (in == NULL)
		lm_m_arm(m, &p->connect, 0);
}

void lm_m_connect(struct lm_mesh *m, struct peer *p, lm_time delay, bool everywhere)
{
	unsigned confirming;

	if (p->barred != LM_TRUSTED || !lm_m_wants(m, p))
		return;
	(void)lm_m_session_oldest(p, SESSION_CONFIRM, &confirming);
	p->everywhere = (p->connecting && p->everywhere) || everywhere;
	if (confirming > 0 || p->connecting)
		return;
	p->connecting = true;
	lm_m_arm(m, &p->connect, delay);
}

void lm_m_connect_stop(struct lm_mesh *m, struct peer *p)
{
	p->connecting = false;
	p->everywhere = false;
	p->pacing = NULL;
	lm_m_disarm(m, &p->connect);
}

void lm_m_connect_again(struct lm_mesh *m, struct peer *p, lm_time delay)
{
	if (p->pacing == NULL) {
		lm_m_connect_stop(m, p);
		p->rounds = 0;
	}
	lm_m_connect(m, p, delay, p->current == NULL);
}

int lm_mesh_rekey(struct lm_mesh *m, struct lm_now now, uint32_t peer)
{
	lm_m_enter(m, now);
	if (peer >= m->max_peers || m->by_index[peer] == NULL)
		return -ENOENT;
	lm_m_want(m, m->by_index[peer]);
	lm_m_connect_again(m, m->by_index[peer], 0);
	return 0;
}

/* -------------------------------------------------------------- answers -- */

static bool asked(const struct initiation *in, const struct lm_path *from)
{
	for (unsigned i = 0; i < in->n_sent; i++)
		if (lm_m_path_equal(&in->targets[i], from))
			return true;
	return false;
}

/* The initiation that an answer names, if it came from where we sent the question. */
static struct session *initiation_of(struct lm_mesh *m, uint32_t spi, const struct lm_path *from)
{
	struct session *s = lm_m_session_find(m, spi);

	if (s == NULL || s->state != SESSION_INIT || !asked(s->init, from)) {
		m->count.unknown_session++;
		return NULL;
	}
	return s;
}

/* The certificate in message 2: good, and of the node whose key we called. */
static enum lm_verdict check_responder(struct lm_mesh *m, struct peer *p, const struct lm_hello *h,
				       struct shown_cert *cert)
{
	struct peer *of;
	enum lm_verdict v = lm_m_cert_judge(m, h->cert, h->cert_len, cert, &of);

	return v == LM_TRUSTED && of != p ? LM_WRONG_NODE : v;
}

static bool read_resp(struct session *s, const struct lm_msg_resp *r, uint8_t *payload, size_t *len)
{
	/* On a copy: a forged message must not end the handshake. */
	struct lm_noise noise = s->init->noise;
	struct lm_noise_keys keys;
	int rc = lm_noise_read(&noise, r->noise, r->noise_len, payload);

	if (rc == 0)
		rc = lm_noise_split(&noise, &keys);
	lm_noise_wipe(&noise);
	if (rc != 0)
		return false;
	*len = r->noise_len - LM_NOISE_MSG2_OVERHEAD;
	memcpy(s->send, keys.send, sizeof(s->send));
	memcpy(s->recv, keys.recv, sizeof(s->recv));
	memcpy(s->esp_root, keys.esp_root, sizeof(s->esp_root));
	explicit_bzero(&keys, sizeof(keys));
	return true;
}

/* Message 2 is good: be ready to receive, then let the peer know. */
static void answered(struct lm_mesh *m, struct session *s, const struct lm_hello *h,
		     const struct lm_path *from)
{
	struct peer *p = s->peer;
	struct session *other, *tmp;

	s->remote_spi = h->spi_base;
	s->lanes_in = h->lanes;
	s->path = *from;
	lm_m_connect_stop(m, p);
	DL_FOREACH_SAFE(p->sessions, other, tmp)
	if (other != s && other->state == SESSION_INIT)
		lm_m_session_free(m, other, 0);
	lm_m_brief_free(m, s->init);
	s->init = NULL;
	if (!lm_m_session_install(m, s)) {
		lm_m_session_free(m, s, 0);
		lm_m_connect(m, p, m->t.retry_max, true);
		return;
	}
	s->state = SESSION_CONFIRM;
	s->created = m->now.mono;
	lm_m_session_timer(m, s); /* the first probe */
}

void lm_m_on_resp(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len)
{
	uint8_t payload[LM_RESP_MAX];
	char label[LM_M_LABEL_LEN], at[LM_ENDPOINT_STRLEN];
	struct lm_msg_resp r;
	struct lm_hello h;
	struct shown_cert cert;
	struct session *s;
	enum lm_verdict v;
	size_t payload_len;

	if (lm_msg_resp_decode(data, len, &r) != 0) {
		m->count.malformed++;
		return;
	}
	if (!lm_mac1_ok(m->mac1_key, data, LM_RESP_MACED, r.mac1)) {
		m->count.mac1_bad++;
		return;
	}
	s = initiation_of(m, r.receiver_spi, from);
	if (s == NULL)
		return;
	if (s->init->bad >= LM_M_RESP_TRIES || !read_resp(s, &r, payload, &payload_len)) {
		s->init->bad += s->init->bad < LM_M_RESP_TRIES;
		m->count.handshake_bad++;
		return;
	}
	if (lm_hello_decode(payload, payload_len, &h) != 0 || h.spi_base != r.sender_spi) {
		m->count.malformed++;
		return;
	}
	v = check_responder(m, s->peer, &h, &cert);
	if (v != LM_TRUSTED) {
		m->count.cert_refused[v]++;
		lm_m_refusal(m, "%s at %s answered a handshake: %s",
			     lm_m_peer_label(s->peer, label), lm_endpoint_format(&from->remote, at),
			     lm_verdict_text(v));
		return;
	}
	lm_m_peer_cert(m, s->peer, &cert);
	answered(m, s, &h, from);
}

void lm_m_on_cookie(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len)
{
	struct lm_msg_cookie msg;
	struct kept_cookie *c;
	struct session *s;
	uint8_t key[32];

	if (lm_msg_cookie_decode(data, len, &msg) != 0) {
		m->count.malformed++;
		return;
	}
	s = initiation_of(m, msg.receiver_spi, from);
	if (s == NULL)
		return;
	c = cookie_of(s->peer, from);
	lm_cookie_key(s->peer->x_public, key);
	if (c == NULL || lm_cookie_open(key, msg.nonce, s->init->msg + LM_INIT_LEN - 2 * LM_MAC_LEN,
					msg.sealed, c->cookie) != 0) {
		m->count.handshake_bad++;
		return;
	}
	c->at = m->now.mono;
	/* The same message again: the responder has not looked into it. Once, as the answer to one
	 * datagram; the rounds go on anyway. */
	if (s->init->cookie_resends++ == 0) {
		resend_now(s->peer, from);
		(void)send_message(m, s, from);
	}
}
