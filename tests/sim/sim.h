/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The simulation: nodes of tests/world, coordinators of lib/coord and the TCP
 * between them, all on the world's clock and dice.
 */
#ifndef LANEMESH_TESTS_SIM_H
#define LANEMESH_TESTS_SIM_H

#include "world.h"

#include <lanemesh/coord.h>

#define SIM_COORDS  2
#define SIM_SITES   64
#define SIM_SIGNALS 64

struct sim;
struct site;

/* One node's TCP connection to one coordinator. */
struct link {
	struct site *site;
	unsigned coord;
	struct lm_coord_client *client;
	struct lm_coord_conn *conn; /* the coordinator's end */
	uint32_t life;		    /* chunks of an earlier connection are thrown away */
	bool hangs;
	struct actor tick;
	int source;
};

struct site {
	struct sim *sim;
	struct node *node;
	struct lm_directory *directory;
	uint8_t *disk; /* the directory as it was last saved */
	size_t disk_len;
	uint64_t saved_version;
	struct link links[SIM_COORDS];
	struct actor publish; /* the announcement has changed; a client must not be called from its
			       * own call */
	struct actor signal;  /* the same */
	uint8_t signals[SIM_SIGNALS][LM_KEY_LEN];
	unsigned n_signals;
};

/* What a coordinator keeps on disk. */
struct stored {
	uint8_t kind, key[LM_KEY_LEN];
	uint64_t revision;
	uint8_t *cert, *ann;
	size_t cert_len, ann_len;
};

/* What a coordinator may do that nobody can forbid: withhold, repeat what is old, mix up, say that
 * nodes have left, or that they are seen under another address. It lies where its messages reach a
 * node. */
enum lie { LIE_NONE, LIE_WITHHOLD, LIE_OLD, LIE_MIXED, LIE_DAMAGED, LIE_GONE, LIE_STUN, LIE_KINDS };

struct coordinator {
	struct sim *sim;
	unsigned number;
	struct lm_identity *id;
	struct lm_coord_server *server; /* NULL: down */
	struct lm_coord_store store;
	struct stored *items;
	size_t n_items;
	uint8_t epoch[LM_EPOCH_LEN];
	uint64_t revision;
	bool killed; /* while it goes: nothing more leaves it */
	struct actor tick;
	enum lie lies;
	struct lm_endpoint at[2]; /* its STUN servers, one for each family */
	struct lm_coord_stun *stun;
	uint8_t old_cert[LM_CERT_MAX], old_ann[LM_ANNOUNCE_MAX]; /* of some record */
	size_t old_cert_len, old_ann_len;
};

struct chunk {
	struct chunk *next;
	lm_time at;
	struct link *link;
	uint32_t life;
	bool to_server;
	enum { CHUNK_DATA, CHUNK_OPEN, CHUNK_OPENED, CHUNK_CLOSED } kind;
	size_t len;
	uint8_t data[];
};

struct sim {
	struct world w;
	unsigned n_sites;
	struct site sites[SIM_SITES];
	struct coordinator coords[SIM_COORDS];
	struct chunk *first, **last;
	struct actor tcp, save;
	bool verbose;
};

/* day.c */
void day_run(uint64_t seed, unsigned n_sites, unsigned long rekeys_wanted, bool verbose);

/* sim.c */
void sim_init(struct sim *s, uint64_t seed, unsigned n_sites);
void sim_free(struct sim *s);
void site_start(struct site *t);
void site_stop(struct site *t, bool polite);
/* It gets and sends nothing, and its connections hang. */
void site_offline(struct site *t, bool offline);
/* After any call on the client: when it is due may have changed. */
void link_sync(struct link *l);
/* tcp.c */
void tcp_init(struct sim *s);
void link_open(struct link *l);
void link_close(struct link *l);
/* Nothing of it arrives any more, and neither side knows. */
void link_hang(struct link *l);
void tcp_send(struct link *l, bool to_server, int kind, const uint8_t *data, size_t len);
/* coordinator.c */
void coordinator_init(struct coordinator *c, struct sim *s, unsigned number);
void coordinator_start(struct coordinator *c);
/* After any call on the server. */
void coordinator_sync(struct coordinator *c);
/* It has lied, and from now on it does not: who was lied to connects again. */
void coordinator_honest(struct coordinator *c);
/* What it says of a record instead; false: nothing. buffers: of the largest sizes. */
bool coordinator_lie(struct coordinator *c, uint8_t *cert, size_t *cert_len, uint8_t *ann,
		     size_t *ann_len);
/* As kill -9: what was committed stays. */
void coordinator_stop(struct coordinator *c);
void coordinator_free(struct coordinator *c);
struct lm_now coordinator_now(const struct coordinator *c);
/* Takes what the coordinator has to say on the connection. */
void coordinator_output(struct link *l);

#endif
