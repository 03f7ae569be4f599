/* SPDX-License-Identifier: BSD-3-Clause */
/* Transport messages: frames under a session's Noise keys. */
#include "internal.h"

#include <stdlib.h>

/* A probe is as long as its answer can be, so that nobody is sent more than he sent. */
#define PROBE_PAD 17

static void send_frames(struct lm_mesh *m, struct session *s, const struct lm_path *to,
			const struct lm_writer *w)
{
	uint8_t msg[LM_CONTROL_MAX];
	size_t len = lm_w_len(w);

	if (w->bad || len > LM_FRAMES_MAX)
		return;
	lm_msg_transport_header(msg, s->remote_spi, s->counter);
	lm_noise_seal(s->send, s->counter, msg, LM_TRANSPORT_DATA_OFF, w->start, len,
		      msg + LM_TRANSPORT_DATA_OFF);
	s->counter++;
	(void)lm_m_send(m, to, msg, LM_TRANSPORT_OVERHEAD + len);
}

static void encode_pad(struct lm_writer *w, size_t body)
{
	lm_w_u8(w, LM_FRAME_PAD);
	lm_w_u16(w, (uint16_t)body);
	lm_w_zero(w, body);
}

void lm_m_send_frame(struct lm_mesh *m, struct session *s, const struct lm_path *to,
		     const struct lm_frame *f, size_t pad)
{
	uint8_t buf[LM_FRAMES_MAX];
	struct lm_writer w = lm_writer(buf, sizeof(buf));

	lm_frame_encode(&w, f);
	if (pad > 0)
		encode_pad(&w, pad);
	send_frames(m, s, to, &w);
}

void lm_m_probe(struct lm_mesh *m, struct session *s, struct path *r)
{
	struct probe *slot = &r->probes[r->next_probe];
	struct lm_frame f = {.type = LM_FRAME_PROBE};

	m->ops.random(m->user, &f.u.probe.token, sizeof(f.u.probe.token));
	r->next_probe = (uint8_t)((r->next_probe + 1) % LM_M_PROBES);
	*slot = (struct probe){.token = f.u.probe.token, .sent = m->now.mono};
	r->last_probe = m->now.mono;
	r->sent++;
	lm_m_send_frame(m, s, &r->path, &f, PROBE_PAD);
}

/* For what nobody has asked: where traffic goes, unless the peer seems to have left that. */
static const struct lm_path *usual_path(const struct session *s)
{
	const struct peer *p = s->peer;

	if (p->active == NULL)
		return &s->path;
	if (p->moved_to != NULL && p->active->asked != 0)
		return &p->moved_to->path;
	return &p->active->path;
}

void lm_m_close(struct lm_mesh *m, struct session *s, uint8_t reason)
{
	struct lm_frame f = {.type = LM_FRAME_CLOSE, .u.close.reason = reason};

	lm_m_send_frame(m, s, usual_path(s), &f, 0);
}

void lm_m_send_announcement(struct lm_mesh *m, struct session *s, const uint8_t *data, size_t len)
{
	struct lm_frame f = {.type = LM_FRAME_ANNOUNCEMENT, .u.announcement = {data, len}};

	lm_m_send_frame(m, s, usual_path(s), &f, 0);
}

static void reply(struct lm_mesh *m, struct session *s, uint64_t token, const struct lm_path *to)
{
	struct lm_frame f = {.type = LM_FRAME_PROBE_REPLY,
			     .u.reply = {.token = token, .observed = to->remote}};

	lm_m_send_frame(m, s, to, &f, 0);
}

/* The peer dropped the session. */
static void closed(struct lm_mesh *m, struct session *s, uint8_t reason)
{
	struct peer *p = s->peer;
	char label[LM_M_LABEL_LEN];
	lm_time wait = 0;

	if (reason == LM_CLOSE_UNTRUSTED) {
		lm_m_refusal(m, "%s does not trust our certificate (any more)",
			     lm_m_peer_label(p, label));
		wait = m->t.retry_max;
	} else if (reason != LM_CLOSE_SUPERSEDED) {
		wait = LM_SEC + lm_m_jitter(m, LM_SEC);
	}
	lm_m_session_free(m, s, 0);
	if (p->current == NULL)
		lm_m_connect(m, p, wait, true);
}

/* What a message says, read before anything is done about it. */
struct said {
	bool probe, replied, closed;
	uint64_t token, reply_token;
	struct lm_endpoint observed;
	uint8_t reason;
	const uint8_t *ann;
	size_t ann_len;
	struct lm_frame relay; /* type PAD: none */
};

/* Of each kind the first counts: one message is never worth more than one answer. */
static bool parse(const uint8_t *frames, size_t len, struct said *out)
{
	struct lm_reader r = lm_reader(frames, len);
	struct lm_frame f;
	int rc;

	*out = (struct said){0};
	while ((rc = lm_frame_next(&r, &f)) == 1) {
		if (f.type == LM_FRAME_PROBE && !out->probe) {
			out->probe = true;
			out->token = f.u.probe.token;
		} else if (f.type == LM_FRAME_PROBE_REPLY && !out->replied) {
			out->replied = true;
			out->reply_token = f.u.reply.token;
			out->observed = f.u.reply.observed;
		} else if (f.type == LM_FRAME_CLOSE && !out->closed) {
			out->closed = true;
			out->reason = f.u.close.reason;
		} else if (f.type == LM_FRAME_ANNOUNCEMENT && out->ann == NULL) {
			out->ann = f.u.announcement.data;
			out->ann_len = f.u.announcement.len;
		} else if (f.type >= LM_FRAME_RELAY_OPEN && out->relay.type == LM_FRAME_PAD) {
			out->relay = f;
		}
	}
	return rc == 0;
}

/* Authentic and new. *newest: no message of the session with a greater counter came before. */
static struct session *authentic(struct lm_mesh *m, const uint8_t *data, size_t len, uint8_t *plain,
				 size_t *plain_len, bool *newest)
{
	struct lm_msg_transport t;
	struct session *s;

	if (lm_msg_transport_decode(data, len, &t) != 0) {
		m->count.malformed++;
		return NULL;
	}
	s = lm_m_session_find(m, t.receiver_spi);
	if (s == NULL || s->state == SESSION_INIT) {
		m->count.unknown_session++;
		return NULL;
	}
	if (!lm_noise_window_ok(&s->window, t.counter)) {
		m->count.replayed++;
		return NULL;
	}
	if (lm_noise_open(s->recv, t.counter, data, LM_TRANSPORT_DATA_OFF, t.sealed, t.sealed_len,
			  plain) != 0) {
		m->count.transport_bad++;
		return NULL;
	}
	*newest = t.counter >= s->window.top;
	lm_noise_window_commit(&s->window, t.counter);
	*plain_len = t.sealed_len - LM_TAG_LEN;
	return s;
}

void lm_m_on_transport(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data,
		       size_t len)
{
	uint8_t plain[LM_CONTROL_MAX];
	struct session *s;
	struct path *r;
	struct said said;
	size_t plain_len;
	bool newest;

	s = authentic(m, data, len, plain, &plain_len, &newest);
	if (s == NULL)
		return;
	if (!parse(plain, plain_len, &said)) {
		m->count.malformed++;
		return;
	}
	if (said.closed) {
		closed(m, s, said.reason);
		return;
	}
	if (s->state == SESSION_HALF)
		lm_m_reply_done(s, from);
	if ((s->state == SESSION_HALF || s->state == SESSION_CONFIRM) &&
	    !lm_m_session_confirm(m, s))
		return;
	lm_m_heard(m, s->peer, m->now.mono);
	r = lm_m_path_find(s->peer, from);
	if (r != NULL)
		r->last_rx = m->now.mono;
	if (said.probe)
		reply(m, s, said.token, from);
	if (said.replied)
		lm_m_probe_answered(m, s->peer, said.reply_token, from, &said.observed);
	/* An answer goes back where the question came from, which says nothing of where the
	 * peer wants to be reached. */
	else if (newest)
		lm_m_roam(m, s->peer, from, false);
	if (said.ann != NULL)
		(void)lm_m_announcement(m, said.ann, said.ann_len, s);
	if (said.relay.type != LM_FRAME_PAD)
		lm_m_relay_frame(m, s, from, &said.relay);
}
