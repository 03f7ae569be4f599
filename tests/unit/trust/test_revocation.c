/* SPDX-License-Identifier: BSD-3-Clause */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "records.h"

static struct lm_identity *authority, *second, *node, *other;
static struct lm_authorities au, both;

static int setup(void **state)
{
	(void)state;
	if (lm_crypto_init() != 0)
		return -1;
	authority = identity(1);
	second = identity(2);
	node = identity(3);
	other = identity(4);
	au = authorities(authority, NULL);
	both = authorities(authority, second);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	lm_identity_free(authority);
	lm_identity_free(second);
	lm_identity_free(node);
	lm_identity_free(other);
	return 0;
}

/* Adds a list and says what became of it; the buffer is gone afterwards, as a datagram's is. */
static enum lm_verdict add(struct lm_revocations *rs, const struct lm_authorities *who,
			   const struct lm_identity *signer, uint64_t number, const uint8_t *nodes,
			   uint32_t n_nodes, const uint8_t *serials, uint32_t n_serials,
			   bool *changed)
{
	uint8_t *buf = malloc(LM_REVOCATION_MAX);
	enum lm_verdict v;
	size_t n;

	assert_non_null(buf);
	n = signed_list(signer, number, nodes, n_nodes, serials, n_serials, buf, LM_REVOCATION_MAX);
	v = lm_revocations_add(rs, who, buf, n, changed);
	memset(buf, 0xee, LM_REVOCATION_MAX);
	free(buf);
	return v;
}

static enum lm_verdict cert_verdict(const struct lm_revocations *rs, const struct lm_identity *by,
				    const struct lm_identity *of, uint64_t serial)
{
	struct lm_cert c = cert_of(of), out;
	uint8_t buf[LM_CERT_MAX];
	size_t n;

	c.serial = serial;
	n = signed_cert(by, &c, buf);
	return lm_cert_check(buf, n, &both, rs, T0, &out);
}

static const uint8_t serials[2][8] = {{[7] = 5}, {[6] = 1, [7] = 0}};

static void test_node_and_serial(void **state)
{
	struct lm_revocations rs = {0};
	bool changed;

	(void)state;
	assert_int_equal(add(&rs, &both, authority, 1, node->ed_public, 1, serials[0], 2, &changed),
			 LM_TRUSTED);
	assert_true(changed);
	/* The node, whatever its serial and whoever signed; the serials only of this issuer. */
	assert_int_equal(cert_verdict(&rs, authority, node, 1), LM_REVOKED);
	assert_int_equal(cert_verdict(&rs, second, node, 1), LM_REVOKED);
	assert_int_equal(cert_verdict(&rs, authority, other, 5), LM_REVOKED);
	assert_int_equal(cert_verdict(&rs, authority, other, 256), LM_REVOKED);
	assert_int_equal(cert_verdict(&rs, second, other, 5), LM_TRUSTED);
	assert_int_equal(cert_verdict(&rs, authority, other, 6), LM_TRUSTED);
	/* A list that we do not believe in does not count. */
	assert_false(lm_revocations_has(&rs, &(struct lm_authorities){0}, authority->ed_public,
					node->ed_public, 5));
	lm_revocations_free(&rs);
	assert_int_equal(cert_verdict(&rs, authority, node, 5), LM_TRUSTED);
}

/* FAULTS rows 11 and 13: older never replaces newer, in any order of arrival. */
static void test_numbers(void **state)
{
	struct lm_revocations rs = {0};
	bool changed;

	(void)state;
	assert_int_equal(add(&rs, &au, authority, 5, node->ed_public, 1, NULL, 0, &changed),
			 LM_TRUSTED);
	assert_int_equal(add(&rs, &au, authority, 4, NULL, 0, NULL, 0, &changed), LM_OLDER);
	assert_false(changed);
	assert_int_equal(add(&rs, &au, authority, 0, NULL, 0, NULL, 0, &changed), LM_OLDER);
	/* The same again is no news; the same number with other content is refused. */
	assert_int_equal(add(&rs, &au, authority, 5, node->ed_public, 1, NULL, 0, &changed),
			 LM_TRUSTED);
	assert_false(changed);
	assert_int_equal(add(&rs, &au, authority, 5, NULL, 0, NULL, 0, &changed), LM_OLDER);
	assert_int_equal(cert_verdict(&rs, authority, node, 1), LM_REVOKED);
	/* A newer one may take a node off again. */
	assert_int_equal(add(&rs, &au, authority, 6, NULL, 0, NULL, 0, &changed), LM_TRUSTED);
	assert_true(changed);
	assert_int_equal(rs.n, 1);
	assert_int_equal(cert_verdict(&rs, authority, node, 1), LM_TRUSTED);
	lm_revocations_free(&rs);
}

static void test_who_signed(void **state)
{
	struct lm_authorities elsewhere = au;
	struct lm_revocations rs = {0};
	struct lm_revocation list;
	uint8_t buf[512];
	size_t n = signed_list(authority, 9, NULL, 0, NULL, 0, buf, sizeof(buf)), body;
	bool changed;

	(void)state;
	assert_int_equal(add(&rs, &au, second, 1, NULL, 0, NULL, 0, &changed),
			 LM_UNKNOWN_AUTHORITY);
	strcpy(elsewhere.mesh, "other");
	assert_int_equal(lm_revocations_add(&rs, &elsewhere, buf, n, &changed), LM_BAD_MESH);
	assert_int_equal(lm_revocation_decode(buf, n, &list, &body), 0);
	assert_int_equal(lm_sign(second, LM_SIGN_REVOCATION, buf, body, buf + body), 0);
	assert_int_equal(lm_revocations_add(&rs, &au, buf, n, &changed), LM_BAD_SIGNATURE);
	assert_int_equal(lm_sign(authority, LM_SIGN_CERT, buf, body, buf + body), 0);
	assert_int_equal(lm_revocations_add(&rs, &au, buf, n, &changed), LM_BAD_SIGNATURE);
	assert_false(changed);
	assert_int_equal(rs.n, 0);
}

static void test_every_mutation_refused(void **state)
{
	struct lm_revocations rs = {0};
	uint8_t buf[1024] = {0};
	size_t n = signed_list(authority, 3, node->ed_public, 1, serials[0], 2, buf, sizeof(buf));
	bool changed;

	(void)state;
	for (size_t bit = 0; bit < n * 8; bit++) {
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
		assert_int_not_equal(lm_revocations_add(&rs, &au, buf, n, &changed), LM_TRUSTED);
		assert_false(changed);
		buf[bit / 8] ^= (uint8_t)(1u << (bit % 8));
	}
	for (size_t len = 0; len < sizeof(buf); len++)
		if (len != n)
			assert_int_not_equal(lm_revocations_add(&rs, &au, buf, len, &changed),
					     LM_TRUSTED);
	assert_int_equal(rs.n, 0);
	assert_int_equal(lm_revocations_add(&rs, &au, buf, n, &changed), LM_TRUSTED);
	/* And once it is there, a mutation does not pass for a newer one either. */
	for (size_t byte = 0; byte < n; byte++) {
		buf[byte] ^= 0xff;
		assert_int_not_equal(lm_revocations_add(&rs, &au, buf, n, &changed), LM_TRUSTED);
		buf[byte] ^= 0xff;
	}
	assert_int_equal(rs.of[0].list.number, 3);
	lm_revocations_free(&rs);
}

/* Authorities come and go by config; lists of those that left give way, the table never grows. */
static void test_table_is_bounded(void **state)
{
	struct lm_revocations rs = {0};
	bool changed;

	(void)state;
	for (uint8_t i = 0; i < 3 * LM_AUTHORITIES_MAX; i++) {
		struct lm_identity *id = identity((uint8_t)(100 + i));
		struct lm_authorities only = authorities(id, NULL);

		assert_int_equal(add(&rs, &only, id, 1, NULL, 0, NULL, 0, &changed), LM_TRUSTED);
		assert_true(changed);
		assert_true(rs.n <= LM_AUTHORITIES_MAX);
		lm_identity_free(id);
	}
	lm_revocations_free(&rs);
}

static void test_largest_list(void **state)
{
	static uint8_t nodes[LM_REVOKED_NODES_MAX][32], many[LM_REVOKED_SERIALS_MAX][8];
	struct lm_revocations rs = {0};
	uint8_t absent[32] = {0};
	bool changed;

	(void)state;
	for (unsigned i = 0; i < LM_REVOKED_NODES_MAX; i++) {
		nodes[i][0] = (uint8_t)(i >> 8);
		nodes[i][1] = (uint8_t)i;
		nodes[i][31] = 1;
	}
	for (unsigned i = 0; i < LM_REVOKED_SERIALS_MAX; i++) {
		many[i][6] = (uint8_t)(i >> 8);
		many[i][7] = (uint8_t)i;
	}
	assert_int_equal(add(&rs, &au, authority, 1, nodes[0], LM_REVOKED_NODES_MAX, many[0],
			     LM_REVOKED_SERIALS_MAX, &changed),
			 LM_TRUSTED);
	for (unsigned i = 0; i < LM_REVOKED_NODES_MAX; i++)
		assert_true(lm_revocations_has(&rs, &au, authority->ed_public, nodes[i], 1 << 20));
	for (unsigned i = 0; i < LM_REVOKED_SERIALS_MAX; i++)
		assert_true(lm_revocations_has(&rs, &au, authority->ed_public, absent, i));
	assert_false(lm_revocations_has(&rs, &au, authority->ed_public, absent, 1 << 20));
	memset(absent, 0xff, sizeof(absent));
	assert_false(
	    lm_revocations_has(&rs, &au, authority->ed_public, absent, LM_REVOKED_SERIALS_MAX));
	lm_revocations_free(&rs);
}

static void test_stale(void **state)
{
	const int64_t next_update = T0 + 30 * 24 * HOUR;
	struct lm_revocations rs = {0};
	bool changed;

	(void)state;
	assert_false(lm_revocations_stale(&rs, &au, INT64_MAX));
	assert_int_equal(add(&rs, &au, authority, 1, NULL, 0, NULL, 0, &changed), LM_TRUSTED);
	assert_false(lm_revocations_stale(&rs, &au, 0));
	assert_false(lm_revocations_stale(&rs, &au, next_update - 1));
	assert_true(lm_revocations_stale(&rs, &au, next_update));
	assert_false(lm_revocations_stale(&rs, &(struct lm_authorities){0}, next_update));
	lm_revocations_free(&rs);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_node_and_serial),
	    cmocka_unit_test(test_numbers),
	    cmocka_unit_test(test_who_signed),
	    cmocka_unit_test(test_stale),
	    cmocka_unit_test(test_every_mutation_refused),
	    cmocka_unit_test(test_table_is_bounded),
	    cmocka_unit_test(test_largest_list),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
