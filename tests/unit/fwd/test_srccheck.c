/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_test.h"

#include <errno.h>

#define ME	    UINT32_MAX
#define TEST_LEN(a) (sizeof(a) / sizeof((a)[0]))

/* Site 1 is ours (10.1/16), site 2 has 10.2/16, site 3 10.3/16, and peer 9 may carry everything. */
static struct lm_fwd *tables(void)
{
	static const struct {
		const char *prefix;
		enum lm_route_kind kind;
		uint32_t peer;
	} routes[] = {
	    {"10.1.0.0/24", LM_ROUTE_CONNECTED, 0}, {"10.1.0.1/32", LM_ROUTE_TO_ME, 0},
	    {"10.2.0.0/16", LM_ROUTE_PEER, 2},	    {"10.3.0.0/16", LM_ROUTE_PEER, 3},
	    {"10.1.7.0/24", LM_ROUTE_PEER, 3},	    {"0.0.0.0/0", LM_ROUTE_PEER, 9},
	    {"fd00:1::/64", LM_ROUTE_CONNECTED, 0}, {"fd00:2::/64", LM_ROUTE_PEER, 2},
	    {"fd00:3::/64", LM_ROUTE_PEER, 3},	    {"::/0", LM_ROUTE_PEER, 9},
	};
	struct lm_fwd_config cfg = {0};
	struct lm_fwd *f;

	assert_int_equal(lm_fwd_create(&cfg, &f, NULL), 0);
	for (unsigned i = 0; i < TEST_LEN(routes); i++) {
		struct lm_prefix p = prefix(routes[i].prefix);
		struct lm_route r = {.kind = routes[i].kind, .peer = routes[i].peer};

		assert_int_equal(lm_fwd_route_set(f, &p, &r), 0);
	}
	return f;
}

/* A check with room for any list. */
#define ROOM(name)                                                                                 \
	uint64_t name##_room[2 + 3 * LM_SRCCHECK_MAX];                                             \
	struct lm_srccheck *name = (struct lm_srccheck *)name##_room

/* How often the quick question was enough. */
static unsigned n_quick;

static bool passes(const struct lm_srccheck *c, const struct lm_fwd *f, const struct lm_ip *ip)
{
	uint32_t adj = lookup(f, ip);
	bool quick, full;

	if (ip->family == 6)
		return lm_srccheck6(c, f, ip->b, adj);
	quick = lm_srccheck4_quick(c, host4(ip), &lm_fwd_adjs(f)[adj]);
	full = lm_srccheck4(c, f, host4(ip), adj);
	assert_true(full || !quick);
	n_quick += quick;
	return full;
}

static void decide(void **state)
{
	static const struct {
		uint32_t peer;
		const char *list[3];
		const char *src;
		bool pass;
	} cases[] = {
	    /* the route's owner, and a prefix that is not announced but certified */
	    {2, {"10.2.0.0/16", "fd00:2::/48"}, "10.2.3.4", true},
	    {2, {"10.2.0.0/16", "fd00:2::/48"}, "fd00:2::5", true},
	    {2, {"10.2.0.0/16", "fd00:2::/48"}, "fd00:2:0:9::5", true},
	    /* another site's, ours, nobody's */
	    {2, {"10.2.0.0/16", "fd00:2::/48"}, "10.3.0.1", false},
	    {2, {"10.2.0.0/16", "fd00:2::/48"}, "10.1.0.5", false},
	    {2, {"10.2.0.0/16", "fd00:2::/48"}, "192.0.2.1", false},
	    {2, {"10.2.0.0/16", "fd00:2::/48"}, "fd00:3::1", false},
	    {2, {"10.2.0.0/16", "fd00:2::/48"}, "fd00:1::1", false},
	    /* one family only: nothing of the other */
	    {2, {"10.2.0.0/16"}, "fd00:2::5", false},
	    {2, {"fd00:2::/64"}, "10.2.3.4", false},
	    /* who may carry everything may not carry what is somebody else's */
	    {9, {"0.0.0.0/0", "::/0"}, "192.0.2.1", true},
	    {9, {"0.0.0.0/0", "::/0"}, "2001:db8::1", true},
	    {9, {"0.0.0.0/0", "::/0"}, "10.2.3.4", false},
	    {9, {"0.0.0.0/0", "::/0"}, "10.1.0.5", false},
	    {9, {"0.0.0.0/0", "::/0"}, "10.1.0.1", false},
	    {9, {"0.0.0.0/0", "::/0"}, "fd00:1::1", false},
	    {9, {"0.0.0.0/0", "::/0"}, "fd00:3::1", false},
	    {4, {"0.0.0.0/0", "10.2.0.0/16"}, "10.2.3.4", true}, /* shared by two sites */
	    {4, {"10.2.0.0/16", "10.0.0.0/8"}, "10.3.0.1", false},
	    /* never, whatever the certificate says */
	    {9, {"0.0.0.0/0", "::/0"}, "0.0.0.0", false},
	    {9, {"0.0.0.0/0", "::/0"}, "0.1.2.3", false},
	    {9, {"0.0.0.0/0", "::/0"}, "127.0.0.1", false},
	    {9, {"0.0.0.0/0", "::/0"}, "169.254.1.1", false},
	    {9, {"0.0.0.0/0", "::/0"}, "224.0.0.5", false},
	    {9, {"0.0.0.0/0", "::/0"}, "255.255.255.255", false},
	    {9, {"0.0.0.0/0", "::/0"}, "::", false},
	    {9, {"0.0.0.0/0", "::/0"}, "::1", false},
	    {9, {"0.0.0.0/0", "::/0"}, "fe80::1", false},
	    {9, {"0.0.0.0/0", "::/0"}, "febf::1", false},
	    {9, {"0.0.0.0/0", "::/0"}, "fec0::1", true},
	    {9, {"0.0.0.0/0", "::/0"}, "ff02::1", false},
	    /* our LANs: their prefixes, but not what a peer has inside them */
	    {ME, {"10.1.0.0/16", "fd00:1::/48"}, "10.1.0.5", true},
	    {ME, {"10.1.0.0/16", "fd00:1::/48"}, "10.1.9.5", true},
	    {ME, {"10.1.0.0/16", "fd00:1::/48"}, "fd00:1::5", true},
	    {ME, {"10.1.0.0/16", "fd00:1::/48"}, "10.1.7.5", false},
	    {ME, {"10.1.0.0/16", "fd00:1::/48"}, "10.2.0.5", false},
	    {ME, {"10.1.0.0/16", "fd00:1::/48"}, "192.0.2.1", false},
	    {ME, {"10.1.0.0/16", "fd00:1::/48"}, "fd00:2::5", false},
	};
	struct lm_fwd *f = tables();

	(void)state;
	for (unsigned i = 0; i < TEST_LEN(cases); i++) {
		struct lm_prefix list[3];
		ROOM(c);
		struct lm_ip ip;
		unsigned n = 0;

		while (n < 3 && cases[i].list[n] != NULL) {
			list[n] = prefix(cases[i].list[n]);
			n++;
		}
		assert_int_equal(lm_srccheck_init(c, cases[i].peer, list, n), 0);
		assert_int_equal(lm_ip_parse(cases[i].src, &ip), 0);
		if (passes(c, f, &ip) != cases[i].pass)
			fail_msg("case %u: peer %u, source %s", i, cases[i].peer, cases[i].src);
	}
	lm_fwd_free(f);
	assert_in_range(n_quick, 1, 1000);
}

/* ::ffff:10.2.0.1 as an IPv6 source: lm_ip_parse would canonicalise it, so by hand. */
static void v4_mapped(void **state)
{
	struct lm_prefix all[2] = {prefix("::/0"), prefix("10.2.0.0/16")};
	struct lm_ip ip = {.family = 6, .b = {[10] = 0xff, 0xff, 10, 2, 0, 1}};
	struct lm_fwd *f = tables();
	ROOM(c);

	(void)state;
	assert_int_equal(lm_srccheck_init(c, 9, all, 2), 0);
	assert_false(passes(c, f, &ip));
	ip.b[10] = ip.b[11] = 0; /* v4-compatible */
	assert_false(passes(c, f, &ip));
	ip.b[9] = 1;
	assert_true(passes(c, f, &ip));
	lm_fwd_free(f);
}

static void lists(void **state)
{
	struct lm_prefix many[LM_SRCCHECK_MAX + 1], bad = prefix("10.0.0.0/8");
	struct lm_fwd *f = tables();
	ROOM(c);
	struct lm_ip ip;

	(void)state;
	for (unsigned i = 0; i < TEST_LEN(many); i++) {
		struct lm_ip a = {.family = 4, .b = {172, 16, (uint8_t)i, 0}};

		many[i] = lm_prefix_of(&a, 24 + i % 8);
	}
	assert_int_equal(lm_srccheck_size(many, LM_SRCCHECK_MAX), 16 + 8 * LM_SRCCHECK_MAX);
	assert_true(lm_srccheck_size(many, LM_SRCCHECK_MAX) <= sizeof(c_room));
	assert_int_equal(lm_srccheck_init(c, 5, many, LM_SRCCHECK_MAX), 0);
	for (unsigned i = 0; i < TEST_LEN(many); i++)
		assert_int_equal(passes(c, f, &many[i].ip), i < LM_SRCCHECK_MAX);
	assert_int_equal(lm_srccheck_init(c, 5, many, LM_SRCCHECK_MAX + 1), -EINVAL);
	assert_false(passes(c, f, &many[0].ip));
	bad.ip.b[3] = 1;
	many[1] = bad;
	assert_int_equal(lm_srccheck_init(c, 5, many, 2), -EINVAL);
	assert_false(passes(c, f, &many[0].ip));
	/* no list: not even the route's owner */
	assert_int_equal(lm_srccheck_init(c, 2, NULL, 0), 0);
	assert_int_equal(lm_ip_parse("10.2.0.1", &ip), 0);
	assert_false(passes(c, f, &ip));
	lm_fwd_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(decide),
	    cmocka_unit_test(v4_mapped),
	    cmocka_unit_test(lists),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
