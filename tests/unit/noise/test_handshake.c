/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/crypto.h>
#include <lanemesh/noise.h>

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define PAYLOAD 40

static const char prologue[] = "lanemesh 1\0mesh";

/* Two ends with fixed keys, so that a failure can be repeated. */
struct pair {
	struct lm_noise ini, resp;
	uint8_t msg1[LM_NOISE_MSG1_OVERHEAD + PAYLOAD], msg2[LM_NOISE_MSG2_OVERHEAD + PAYLOAD];
	uint8_t payload[PAYLOAD], got[PAYLOAD];
};

struct opts {
	const uint8_t *psk_i, *psk_r;
	const char *prologue_r;
	const uint8_t *resp_key;
};

static void key(uint8_t tag, uint8_t secret[32], uint8_t public[32])
{
	memset(secret, tag, 32);
	assert_int_equal(crypto_scalarmult_base(public, secret), 0);
}

static void begin_with(struct pair *p, const struct opts *o)
{
	uint8_t si[32], si_pub[32], sr[32], sr_pub[32], e[32];
	const char *pr = o->prologue_r != NULL ? o->prologue_r : prologue;

	memset(p, 0, sizeof(*p));
	memset(p->payload, 0x5a, PAYLOAD);
	key(1, si, si_pub);
	key(2, sr, sr_pub);
	memset(e, 3, 32);
	lm_noise_init(&p->ini, true, si, si_pub, e, o->resp_key != NULL ? o->resp_key : sr_pub,
		      o->psk_i, prologue, sizeof(prologue));
	memset(e, 4, 32);
	lm_noise_init(&p->resp, false, sr, sr_pub, e, NULL, o->psk_r, pr, sizeof(prologue));
}

static const uint8_t psk[32] = {9, 9, 9};

static void begin(struct pair *p)
{
	begin_with(p, &(struct opts){.psk_i = psk, .psk_r = psk});
}

static void first(struct pair *p)
{
	assert_int_equal(lm_noise_write(&p->ini, p->payload, PAYLOAD, p->msg1), 0);
	assert_int_equal(lm_noise_read(&p->resp, p->msg1, sizeof(p->msg1), p->got), 0);
	assert_memory_equal(p->got, p->payload, PAYLOAD);
}

static void second(struct pair *p)
{
	assert_int_equal(lm_noise_write(&p->resp, p->payload, PAYLOAD, p->msg2), 0);
	assert_int_equal(lm_noise_read(&p->ini, p->msg2, sizeof(p->msg2), p->got), 0);
}

static void test_keys(void **state)
{
	struct lm_noise_keys ki, kr;
	struct pair p;

	(void)state;
	begin(&p);
	first(&p);
	second(&p);
	assert_int_equal(lm_noise_split(&p.ini, &ki), 0);
	assert_int_equal(lm_noise_split(&p.resp, &kr), 0);
	assert_memory_equal(ki.send, kr.recv, 32);
	assert_memory_equal(ki.recv, kr.send, 32);
	assert_memory_not_equal(ki.send, ki.recv, 32);
	assert_memory_equal(ki.esp_root, kr.esp_root, 64);
	assert_memory_not_equal(ki.esp_root, ki.send, 32);
	assert_memory_not_equal(ki.esp_root, ki.recv, 32);
	assert_memory_equal(ki.hash, kr.hash, 64);
}

static bool wiped(const struct lm_noise *ns)
{
	struct lm_noise dead;

	memset(&dead, 0, sizeof(dead));
	dead.step = 0xff;
	return memcmp(ns, &dead, sizeof(dead)) == 0;
}

/* After a failure nothing works any more, and no secret is left. */
static void expect_dead(struct lm_noise *ns)
{
	struct lm_noise_keys keys;
	uint8_t buf[256] = {0};

	assert_true(wiped(ns));
	assert_int_equal(lm_noise_read(ns, buf, sizeof(buf), buf), -EPROTO);
	assert_int_equal(lm_noise_write(ns, NULL, 0, buf), -EPROTO);
	assert_int_equal(lm_noise_split(ns, &keys), -EPROTO);
}

/* X25519 ignores the top bit of a public key (RFC 7748 section 5); the hash does not. */
static void test_every_bit_of_message_1(void **state)
{
	struct pair p;

	(void)state;
	for (size_t bit = 0; bit < sizeof(p.msg1) * 8; bit++) {
		int rc;

		begin(&p);
		assert_int_equal(lm_noise_write(&p.ini, p.payload, PAYLOAD, p.msg1), 0);
		p.msg1[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		rc = lm_noise_read(&p.resp, p.msg1, sizeof(p.msg1), p.got);
		assert_true(rc == -EBADMSG || rc == -EKEYREJECTED);
		expect_dead(&p.resp);
	}
}

static void test_every_bit_of_message_2(void **state)
{
	struct pair p;

	(void)state;
	for (size_t bit = 0; bit < sizeof(p.msg2) * 8; bit++) {
		int rc;

		begin(&p);
		first(&p);
		assert_int_equal(lm_noise_write(&p.resp, p.payload, PAYLOAD, p.msg2), 0);
		p.msg2[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		rc = lm_noise_read(&p.ini, p.msg2, sizeof(p.msg2), p.got);
		assert_true(rc == -EBADMSG || rc == -EKEYREJECTED);
		expect_dead(&p.ini);
	}
}

/* Every length but the right one; exact allocations let ASan see a byte read too far. */
static void test_every_length(void **state)
{
	struct pair p;

	(void)state;
	for (size_t len = 0; len < 2 * sizeof(p.msg1); len++) {
		bool one = len == sizeof(p.msg1), two = len == sizeof(p.msg2);
		uint8_t *msg = calloc(1, len + 1), *got = malloc(len + 1);

		assert_true(msg != NULL && got != NULL);
		begin(&p);
		assert_int_equal(lm_noise_write(&p.ini, p.payload, PAYLOAD, p.msg1), 0);
		memcpy(msg, p.msg1, len < sizeof(p.msg1) ? len : sizeof(p.msg1));
		assert_int_equal(lm_noise_read(&p.resp, msg, len, got), one ? 0 : -EBADMSG);
		begin(&p);
		first(&p);
		assert_int_equal(lm_noise_write(&p.resp, p.payload, PAYLOAD, p.msg2), 0);
		memset(msg, 0, len);
		memcpy(msg, p.msg2, len < sizeof(p.msg2) ? len : sizeof(p.msg2));
		assert_int_equal(lm_noise_read(&p.ini, msg, len, got), two ? 0 : -EBADMSG);
		free(msg);
		free(got);
	}
}

static void test_wrong_psk(void **state)
{
	static const uint8_t other[32] = {9, 9, 8};
	struct pair p;

	(void)state;
	/* The psk only enters message 2. */
	begin_with(&p, &(struct opts){.psk_i = psk, .psk_r = other});
	first(&p);
	assert_int_equal(lm_noise_write(&p.resp, p.payload, PAYLOAD, p.msg2), 0);
	assert_int_equal(lm_noise_read(&p.ini, p.msg2, sizeof(p.msg2), p.got), -EBADMSG);
	expect_dead(&p.ini);
	/* IK and IKpsk2 are different protocols. */
	begin_with(&p, &(struct opts){.psk_i = psk});
	assert_int_equal(lm_noise_write(&p.ini, p.payload, PAYLOAD, p.msg1), 0);
	assert_int_equal(lm_noise_read(&p.resp, p.msg1, sizeof(p.msg1), p.got), -EBADMSG);
	expect_dead(&p.resp);
}

static void test_wrong_prologue_or_responder(void **state)
{
	uint8_t secret[32], public[32];
	struct pair p;

	(void)state;
	begin_with(&p,
		   &(struct opts){.psk_i = psk, .psk_r = psk, .prologue_r = "lanemesh 1\0mosh"});
	assert_int_equal(lm_noise_write(&p.ini, p.payload, PAYLOAD, p.msg1), 0);
	assert_int_equal(lm_noise_read(&p.resp, p.msg1, sizeof(p.msg1), p.got), -EBADMSG);
	key(7, secret, public);
	begin_with(&p, &(struct opts){.psk_i = psk, .psk_r = psk, .resp_key = public});
	assert_int_equal(lm_noise_write(&p.ini, p.payload, PAYLOAD, p.msg1), 0);
	assert_int_equal(lm_noise_read(&p.resp, p.msg1, sizeof(p.msg1), p.got), -EBADMSG);
}

/* A call out of turn is refused and leaves the state usable. */
static void test_out_of_turn(void **state)
{
	struct lm_noise_keys keys;
	struct pair p;

	(void)state;
	begin(&p);
	assert_int_equal(lm_noise_read(&p.ini, p.msg2, sizeof(p.msg2), p.got), -EPROTO);
	assert_int_equal(lm_noise_write(&p.resp, NULL, 0, p.msg2), -EPROTO);
	assert_int_equal(lm_noise_split(&p.ini, &keys), -EPROTO);
	assert_int_equal(lm_noise_split(&p.resp, &keys), -EPROTO);
	first(&p);
	assert_int_equal(lm_noise_write(&p.ini, p.payload, PAYLOAD, p.msg1), -EPROTO);
	assert_int_equal(lm_noise_read(&p.resp, p.msg1, sizeof(p.msg1), p.got), -EPROTO);
	assert_int_equal(lm_noise_split(&p.resp, &keys), -EPROTO);
	second(&p);
	assert_int_equal(lm_noise_write(&p.ini, p.payload, PAYLOAD, p.msg1), -EPROTO);
	assert_int_equal(lm_noise_write(&p.resp, p.payload, PAYLOAD, p.msg2), -EPROTO);
	assert_int_equal(lm_noise_read(&p.ini, p.msg2, sizeof(p.msg2), p.got), -EPROTO);
	assert_int_equal(lm_noise_read(&p.resp, p.msg1, sizeof(p.msg1), p.got), -EPROTO);
	assert_int_equal(lm_noise_split(&p.ini, &keys), 0);
	expect_dead(&p.ini);
	assert_int_equal(lm_noise_split(&p.resp, &keys), 0);
	expect_dead(&p.resp);
}

/* A responder must refuse a low-order ephemeral, and an initiator one in message 2. */
static void test_low_order_ephemeral(void **state)
{
	struct pair p;

	(void)state;
	begin(&p);
	assert_int_equal(lm_noise_write(&p.ini, p.payload, PAYLOAD, p.msg1), 0);
	memset(p.msg1, 0, 32);
	assert_int_equal(lm_noise_read(&p.resp, p.msg1, sizeof(p.msg1), p.got), -EKEYREJECTED);
	expect_dead(&p.resp);
	begin(&p);
	first(&p);
	assert_int_equal(lm_noise_write(&p.resp, p.payload, PAYLOAD, p.msg2), 0);
	memset(p.msg2, 0, 32);
	assert_int_equal(lm_noise_read(&p.ini, p.msg2, sizeof(p.msg2), p.got), -EKEYREJECTED);
	expect_dead(&p.ini);
}

static void test_empty_payloads(void **state)
{
	struct pair p;

	(void)state;
	begin(&p);
	assert_int_equal(lm_noise_write(&p.ini, NULL, 0, p.msg1), 0);
	assert_int_equal(lm_noise_read(&p.resp, p.msg1, LM_NOISE_MSG1_OVERHEAD, NULL), 0);
	assert_int_equal(lm_noise_write(&p.resp, NULL, 0, p.msg2), 0);
	assert_int_equal(lm_noise_read(&p.ini, p.msg2, LM_NOISE_MSG2_OVERHEAD, NULL), 0);
}

static void test_transport(void **state)
{
	static const uint8_t k[32] = {1}, wrong[32] = {2}, ad[20] = {2};
	uint8_t plain[50], buf[66];

	(void)state;
	memset(plain, 7, sizeof(plain));
	lm_noise_seal(k, 5, ad, sizeof(ad), plain, sizeof(plain), buf);
	/* Wrong counter, associated data, length, key. */
	for (size_t len = 0; len < sizeof(buf); len++)
		assert_int_equal(lm_noise_open(k, 5, ad, sizeof(ad), buf, len, plain), -EBADMSG);
	assert_int_equal(lm_noise_open(k, 6, ad, sizeof(ad), buf, sizeof(buf), plain), -EBADMSG);
	assert_int_equal(lm_noise_open(k, 5, ad, sizeof(ad) - 1, buf, sizeof(buf), plain),
			 -EBADMSG);
	assert_int_equal(lm_noise_open(wrong, 5, ad, sizeof(ad), buf, sizeof(buf), plain),
			 -EBADMSG);
	for (size_t i = 0; i < sizeof(buf); i++) {
		buf[i] ^= 1;
		assert_int_equal(lm_noise_open(k, 5, ad, sizeof(ad), buf, sizeof(buf), plain),
				 -EBADMSG);
		buf[i] ^= 1;
	}
	/* In place, both ways. */
	assert_int_equal(lm_noise_open(k, 5, ad, sizeof(ad), buf, sizeof(buf), buf), 0);
	memset(plain, 7, sizeof(plain));
	assert_memory_equal(buf, plain, sizeof(plain));
	lm_noise_seal(k, 6, ad, sizeof(ad), buf, sizeof(plain), buf);
	assert_int_equal(lm_noise_open(k, 6, ad, sizeof(ad), buf, sizeof(buf), buf), 0);
	assert_memory_equal(buf, plain, sizeof(plain));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keys),
	    cmocka_unit_test(test_every_bit_of_message_1),
	    cmocka_unit_test(test_every_bit_of_message_2),
	    cmocka_unit_test(test_every_length),
	    cmocka_unit_test(test_wrong_psk),
	    cmocka_unit_test(test_wrong_prologue_or_responder),
	    cmocka_unit_test(test_out_of_turn),
	    cmocka_unit_test(test_low_order_ephemeral),
	    cmocka_unit_test(test_empty_payloads),
	    cmocka_unit_test(test_transport),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
