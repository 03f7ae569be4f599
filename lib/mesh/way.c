/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The end: ways to a peer through relays. One is opened when no straight path is alive; one is
 * kept ready for a peer with traffic, so that it is there when the path in use dies. Which relay: a
 * member with the role, a session with us on a straight path, and the shortest round trip.
 */
#include "internal.h"

#include <stdlib.h>

#define ASK_WAIT  (250 * LM_MSEC) /* doubles */
#define ASK_TRIES 4

/* As long as the longest answer: so nobody is sent more than he sent. */
#define OPEN_PAD   5
#define ACCEPT_PAD 29

void lm_m_relay_arm(struct lm_mesh *m, lm_time due)
{
	lm_time wait = due > m->now.mono ? due - m->now.mono : 0;

	if (due < m->relay_due_at) {
		m->relay_due_at = due;
		lm_m_arm(m, &m->relay_due, wait);
	}
}

static struct relay_way *way_of(const struct peer *p, const struct peer *relay)
{
	struct relay_way *way;

	DL_FOREACH(p->ways, way)
	if (way->relay == relay)
		return way;
	return NULL;
}

struct relay_way *lm_m_way(const struct peer *p, const struct lm_path *path)
{
	struct relay_way *way;

	DL_FOREACH(p->ways, way)
	if (way->state == WAY_OPEN && lm_m_path_equal(&way->path, path))
		return way;
	return NULL;
}

uint32_t lm_m_path_relay(const struct peer *p, const struct lm_path *path)
{
	const struct relay_way *way = path->relay != 0 ? lm_m_way(p, path) : NULL;

	return way != NULL ? way->relay->index : LM_PEER_NONE;
}

static void ask(struct lm_mesh *m, struct relay_way *way)
{
	struct lm_frame f = {.type = LM_FRAME_RELAY_OPEN};

	memcpy(f.u.relay.node, way->peer->node, LM_KEY_LEN);
	lm_m_arm(m, &way->due, ASK_WAIT << way->tries);
	way->tries++;
	if (lm_m_straight(way->relay))
		lm_m_send_frame(m, way->relay->current, &way->relay->active->path, &f, OPEN_PAD);
}

static void say_end(struct lm_mesh *m, struct peer *relay, const struct lm_path *to, uint64_t id)
{
	struct lm_frame f = {.type = LM_FRAME_RELAY_END, .u.relay.id = id};

	if (relay->current != NULL)
		lm_m_send_frame(m, relay->current, to, &f, 0);
}

static struct relay_way *way_new(struct lm_mesh *m, struct peer *p, struct peer *relay)
{
	struct relay_way *way;

	if (p->n_ways >= LM_M_WAYS || m->relaying.n_ways >= LM_M_WAYS_MAX)
		return NULL;
	way = calloc(1, sizeof(*way));
	if (way == NULL || lm_m_due_init(m, &way->due, TIMER_WAY) != 0) {
		free(way);
		return NULL;
	}
	way->peer = p;
	way->relay = relay;
	way->wanted = way->heard = m->now.mono;
	DL_APPEND(p->ways, way);
	DL_APPEND2(relay->carries, way, prev_by, next_by);
	m->relaying.n_ways++;
	p->n_ways++;
	return way;
}

/* Takes back what an open way has given to the data plane and the path table. */
static void close_way(struct lm_mesh *m, struct relay_way *way)
{
	struct path *r;

	if (way->state != WAY_OPEN)
		return;
	way->state = WAY_ASKED;
	r = lm_m_path_find(way->peer, &way->path);
	if (r != NULL)
		lm_m_path_remove(m, way->peer, r);
	m->ops.relay_end(m->user, way->id);
	HASH_DEL(m->relaying.ways, way);
	way->id = 0;
}

static void way_free(struct lm_mesh *m, struct relay_way *way)
{
	close_way(m, way);
	lm_timer_stop(&m->timers, &way->due.timer);
	DL_DELETE(way->peer->ways, way);
	DL_DELETE2(way->relay->carries, way, prev_by, next_by);
	m->relaying.n_ways--;
	way->peer->n_ways--;
	free(way);
}

static void fail(struct lm_mesh *m, struct relay_way *way, lm_time again)
{
	struct peer *p = way->peer;

	close_way(m, way);
	way->state = WAY_FAILED;
	lm_m_arm(m, &way->due, again);
	p->relay_next = 0;
	lm_m_relay_want(m, p);
}

/* Where the relay speaks of the way from is where it takes our datagrams from; it must be a place
 * that leads to it. Otherwise, as it may have been said elsewhere to fool us, where we are. */
static struct lm_path place(const struct relay_way *way, const struct lm_path *from)
{
	const struct path *there = lm_m_path_find(way->relay, from);
	struct lm_path path = way->path;

	if (there != NULL && there->path.relay == 0 && there->state == LM_PATH_ALIVE)
		return *from;
	path.relay = 0;
	return *lm_m_relay_place(way->relay, &path, &path);
}

/* Under this id the peer is reached through the relay. False: not to be had. */
static bool open_way(struct lm_mesh *m, struct relay_way *way, const struct lm_path *from,
		     uint64_t id)
{
	struct lm_mesh_relay r;
	struct lm_path path;

	if (!lm_m_straight(way->relay))
		return false;
	path = place(way, from);
	path.relay = id;
	if (way->state == WAY_OPEN && lm_m_path_equal(&way->path, &path))
		return true;
	if (way->state == WAY_OPEN && way->id != id)
		close_way(m, way);
	if (way->state != WAY_OPEN && lm_m_relay_id_used(m, id))
		return false;
	r = (struct lm_mesh_relay){.from = path, .member = LM_PEER_NONE};
	if (m->ops.relay_set(m->user, &r) != 0) {
		m->count.refused_by_data_plane++;
		return false;
	}
	if (way->state == WAY_OPEN) { /* the relay, or we, have moved */
		struct path *known = lm_m_path_find(way->peer, &way->path);

		if (known != NULL) {
			known->path = path;
			if (known == way->peer->active)
				lm_m_path_use(m, way->peer, known);
		}
	} else {
		way->id = id;
		HASH_ADD(hh, m->relaying.ways, id, sizeof(way->id), way);
		if (way->hh.tbl == NULL) {
			m->ops.relay_end(m->user, id);
			return false;
		}
		way->state = WAY_OPEN;
	}
	way->path = path;
	if (lm_m_path_add(m, way->peer, &path, LM_PATH_RELAY) == NULL) {
		close_way(m, way);
		return false;
	}
	return true;
}

/* --------------------------------------------------------------- answers -- */

static void confirmed(struct lm_mesh *m, struct relay_way *way, const struct lm_path *from)
{
	bool agreed =
	    way->path.port == from->port && lm_endpoint_equal(&way->path.remote, &from->remote);

	way->heard = m->now.mono;
	way->tries = 0;
	/* What we send from elsewhere than the relay thinks is lost. */
	lm_m_arm(m, &way->due, agreed ? LM_M_RELAY_KEEP : LM_SEC);
}

static struct relay_way *by_id(const struct lm_mesh *m, const struct peer *relay, uint64_t id)
{
	struct relay_way *way;

	HASH_FIND(hh, m->relaying.ways, &id, sizeof(id), way);
	return way != NULL && way->relay == relay ? way : NULL;
}

/* Another member wants to reach us through the relay: whoever we know and trust may. */
static void on_offer(struct lm_mesh *m, struct peer *relay, const struct lm_path *from,
		     const struct lm_frame *f)
{
	struct peer *p = lm_m_peer_find(m, f->u.relay.node);
	struct relay_way *way = p != NULL ? way_of(p, relay) : NULL;
	struct lm_frame yes = {.type = LM_FRAME_RELAY_ACCEPT, .u.relay.id = f->u.relay.id};

	if (way == NULL && p != NULL && p != relay && p->barred == LM_TRUSTED)
		way = way_new(m, p, relay);
	if (way == NULL || !open_way(m, way, from, f->u.relay.id)) {
		say_end(m, relay, from, f->u.relay.id);
		if (way != NULL && way->state != WAY_OPEN)
			fail(m, way, LM_M_RELAY_AGAIN);
		return;
	}
	confirmed(m, way, from);
	lm_m_send_frame(m, relay->current, from, &yes, ACCEPT_PAD);
}

static void on_ready(struct lm_mesh *m, struct peer *relay, const struct lm_path *from,
		     const struct lm_frame *f)
{
	struct peer *p = lm_m_peer_find(m, f->u.relay.node);
	struct relay_way *way = p != NULL ? way_of(p, relay) : NULL;
	bool was_open;

	if (way == NULL || way->state == WAY_FAILED)
		return;
	was_open = way->state == WAY_OPEN;
	if (!open_way(m, way, from, f->u.relay.id)) {
		say_end(m, relay, from, f->u.relay.id);
		fail(m, way, LM_M_RELAY_AGAIN);
		return;
	}
	confirmed(m, way, from);
	if (!was_open && p->current == NULL)
		lm_m_connect_way(m, p, &way->path);
}

void lm_m_way_frame(struct lm_mesh *m, struct peer *relay, const struct lm_path *from,
		    const struct lm_frame *f)
{
	struct relay_way *way;
	struct peer *p;

	if (!relay->is_relay || from->relay != 0)
		return;
	switch (f->type) {
	case LM_FRAME_RELAY_OFFER:
		on_offer(m, relay, from, f);
		break;
	case LM_FRAME_RELAY_READY:
		on_ready(m, relay, from, f);
		break;
	case LM_FRAME_RELAY_REFUSED:
		p = lm_m_peer_find(m, f->u.relay.node);
		way = p != NULL ? way_of(p, relay) : NULL;
		if (way != NULL && way->state == WAY_ASKED)
			fail(m, way,
			     f->u.relay.reason == LM_RELAY_R_NOT_A_RELAY ? 4 * LM_M_RELAY_AGAIN
									 : LM_M_RELAY_AGAIN);
		break;
	case LM_FRAME_RELAY_END:
		way = by_id(m, relay, f->u.relay.id);
		if (way != NULL) /* a new one may be had at once */
			fail(m, way, LM_SEC);
		break;
	}
}

/* ---------------------------------------------------------------- choice -- */

/* How many ways the peer should have now. */
static unsigned wanted(const struct lm_mesh *m, const struct peer *p)
{
	if (p->barred != LM_TRUSTED)
		return 0;
	if (p->current == NULL)
		return p->connecting && p->rounds > 1;
	if (p->active == NULL || p->active->state != LM_PATH_ALIVE)
		return 2;
	if (p->active->path.relay != 0)
		return lm_m_busy(m, p) ? 2 : 1;
	return lm_m_busy(m, p);
}

static struct peer *best_relay(const struct lm_mesh *m, const struct peer *p)
{
	struct peer *best = NULL, *r;

	LL_FOREACH2(m->relaying.members, r, next_relay)
	{
		if (r == p || !lm_m_straight(r) || r->active->state != LM_PATH_ALIVE ||
		    way_of(p, r) != NULL)
			continue;
		if (best == NULL || r->active->rtt < best->active->rtt)
			best = r;
	}
	return best;
}

void lm_m_relay_want(struct lm_mesh *m, struct peer *p)
{
	unsigned have = 0, want;
	struct relay_way *way;
	struct peer *relay;

	if (m->relaying.members == NULL || m->now.mono < p->relay_next)
		return;
	p->relay_next = m->now.mono + LM_SEC;
	want = wanted(m, p);
	if (want == 0)
		return;
	DL_FOREACH(p->ways, way)
	{
		if (way->state == WAY_FAILED)
			continue;
		way->wanted = m->now.mono;
		have++;
	}
	while (have++ < want && (relay = best_relay(m, p)) != NULL &&
	       (way = way_new(m, p, relay)) != NULL)
		ask(m, way);
}

/* ------------------------------------------------------------------ time -- */

void lm_m_way_timer(struct lm_mesh *m, struct relay_way *way)
{
	if (way->state == WAY_FAILED || lm_m_since(m, way->heard) >= LM_M_RELAY_LIFE) {
		way_free(m, way);
		return;
	}
	way->peer->relay_next = 0;
	lm_m_relay_want(m, way->peer);
	if (way->state == WAY_OPEN && way->tries == 0 &&
	    lm_m_since(m, way->wanted) >= LM_M_RELAY_IDLE) {
		/* Let it be; should the other end want it, the relay goes on speaking of it. */
		lm_m_arm(m, &way->due, LM_M_RELAY_KEEP);
		return;
	}
	if (way->tries < ASK_TRIES)
		ask(m, way);
	else
		fail(m, way, LM_M_RELAY_AGAIN);
}

/* Datagrams to the relay go another way than they did, or soon will. */
void lm_m_ways_moved(struct lm_mesh *m, struct peer *relay)
{
	struct relay_way *way;

	DL_FOREACH2(relay->carries, way, next_by)
	{
		if (way->state != WAY_OPEN)
			continue;
		if (!open_way(m, way, &way->path, way->id)) {
			fail(m, way, LM_SEC);
			continue;
		}
		way->tries = 0;
		lm_m_arm(m, &way->due, 0);
	}
}

void lm_m_ways_lost(struct lm_mesh *m, struct peer *relay)
{
	struct relay_way *way;

	DL_FOREACH2(relay->carries, way, next_by)
	if (way->state != WAY_FAILED)
		fail(m, way, LM_SEC);
}

void lm_m_ways_drop(struct lm_mesh *m, const struct peer *p)
{
	while (p->ways != NULL)
		way_free(m, p->ways);
	while (p->carries != NULL)
		way_free(m, p->carries);
}

void lm_m_relay_no_path(struct lm_mesh *m, struct peer *p)
{
	struct relay_way *way;

	/* Perhaps the relay takes us to be elsewhere. */
	DL_FOREACH(p->ways, way)
	if (way->state == WAY_OPEN && way->tries == 0)
		ask(m, way);
	p->relay_next = 0;
	lm_m_relay_want(m, p);
}

void lm_m_relay_role(struct lm_mesh *m, struct peer *p, const struct lm_cert *c)
{
	bool is = (c->roles & LM_ROLE_RELAY) != 0;

	if (is == p->is_relay)
		return;
	p->is_relay = is;
	if (is) {
		LL_PREPEND2(m->relaying.members, p, next_relay);
		return;
	}
	LL_DELETE2(m->relaying.members, p, next_relay);
	lm_m_ways_lost(m, p);
}
