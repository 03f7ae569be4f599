/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A datagram of the mesh port, and the same bytes as what a control message
 * holds once it is opened: a hello, a list of frames.
 */
#include "fuzz.h"

#include <lanemesh/wire.h>

static void messages(const uint8_t *data, size_t size)
{
	struct lm_msg_init init;
	struct lm_msg_resp resp;
	struct lm_msg_cookie cookie;
	struct lm_msg_transport transport;
	struct lm_msg_relay relay;
	uint8_t head[LM_TRANSPORT_DATA_OFF];
	size_t head_len = 0;
	uint8_t type = 0;

	if (lm_msg_init_decode(data, size, &init) == 0) {
		type = LM_MSG_INIT;
		head_len = LM_INIT_NOISE_OFF;
		lm_msg_init_header(head, init.sender_spi);
		FUZZ_CHECK(init.mac2 + LM_MAC_LEN == data + size);
	}
	if (lm_msg_resp_decode(data, size, &resp) == 0) {
		type = LM_MSG_RESP;
		head_len = LM_RESP_NOISE_OFF;
		lm_msg_resp_header(head, resp.sender_spi, resp.receiver_spi);
		FUZZ_CHECK(resp.noise + resp.noise_len == resp.mac1);
		FUZZ_CHECK(resp.mac2 + LM_MAC_LEN == data + size);
	}
	if (lm_msg_cookie_decode(data, size, &cookie) == 0) {
		type = LM_MSG_COOKIE;
		head_len = LM_COOKIE_NONCE_OFF;
		lm_msg_cookie_header(head, cookie.receiver_spi);
		FUZZ_CHECK(cookie.sealed + LM_COOKIE_LEN + LM_TAG_LEN == data + size);
	}
	if (lm_msg_transport_decode(data, size, &transport) == 0) {
		type = LM_MSG_TRANSPORT;
		head_len = LM_TRANSPORT_DATA_OFF;
		lm_msg_transport_header(head, transport.receiver_spi, transport.counter);
		FUZZ_CHECK(transport.sealed + transport.sealed_len == data + size);
		FUZZ_CHECK(transport.sealed_len >= LM_TAG_LEN);
	}
	if (lm_msg_relay_decode(data, size, &relay) == 0) {
		type = LM_MSG_RELAY;
		head_len = LM_RELAY_HDR_LEN;
		lm_msg_relay_header(head, relay.id);
		FUZZ_CHECK(relay.inner + relay.inner_len == data + size);
		FUZZ_CHECK(lm_msg_type(relay.inner, relay.inner_len) < LM_MSG_RELAY);
	}
	if (type != 0) {
		FUZZ_CHECK(lm_demux(data, size) == LM_DEMUX_CONTROL);
		FUZZ_CHECK(lm_msg_type(data, size) == type);
		FUZZ_CHECK(memcmp(head, data, head_len) == 0);
	}
}

static void hello(const uint8_t *data, size_t size)
{
	uint8_t again[LM_CONTROL_MAX];
	struct lm_hello h;

	if (size > sizeof(again) || lm_hello_decode(data, size, &h) != 0)
		return;
	FUZZ_CHECK(lm_hello_encode(&h, again, sizeof(again), size) == (int)size);
	FUZZ_CHECK(memcmp(again, data, size) == 0);
}

static void frames(const uint8_t *data, size_t size)
{
	struct lm_reader r = lm_reader(data, size);
	uint8_t again[LM_CONTROL_MAX];
	struct lm_frame f;

	while (lm_frame_next(&r, &f) == 1) {
		struct lm_writer w = lm_writer(again, sizeof(again));

		lm_frame_encode(&w, &f);
		FUZZ_CHECK(!w.bad && lm_w_len(&w) <= (size_t)(r.p - data));
		FUZZ_CHECK(memcmp(r.p - lm_w_len(&w), again, lm_w_len(&w)) == 0);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	enum lm_demux kind = lm_demux(data, size);

	FUZZ_CHECK(kind != LM_DEMUX_ESP || data[0] >= 0x80);
	FUZZ_CHECK(kind != LM_DEMUX_STUN || data[0] < 0x40);
	messages(data, size);
	hello(data, size);
	frames(data, size);
	return 0;
}
