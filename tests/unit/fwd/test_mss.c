/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_test.h"

#include <lanemesh/wire.h>

#define SYN 0x02
#define ACK 0x10

struct seg {
	uint8_t b[256];
	size_t len, tcp, tcp_len;
	bool six;
};

static uint16_t tcp_csum(const struct seg *s)
{
	struct lm_ip src = s->six ? lm_ip6(s->b + 8) : lm_ip4(s->b + 12);
	struct lm_ip dst = s->six ? lm_ip6(s->b + 24) : lm_ip4(s->b + 16);
	uint8_t copy[256];

	memcpy(copy, s->b + s->tcp, s->tcp_len);
	copy[16] = copy[17] = 0;
	return lm_csum_pseudo(&src, &dst, LM_PROTO_TCP, copy, s->tcp_len);
}

/* A segment with these options; n_ext 8-byte destination options headers before it (IPv6). */
static struct seg build(bool six, unsigned n_ext, uint8_t flags, const uint8_t *opt, size_t n_opt,
			size_t data)
{
	struct seg s = {.six = six, .tcp = six ? 40 + 8 * (size_t)n_ext : 20};
	size_t padded = (n_opt + 3) / 4 * 4;
	uint16_t csum;
	uint8_t *t;

	s.tcp_len = 20 + padded + data;
	s.len = s.tcp + s.tcp_len;
	assert_true(s.len <= sizeof(s.b));
	for (size_t i = 0; i < s.len; i++)
		s.b[i] = (uint8_t)(i * 37 + 11);
	if (six) {
		s.b[0] = 0x60;
		s.b[4] = 0;
		s.b[5] = (uint8_t)(s.len - 40);
		s.b[6] = n_ext ? 60 : LM_PROTO_TCP;
		for (unsigned i = 0; i < n_ext; i++) {
			s.b[40 + 8 * i] = i + 1 < n_ext ? 60 : LM_PROTO_TCP;
			s.b[41 + 8 * i] = 0;
		}
	} else {
		s.b[0] = 0x45;
		s.b[2] = 0;
		s.b[3] = (uint8_t)s.len;
		s.b[6] = 0x40;
		s.b[7] = 0;
		s.b[9] = LM_PROTO_TCP;
	}
	t = s.b + s.tcp;
	t[12] = (uint8_t)((20 + padded) / 4 << 4);
	t[13] = flags;
	memset(t + 20, 0, padded);
	memcpy(t + 20, opt, n_opt);
	csum = tcp_csum(&s);
	memcpy(t + 16, &csum, 2);
	return s;
}

static void assert_csum(const struct seg *s)
{
	uint16_t want = tcp_csum(s), got;

	memcpy(&got, s->b + s->tcp + 16, 2);
	/* RFC 1624: 0 and 0xffff are the same number */
	if (got != want && !((got == 0 || got == 0xffff) && (want == 0 || want == 0xffff)))
		fail_msg("checksum %04x, should be %04x", got, want);
}

static unsigned mss_at(const struct seg *s, size_t opt_off)
{
	return (unsigned)(s->b[s->tcp + 20 + opt_off + 2] << 8 | s->b[s->tcp + 20 + opt_off + 3]);
}

static void clamps(void **state)
{
	static const uint8_t plain[] = {2, 4, 0x05, 0xb4}, odd[] = {1, 2, 4, 0x23, 0x28},
			     linux_like[] = {2, 4, 5, 0xb4, 4, 2, 8, 10, 1, 2,
					     3, 4, 0, 0,    0, 0, 1, 3,	 3, 7},
			     twice[] = {2, 4, 5, 0xb4, 1, 2, 4, 5, 0xb5};
	static const struct {
		const uint8_t *opt;
		size_t n, at, at2;
	} cases[] = {{plain, 4, 0, 0}, {odd, 5, 1, 1}, {linux_like, 20, 0, 0}, {twice, 9, 0, 5}};

	(void)state;
	for (unsigned c = 0; c < 4; c++) {
		for (unsigned six = 0; six < 2; six++) {
			unsigned want = 1438 - (six ? 60 : 40);
			uint8_t flags = c % 2 ? SYN : SYN | ACK;
			struct seg s = build(six, six ? c : 0, flags, cases[c].opt, cases[c].n, 5);

			assert_csum(&s);
			assert_true(lm_mss_clamp(s.b, s.len, 1438));
			assert_int_equal(mss_at(&s, cases[c].at), want);
			assert_int_equal(mss_at(&s, cases[c].at2), want);
			assert_csum(&s);
			assert_false(lm_mss_clamp(s.b, s.len, 1438)); /* small enough now */
			/* Ethernet padding behind the packet does not matter */
			assert_true(lm_mss_clamp(s.b, s.len + 10, 1300));
			assert_csum(&s);
		}
	}
}

/* All values of the option: the update is right for every carry. */
static void every_value(void **state)
{
	(void)state;
	for (unsigned v = 0; v <= 0xffff; v++) {
		uint8_t opt[] = {1, 2, 4, (uint8_t)(v >> 8), (uint8_t)v};
		struct seg s = build(false, 0, SYN, v & 1 ? opt : opt + 1, v & 1 ? 5 : 4, 0);

		assert_int_equal(lm_mss_clamp(s.b, s.len, 540), v > 500);
		assert_int_equal(mss_at(&s, v & 1), v > 500 ? 500 : v);
		assert_csum(&s);
	}
}

static void assert_untouched(struct seg *s, size_t len, uint16_t mtu)
{
	struct seg before = *s;

	assert_false(lm_mss_clamp(s->b, len, mtu));
	assert_memory_equal(s->b, before.b, sizeof(before.b));
}

static void leaves_alone(void **state)
{
	static const uint8_t mss[] = {2, 4, 0x05, 0xb4};
	static const uint8_t hostile[][8] = {
	    {2, 3, 5, 0xb4},	      {2, 0, 5, 0xb4},		{2, 1, 5, 0xb4},
	    {2, 5, 5, 0xb4, 0},	      {8, 0, 2, 4, 5, 0xb4},	{8, 255, 2, 4, 5, 0xb4},
	    {0, 2, 4, 5, 0xb4},	      {1, 1, 1, 1, 1, 1, 1, 2}, {1, 1, 1, 1, 2, 8, 9, 9},
	    {1, 1, 1, 1, 1, 2, 4, 9},
	};
	struct seg s;

	(void)state;
	for (unsigned six = 0; six < 2; six++) {
		unsigned headers = six ? 60 : 40;

		for (unsigned i = 0; i < LM_ARRAY_SIZE(hostile); i++) {
			s = build(six, 0, SYN, hostile[i], 8, 0);
			assert_untouched(&s, s.len, 500);
		}
		s = build(six, 0, ACK, mss, 4, 0);
		assert_untouched(&s, s.len, 500);
		s = build(six, 0, SYN, mss, 0, 0);
		assert_untouched(&s, s.len, 500);
		s = build(six, 0, SYN, mss, 4, 0);
		assert_untouched(&s, s.len, (uint16_t)(0x05b4 + headers));
		assert_untouched(&s, s.len, (uint16_t)headers);
		assert_untouched(&s, s.len, 0);
		for (size_t len = 0; len < s.len; len++)
			assert_untouched(&s, len, 500);
		s.b[0] = six ? 0x45 : 0x65; /* the other version */
		assert_untouched(&s, s.len, 500);
		s.b[0] = 0x55;
		assert_untouched(&s, s.len, 500);
		s = build(six, 0, SYN, mss, 4, 0);
		s.b[six ? 6 : 9] = LM_PROTO_UDP;
		assert_untouched(&s, s.len, 500);
		s = build(six, 0, SYN, mss, 4, 0);
		s.b[s.tcp + 12] = 0x40; /* TCP header shorter than itself */
		assert_untouched(&s, s.len, 500);
		s.b[s.tcp + 12] = 0xf0; /* longer than the packet */
		assert_untouched(&s, s.len, 500);
	}
	s = build(false, 0, SYN, mss, 4, 0);
	s.b[7] = 1; /* not the first fragment */
	assert_untouched(&s, s.len, 500);
	s = build(false, 0, SYN, mss, 4, 0);
	s.b[0] = 0x44; /* header of 16 bytes */
	assert_untouched(&s, s.len, 500);
	s = build(true, 9, SYN, mss, 4, 0); /* longer chain than we walk */
	assert_untouched(&s, s.len, 500);
	s = build(true, 1, SYN, mss, 4, 0);
	s.b[41] = 255; /* extension header longer than the packet */
	assert_untouched(&s, s.len, 500);
	s.b[40] = 44; /* fragment header */
	s.b[41] = 0;
	assert_untouched(&s, s.len, 500);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(clamps),
	    cmocka_unit_test(every_value),
	    cmocka_unit_test(leaves_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
