/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The relay: pairs of peers that it passes datagrams on between.
 *
 *   A: OPEN {B}  ->  OFFER {id of B, A} to B  ->  B: ACCEPT {id}  ->  READY {id of A, B} to A
 *
 * Both ends have agreed then, each on a session with us, and a datagram goes nowhere but to where
 * an end spoke from: never to an address that somebody names. Every message is as long as the one
 * that it answers, at most.
 */
#include "internal.h"

#include <stdlib.h>

bool lm_m_straight(const struct peer *p)
{
	return p->current != NULL && p->active != NULL && p->active->path.relay == 0;
}

/* Answered there, and not in doubt. */
static bool sound(const struct peer *p, const struct lm_path *path)
{
	const struct path *r = lm_m_path_find(p, path);

	return r != NULL && r->path.relay == 0 && r->state == LM_PATH_ALIVE && r->asked == 0;
}

const struct lm_path *lm_m_relay_place(const struct peer *p, const struct lm_path *first,
				       const struct lm_path *second)
{
	return sound(p, first) ? first : sound(p, second) ? second : &p->active->path;
}

static struct relay_end *other_end(const struct relay_end *e)
{
	return &e->pair->end[e == &e->pair->end[0]];
}

/* The id is that end's, and the peer's to speak of. */
static struct relay_end *end_of(const struct lm_mesh *m, const struct peer *p, uint64_t id)
{
	struct relay_end *e;

	HASH_FIND(hh, m->relaying.ends, &id, sizeof(id), e);
	return e != NULL && e->peer == p ? e : NULL;
}

static void set_key(const struct peer *key[2], const struct peer *a, const struct peer *b)
{
	key[0] = a < b ? a : b;
	key[1] = a < b ? b : a;
}

static struct relay_pair *pair_of(const struct lm_mesh *m, const struct peer *a,
				  const struct peer *b)
{
	const struct peer *key[2];
	struct relay_pair *pair;

	set_key(key, a, b);
	HASH_FIND(hh, m->relaying.pairs, key, sizeof(key), pair);
	return pair;
}

bool lm_m_relay_id_used(const struct lm_mesh *m, uint64_t id)
{
	struct relay_end *e;
	struct relay_way *way;

	HASH_FIND(hh, m->relaying.ends, &id, sizeof(id), e);
	HASH_FIND(hh, m->relaying.ways, &id, sizeof(id), way);
	return e != NULL || way != NULL;
}

static uint64_t draw_id(const struct lm_mesh *m)
{
	uint64_t id;

	do
		m->ops.random(m->user, &id, sizeof(id));
	while (id == 0 || lm_m_relay_id_used(m, id));
	return id;
}

static void tell(struct lm_mesh *m, const struct relay_end *e, uint8_t type)
{
	struct lm_frame f = {.type = type, .u.relay.id = e->id};

	memcpy(f.u.relay.node, other_end(e)->peer->node, LM_KEY_LEN);
	if (e->peer->current != NULL)
		lm_m_send_frame(m, e->peer->current, &e->path, &f, 0);
}

static void refuse(struct lm_mesh *m, struct peer *p, const struct lm_path *to,
		   const uint8_t node[LM_KEY_LEN], uint8_t reason)
{
	struct lm_frame f = {.type = LM_FRAME_RELAY_REFUSED, .u.relay.reason = reason};

	memcpy(f.u.relay.node, node, LM_KEY_LEN);
	lm_m_send_frame(m, p->current, to, &f, 0);
}

/* What each end sends goes to the other. False: the data plane did not take it. */
static bool publish(struct lm_mesh *m, struct relay_pair *pair)
{
	for (unsigned i = 0; i < 2; i++) {
		const struct relay_end *e = &pair->end[i], *to = &pair->end[1 - i];
		struct lm_mesh_relay r = {
		    .from = e->path, .to = to->path, .member = e->peer->index};

		r.from.relay = e->id;
		r.to.relay = to->id;
		if (m->ops.relay_set(m->user, &r) != 0) {
			m->count.refused_by_data_plane++;
			return false;
		}
	}
	return true;
}

static struct relay_pair **list_of(struct lm_mesh *m, const struct relay_pair *pair)
{
	return pair->open ? &m->relaying.open : &m->relaying.asked;
}

/* An end wants it, now. */
static void note_used(struct lm_mesh *m, struct relay_pair *pair, bool open)
{
	struct relay_pair **list = list_of(m, pair);

	DL_DELETE(*list, pair);
	pair->open = open;
	pair->used = m->now.mono;
	list = list_of(m, pair);
	DL_APPEND(*list, pair);
	lm_m_relay_arm(m, pair->used + (open ? LM_M_RELAY_LIFE : LM_M_RELAY_AGAIN));
}

/* Takes it out of all tables and lists that it is in. */
static void pair_free(struct lm_mesh *m, struct relay_pair *pair)
{
	struct relay_pair **list = list_of(m, pair);

	for (unsigned i = 0; i < 2; i++) {
		struct relay_end *e = &pair->end[i];

		if (e->hh.tbl != NULL)
			HASH_DEL(m->relaying.ends, e);
		DL_DELETE(e->peer->pairs, e);
		e->peer->n_pairs--;
	}
	if (pair->hh.tbl != NULL)
		HASH_DEL(m->relaying.pairs, pair);
	DL_DELETE(*list, pair);
	m->relaying.n_pairs--;
	free(pair);
}

static void pair_end(struct lm_mesh *m, struct relay_pair *pair, bool tell_them)
{
	char a[LM_M_LABEL_LEN], b[LM_M_LABEL_LEN];

	for (unsigned i = 0; i < 2; i++) {
		m->ops.relay_end(m->user, pair->end[i].id);
		if (tell_them && pair->end[i].agreed)
			tell(m, &pair->end[i], LM_FRAME_RELAY_END);
	}
	if (pair->open)
		lm_m_event(m, LM_LOG_DEBUG, "no relaying any more between %s and %s",
			   lm_m_peer_label(pair->end[0].peer, a),
			   lm_m_peer_label(pair->end[1].peer, b));
	pair_free(m, pair);
}

static struct relay_pair *pair_new(struct lm_mesh *m, struct peer *a, struct peer *b)
{
	struct relaying *r = &m->relaying;
	uint32_t share = r->max_pairs / 4 > 16 ? r->max_pairs / 4 : 16;
	struct relay_pair *pair;
	bool complete;

	/* Whoever asks, and whoever is asked for: one of them cannot take all the room. */
	if (r->n_pairs >= r->max_pairs || a->n_pairs >= share || b->n_pairs >= share)
		return NULL;
	pair = calloc(1, sizeof(*pair));
	if (pair == NULL)
		return NULL;
	set_key(pair->key, a, b);
	HASH_ADD(hh, r->pairs, key, sizeof(pair->key), pair);
	complete = pair->hh.tbl != NULL;
	for (unsigned i = 0; i < 2; i++) {
		struct relay_end *e = &pair->end[i];

		*e = (struct relay_end){.pair = pair, .peer = i == 0 ? a : b, .id = draw_id(m)};
		HASH_ADD(hh, r->ends, id, sizeof(e->id), e);
		complete = complete && e->hh.tbl != NULL;
		DL_APPEND(e->peer->pairs, e);
		e->peer->n_pairs++;
	}
	DL_APPEND(r->asked, pair);
	r->n_pairs++;
	if (complete)
		return pair;
	pair_free(m, pair);
	return NULL;
}

/* The end is at `at` from now on. */
static bool end_at(struct lm_mesh *m, struct relay_pair *pair, struct relay_end *e,
		   const struct lm_path *at)
{
	if (lm_m_path_equal(&e->path, at))
		return true;
	e->path = *at;
	return !pair->open || publish(m, pair);
}

/* Both have agreed, and not through another relay. */
static void try_open(struct lm_mesh *m, struct relay_pair *pair)
{
	char a[LM_M_LABEL_LEN], b[LM_M_LABEL_LEN];

	if (!pair->end[0].agreed || !pair->end[1].agreed)
		return;
	if (!pair->open) {
		if (!publish(m, pair)) {
			pair_end(m, pair, true);
			return;
		}
		note_used(m, pair, true);
		lm_m_event(m, LM_LOG_DEBUG, "relaying between %s and %s",
			   lm_m_peer_label(pair->end[0].peer, a),
			   lm_m_peer_label(pair->end[1].peer, b));
	}
	tell(m, &pair->end[0], LM_FRAME_RELAY_READY);
	tell(m, &pair->end[1], LM_FRAME_RELAY_READY);
}

static bool heard_too_often(struct lm_mesh *m, struct peer *p)
{
	double seconds = (double)lm_m_since(m, p->opens_refilled) / LM_SEC;

	p->opens_refilled = m->now.mono;
	p->opens += (float)(seconds * LM_M_OPEN_RATE);
	if (p->opens > LM_M_OPEN_BURST)
		p->opens = LM_M_OPEN_BURST;
	if (p->opens < 1)
		return true;
	p->opens -= 1;
	return false;
}

static void on_open(struct lm_mesh *m, struct peer *a, const struct lm_path *from,
		    const uint8_t node[LM_KEY_LEN])
{
	struct peer *b = lm_m_peer_find(m, node);
	struct relay_pair *pair;
	struct relay_end *e, *other;

	if (m->relaying.max_pairs == 0 || (m->cert.roles & LM_ROLE_RELAY) == 0) {
		refuse(m, a, from, node, LM_RELAY_R_NOT_A_RELAY);
		return;
	}
	/* Never through two relays. */
	if (b == NULL || b == a || !lm_m_straight(a) || !lm_m_straight(b) || from->relay != 0) {
		refuse(m, a, from, node, LM_RELAY_R_NO_SESSION);
		return;
	}
	pair = pair_of(m, a, b);
	if (pair == NULL)
		pair = pair_new(m, a, b);
	if (pair == NULL) {
		refuse(m, a, from, node, LM_RELAY_R_LIMIT);
		return;
	}
	e = &pair->end[pair->end[1].peer == a];
	other = other_end(e);
	e->agreed = true;
	note_used(m, pair, pair->open);
	if (!end_at(m, pair, e, lm_m_relay_place(a, from, &e->path))) {
		pair_end(m, pair, true);
		return;
	}
	if (pair->open) {
		tell(m, e, LM_FRAME_RELAY_READY);
	} else if (other->agreed) {
		try_open(m, pair);
		return;
	} else {
		other->path = b->active->path;
	}
	tell(m, other, LM_FRAME_RELAY_OFFER);
}

static void on_accept(struct lm_mesh *m, struct peer *p, const struct lm_path *from, uint64_t id)
{
	struct relay_end *e = end_of(m, p, id);
	bool first;

	if (e == NULL || from->relay != 0 || !lm_m_straight(p))
		return;
	first = !e->agreed;
	e->agreed = true;
	if (!end_at(m, e->pair, e, lm_m_relay_place(p, from, &e->path)))
		pair_end(m, e->pair, true);
	else if (first)
		try_open(m, e->pair);
}

static void on_end(struct lm_mesh *m, struct peer *p, uint64_t id)
{
	struct relay_end *e = end_of(m, p, id);

	if (e == NULL)
		return;
	if (!e->agreed) {
		struct relay_end *asker = other_end(e);

		refuse(m, asker->peer, &asker->path, p->node, LM_RELAY_R_NO_CONSENT);
		asker->agreed = false;
	}
	e->agreed = false; /* knows already */
	pair_end(m, e->pair, true);
}

void lm_m_relay_frame(struct lm_mesh *m, struct session *s, const struct lm_path *from,
		      const struct lm_frame *f)
{
	struct peer *p = s->peer;

	if (p->current == NULL || p->barred != LM_TRUSTED)
		return;
	switch (f->type) {
	case LM_FRAME_RELAY_OPEN:
	case LM_FRAME_RELAY_ACCEPT:
		if (heard_too_often(m, p))
			return;
		if (f->type == LM_FRAME_RELAY_OPEN)
			on_open(m, p, from, f->u.relay.node);
		else
			on_accept(m, p, from, f->u.relay.id);
		break;
	case LM_FRAME_RELAY_END:
		on_end(m, p, f->u.relay.id);
		lm_m_way_frame(m, p, from, f);
		break;
	default:
		lm_m_way_frame(m, p, from, f);
	}
}

void lm_m_pairs_moved(struct lm_mesh *m, struct peer *p)
{
	struct relay_end *e, *tmp;

	DL_FOREACH_SAFE(p->pairs, e, tmp)
	{
		struct lm_path before = e->path;

		if (!lm_m_straight(p) ||
		    !end_at(m, e->pair, e, lm_m_relay_place(p, &e->path, &p->active->path)))
			pair_end(m, e->pair, true);
		else if (e->pair->open && !lm_m_path_equal(&before, &e->path))
			tell(m, e, LM_FRAME_RELAY_READY); /* its datagrams count there */
	}
}

void lm_m_pairs_drop(struct lm_mesh *m, const struct peer *p)
{
	while (p->pairs != NULL)
		pair_end(m, p->pairs->pair, true);
}

/* Ends what nobody has wanted for so long; when the next one is due. */
static lm_time expire(struct lm_mesh *m, struct relay_pair **list, lm_time life)
{
	while (*list != NULL && (*list)->used + life <= m->now.mono)
		pair_end(m, *list, true);
	return *list != NULL ? (*list)->used + life : LM_TIME_NEVER;
}

void lm_m_relay_timer(struct lm_mesh *m)
{
	lm_time asked = expire(m, &m->relaying.asked, LM_M_RELAY_AGAIN);
	lm_time open = expire(m, &m->relaying.open, LM_M_RELAY_LIFE);

	m->relay_due_at = LM_TIME_NEVER;
	lm_m_relay_arm(m, asked < open ? asked : open);
}

void lm_mesh_relaying(struct lm_mesh *m, struct lm_now now, uint32_t pairs)
{
	lm_m_enter(m, now);
	m->relaying.max_pairs = pairs;
	lm_m_relaying_check(m);
	lm_m_leave(m);
}

void lm_m_relaying_check(struct lm_mesh *m)
{
	bool may = (m->cert.roles & LM_ROLE_RELAY) != 0;
	struct relaying *r = &m->relaying;

	while (r->n_pairs > (may ? r->max_pairs : 0))
		pair_end(m, r->asked != NULL ? r->asked : r->open, true);
}

static void show(const struct relay_pair *pair,
		 void (*each)(void *user, const struct lm_relay_info *pair), void *user)
{
	struct lm_relay_info info = {.open = pair->open};

	for (unsigned i = 0; i < 2; i++) {
		info.peer[i] = pair->end[i].peer->index;
		info.path[i] = pair->end[i].path;
		info.path[i].relay = pair->end[i].id;
	}
	each(user, &info);
}

void lm_mesh_relay_pairs(const struct lm_mesh *m,
			 void (*each)(void *user, const struct lm_relay_info *pair), void *user)
{
	const struct relay_pair *pair;

	DL_FOREACH(m->relaying.open, pair)
	show(pair, each, user);
	DL_FOREACH(m->relaying.asked, pair)
	show(pair, each, user);
}
