/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The inside of a server: server.c has the connections, server_msg.c what is said
 * on them, server_dir.c the directory and its log of changes, server_write.c how
 * changes get in, server_signal.c who wants to reach whom.
 */
#ifndef COORD_SERVER_H
#define COORD_SERVER_H

#include <lanemesh/coord.h>

#include "hash.h"
#include "pipe.h"

/* How often certificates are judged again (FAULTS row 39: out at most 60 s after expiry). */
#define SERVER_SWEEP (10 * LM_SEC)
/* How soon a write that must not be lost (a revocation list, a removal) is tried again. */
#define SERVER_WRITE_AGAIN LM_SEC

/* What the directory holds under one key: a node, a departed node, or a revocation list. */
struct item {
	UT_hash_handle hh;
	struct {
		uint8_t list; /* 1: revocation list, 0: node */
		uint8_t key[LM_KEY_LEN];
	} id;
	uint8_t kind; /* enum lm_coord_item_kind */
	uint64_t revision;
	size_t log_at;
	uint64_t number; /* sequence of the announcement, or number of the list */
	int64_t not_before;
	uint64_t serial;
	lm_time seen; /* NODE: its connection was last up */
	bool keep;    /* pending: tried until it succeeds */
	size_t cert_len, ann_len;
	uint8_t *bytes; /* certificate, announcement or list */
};

/* Connections from one address or /64. */
struct source {
	UT_hash_handle hh;
	struct lm_prefix prefix;
	uint32_t count;
};

enum conn_step {
	CONN_HANDSHAKE,	  /* waiting for message 1 */
	CONN_UNCONFIRMED, /* message 2 is out; message 1 may still have been a replay */
	CONN_LIVE,	  /* a sealed record has come */
};

struct lm_coord_conn {
	struct lm_coord_server *server;
	struct lm_coord_conn *next, *prev; /* of one of the server's lists */
	UT_hash_handle hh;		   /* by node, once live */
	void *user;
	struct lm_endpoint from;
	struct source *source;
	enum conn_step step;
	bool dead;
	struct lm_pipe pipe;
	struct lm_timer timer;
	lm_time since, last_in;
	bool waiting;	  /* there is output that the owner has not taken */
	lm_time progress; /* it was last taken, or began to wait */
	uint8_t node[LM_KEY_LEN];
	struct lm_cert *cert; /* decoded */
	uint8_t *cert_bytes;
	size_t cert_len;
	bool subscribed, synced; /* synced: nothing is behind cursor that was not announced */
	uint64_t cursor;	 /* highest revision queued to this node */
	bool full;		 /* its listing is a full one: departed nodes are left out */
	uint64_t awaits;	 /* sequence whose PUBLISHED is due at the commit; 0 = none */
	lm_time tokens_at, signals_at;
	double tokens, signals; /* that may still be written and sent */
};

struct log_entry {
	uint64_t revision;
	struct item *item; /* NULL: a later change has taken its place */
};

struct lm_coord_server {
	struct lm_coord_server_config cfg;
	const struct lm_coord_server_ops *ops;
	void *user;
	uint8_t prologue[LM_COORD_PROLOGUE_MAX];
	size_t prologue_len;

	uint8_t epoch[LM_EPOCH_LEN];
	uint64_t revision;
	struct item *items;
	uint32_t n_nodes, n_gone;
	struct log_entry *log; /* ascending revisions: what a node lacks is a suffix */
	size_t log_len, log_cap, log_live;
	struct lm_revocations lists;

	struct item *pending; /* changes that are not durable yet: the last of each key */
	lm_time write_at, sweep_at;
	bool store_failing, list_stale;

	struct lm_coord_conn *half, *live, *dead; /* half: oldest first */
	struct lm_coord_conn *nodes;		  /* the live ones by node */
	struct source *sources;
	uint32_t n_conns, n_half;
	struct lm_ratelimit *rates, *pairs;
	struct lm_timers timers;

	double log_tokens; /* refusals come in floods; their log lines must not */
	lm_time log_tokens_at;
	uint64_t log_held;
	struct lm_coord_server_counters n;
};

/* ---------------------------------------------------------- server_dir.c */
struct item *item_find(struct item *in, bool list, const uint8_t key[LM_KEY_LEN]);
/* A copy of the bytes; decodes number, serial and the like. NULL: out of memory or undecodable. */
struct item *item_new(const struct lm_coord_item *from);
void item_free(struct item *it);
/* Takes the item (revision set, highest of all) in the place of the one before. 0 or -ENOMEM. */
int dir_apply(struct lm_coord_server *s, struct item *it) LM_MUST_CHECK;
int dir_load(struct lm_coord_server *s, struct lm_now now, struct lm_error *err) LM_MUST_CHECK;
void dir_free(struct lm_coord_server *s);
/* The first live change after revision; NULL when there is none. */
struct item *dir_after(const struct lm_coord_server *s, uint64_t revision);
void dir_forget_gone(struct lm_coord_server *s);

/* -------------------------------------------------------- server_write.c */
/* Queues a change; owns the item. keep: tried until it succeeds. 0 or -ENOMEM (item freed). */
int write_queue(struct lm_coord_server *s, struct item *it, bool keep, lm_time now) LM_MUST_CHECK;
struct item *write_pending(struct lm_coord_server *s, bool list, const uint8_t key[LM_KEY_LEN]);
/* Commits what is queued, tells who waits, pushes. */
void write_commit(struct lm_coord_server *s, struct lm_now now);
/* Takes out records that are no longer good, ends connections of such nodes. */
void write_sweep(struct lm_coord_server *s, struct lm_now now);
enum lm_verdict write_revocation(struct lm_coord_server *s, struct lm_now now, const uint8_t *data,
				 size_t len);

/* ---------------------------------------------------------- server_msg.c */
/* Message 1. May end the connection. */
void conn_handshake(struct lm_coord_conn *c, struct lm_now now, const uint8_t *msg, size_t len);
/* One opened record. May end the connection. */
void conn_message(struct lm_coord_conn *c, struct lm_now now, const uint8_t *rec, size_t len);
/* Queues changes that the node lacks as far as there is room; nothing is told to the owner. */
void conn_fill(struct lm_coord_conn *c);

/* ------------------------------------------------------- server_signal.c */
void conn_signal(struct lm_coord_conn *c, lm_time now, const struct lm_coord_msg *m);

/* -------------------------------------------------------------- server.c */
/* Queues a message. May end the connection. */
void conn_put(struct lm_coord_conn *c, lm_time now, const struct lm_coord_msg *m);
/* Output may be there: tells the owner. */
void conn_flush(struct lm_coord_conn *c, lm_time now);
/* Ends the connection; code 0: without an ERROR message. c stays readable until the server is
 * left (c->dead is set). */
void conn_end(struct lm_coord_conn *c, unsigned code, const char *why);
/* Frees the ended connections: before any public function returns. */
void server_reap(struct lm_coord_server *s);
/* A refusal in the log, at a bounded rate. */
void server_note(struct lm_coord_server *s, lm_time now, const struct lm_endpoint *from,
		 const struct lm_cert *cert, const char *what);

#endif
