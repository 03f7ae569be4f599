/* SPDX-License-Identifier: BSD-3-Clause */
/* What the tests of mesh share: two nodes in a world. */
#ifndef LANEMESH_TESTS_MESH_PAIR_H
#define LANEMESH_TESTS_MESH_PAIR_H

#include "world.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

struct pair {
	struct world w;
	struct node *a, *b;
};

static inline void pair_begin(struct pair *p, uint64_t seed)
{
	world_init(&p->w, seed);
	p->w.what = "unit test";
	p->a = world_node(&p->w);
	p->b = world_node(&p->w);
}

static inline bool pair_up(const struct pair *p)
{
	struct lm_peer_info ia, ib;

	return node_up(p->a, p->b, &ia) && node_up(p->b, p->a, &ib) &&
	       ia.session == ib.remote_spi && ib.session == ia.remote_spi;
}

static inline bool pair_up_cond(struct world *w, void *arg)
{
	(void)w;
	return pair_up(arg);
}

static inline void pair_start(struct pair *p)
{
	node_start(p->a);
	node_start(p->b);
	world_tell_all(&p->w);
}

static inline void pair_connect(struct pair *p)
{
	pair_start(p);
	assert_true(world_until(&p->w, LM_SEC, pair_up_cond, p));
	/* what is still on its way arrives */
	world_pass(&p->w, LM_SEC);
	assert_true(pair_up(p));
}

static inline const struct lm_mesh_counters *counters(const struct node *n)
{
	return lm_mesh_counters(n->mesh);
}

/* Traffic both ways, `each` apart, for the given time. Returns packets not even sent. */
static inline unsigned pair_talk(struct pair *p, lm_time how_long, lm_time each)
{
	lm_time end = p->w.now + how_long;
	unsigned unsent = 0;

	while (p->w.now < end) {
		unsent += !node_send_esp(p->a, p->b);
		unsent += !node_send_esp(p->b, p->a);
		world_pass(&p->w, each);
	}
	return unsent;
}

/* Keeps copies of what passes the tap. */
struct capture {
	uint8_t type; /* of the control messages that are wanted; 0xff = ESP */
	unsigned n, max;
	bool drop; /* what was caught does not arrive */
	struct datagram *d;
};

static inline uint8_t datagram_type(const struct datagram *d)
{
	return lm_demux(d->data, d->len) == LM_DEMUX_ESP ? 0xff : lm_msg_type(d->data, d->len);
}

static inline bool capture_tap(struct world *w, struct datagram *d, void *user)
{
	struct capture *c = user;

	(void)w;
	if (datagram_type(d) != c->type || c->n == c->max)
		return true;
	c->d[c->n++] = *d;
	return !c->drop;
}

#endif
