/* SPDX-License-Identifier: BSD-3-Clause */
#include "world.h"

#include <lanemesh/crypto.h>
#include <stdio.h>
#include <stdlib.h>

uint64_t world_random(struct world *w)
{
	uint64_t z = w->rng += 0x9e3779b97f4a7c15u; /* splitmix64 */

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
	z = (z ^ z >> 27) * 0x94d049bb133111ebu;
	return z ^ z >> 31;
}

static void fill_random(struct world *w, void *out, size_t len)
{
	uint8_t *p = out;

	for (size_t i = 0; i < len; i++)
		p[i] = (uint8_t)world_random(w);
}

static void need(bool ok, const char *what)
{
	if (ok)
		return;
	fprintf(stderr, "world: %s\n", what);
	abort();
}

static void queue_put(struct queue *q, const uint8_t *data, size_t len)
{
	if (q->len + len > q->cap) {
		q->cap = (q->len + len) * 2;
		q->data = realloc(q->data, q->cap);
		need(q->data != NULL, "memory");
	}
	memcpy(q->data + q->len, data, len);
	q->len += len;
}

/* --------------------------------------------------------- client's side */

static void c_connect(void *user)
{
	struct site *s = user;

	s->want_connect = true;
}

static void c_close(void *user)
{
	struct site *s = user;

	s->want_connect = false;
	s->client_closed = s->tcp != NULL;
}

static void c_output(void *user)
{
	struct site *s = user;
	const uint8_t *p;
	size_t len;

	while ((p = lm_coord_client_output(s->client, &len)) != NULL) {
		queue_put(&s->to_server, p, len);
		lm_coord_client_sent(s->client, len);
	}
}

static void c_random(void *user, void *out, size_t len)
{
	fill_random(((struct site *)user)->w, out, len);
}

/* As the daemon does it: only what is good goes into the directory. */
static void c_record(void *user, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		     size_t ann_len)
{
	struct site *s = user;
	struct lm_announcement a;
	struct lm_cert c;

	s->records++;
	if (lm_cert_check(cert, cert_len, &s->w->au, NULL, s->w->now.wall, &c) != LM_TRUSTED ||
	    lm_announcement_check(ann, ann_len, &c, &a) != LM_TRUSTED)
		return;
	need(lm_directory_put(s->dir, s->source, cert, cert_len, ann, ann_len) == 0, "put");
}

static void c_removed(void *user, const uint8_t node[LM_KEY_LEN])
{
	struct site *s = user;

	s->removed += lm_directory_unlist(s->dir, s->source, node);
}

static void c_revocation(void *user, const uint8_t *data, size_t len)
{
	struct site *s = user;

	s->lists++;
	need(lm_directory_put_revocation(s->dir, data, len) == 0, "put list");
}

static void c_resync(void *user)
{
	struct site *s = user;

	s->resyncs++;
	lm_directory_resync(s->dir, s->source);
}

static void c_gone(void *user, const uint8_t node[LM_KEY_LEN])
{
	(void)node;
	((struct site *)user)->removed++;
}

static void c_synced(void *user, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	struct site *s = user;

	s->synceds++;
	lm_directory_synced(s->dir, s->source, epoch, revision, c_gone, s);
}

static void c_published(void *user, uint64_t sequence)
{
	struct site *s = user;

	s->publisheds++;
	s->published = sequence;
}

static void c_signalled(void *user, const uint8_t node[LM_KEY_LEN], uint64_t token)
{
	struct site *s = user;

	s->signals++;
	s->token = token;
	memcpy(s->signaller, node, LM_KEY_LEN);
	if (s->echo)
		need(lm_coord_client_signal(s->client, node, token + 1) == 0, "signal back");
}

static void c_state(void *user, enum lm_coord_state st, const char *why)
{
	struct site *s = user;

	(void)st;
	if (why != NULL)
		snprintf(s->why, sizeof(s->why), "%s", why);
}

static const struct lm_coord_client_ops client_ops = {
    .connect = c_connect,
    .close = c_close,
    .output = c_output,
    .random = c_random,
    .record = c_record,
    .removed = c_removed,
    .revocation = c_revocation,
    .resync = c_resync,
    .synced = c_synced,
    .published = c_published,
    .signalled = c_signalled,
    .state = c_state,
};

/* --------------------------------------------------------- server's side */

static void s_output(void *user, void *conn_user)
{
	struct world *w = user;
	struct tcp *t = conn_user;
	const uint8_t *p;
	size_t len;

	if (t->site->tcp != t || t->site->hold_down)
		return;
	while ((p = lm_coord_conn_output(t->conn, &len)) != NULL) {
		queue_put(&t->site->to_client, p, len);
		lm_coord_conn_sent(t->conn, w->now.mono, len);
	}
}

static void s_close(void *user, void *conn_user, const uint8_t *last, size_t len)
{
	struct tcp *t = conn_user;

	(void)user;
	t->conn = NULL;
	if (t->site->tcp != t)
		return;
	if (len > 0 && !t->site->hold_down)
		queue_put(&t->site->to_client, last, len);
	t->site->server_closed = true;
}

static void s_random(void *user, void *out, size_t len)
{
	fill_random(user, out, len);
}

static const struct lm_coord_server_ops server_ops = {
    .output = s_output, .close = s_close, .random = s_random};

static void sink(void *user, enum lm_log_level level, const char *line)
{
	struct world *w = user;
	int n = snprintf(w->log + w->log_len, sizeof(w->log) - w->log_len, "%s: %s\n",
			 lm_log_level_name(level), line);

	if (n > 0 && w->log_len + (size_t)n < sizeof(w->log))
		w->log_len += (size_t)n;
}

bool world_logged(const struct world *w, const char *text)
{
	return strstr(w->log, text) != NULL;
}

/* ----------------------------------------------------------------- world */

void world_server_start(struct world *w)
{
	struct lm_coord_server_config cfg = {.id = w->server_id,
					     .authorities = w->au,
					     .limits = w->limits,
					     .record_ttl = w->ttl,
					     .store = mem_store_ops(w->store),
					     .log = &w->sink};
	struct lm_error err;

	w->server = lm_coord_server_new(&cfg, &server_ops, w, w->now, &err);
	need(w->server != NULL, err.text);
	w->refuse = false;
}

void world_server_kill(struct world *w)
{
	for (struct tcp *t = w->tcps; t != NULL; t = t->next) {
		if (t->conn == NULL)
			continue;
		lm_coord_server_closed(w->server, t->conn);
		t->conn = NULL;
		if (t->site->tcp != t)
			continue;
		t->site->server_closed = true;
		t->site->to_client.len = 0;
	}
	lm_coord_server_free(w->server);
	w->server = NULL;
	w->refuse = true;
}

struct world *world_new(void)
{
	return world_new_at(WORLD_EPOCH);
}

struct world *world_new_at(int64_t wall)
{
	struct world *w = calloc(1, sizeof(*w));
	uint8_t seed[32], epoch[LM_EPOCH_LEN];

	need(w != NULL && lm_crypto_init() == 0, "start");
	w->now.wall = wall;
	w->rng = 1;
	fill_random(w, seed, sizeof(seed));
	w->authority = lm_identity_from_seed(seed);
	fill_random(w, seed, sizeof(seed));
	w->other = lm_identity_from_seed(seed);
	fill_random(w, seed, sizeof(seed));
	w->server_id = lm_identity_from_seed(seed);
	need(w->authority && w->other && w->server_id, "keys");
	strcpy(w->au.mesh, "test");
	w->au.n = 1;
	memcpy(w->au.keys[0], w->authority->ed_public, LM_KEY_LEN);
	lm_coord_limits_default(&w->limits);
	w->sink = (struct lm_log){.level = LM_LOG_DEBUG, .sink = sink, .user = w};
	fill_random(w, epoch, sizeof(epoch));
	w->store = mem_store_new(epoch);
	world_server_start(w);
	return w;
}

static void site_free(struct site *s)
{
	lm_coord_client_free(s->client);
	lm_directory_free(s->dir);
	lm_identity_free(s->id);
	free(s->to_server.data);
	free(s->to_client.data);
	free(s);
}

void world_free(struct world *w)
{
	lm_coord_server_free(w->server);
	for (unsigned i = 0; i < w->n_sites; i++)
		site_free(w->sites[i]);
	while (w->tcps != NULL) {
		struct tcp *t = w->tcps;

		w->tcps = t->next;
		free(t);
	}
	mem_store_free(w->store);
	lm_identity_free(w->authority);
	lm_identity_free(w->other);
	lm_identity_free(w->server_id);
	free(w);
}

struct site *site_new(struct world *w, bool start)
{
	struct site *s = calloc(1, sizeof(*s));
	uint8_t seed[32];
	char text[32];

	need(s != NULL && w->n_sites < WORLD_SITES, "sites");
	s->w = w;
	s->number = ++w->n_sites;
	w->sites[s->number - 1] = s;
	fill_random(w, seed, sizeof(seed));
	s->id = lm_identity_from_seed(seed);
	s->dir = lm_directory_new(1000);
	need(s->id != NULL && s->dir != NULL, "site");
	s->source = lm_directory_source(s->dir, w->server_id->ed_public);
	need(s->source >= 0, "source");
	memcpy(s->cert_fields.node, s->id->ed_public, LM_KEY_LEN);
	s->cert_fields.serial = s->number;
	s->cert_fields.not_before = w->now.wall - 86400;
	s->cert_fields.not_after = w->now.wall + WORLD_VALID;
	strcpy(s->cert_fields.mesh, "test");
	snprintf(s->cert_fields.name, sizeof(s->cert_fields.name), "site%u", s->number);
	s->cert_fields.n_prefixes = 1;
	snprintf(text, sizeof(text), "10.%u.0.0/24", s->number);
	need(lm_prefix_parse(text, &s->cert_fields.prefixes[0]) == 0, text);
	snprintf(text, sizeof(text), "192.0.2.%u:1000", s->number);
	need(lm_endpoint_parse(text, 0, &s->from) == 0, text);
	site_certify(s, NULL);
	if (start)
		site_start(s);
	return s;
}

void site_certify(struct site *s, const struct lm_identity *by)
{
	const struct lm_identity *a = by ? by : s->w->authority;
	struct lm_error err;
	int n;

	memcpy(s->cert_fields.issuer, a->ed_public, LM_KEY_LEN);
	n = lm_cert_sign(a, &s->cert_fields, s->cert, sizeof(s->cert), &err);
	need(n > 0, err.text);
	s->cert_len = (size_t)n;
}

void site_start(struct site *s)
{
	struct lm_coord_client_config cfg = {.id = s->id,
					     .cert = s->cert,
					     .cert_len = s->cert_len,
					     .mesh = "test",
					     .name = "c1",
					     .log = &s->w->sink};
	struct lm_error err;

	memcpy(cfg.server_key, s->w->server_id->ed_public, LM_KEY_LEN);
	lm_directory_position(s->dir, s->source, cfg.epoch, &cfg.revision);
	s->client = lm_coord_client_new(&cfg, &client_ops, s, &err);
	need(s->client != NULL, err.text);
}

void site_stop(struct site *s)
{
	lm_coord_client_free(s->client);
	s->client = NULL;
	s->want_connect = false;
	s->client_closed = s->tcp != NULL;
}

size_t site_announcement(struct site *s, uint64_t sequence, uint8_t *buf)
{
	struct lm_announcement a = {.sequence = sequence, .mesh = "test", .lanes = 1};
	struct lm_error err;
	int n;

	memcpy(a.node, s->id->ed_public, LM_KEY_LEN);
	a.n_prefixes = s->cert_fields.n_prefixes;
	memcpy(a.prefixes, s->cert_fields.prefixes, sizeof(a.prefixes));
	a.n_endpoints = 1;
	a.endpoints[0].kind = LM_EP_HOST;
	a.endpoints[0].ep = s->from;
	n = lm_announcement_sign(s->id, &a, buf, LM_ANNOUNCE_MAX, &err);
	need(n > 0, err.text);
	return (size_t)n;
}

void site_publish(struct site *s, uint64_t sequence)
{
	uint8_t buf[LM_ANNOUNCE_MAX];
	size_t n = site_announcement(s, sequence, buf);

	need(lm_coord_client_publish(s->client, s->w->now.mono, buf, n) == 0, "publish");
}

bool site_knows(struct site *s, const struct site *other, uint64_t sequence)
{
	struct lm_directory_record r;

	return lm_directory_get(s->dir, other->id->ed_public, &r) && r.sequence == sequence;
}

static int by_key(const void *a, const void *b)
{
	return memcmp(a, b, LM_KEY_LEN);
}

size_t world_list(struct world *w, uint64_t number, struct site *const *revoked, size_t n,
		  uint8_t *buf, size_t cap)
{
	struct lm_revocation r = {.mesh = "test", .number = number, .n_nodes = (uint32_t)n};
	uint8_t nodes[WORLD_SITES][LM_KEY_LEN];
	struct lm_error err;
	int len;

	memcpy(r.issuer, w->authority->ed_public, LM_KEY_LEN);
	r.issued = w->now.wall;
	r.next_update = w->now.wall + 86400;
	for (size_t i = 0; i < n; i++)
		memcpy(nodes[i], revoked[i]->id->ed_public, LM_KEY_LEN);
	qsort(nodes, n, LM_KEY_LEN, by_key);
	r.nodes = nodes[0];
	len = lm_revocation_sign(w->authority, &r, buf, cap, &err);
	need(len > 0, err.text);
	return (size_t)len;
}

/* ------------------------------------------------------------------ move */

static void drop_tcp(struct site *s)
{
	s->tcp = NULL;
	s->client_closed = s->server_closed = s->cut = false;
	s->to_server.len = s->to_client.len = 0;
}

static void do_connect(struct site *s)
{
	struct world *w = s->w;
	struct tcp *t;

	s->want_connect = false;
	drop_tcp(s);
	if (w->server != NULL && !w->refuse) {
		t = calloc(1, sizeof(*t));
		need(t != NULL, "memory");
		t->next = w->tcps;
		w->tcps = t;
		t->site = s;
		t->conn = lm_coord_server_accept(w->server, w->now, &s->from, t);
		s->tcp = t->conn != NULL ? t : NULL;
	}
	if (s->tcp == NULL)
		lm_coord_client_closed(s->client, w->now.mono, "connection refused");
	else
		lm_coord_client_connected(s->client, w->now.mono);
}

/* Bytes in pieces of odd sizes, so that records are cut everywhere. */
static bool deliver(struct site *s)
{
	struct world *w = s->w;
	struct queue q;
	bool moved = false;

	if (s->to_server.len > 0) {
		q = s->to_server;
		s->to_server = (struct queue){0};
		for (size_t at = 0; at < q.len && s->tcp->conn != NULL;) {
			size_t n = 1 + world_random(w) % 700;

			n = n < q.len - at ? n : q.len - at;
			lm_coord_server_input(w->server, w->now, s->tcp->conn, q.data + at, n);
			at += n;
		}
		free(q.data);
		moved = true;
	}
	if (s->to_client.len > 0) {
		q = s->to_client;
		s->to_client = (struct queue){0};
		for (size_t at = 0; at < q.len && s->client != NULL && !s->client_closed;) {
			size_t n = 1 + world_random(w) % 1400;

			n = n < q.len - at ? n : q.len - at;
			lm_coord_client_input(s->client, w->now.mono, q.data + at, n);
			at += n;
		}
		free(q.data);
		moved = true;
	}
	return moved;
}

static bool move(struct site *s)
{
	struct world *w = s->w;

	if (s->client_closed) {
		if (s->tcp->conn != NULL && !s->cut) {
			lm_coord_server_closed(w->server, s->tcp->conn);
			s->tcp->conn = NULL;
		}
		drop_tcp(s);
		return true;
	}
	if (s->cut) {
		s->to_server.len = s->to_client.len = 0;
		s->server_closed = false;
	}
	if (s->tcp != NULL && deliver(s))
		return true;
	if (s->server_closed) {
		drop_tcp(s);
		if (s->client != NULL)
			lm_coord_client_closed(s->client, w->now.mono, "closed");
		return true;
	}
	if (s->want_connect) {
		do_connect(s);
		return true;
	}
	return false;
}

void world_pump(struct world *w)
{
	bool moved = true;

	for (unsigned rounds = 0; moved; rounds++) {
		need(rounds < 100000, "the pump never comes to rest");
		moved = false;
		for (unsigned i = 0; i < w->n_sites; i++)
			moved |= move(w->sites[i]);
		if (w->server != NULL && lm_coord_server_next(w->server) <= w->now.mono) {
			lm_coord_server_tick(w->server, w->now);
			moved = true;
		}
		for (unsigned i = 0; i < w->n_sites; i++) {
			struct site *s = w->sites[i];

			if (s->client == NULL || lm_coord_client_next(s->client) > w->now.mono)
				continue;
			lm_coord_client_tick(s->client, w->now.mono);
			moved = true;
		}
	}
}

void world_run(struct world *w, lm_time span)
{
	lm_time end = w->now.mono + span;

	for (;;) {
		lm_time next = end;

		world_pump(w);
		if (w->server != NULL && lm_coord_server_next(w->server) < next)
			next = lm_coord_server_next(w->server);
		for (unsigned i = 0; i < w->n_sites; i++) {
			struct site *s = w->sites[i];

			if (s->client != NULL && lm_coord_client_next(s->client) < next)
				next = lm_coord_client_next(s->client);
		}
		if (w->now.mono >= end)
			return;
		w->now.wall += (int64_t)(next / LM_SEC) - (int64_t)(w->now.mono / LM_SEC);
		w->now.mono = next;
	}
}
