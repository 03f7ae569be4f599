/* SPDX-License-Identifier: BSD-3-Clause */
/* What is announced while LAN ports have no link. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <stdlib.h>

#define LAN1 2
static const char lan1[] = ", { name = \"lan1\"; role = \"lan\"; device = \"fake2\";"
			   "  addresses = [ \"10.8.0.1/24\" ]; }";

static int setup(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	gateway_files(g, "");
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	gateway_down(*state);
	free(*state);
	return 0;
}

static void start(struct gateway *g)
{
	struct lm_error err;

	if (gateway_start(g, &err) != 0)
		fail_msg("does not start: %s", err.text);
}

static void announced(const struct gateway *g, struct lm_announcement *a)
{
	size_t len, body;
	const uint8_t *data = lm_mesh_own_announcement(g->c->mesh, &len);

	assert_non_null(data);
	assert_int_equal(lm_announcement_decode(data, len, a, &body), 0);
}

static uint64_t sequence(const struct gateway *g)
{
	struct lm_announcement a;

	announced(g, &a);
	return a.sequence;
}

static bool announces(struct gateway *g, const void *text)
{
	struct lm_prefix p = prefix(text);
	struct lm_announcement a;

	announced(g, &a);
	for (unsigned i = 0; i < a.n_prefixes; i++)
		if (lm_prefix_equal(&a.prefixes[i], &p))
			return true;
	return false;
}

static bool withholds(struct gateway *g, const void *text)
{
	return !announces(g, text);
}

static void reload(struct gateway *g, const char *extra)
{
	struct lm_error err;

	gateway_config(g, extra);
	if (lm_control_reload(g->c, &err) != 0)
		fail_msg("not reloaded: %s", err.text);
}

/* Not even for a moment does a reload announce a network whose LAN has no link. */
static void test_reload_with_a_dead_lan(void **state)
{
	struct gateway *g = *state;
	struct lm_error err;
	uint64_t before;

	start(g);
	UNTIL(g, announces, "10.1.0.0/24");
	fake_link(g->c->dp, LAN, false);
	UNTIL(g, withholds, "10.1.0.0/24");
	before = sequence(g);
	reload(g, "");
	reload(g, "prefixes = [ \"10.1.0.0/25\" ];");
	gateway_cert(g, "10.6.0.0/16"); /* a renewed one, with other prefixes */
	reload(g, "");
	assert_int_equal(sequence(g), before);
	assert_true(withholds(g, "10.1.0.0/24"));
	/* What the certificate does not hold is refused also while it would not be announced. */
	gateway_config(g, "prefixes = [ \"10.99.0.0/16\" ];");
	assert_int_not_equal(lm_control_reload(g->c, &err), 0);
	assert_non_null(strstr(err.text, "10.99.0.0/16"));
	gateway_config(g, "");
	fake_link(g->c->dp, LAN, true);
	UNTIL(g, announces, "10.1.0.0/24");
	assert_true(announces(g, "10.6.0.0/16"));
}

/* A network behind a router of the site goes with the routes to it. */
static void test_routes_move(void **state)
{
	struct gateway *g = *state;

	gateway_cert(g, "10.6.0.0/16");
	g->ports = lan1;
	gateway_config(g, "");
	start(g);
	sh("ip route add 10.6.0.0/16 via 10.1.0.9");
	UNTIL(g, has_route, "10.6.0.0/16");
	UNTIL(g, announces, "10.6.0.0/16");
	fake_link(g->c->dp, LAN, false);
	UNTIL(g, withholds, "10.6.0.0/16");
	/* Another router takes over, on a LAN that works... */
	sh("ip route replace 10.6.0.0/16 via 10.8.0.9");
	UNTIL(g, announces, "10.6.0.0/16");
	assert_true(withholds(g, "10.1.0.0/24"));
	/* ...and back. */
	sh("ip route replace 10.6.0.0/16 via 10.1.0.9");
	UNTIL(g, withholds, "10.6.0.0/16");
	/* That its route goes too (a routing daemon does that, or the kernel) makes it no more
	 * reachable by a LAN that never led there. */
	sh("ip route del 10.6.0.0/16");
	UNTIL(g, lacks_route, "10.6.0.0/16");
	sh("ip addr add 10.8.7.1/24 dev lan1"); /* judged again, surely */
	UNTIL(g, has_route, "10.8.7.1/32");
	for (unsigned i = 0; i < 3; i++)
		(void)uv_run(&g->c->loop, UV_RUN_ONCE);
	lm_link_announce(g->c);
	assert_true(withholds(g, "10.6.0.0/16"));
	fake_link(g->c->dp, LAN, true);
	UNTIL(g, announces, "10.6.0.0/16");
}

/* Is the site judged again when a route to this network appears, and when it goes? */
static bool judged_again(struct gateway *g, const char *network)
{
	struct lm_twin *t = &g->c->twins[LAN];
	struct lm_nl_route r = {.prefix = prefix(network),
				.hop = {.ifindex = t->ifindex, .via = ip("10.1.0.9")}};
	bool again;

	g->c->site_moved = false;
	lm_kernel_route_event(g->c, t, &r, false);
	again = g->c->site_moved;
	g->c->site_moved = false;
	lm_kernel_route_event(g->c, t, &r, true);
	assert_int_equal(g->c->site_moved, again);
	g->c->site_moved = false;
	return again;
}

/* Among many routes of a routing daemon, few have to do with the site's prefixes. */
static void test_routes_elsewhere(void **state)
{
	struct gateway *g = *state;
	struct lm_prefix p = prefix("10.6.0.0/16");
	uint32_t both = 1u << LAN | 1u << LAN1;

	gateway_cert(g, "10.6.0.0/16");
	g->ports = lan1;
	gateway_config(g, "");
	start(g);
	UNTIL(g, announces, "10.6.0.0/16");
	assert_false(judged_again(g, "10.9.0.0/16"));
	assert_false(judged_again(g, "10.7.0.0/16"));
	assert_false(judged_again(g, "fd00:6::/32"));
	assert_false(judged_again(g, "0.0.0.0/0"));
	assert_true(judged_again(g, "10.6.0.0/16"));
	assert_true(judged_again(g, "10.6.3.0/24"));
	assert_true(judged_again(g, "10.0.0.0/8"));
	/* A reload brings other prefixes. */
	reload(g, "prefixes = [ \"10.1.0.0/24\" ];");
	assert_false(judged_again(g, "10.6.3.0/24"));
	assert_true(judged_again(g, "10.1.0.0/25"));
	sh("ip route add 10.6.1.0/24 via 10.1.0.9; ip route add 10.6.2.0/24 via 10.8.0.9");
	UNTIL(g, has_route, "10.6.1.0/24");
	UNTIL(g, has_route, "10.6.2.0/24");
	assert_int_equal(lm_kernel_route_ports(g->c, &p, both), both);
	assert_int_equal(lm_kernel_route_ports(g->c, &p, 1u << LAN1), 1u << LAN1);
	assert_int_equal(lm_kernel_route_ports(g->c, &p, 0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_reload_with_a_dead_lan, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_routes_move, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_routes_elsewhere, setup, teardown),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
