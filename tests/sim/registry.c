/* SPDX-License-Identifier: BSD-3-Clause */
#include "registry.h"

#include <stdlib.h>
#include <time.h>

#define TCP_DELAY (15 * LM_MSEC)

struct post;

struct line {
	struct registry *registry;
	struct post *post;
	struct node *node;
	struct lm_coord_client *client;
	struct lm_coord_conn *conn;
	struct actor tick;
};

/* A coordinator. */
struct post {
	struct registry *registry;
	struct lm_identity *id;
	struct lm_coord_server *server;
	struct lm_coord_stun *stun;
	struct lm_endpoint at;
	struct actor tick;
	struct line *lines; /* by number of the node */
};

struct parcel {
	struct parcel *next;
	lm_time at;
	struct line *line;
	enum { OPEN, OPENED, DATA } kind;
	bool to_server;
	size_t len;
	uint8_t data[];
};

struct registry {
	struct world *w;
	unsigned n;
	struct post *posts;
	struct parcel *first, **last;
	struct actor tcp;
	size_t key_at; /* of the node's key in a certificate */
	bool (*wanted)(void *user, const struct node *a, const struct node *b);
	void *user;
	double cpu;
	uint64_t records;
};

static double cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* ------------------------------------------------------------------- TCP -- */

static void put(struct line *l, bool to_server, int kind, const uint8_t *data, size_t len)
{
	struct registry *r = l->registry;
	struct parcel *p = malloc(sizeof(*p) + len);

	world_must(r->w, p != NULL);
	*p = (struct parcel){
	    .at = r->w->now + TCP_DELAY, .line = l, .to_server = to_server, .len = len};
	p->kind = kind;
	if (len > 0)
		memcpy(p->data, data, len);
	*r->last = p;
	r->last = &p->next;
	if (r->first == p)
		actor_at(r->w, &r->tcp, p->at);
}

static struct lm_now post_now(const struct registry *r)
{
	return (struct lm_now){.mono = r->w->now,
			       .wall = r->w->wall + (int64_t)((r->w->now - WORLD_START) / LM_SEC)};
}

static void sync_post(struct post *p)
{
	actor_at(p->registry->w, &p->tick, lm_coord_server_next(p->server));
}

static void sync_line(struct line *l)
{
	lm_time due = lm_coord_client_next(l->client);

	actor_at(l->registry->w, &l->tick,
		 due == LM_TIME_NEVER ? due : due + l->node->started - LM_SEC);
}

static lm_time line_now(const struct line *l)
{
	return world_now(l->registry->w, l->node).mono;
}

static void drain_server(struct line *l)
{
	const uint8_t *data;
	size_t len;

	while ((data = lm_coord_conn_output(l->conn, &len)) != NULL && len > 0) {
		put(l, false, DATA, data, len);
		lm_coord_conn_sent(l->conn, l->registry->w->now, len);
	}
}

static void at_server(struct line *l, const struct parcel *p)
{
	struct registry *r = l->registry;
	double began = cpu_now();

	if (p->kind == OPEN) {
		l->conn = lm_coord_server_accept(l->post->server, post_now(r), &l->node->wan[0], l);
		world_must(r->w, l->conn != NULL);
		put(l, false, OPENED, NULL, 0);
	} else {
		lm_coord_server_input(l->post->server, post_now(r), l->conn, p->data, p->len);
	}
	sync_post(l->post);
	r->cpu += cpu_now() - began;
}

static void at_client(struct line *l, const struct parcel *p)
{
	if (p->kind == OPENED)
		lm_coord_client_connected(l->client, line_now(l));
	else
		lm_coord_client_input(l->client, line_now(l), p->data, p->len);
	sync_line(l);
	node_sync(l->node);
}

static void run(struct world *w, struct actor *a)
{
	struct registry *r = LM_CONTAINER_OF(a, struct registry, tcp);

	while (r->first != NULL && r->first->at <= w->now) {
		struct parcel *p = r->first;

		r->first = p->next;
		if (r->first == NULL)
			r->last = &r->first;
		if (p->to_server)
			at_server(p->line, p);
		else
			at_client(p->line, p);
		free(p);
	}
	if (r->first != NULL)
		actor_at(w, a, r->first->at);
}

/* ---------------------------------------------------------- coordinators -- */

static void post_tick(struct world *w, struct actor *a)
{
	struct post *p = LM_CONTAINER_OF(a, struct post, tick);
	double began = cpu_now();

	(void)w;
	lm_coord_server_tick(p->server, post_now(p->registry));
	sync_post(p);
	p->registry->cpu += cpu_now() - began;
}

static void post_output(void *user, void *conn_user)
{
	struct line *l = conn_user;

	(void)user;
	if (l->conn != NULL)
		drain_server(l);
}

static void post_close(void *user, void *conn_user, const uint8_t *last, size_t len)
{
	const struct post *p = user;
	const struct line *l = conn_user;

	(void)last;
	(void)len;
	world_fail(p->registry->w, "a coordinator has ended the link of gw%u", l->node->number);
}

static void post_random(void *user, void *out, size_t len)
{
	world_random_bytes(((struct post *)user)->registry->w, out, len);
}

static const struct lm_coord_server_ops post_ops = {
    .output = post_output, .close = post_close, .random = post_random};

static size_t answer(struct world *w, void *user, const struct lm_endpoint *from,
		     const uint8_t *data, size_t len, uint8_t *out)
{
	return lm_coord_stun_answer(((struct post *)user)->stun, w->now, from, data, len, out);
}

static void post_start(struct registry *r, struct post *p)
{
	uint8_t number = (uint8_t)(p - r->posts + 1), seed[32];
	struct lm_coord_server_config cfg = {.authorities = r->w->nodes[0]->authorities};
	struct world *w = r->w;
	struct lm_error err;

	p->registry = r;
	p->tick.run = post_tick;
	world_random_bytes(w, seed, sizeof(seed));
	p->id = lm_identity_from_seed(seed);
	p->stun = lm_coord_stun_new(seed);
	p->lines = calloc(w->n_nodes, sizeof(p->lines[0]));
	world_must(w, p->id != NULL && p->stun != NULL && p->lines != NULL);
	cfg.id = p->id;
	lm_coord_limits_default(&cfg.limits);
	p->server = lm_coord_server_new(&cfg, &post_ops, p, post_now(r), &err);
	if (p->server == NULL)
		world_fail(w, "coordinator: %s", err.text);
	p->at = (struct lm_endpoint){lm_ip4((uint8_t[]){198, 51, 100, number}), 3478};
	world_must(w, w->n_services < WORLD_SERVICES);
	w->services[w->n_services++] = (struct service){.at = p->at, .answer = answer, .user = p};
	sync_post(p);
}

/* ----------------------------------------------------------------- nodes -- */

static void op_connect(void *user)
{
	put(user, true, OPEN, NULL, 0);
}

static void op_close(void *user)
{
	const struct line *l = user;

	world_fail(l->registry->w, "gw%u has ended a link", l->node->number);
}

static void op_output(void *user)
{
	struct line *l = user;
	const uint8_t *data;
	size_t len;

	while ((data = lm_coord_client_output(l->client, &len)) != NULL && len > 0) {
		put(l, true, DATA, data, len);
		lm_coord_client_sent(l->client, len);
	}
}

static void op_random(void *user, void *out, size_t len)
{
	world_random_bytes(((struct line *)user)->registry->w, out, len);
}

static void op_record(void *user, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		      size_t ann_len)
{
	const struct line *l = user;
	struct registry *r = l->registry;
	const struct node *other;

	r->records++;
	world_must(r->w, cert_len >= r->key_at + LM_KEY_LEN);
	other = world_who(r->w, cert + r->key_at);
	world_must(r->w, other != NULL);
	if (other != l->node && r->wanted(r->user, l->node, other))
		world_must(r->w, lm_mesh_record(l->node->mesh, world_now(r->w, l->node), cert,
						cert_len, ann, ann_len) == LM_TRUSTED);
}

static void op_removed(void *user, const uint8_t node[LM_KEY_LEN])
{
	const struct line *l = user;

	(void)node;
	world_fail(l->registry->w, "a node has left the directory");
}

static void op_revocation(void *user, const uint8_t *data, size_t len)
{
	(void)user;
	(void)data;
	(void)len;
}

static void op_resync(void *user)
{
	(void)user;
}

static void op_synced(void *user, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	(void)user;
	(void)epoch;
	(void)revision;
}

static void op_signalled(void *user, const uint8_t node[LM_KEY_LEN], uint64_t token)
{
	const struct line *l = user;

	(void)token;
	lm_mesh_signalled(l->node->mesh, world_now(l->registry->w, l->node),
			  (unsigned)(l->post - l->registry->posts), node);
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

static void line_tick(struct world *w, struct actor *a)
{
	struct line *l = LM_CONTAINER_OF(a, struct line, tick);

	(void)w;
	lm_coord_client_tick(l->client, line_now(l));
	sync_line(l);
	node_sync(l->node);
}

/* These two are called from within the mesh, perhaps from within a client: both may be. */
static void signal_node(struct node *n, const uint8_t node[32])
{
	struct registry *r = n->user;

	for (unsigned i = 0; i < r->n; i++) {
		struct line *l = &r->posts[i].lines[n->number];

		(void)lm_coord_client_signal(l->client, node, 0);
		sync_line(l);
	}
}

static void announced(struct node *n)
{
	struct registry *r = n->user;

	for (unsigned i = 0; i < r->n; i++) {
		struct line *l = &r->posts[i].lines[n->number];

		world_must(
		    r->w, lm_coord_client_publish(l->client, line_now(l), n->ann, n->ann_len) == 0);
		sync_line(l);
	}
}

void registry_join(struct registry *r, struct node *n)
{
	struct lm_endpoint at[WORLD_SERVICES];
	struct lm_error err;

	for (unsigned i = 0; i < r->n; i++) {
		struct line *l = &r->posts[i].lines[n->number];
		struct lm_coord_client_config cfg = {
		    .id = n->id, .cert = n->cert, .cert_len = n->cert_len, .name = "coordinator"};

		at[i] = r->posts[i].at;
		*l = (struct line){
		    .registry = r, .post = &r->posts[i], .node = n, .tick.run = line_tick};
		memcpy(cfg.mesh, n->cert_body.mesh, sizeof(cfg.mesh));
		memcpy(cfg.server_key, r->posts[i].id->ed_public, LM_KEY_LEN);
		l->client = lm_coord_client_new(&cfg, &client_ops, l, &err);
		if (l->client == NULL)
			world_fail(r->w, "client: %s", err.text);
	}
	n->user = r;
	n->announced = announced;
	n->signal = signal_node;
	announced(n);
	lm_mesh_stun_servers(n->mesh, world_now(r->w, n), at, r->n);
	node_sync(n);
}

/* ------------------------------------------------------------------- all -- */

static size_t find_key(const struct node *n)
{
	for (size_t i = 0; i + LM_KEY_LEN <= n->cert_len; i++)
		if (memcmp(n->cert + i, n->id->ed_public, LM_KEY_LEN) == 0)
			return i;
	world_fail(n->world, "a certificate without its node's key");
}

struct registry *
registry_new(struct world *w, unsigned coordinators,
	     bool (*wanted)(void *user, const struct node *a, const struct node *b), void *user)
{
	struct registry *r = calloc(1, sizeof(*r));

	world_must(w, r != NULL);
	*r = (struct registry){.w = w, .n = coordinators, .wanted = wanted, .user = user};
	r->last = &r->first;
	r->tcp.run = run;
	r->key_at = find_key(w->nodes[0]);
	r->posts = calloc(r->n, sizeof(r->posts[0]));
	world_must(w, r->posts != NULL);
	for (unsigned i = 0; i < r->n; i++)
		post_start(r, &r->posts[i]);
	return r;
}

void registry_sum(const struct registry *r, struct registry_sum *out)
{
	*out = (struct registry_sum){.records = r->records, .cpu = r->cpu};
	for (unsigned i = 0; i < r->n; i++) {
		const struct lm_coord_server_counters *c =
		    lm_coord_server_counters(r->posts[i].server);

		out->to_nodes += c->bytes_out;
		out->from_nodes += c->bytes_in;
	}
}

void registry_free(struct registry *r)
{
	actor_at(r->w, &r->tcp, LM_TIME_NEVER);
	for (unsigned i = 0; i < r->n; i++) {
		struct post *p = &r->posts[i];

		actor_at(r->w, &p->tick, LM_TIME_NEVER);
		for (unsigned k = 0; k < r->w->n_nodes; k++) {
			actor_at(r->w, &p->lines[k].tick, LM_TIME_NEVER);
			lm_coord_client_free(p->lines[k].client);
			if (p->lines[k].conn != NULL)
				lm_coord_server_closed(p->server, p->lines[k].conn);
		}
		lm_coord_server_free(p->server);
		lm_coord_stun_free(p->stun);
		lm_identity_free(p->id);
		free(p->lines);
	}
	while (r->first != NULL) {
		struct parcel *p = r->first;

		r->first = p->next;
		free(p);
	}
	free(r->posts);
	free(r);
}
