/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A coordinator and sites on a virtual clock and byte queues: nothing moves but in
 * world_pump and world_run, and each test can cut, hold or change what is on the way.
 */
#ifndef COORD_WORLD_H
#define COORD_WORLD_H

#include <coord_store_mem.h>
#include <lanemesh/coord.h>

#define WORLD_SITES 24
#define WORLD_EPOCH 1750000000 /* wall seconds at mono 0 */
#define WORLD_VALID (90 * 86400)

struct queue {
	uint8_t *data;
	size_t len, cap;
};

struct world;
struct site;

/* The coordinator's end of one connection. */
struct tcp {
	struct tcp *next; /* all of the world's, also those that their site has left behind */
	struct site *site;
	struct lm_coord_conn *conn; /* NULL: ended */
};

struct site {
	struct world *w;
	unsigned number;
	struct lm_identity *id;
	struct lm_cert cert_fields;
	uint8_t cert[LM_CERT_MAX];
	size_t cert_len;
	struct lm_endpoint from;
	struct lm_coord_client *client;
	struct tcp *tcp; /* NULL: not connected */
	bool want_connect, client_closed, server_closed;
	bool cut;	/* nothing gets through, unnoticed */
	bool hold_down; /* what the server sends is not taken (slow consumer) */
	struct queue to_server, to_client;
	struct lm_directory *dir;
	int source;
	unsigned records, removed, lists, resyncs, synceds, publisheds, signals;
	uint8_t signaller[LM_KEY_LEN]; /* of the last one */
	uint64_t token;
	bool echo; /* signals back at once, with the token plus 1 */
	uint64_t published;
	char why[256]; /* last reason of the state callback */
};

struct world {
	struct lm_now now;
	uint64_t rng;
	struct lm_identity *authority, *other, *server_id;
	struct lm_authorities au;
	struct lm_coord_limits limits;
	lm_time ttl;
	struct mem_store *store;
	struct lm_coord_server *server;
	bool refuse; /* nothing listens */
	struct tcp *tcps;
	struct site *sites[WORLD_SITES];
	unsigned n_sites;
	char log[64 * 1024]; /* all lines so far */
	size_t log_len;
	struct lm_log sink;
};

struct world *world_new(void);
/* At another wall time than WORLD_EPOCH. */
struct world *world_new_at(int64_t wall);
void world_free(struct world *w);
/* kill -9: connections break, nothing is said; and back with the same store. */
void world_server_kill(struct world *w);
void world_server_start(struct world *w);

/* A site with a valid certificate and a client; change cert_fields and call site_certify after
 * site_new with start = false for another one. */
struct site *site_new(struct world *w, bool start);
/* Signs cert_fields. by NULL: the authority. */
void site_certify(struct site *s, const struct lm_identity *by);
void site_start(struct site *s);
void site_stop(struct site *s); /* frees the client; its connection breaks */
/* Signs and publishes an announcement. */
void site_publish(struct site *s, uint64_t sequence);
size_t site_announcement(struct site *s, uint64_t sequence, uint8_t *buf);
bool site_knows(struct site *s, const struct site *other, uint64_t sequence);
/* A list that revokes the nodes given (n of them). Length. */
size_t world_list(struct world *w, uint64_t number, struct site *const *revoked, size_t n,
		  uint8_t *buf, size_t cap);

/* Delivers bytes and connections until nothing moves. */
void world_pump(struct world *w);
/* Lets time pass, every deadline at its moment. */
void world_run(struct world *w, lm_time span);
bool world_logged(const struct world *w, const char *text);
uint64_t world_random(struct world *w);

#endif
