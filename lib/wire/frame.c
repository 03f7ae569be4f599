/* SPDX-License-Identifier: BSD-3-Clause */
#include "field.h"

#include <errno.h>

static bool has_id(uint8_t type)
{
	return type == LM_FRAME_RELAY_OFFER || type == LM_FRAME_RELAY_ACCEPT ||
	       type == LM_FRAME_RELAY_READY || type == LM_FRAME_RELAY_END;
}

static bool has_node(uint8_t type)
{
	return type == LM_FRAME_RELAY_OPEN || type == LM_FRAME_RELAY_OFFER ||
	       type == LM_FRAME_RELAY_READY || type == LM_FRAME_RELAY_REFUSED;
}

static void relay_write(struct lm_writer *w, const struct lm_frame *f)
{
	if (has_id(f->type)) {
		lm_w_u64(w, f->u.relay.id);
		if (f->u.relay.id == 0)
			w->bad = true;
	}
	if (has_node(f->type))
		lm_w_copy(w, f->u.relay.node, LM_KEY_LEN);
	if (f->type == LM_FRAME_RELAY_REFUSED)
		lm_w_u8(w, f->u.relay.reason);
}

static int relay_read(struct lm_reader *r, struct lm_frame *out)
{
	memset(&out->u.relay, 0, sizeof(out->u.relay));
	if (has_id(out->type)) {
		out->u.relay.id = lm_r_u64(r);
		if (out->u.relay.id == 0)
			return -EBADMSG;
	}
	if (has_node(out->type))
		lm_r_copy(r, out->u.relay.node, LM_KEY_LEN);
	if (out->type == LM_FRAME_RELAY_REFUSED)
		out->u.relay.reason = lm_r_u8(r);
	return 0;
}

void lm_frame_encode(struct lm_writer *w, const struct lm_frame *f)
{
	uint8_t *len_at;
	size_t start;

	lm_w_u8(w, f->type);
	len_at = lm_w_room(w, 2);
	start = lm_w_len(w);
	switch (f->type) {
	case LM_FRAME_PROBE:
		lm_w_u64(w, f->u.probe.token);
		break;
	case LM_FRAME_PROBE_REPLY:
		lm_w_u64(w, f->u.reply.token);
		lm_field_endpoint_write(w, &f->u.reply.observed);
		if (!lm_field_endpoint_valid(&f->u.reply.observed))
			w->bad = true;
		break;
	case LM_FRAME_CLOSE:
		lm_w_u8(w, f->u.close.reason);
		break;
	case LM_FRAME_ANNOUNCEMENT:
		lm_w_copy(w, f->u.announcement.data, f->u.announcement.len);
		if (f->u.announcement.len == 0 || f->u.announcement.len > LM_ANNOUNCE_MAX)
			w->bad = true;
		break;
	case LM_FRAME_RELAY_OPEN:
	case LM_FRAME_RELAY_OFFER:
	case LM_FRAME_RELAY_ACCEPT:
	case LM_FRAME_RELAY_READY:
	case LM_FRAME_RELAY_REFUSED:
	case LM_FRAME_RELAY_END:
		relay_write(w, f);
		break;
	default:
		break; /* LM_FRAME_PAD: no body */
	}
	if (!w->bad) {
		struct lm_writer lw = lm_writer(len_at, 2);

		lm_w_u16(&lw, (uint16_t)(lm_w_len(w) - start));
	}
}

/* 1, 0 for a frame to skip, or -EBADMSG. */
static int body(uint8_t type, struct lm_reader b, struct lm_frame *out)
{
	out->type = type;
	switch (type) {
	case LM_FRAME_PROBE:
		out->u.probe.token = lm_r_u64(&b);
		break;
	case LM_FRAME_PROBE_REPLY:
		out->u.reply.token = lm_r_u64(&b);
		out->u.reply.observed = lm_field_endpoint_read(&b);
		break;
	case LM_FRAME_CLOSE:
		out->u.close.reason = lm_r_u8(&b);
		break;
	case LM_FRAME_ANNOUNCEMENT:
		out->u.announcement.len = lm_r_left(&b);
		out->u.announcement.data = lm_r_bytes(&b, out->u.announcement.len);
		if (out->u.announcement.len == 0 || out->u.announcement.len > LM_ANNOUNCE_MAX)
			return -EBADMSG;
		break;
	case LM_FRAME_RELAY_OPEN:
	case LM_FRAME_RELAY_OFFER:
	case LM_FRAME_RELAY_ACCEPT:
	case LM_FRAME_RELAY_READY:
	case LM_FRAME_RELAY_REFUSED:
	case LM_FRAME_RELAY_END:
		if (relay_read(&b, out) != 0)
			return -EBADMSG;
		break;
	default:
		return 0;
	}
	return b.bad || b.p != b.end ? -EBADMSG : 1;
}

int lm_frame_next(struct lm_reader *r, struct lm_frame *out)
{
	while (lm_r_left(r) > 0) {
		uint8_t type = lm_r_u8(r);
		struct lm_reader b = lm_r_sub(r, lm_r_u16(r));
		int rc = r->bad ? -EBADMSG : body(type, b, out);

		if (rc != 0)
			return rc;
	}
	return r->bad ? -EBADMSG : 0;
}
