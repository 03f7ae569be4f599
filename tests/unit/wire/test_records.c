/* SPDX-License-Identifier: BSD-3-Clause */
/* Certificates, announcements, revocation lists. */
#include <lanemesh/wire.h>

#include <errno.h>
#include <setjmp.h>
#include <stdlib.h>

#include <cmocka.h>

static struct lm_ip ip(const char *text)
{
	struct lm_ip out;

	assert_int_equal(lm_ip_parse(text, &out), 0);
	return out;
}

static struct lm_prefix prefix(const char *text)
{
	struct lm_prefix out;

	assert_int_equal(lm_prefix_parse(text, &out), 0);
	return out;
}

static struct lm_cert sample_cert(void)
{
	struct lm_cert c = {.serial = 7,
			    .not_before = 1000,
			    .not_after = 2000,
			    .roles = 0x80000001,
			    .mesh = "acme",
			    .name = "gw1.site-1",
			    .n_overlays = 2,
			    .n_prefixes = 2,
			    .n_segments = 2,
			    .n_tags = 2,
			    .segments = {5, 6},
			    .tags = {"blue", "edge_2"}};

	memset(c.node, 1, 32);
	memset(c.issuer, 2, 32);
	c.overlays[0] = ip("100.64.0.1");
	c.overlays[1] = ip("fd00::1");
	c.prefixes[0] = prefix("10.1.0.0/16");
	c.prefixes[1] = prefix("fd00:1::/64");
	return c;
}

static struct lm_announcement sample_announcement(void)
{
	struct lm_announcement a = {
	    .sequence = 9, .mesh = "acme", .lanes = 2, .n_endpoints = 2, .n_prefixes = 1};

	memset(a.node, 1, 32);
	a.endpoints[0].kind = LM_EP_HOST;
	a.endpoints[0].ep = (struct lm_endpoint){.ip = ip("192.0.2.1"), .port = 4500};
	a.endpoints[1].kind = 200;
	a.endpoints[1].ep = (struct lm_endpoint){.ip = ip("2001:db8::1"), .port = 1};
	a.prefixes[0] = prefix("10.1.0.0/16");
	return a;
}

static void names(void **state)
{
	static const char *const good[] = {"a", "0", "gw1", "a.b_c-d", "aaaaaaaa"};
	static const char *const bad[] = {"",	 ".",	"..",	    "-a",	 "_a", "A",
					  "a b", "a/b", "\xc3\xa9", "aaaaaaaaa", "a\n"};

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(good); i++)
		assert_true(lm_name_valid(good[i], 8));
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++)
		assert_false(lm_name_valid(bad[i], 8));
}

/*
 * Whatever one changed, dropped or added byte makes of a record: refused, or
 * accepted and then the encoder makes exactly these bytes again.
 */
#define CANONICAL(kind, encode, decode)                                                            \
	static void kind##_canonical(const uint8_t *good, size_t len)                              \
	{                                                                                          \
		uint8_t *buf = malloc(len + 1), *again = malloc(len + 1);                          \
		struct lm_##kind out;                                                              \
		size_t body;                                                                       \
                                                                                                   \
		assert_true(buf != NULL && again != NULL);                                         \
		memcpy(buf, good, len);                                                            \
		buf[len] = 0;                                                                      \
		for (size_t n = 0; n <= len + 1; n++)                                              \
			if (n != len)                                                              \
				assert_int_equal(decode(buf, n, &out, &body), -EBADMSG);           \
		for (size_t i = 0; i < 8 * (len - LM_SIG_LEN); i++) {                              \
			buf[i / 8] ^= (uint8_t)(1 << i % 8);                                       \
			if (decode(buf, len, &out, &body) == 0) {                                  \
				assert_int_equal(body, len - LM_SIG_LEN);                          \
				assert_int_equal(encode(&out, again, len), body);                  \
				assert_memory_equal(again, buf, body);                             \
			}                                                                          \
			buf[i / 8] ^= (uint8_t)(1 << i % 8);                                       \
		}                                                                                  \
		free(buf);                                                                         \
		free(again);                                                                       \
	}
CANONICAL(cert, lm_cert_encode, lm_cert_decode)
CANONICAL(announcement, lm_announcement_encode, lm_announcement_decode)
CANONICAL(revocation, lm_revocation_encode, lm_revocation_decode)

static void cert_round_trip(void **state)
{
	struct lm_cert c = sample_cert(), d;
	uint8_t buf[LM_CERT_MAX] = {0};
	size_t body;
	int n = lm_cert_encode(&c, buf, sizeof(buf));

	(void)state;
	assert_true(n > 0);
	memset(buf + n, 0xee, LM_SIG_LEN);
	assert_int_equal(lm_cert_decode(buf, (size_t)n + LM_SIG_LEN, &d, &body), 0);
	assert_int_equal(body, n);
	assert_memory_equal(&c, &d, sizeof(c));
	cert_canonical(buf, (size_t)n + LM_SIG_LEN);
	assert_int_equal(lm_cert_encode(&c, buf, (size_t)n - 1), -EMSGSIZE);
}

static void cert_refused(void **state)
{
	struct lm_cert bad[20];
	uint8_t buf[LM_CERT_MAX];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++)
		bad[i] = sample_cert();
	bad[n++].serial = 1ull << 63;
	bad[n++].not_before = -1;
	bad[n++].not_after = 1000;
	bad[n++].mesh[0] = '\0';
	bad[n++].mesh[0] = 'A';
	memset(bad[n++].mesh, 'a', sizeof(bad[0].mesh)); /* no NUL */
	bad[n++].name[0] = '.';
	bad[n++].overlays[1] = ip("100.64.0.1");
	bad[n++].overlays[0] = ip("127.0.0.1");
	bad[n++].overlays[0] = (struct lm_ip){0};
	bad[n++].overlays[0] =
	    lm_ip6((uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 9, 9, 9, 9});
	bad[n++].n_overlays = 3;
	bad[n++].prefixes[1] = prefix("10.1.0.0/16");
	bad[n++].prefixes[0].ip.b[3] = 1; /* host bits */
	bad[n++].prefixes[0].len = 33;
	bad[n++].n_prefixes = LM_PREFIXES_MAX + 1;
	bad[n++].segments[1] = 5;
	strcpy(bad[n++].tags[1], "blue");
	bad[n++].tags[1][0] = '-';
	bad[n++].n_tags = LM_TAGS_MAX + 1;
	assert_int_equal(n, LM_ARRAY_SIZE(bad));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(lm_cert_encode(&bad[i], buf, sizeof(buf)), -EINVAL);
}

/* A name with a zero byte would come back shorter than it was signed. */
static void cert_name_with_nul(void **state)
{
	struct lm_cert c = sample_cert(), d;
	uint8_t buf[LM_CERT_MAX] = {0}, *name;
	size_t body;
	int n = lm_cert_encode(&c, buf, sizeof(buf));

	(void)state;
	name = memmem(buf, (size_t)n, "gw1.site-1", 10);
	assert_non_null(name);
	name[9] = '\0';
	assert_int_equal(lm_cert_decode(buf, (size_t)n + LM_SIG_LEN, &d, &body), -EBADMSG);
	name[9] = '1';
	assert_int_equal(lm_cert_decode(buf, (size_t)n + LM_SIG_LEN, &d, &body), 0);
	buf[0] = 2; /* a version of the future */
	assert_int_equal(lm_cert_decode(buf, (size_t)n + LM_SIG_LEN, &d, &body), -EBADMSG);
}

/* Every list full: exactly the maximum with one IPv4 overlay, too much with two of IPv6. */
static void cert_largest(void **state)
{
	struct lm_cert c = sample_cert();
	uint8_t buf[2 * LM_CERT_MAX];

	(void)state;
	memset(c.mesh, 'm', LM_MESH_ID_MAX);
	memset(c.name, 'n', LM_NAME_MAX);
	c.n_prefixes = LM_PREFIXES_MAX;
	for (unsigned i = 0; i < LM_PREFIXES_MAX; i++) {
		c.prefixes[i] = prefix("fd00::/64");
		c.prefixes[i].ip.b[7] = (uint8_t)i;
	}
	c.n_segments = LM_SEGMENTS_MAX;
	c.n_tags = LM_TAGS_MAX;
	for (unsigned i = 0; i < LM_TAGS_MAX; i++) {
		c.segments[i] = i;
		memset(c.tags[i], 'a' + (int)i, LM_TAG_STR_MAX);
	}
	assert_int_equal(lm_cert_encode(&c, buf, sizeof(buf)), LM_CERT_MAX - LM_SIG_LEN);
	c.overlays[0] = ip("fd00::2");
	assert_int_equal(lm_cert_encode(&c, buf, sizeof(buf)), -EMSGSIZE);
}

static void announcement_round_trip(void **state)
{
	struct lm_announcement a = sample_announcement(), d;
	uint8_t buf[LM_ANNOUNCE_MAX] = {0};
	size_t body;
	int n = lm_announcement_encode(&a, buf, sizeof(buf));

	(void)state;
	assert_true(n > 0);
	assert_int_equal(lm_announcement_decode(buf, (size_t)n + LM_SIG_LEN, &d, &body), 0);
	assert_int_equal(body, n);
	assert_int_equal(lm_announcement_encode(&d, buf, sizeof(buf)), n);
	assert_int_equal(d.sequence, 9);
	assert_int_equal(d.endpoints[1].kind, 200);
	assert_true(lm_endpoint_equal(&d.endpoints[1].ep, &a.endpoints[1].ep));
	assert_true(lm_prefix_equal(&d.prefixes[0], &a.prefixes[0]));
	announcement_canonical(buf, (size_t)n + LM_SIG_LEN);
	a.n_endpoints = a.n_prefixes = 0;
	assert_true(lm_announcement_encode(&a, buf, sizeof(buf)) > 0);
}

static void announcement_refused(void **state)
{
	struct lm_announcement bad[12];
	uint8_t buf[LM_ANNOUNCE_MAX];
	unsigned n = 0;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++)
		bad[i] = sample_announcement();
	bad[n++].sequence = UINT64_MAX;
	bad[n++].lanes = 0;
	bad[n++].lanes = 65;
	bad[n++].mesh[0] = '/';
	bad[n++].endpoints[0].ep.port = 0;
	bad[n++].endpoints[0].ep.ip = ip("224.0.0.1");
	bad[n++].endpoints[0].ep.ip = ip("255.255.255.255");
	bad[n++].endpoints[0].ep.ip = ip("::1");
	bad[n++].endpoints[0] = bad[0].endpoints[1];
	bad[n++].n_endpoints = LM_ENDPOINTS_MAX + 1;
	bad[n++].prefixes[0].len = 8;
	bad[n++].n_prefixes = LM_PREFIXES_MAX + 1;
	assert_int_equal(n, LM_ARRAY_SIZE(bad));
	for (unsigned i = 0; i < n; i++)
		assert_int_equal(lm_announcement_encode(&bad[i], buf, sizeof(buf)), -EINVAL);
}

static void revocation_round_trip(void **state)
{
	uint8_t nodes[3 * 32] = {0}, serials[2 * 8] = {0}, *buf = calloc(1, LM_REVOCATION_MAX);
	struct lm_revocation v = {.mesh = "acme",
				  .number = 3,
				  .issued = 10,
				  .next_update = 20,
				  .n_nodes = 3,
				  .n_serials = 2,
				  .nodes = nodes,
				  .serials = serials},
			     d;
	size_t body;
	int n;

	(void)state;
	assert_non_null(buf);
	nodes[32 + 31] = 1;
	nodes[64] = 1;
	serials[15] = 9;
	n = lm_revocation_encode(&v, buf, LM_REVOCATION_MAX);
	assert_true(n > 0);
	assert_int_equal(lm_revocation_decode(buf, (size_t)n + LM_SIG_LEN, &d, &body), 0);
	assert_int_equal(body, n);
	assert_int_equal(d.number, 3);
	assert_int_equal(d.issued, 10);
	assert_int_equal(d.next_update, 20);
	assert_int_equal(d.n_nodes, 3);
	assert_memory_equal(d.nodes, nodes, sizeof(nodes));
	assert_memory_equal(d.serials, serials, sizeof(serials));
	revocation_canonical(buf, (size_t)n + LM_SIG_LEN);

	nodes[64] = 0; /* not ascending */
	nodes[64 + 31] = 1;
	assert_int_equal(lm_revocation_encode(&v, buf, LM_REVOCATION_MAX), -EINVAL);
	nodes[64] = 1;
	serials[15] = 0; /* the same twice */
	assert_int_equal(lm_revocation_encode(&v, buf, LM_REVOCATION_MAX), -EINVAL);
	serials[8] = 0x80; /* a serial that no certificate can have */
	assert_int_equal(lm_revocation_encode(&v, buf, LM_REVOCATION_MAX), -EINVAL);
	v.n_serials = 0;
	v.serials = NULL;
	assert_true(lm_revocation_encode(&v, buf, LM_REVOCATION_MAX) > 0);
	v.next_update = 10;
	assert_int_equal(lm_revocation_encode(&v, buf, LM_REVOCATION_MAX), -EINVAL);
	free(buf);
}

static void revocation_largest(void **state)
{
	uint8_t *nodes = calloc(LM_REVOKED_NODES_MAX + 1, 32), *buf = calloc(1, LM_REVOCATION_MAX);
	uint8_t *serials = calloc(LM_REVOKED_SERIALS_MAX, 8);
	struct lm_revocation v = {.number = 3,
				  .issued = 10,
				  .next_update = 20,
				  .n_nodes = LM_REVOKED_NODES_MAX,
				  .n_serials = LM_REVOKED_SERIALS_MAX,
				  .nodes = nodes,
				  .serials = serials},
			     d;
	size_t body;
	int n;

	(void)state;
	assert_true(nodes != NULL && serials != NULL && buf != NULL);
	memset(v.mesh, 'm', LM_MESH_ID_MAX);
	for (unsigned i = 0; i <= LM_REVOKED_NODES_MAX; i++) {
		nodes[32 * i] = (uint8_t)(i >> 8);
		nodes[32 * i + 1] = (uint8_t)i;
	}
	for (unsigned i = 0; i < LM_REVOKED_SERIALS_MAX; i++) {
		serials[8 * i + 6] = (uint8_t)(i >> 8);
		serials[8 * i + 7] = (uint8_t)i;
	}
	n = lm_revocation_encode(&v, buf, LM_REVOCATION_MAX);
	assert_true(n > 0);
	assert_int_equal(lm_revocation_decode(buf, (size_t)n + LM_SIG_LEN, &d, &body), 0);
	/* a count that promises more than there is room for */
	memset(buf + 1 + 32 + 1 + LM_MESH_ID_MAX + 24, 0xff, 4);
	assert_int_equal(lm_revocation_decode(buf, (size_t)n + LM_SIG_LEN, &d, &body), -EBADMSG);
	v.n_nodes++;
	assert_int_equal(lm_revocation_encode(&v, buf, LM_REVOCATION_MAX), -EINVAL);
	free(nodes);
	free(serials);
	free(buf);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names),
	    cmocka_unit_test(cert_round_trip),
	    cmocka_unit_test(cert_refused),
	    cmocka_unit_test(cert_name_with_nul),
	    cmocka_unit_test(cert_largest),
	    cmocka_unit_test(announcement_round_trip),
	    cmocka_unit_test(announcement_refused),
	    cmocka_unit_test(revocation_round_trip),
	    cmocka_unit_test(revocation_largest),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
