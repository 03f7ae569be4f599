/* SPDX-License-Identifier: BSD-3-Clause */
/* Demultiplexer, control messages, hello, frames. */
#include <lanemesh/wire.h>

#include <errno.h>
#include <setjmp.h>

#include <cmocka.h>

static void demux(void **state)
{
	static const struct {
		size_t len;
		uint8_t b[20];
		enum lm_demux want;
	} cases[] = {
	    {1, {0xff}, LM_DEMUX_KEEPALIVE},
	    {1, {0xfe}, LM_DEMUX_BAD},
	    {2, {0xff, 0xff}, LM_DEMUX_BAD},
	    {8, {0x80, 0, 0, 0, 0, 0, 0, 1}, LM_DEMUX_ESP},
	    {8, {0xff, 0xff, 0xff, 0xff}, LM_DEMUX_ESP},
	    {7, {0x80, 0, 0, 0}, LM_DEMUX_BAD},
	    {8, {0, 0, 0, 0, 1}, LM_DEMUX_CONTROL},
	    {20, {0, 0, 0, 0, 0x21, 0x12, 0xa4, 0x42}, LM_DEMUX_CONTROL},
	    {7, {0, 0, 0, 0, 1}, LM_DEMUX_BAD},
	    {20, {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, LM_DEMUX_STUN},
	    {20, {0x3f, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, LM_DEMUX_STUN},
	    {19, {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, LM_DEMUX_BAD},
	    {20, {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43}, LM_DEMUX_BAD},
	    {20, {0x40, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}, LM_DEMUX_BAD},
	    {20, {0x7f, 0xff, 0xff, 0xff}, LM_DEMUX_BAD},
	};

	(void)state;
	assert_int_equal(lm_demux(NULL, 0), LM_DEMUX_BAD);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++)
		assert_int_equal(lm_demux(cases[i].b, cases[i].len), cases[i].want);
}

/* Every first half-word, with and without the STUN cookie: never ambiguous (RFC 7983's ranges). */
static void demux_every_first_word(void **state)
{
	uint8_t b[20] = {0};

	(void)state;
	for (unsigned cookie = 0; cookie < 2; cookie++) {
		memcpy(b + 4, cookie ? "\x21\x12\xa4\x42" : "\0\0\0\0", 4);
		for (unsigned v = 0; v < 65536; v++) {
			enum lm_demux want = v >= 0x8000   ? LM_DEMUX_ESP
					     : v >= 0x4000 ? LM_DEMUX_BAD
					     : cookie	   ? LM_DEMUX_STUN
							   : LM_DEMUX_BAD;

			b[0] = (uint8_t)(v >> 8);
			b[1] = (uint8_t)v;
			b[3] = 1;
			assert_int_equal(lm_demux(b, sizeof(b)), want);
		}
	}
}

static void offsets(void **state)
{
	(void)state;
	/* PROTOCOL.md says these numbers */
	assert_int_equal(LM_INIT_NOISE_LEN, 1156);
	assert_int_equal(LM_INIT_PAYLOAD_LEN, 1060);
	assert_int_equal(LM_RESP_MIN, 96);
	assert_int_equal(LM_COOKIE_REPLY_LEN, 68);
	assert_int_equal(LM_FRAMES_MAX, 1164);
	/* the largest certificate fits message 1, the largest announcement a frame */
	assert_true(12 + LM_CERT_MAX <= LM_INIT_PAYLOAD_LEN);
	assert_true(3 + LM_ANNOUNCE_MAX <= LM_FRAMES_MAX);
}

static void message_init(void **state)
{
	uint8_t msg[LM_INIT_LEN + 1];
	struct lm_msg_init m;

	(void)state;
	memset(msg, 0xaa, sizeof(msg));
	lm_msg_init_header(msg, 0x80000040);
	assert_int_equal(lm_msg_type(msg, LM_INIT_LEN), LM_MSG_INIT);
	assert_int_equal(lm_msg_init_decode(msg, LM_INIT_LEN, &m), 0);
	assert_int_equal(m.sender_spi, 0x80000040);
	assert_ptr_equal(m.noise, msg + 12);
	assert_ptr_equal(m.mac1, msg + 1168);
	assert_ptr_equal(m.mac2, msg + 1184);
	for (size_t len = 0; len <= sizeof(msg); len++)
		if (len != LM_INIT_LEN)
			assert_int_equal(lm_msg_init_decode(msg, len, &m), -EBADMSG);
	for (unsigned i = 0; i < 8; i++) { /* marker, type, reserved bytes */
		msg[i] ^= 0x10;
		assert_int_equal(lm_msg_init_decode(msg, LM_INIT_LEN, &m), -EBADMSG);
		msg[i] ^= 0x10;
	}
	lm_msg_init_header(msg, 0x7fffffc0);
	assert_int_equal(lm_msg_init_decode(msg, LM_INIT_LEN, &m), -EBADMSG);
	lm_msg_init_header(msg, 0x80000041);
	assert_int_equal(lm_msg_init_decode(msg, LM_INIT_LEN, &m), -EBADMSG);
}

static void message_resp(void **state)
{
	uint8_t msg[LM_RESP_MAX + 1];
	struct lm_msg_resp m;

	(void)state;
	memset(msg, 0xaa, sizeof(msg));
	lm_msg_resp_header(msg, 0x80000040, 0xffffffc0);
	for (size_t len = 0; len <= sizeof(msg); len++) {
		int rc = lm_msg_resp_decode(msg, len, &m);

		assert_int_equal(rc, len >= LM_RESP_MIN && len <= LM_RESP_MAX ? 0 : -EBADMSG);
		if (rc != 0)
			continue;
		assert_int_equal(m.sender_spi, 0x80000040);
		assert_int_equal(m.receiver_spi, 0xffffffc0);
		assert_ptr_equal(m.noise, msg + 16);
		assert_int_equal(m.noise_len, len - 48);
		assert_ptr_equal(m.mac1, msg + len - 32);
		assert_ptr_equal(m.mac2, msg + len - 16);
	}
	lm_msg_resp_header(msg, 0x80000040, 0);
	assert_int_equal(lm_msg_resp_decode(msg, 200, &m), -EBADMSG);
	lm_msg_resp_header(msg, 0x80000001, 0xffffffc0);
	assert_int_equal(lm_msg_resp_decode(msg, 200, &m), -EBADMSG);
	lm_msg_init_header(msg, 0x80000040);
	assert_int_equal(lm_msg_resp_decode(msg, 200, &m), -EBADMSG);
}

static void message_cookie(void **state)
{
	uint8_t msg[LM_COOKIE_REPLY_LEN + 1] = {0};
	struct lm_msg_cookie m;

	(void)state;
	lm_msg_cookie_header(msg, 0x80000040);
	assert_int_equal(lm_msg_cookie_decode(msg, LM_COOKIE_REPLY_LEN, &m), 0);
	assert_int_equal(m.receiver_spi, 0x80000040);
	assert_ptr_equal(m.nonce, msg + LM_COOKIE_NONCE_OFF);
	assert_ptr_equal(m.sealed, msg + 36);
	assert_int_equal(lm_msg_cookie_decode(msg, LM_COOKIE_REPLY_LEN - 1, &m), -EBADMSG);
	assert_int_equal(lm_msg_cookie_decode(msg, LM_COOKIE_REPLY_LEN + 1, &m), -EBADMSG);
	lm_msg_cookie_header(msg, 64);
	assert_int_equal(lm_msg_cookie_decode(msg, LM_COOKIE_REPLY_LEN, &m), -EBADMSG);
}

static void message_transport(void **state)
{
	uint8_t msg[LM_CONTROL_MAX + 1] = {0};
	struct lm_msg_transport m;

	(void)state;
	lm_msg_transport_header(msg, 0x80000040, 0x0102030405060708);
	for (size_t len = 0; len <= sizeof(msg); len++) {
		int rc = lm_msg_transport_decode(msg, len, &m);

		assert_int_equal(rc, len >= 36 && len <= 1200 ? 0 : -EBADMSG);
		if (rc != 0)
			continue;
		assert_true(m.counter == 0x0102030405060708);
		assert_ptr_equal(m.sealed, msg + 20);
		assert_int_equal(m.sealed_len, len - 20);
	}
	assert_int_equal(lm_msg_type(msg, 7), 0);
	assert_int_equal(lm_msg_type(msg, 8), LM_MSG_TRANSPORT);
	msg[4] = 77;
	assert_int_equal(lm_msg_type(msg, 8), 77);
}

static void message_relay(void **state)
{
	uint8_t b[LM_RELAY_HDR_LEN + LM_CONTROL_MAX + 4] = {0}, *in = b + LM_RELAY_HDR_LEN;
	struct lm_msg_relay m;

	(void)state;
	lm_msg_relay_header(b, 0x0102030405060708);
	assert_memory_equal(b, "\0\0\0\0\5\0\0\0\1\2\3\4\5\6\7\10", LM_RELAY_HDR_LEN);
	assert_int_equal(lm_demux(b, LM_RELAY_HDR_LEN), LM_DEMUX_CONTROL);
	/* ESP: whole words, and not less than there can be */
	in[0] = 0x80;
	for (size_t n = 0; n <= LM_ESP_MIN_LEN + 8; n++) {
		int rc = lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + n, &m);

		assert_int_equal(rc, n >= LM_ESP_MIN_LEN && n % 4 == 0 ? 0 : -EBADMSG);
		if (rc != 0)
			continue;
		assert_true(m.id == 0x0102030405060708 && m.inner == in);
		assert_int_equal(m.inner_len, n);
	}
	for (size_t n = 0; n < LM_RELAY_HDR_LEN; n++)
		assert_int_equal(lm_msg_relay_decode(b, n, &m), -EBADMSG);
	/* control: of known types, as long as they may be straight */
	for (unsigned type = 0; type < 256; type++) {
		bool good = type >= LM_MSG_INIT && type <= LM_MSG_TRANSPORT;

		memset(in, 0, 8);
		in[4] = (uint8_t)type;
		assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + LM_CONTROL_MAX, &m),
				 good ? 0 : -EBADMSG);
		assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 8, &m),
				 good ? 0 : -EBADMSG);
		assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 7, &m), -EBADMSG);
		assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + LM_CONTROL_MAX + 1, &m),
				 -EBADMSG);
	}
	in[4] = LM_MSG_INIT;
	in[5] = 1; /* reserved */
	assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 8, &m), -EBADMSG);
	/* neither STUN, nor a keepalive, nor another first word */
	memcpy(in, "\0\1\0\0\x21\x12\xa4\x42", 8);
	assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 20, &m), -EBADMSG);
	memcpy(in, "\x40\0\0\0", 4);
	assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 40, &m), -EBADMSG);
	in[0] = 0xff;
	assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 1, &m), -EBADMSG);
	/* marker, type, reserved bytes and id of the relay's header */
	assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 40, &m), 0);
	for (unsigned i = 0; i < 8; i++) {
		b[i] ^= 1;
		assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 40, &m), -EBADMSG);
		b[i] ^= 1;
	}
	lm_msg_relay_header(b, 0);
	assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 40, &m), -EBADMSG);
	lm_msg_relay_header(b, 1);
	assert_int_equal(lm_msg_relay_decode(b, LM_RELAY_HDR_LEN + 40, &m), 0);
	assert_true(m.id == 1);
}

static void hello(void **state)
{
	uint8_t cert[LM_CERT_MAX], buf[LM_INIT_PAYLOAD_LEN];
	struct lm_hello h = {.spi_base = 0x80000080,
			     .lanes = 2,
			     .capabilities = 0xdeadbeef,
			     .cert = cert,
			     .cert_len = 100},
			d;

	(void)state;
	memset(cert, 7, sizeof(cert));
	assert_int_equal(lm_hello_encode(&h, buf, sizeof(buf), 0), 112);
	assert_int_equal(lm_hello_decode(buf, 112, &d), 0);
	assert_int_equal(lm_hello_decode(buf, 111, &d), -EBADMSG);
	assert_int_equal(lm_hello_encode(&h, buf, sizeof(buf), sizeof(buf)), sizeof(buf));
	assert_int_equal(lm_hello_decode(buf, sizeof(buf), &d), 0);
	assert_int_equal(d.spi_base, h.spi_base);
	assert_int_equal(d.lanes, 2);
	assert_int_equal(d.capabilities, 0xdeadbeef);
	assert_int_equal(d.cert_len, 100);
	assert_memory_equal(d.cert, cert, 100);
	buf[sizeof(buf) - 1] = 1; /* padding */
	assert_int_equal(lm_hello_decode(buf, sizeof(buf), &d), -EBADMSG);
	buf[sizeof(buf) - 1] = 0;
	buf[5] = 1; /* reserved */
	assert_int_equal(lm_hello_decode(buf, sizeof(buf), &d), -EBADMSG);
	buf[5] = 0;
	buf[4] = 65; /* lanes */
	assert_int_equal(lm_hello_decode(buf, sizeof(buf), &d), -EBADMSG);
	buf[4] = 0;
	assert_int_equal(lm_hello_decode(buf, sizeof(buf), &d), -EBADMSG);
	assert_int_equal(lm_hello_encode(&h, buf, sizeof(buf), 111), -EMSGSIZE);
	assert_int_equal(lm_hello_encode(&h, buf, 111, 0), -EMSGSIZE);
	assert_int_equal(lm_hello_encode(&h, buf, 111, 112), -EMSGSIZE);
	h.cert_len = LM_CERT_MAX;
	assert_int_equal(lm_hello_encode(&h, buf, sizeof(buf), sizeof(buf)), sizeof(buf));
	assert_int_equal(lm_hello_decode(buf, sizeof(buf), &d), 0);
	h.cert_len++;
	assert_int_equal(lm_hello_encode(&h, buf, sizeof(buf), 0), -EINVAL);
	buf[11]++; /* certificate longer than any may be */
	assert_int_equal(lm_hello_decode(buf, sizeof(buf), &d), -EBADMSG);
	h = (struct lm_hello){.spi_base = 0x80000001, .lanes = 1};
	assert_int_equal(lm_hello_encode(&h, buf, sizeof(buf), 0), -EINVAL);
}

static void frames(void **state)
{
	struct lm_frame probe = {.type = LM_FRAME_PROBE, .u.probe.token = 42};
	struct lm_frame reply = {.type = LM_FRAME_PROBE_REPLY, .u.reply.token = 43};
	struct lm_frame close = {.type = LM_FRAME_CLOSE, .u.close.reason = LM_CLOSE_SUPERSEDED};
	struct lm_frame ann = {.type = LM_FRAME_ANNOUNCEMENT,
			       .u.announcement = {.data = (const uint8_t *)"xyz", .len = 3}};
	struct lm_frame pad = {.type = LM_FRAME_PAD}, f;
	uint8_t buf[100];
	struct lm_writer w = lm_writer(buf, sizeof(buf));
	struct lm_reader r;

	(void)state;
	assert_int_equal(lm_endpoint_parse("[2001:db8::9]:4500", 0, &reply.u.reply.observed), 0);
	lm_frame_encode(&w, &probe);
	lm_frame_encode(&w, &pad);
	lm_w_copy(&w, "\x63\x00\x02zz", 5); /* a type of the future */
	lm_frame_encode(&w, &reply);
	lm_frame_encode(&w, &close);
	lm_frame_encode(&w, &ann);
	assert_false(w.bad);
	assert_memory_equal(buf, "\1\0\10\0\0\0\0\0\0\0\x2a\0\0\0", 14);
	r = lm_reader(buf, lm_w_len(&w));
	assert_int_equal(lm_frame_next(&r, &f), 1);
	assert_int_equal(f.type, LM_FRAME_PROBE);
	assert_int_equal(f.u.probe.token, 42);
	assert_int_equal(lm_frame_next(&r, &f), 1);
	assert_int_equal(f.type, LM_FRAME_PROBE_REPLY);
	assert_int_equal(f.u.reply.token, 43);
	assert_true(lm_endpoint_equal(&f.u.reply.observed, &reply.u.reply.observed));
	assert_int_equal(lm_frame_next(&r, &f), 1);
	assert_int_equal(f.type, LM_FRAME_CLOSE);
	assert_int_equal(f.u.close.reason, LM_CLOSE_SUPERSEDED);
	assert_int_equal(lm_frame_next(&r, &f), 1);
	assert_int_equal(f.type, LM_FRAME_ANNOUNCEMENT);
	assert_int_equal(f.u.announcement.len, 3);
	assert_memory_equal(f.u.announcement.data, "xyz", 3);
	assert_int_equal(lm_frame_next(&r, &f), 0);
	assert_int_equal(lm_frame_next(&r, &f), 0);
}

/* Frames about relays, each with the length of its body, shorter or longer ones being malformed. */
static void relay_frames(void **state)
{
	static const struct {
		uint8_t type, len;
		bool id, node;
	} kinds[] = {
	    {LM_FRAME_RELAY_OPEN, 32, false, true},    {LM_FRAME_RELAY_OFFER, 40, true, true},
	    {LM_FRAME_RELAY_ACCEPT, 8, true, false},   {LM_FRAME_RELAY_READY, 40, true, true},
	    {LM_FRAME_RELAY_REFUSED, 33, false, true}, {LM_FRAME_RELAY_END, 8, true, false},
	};

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(kinds); i++) {
		struct lm_frame in = {.type = kinds[i].type}, out;
		uint8_t buf[64];
		struct lm_writer w = lm_writer(buf, sizeof(buf));
		struct lm_reader r;

		in.u.relay.id = 0x0102030405060708;
		memset(in.u.relay.node, 0x5a, LM_KEY_LEN);
		in.u.relay.reason = kinds[i].type == LM_FRAME_RELAY_REFUSED ? 3 : 0;
		lm_frame_encode(&w, &in);
		assert_false(w.bad);
		assert_int_equal(lm_w_len(&w), 3 + kinds[i].len);
		assert_int_equal(buf[2], kinds[i].len);
		r = lm_reader(buf, lm_w_len(&w));
		assert_int_equal(lm_frame_next(&r, &out), 1);
		assert_int_equal(out.type, in.type);
		assert_true(out.u.relay.id == (kinds[i].id ? in.u.relay.id : 0));
		assert_int_equal(out.u.relay.node[31], kinds[i].node ? 0x5a : 0);
		assert_int_equal(out.u.relay.reason, in.u.relay.reason);
		for (int change = -1; change <= 1; change += 2) {
			buf[2] = (uint8_t)(kinds[i].len + change);
			r = lm_reader(buf, lm_w_len(&w) + (size_t)change);
			assert_int_equal(lm_frame_next(&r, &out), -EBADMSG);
		}
		if (!kinds[i].id)
			continue;
		buf[2] = kinds[i].len;
		memset(buf + 3, 0, 8); /* no id */
		r = lm_reader(buf, lm_w_len(&w));
		assert_int_equal(lm_frame_next(&r, &out), -EBADMSG);
		in.u.relay.id = 0;
		w = lm_writer(buf, sizeof(buf));
		lm_frame_encode(&w, &in);
		assert_true(w.bad);
	}
}

static void frames_refused(void **state)
{
	static const struct {
		size_t len;
		uint8_t b[32];
	} bad[] = {
	    {1, {1}},
	    {3, {1, 0, 8}},  /* body missing */
	    {10, {1, 0, 7}}, /* short probe */
	    {12, {1, 0, 9}}, /* long probe */
	    {3, {3, 0, 0}},  /* close without reason */
	    {3, {4, 0, 0}},  /* empty announcement */
	    {18, {2, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 5, 1, 2, 3, 4, 1, 1}}, /* family 5 */
	    {18, {2, 0, 15, 0, 0, 0, 0, 0, 0, 0, 0, 4, 1, 2, 3, 4, 0, 0}}, /* port 0 */
	    {30, {2, 0, 27, 0, 0, 0, 0, 0,   0,	  0, 0, 6, 0, 0, 0,
		  0, 0, 0,  0, 0, 0, 0, 255, 255, 1, 2, 3, 4, 1, 1}}, /* v4-mapped */
	    {2, {99, 0}},
	    {4, {99, 0, 2, 0}},
	};
	struct lm_frame f = {.type = LM_FRAME_PROBE_REPLY};
	uint8_t buf[64];
	struct lm_writer w = lm_writer(buf, sizeof(buf));

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++) {
		struct lm_reader r = lm_reader(bad[i].b, bad[i].len);

		assert_int_equal(lm_frame_next(&r, &f), -EBADMSG);
	}
	f = (struct lm_frame){.type = LM_FRAME_PROBE_REPLY}; /* no endpoint */
	lm_frame_encode(&w, &f);
	assert_true(w.bad);
	w = lm_writer(buf, 10);
	f.type = LM_FRAME_PROBE;
	lm_frame_encode(&w, &f);
	assert_true(w.bad);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(demux),
	    cmocka_unit_test(demux_every_first_word),
	    cmocka_unit_test(offsets),
	    cmocka_unit_test(message_init),
	    cmocka_unit_test(message_resp),
	    cmocka_unit_test(message_cookie),
	    cmocka_unit_test(message_transport),
	    cmocka_unit_test(message_relay),
	    cmocka_unit_test(hello),
	    cmocka_unit_test(frames),
	    cmocka_unit_test(relay_frames),
	    cmocka_unit_test(frames_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
