/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Message 1 from anybody. In order of cost: one keyed hash; a token of the
 * source's bucket, which a cookie proves to be the source, and which is asked for
 * one under load and when it sends too much; one of those that all share; only
 * then a Diffie-Hellman. A good message 1 makes a half-open session and nothing
 * else: it may be a replay, one recorded longer ago than we remember. What the
 * peer has now stays untouched until the first transport message (session.c), and
 * replays from elsewhere do not push out what the peer itself has begun.
 */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

static void send_cookie(struct lm_mesh *m, const struct lm_path *to, const struct lm_msg_init *in)
{
	uint8_t msg[LM_COOKIE_REPLY_LEN], fresh[32], cookie[LM_COOKIE_LEN];
	uint8_t *nonce = msg + LM_HDR_LEN + 4;

	m->ops.random(m->user, fresh, sizeof(fresh));
	lm_cookie_jar_turn(&m->jar, m->now.mono, fresh);
	lm_cookie_make(&m->jar, &to->remote, cookie);
	lm_msg_cookie_header(msg, in->sender_spi);
	m->ops.random(m->user, nonce, LM_COOKIE_NONCE_LEN);
	lm_cookie_seal(m->cookie_key, nonce, in->mac1, cookie, nonce + LM_COOKIE_NONCE_LEN);
	m->count.cookie_sent++;
	(void)lm_m_send(m, to, msg, sizeof(msg));
}

/* A handshake is most of what strangers can make us do. Who has shown where it is comes first. */
static bool dh_allowed(struct lm_mesh *m, bool proven)
{
	double rate = m->handshake_limit * 0.8, burst = m->handshake_limit - rate;

	if (burst < 1)
		burst = 1;
	m->dh_tokens += (double)lm_m_since(m, m->dh_refilled) / (double)LM_SEC * rate;
	if (m->dh_tokens > burst)
		m->dh_tokens = burst;
	m->dh_refilled = m->now.mono;
	if (m->dh_tokens < (proven ? 1 : 1 + burst / 4))
		return false;
	m->dh_tokens -= 1;
	return true;
}

/* Everything that comes before a Diffie-Hellman. */
static bool admit(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len,
		  struct lm_msg_init *in, bool *proven)
{
	uint32_t load;

	if (lm_msg_init_decode(data, len, in) != 0) {
		m->count.malformed++;
		return false;
	}
	if (!lm_mac1_ok(m->mac1_key, data, LM_INIT_MACED, in->mac1)) {
		m->count.mac1_bad++;
		return false;
	}
	load = lm_rate_count(&m->rate, m->now.mono);
	*proven = lm_mac2_ok(&m->jar, &from->remote, data, LM_INIT_MACED, in->mac2);
	if (*proven) {
		if (lm_ratelimit_take(m->proven, m->now.mono, &from->remote.ip) &&
		    dh_allowed(m, true))
			return true;
		m->count.rate_limited++;
		return false;
	}
	/* Who writes a member's address on his own datagrams empties this bucket, but not that of
	 * the member, who gets a cookie. */
	if (load <= m->handshake_limit &&
	    lm_ratelimit_take(m->unproven, m->now.mono, &from->remote.ip) && dh_allowed(m, false))
		return true;
	send_cookie(m, from, in);
	return false;
}

/* Room for one more ephemeral key: some of every peer, more of a few. */
static bool remember_more(struct lm_mesh *m, struct peer *p)
{
	bool extra = p->room >= LM_M_EPHEMERALS;
	unsigned step = extra ? LM_M_EPHEMERALS : LM_M_EPHEMERALS_STEP;
	void *room;

	if (extra &&
	    (p->room >= LM_M_EPHEMERALS_MAX || m->extra_ephemerals + step > LM_M_EPHEMERALS_EXTRA))
		return true;
	room = realloc(p->ephemerals, (p->room + step) * sizeof(p->ephemerals[0]));
	if (room == NULL)
		return extra;
	p->ephemerals = room;
	p->room = (uint16_t)(p->room + step);
	if (extra)
		m->extra_ephemerals += step;
	return true;
}

static bool seen(const struct peer *p, const uint8_t e[32])
{
	for (unsigned i = 0; i < p->n_ephemerals; i++)
		if (memcmp(p->ephemerals[i], e, LM_M_EPHEMERAL_LEN) == 0)
			return true;
	return false;
}

/* False: it could not be told from a replay later. */
static bool remember(struct lm_mesh *m, struct peer *p, const uint8_t e[32])
{
	unsigned at = p->n_ephemerals;

	if (at == p->room && !remember_more(m, p))
		return false;
	if (at < p->room) {
		p->n_ephemerals++;
	} else {
		at = p->next_ephemeral;
		p->next_ephemeral = (uint16_t)((at + 1) % p->room);
	}
	memcpy(p->ephemerals[at], e, LM_M_EPHEMERAL_LEN);
	return true;
}

void lm_m_ephemerals_free(struct lm_mesh *m, struct peer *p)
{
	if (p->room > LM_M_EPHEMERALS)
		m->extra_ephemerals -= p->room - LM_M_EPHEMERALS;
	free(p->ephemerals);
}

/* The peer that sent message 1, made when it is new; NULL: refused and counted. */
static struct peer *initiator_of(struct lm_mesh *m, const struct lm_path *from,
				 const struct lm_noise *noise, const struct lm_hello *h,
				 struct shown_cert *cert)
{
	char label[LM_M_LABEL_LEN], at[LM_ENDPOINT_STRLEN];
	uint8_t x_public[32];
	struct peer *p;
	enum lm_verdict v = lm_m_cert_judge(m, h->cert, h->cert_len, cert, &p);

	if (v == LM_TRUSTED && (lm_identity_x_public(cert->c.node, x_public) != 0 ||
				memcmp(x_public, noise->rs, sizeof(x_public)) != 0 ||
				memcmp(cert->c.node, m->cert.node, LM_KEY_LEN) == 0))
		v = LM_WRONG_NODE;
	if (v != LM_TRUSTED) {
		m->count.cert_refused[v]++;
		lm_m_refusal(m, "handshake from %s at %s refused: %s", lm_m_label(&cert->c, label),
			     lm_endpoint_format(&from->remote, at), lm_verdict_text(v));
		return NULL;
	}
	if (p == NULL)
		p = lm_m_peer_new(m, cert, LM_TRUSTED);
	else if (p->barred != LM_TRUSTED)
		lm_m_peer_cert(m, p, cert);
	return p != NULL && p->barred == LM_TRUSTED ? p : NULL;
}

static bool same_source(const struct session *a, const struct session *b)
{
	return lm_ip_equal(&a->path.remote.ip, &b->path.remote.ip);
}

/* How many half-open sessions of the peer come from where this one does. */
static unsigned company(const struct session *of)
{
	const struct session *s;
	unsigned n = 0;

	DL_FOREACH(of->peer->sessions, s)
	n += s->state == SESSION_HALF && same_source(s, of);
	return n;
}

/* What gives way to a newcomer: who shows no cookie displaces the like from his own address; who
 * does, one without, or else one from where most come from. The oldest of these. */
static struct session *displaced(const struct peer *p, const struct lm_path *from, bool proven)
{
	struct session *s, *most = NULL;

	DL_FOREACH(p->sessions, s)
	{
		if (s->state != SESSION_HALF)
			continue;
		if (!s->reply->proven &&
		    (proven || lm_ip_equal(&s->path.remote.ip, &from->remote.ip)))
			return s;
		if (proven && (most == NULL || company(s) > company(most)))
			most = s;
	}
	return most;
}

/* A peer may replace its own half-open sessions; nobody's flood takes those of others. */
static bool half_open_room(struct lm_mesh *m, struct peer *p, const struct lm_path *from,
			   bool proven, bool *ask)
{
	struct session *way;
	unsigned n;

	*ask = false;
	(void)lm_m_session_oldest(p, SESSION_HALF, &n);
	if (n < LM_M_HALF_OPEN_PEER && m->n_half_open < m->max_half_open)
		return true;
	m->count.half_open_full++;
	way = displaced(p, from, proven);
	*ask = way == NULL && n > 0 && !proven;
	if (way == NULL)
		return false;
	lm_m_session_free(m, way, 0);
	return true;
}

static bool answer(struct lm_mesh *m, struct session *s, struct lm_noise *noise,
		   const struct lm_path *to)
{
	uint8_t payload[LM_RESP_MAX], mac1_key[32], *msg = s->reply->msg;
	size_t room = LM_RESP_MAX - LM_RESP_NOISE_OFF - LM_NOISE_MSG2_OVERHEAD - 2 * LM_MAC_LEN;
	struct lm_noise_keys keys;
	size_t mac1_off;
	int n = lm_m_hello(m, s, payload, room, 0), rc;

	lm_msg_resp_header(msg, s->slot.spi, s->remote_spi);
	if (n < 0 || lm_noise_write(noise, payload, (size_t)n, msg + LM_RESP_NOISE_OFF) != 0)
		return false;
	mac1_off = LM_RESP_NOISE_OFF + LM_NOISE_MSG2_OVERHEAD + (size_t)n;
	lm_mac1_key(s->peer->x_public, mac1_key);
	lm_mac1(mac1_key, msg, LM_RESP_MACED, msg + mac1_off);
	memset(msg + mac1_off + LM_MAC_LEN, 0, LM_MAC_LEN);
	if (lm_noise_split(noise, &keys) != 0)
		return false;
	memcpy(s->send, keys.send, sizeof(s->send));
	memcpy(s->recv, keys.recv, sizeof(s->recv));
	memcpy(s->esp_root, keys.esp_root, sizeof(s->esp_root));
	explicit_bzero(&keys, sizeof(keys));
	s->reply->len = (uint16_t)(mac1_off + 2 * LM_MAC_LEN);
	s->reply->paths[s->reply->n_paths++] = *to;
	rc = lm_m_send(m, to, msg, s->reply->len);
	return rc == 0 || rc == -EINPROGRESS;
}

static bool replied(const struct reply *r, const struct lm_path *to)
{
	for (unsigned i = 0; i < r->n_paths; i++)
		if (lm_m_path_equal(&r->paths[i], to))
			return true;
	return false;
}

/* A copy of a message 1 that was answered, which came another way: the answer goes that way too,
 * still no more bytes than came. False: it is a replay, or late. */
static bool reply_again(struct lm_mesh *m, struct peer *p, const uint8_t e[32],
			const struct lm_path *from)
{
	struct session *s;

	DL_FOREACH(p->sessions, s)
	if (s->reply != NULL && memcmp(s->reply->ephemeral, e, LM_M_EPHEMERAL_LEN) == 0)
		break;
	if (s == NULL || s->reply->n_paths == LM_M_REPLIES || replied(s->reply, from))
		return false;
	s->reply->paths[s->reply->n_paths++] = *from;
	(void)lm_m_send(m, from, s->reply->msg, s->reply->len);
	return true;
}

void lm_m_reply_done(struct session *s, const struct lm_path *from)
{
	if (replied(s->reply, from))
		s->path = *from;
	lm_m_brief_free(s->peer->mesh, s->reply);
	s->reply = NULL;
}

static void half_open(struct lm_mesh *m, struct peer *p, const struct lm_path *from, bool proven,
		      struct lm_noise *noise, const struct lm_hello *h,
		      const struct shown_cert *cert)
{
	struct session *s = lm_m_session_new(m, p, SESSION_HALF);

	if (s == NULL)
		return;
	s->remote_spi = h->spi_base;
	s->lanes_in = h->lanes;
	s->path = *from;
	s->cert = lm_m_cert_keep(cert);
	s->reply = lm_m_brief_new(m);
	if (s->reply != NULL) {
		memcpy(s->reply->ephemeral, noise->re, sizeof(s->reply->ephemeral));
		s->reply->proven = proven;
	}
	if (s->cert == NULL || s->reply == NULL || !answer(m, s, noise, from))
		lm_m_session_free(m, s, 0);
}

/* A good message 1 of a peer. */
static void called(struct lm_mesh *m, struct peer *p, const struct lm_path *from, bool proven,
		   const struct lm_msg_init *in, struct lm_noise *noise, const struct lm_hello *h,
		   const struct shown_cert *cert)
{
	bool ask;

	if (seen(p, noise->re)) {
		m->count.replayed += !reply_again(m, p, noise->re, from);
	} else if (half_open_room(m, p, from, proven, &ask)) {
		if (remember(m, p, noise->re))
			half_open(m, p, from, proven, noise, h, cert);
	} else if (ask) {
		send_cookie(m, from, in);
	}
	lm_m_peer_check(p);
}

void lm_m_on_init(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len)
{
	uint8_t e[32], payload[LM_INIT_PAYLOAD_LEN];
	struct lm_msg_init in;
	struct lm_noise noise;
	struct lm_hello h;
	struct shown_cert cert;
	struct peer *p;
	bool proven;

	if (!admit(m, from, data, len, &in, &proven))
		return;
	m->count.dh++;
	m->ops.random(m->user, e, sizeof(e));
	lm_noise_init(&noise, false, m->id->x_secret, m->id->x_public, e, NULL, m->psk, m->prologue,
		      m->prologue_len);
	explicit_bzero(e, sizeof(e));
	if (lm_noise_read(&noise, in.noise, LM_INIT_NOISE_LEN, payload) != 0) {
		m->count.handshake_bad++;
	} else if (lm_hello_decode(payload, sizeof(payload), &h) != 0 ||
		   h.spi_base != in.sender_spi) {
		m->count.malformed++;
	} else {
		p = initiator_of(m, from, &noise, &h, &cert);
		if (p != NULL)
			called(m, p, from, proven, &in, &noise, &h, &cert);
	}
	lm_noise_wipe(&noise);
}
