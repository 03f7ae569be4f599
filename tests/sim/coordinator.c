/* SPDX-License-Identifier: BSD-3-Clause */
/* Coordinators of lib/coord with a store that outlives them. */
#include "sim.h"

#include <errno.h>
#include <stdlib.h>

struct lm_now coordinator_now(const struct coordinator *c)
{
	const struct world *w = &c->sim->w;

	return (struct lm_now){.mono = w->now,
			       .wall = w->wall + (int64_t)((w->now - WORLD_START) / LM_SEC)};
}

/* ---------------------------------------------------------------- store -- */

static int store_load(void *self, int (*each)(void *user, const struct lm_coord_item *it),
		      void *user, uint8_t epoch[LM_EPOCH_LEN], uint64_t *revision,
		      struct lm_error *err)
{
	struct coordinator *c = self;

	(void)err;
	for (size_t i = 0; i < c->n_items; i++) {
		const struct stored *t = &c->items[i];
		struct lm_coord_item it = {.kind = t->kind,
					   .revision = t->revision,
					   .cert = t->cert,
					   .cert_len = t->cert_len,
					   .ann = t->ann,
					   .ann_len = t->ann_len};
		int rc;

		memcpy(it.key, t->key, sizeof(it.key));
		rc = each(user, &it);
		if (rc != 0)
			return rc;
	}
	memcpy(epoch, c->epoch, LM_EPOCH_LEN);
	*revision = c->revision;
	return 0;
}

static uint8_t *copy(const struct coordinator *c, const uint8_t *data, size_t len)
{
	uint8_t *p = malloc(len + 1);

	world_must(&c->sim->w, p != NULL);
	if (len > 0)
		memcpy(p, data, len);
	return p;
}

static struct stored *slot(struct coordinator *c, const struct lm_coord_item *it)
{
	bool list = it->kind == LM_COORD_ITEM_REVOCATION;

	for (size_t i = 0; i < c->n_items; i++)
		if (list == (c->items[i].kind == LM_COORD_ITEM_REVOCATION) &&
		    memcmp(c->items[i].key, it->key, LM_KEY_LEN) == 0)
			return &c->items[i];
	c->items = realloc(c->items, (c->n_items + 1) * sizeof(c->items[0]));
	world_must(&c->sim->w, c->items != NULL);
	c->items[c->n_items] = (struct stored){0};
	return &c->items[c->n_items++];
}

static int store_commit(void *self, const struct lm_coord_item *items, size_t n,
			struct lm_error *err)
{
	struct coordinator *c = self;

	(void)err;
	for (size_t i = 0; i < n; i++) {
		struct stored *t = slot(c, &items[i]);

		free(t->cert);
		free(t->ann);
		t->kind = items[i].kind;
		memcpy(t->key, items[i].key, LM_KEY_LEN);
		t->revision = items[i].revision;
		t->cert = copy(c, items[i].cert, items[i].cert_len);
		t->cert_len = items[i].cert_len;
		t->ann = copy(c, items[i].ann, items[i].ann_len);
		t->ann_len = items[i].ann_len;
		world_must(&c->sim->w, t->revision > 0);
		if (t->revision > c->revision)
			c->revision = t->revision;
	}
	return 0;
}

static int store_new_epoch(void *self, const uint8_t epoch[LM_EPOCH_LEN], struct lm_error *err)
{
	struct coordinator *c = self;

	(void)err;
	memcpy(c->epoch, epoch, LM_EPOCH_LEN);
	return 0;
}

/* ----------------------------------------------------------- operations -- */

void coordinator_output(struct link *l)
{
	struct sim *s = l->site->sim;
	const uint8_t *data;
	size_t len;

	while (l->conn != NULL && (data = lm_coord_conn_output(l->conn, &len)) != NULL && len > 0) {
		tcp_send(l, false, CHUNK_DATA, data, len);
		lm_coord_conn_sent(l->conn, s->w.now, len);
	}
}

static void op_output(void *user, void *conn_user)
{
	(void)user;
	coordinator_output(conn_user); /* before accept has returned: at_server does it */
}

static void op_close(void *user, void *conn_user, const uint8_t *last, size_t len)
{
	struct coordinator *c = user;
	struct link *l = conn_user;

	l->conn = NULL;
	if (len > 0 && !c->killed)
		tcp_send(l, false, CHUNK_DATA, last, len);
	tcp_send(l, false, CHUNK_CLOSED, NULL, 0);
}

static void op_random(void *user, void *out, size_t len)
{
	world_random_bytes(&((struct coordinator *)user)->sim->w, out, len);
}

/* ------------------------------------------------------------------ life -- */

void coordinator_sync(struct coordinator *c)
{
	actor_at(&c->sim->w, &c->tick,
		 c->server != NULL ? lm_coord_server_next(c->server) : LM_TIME_NEVER);
}

static void tick(struct world *w, struct actor *a)
{
	struct coordinator *c = LM_CONTAINER_OF(a, struct coordinator, tick);

	(void)w;
	lm_coord_server_tick(c->server, coordinator_now(c));
	coordinator_sync(c);
}

/* Who asks is told what it sees; a liar tells something near it. */
static size_t answer(struct world *w, void *user, const struct lm_endpoint *from,
		     const uint8_t *data, size_t len, uint8_t *out)
{
	struct coordinator *c = user;
	struct lm_endpoint seen = *from;

	if (c->server == NULL)
		return 0;
	seen.port ^= c->lies == LIE_STUN;
	return lm_coord_stun_answer(c->stun, w->now, &seen, data, len, out);
}

static void serve_stun(struct coordinator *c)
{
	struct world *w = &c->sim->w;
	uint8_t n = (uint8_t)(c->number + 1), key[16];
	struct lm_ip v6 = {.family = 6, .b = {0x20, 0x01, 0x0d, 0xba, [15] = n}};

	world_random_bytes(w, key, sizeof(key));
	c->stun = lm_coord_stun_new(key);
	world_must(w, c->stun != NULL);
	c->at[0] = (struct lm_endpoint){lm_ip4((uint8_t[]){198, 51, 100, n}), 3478};
	c->at[1] = (struct lm_endpoint){v6, 3478};
	for (unsigned i = 0; i < 2; i++) {
		world_must(w, w->n_services < WORLD_SERVICES);
		w->services[w->n_services++] =
		    (struct service){.at = c->at[i], .answer = answer, .user = c};
	}
}

void coordinator_init(struct coordinator *c, struct sim *s, unsigned number)
{
	uint8_t seed[32];

	c->sim = s;
	c->number = number;
	c->tick.run = tick;
	world_random_bytes(&s->w, seed, sizeof(seed));
	world_random_bytes(&s->w, c->epoch, sizeof(c->epoch));
	c->id = lm_identity_from_seed(seed);
	world_must(&s->w, c->id != NULL);
	serve_stun(c);
	c->store = (struct lm_coord_store){
	    .self = c, .load = store_load, .commit = store_commit, .new_epoch = store_new_epoch};
}

void coordinator_start(struct coordinator *c)
{
	static const struct lm_coord_server_ops ops = {
	    .output = op_output, .close = op_close, .random = op_random};
	struct lm_coord_server_config cfg = {.id = c->id, .store = &c->store};
	struct lm_error err;

	cfg.authorities = c->sim->sites[0].node->authorities;
	lm_coord_limits_default(&cfg.limits);
	c->server = lm_coord_server_new(&cfg, &ops, c, coordinator_now(c), &err);
	if (c->server == NULL)
		world_fail(&c->sim->w, "coordinator: %s", err.text);
	coordinator_sync(c);
}

void coordinator_honest(struct coordinator *c)
{
	if (c->lies == LIE_NONE)
		return;
	c->lies = LIE_NONE;
	if (c->server == NULL)
		return;
	/* Those whom it told nothing do not know that they miss something. */
	coordinator_stop(c);
	world_random_bytes(&c->sim->w, c->epoch, sizeof(c->epoch));
	coordinator_start(c);
}

bool coordinator_lie(struct coordinator *c, uint8_t *cert, size_t *cert_len, uint8_t *ann,
		     size_t *ann_len)
{
	struct world *w = &c->sim->w;

	switch (c->lies) {
	case LIE_WITHHOLD:
		return false;
	case LIE_OLD:
		memcpy(cert, c->old_cert, c->old_cert_len);
		*cert_len = c->old_cert_len;
		memcpy(ann, c->old_ann, c->old_ann_len);
		*ann_len = c->old_ann_len;
		return c->old_cert_len > 0;
	case LIE_MIXED:
		memcpy(ann, c->old_ann, c->old_ann_len);
		*ann_len = c->old_ann_len;
		return c->old_ann_len > 0;
	case LIE_DAMAGED:
		cert[world_random(w, (uint32_t)*cert_len)] ^= 1;
		return true;
	default:
		break;
	}
	if (world_random(w, 4) == 0) {
		memcpy(c->old_cert, cert, *cert_len);
		c->old_cert_len = *cert_len;
		memcpy(c->old_ann, ann, *ann_len);
		c->old_ann_len = *ann_len;
	}
	return true;
}

void coordinator_stop(struct coordinator *c)
{
	c->killed = true;
	lm_coord_server_free(c->server);
	c->server = NULL;
	c->killed = false;
	coordinator_sync(c);
}

void coordinator_free(struct coordinator *c)
{
	if (c->server != NULL)
		coordinator_stop(c);
	for (size_t i = 0; i < c->n_items; i++) {
		free(c->items[i].cert);
		free(c->items[i].ann);
	}
	free(c->items);
	lm_coord_stun_free(c->stun);
	lm_identity_free(c->id);
}
