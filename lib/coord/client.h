/* SPDX-License-Identifier: BSD-3-Clause */
/* The inside of a client: client.c drives the link, client_msg.c the messages on it. */
#ifndef COORD_CLIENT_H
#define COORD_CLIENT_H

#include <lanemesh/coord.h>

#include "pipe.h"

/* A revocation list that we would pass on. */
struct client_list {
	uint8_t issuer[LM_KEY_LEN];
	uint64_t number;
	uint64_t theirs; /* the highest number that the coordinator is known to have */
	uint8_t *data;	 /* NULL: we know only theirs */
	size_t len;
};

struct lm_coord_client {
	const struct lm_identity *id;
	uint8_t cert[LM_CERT_MAX];
	size_t cert_len;
	char mesh[LM_MESH_ID_MAX + 1];
	uint8_t server_x[LM_KEY_LEN];
	char name[80];
	const struct lm_log *log;
	const struct lm_coord_client_ops *ops;
	void *user;

	enum lm_coord_state state;
	bool busy; /* within input: what callbacks ask for is sent after it */
	struct lm_noise ns;
	struct lm_pipe pipe;

	/* The position that ops.synced has told last, and that of this connection. */
	uint8_t epoch[LM_EPOCH_LEN];
	uint64_t revision;
	uint8_t server_epoch[LM_EPOCH_LEN];
	bool listing;  /* a full listing has begun and not ended, on this connection or before */
	uint64_t seen; /* highest revision received on this connection */

	unsigned fails;	  /* tries in a row that did not give a lasting link */
	lm_time retry_at; /* WAITING: the next try */
	lm_time started;  /* this try, or the last one */
	lm_time deadline; /* CONNECTING, HANDSHAKE: give up */
	lm_time up_since; /* SYNCING or UP: since the handshake */
	lm_time last_in;
	lm_time pinged; /* LM_TIME_NEVER: no ping is out */
	uint64_t ping_token;

	uint8_t ann[LM_ANNOUNCE_MAX];
	size_t ann_len; /* 0: nothing to publish */
	uint64_t ann_sequence;
	bool stored;			  /* PUBLISHED has come on this connection */
	lm_time publish_at, publish_pace; /* not before */

	struct client_list lists[LM_AUTHORITIES_MAX];
	struct lm_coord_client_counters n;
};

static inline bool client_linked(const struct lm_coord_client *c)
{
	return c->state == LM_COORD_SYNCING || c->state == LM_COORD_UP;
}

/* Ends the connection and arms the next try. */
void client_fail(struct lm_coord_client *c, lm_time now, const char *why);
void client_set_state(struct lm_coord_client *c, enum lm_coord_state s, const char *why);
/* Queues a message and tells the owner; on failure the connection ends. */
void client_put(struct lm_coord_client *c, lm_time now, const struct lm_coord_msg *m);
/* Both after any change of what is to be sent; they send only what is due. */
void client_publish_due(struct lm_coord_client *c, lm_time now);
void client_lists_due(struct lm_coord_client *c, lm_time now);
/* Payload of message 2: the coordinator is authentic. Asks for what we lack. */
void client_start_sync(struct lm_coord_client *c, lm_time now, const uint8_t epoch[LM_EPOCH_LEN],
		       uint64_t revision);
/* One opened record. False: it ended the connection. */
bool client_message(struct lm_coord_client *c, lm_time now, const uint8_t *rec, size_t len);

#endif
