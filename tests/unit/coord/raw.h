/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of a link that says what it likes: a node that is no lm_coord_client
 * against the real server, or a coordinator that is none against the real client.
 */
#ifndef COORD_RAW_H
#define COORD_RAW_H

#include "world.h"

#include <pipe.h>

struct raw {
	struct site *site;
	struct lm_noise ns;
	struct lm_pipe pipe;
	struct lm_coord_msg last;			     /* of raw_next; points into the pipe */
	uint8_t hello[LM_NOISE_MSG1_OVERHEAD + LM_CERT_MAX]; /* message 1 as sent */
	size_t hello_len;
	uint8_t epoch[LM_EPOCH_LEN]; /* as message 2 had them */
	uint64_t revision;
};

/* --- a node --- */

/* A TCP connection from the site's address to the server. False: not accepted. */
bool raw_connect(struct raw *r, struct site *s);
/* Message 1 with this certificate, made by this identity; not sent yet. */
void raw_hello(struct raw *r, const struct lm_identity *id, const uint8_t *cert, size_t len);
void raw_send_hello(struct raw *r);
/* Connects and does the handshake. False: refused. */
bool raw_join(struct raw *r, struct site *s);
/* Reads message 2. False when there is none, or it is not good. */
bool raw_answered(struct raw *r);
bool raw_is_open(const struct raw *r);

/* --- a coordinator --- */

/* Lets the site's client connect, and answers its message 1 as the world's coordinator with this
 * position; by: the key to answer with, NULL = the right one. False: message 1 was not good. */
bool raw_serve(struct raw *r, struct site *s, const struct lm_identity *by,
	       const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision);

/* --- both --- */

/* Seals and sends these bytes as one record, or a message. */
void raw_send(struct raw *r, const uint8_t *plain, size_t len);
void raw_say(struct raw *r, const struct lm_coord_msg *m);
/* Sends bytes as they are. */
void raw_bytes(struct raw *r, const uint8_t *data, size_t len);
/* The next message that came, into r->last; its type, 0 when there is none. */
uint8_t raw_next(struct raw *r);
/* Skips to a message of this type. */
bool raw_expect(struct raw *r, uint8_t type);
/* Breaks the connection when it is there, forgets everything. */
void raw_close(struct raw *r);

#endif
