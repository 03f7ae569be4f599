/* SPDX-License-Identifier: BSD-3-Clause */
/* The coordinator's connections: accepted, fed, timed, ended. */
#include <errno.h>
#include <stdlib.h>

#include "server.h"

#define LOG_RATE  5
#define LOG_BURST 20

void lm_coord_limits_default(struct lm_coord_limits *l)
{
	*l = (struct lm_coord_limits){.nodes = 10000,
				      .gone = 10000,
				      .connections = 10000,
				      .half_open = 1024,
				      .connections_from = 256,
				      .handshake_rate = 50,
				      .handshake_burst = 200,
				      .write_rate = 10,
				      .write_burst = 20,
				      .signal_rate = 100,
				      .signal_burst = 1000,
				      .pair_rate = 1,
				      .pair_burst = 3,
				      .handshake = 5 * LM_SEC,
				      .idle = 60 * LM_SEC,
				      .stall = 30 * LM_SEC,
				      .output = 256 * 1024};
}

struct lm_coord_server *lm_coord_server_new(const struct lm_coord_server_config *cfg,
					    const struct lm_coord_server_ops *ops, void *user,
					    struct lm_now now, struct lm_error *err)
{
	struct lm_coord_server *s = calloc(1, sizeof(*s));
	uint8_t key[16];

	if (s == NULL) {
		lm_error_set(err, ENOMEM, "no memory for a coordinator");
		return NULL;
	}
	s->cfg = *cfg;
	s->ops = ops;
	s->user = user;
	s->prologue_len = lm_coord_prologue(cfg->authorities.mesh, s->prologue);
	s->write_at = LM_TIME_NEVER;
	s->sweep_at = now.mono;
	s->log_tokens = LOG_BURST;
	s->log_tokens_at = now.mono;
	ops->random(user, key, sizeof(key));
	s->rates = lm_ratelimit_new(key, cfg->limits.handshake_rate, cfg->limits.handshake_burst);
	s->pairs = lm_ratelimit_new(key, cfg->limits.pair_rate, cfg->limits.pair_burst);
	if (s->rates == NULL || s->pairs == NULL)
		lm_error_set(err, ENOMEM, "no memory for a coordinator");
	if (s->rates == NULL || s->pairs == NULL || dir_load(s, now, err) < 0) {
		lm_coord_server_free(s);
		return NULL;
	}
	return s;
}

/* ----------------------------------------------------------- connections -- */

static struct source *source_take(struct lm_coord_server *s, const struct lm_ip *ip)
{
	struct lm_prefix p = lm_prefix_of(ip, ip->family == 6 ? 64 : lm_ip_bits(ip));
	struct source *src;

	HASH_FIND(hh, s->sources, &p, sizeof(p), src);
	if (src == NULL) {
		src = calloc(1, sizeof(*src));
		if (src == NULL)
			return NULL;
		src->prefix = p;
		HASH_ADD(hh, s->sources, prefix, sizeof(p), src);
		if (src->hh.tbl == NULL) {
			free(src);
			return NULL;
		}
	}
	src->count++;
	return src;
}

_Static_assert(sizeof(struct lm_prefix) == 18, "hashed as bytes");

static void source_drop(struct lm_coord_server *s, struct source *src)
{
	if (--src->count > 0)
		return;
	HASH_DELETE(hh, s->sources, src);
	free(src);
}

static lm_time conn_due(const struct lm_coord_conn *c)
{
	const struct lm_coord_limits *l = &c->server->cfg.limits;
	lm_time due;

	if (c->step != CONN_LIVE)
		return c->since + l->handshake;
	due = c->last_in + l->idle;
	if (c->waiting && c->progress + l->stall < due)
		due = c->progress + l->stall;
	return due;
}

/* Strangers make room for strangers, never nodes that are known: an honest handshake needs a round
 * trip, and is done before a flood has pushed it out. */
static void evict_oldest(struct lm_coord_server *s, lm_time now)
{
	s->n.handshake_evicted++;
	server_note(s, now, &s->half->from, NULL, "handshake pushed out by newer ones");
	conn_end(s->half, 0, "");
	server_reap(s);
}

struct lm_coord_conn *lm_coord_server_accept(struct lm_coord_server *s, struct lm_now now,
					     const struct lm_endpoint *from, void *conn_user)
{
	const struct lm_coord_limits *l = &s->cfg.limits;
	struct lm_coord_conn *c;
	struct source *src = NULL;

	if (s->n_half >= l->half_open || (s->n_conns >= l->connections && s->half != NULL))
		evict_oldest(s, now.mono);
	if (s->n_conns >= l->connections) {
		s->n.refused_total++;
		server_note(s, now.mono, from, NULL, "too many connections");
		return NULL;
	}
	if (!lm_ratelimit_take(s->rates, now.mono, &from->ip)) {
		s->n.refused_rate++;
		server_note(s, now.mono, from, NULL, "too many new connections from there");
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (c != NULL)
		src = source_take(s, &from->ip);
	if (src == NULL || src->count > l->connections_from) {
		s->n.refused_source++;
		server_note(s, now.mono, from, NULL, "too many connections from there");
		if (src != NULL)
			source_drop(s, src);
		free(c);
		return NULL;
	}
	c->server = s;
	c->user = conn_user;
	c->from = *from;
	c->source = src;
	c->since = c->last_in = c->progress = now.mono;
	if (lm_timer_set(&s->timers, &c->timer, conn_due(c)) < 0) {
		s->n.refused_total++;
		source_drop(s, src);
		free(c);
		return NULL;
	}
	DL_APPEND(s->half, c);
	s->n_half++;
	s->n_conns++;
	s->n.accepted++;
	return c;
}

/* Out of everything, but readable until reap. */
static void conn_unlink(struct lm_coord_conn *c)
{
	struct lm_coord_server *s = c->server;

	c->dead = true;
	lm_timer_stop(&s->timers, &c->timer);
	if (c->hh.tbl != NULL) {
		struct item *it = item_find(s->items, false, c->node);

		if (it != NULL && it->seen < c->last_in)
			it->seen = c->last_in;
		HASH_DELETE(hh, s->nodes, c);
	}
	source_drop(s, c->source);
	if (c->step == CONN_LIVE) {
		DL_DELETE(s->live, c);
	} else {
		DL_DELETE(s->half, c);
		s->n_half--;
	}
	DL_APPEND(s->dead, c);
	s->n_conns--;
}

void server_reap(struct lm_coord_server *s)
{
	struct lm_coord_conn *c, *tmp;

	DL_FOREACH_SAFE(s->dead, c, tmp)
	{
		DL_DELETE(s->dead, c);
		lm_pipe_free(&c->pipe);
		free(c->cert);
		free(c->cert_bytes);
		free(c);
	}
}

void conn_end(struct lm_coord_conn *c, unsigned code, const char *why)
{
	struct lm_coord_msg m = {.type = LM_COORD_ERROR,
				 .number = code,
				 .data = (const uint8_t *)why,
				 .data_len = strlen(why)};

	if (c->dead)
		return;
	if (code != 0 && c->pipe.sealed && lm_pipe_put(&c->pipe, &m) < 0)
		lm_log(c->server->cfg.log, LM_LOG_DEBUG, "no memory to say why a link ends");
	c->server->ops->close(c->server->user, c->user,
			      c->pipe.out_len > 0 ? c->pipe.out + c->pipe.out_head : NULL,
			      c->pipe.out_len);
	conn_unlink(c);
}

void lm_coord_server_closed(struct lm_coord_server *s, struct lm_coord_conn *c)
{
	conn_unlink(c);
	server_reap(s);
}

void lm_coord_server_free(struct lm_coord_server *s)
{
	struct lm_coord_conn *c, *tmp;

	if (s == NULL)
		return;
	DL_FOREACH_SAFE(s->live, c, tmp)
	conn_end(c, LM_COORD_E_SHUTDOWN, "the coordinator stops");
	DL_FOREACH_SAFE(s->half, c, tmp)
	conn_end(c, LM_COORD_E_SHUTDOWN, "the coordinator stops");
	server_reap(s);
	dir_free(s);
	lm_timers_free(&s->timers);
	lm_ratelimit_free(s->rates);
	lm_ratelimit_free(s->pairs);
	free(s);
}

/* ---------------------------------------------------------------- output -- */

void conn_put(struct lm_coord_conn *c, lm_time now, const struct lm_coord_msg *m)
{
	struct lm_coord_server *s = c->server;

	if (c->dead)
		return;
	if (c->pipe.out_len < s->cfg.limits.output && lm_pipe_put(&c->pipe, m) == 0)
		return;
	s->n.stalled++;
	server_note(s, now, &c->from, c->cert, "does not take what it is sent");
	conn_end(c, 0, "does not take what it is sent");
}

void conn_flush(struct lm_coord_conn *c, lm_time now)
{
	if (c->dead)
		return;
	conn_fill(c);
	if (c->pipe.out_len == 0)
		return;
	if (!c->waiting)
		c->progress = now;
	c->waiting = true;
	c->server->ops->output(c->server->user, c->user);
	if (lm_timer_set(&c->server->timers, &c->timer, conn_due(c)) < 0)
		conn_end(c, 0, "no memory");
}

const uint8_t *lm_coord_conn_output(const struct lm_coord_conn *c, size_t *len)
{
	*len = c->pipe.out_len;
	return c->pipe.out_len > 0 ? c->pipe.out + c->pipe.out_head : NULL;
}

void lm_coord_conn_sent(struct lm_coord_conn *c, lm_time now, size_t n)
{
	if (n == 0)
		return;
	lm_pipe_sent(&c->pipe, n);
	c->server->n.bytes_out += n;
	c->progress = now;
	conn_fill(c);
	c->waiting = c->pipe.out_len > 0;
}

/* ----------------------------------------------------------------- input -- */

static bool input_record(struct lm_coord_conn *c, struct lm_now now)
{
	struct lm_coord_server *s = c->server;
	uint8_t *rec;
	size_t len;

	if (lm_pipe_record(&c->pipe, &rec, &len) < 0) {
		s->n.protocol_bad++;
		server_note(s, now.mono, &c->from, c->cert, "a record is not authentic");
		conn_end(c, 0, "a record is not authentic");
		return false;
	}
	c->last_in = now.mono;
	if (c->step == CONN_HANDSHAKE)
		conn_handshake(c, now, rec, len);
	else
		conn_message(c, now, rec, len);
	lm_pipe_next(&c->pipe);
	return !c->dead;
}

/* A node may say little before it is known, and nothing larger than a revocation list ever. */
static size_t record_max(const struct lm_coord_conn *c)
{
	return c->step == CONN_HANDSHAKE ? LM_NOISE_MSG1_OVERHEAD + LM_CERT_MAX
					 : LM_REVOCATION_MAX + 64;
}

void lm_coord_server_input(struct lm_coord_server *s, struct lm_now now, struct lm_coord_conn *c,
			   const uint8_t *data, size_t len)
{
	int rc;

	s->n.bytes_in += len;
	do {
		rc = lm_pipe_gather(&c->pipe, &data, &len, record_max(c));
		if (rc == -EMSGSIZE && c->step == CONN_HANDSHAKE)
			s->n.handshake_bad++;
		else if (rc == -EMSGSIZE)
			s->n.protocol_bad++;
		if (rc < 0) {
			server_note(s, now.mono, &c->from, c->cert, "a record is too long");
			conn_end(c, LM_COORD_E_PROTOCOL, "a record is too long");
		}
	} while (rc > 0 && input_record(c, now));
	conn_flush(c, now.mono);
	server_reap(s);
}

/* ------------------------------------------------------------------ time -- */

lm_time lm_coord_server_next(const struct lm_coord_server *s)
{
	lm_time next = lm_timers_next(&s->timers);

	if (s->write_at < next)
		next = s->write_at;
	return s->sweep_at < next ? s->sweep_at : next;
}

static void conn_timer(struct lm_coord_conn *c, lm_time now)
{
	struct lm_coord_server *s = c->server;
	const char *why = "says nothing";

	if (conn_due(c) > now) {
		if (lm_timer_set(&s->timers, &c->timer, conn_due(c)) < 0)
			conn_end(c, 0, "no memory");
		return;
	}
	if (c->step != CONN_LIVE) {
		s->n.handshake_timeout++;
		why = "handshake not finished in time";
	} else if (c->waiting && now - c->progress >= s->cfg.limits.stall) {
		s->n.stalled++;
		why = "does not take what it is sent";
	} else {
		s->n.idle++;
	}
	server_note(s, now, &c->from, c->cert, why);
	conn_end(c, 0, why);
}

void lm_coord_server_tick(struct lm_coord_server *s, struct lm_now now)
{
	struct lm_timer *t;

	if (now.mono >= s->sweep_at)
		write_sweep(s, now);
	if (now.mono >= s->write_at)
		write_commit(s, now);
	while ((t = lm_timers_pop(&s->timers, now.mono)) != NULL)
		conn_timer(LM_CONTAINER_OF(t, struct lm_coord_conn, timer), now.mono);
	server_reap(s);
}

enum lm_verdict lm_coord_server_revocation(struct lm_coord_server *s, struct lm_now now,
					   const uint8_t *data, size_t len)
{
	enum lm_verdict v = write_revocation(s, now, data, len);

	if (v != LM_TRUSTED)
		s->n.record_refused[v]++;
	server_reap(s);
	return v;
}

/* ---------------------------------------------------------------- status -- */

void server_note(struct lm_coord_server *s, lm_time now, const struct lm_endpoint *from,
		 const struct lm_cert *cert, const char *what)
{
	char addr[LM_ENDPOINT_STRLEN];

	s->log_tokens += (double)(now - s->log_tokens_at) / (double)LM_SEC * LOG_RATE;
	s->log_tokens_at = now;
	if (s->log_tokens > LOG_BURST)
		s->log_tokens = LOG_BURST;
	if (s->log_tokens < 1) {
		s->log_held++;
		return;
	}
	s->log_tokens -= 1;
	if (s->log_held > 0)
		lm_log(s->cfg.log, LM_LOG_WARN, "%llu lines about refusals were held back",
		       (unsigned long long)s->log_held);
	s->log_held = 0;
	lm_log(s->cfg.log, LM_LOG_WARN, "%s%s%s: %s", lm_endpoint_format(from, addr),
	       cert ? ", node " : "", cert ? cert->name : "", what);
}

void lm_coord_server_info(const struct lm_coord_server *s, struct lm_coord_server_info *out)
{
	const struct lm_coord_conn *c;

	*out = (struct lm_coord_server_info){.revision = s->revision,
					     .nodes = s->n_nodes,
					     .gone = s->n_gone,
					     .connections = s->n_conns,
					     .store_failing = s->store_failing,
					     .list_stale = s->list_stale};
	memcpy(out->epoch, s->epoch, LM_EPOCH_LEN);
	DL_FOREACH(s->live, c)
	out->subscribed += c->subscribed;
}

const struct lm_coord_server_counters *lm_coord_server_counters(const struct lm_coord_server *s)
{
	return &s->n;
}
