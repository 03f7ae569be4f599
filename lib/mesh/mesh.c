/* SPDX-License-Identifier: BSD-3-Clause */
/* The core's life, its clock, and which message goes where. */
#include "internal.h"

#include <errno.h>
#include <stdlib.h>

#define PROLOGUE  "lanemesh 1"
#define FAR	  (LM_TIME_NEVER - 1)
#define TIMER_MIN LM_MSEC
#define CLOCK_MAX (LM_TIME_NEVER / 2) /* sums with a duration do not overflow */
#define WALL_MAX  ((int64_t)1 << 40)

struct lm_mesh_timers lm_mesh_timers_default(void)
{
	return (struct lm_mesh_timers){
	    .rekey = 120 * LM_SEC,
	    .reject = 180 * LM_SEC,
	    .overlap = 10 * LM_SEC,
	    .keepalive = 5 * LM_SEC,
	    .dead = 8 * LM_SEC,
	    .retry_min = 250 * LM_MSEC,
	    .retry_max = 10 * LM_SEC,
	};
}

/* ---------------------------------------------------------------- clock -- */

void lm_m_enter(struct lm_mesh *m, struct lm_now now)
{
	if (now.mono > CLOCK_MAX)
		now.mono = CLOCK_MAX;
	if (now.mono > m->now.mono)
		m->now.mono = now.mono;
	m->now.wall = now.wall > WALL_MAX ? WALL_MAX : now.wall < -WALL_MAX ? -WALL_MAX : now.wall;
}

void lm_m_leave(struct lm_mesh *m)
{
	while (m->check != NULL) {
		struct peer *p = m->check;

		m->check = p->check_next;
		p->checked = false;
		if (!p->listed && p->sessions == NULL)
			lm_m_peer_free(m, p);
	}
}

lm_time lm_m_since(const struct lm_mesh *m, lm_time then)
{
	return m->now.mono > then ? m->now.mono - then : 0;
}

/* Cannot fail: the timer is in the heap since lm_m_due_init, so that no memory is needed. */
static void set_due(struct lm_mesh *m, struct due *d, lm_time due)
{
	if (lm_timer_set(&m->timers, &d->timer, due) != 0)
		lm_log(m->log, LM_LOG_ERROR, "mesh: a timer was lost");
}

void lm_m_arm(struct lm_mesh *m, struct due *d, lm_time delay)
{
	if (delay < TIMER_MIN)
		delay = TIMER_MIN;
	set_due(m, d, delay >= FAR - m->now.mono ? FAR : m->now.mono + delay);
}

void lm_m_disarm(struct lm_mesh *m, struct due *d)
{
	set_due(m, d, FAR);
}

int lm_m_due_init(struct lm_mesh *m, struct due *d, enum timer_kind kind)
{
	d->kind = kind;
	return lm_timer_set(&m->timers, &d->timer, FAR);
}

lm_time lm_mesh_next(const struct lm_mesh *m)
{
	lm_time next = lm_timers_next(&m->timers);

	return next == FAR ? LM_TIME_NEVER : next;
}

/* Certificates are judged again each minute, and soon after the wall clock was set. */
static void sweep(struct lm_mesh *m)
{
	int64_t offset = m->now.wall - (int64_t)(m->now.mono / LM_SEC);
	bool jumped =
	    offset - m->wall_offset >= LM_M_WALL_JUMP || m->wall_offset - offset >= LM_M_WALL_JUMP;

	lm_m_arm(m, &m->sweep, LM_M_SWEEP);
	if (m->overlay_grew)
		lm_m_candidates_judge(m);
	if (!jumped && lm_m_since(m, m->swept) < LM_M_SWEEP_FULL)
		return;
	m->swept = m->now.mono;
	m->wall_offset = offset;
	lm_m_peers_judge(m);
}

void lm_mesh_tick(struct lm_mesh *m, struct lm_now now)
{
	struct lm_timer *t;

	lm_m_enter(m, now);
	/* Ends: a handler arms timers only for later than now. */
	while ((t = lm_timers_pop(&m->timers, m->now.mono)) != NULL) {
		struct due *d = LM_CONTAINER_OF(t, struct due, timer);

		set_due(m, d, FAR);
		switch (d->kind) {
		case TIMER_HANDSHAKE:
			lm_m_connect_timer(m, LM_CONTAINER_OF(d, struct peer, connect));
			break;
		case TIMER_LIVENESS:
			lm_m_liveness_timer(m, LM_CONTAINER_OF(d, struct peer, liveness));
			break;
		case TIMER_SESSION:
			lm_m_session_timer(m, LM_CONTAINER_OF(d, struct session, due));
			break;
		case TIMER_STUN:
			lm_m_stun_timer(m);
			break;
		case TIMER_RELAY:
			lm_m_relay_timer(m);
			break;
		case TIMER_WAY:
			lm_m_way_timer(m, LM_CONTAINER_OF(d, struct relay_way, due));
			break;
		case TIMER_SWEEP:
			sweep(m);
			break;
		}
	}
	lm_m_leave(m);
}

/* ----------------------------------------------------------- randomness -- */

uint32_t lm_m_random_below(struct lm_mesh *m, uint32_t limit)
{
	uint32_t r;

	m->ops.random(m->user, &r, sizeof(r));
	return limit == 0 ? 0 : (uint32_t)(((uint64_t)r * limit) >> 32);
}

lm_time lm_m_jitter(struct lm_mesh *m, lm_time max)
{
	return max / 1000 * lm_m_random_below(m, 1000);
}

/* ------------------------------------------------------------- datagrams -- */

int lm_m_send(struct lm_mesh *m, const struct lm_path *path, const uint8_t *data, size_t len)
{
	if (!lm_m_wan_ok(m, path->port, &path->remote) || !lm_m_endpoint_ok(m, &path->remote))
		return -EHOSTUNREACH;
	return m->ops.send(m->user, path, data, len);
}

void lm_mesh_datagram(struct lm_mesh *m, struct lm_now now, const struct lm_path *from,
		      const uint8_t *data, size_t len)
{
	struct lm_path path = *from;

	lm_m_enter(m, now);
	path.remote.ip = lm_ip_canonical(from->remote.ip);
	if (len > LM_CONTROL_MAX || !lm_m_wan_ok(m, path.port, &path.remote)) {
		m->count.malformed++;
		return;
	}
	if (!lm_m_endpoint_ok(m, &path.remote)) {
		m->count.bad_endpoint++;
		return;
	}
	if (lm_demux(data, len) == LM_DEMUX_STUN) {
		lm_m_on_stun(m, &path, data, len);
		lm_m_leave(m);
		return;
	}
	switch (lm_msg_type(data, len)) {
	case LM_MSG_INIT:
		lm_m_on_init(m, &path, data, len);
		break;
	case LM_MSG_RESP:
		lm_m_on_resp(m, &path, data, len);
		break;
	case LM_MSG_COOKIE:
		lm_m_on_cookie(m, &path, data, len);
		break;
	case LM_MSG_TRANSPORT:
		lm_m_on_transport(m, &path, data, len);
		break;
	default:
		m->count.malformed++;
	}
	lm_m_leave(m);
}

/* ------------------------------------------------------------------ life -- */

static int check_config(const struct lm_mesh_config *c, struct lm_error *err)
{
	const lm_time t[] = {c->timers.rekey,	  c->timers.reject, c->timers.overlap,
			     c->timers.keepalive, c->timers.dead,   c->timers.retry_min,
			     c->timers.retry_max};

	if (c->lanes < 1 || c->lanes > LM_LANES_MAX)
		return lm_error_set(err, EINVAL, "%u lanes; 1 to %d are possible", c->lanes,
				    LM_LANES_MAX);
	if (c->max_peers < 1 || c->max_peers == LM_PEER_NONE)
		return lm_error_set(err, EINVAL, "max_peers %u: at least 1 is needed",
				    c->max_peers);
	for (size_t i = 0; i < LM_ARRAY_SIZE(t); i++)
		if (t[i] < LM_MSEC || t[i] > 365 * 86400 * LM_SEC)
			return lm_error_set(err, EINVAL, "a timer is below 1 ms or above a year");
	if (c->timers.retry_min > c->timers.retry_max || c->timers.rekey >= c->timers.reject)
		return lm_error_set(err, EINVAL,
				    "timers: rekey must be below reject, retry_min not above "
				    "retry_max");
	return 0;
}

static int init_cert(struct lm_mesh *m, const struct lm_mesh_config *cfg, struct lm_error *err)
{
	int rc = lm_m_own_cert_check(m, cfg->cert, cfg->cert_len, &cfg->authorities, &m->cert, err);

	if (rc != 0)
		return rc;
	m->cert_raw = malloc(cfg->cert_len);
	if (m->cert_raw == NULL || lm_m_overlay_add(m, &m->cert) != 0)
		return lm_error_set(err, ENOMEM, "out of memory");
	memcpy(m->cert_raw, cfg->cert, cfg->cert_len);
	m->cert_len = cfg->cert_len;
	return 0;
}

static int init(struct lm_mesh *m, const struct lm_mesh_config *cfg, struct lm_error *err)
{
	size_t id_len = strnlen(cfg->authorities.mesh, LM_MESH_ID_MAX);
	uint8_t key[16];
	int rc;

	rc = init_cert(m, cfg, err);
	if (rc == 0)
		rc =
		    lm_m_prefixes_check(&m->cert, cfg->prefixes, cfg->n_prefixes, m->prefixes, err);
	if (rc != 0)
		return rc;
	m->all_prefixes = cfg->prefixes == NULL;
	m->n_prefixes = m->all_prefixes ? 0 : cfg->n_prefixes;
	memcpy(m->prologue, PROLOGUE, sizeof(PROLOGUE)); /* with its NUL */
	memcpy(m->prologue + sizeof(PROLOGUE), cfg->authorities.mesh, id_len);
	m->prologue_len = sizeof(PROLOGUE) + id_len;
	lm_mac1_key(m->id->x_public, m->mac1_key);
	lm_cookie_key(m->id->x_public, m->cookie_key);
	m->ops.random(m->user, key, sizeof(key));
	m->unproven = lm_ratelimit_new(key, LM_M_SOURCE_RATE, LM_M_SOURCE_BURST);
	m->proven = lm_ratelimit_new(key, LM_M_SOURCE_RATE, LM_M_SOURCE_BURST);
	m->by_index = calloc(m->max_peers, sizeof(struct peer *));
	if (m->unproven == NULL || m->proven == NULL || m->by_index == NULL ||
	    lm_m_due_init(m, &m->sweep, TIMER_SWEEP) != 0 ||
	    lm_m_due_init(m, &m->stun.due, TIMER_STUN) != 0 ||
	    lm_m_due_init(m, &m->relay_due, TIMER_RELAY) != 0)
		return lm_error_set(err, ENOMEM, "out of memory");
	lm_m_arm(m, &m->sweep, LM_M_SWEEP);
	return 0;
}

struct lm_mesh *lm_mesh_new(const struct lm_mesh_config *cfg, const struct lm_mesh_ops *ops,
			    void *user, struct lm_now now, struct lm_error *err)
{
	struct lm_mesh *m;

	if (check_config(cfg, err) != 0)
		return NULL;
	m = calloc(1, sizeof(*m));
	if (m == NULL) {
		(void)lm_error_set(err, ENOMEM, "out of memory");
		return NULL;
	}
	m->id = cfg->identity;
	m->ops = *ops;
	m->user = user;
	m->log = cfg->log;
	lm_m_enter(m, now);
	m->swept = m->now.mono;
	m->wall_offset = m->now.wall - (int64_t)(m->now.mono / LM_SEC);
	m->t = cfg->timers;
	m->authorities = cfg->authorities;
	memcpy(m->psk, cfg->psk, sizeof(m->psk));
	m->lanes = cfg->lanes;
	m->relay_due_at = LM_TIME_NEVER;
	m->max_peers = cfg->max_peers;
	m->eager_peers = cfg->eager_peers != 0 ? cfg->eager_peers : LM_MESH_EAGER_PEERS;
	m->max_half_open = cfg->max_half_open != 0 ? cfg->max_half_open : LM_M_HALF_OPEN_MAX;
	m->handshake_limit =
	    cfg->handshake_limit != 0 ? cfg->handshake_limit : LM_M_HANDSHAKE_LIMIT;
	m->sequence = cfg->announce_sequence;
	m->refusals = (struct log_limit){.tokens = 20, .burst = 20, .gap = LM_SEC / 2};
	m->events = (struct log_limit){.tokens = 200, .burst = 200, .gap = LM_SEC / 20};
	m->refusals.refilled = m->events.refilled = m->now.mono;
	if (init(m, cfg, err) != 0) {
		lm_mesh_free(m, now, false);
		return NULL;
	}
	return m;
}

void lm_mesh_free(struct lm_mesh *m, struct lm_now now, bool polite)
{
	struct peer *p, *tmp;

	if (m == NULL)
		return;
	lm_m_enter(m, now);
	HASH_ITER(hh, m->peers, p, tmp)
	{
		lm_m_sessions_free(m, p, polite ? LM_CLOSE_SHUTDOWN : 0);
		lm_m_peer_free(m, p);
	}
	if (m->cert_raw != NULL)
		lm_m_overlay_del(m, &m->cert);
	lm_revocations_free(&m->revocations);
	lm_ratelimit_free(m->unproven);
	lm_ratelimit_free(m->proven);
	lm_timers_free(&m->timers);
	lm_m_hosts_free(m);
	free(m->stun.queries);
	free(m->by_index);
	free(m->cert_raw);
	explicit_bzero(m, sizeof(*m));
	free(m);
}
