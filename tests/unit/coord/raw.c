/* SPDX-License-Identifier: BSD-3-Clause */
#include "raw.h"

#include <stdio.h>
#include <stdlib.h>

#define need(cond)                                                                                 \
	do {                                                                                       \
		if (!(cond)) {                                                                     \
			fprintf(stderr, "raw: %s\n", #cond);                                       \
			abort();                                                                   \
		}                                                                                  \
	} while (0)

static void ephemeral(struct world *w, uint8_t e[32])
{
	for (unsigned i = 0; i < 32; i++)
		e[i] = (uint8_t)world_random(w);
}

static bool as_node(const struct raw *r)
{
	return r->site->client == NULL;
}

/* Gathers one record from what came; it stays in the pipe until the next call. */
static bool record(struct raw *r, uint8_t **rec, size_t *len)
{
	struct queue *q = as_node(r) ? &r->site->to_client : &r->site->to_server;
	const uint8_t *p = q->data;
	size_t left = q->len;
	int rc;

	lm_pipe_next(&r->pipe);
	if (left == 0)
		return false;
	rc = lm_pipe_gather(&r->pipe, &p, &left, LM_COORD_RECORD_MAX);
	if (left > 0)
		memmove(q->data, p, left);
	q->len = left;
	return rc == 1 && lm_pipe_record(&r->pipe, rec, len) == 0;
}

/* ------------------------------------------------------------------ node -- */

bool raw_connect(struct raw *r, struct site *s)
{
	struct world *w = s->w;
	struct tcp *t = calloc(1, sizeof(*t));

	need(t != NULL && s->client == NULL);
	memset(r, 0, sizeof(*r));
	r->site = s;
	t->next = w->tcps;
	w->tcps = t;
	t->site = s;
	s->to_client.len = 0;
	s->server_closed = false;
	t->conn = lm_coord_server_accept(w->server, w->now, &s->from, t);
	s->tcp = t;
	return t->conn != NULL;
}

void raw_hello(struct raw *r, const struct lm_identity *id, const uint8_t *cert, size_t len)
{
	struct world *w = r->site->w;
	uint8_t prologue[LM_COORD_PROLOGUE_MAX], e[32];
	size_t n = lm_coord_prologue(w->au.mesh, prologue);

	ephemeral(w, e);
	lm_noise_init(&r->ns, true, id->x_secret, id->x_public, e, w->server_id->x_public, NULL,
		      prologue, n);
	need(lm_noise_write(&r->ns, cert, len, r->hello) == 0);
	r->hello_len = LM_NOISE_MSG1_OVERHEAD + len;
}

void raw_send_hello(struct raw *r)
{
	uint8_t len[2] = {(uint8_t)(r->hello_len >> 8), (uint8_t)r->hello_len};

	raw_bytes(r, len, 2);
	raw_bytes(r, r->hello, r->hello_len);
}

bool raw_answered(struct raw *r)
{
	uint8_t payload[LM_EPOCH_LEN + 8], *rec;
	struct lm_noise_keys keys;
	struct lm_reader rd;
	size_t len;

	if (!record(r, &rec, &len) || len != LM_NOISE_MSG2_OVERHEAD + sizeof(payload) ||
	    lm_noise_read(&r->ns, rec, len, payload) < 0 || lm_noise_split(&r->ns, &keys) < 0)
		return false;
	lm_pipe_seal(&r->pipe, &keys);
	rd = lm_reader(payload, sizeof(payload));
	lm_r_copy(&rd, r->epoch, LM_EPOCH_LEN);
	r->revision = lm_r_u64(&rd);
	return true;
}

bool raw_join(struct raw *r, struct site *s)
{
	if (!raw_connect(r, s))
		return false;
	raw_hello(r, s->id, s->cert, s->cert_len);
	raw_send_hello(r);
	return raw_answered(r) && raw_is_open(r);
}

bool raw_is_open(const struct raw *r)
{
	if (as_node(r))
		return r->site->tcp != NULL && r->site->tcp->conn != NULL;
	return lm_coord_client_state(r->site->client) != LM_COORD_WAITING;
}

/* ----------------------------------------------------------- coordinator -- */

bool raw_serve(struct raw *r, struct site *s, const struct lm_identity *by,
	       const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	uint8_t prologue[LM_COORD_PROLOGUE_MAX], e[32], cert[LM_CERT_MAX], *rec;
	uint8_t payload[LM_EPOCH_LEN + 8], msg[LM_NOISE_MSG2_OVERHEAD + sizeof(payload)];
	const struct lm_identity *id = by ? by : s->w->server_id;
	struct lm_writer w = lm_writer(payload, sizeof(payload));
	size_t n = lm_coord_prologue(s->w->au.mesh, prologue), len;
	struct lm_noise_keys keys;

	memset(r, 0, sizeof(*r));
	r->site = s;
	s->to_server.len = s->to_client.len = 0;
	while (!s->want_connect) {
		s->w->now.mono = lm_coord_client_next(s->client);
		lm_coord_client_tick(s->client, s->w->now.mono);
	}
	s->want_connect = false;
	lm_coord_client_connected(s->client, s->w->now.mono);
	need(record(r, &rec, &len));
	ephemeral(s->w, e);
	lm_noise_init(&r->ns, false, id->x_secret, id->x_public, e, NULL, NULL, prologue, n);
	if (lm_noise_read(&r->ns, rec, len, cert) < 0) {
		/* not meant for this key: answer all the same, with a handshake of our own making
		 */
		memset(msg, 0x5a, sizeof(msg));
		need(lm_pipe_put_raw(&r->pipe, msg, sizeof(msg)) == 0);
		raw_bytes(r, r->pipe.out, r->pipe.out_len);
		return false;
	}
	lm_w_copy(&w, epoch, LM_EPOCH_LEN);
	lm_w_u64(&w, revision);
	need(lm_noise_write(&r->ns, payload, sizeof(payload), msg) == 0);
	need(lm_pipe_put_raw(&r->pipe, msg, sizeof(msg)) == 0);
	need(lm_noise_split(&r->ns, &keys) == 0);
	lm_pipe_seal(&r->pipe, &keys);
	raw_bytes(r, r->pipe.out + r->pipe.out_head, r->pipe.out_len);
	lm_pipe_sent(&r->pipe, r->pipe.out_len);
	return true;
}

/* ------------------------------------------------------------------ both -- */

void raw_bytes(struct raw *r, const uint8_t *data, size_t len)
{
	struct world *w = r->site->w;

	if (!raw_is_open(r))
		return;
	if (as_node(r))
		lm_coord_server_input(w->server, w->now, r->site->tcp->conn, data, len);
	else
		lm_coord_client_input(r->site->client, w->now.mono, data, len);
}

void raw_send(struct raw *r, const uint8_t *plain, size_t len)
{
	uint8_t *rec = malloc(2 + len + LM_TAG_LEN);
	size_t n = len + LM_TAG_LEN;

	need(rec != NULL);
	rec[0] = (uint8_t)(n >> 8);
	rec[1] = (uint8_t)n;
	lm_noise_seal(r->pipe.send_key, r->pipe.send_n++, NULL, 0, plain, len, rec + 2);
	raw_bytes(r, rec, 2 + n);
	free(rec);
}

void raw_say(struct raw *r, const struct lm_coord_msg *m)
{
	uint8_t *buf = malloc(LM_COORD_MSG_MAX);
	int n;

	need(buf != NULL);
	n = lm_coord_msg_encode(m, buf, LM_COORD_MSG_MAX);
	need(n > 0);
	raw_send(r, buf, (size_t)n);
	free(buf);
}

uint8_t raw_next(struct raw *r)
{
	uint8_t *rec;
	size_t len;

	if (!r->pipe.sealed || !record(r, &rec, &len))
		return 0;
	need(lm_coord_msg_decode(rec, len, &r->last) == 0);
	return r->last.type;
}

bool raw_expect(struct raw *r, uint8_t type)
{
	uint8_t t;

	while ((t = raw_next(r)) != 0)
		if (t == type)
			return true;
	return false;
}

void raw_close(struct raw *r)
{
	struct site *s = r->site;

	if (as_node(r) && s->tcp != NULL && s->tcp->conn != NULL) {
		lm_coord_server_closed(s->w->server, s->tcp->conn);
		s->tcp->conn = NULL;
	} else if (!as_node(r)) {
		lm_coord_client_closed(s->client, s->w->now.mono, "closed");
		s->want_connect = s->client_closed = false;
	}
	s->tcp = NULL;
	s->to_client.len = s->to_server.len = 0;
	lm_noise_wipe(&r->ns);
	lm_pipe_free(&r->pipe);
}
