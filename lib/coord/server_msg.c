/* SPDX-License-Identifier: BSD-3-Clause */
/* What a node says to the coordinator, and what it is told. */
#include <errno.h>
#include <stdlib.h>

#include "server.h"

/* ------------------------------------------------------------- handshake -- */

static void handshake_bad(struct lm_coord_conn *c, lm_time now, const char *why)
{
	c->server->n.handshake_bad++;
	server_note(c->server, now, &c->from, NULL, why);
	conn_end(c, 0, why);
}

/* Message 2. A node that is refused gets it too, with no position in it, so that the reason can
 * follow under its cover. */
static bool answer(struct lm_coord_conn *c, struct lm_noise *ns, bool refused)
{
	uint8_t payload[LM_EPOCH_LEN + 8] = {0};
	uint8_t msg[LM_NOISE_MSG2_OVERHEAD + sizeof(payload)];
	struct lm_writer w = lm_writer(payload, sizeof(payload));
	struct lm_noise_keys keys;

	if (!refused) {
		lm_w_copy(&w, c->server->epoch, LM_EPOCH_LEN);
		lm_w_u64(&w, c->server->revision);
	}
	if (lm_noise_write(ns, payload, sizeof(payload), msg) < 0 ||
	    lm_pipe_put_raw(&c->pipe, msg, sizeof(msg)) < 0 || lm_noise_split(ns, &keys) < 0)
		return false;
	lm_pipe_seal(&c->pipe, &keys);
	return true;
}

static bool take_cert(struct lm_coord_conn *c, const struct lm_cert *cert, const uint8_t *bytes,
		      size_t len)
{
	c->cert = malloc(sizeof(*cert));
	c->cert_bytes = malloc(len);
	if (c->cert == NULL || c->cert_bytes == NULL)
		return false;
	*c->cert = *cert;
	memcpy(c->cert_bytes, bytes, len);
	c->cert_len = len;
	memcpy(c->node, cert->node, LM_KEY_LEN);
	return true;
}

static void admit(struct lm_coord_conn *c, struct lm_now now, struct lm_noise *ns,
		  const uint8_t *bytes, size_t len)
{
	struct lm_coord_server *s = c->server;
	struct lm_cert cert;
	uint8_t x[LM_KEY_LEN];
	enum lm_verdict v;

	v = lm_cert_check(bytes, len, &s->cfg.authorities, &s->lists, now.wall, &cert);
	if (v == LM_BAD_ENCODING) {
		s->n.cert_refused[v]++;
		handshake_bad(c, now.mono, lm_verdict_text(v));
		return;
	}
	if (lm_identity_x_public(cert.node, x) < 0 || memcmp(x, ns->rs, LM_KEY_LEN) != 0) {
		handshake_bad(c, now.mono, "certificate of another node than the one that speaks");
		return;
	}
	if (!answer(c, ns, v != LM_TRUSTED) ||
	    (v == LM_TRUSTED && !take_cert(c, &cert, bytes, len))) {
		handshake_bad(c, now.mono, "handshake cannot be answered");
		return;
	}
	if (v != LM_TRUSTED) {
		s->n.cert_refused[v]++;
		server_note(s, now.mono, &c->from, &cert, lm_verdict_text(v));
		conn_end(c, LM_COORD_E_CERT, lm_verdict_text(v));
		return;
	}
	c->step = CONN_UNCONFIRMED;
	conn_flush(c, now.mono);
}

void conn_handshake(struct lm_coord_conn *c, struct lm_now now, const uint8_t *msg, size_t len)
{
	const struct lm_identity *id = c->server->cfg.id;
	uint8_t cert[LM_CERT_MAX], e[32];
	struct lm_noise ns;

	if (len <= LM_NOISE_MSG1_OVERHEAD || len > LM_NOISE_MSG1_OVERHEAD + LM_CERT_MAX) {
		handshake_bad(c, now.mono, "not a handshake");
		return;
	}
	c->server->ops->random(c->server->user, e, sizeof(e));
	lm_noise_init(&ns, false, id->x_secret, id->x_public, e, NULL, NULL, c->server->prologue,
		      c->server->prologue_len);
	explicit_bzero(e, sizeof(e));
	if (lm_noise_read(&ns, msg, len, cert) < 0)
		handshake_bad(c, now.mono, "handshake not for this coordinator and mesh");
	else
		admit(c, now, &ns, cert, len - LM_NOISE_MSG1_OVERHEAD);
	lm_noise_wipe(&ns);
}

/* -------------------------------------------------------------- messages -- */

static void refuse(struct lm_coord_conn *c, lm_time now, unsigned code, const char *why)
{
	server_note(c->server, now, &c->from, c->cert, why);
	if (code == LM_COORD_E_PROTOCOL)
		c->server->n.protocol_bad++;
	else if (code == LM_COORD_E_LIMIT)
		c->server->n.limited++;
	conn_end(c, code, why);
}

static bool write_allowed(struct lm_coord_conn *c, lm_time now)
{
	const struct lm_coord_limits *l = &c->server->cfg.limits;

	c->tokens += (double)(now - c->tokens_at) / (double)LM_SEC * l->write_rate;
	c->tokens_at = now;
	if (c->tokens > l->write_burst)
		c->tokens = l->write_burst;
	if (c->tokens < 1) {
		refuse(c, now, LM_COORD_E_LIMIT, "too many messages");
		return false;
	}
	c->tokens -= 1;
	return true;
}

static void published(struct lm_coord_conn *c, lm_time now, uint64_t sequence)
{
	conn_put(c, now, &(struct lm_coord_msg){.type = LM_COORD_PUBLISHED, .number = sequence});
}

enum news { NEWER, SAME, OLDER, CONFLICT };

/* What is this record of the node's, against the newest that we have or are about to have? */
static enum news compare(const struct item *have, const struct lm_coord_conn *c,
			 const struct lm_announcement *ann, const uint8_t *data, size_t len)
{
	if (have == NULL || have->kind != LM_COORD_ITEM_NODE || ann->sequence > have->number)
		return NEWER;
	if (ann->sequence < have->number)
		return OLDER;
	if (len != have->ann_len || memcmp(data, have->bytes + have->cert_len, len) != 0)
		return CONFLICT;
	if (c->cert->not_before > have->not_before ||
	    (c->cert->not_before == have->not_before && c->cert->serial > have->serial))
		return NEWER; /* the same announcement under a renewed certificate */
	return SAME;
}

static void publish_new(struct lm_coord_conn *c, lm_time now, uint64_t sequence,
			const uint8_t *data, size_t len, bool known)
{
	struct lm_coord_server *s = c->server;
	struct lm_coord_item from = {.kind = LM_COORD_ITEM_NODE,
				     .cert = c->cert_bytes,
				     .cert_len = c->cert_len,
				     .ann = data,
				     .ann_len = len};
	struct item *it;

	if (!known && s->n_nodes + HASH_COUNT(s->pending) >= s->cfg.limits.nodes) {
		refuse(c, now, LM_COORD_E_LIMIT, "the directory is full");
		return;
	}
	memcpy(from.key, c->node, LM_KEY_LEN);
	it = item_new(&from);
	if (it == NULL || write_queue(s, it, false, now) < 0) {
		refuse(c, now, LM_COORD_E_LIMIT, "no memory");
		return;
	}
	c->awaits = sequence;
}

static void on_publish(struct lm_coord_conn *c, struct lm_now now, const struct lm_coord_msg *m)
{
	struct lm_coord_server *s = c->server;
	struct item *queued = write_pending(s, false, c->node);
	struct item *have = item_find(s->items, false, c->node);
	struct lm_announcement ann;
	enum lm_verdict v;

	if (!write_allowed(c, now.mono))
		return;
	v = lm_announcement_check(m->data, m->data_len, c->cert, &ann);
	if (v != LM_TRUSTED) {
		s->n.record_refused[v]++;
		refuse(c, now.mono, LM_COORD_E_RECORD, lm_verdict_text(v));
		return;
	}
	switch (compare(queued ? queued : have, c, &ann, m->data, m->data_len)) {
	case NEWER:
		publish_new(c, now.mono, ann.sequence, m->data, m->data_len,
			    queued || (have && have->kind == LM_COORD_ITEM_NODE));
		return;
	case OLDER: /* it learns from the number that we hold a newer one of its own */
	case SAME:
		s->n.unchanged++;
		if (queued != NULL)
			c->awaits = queued->number; /* not durable yet */
		else
			published(c, now.mono, have->number);
		return;
	case CONFLICT:
		s->n.record_refused[LM_OLDER]++;
		/* The node has lost its memory, perhaps of everything: the listing that it asked
		 * for has the other one, and says whom else to ask. */
		conn_fill(c);
		refuse(c, now.mono, LM_COORD_E_RECORD,
		       "another announcement with this sequence is known already");
		return;
	}
}

static void on_revocation(struct lm_coord_conn *c, struct lm_now now, const struct lm_coord_msg *m)
{
	enum lm_verdict v;

	if (!write_allowed(c, now.mono))
		return;
	v = write_revocation(c->server, now, m->data, m->data_len);
	if (v == LM_TRUSTED || v == LM_OLDER) /* the node gets the newer one by itself */
		return;
	c->server->n.record_refused[v]++;
	if (!c->dead)
		refuse(c, now.mono, LM_COORD_E_RECORD, lm_verdict_text(v));
}

static void on_sync(struct lm_coord_conn *c, lm_time now, const struct lm_coord_msg *m)
{
	struct lm_coord_server *s = c->server;
	bool delta = memcmp(m->epoch, s->epoch, LM_EPOCH_LEN) == 0 && m->revision <= s->revision;

	if (c->subscribed) {
		refuse(c, now, LM_COORD_E_PROTOCOL, "a second SYNC");
		return;
	}
	if (delta)
		s->n.sync_delta++;
	else
		s->n.sync_full++;
	c->subscribed = true;
	c->full = !delta;
	c->cursor = delta ? m->revision : 0;
}

/* The first sealed record: message 1 was no replay. Now, not before, it may replace another
 * connection of the same node. */
static bool confirm(struct lm_coord_conn *c, lm_time now)
{
	struct lm_coord_server *s = c->server;
	struct lm_coord_conn *old;

	HASH_FIND(hh, s->nodes, c->node, LM_KEY_LEN, old);
	if (old != NULL) {
		s->n.replaced++;
		conn_end(old, LM_COORD_E_REPLACED, "the node has connected again");
	}
	HASH_ADD(hh, s->nodes, node, LM_KEY_LEN, c);
	if (c->hh.tbl == NULL) {
		refuse(c, now, LM_COORD_E_LIMIT, "no memory");
		return false;
	}
	DL_DELETE(s->half, c);
	s->n_half--;
	DL_APPEND(s->live, c);
	c->step = CONN_LIVE;
	c->tokens = s->cfg.limits.write_burst;
	c->signals = s->cfg.limits.signal_burst;
	c->tokens_at = c->signals_at = now;
	return true;
}

void conn_message(struct lm_coord_conn *c, struct lm_now now, const uint8_t *rec, size_t len)
{
	struct lm_coord_msg m;
	int rc;

	if (c->step == CONN_UNCONFIRMED && !confirm(c, now.mono))
		return;
	rc = lm_coord_msg_decode(rec, len, &m);
	if (rc == -EOPNOTSUPP)
		return; /* of a later version; not for us */
	if (rc < 0) {
		refuse(c, now.mono, LM_COORD_E_PROTOCOL, "a malformed message");
		return;
	}
	switch (m.type) {
	case LM_COORD_PUBLISH:
		on_publish(c, now, &m);
		break;
	case LM_COORD_SYNC:
		on_sync(c, now.mono, &m);
		break;
	case LM_COORD_REVOCATION:
		on_revocation(c, now, &m);
		break;
	case LM_COORD_PING:
		conn_put(c, now.mono,
			 &(struct lm_coord_msg){.type = LM_COORD_PONG, .number = m.number});
		break;
	case LM_COORD_PONG:
		break;
	case LM_COORD_SIGNAL:
		conn_signal(c, now.mono, &m);
		break;
	default:
		refuse(c, now.mono, LM_COORD_E_PROTOCOL, "a message that only coordinators send");
	}
}

/* --------------------------------------------------------------- listing -- */

static int put_item(struct lm_coord_conn *c, const struct item *it)
{
	struct lm_coord_msg m = {
	    .revision = it->revision, .data = it->bytes + it->cert_len, .data_len = it->ann_len};

	switch (it->kind) {
	case LM_COORD_ITEM_NODE:
		m.type = LM_COORD_RECORD;
		m.cert = it->bytes;
		m.cert_len = it->cert_len;
		break;
	case LM_COORD_ITEM_GONE:
		if (c->full)
			return 0; /* it has never heard of the node */
		m.type = LM_COORD_REMOVED;
		memcpy(m.node, it->id.key, LM_KEY_LEN);
		break;
	default:
		m.type = LM_COORD_REVOCATION;
	}
	return lm_pipe_put(&c->pipe, &m);
}

void conn_fill(struct lm_coord_conn *c)
{
	struct lm_coord_server *s = c->server;
	struct lm_coord_msg m = {.type = LM_COORD_SYNCED, .revision = s->revision};
	struct item *it = NULL;

	while (c->subscribed && c->pipe.out_len < s->cfg.limits.output / 2) {
		it = dir_after(s, c->cursor);
		if (it == NULL)
			break;
		if (put_item(c, it) < 0)
			return; /* no memory now; the cursor stays, the next fill goes on */
		c->cursor = it->revision;
	}
	if (!c->subscribed || c->synced || it != NULL)
		return;
	memcpy(m.epoch, s->epoch, LM_EPOCH_LEN);
	if (c->pipe.out_len < s->cfg.limits.output && lm_pipe_put(&c->pipe, &m) == 0) {
		c->synced = true;
		c->full = false;
		c->cursor = s->revision;
	}
}
