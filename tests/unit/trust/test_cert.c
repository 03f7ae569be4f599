/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "records.h"

static struct lm_identity *authority, *other_authority, *node;
static struct lm_authorities au;
static uint8_t buf[LM_CERT_MAX];
static size_t len;

static int setup(void **state)
{
	struct lm_cert c;

	(void)state;
	if (lm_crypto_init() != 0)
		return -1;
	authority = identity(1);
	other_authority = identity(2);
	node = identity(3);
	au = authorities(authority, NULL);
	c = cert_of(node);
	len = signed_cert(authority, &c, buf);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lm_identity_free(authority);
	lm_identity_free(other_authority);
	lm_identity_free(node);
	return 0;
}

static enum lm_verdict check_at(int64_t wall)
{
	struct lm_cert out;

	return lm_cert_check(buf, len, &au, NULL, wall, &out);
}

static void test_good(void **state)
{
	struct lm_cert want = cert_of(node), out;

	(void)state;
	assert_int_equal(lm_cert_check(buf, len, &au, NULL, T0, &out), LM_TRUSTED);
	memcpy(want.issuer, authority->ed_public, 32);
	assert_memory_equal(out.node, want.node, 32);
	assert_memory_equal(out.issuer, want.issuer, 32);
	assert_string_equal(out.name, want.name);
	assert_int_equal(out.serial, want.serial);
	assert_int_equal(out.roles, want.roles);
	assert_int_equal(out.n_prefixes, 2);
	assert_true(lm_prefix_equal(&out.prefixes[1], &want.prefixes[1]));
}

/* FAULTS row 12: whatever one bit does, and every other length. */
static void test_every_mutation_refused(void **state)
{
	uint8_t copy[LM_CERT_MAX + 1] = {0};
	struct lm_cert out;

	(void)state;
	for (size_t bit = 0; bit < len * 8; bit++) {
		memcpy(copy, buf, len);
		copy[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_not_equal(lm_cert_check(copy, len, &au, NULL, T0, &out), LM_TRUSTED);
	}
	for (size_t byte = 0; byte < len; byte++) {
		memcpy(copy, buf, len);
		copy[byte] ^= 0xff;
		assert_int_not_equal(lm_cert_check(copy, len, &au, NULL, T0, &out), LM_TRUSTED);
	}
	memcpy(copy, buf, len);
	for (size_t n = 0; n <= LM_CERT_MAX; n++)
		if (n != len)
			assert_int_not_equal(lm_cert_check(copy, n, &au, NULL, T0, &out),
					     LM_TRUSTED);
}

static void test_who_signed(void **state)
{
	struct lm_authorities both = authorities(other_authority, authority), none = {0};
	struct lm_cert c = cert_of(node), out;
	uint8_t forged[LM_CERT_MAX];
	size_t n, body;

	(void)state;
	assert_int_equal(lm_cert_check(buf, len, &both, NULL, T0, &out), LM_TRUSTED);
	n = signed_cert(other_authority, &c, forged);
	assert_int_equal(lm_cert_check(forged, n, &au, NULL, T0, &out), LM_UNKNOWN_AUTHORITY);
	assert_int_equal(lm_cert_check(forged, n, &both, NULL, T0, &out), LM_TRUSTED);
	assert_int_equal(lm_cert_check(buf, len, &none, NULL, T0, &out), LM_UNKNOWN_AUTHORITY);
	/* Names the right authority, but is signed by another key, or for another purpose. */
	assert_int_equal(lm_cert_decode(buf, len, &out, &body), 0);
	memcpy(forged, buf, len);
	assert_int_equal(lm_sign(other_authority, LM_SIGN_CERT, forged, body, forged + body), 0);
	assert_int_equal(lm_cert_check(forged, len, &au, NULL, T0, &out), LM_BAD_SIGNATURE);
	assert_int_equal(lm_sign(authority, LM_SIGN_ANNOUNCEMENT, forged, body, forged + body), 0);
	assert_int_equal(lm_cert_check(forged, len, &au, NULL, T0, &out), LM_BAD_SIGNATURE);
	assert_int_equal(lm_sign(authority, LM_SIGN_CERT, forged, body, forged + body), 0);
	assert_int_equal(lm_cert_check(forged, len, &au, NULL, T0, &out), LM_TRUSTED);
}

static void test_other_mesh(void **state)
{
	struct lm_authorities elsewhere = au;
	struct lm_cert out;

	(void)state;
	strcpy(elsewhere.mesh, "test-mesh2");
	assert_int_equal(lm_cert_check(buf, len, &elsewhere, NULL, T0, &out), LM_BAD_MESH);
}

/* FAULTS row 16: an hour of grace both ways, and no clock that does harm. */
static void test_times(void **state)
{
	(void)state;
	assert_int_equal(check_at(T0 - HOUR - 1), LM_NOT_YET_VALID);
	assert_int_equal(check_at(T0 - HOUR), LM_TRUSTED);
	assert_int_equal(check_at(T0), LM_TRUSTED);
	assert_int_equal(check_at(T0 + YEAR - 1), LM_TRUSTED);
	assert_int_equal(check_at(T0 + YEAR + HOUR - 1), LM_TRUSTED);
	assert_int_equal(check_at(T0 + YEAR + HOUR), LM_EXPIRED);
	assert_int_equal(check_at(0), LM_NOT_YET_VALID);
	assert_int_equal(check_at(-1), LM_NOT_YET_VALID);
	assert_int_equal(check_at(INT64_MIN), LM_NOT_YET_VALID);
	assert_int_equal(check_at(INT64_C(4102444800)), LM_EXPIRED); /* 2100 */
	assert_int_equal(check_at(INT64_MAX), LM_EXPIRED);
	/* 2100, then right again: nothing was remembered. */
	assert_int_equal(check_at(T0 + 1), LM_TRUSTED);
}

static void test_extreme_times(void **state)
{
	struct lm_cert c = cert_of(node), out;
	uint8_t forever[LM_CERT_MAX];
	size_t n;

	(void)state;
	c.not_before = 0;
	c.not_after = INT64_MAX;
	n = signed_cert(authority, &c, forever);
	assert_int_equal(lm_cert_check(forever, n, &au, NULL, 0, &out), LM_TRUSTED);
	assert_int_equal(lm_cert_check(forever, n, &au, NULL, INT64_MAX, &out), LM_TRUSTED);
	assert_int_equal(lm_cert_check(forever, n, &au, NULL, INT64_MIN, &out), LM_NOT_YET_VALID);
	c.not_before = INT64_MAX - 1;
	n = signed_cert(authority, &c, forever);
	assert_int_equal(lm_cert_check(forever, n, &au, NULL, T0, &out), LM_NOT_YET_VALID);
	c.not_before = 0;
	c.not_after = 1;
	n = signed_cert(authority, &c, forever);
	assert_int_equal(lm_cert_check(forever, n, &au, NULL, 0, &out), LM_TRUSTED);
	assert_int_equal(lm_cert_check(forever, n, &au, NULL, INT64_MAX, &out), LM_EXPIRED);
}

/* A clock before the newest list of our authority is judged as standing at that list. */
static void test_clock_floor(void **state)
{
	struct lm_authorities both = authorities(authority, other_authority);
	struct lm_revocations rs = {0};
	uint8_t list[512];
	struct lm_cert old = cert_of(node), out;
	uint8_t old_buf[LM_CERT_MAX];
	size_t n, list_len = signed_list(other_authority, 1, NULL, 0, NULL, 0, list, sizeof(list));
	bool changed;

	(void)state;
	old.not_before = T0 - YEAR;
	old.not_after = T0 - 2 * HOUR;
	n = signed_cert(authority, &old, old_buf);
	assert_int_equal(lm_revocations_add(&rs, &both, list, list_len, &changed), LM_TRUSTED);
	assert_int_equal(lm_cert_check(buf, len, &both, &rs, 0, &out), LM_TRUSTED);
	assert_int_equal(lm_cert_check(buf, len, &both, &rs, INT64_MIN, &out), LM_TRUSTED);
	assert_int_equal(lm_cert_check(old_buf, n, &both, NULL, T0 - 3 * HOUR, &out), LM_TRUSTED);
	assert_int_equal(lm_cert_check(old_buf, n, &both, &rs, T0 - 3 * HOUR, &out), LM_EXPIRED);
	/* The list of an authority that is no longer ours says nothing. */
	assert_int_equal(lm_cert_check(buf, len, &au, &rs, 0, &out), LM_NOT_YET_VALID);
	lm_revocations_free(&rs);
}

static void test_recheck(void **state)
{
	struct lm_authorities other = authorities(other_authority, NULL);
	struct lm_cert c;

	(void)state;
	assert_int_equal(lm_cert_check(buf, len, &au, NULL, T0, &c), LM_TRUSTED);
	assert_int_equal(lm_cert_recheck(&c, &au, NULL, T0), LM_TRUSTED);
	assert_int_equal(lm_cert_recheck(&c, &au, NULL, T0 + YEAR + HOUR), LM_EXPIRED);
	assert_int_equal(lm_cert_recheck(&c, &other, NULL, T0), LM_UNKNOWN_AUTHORITY);
}

static void test_carries(void **state)
{
	static const char *const inside[] = {"10.1.0.1", "10.1.255.255", "10.255.0.1", "fd00:1::99",
					     "fd00:ff::1"};
	static const char *const outside[] = {"10.2.0.1",  "10.0.255.255", "10.255.0.2",
					      "fd00:2::1", "fd00:ff::2",   "192.0.2.1"};
	struct lm_cert c = cert_of(node);
	struct lm_ip x, mapped = {.family = 6, .b = {[10] = 0xff, 0xff, 10, 1, 0, 1}};

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(inside); i++) {
		x = ip(inside[i]);
		assert_true(lm_cert_carries(&c, &x));
	}
	for (size_t i = 0; i < LM_ARRAY_SIZE(outside); i++) {
		x = ip(outside[i]);
		assert_false(lm_cert_carries(&c, &x));
	}
	assert_false(lm_cert_carries(&c, &mapped));
	/* Default routes carry all that is somebody's address, and no tricks. */
	c.prefixes[0] = prefix("0.0.0.0/0");
	c.prefixes[1] = prefix("::/0");
	x = ip("192.0.2.1");
	assert_true(lm_cert_carries(&c, &x));
	x = ip("2001:db8::1");
	assert_true(lm_cert_carries(&c, &x));
	assert_false(lm_cert_carries(&c, &mapped));
	x = ip("224.0.0.1");
	assert_false(lm_cert_carries(&c, &x));
	x = ip("127.0.0.1");
	assert_false(lm_cert_carries(&c, &x));
	x = ip("fe80::1");
	assert_false(lm_cert_carries(&c, &x));
	x = ip("::");
	assert_false(lm_cert_carries(&c, &x));
	assert_false(lm_cert_carries(&c, &(struct lm_ip){0}));
}

static void test_signing_errors(void **state)
{
	struct lm_cert c = cert_of(node);
	struct lm_error err;
	uint8_t small[LM_CERT_MAX];

	(void)state;
	for (size_t cap = 0; cap < len; cap++)
		assert_int_equal(lm_cert_sign(authority, &c, small, cap, &err), -EMSGSIZE);
	assert_int_equal(lm_cert_sign(authority, &c, small, len, NULL), (int)len);
	strcpy(c.name, "Not Valid");
	assert_int_equal(lm_cert_sign(authority, &c, small, sizeof(small), &err), -EINVAL);
	assert_non_null(strstr(err.text, "certificate"));
}

static void test_verdict_texts(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LM_VERDICT_COUNT; i++) {
		const char *name = lm_verdict_name(i);

		assert_non_null(lm_verdict_text(i));
		assert_non_null(name);
		assert_int_equal(strspn(name, "abcdefghijklmnopqrstuvwxyz_"), strlen(name));
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(name, lm_verdict_name(j));
	}
	assert_string_equal(lm_verdict_name(LM_VERDICT_COUNT), "unknown");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),	  cmocka_unit_test(test_every_mutation_refused),
	    cmocka_unit_test(test_who_signed),	  cmocka_unit_test(test_other_mesh),
	    cmocka_unit_test(test_times),	  cmocka_unit_test(test_extreme_times),
	    cmocka_unit_test(test_clock_floor),	  cmocka_unit_test(test_recheck),
	    cmocka_unit_test(test_carries),	  cmocka_unit_test(test_signing_errors),
	    cmocka_unit_test(test_verdict_texts),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
