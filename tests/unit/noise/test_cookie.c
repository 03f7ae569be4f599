/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/crypto.h>
#include <lanemesh/noise.h>

#include <errno.h>
#include <setjmp.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define OFF 100 /* what the macs cover, and where mac1 stands */

static struct lm_endpoint endpoint(const char *text)
{
	struct lm_endpoint ep;

	assert_int_equal(lm_endpoint_parse(text, 0, &ep), 0);
	return ep;
}

/* The labels are part of the protocol: computed here with libsodium alone. */
static void test_labels(void **state)
{
	static const char *const labels[] = {"lanemesh mac1", "lanemesh cookie"};
	uint8_t pub[32], text[64], want[32], got[32], mac[16], msg[OFF + 32];

	(void)state;
	memset(pub, 0x42, sizeof(pub));
	for (int i = 0; i < 2; i++) {
		size_t n = strlen(labels[i]);

		memcpy(text, labels[i], n);
		memcpy(text + n, pub, 32);
		crypto_generichash(want, 32, text, n + 32, NULL, 0);
		(i == 0 ? lm_mac1_key : lm_cookie_key)(pub, got);
		assert_memory_equal(got, want, 32);
	}
	memset(msg, 1, sizeof(msg));
	crypto_generichash(mac, 16, msg, OFF, want, 32);
	lm_mac1(want, msg, OFF, got);
	assert_memory_equal(got, mac, 16);
	crypto_generichash(mac, 16, msg, OFF, pub, 16);
	lm_mac2(pub, msg, OFF, got);
	assert_memory_equal(got, mac, 16);
}

static void test_mac1(void **state)
{
	uint8_t key[32] = {1}, other[32] = {2}, msg[OFF + 32] = {0};

	(void)state;
	lm_mac1(key, msg, OFF, msg + OFF);
	assert_true(lm_mac1_ok(key, msg, OFF, msg + OFF));
	assert_false(lm_mac1_ok(other, msg, OFF, msg + OFF));
	for (size_t i = 0; i < OFF + 16; i++) {
		msg[i] ^= 0x80;
		assert_false(lm_mac1_ok(key, msg, OFF, msg + OFF));
		msg[i] ^= 0x80;
	}
	/* mac2 is not under mac1. */
	msg[OFF + 16] ^= 1;
	assert_true(lm_mac1_ok(key, msg, OFF, msg + OFF));
}

/* What a sender does with a cookie that it got from the jar. */
static void put_mac2(const struct lm_cookie_jar *jar, const struct lm_endpoint *from, uint8_t *msg)
{
	uint8_t cookie[16];

	lm_cookie_make(jar, from, cookie);
	lm_mac2(cookie, msg, OFF, msg + OFF + 16);
}

static void test_mac2(void **state)
{
	struct lm_endpoint a = endpoint("192.0.2.1:4500"), b = endpoint("192.0.2.2:4500");
	struct lm_endpoint c = endpoint("192.0.2.1:4501"), d = endpoint("[2001:db8::1]:4500");
	struct lm_endpoint e = endpoint("[2001:db8::2]:4500");
	uint8_t fresh[32] = {7}, msg[OFF + 32] = {0};
	struct lm_cookie_jar jar = {0};

	(void)state;
	/* An empty jar accepts nothing. */
	assert_false(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	lm_cookie_jar_turn(&jar, 0, fresh);
	assert_false(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	put_mac2(&jar, &a, msg);
	assert_true(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	assert_false(lm_mac2_ok(&jar, &b, msg, OFF, msg + OFF + 16));
	assert_false(lm_mac2_ok(&jar, &c, msg, OFF, msg + OFF + 16));
	assert_false(lm_mac2_ok(&jar, &d, msg, OFF, msg + OFF + 16));
	for (size_t i = 0; i < OFF + 32; i = i + 1 == OFF ? OFF + 16 : i + 1) {
		msg[i] ^= 4;
		assert_false(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
		msg[i] ^= 4;
	}
	put_mac2(&jar, &d, msg);
	assert_true(lm_mac2_ok(&jar, &d, msg, OFF, msg + OFF + 16));
	assert_false(lm_mac2_ok(&jar, &e, msg, OFF, msg + OFF + 16));
}

static void test_expiry(void **state)
{
	struct lm_endpoint a = endpoint("192.0.2.1:4500");
	uint8_t s1[32] = {1}, s2[32] = {2}, s3[32] = {3}, msg[OFF + 32] = {0};
	const lm_time t0 = 1000 * LM_SEC;
	struct lm_cookie_jar jar = {0};

	(void)state;
	lm_cookie_jar_turn(&jar, t0, s1);
	put_mac2(&jar, &a, msg);
	/* Not due: fresh bytes are not used. */
	lm_cookie_jar_turn(&jar, t0 + LM_COOKIE_LIFE - 1, s2);
	assert_memory_equal(jar.secret[0], s1, 32);
	assert_true(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	/* Due: the old one is still good, new ones come from the new secret. */
	lm_cookie_jar_turn(&jar, t0 + LM_COOKIE_LIFE, s2);
	assert_memory_equal(jar.secret[0], s2, 32);
	assert_true(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	lm_cookie_jar_turn(&jar, t0 + 2 * LM_COOKIE_LIFE - 1, s3);
	assert_true(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	lm_cookie_jar_turn(&jar, t0 + 2 * LM_COOKIE_LIFE, s3);
	assert_false(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	put_mac2(&jar, &a, msg);
	assert_true(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	/* After a long silence the last secret does not come back as the one before. */
	lm_cookie_jar_turn(&jar, t0 + 10 * LM_COOKIE_LIFE, s1);
	assert_false(lm_mac2_ok(&jar, &a, msg, OFF, msg + OFF + 16));
	assert_false(jar.has[1]);
}

static void test_reply(void **state)
{
	uint8_t key[32] = {1}, nonce[24] = {2}, mac1[16] = {3}, cookie[16], sealed[32], got[16];
	uint8_t other[32] = {9};

	(void)state;
	memset(cookie, 0xc0, sizeof(cookie));
	lm_cookie_seal(key, nonce, mac1, cookie, sealed);
	assert_int_equal(lm_cookie_open(key, nonce, mac1, sealed, got), 0);
	assert_memory_equal(got, cookie, 16);
	assert_int_equal(lm_cookie_open(other, nonce, mac1, sealed, got), -EBADMSG);
	assert_int_equal(lm_cookie_open(key, nonce, nonce, sealed, got), -EBADMSG);
	assert_int_equal(lm_cookie_open(key, other, mac1, sealed, got), -EBADMSG);
	for (size_t i = 0; i < sizeof(sealed); i++) {
		sealed[i] ^= 1;
		assert_int_equal(lm_cookie_open(key, nonce, mac1, sealed, got), -EBADMSG);
		sealed[i] ^= 1;
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_labels), cmocka_unit_test(test_mac1),
	    cmocka_unit_test(test_mac2),   cmocka_unit_test(test_expiry),
	    cmocka_unit_test(test_reply),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
