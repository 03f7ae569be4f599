/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Coordinator messages. What each type carries is a row of a table, so that the
 * encoder and the decoder cannot disagree.
 */
#include "field.h"

#include <errno.h>

enum field { END, REVISION, NUMBER, EPOCH, NODE, CERT, ANNOUNCEMENT, LIST, TEXT };

static const uint8_t layouts[][4] = {
    [LM_COORD_PUBLISH] = {ANNOUNCEMENT},
    [LM_COORD_PUBLISHED] = {NUMBER},
    [LM_COORD_SYNC] = {EPOCH, REVISION},
    [LM_COORD_RECORD] = {REVISION, CERT, ANNOUNCEMENT},
    [LM_COORD_REMOVED] = {REVISION, NODE},
    [LM_COORD_REVOCATION] = {REVISION, LIST},
    [LM_COORD_SYNCED] = {EPOCH, REVISION},
    [LM_COORD_PING] = {NUMBER},
    [LM_COORD_PONG] = {NUMBER},
    [LM_COORD_ERROR] = {NUMBER, TEXT},
    [LM_COORD_SIGNAL] = {NODE, NUMBER},
    [LM_COORD_SIGNALLED] = {NODE, NUMBER},
};

static const uint8_t *layout(uint8_t type)
{
	return type < LM_ARRAY_SIZE(layouts) && layouts[type][0] != END ? layouts[type] : NULL;
}

/* May a block of this kind have this length and content? */
static bool block_valid(uint8_t kind, const uint8_t *p, size_t len)
{
	static const struct {
		size_t min, max;
	} limits[] = {
	    [CERT] = {1, LM_CERT_MAX},
	    [ANNOUNCEMENT] = {1, LM_ANNOUNCE_MAX},
	    [LIST] = {1, LM_REVOCATION_MAX},
	    [TEXT] = {0, LM_COORD_TEXT_MAX},
	};

	if (len < limits[kind].min || len > limits[kind].max)
		return false;
	/* The text is shown to people: nothing that could steer a terminal. */
	for (size_t i = 0; kind == TEXT && i < len; i++)
		if (p[i] < 0x20 || p[i] > 0x7e)
			return false;
	return true;
}

static int block_encode(struct lm_writer *w, uint8_t kind, const uint8_t *p, size_t len)
{
	if (!block_valid(kind, p, len))
		return -EINVAL;
	lm_w_u16(w, (uint16_t)len);
	lm_w_copy(w, p, len);
	return 0;
}

int lm_coord_msg_encode(const struct lm_coord_msg *m, uint8_t *buf, size_t cap)
{
	struct lm_writer w = lm_writer(buf, cap < LM_COORD_MSG_MAX ? cap : LM_COORD_MSG_MAX);
	const uint8_t *f = layout(m->type);
	int rc = 0;

	if (f == NULL || m->revision > INT64_MAX)
		return -EINVAL;
	lm_w_u8(&w, m->type);
	for (; *f != END && rc == 0; f++) {
		switch (*f) {
		case REVISION:
			lm_w_u64(&w, m->revision);
			break;
		case NUMBER:
			lm_w_u64(&w, m->number);
			break;
		case EPOCH:
			lm_w_copy(&w, m->epoch, sizeof(m->epoch));
			break;
		case NODE:
			lm_w_copy(&w, m->node, sizeof(m->node));
			break;
		case CERT:
			rc = block_encode(&w, *f, m->cert, m->cert_len);
			break;
		default:
			rc = block_encode(&w, *f, m->data, m->data_len);
			break;
		}
	}
	if (rc != 0)
		return rc;
	return w.bad ? -EMSGSIZE : (int)lm_w_len(&w);
}

static const uint8_t *block_decode(struct lm_reader *r, uint8_t kind, size_t *len)
{
	size_t n = lm_r_u16(r);
	const uint8_t *p = lm_r_bytes(r, n);

	if (p == NULL || !block_valid(kind, p, n)) {
		r->bad = true;
		return NULL;
	}
	*len = n;
	return p;
}

int lm_coord_msg_decode(const uint8_t *buf, size_t len, struct lm_coord_msg *out)
{
	struct lm_reader r = lm_reader(buf, len);
	const uint8_t *f;

	memset(out, 0, sizeof(*out));
	out->type = lm_r_u8(&r);
	if (r.bad || len > LM_COORD_MSG_MAX)
		return -EBADMSG;
	f = layout(out->type);
	if (f == NULL)
		return -EOPNOTSUPP;
	for (; *f != END; f++) {
		switch (*f) {
		case REVISION:
			out->revision = lm_field_u63_read(&r);
			break;
		case NUMBER:
			out->number = lm_r_u64(&r);
			break;
		case EPOCH:
			lm_r_copy(&r, out->epoch, sizeof(out->epoch));
			break;
		case NODE:
			lm_r_copy(&r, out->node, sizeof(out->node));
			break;
		case CERT:
			out->cert = block_decode(&r, *f, &out->cert_len);
			break;
		default:
			out->data = block_decode(&r, *f, &out->data_len);
			break;
		}
	}
	return r.bad || r.p != r.end ? -EBADMSG : 0;
}
