/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <lanemesh/coord.h>
#include <stdlib.h>

#include "pipe.h"

/* Larger buffers are given back when they are empty: most links are idle most of the time. */
#define KEEP 4096

_Static_assert(sizeof(LM_COORD_PROLOGUE) + LM_MESH_ID_MAX <= LM_COORD_PROLOGUE_MAX, "prologue");

void lm_pipe_free(struct lm_pipe *p)
{
	free(p->in);
	free(p->out);
	explicit_bzero(p, sizeof(*p));
}

void lm_pipe_seal(struct lm_pipe *p, struct lm_noise_keys *keys)
{
	memcpy(p->send_key, keys->send, 32);
	memcpy(p->recv_key, keys->recv, 32);
	p->send_n = p->recv_n = 0;
	p->sealed = true;
	explicit_bzero(keys, sizeof(*keys));
}

static int grow(uint8_t **buf, size_t *cap, size_t need)
{
	size_t n = *cap ? *cap : 512;
	uint8_t *b;

	if (need <= *cap)
		return 0;
	while (n < need)
		n *= 2;
	b = realloc(*buf, n);
	if (b == NULL)
		return -ENOMEM;
	*buf = b;
	*cap = n;
	return 0;
}

static size_t record_len(const struct lm_pipe *p)
{
	return (size_t)p->in[0] << 8 | p->in[1];
}

static void take(struct lm_pipe *p, const uint8_t **data, size_t *len, size_t upto)
{
	size_t n = upto - p->in_len < *len ? upto - p->in_len : *len;

	if (n == 0)
		return;
	memcpy(p->in + p->in_len, *data, n);
	p->in_len += n;
	*data += n;
	*len -= n;
}

int lm_pipe_gather(struct lm_pipe *p, const uint8_t **data, size_t *len, size_t max)
{
	size_t want;

	if (grow(&p->in, &p->in_cap, LM_PIPE_LEN_FIELD) < 0)
		return -ENOMEM;
	if (p->in_len < LM_PIPE_LEN_FIELD)
		take(p, data, len, LM_PIPE_LEN_FIELD);
	if (p->in_len < LM_PIPE_LEN_FIELD)
		return 0;
	want = record_len(p);
	if (want == 0 || want > max)
		return -EMSGSIZE;
	want += LM_PIPE_LEN_FIELD;
	if (grow(&p->in, &p->in_cap, want) < 0)
		return -ENOMEM;
	take(p, data, len, want);
	return p->in_len == want;
}

int lm_pipe_record(struct lm_pipe *p, uint8_t **rec, size_t *len)
{
	size_t n = record_len(p);

	*rec = p->in + LM_PIPE_LEN_FIELD;
	*len = n;
	if (!p->sealed)
		return 0;
	if (n < LM_TAG_LEN)
		return -EBADMSG;
	if (lm_noise_open(p->recv_key, p->recv_n, NULL, 0, *rec, n, *rec) < 0)
		return -EBADMSG;
	p->recv_n++;
	*len = n - LM_TAG_LEN;
	return 0;
}

void lm_pipe_next(struct lm_pipe *p)
{
	p->in_len = 0;
	if (p->in_cap > KEEP) {
		free(p->in);
		p->in = NULL;
		p->in_cap = 0;
	}
}

/* Room for n bytes behind what waits; not yet counted as waiting. */
static uint8_t *room(struct lm_pipe *p, size_t n)
{
	if (p->out_head > 0 && p->out_head + p->out_len + n > p->out_cap) {
		memmove(p->out, p->out + p->out_head, p->out_len);
		p->out_head = 0;
	}
	if (grow(&p->out, &p->out_cap, p->out_head + p->out_len + n) < 0)
		return NULL;
	return p->out + p->out_head + p->out_len;
}

static void put_len(uint8_t *at, size_t n)
{
	at[0] = (uint8_t)(n >> 8);
	at[1] = (uint8_t)n;
}

int lm_pipe_put_raw(struct lm_pipe *p, const uint8_t *data, size_t len)
{
	uint8_t *at;

	if (len > LM_COORD_RECORD_MAX)
		return -EMSGSIZE;
	at = room(p, LM_PIPE_LEN_FIELD + len);
	if (at == NULL)
		return -ENOMEM;
	put_len(at, len);
	memcpy(at + LM_PIPE_LEN_FIELD, data, len);
	p->out_len += LM_PIPE_LEN_FIELD + len;
	return 0;
}

int lm_pipe_put(struct lm_pipe *p, const struct lm_coord_msg *m)
{
	size_t cap = 64 + m->cert_len + m->data_len; /* 64 > all fixed fields of any type */
	uint8_t *at = room(p, LM_PIPE_LEN_FIELD + LM_TAG_LEN + cap), *rec;
	int n;

	if (at == NULL)
		return -ENOMEM;
	rec = at + LM_PIPE_LEN_FIELD;
	n = lm_coord_msg_encode(m, rec, cap);
	if (n < 0)
		return n;
	put_len(at, (size_t)n + LM_TAG_LEN);
	lm_noise_seal(p->send_key, p->send_n++, NULL, 0, rec, (size_t)n, rec);
	p->out_len += LM_PIPE_LEN_FIELD + (size_t)n + LM_TAG_LEN;
	return 0;
}

void lm_pipe_sent(struct lm_pipe *p, size_t n)
{
	if (n > p->out_len)
		n = p->out_len;
	p->out_head += n;
	p->out_len -= n;
	if (p->out_len > 0)
		return;
	p->out_head = 0;
	if (p->out_cap > KEEP) {
		free(p->out);
		p->out = NULL;
		p->out_cap = 0;
	}
}

size_t lm_coord_prologue(const char *mesh, uint8_t out[LM_COORD_PROLOGUE_MAX])
{
	size_t n = strnlen(mesh, LM_MESH_ID_MAX);

	memcpy(out, LM_COORD_PROLOGUE, sizeof(LM_COORD_PROLOGUE)); /* with its NUL */
	memcpy(out + sizeof(LM_COORD_PROLOGUE), mesh, n);
	return sizeof(LM_COORD_PROLOGUE) + n;
}
