/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world: mesh cores on a virtual clock, over a network that loses, delays,
 * reorders and repeats, with a model of the data plane under each. Everything
 * that happens follows from the seed. What must always hold is checked as it
 * happens; a breach prints the seed and aborts.
 */
#ifndef LANEMESH_TESTS_WORLD_H
#define LANEMESH_TESTS_WORLD_H

#include <lanemesh/mesh.h>

#define WORLD_NODES 64
#define WORLD_PORTS 2
#define WORLD_WALL  1800000000 /* wall clock at the start */
#define WORLD_START (1000 * LM_SEC)

struct world;
struct node;

/* Inbound SAs of one session. */
struct sa_in {
	bool used;
	uint32_t spi_base, peer;
	uint8_t lanes;
	struct lm_esp_key key; /* of lane 0: the model sends on that one only */
	uint32_t top;
	lm_time last_rx;
	bool has_from;
	struct lm_endpoint from;
};

#define NODE_SAS 512
struct node_peer {
	bool used;
	struct lm_cert cert;
	bool has_out, has_path;
	uint32_t session, spi_base, seq;
	uint8_t lanes;
	struct lm_esp_key key;
	struct lm_path path;
	uint32_t n_in;
};

struct node {
	struct world *world;
	unsigned number;
	struct lm_mesh *mesh; /* NULL: down */
	struct lm_identity *id;
	uint8_t cert[LM_CERT_MAX];
	size_t cert_len;
	struct lm_cert cert_body;
	struct lm_endpoint wan[WORLD_PORTS]; /* as the network sees it; port 0 = none */
	uint8_t n_wan;
	uint8_t ann[LM_ANNOUNCE_MAX]; /* the last one made, kept over restarts */
	size_t ann_len;
	uint64_t ann_sequence;
	struct lm_mesh_timers timers;
	uint32_t max_half_open, max_peers, handshake_limit;
	uint8_t psk[32];
	struct lm_authorities authorities;
	int64_t skew; /* of its wall clock */
	bool silent;  /* gets and sends nothing */
	bool reports; /* workers' usage, each second */
	lm_time started;

	struct sa_in sas[NODE_SAS];
	struct node_peer peers[WORLD_NODES];
	int fail_sa_in, fail_peer_set; /* the next so many calls fail */

	uint64_t sent, sent_bytes, sent_to_overlay; /* control datagrams */
	uint64_t inits;				    /* message 1s among them */
	uint64_t sas_added, sas_removed, out_sets, path_sets, announces, revocations;
	uint64_t esp_sent, esp_got, esp_lost_here; /* lost_here: no SA for it */
	void *user;
	void (*announced)(struct node *n); /* ann has changed (opt) */
	struct lm_log *log;
	/* Sees each line; false: not to be printed. */
	bool (*log_sink)(struct node *n, const char *line);
};

struct datagram {
	lm_time at;
	uint64_t order;
	struct lm_endpoint from, to;
	size_t len;
	uint8_t data[LM_CONTROL_MAX];
};

struct world {
	uint64_t seed, rng;
	lm_time now;
	int64_t wall;
	struct lm_identity *authority;
	uint64_t revocation_number;
	struct node *nodes[WORLD_NODES];
	unsigned n_nodes;
	struct datagram **queue; /* binary heap by (at, order) */
	size_t n_queue, cap_queue;
	uint64_t order;
	struct used_key *keys; /* every outbound SA key that there ever was */
	lm_time next_report;
	uint64_t events_now; /* without the clock moving */

	/* the network */
	unsigned loss, duplicate; /* in 1,000 */
	lm_time delay, jitter;
	bool esp_may_miss; /* a receiver without the SA is no breach (after kills, partitions) */
	/* Sees each datagram as it is sent and may change it; false: dropped. */
	bool (*tap)(struct world *w, struct datagram *d, void *user);
	void *tap_user;

	/* Others that live on the same clock: when are they due, and let them run (opt). */
	lm_time (*actor_next)(struct world *w);
	void (*actor_run)(struct world *w);

	const char *what; /* names the run in messages */
	bool talk;	  /* log lines go to stderr */
	uint64_t lost, delivered, duplicated, esp_lost, esp_duplicated;
};

void world_init(struct world *w, uint64_t seed);
void world_free(struct world *w);
__attribute__((noreturn)) void world_fail(const struct world *w, const char *fmt, ...)
    LM_PRINTF(2, 3);
#define world_must(w, cond)                                                                        \
	do {                                                                                       \
		if (!(cond))                                                                       \
			world_fail((w), "%s:%d: %s", __FILE__, __LINE__, #cond);                   \
	} while (0)
uint32_t world_random(struct world *w, uint32_t below);
void world_random_bytes(struct world *w, void *out, size_t len);
struct lm_now world_now(const struct world *w, const struct node *n);

/* A node with a certificate for 10.<n>.0.0/24 and an address 192.0.2.<n+1>:4500; not started. */
struct node *world_node(struct world *w);
/* Changes body first, then signs: cert_body is what goes in. */
void node_sign(struct node *n, const struct lm_identity *authority);
void node_start(struct node *n);
/* polite: says goodbye; otherwise as kill -9. */
void node_stop(struct node *n, bool polite);
void node_local(struct node *n);
/* Hands a's present record to b's mesh. */
enum lm_verdict node_tell(struct node *a, struct node *b);
/* Everybody is told of everybody that has ever announced. */
void world_tell_all(struct world *w);
/* Everybody up hears that the node (or serial, when node is NULL) is revoked. */
size_t world_revoke(struct world *w, const struct node *node, uint64_t serial, uint8_t *buf,
		    size_t cap);

/* Runs all that is due up to the time. */
void world_run(struct world *w, lm_time until);
static inline void world_pass(struct world *w, lm_time d)
{
	world_run(w, w->now + d);
}
/* Runs until cond is true, at most for `limit`. */
bool world_until(struct world *w, lm_time limit, bool (*cond)(struct world *w, void *arg),
		 void *arg);
/* Puts a datagram into the network, without the tap. */
void world_inject(struct world *w, const struct lm_endpoint *from, const struct lm_endpoint *to,
		  const uint8_t *data, size_t len, lm_time delay);

/* One ESP packet from a to b's prefix. False: a has no SA to b (a counted drop). */
bool node_send_esp(struct node *a, struct node *b);
bool node_up(const struct node *a, const struct node *b, struct lm_peer_info *info);
struct node_peer *node_peer_of(struct node *a, const struct node *b);
unsigned node_sas(const struct node *n);

/* node.c, for net.c */
void node_deliver(struct node *n, unsigned port, const struct datagram *d);
void node_report(struct node *n);
/* net.c, for node.c */
void world_send(struct world *w, const struct lm_endpoint *from, const struct lm_endpoint *to,
		const uint8_t *data, size_t len);
/* True when no outbound SA ever had this key before. */
bool world_key_fresh(struct world *w, const struct lm_esp_key *key);

#endif
