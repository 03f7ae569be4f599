/* SPDX-License-Identifier: BSD-3-Clause */
/* Sites: a node with its directory on disk and its links to the coordinators, as lib/control ties
 * them together. */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define SAVE_EVERY    (50 * LM_MSEC)
#define CLIENT_NOW(t) (world_now(&(t)->sim->w, (t)->node).mono)

/* ---------------------------------------------------- link's operations -- */

static const struct lm_coord_client_ops client_ops;

static void op_connect(void *user)
{
	link_open(user);
}

static void op_close(void *user)
{
	link_close(user);
}

static void pull(struct link *l)
{
	const uint8_t *data;
	size_t len;

	while ((data = lm_coord_client_output(l->client, &len)) != NULL && len > 0) {
		tcp_send(l, true, CHUNK_DATA, data, len);
		lm_coord_client_sent(l->client, len);
	}
}

static void op_output(void *user)
{
	pull(user);
}

static void op_random(void *user, void *out, size_t len)
{
	world_random_bytes(&((struct link *)user)->site->sim->w, out, len);
}

static void take(struct link *l, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		 size_t ann_len)
{
	struct site *t = l->site;
	enum lm_verdict v = lm_mesh_record(t->node->mesh, world_now(&t->sim->w, t->node), cert,
					   cert_len, ann, ann_len);

	int rc;

	if (v != LM_TRUSTED && v != LM_EXPIRED && v != LM_NOT_YET_VALID)
		return;
	rc = lm_directory_put(t->directory, l->source, cert, cert_len, ann, ann_len);
	if (v == LM_TRUSTED && rc != 0)
		world_fail(&t->sim->w, "the directory did not take a good record");
}

static void op_record(void *user, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		      size_t ann_len)
{
	struct link *l = user;
	struct coordinator *c = &l->site->sim->coords[l->coord];
	uint8_t said_cert[LM_CERT_MAX], said_ann[LM_ANNOUNCE_MAX];

	world_must(&l->site->sim->w, cert_len <= sizeof(said_cert) && ann_len <= sizeof(said_ann));
	memcpy(said_cert, cert, cert_len);
	memcpy(said_ann, ann, ann_len);
	if (c->lies == LIE_GONE) {
		struct lm_cert body;
		size_t body_len;

		if (lm_cert_decode(cert, cert_len, &body, &body_len) == 0)
			client_ops.removed(user, body.node);
	} else if (coordinator_lie(c, said_cert, &cert_len, said_ann, &ann_len)) {
		take(l, said_cert, cert_len, said_ann, ann_len);
	}
}

static void op_removed(void *user, const uint8_t node[LM_KEY_LEN])
{
	struct link *l = user;
	struct site *t = l->site;

	if (lm_directory_unlist(t->directory, l->source, node))
		lm_mesh_record_removed(t->node->mesh, world_now(&t->sim->w, t->node), node);
}

static void op_revocation(void *user, const uint8_t *data, size_t len)
{
	struct link *l = user;
	struct site *t = l->site;

	if (lm_mesh_revocation(t->node->mesh, world_now(&t->sim->w, t->node), data, len) ==
		LM_TRUSTED &&
	    lm_directory_put_revocation(t->directory, data, len) != 0)
		world_fail(&t->sim->w, "the directory did not take a good list");
}

static void op_resync(void *user)
{
	struct link *l = user;

	lm_directory_resync(l->site->directory, l->source);
}

static void gone(void *user, const uint8_t node[LM_KEY_LEN])
{
	struct site *t = user;

	lm_mesh_record_removed(t->node->mesh, world_now(&t->sim->w, t->node), node);
}

static void op_synced(void *user, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	struct link *l = user;

	lm_directory_synced(l->site->directory, l->source, epoch, revision, gone, l->site);
}

static void op_signalled(void *user, const uint8_t node[LM_KEY_LEN], uint64_t token)
{
	struct link *l = user;
	struct site *t = l->site;

	(void)token;
	lm_mesh_signalled(t->node->mesh, world_now(&t->sim->w, t->node), l->coord, node);
}

static const struct lm_coord_client_ops client_ops = {
    .connect = op_connect,
    .close = op_close,
    .output = op_output,
    .random = op_random,
    .record = op_record,
    .removed = op_removed,
    .revocation = op_revocation,
    .resync = op_resync,
    .synced = op_synced,
    .signalled = op_signalled,
};

static void tick(struct world *w, struct actor *a);

static void start_link(struct site *t, unsigned coord)
{
	struct link *l = &t->links[coord];
	struct lm_coord_client_config cfg = {.id = t->node->id,
					     .cert = t->node->cert,
					     .cert_len = t->node->cert_len,
					     .name = "coordinator"};
	struct lm_error err;

	l->site = t;
	l->coord = coord;
	l->tick.run = tick;
	l->source = lm_directory_source(t->directory, t->sim->coords[coord].id->ed_public);
	world_must(&t->sim->w, l->source >= 0);
	memcpy(cfg.mesh, t->node->cert_body.mesh, sizeof(cfg.mesh));
	memcpy(cfg.server_key, t->sim->coords[coord].id->ed_public, LM_KEY_LEN);
	lm_directory_position(t->directory, l->source, cfg.epoch, &cfg.revision);
	l->client = lm_coord_client_new(&cfg, &client_ops, l, &err);
	if (l->client == NULL)
		world_fail(&t->sim->w, "client: %s", err.text);
	link_sync(l);
}

/* ----------------------------------------------------------------- sites -- */

static void publish(struct world *w, struct actor *a)
{
	struct site *t = LM_CONTAINER_OF(a, struct site, publish);

	for (unsigned i = 0; i < SIM_COORDS; i++) {
		if (t->links[i].client == NULL)
			continue;
		if (lm_coord_client_publish(t->links[i].client, CLIENT_NOW(t), t->node->ann,
					    t->node->ann_len) != 0)
			world_fail(w, "own announcement cannot be published");
		link_sync(&t->links[i]);
	}
}

static void announced(struct node *n)
{
	struct site *t = n->user;

	actor_at(&t->sim->w, &t->publish, t->sim->w.now);
}

/* As lib/control does it: a client must not be called from its own call, so all wait for a moment.
 */
static void signal_node(struct node *n, const uint8_t node[LM_KEY_LEN])
{
	struct site *t = n->user;

	if (t->n_signals == SIM_SIGNALS)
		return;
	memcpy(t->signals[t->n_signals++], node, LM_KEY_LEN);
	actor_at(&t->sim->w, &t->signal, t->sim->w.now);
}

static void send_signals(struct world *w, struct actor *a)
{
	struct site *t = LM_CONTAINER_OF(a, struct site, signal);

	(void)w;
	for (unsigned i = 0; i < SIM_COORDS; i++) {
		for (unsigned k = 0; k < t->n_signals && t->links[i].client != NULL; k++)
			(void)lm_coord_client_signal(t->links[i].client, t->signals[k], k);
		link_sync(&t->links[i]);
	}
	t->n_signals = 0;
}

static void ask_stun(struct site *t)
{
	struct lm_endpoint at[2 * SIM_COORDS];

	for (unsigned i = 0; i < SIM_COORDS; i++)
		memcpy(&at[2 * i], t->sim->coords[i].at, sizeof(t->sim->coords[i].at));
	lm_mesh_stun_servers(t->node->mesh, world_now(&t->sim->w, t->node), at, LM_ARRAY_SIZE(at));
}

static void from_disk(void *user, const struct lm_directory_record *r)
{
	struct site *t = user;

	(void)lm_mesh_record(t->node->mesh, world_now(&t->sim->w, t->node), r->cert, r->cert_len,
			     r->ann, r->ann_len);
}

static void list_from_disk(void *user, const uint8_t *data, size_t len)
{
	struct site *t = user;

	(void)lm_mesh_revocation(t->node->mesh, world_now(&t->sim->w, t->node), data, len);
}

void site_start(struct site *t)
{
	struct lm_error err;

	t->directory = lm_directory_new(SIM_SITES);
	world_must(&t->sim->w, t->directory != NULL);
	if (t->disk != NULL && lm_directory_decode(t->directory, t->disk, t->disk_len, &err) != 0)
		world_fail(&t->sim->w, "directory on disk: %s", err.text);
	t->saved_version = lm_directory_version(t->directory);
	t->node->user = t;
	t->node->announced = announced;
	t->node->signal = signal_node;
	node_start(t->node);
	ask_stun(t);
	lm_directory_each_revocation(t->directory, list_from_disk, t);
	lm_directory_each(t->directory, from_disk, t);
	for (unsigned i = 0; i < SIM_COORDS; i++)
		start_link(t, i);
	publish(&t->sim->w, &t->publish);
	node_sync(t->node);
}

static void save(struct site *t)
{
	if (lm_directory_version(t->directory) == t->saved_version)
		return;
	free(t->disk);
	t->disk = NULL;
	if (lm_directory_encode(t->directory, &t->disk, &t->disk_len) != 0)
		world_fail(&t->sim->w, "the directory cannot be saved");
	t->saved_version = lm_directory_version(t->directory);
}

void site_offline(struct site *t, bool offline)
{
	t->node->silent = offline;
	for (unsigned i = 0; offline && i < SIM_COORDS; i++)
		link_hang(&t->links[i]);
}

void site_stop(struct site *t, bool polite)
{
	for (unsigned i = 0; i < SIM_COORDS; i++) {
		struct link *l = &t->links[i];

		lm_coord_client_free(l->client);
		l->client = NULL;
		link_close(l);
		link_sync(l);
	}
	actor_at(&t->sim->w, &t->publish, LM_TIME_NEVER);
	actor_at(&t->sim->w, &t->signal, LM_TIME_NEVER);
	t->n_signals = 0;
	node_stop(t->node, polite);
	lm_directory_free(t->directory);
	t->directory = NULL;
}

/* ----------------------------------------------------- on the same clock -- */

void link_sync(struct link *l)
{
	struct site *t = l->site;
	lm_time due = l->client != NULL ? lm_coord_client_next(l->client) : LM_TIME_NEVER;

	actor_at(&t->sim->w, &l->tick,
		 due == LM_TIME_NEVER ? due : due + t->node->started - LM_SEC);
}

static void tick(struct world *w, struct actor *a)
{
	struct link *l = LM_CONTAINER_OF(a, struct link, tick);

	(void)w;
	lm_coord_client_tick(l->client, CLIENT_NOW(l->site));
	link_sync(l);
	node_sync(l->site->node);
}

static void save_all(struct world *w, struct actor *a)
{
	struct sim *s = LM_CONTAINER_OF(a, struct sim, save);

	for (unsigned i = 0; i < s->n_sites; i++)
		if (s->sites[i].node->mesh != NULL)
			save(&s->sites[i]);
	actor_at(w, a, w->now + SAVE_EVERY);
}

void sim_init(struct sim *s, uint64_t seed, unsigned n_sites)
{
	world_init(&s->w, seed);
	s->w.what = "lm_sim";
	tcp_init(s);
	s->n_sites = n_sites;
	for (unsigned i = 0; i < n_sites; i++) {
		s->sites[i].sim = s;
		s->sites[i].publish.run = publish;
		s->sites[i].signal.run = send_signals;
		s->sites[i].node = world_node(&s->w);
	}
	for (unsigned i = 0; i < SIM_COORDS; i++)
		coordinator_init(&s->coords[i], s, i);
	s->save.run = save_all;
	actor_at(&s->w, &s->save, s->w.now);
}

void sim_free(struct sim *s)
{
	for (unsigned i = 0; i < s->n_sites; i++) {
		if (s->sites[i].node->mesh != NULL)
			site_stop(&s->sites[i], false);
		free(s->sites[i].disk);
	}
	for (unsigned i = 0; i < SIM_COORDS; i++)
		coordinator_free(&s->coords[i]);
	while (s->first != NULL) {
		struct chunk *c = s->first;

		s->first = c->next;
		free(c);
	}
	world_free(&s->w);
}
