/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "records.h"

static struct lm_identity *node, *other;
static struct lm_cert cert;

static int setup(void **state)
{
	(void)state;
	if (lm_crypto_init() != 0)
		return -1;
	node = identity(3);
	other = identity(4);
	cert = cert_of(node);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lm_identity_free(node);
	lm_identity_free(other);
	return 0;
}

static struct lm_announcement announcement(void)
{
	struct lm_announcement a = {
	    .sequence = 9,
	    .mesh = "test-mesh",
	    .lanes = 4,
	    .n_endpoints = 2,
	    .n_prefixes = 2,
	    .endpoints = {{LM_EP_HOST, {ip("192.0.2.7"), 4500}},
			  {LM_EP_PUBLIC, {ip("2001:db8::7"), 4500}}},
	    .prefixes = {prefix("10.1.2.0/24"), prefix("fd00:1::/48")},
	};

	return a;
}

static size_t signed_by(const struct lm_identity *id, const struct lm_announcement *a,
			uint8_t buf[LM_ANNOUNCE_MAX])
{
	struct lm_error err;
	int n = lm_announcement_sign(id, a, buf, LM_ANNOUNCE_MAX, &err);

	if (n <= 0)
		fail_msg("%s", err.text);
	return (size_t)n;
}

static enum lm_verdict verdict(const struct lm_announcement *a)
{
	struct lm_announcement out;
	uint8_t buf[LM_ANNOUNCE_MAX];
	size_t n = signed_by(node, a, buf);

	return lm_announcement_check(buf, n, &cert, &out);
}

static void test_good(void **state)
{
	struct lm_announcement a = announcement(), out;
	uint8_t buf[LM_ANNOUNCE_MAX];
	size_t n = signed_by(node, &a, buf);

	(void)state;
	assert_int_equal(lm_announcement_check(buf, n, &cert, &out), LM_TRUSTED);
	assert_memory_equal(out.node, node->ed_public, 32);
	assert_int_equal(out.sequence, 9);
	assert_int_equal(out.lanes, 4);
	assert_true(lm_endpoint_equal(&out.endpoints[1].ep, &a.endpoints[1].ep));
}

static void test_every_mutation_refused(void **state)
{
	struct lm_announcement a = announcement(), out;
	uint8_t buf[LM_ANNOUNCE_MAX] = {0};
	size_t n = signed_by(node, &a, buf);

	(void)state;
	for (size_t bit = 0; bit < n * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_not_equal(lm_announcement_check(buf, n, &cert, &out), LM_TRUSTED);
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	for (size_t len = 0; len <= LM_ANNOUNCE_MAX; len++)
		if (len != n)
			assert_int_not_equal(lm_announcement_check(buf, len, &cert, &out),
					     LM_TRUSTED);
	assert_int_equal(lm_announcement_check(buf, n, &cert, &out), LM_TRUSTED);
}

static void test_other_node(void **state)
{
	struct lm_announcement a = announcement(), out;
	uint8_t buf[LM_ANNOUNCE_MAX];
	size_t n = signed_by(other, &a, buf), body;

	(void)state;
	assert_int_equal(lm_announcement_check(buf, n, &cert, &out), LM_WRONG_NODE);
	/* Names the node, but another signed. */
	n = signed_by(node, &a, buf);
	assert_int_equal(lm_announcement_decode(buf, n, &out, &body), 0);
	assert_int_equal(lm_sign(other, LM_SIGN_ANNOUNCEMENT, buf, body, buf + body), 0);
	assert_int_equal(lm_announcement_check(buf, n, &cert, &out), LM_BAD_SIGNATURE);
}

static void test_other_mesh(void **state)
{
	struct lm_announcement a = announcement();

	(void)state;
	strcpy(a.mesh, "test-mesh2");
	assert_int_equal(verdict(&a), LM_BAD_MESH);
}

static void test_prefixes(void **state)
{
	static const char *const outside[] = {"10.0.0.0/15", "10.2.0.0/24", "0.0.0.0/0",
					      "::/0",	     "fd00::/47",   "10.255.0.1/32"};
	static const char *const inside[] = {"10.1.0.0/16", "10.1.255.255/32", "fd00:1:0:ff::/64"};
	struct lm_announcement a = announcement();

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(outside); i++) {
		a.prefixes[1] = prefix(outside[i]);
		assert_int_equal(verdict(&a), LM_OUTSIDE_CERT);
	}
	for (size_t i = 0; i < LM_ARRAY_SIZE(inside); i++) {
		a.prefixes[1] = prefix(inside[i]);
		assert_int_equal(verdict(&a), LM_TRUSTED);
	}
	a.n_prefixes = 0;
	assert_int_equal(verdict(&a), LM_TRUSTED);
}

/* FAULTS row 32: an endpoint inside the node's own overlay would be a routing loop. */
static void test_overlay_endpoint(void **state)
{
	static const char *const inside[] = {"10.1.0.1", "10.255.0.1", "fd00:1::7", "fd00:ff::1"};
	struct lm_announcement a = announcement();

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(inside); i++) {
		a.endpoints[1].ep.ip = ip(inside[i]);
		assert_int_equal(verdict(&a), LM_BAD_OVERLAY_ENDPOINT);
	}
	/* A site that carries the default route still has endpoints somewhere. */
	cert.prefixes[0] = prefix("0.0.0.0/0");
	a = announcement();
	assert_int_equal(verdict(&a), LM_TRUSTED);
	a.endpoints[0].ep.ip = ip("10.255.0.1");
	assert_int_equal(verdict(&a), LM_BAD_OVERLAY_ENDPOINT);
	cert = cert_of(node);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good),       cmocka_unit_test(test_every_mutation_refused),
	    cmocka_unit_test(test_other_node), cmocka_unit_test(test_other_mesh),
	    cmocka_unit_test(test_prefixes),   cmocka_unit_test(test_overlay_endpoint),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
