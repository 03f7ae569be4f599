/* SPDX-License-Identifier: BSD-3-Clause */
/* Keys and records that the tests of trust share; include after cmocka.h. */
#ifndef TESTS_TRUST_RECORDS_H
#define TESTS_TRUST_RECORDS_H

#include <lanemesh/trust.h>
#include <stdio.h>
#include <stdlib.h>

#define T0   INT64_C(1750000000) /* when records begin */
#define YEAR INT64_C(31536000)
#define HOUR 3600

static inline struct lm_identity *identity(uint8_t tag)
{
	uint8_t seed[32];
	struct lm_identity *id;

	memset(seed, tag, sizeof(seed));
	id = lm_identity_from_seed(seed);
	assert_non_null(id);
	return id;
}

static inline struct lm_ip ip(const char *text)
{
	struct lm_ip out;

	assert_int_equal(lm_ip_parse(text, &out), 0);
	return out;
}

static inline struct lm_prefix prefix(const char *text)
{
	struct lm_prefix out;

	assert_int_equal(lm_prefix_parse(text, &out), 0);
	return out;
}

static inline struct lm_authorities authorities(const struct lm_identity *a,
						const struct lm_identity *b)
{
	struct lm_authorities au = {.mesh = "test-mesh", .n = b != NULL ? 2 : 1};

	memcpy(au.keys[0], a->ed_public, 32);
	if (b != NULL)
		memcpy(au.keys[1], b->ed_public, 32);
	return au;
}

static inline struct lm_cert cert_of(const struct lm_identity *node)
{
	struct lm_cert c = {
	    .serial = 77,
	    .not_before = T0,
	    .not_after = T0 + YEAR,
	    .roles = LM_ROLE_RELAY,
	    .mesh = "test-mesh",
	    .name = "gw1",
	    .n_overlays = 2,
	    .n_prefixes = 2,
	    .n_segments = 1,
	    .n_tags = 1,
	    .overlays = {ip("10.255.0.1"), ip("fd00:ff::1")},
	    .prefixes = {prefix("10.1.0.0/16"), prefix("fd00:1::/48")},
	    .segments = {42},
	    .tags = {"prod"},
	};

	memcpy(c.node, node->ed_public, 32);
	return c;
}

static inline size_t signed_cert(const struct lm_identity *authority, const struct lm_cert *c,
				 uint8_t buf[LM_CERT_MAX])
{
	struct lm_error err;
	int n = lm_cert_sign(authority, c, buf, LM_CERT_MAX, &err);

	if (n <= 0)
		fail_msg("%s", err.text);
	return (size_t)n;
}

/* Sorted keys and serials, 8 bytes each, in the caller's memory. */
static inline size_t signed_list(const struct lm_identity *authority, uint64_t number,
				 const uint8_t *nodes, uint32_t n_nodes, const uint8_t *serials,
				 uint32_t n_serials, uint8_t *buf, size_t cap)
{
	struct lm_revocation r = {.mesh = "test-mesh",
				  .number = number,
				  .issued = T0,
				  .next_update = T0 + 30 * 24 * HOUR,
				  .n_nodes = n_nodes,
				  .n_serials = n_serials,
				  .nodes = nodes,
				  .serials = serials};
	struct lm_error err;
	int n = lm_revocation_sign(authority, &r, buf, cap, &err);

	if (n <= 0)
		fail_msg("%s", err.text);
	return (size_t)n;
}

#endif
