/* SPDX-License-Identifier: BSD-3-Clause */
/* The clear parts of control messages. What is sealed in them is opened by lib/noise. */
#include <lanemesh/wire.h>

#include <errno.h>

uint8_t lm_msg_type(const uint8_t *msg, size_t len)
{
	struct lm_reader r = lm_reader(msg, len);
	uint32_t marker = lm_r_u32(&r);
	uint8_t type = lm_r_u8(&r);
	uint32_t reserved = (uint32_t)lm_r_be(&r, 3);

	return r.bad || marker != 0 || reserved != 0 ? 0 : type;
}

/* A reader behind the header, bad when the header is not that of a message of this type. */
static struct lm_reader body(const uint8_t *msg, size_t len, uint8_t type)
{
	struct lm_reader r = lm_reader(msg, len);

	if (lm_msg_type(msg, len) != type)
		r.bad = true;
	lm_r_bytes(&r, LM_HDR_LEN);
	return r;
}

int lm_msg_init_decode(const uint8_t *msg, size_t len, struct lm_msg_init *out)
{
	struct lm_reader r = body(msg, len, LM_MSG_INIT);

	out->sender_spi = lm_r_u32(&r);
	out->noise = lm_r_bytes(&r, LM_INIT_NOISE_LEN);
	out->mac1 = lm_r_bytes(&r, LM_MAC_LEN);
	out->mac2 = lm_r_bytes(&r, LM_MAC_LEN);
	if (r.bad || r.p != r.end || !lm_spi_base_valid(out->sender_spi))
		return -EBADMSG;
	return 0;
}

int lm_msg_resp_decode(const uint8_t *msg, size_t len, struct lm_msg_resp *out)
{
	struct lm_reader r = body(msg, len, LM_MSG_RESP);

	if (len < LM_RESP_MIN || len > LM_RESP_MAX)
		return -EBADMSG;
	out->sender_spi = lm_r_u32(&r);
	out->receiver_spi = lm_r_u32(&r);
	out->noise_len = len - LM_RESP_NOISE_OFF - 2 * LM_MAC_LEN;
	out->noise = lm_r_bytes(&r, out->noise_len);
	out->mac1 = lm_r_bytes(&r, LM_MAC_LEN);
	out->mac2 = lm_r_bytes(&r, LM_MAC_LEN);
	if (r.bad || !lm_spi_base_valid(out->sender_spi) || !lm_spi_base_valid(out->receiver_spi))
		return -EBADMSG;
	return 0;
}

int lm_msg_cookie_decode(const uint8_t *msg, size_t len, struct lm_msg_cookie *out)
{
	struct lm_reader r = body(msg, len, LM_MSG_COOKIE);

	out->receiver_spi = lm_r_u32(&r);
	out->nonce = lm_r_bytes(&r, LM_COOKIE_NONCE_LEN);
	out->sealed = lm_r_bytes(&r, LM_COOKIE_LEN + LM_TAG_LEN);
	if (r.bad || r.p != r.end || !lm_spi_base_valid(out->receiver_spi))
		return -EBADMSG;
	return 0;
}

int lm_msg_transport_decode(const uint8_t *msg, size_t len, struct lm_msg_transport *out)
{
	struct lm_reader r = body(msg, len, LM_MSG_TRANSPORT);

	if (len < LM_TRANSPORT_OVERHEAD || len > LM_CONTROL_MAX)
		return -EBADMSG;
	out->receiver_spi = lm_r_u32(&r);
	out->counter = lm_r_u64(&r);
	out->sealed_len = len - LM_TRANSPORT_DATA_OFF;
	out->sealed = lm_r_bytes(&r, out->sealed_len);
	if (r.bad || !lm_spi_base_valid(out->receiver_spi))
		return -EBADMSG;
	return 0;
}

/* What may be inside: never another relayed message, so a datagram is relayed at most once. */
static bool relayable(const uint8_t *inner, size_t len)
{
	uint8_t type;

	switch (lm_demux(inner, len)) {
	case LM_DEMUX_ESP: /* RFC 4303 section 2.4: whole words */
		return len >= LM_ESP_MIN_LEN && (len & 3) == 0;
	case LM_DEMUX_CONTROL:
		type = lm_msg_type(inner, len);
		return type >= LM_MSG_INIT && type <= LM_MSG_TRANSPORT && len <= LM_CONTROL_MAX;
	default:
		return false;
	}
}

int lm_msg_relay_decode(const uint8_t *msg, size_t len, struct lm_msg_relay *out)
{
	struct lm_reader r = body(msg, len, LM_MSG_RELAY);

	out->id = lm_r_u64(&r);
	if (r.bad || out->id == 0)
		return -EBADMSG;
	out->inner = r.p;
	out->inner_len = len - LM_RELAY_HDR_LEN;
	return relayable(out->inner, out->inner_len) ? 0 : -EBADMSG;
}

static struct lm_writer header(uint8_t *buf, size_t len, uint8_t type)
{
	struct lm_writer w = lm_writer(buf, len);

	lm_w_u32(&w, 0); /* non-ESP marker, RFC 3948 section 2.2 */
	lm_w_u8(&w, type);
	lm_w_zero(&w, 3);
	return w;
}

void lm_msg_init_header(uint8_t *buf, uint32_t sender_spi)
{
	struct lm_writer w = header(buf, LM_INIT_NOISE_OFF, LM_MSG_INIT);

	lm_w_u32(&w, sender_spi);
}

void lm_msg_resp_header(uint8_t *buf, uint32_t sender_spi, uint32_t receiver_spi)
{
	struct lm_writer w = header(buf, LM_RESP_NOISE_OFF, LM_MSG_RESP);

	lm_w_u32(&w, sender_spi);
	lm_w_u32(&w, receiver_spi);
}

void lm_msg_cookie_header(uint8_t *buf, uint32_t receiver_spi)
{
	struct lm_writer w = header(buf, LM_COOKIE_NONCE_OFF, LM_MSG_COOKIE);

	lm_w_u32(&w, receiver_spi);
}

void lm_msg_transport_header(uint8_t *buf, uint32_t receiver_spi, uint64_t counter)
{
	struct lm_writer w = header(buf, LM_TRANSPORT_DATA_OFF, LM_MSG_TRANSPORT);

	lm_w_u32(&w, receiver_spi);
	lm_w_u64(&w, counter);
}

void lm_msg_relay_header(uint8_t *buf, uint64_t id)
{
	struct lm_writer w = header(buf, LM_RELAY_HDR_LEN, LM_MSG_RELAY);

	lm_w_u64(&w, id);
}
