/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * world: mesh cores on a virtual clock, over a network that loses, delays,
 * reorders and repeats, with NATs in it (nat.h), and with a model of the data
 * plane under each core. Everything that happens follows from the seed. What must
 * always hold is checked as it happens; a breach prints the seed and aborts.
 */
#ifndef LANEMESH_TESTS_WORLD_H
#define LANEMESH_TESTS_WORLD_H

#include <lanemesh/esp.h>
#include <lanemesh/mesh.h>

#define WORLD_PORTS	   4
#define WORLD_DATAGRAM_MAX (LM_CONTROL_MAX + LM_RELAY_HDR_LEN)
#define WORLD_SMALL	   64	      /* up to here addresses may be changed by plain assignment */
#define WORLD_WALL	   1800000000 /* wall clock at the start */
#define WORLD_START	   (1000 * LM_SEC)
#define WORLD_REPORT	   (50 * LM_MSEC) /* of what the workers saw */

struct world;
struct node;
struct nat;

/* Something on the world's clock; zeroed = not armed. */
struct actor {
	struct lm_timer timer;
	void (*run)(struct world *w, struct actor *a);
};

/* Inbound SAs of one session. */
struct sa_in {
	bool used, active; /* active: something happened since the last report */
	uint8_t lanes;
	uint32_t spi_base, peer;
	uint32_t top;
	lm_time last_rx;
	struct lm_esp_key key; /* of lane 0: the model sends on that one only */
	bool has_from;
	struct lm_path from;
	struct lm_replay *replay; /* NULL: no packet came yet */
};

struct node_peer {
	bool used, has_out, has_path, reachable;
	uint8_t lanes, n_prefixes;
	struct node *who;
	uint64_t serial; /* of the certificate that the data plane was given */
	uint32_t session, spi_base, seq;
	uint32_t n_in;
	struct lm_esp_key key;
	struct lm_path path;
};

/* SPI blocks in use and where they are in sas: open addressing. */
struct spi_table {
	uint32_t *slots; /* index + 1; 0 free */
	uint32_t size;	 /* a power of two */
};

struct node {
	struct world *world;
	unsigned number;
	struct lm_mesh *mesh; /* NULL: down */
	struct lm_identity *id;
	uint8_t *cert; /* signed, LM_CERT_MAX bytes at most */
	size_t cert_len;
	struct lm_cert cert_body;
	uint8_t ann[LM_ANNOUNCE_MAX]; /* the last one made, kept over restarts */
	size_t ann_len;
	uint64_t ann_sequence;
	struct lm_mesh_timers timers;
	uint32_t max_half_open, max_peers, eager_peers, handshake_limit;
	uint8_t lanes;
	uint8_t psk[32];
	struct lm_authorities authorities;
	int64_t skew;	 /* of its wall clock */
	bool silent;	 /* gets and sends nothing */
	bool unresolved; /* its next hop does not answer; what waits for it is lost */
	bool reports;	 /* workers' usage, as they see it */
	lm_time started;
	struct actor tick;

	/* Where it is attached: its own addresses, port 0 = none. */
	struct lm_endpoint wan[WORLD_PORTS];
	uint8_t n_wan;
	struct nat *behind[WORLD_PORTS]; /* NULL: in the open */
	lm_time latency[WORLD_PORTS];	 /* added to the world's delay */
	uint16_t port_loss[WORLD_PORTS]; /* in 1,000, added to the world's */

	struct sa_in *sas;
	uint32_t n_sas, cap_sas, free_sa; /* free_sa: where to look for a free one */
	struct spi_table spis;
	uint32_t *active; /* of sas, since the last report */
	uint32_t n_active, cap_active;
	struct node_peer *peers;      /* max_peers of them, while it is up */
	struct lm_mesh_relay *relays; /* ids of the data plane */
	unsigned n_relays;
	uint32_t relay_pairs;	       /* it relays between at most */
	bool refuse_relays;	       /* its data plane takes no relay id more */
	uint64_t revoked_by;	       /* number of the list that names it, 0 = none */
	uint64_t list;		       /* number of the newest list that its mesh has taken */
	int fail_sa_in, fail_peer_set; /* the next so many calls fail */

	uint64_t sent, sent_bytes; /* control datagrams */
	uint64_t got, got_bytes;
	uint64_t inits;		  /* message 1s sent */
	struct lm_endpoint asker; /* source of the last datagram that came in */
	uint64_t answered;	  /* bytes sent there since then */
	uint64_t sas_added, sas_removed, out_sets, path_sets, announces, revocations;
	uint64_t relayed, relayed_bytes, relay_refused;
	uint64_t esp_sent, esp_got, esp_lost_here; /* lost_here: no SA for it */
	/* Dropped: come before, at the end; come before, or of no pair, at a relay. */
	uint64_t esp_replayed, esp_relayed_again, esp_not_relayed;
	uint64_t *relayed_before; /* fingerprints of what it has relayed (RELAY_MEMORY) */
	void *user;
	void (*announced)(struct node *n); /* ann has changed (opt) */
	uint64_t signals;
	void (*signal)(struct node *n, const uint8_t node[32]); /* to a coordinator (opt) */
	struct lm_log *log;
	/* Sees each line; false: not to be printed. */
	bool (*log_sink)(struct node *n, const char *line);
};

/* In flight. data is as long as len says where the network holds it. */
struct datagram {
	lm_time at;
	uint64_t order;
	const struct node *sender; /* NULL: injected */
	struct nat *domain;	   /* inside which NAT it travels; NULL: in the open */
	uint8_t sender_port;
	struct lm_endpoint from, to;
	size_t len;
	uint8_t data[WORLD_DATAGRAM_MAX];
};

/* A UDP server in the open that is no node. */
struct service {
	struct lm_endpoint at;
	/* Length of the answer in out (WORLD_DATAGRAM_MAX bytes), 0: none. */
	size_t (*answer)(struct world *w, void *user, const struct lm_endpoint *from,
			 const uint8_t *data, size_t len, uint8_t *out);
	void *user;
};
#define WORLD_SERVICES 8

struct world {
	uint64_t seed, rng;
	lm_time now;
	int64_t wall;
	struct lm_identity *authority;
	uint64_t revocation_number;
	struct node **nodes;
	unsigned n_nodes, cap_nodes;
	struct nat *nats;	 /* a list */
	struct lm_timers timers; /* of actors */
	struct datagram **queue; /* binary heap by (at, order) */
	size_t n_queue, cap_queue, most_queue;
	uint64_t order;
	struct keys *keys;     /* every outbound SA key that there ever was */
	struct places *places; /* who is where */
	struct overlays *overlays;
	bool overlay_lengths[2][129], overlay_tops[2][256]; /* that occur, by family; /8s */
	struct names *names;				    /* nodes by key */
	lm_time next_report;
	uint64_t events, events_now; /* now: without the clock moving */
	uint64_t trace;		     /* a hash of all that has happened */

	/* the network */
	unsigned loss, duplicate; /* in 1,000 */
	lm_time delay, jitter;
	bool esp_may_miss; /* a receiver without the SA is no breach (after kills, partitions) */
	/* Sees each datagram as it is sent and may change it; false: dropped. */
	bool (*tap)(struct world *w, struct datagram *d, void *user);
	void *tap_user;
	/* Where a firewall that lets no UDP through (no_udp) lets it through all the same (opt). */
	bool (*exempt)(struct world *w, const struct lm_endpoint *outside);
	/* After whatever has happened to a node that is up (opt). */
	void (*inspect)(struct node *n);
	/* Sees each datagram as it arrives at a node's port; true: it is cut off (opt). */
	bool (*cut)(struct world *w, const struct datagram *d, const struct node *to,
		    unsigned port);
	struct service services[WORLD_SERVICES];
	unsigned n_services;

	const char *what; /* names the run in messages */
	bool talk;	  /* log lines go to stderr */
	bool show;	  /* and each datagram */
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
/* Mixes something that happened into the trace. */
void world_trace(struct world *w, uint64_t what);

/* A node with a certificate for a /24 of its own (10.<n>.0.0/24 at first) and a public address
 * (192.0.2.<n+1>:4500 at first); not started. */
struct node *world_node(struct world *w);
/* Changes body first, then signs: cert_body is what goes in. */
void node_sign(struct node *n, const struct lm_identity *authority);
void node_start(struct node *n);
/* polite: says goodbye; otherwise as kill -9. */
void node_stop(struct node *n, bool polite);
/* Tells the mesh of its addresses. */
void node_local(struct node *n);
/* Hands a's present record to b's mesh. */
enum lm_verdict node_tell(struct node *a, struct node *b);
/* Everybody is told of everybody that has ever announced. */
void world_tell_all(struct world *w);
/* A list that revokes the node (or serial, when node is NULL), and everybody whom an earlier list
 * revoked. Its length. */
size_t world_revocation(struct world *w, struct node *node, uint64_t serial, uint8_t *buf,
			size_t cap);
/* The same, and everybody up hears of it. */
size_t world_revoke(struct world *w, struct node *node, uint64_t serial, uint8_t *buf, size_t cap);
/* The node with this key; NULL: nobody. */
struct node *world_who(const struct world *w, const uint8_t key[LM_KEY_LEN]);

/* Runs all that is due up to the time. */
void world_run(struct world *w, lm_time until);
static inline void world_pass(struct world *w, lm_time d)
{
	world_run(w, w->now + d);
}
/* Runs until cond is true, at most for `limit`. */
bool world_until(struct world *w, lm_time limit, bool (*cond)(struct world *w, void *arg),
		 void *arg);
void actor_at(struct world *w, struct actor *a, lm_time due);
/* After any call on a node's mesh while the world runs: when it is due may have changed. */
void node_sync(struct node *n);
/* Puts a datagram into the network, in the open, without the tap. */
void world_inject(struct world *w, const struct lm_endpoint *from, const struct lm_endpoint *to,
		  const uint8_t *data, size_t len, lm_time delay);

/* One ESP packet from a to b's prefix. False: a has no SA to b (a counted drop). */
bool node_send_esp(struct node *a, struct node *b);
bool node_up(const struct node *a, const struct node *b, struct lm_peer_info *info);
struct node_peer *node_peer_of(struct node *a, const struct node *b);
unsigned node_sas(const struct node *n);
/* A datagram arrives at a port. */
void node_deliver(struct node *n, unsigned port, const struct datagram *d);

#endif
