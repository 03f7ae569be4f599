/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One end of the coordinator link as bytes: records gathered from the stream,
 * records queued to be sent, sealed once the Noise keys are there.
 */
#ifndef COORD_PIPE_H
#define COORD_PIPE_H

#include <lanemesh/noise.h>
#include <lanemesh/wire.h>

#define LM_PIPE_LEN_FIELD 2

struct lm_pipe {
	uint8_t *in; /* the record being gathered, with its length field */
	size_t in_len, in_cap;
	uint8_t *out; /* out[head .. head + len) waits to be sent */
	size_t out_head, out_len, out_cap;
	bool sealed;
	uint8_t send_key[32], recv_key[32];
	uint64_t send_n, recv_n; /* implicit counters */
};

void lm_pipe_free(struct lm_pipe *p); /* wipes the keys; p can be used again */
/* From here on records are sealed. Wipes keys. */
void lm_pipe_seal(struct lm_pipe *p, struct lm_noise_keys *keys);

/* Moves bytes from *data into the record. 1: complete, see lm_pipe_record; 0: all taken, more is
 * needed; -EMSGSIZE: a record longer than max, or empty; -ENOMEM. */
int lm_pipe_gather(struct lm_pipe *p, const uint8_t **data, size_t *len, size_t max) LM_MUST_CHECK;
/* The gathered record; when sealed, opened in place. 0 or -EBADMSG. */
int lm_pipe_record(struct lm_pipe *p, uint8_t **rec, size_t *len) LM_MUST_CHECK;
/* Done with the record. */
void lm_pipe_next(struct lm_pipe *p);

/* Queue a handshake message as it is, or a coordinator message, sealed. 0 or -errno:
 * nothing is queued. */
int lm_pipe_put_raw(struct lm_pipe *p, const uint8_t *data, size_t len) LM_MUST_CHECK;
int lm_pipe_put(struct lm_pipe *p, const struct lm_coord_msg *m) LM_MUST_CHECK;
void lm_pipe_sent(struct lm_pipe *p, size_t n);

/* The prologue of the link's handshake. */
#define LM_COORD_PROLOGUE_MAX 64
size_t lm_coord_prologue(const char *mesh, uint8_t out[LM_COORD_PROLOGUE_MAX]);

#endif
