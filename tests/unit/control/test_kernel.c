/* SPDX-License-Identifier: BSD-3-Clause */
/* What the kernel says about LAN and WAN twins, and where it ends up in the data plane. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <stdlib.h>
#include <unistd.h>

static int setup(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	gateway_up(g, "");
	UNTIL(g, has_route, "10.1.0.0/24");
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	gateway_down(*state);
	free(*state);
	return 0;
}

/* A host of the LAN that the kernel knows. */
static void neighbour(const char *who, unsigned n)
{
	sh("ip neigh replace %s lladdr 02:00:00:00:00:%02x dev lan0 nud reachable", who, n);
}

static bool leads_to(struct gateway *g, const char *p, unsigned n)
{
	const struct lm_route *r = fake_route(g->c->dp, p);

	return r != NULL && r->kind == LM_ROUTE_NEIGHBOUR && r->mac.b[5] == n;
}

static bool leads_to_9(struct gateway *g, const void *p)
{
	return leads_to(g, p, 9);
}

static bool leads_to_8(struct gateway *g, const void *p)
{
	return leads_to(g, p, 8);
}

static bool wan_forwards_nothing(struct gateway *g, const void *unused)
{
	(void)g;
	(void)unused;
	return system("cat /proc/sys/net/ipv[46]/conf/wan0/forwarding | grep -q 1") != 0;
}

static bool is_connected(struct gateway *g, const void *p)
{
	const struct lm_route *r = fake_route(g->c->dp, p);

	return r != NULL && r->kind == LM_ROUTE_CONNECTED;
}

static void test_hosts(void **state)
{
	struct gateway *g = *state;

	neighbour("10.1.0.9", 9);
	UNTIL(g, leads_to_9, "10.1.0.9/32");
	neighbour("10.1.0.9", 8); /* it has a new network card */
	UNTIL(g, leads_to_8, "10.1.0.9/32");
	neighbour("fd00:1::9", 9);
	UNTIL(g, leads_to_9, "fd00:1::9/128");
	sh("ip neigh del 10.1.0.9 dev lan0; ip neigh flush dev lan0");
	UNTIL(g, lacks_route, "10.1.0.9/32");
	UNTIL(g, lacks_route, "fd00:1::9/128");
	assert_true(is_connected(g, "10.1.0.0/24"));
}

static void test_networks_behind_a_router(void **state)
{
	struct gateway *g = *state;

	sh("ip route add 10.9.0.0/16 via 10.1.0.9");
	UNTIL(g, is_connected, "10.9.0.0/16");
	assert_true(fake_route(g->c->dp, "10.9.0.0/16")->via.b[3] == 9);
	neighbour("10.1.0.9", 9);
	UNTIL(g, leads_to_9, "10.9.0.0/16");
	neighbour("10.1.0.9", 8);
	UNTIL(g, leads_to_8, "10.9.0.0/16");
	sh("ip neigh del 10.1.0.9 dev lan0");
	UNTIL(g, is_connected, "10.9.0.0/16");
	sh("ip route del 10.9.0.0/16");
	UNTIL(g, lacks_route, "10.9.0.0/16");
}

/* The kernel tells of a replacement in one message, also when the new way is none of ours. */
static void test_replaced_routes(void **state)
{
	struct gateway *g = *state;
	unsigned changes;

	neighbour("10.1.0.9", 9);
	neighbour("10.1.0.8", 8);
	sh("ip route add 10.9.0.0/16 via 10.1.0.9");
	UNTIL(g, leads_to_9, "10.9.0.0/16");
	sh("ip route replace 10.9.0.0/16 via 10.1.0.8");
	UNTIL(g, leads_to_8, "10.9.0.0/16");
	sh("ip route del 10.9.0.0/16");
	UNTIL(g, lacks_route, "10.9.0.0/16");
	sh("ip route add 10.9.0.0/16 via 10.1.0.9");
	UNTIL(g, leads_to_9, "10.9.0.0/16");
	gateway_idle(g);
	changes = fake_route_changes(g->c->dp);
	sh("ip route replace 10.9.0.0/16 via 10.1.0.9"); /* by the same */
	gateway_idle(g);
	assert_int_equal(fake_route_changes(g->c->dp), changes);
	sh("ip link add other0 type veth peer name other1; ip link set other0 up;"
	   " ip addr add 10.5.0.1/24 dev other0; ip route replace 10.9.0.0/16 via 10.5.0.9");
	UNTIL(g, lacks_route, "10.9.0.0/16");
	sh("ip route replace 10.9.0.0/16 via 10.1.0.9");
	UNTIL(g, leads_to_9, "10.9.0.0/16");
	sh("ip route replace unreachable 10.9.0.0/16");
	UNTIL(g, lacks_route, "10.9.0.0/16");
	sh("ip link del other0; ip route del unreachable 10.9.0.0/16");
	sh("ip -6 route add fd00:9::/48 via fd00:1::9; ip -6 route replace fd00:9::/48 via "
	   "fd00:1::8");
	neighbour("fd00:1::8", 8);
	UNTIL(g, leads_to_8, "fd00:9::/48");
	sh("ip -6 route del fd00:9::/48");
	UNTIL(g, lacks_route, "fd00:9::/48");
}

static void test_metrics_and_multipath(void **state)
{
	struct gateway *g = *state;

	neighbour("10.1.0.9", 9);
	neighbour("10.1.0.8", 8);
	sh("ip route add 10.9.0.0/16 via 10.1.0.9 metric 20");
	UNTIL(g, leads_to_9, "10.9.0.0/16");
	sh("ip route add 10.9.0.0/16 via 10.1.0.8 metric 10");
	UNTIL(g, leads_to_8, "10.9.0.0/16");
	sh("ip route del 10.9.0.0/16 via 10.1.0.8 metric 10"); /* the other one is still there */
	UNTIL(g, leads_to_9, "10.9.0.0/16");
	sh("ip route del 10.9.0.0/16");
	UNTIL(g, lacks_route, "10.9.0.0/16");
	sh("ip route add 10.9.0.0/16 nexthop via 10.1.0.8 nexthop via 10.1.0.9");
	UNTIL(g, leads_to_8, "10.9.0.0/16"); /* one of them, always the same */
	sh("ip route replace 10.9.0.0/16 via 10.1.0.9");
	UNTIL(g, leads_to_9, "10.9.0.0/16");
	sh("ip route del 10.9.0.0/16");
	UNTIL(g, lacks_route, "10.9.0.0/16");
	sh("ip -6 route add fd00:9::/48 nexthop via fd00:1::8 nexthop via fd00:1::9");
	UNTIL(g, is_connected, "fd00:9::/48");
	sh("ip -6 route del fd00:9::/48 via fd00:1::8");
	sh("ip -6 route del fd00:9::/48 via fd00:1::9");
	UNTIL(g, lacks_route, "fd00:9::/48");
}

/* The kernel says nothing of the IPv4 routes that a link takes along when it goes down. */
static void test_link_down(void **state)
{
	struct gateway *g = *state;

	sh("ip route add 10.9.0.0/16 via 10.1.0.9");
	UNTIL(g, has_route, "10.9.0.0/16");
	sh("ip link set lan0 down");
	UNTIL(g, lacks_route, "10.9.0.0/16");
	UNTIL(g, lacks_route, "10.1.0.0/24");
	sh("ip link set lan0 up; ip route add 10.9.0.0/16 via 10.1.0.9");
	UNTIL(g, has_route, "10.1.0.0/24");
	UNTIL(g, has_route, "10.9.0.0/16");
	sh("ip route del 10.9.0.0/16");
	UNTIL(g, lacks_route, "10.9.0.0/16");
}

static bool is_wan_address(struct gateway *g, const void *text)
{
	struct lm_ip who = ip(text);
	const struct lm_ip *ips;
	unsigned n = fake_addresses(g->c->dp, WAN, &ips);

	while (n > 0 && !lm_ip_equal(&ips[n - 1], &who))
		n--;
	return n > 0;
}

static bool is_no_wan_address(struct gateway *g, const void *text)
{
	return !is_wan_address(g, text);
}

static void test_addresses(void **state)
{
	struct gateway *g = *state;

	/* The same address twice, with two lengths: it is ours until the second one goes. */
	sh("ip addr add 10.77.0.1/24 dev lan0; ip addr add 10.77.0.1/16 dev lan0");
	UNTIL(g, has_route, "10.77.0.1/32");
	UNTIL(g, has_route, "10.77.0.0/16");
	sh("ip addr del 10.77.0.1/24 dev lan0");
	UNTIL(g, lacks_route, "10.77.0.0/24");
	assert_int_equal(fake_route(g->c->dp, "10.77.0.1/32")->kind, LM_ROUTE_TO_ME);
	sh("ip route add 10.9.0.0/16 dev lan0 src 10.77.0.1");
	UNTIL(g, has_route, "10.9.0.0/16");
	sh("ip addr del 10.77.0.1/16 dev lan0");
	UNTIL(g, lacks_route, "10.77.0.1/32");
	UNTIL(g, lacks_route, "10.9.0.0/16"); /* gone with its source, without a word */
	/* One under duplicate address detection comes once that is done. */
	sh("sysctl -qw net.ipv6.conf.lan0.accept_dad=1; ip addr add fd00:77::1/64 dev lan0");
	UNTIL(g, has_route, "fd00:77::1/128");
	sh("ip addr add 192.0.2.77/24 dev wan0");
	UNTIL(g, is_wan_address, "192.0.2.77");
	sh("ip addr del 192.0.2.77/24 dev wan0");
	UNTIL(g, is_no_wan_address, "192.0.2.77");
	assert_null(fake_route(g->c->dp, "192.0.2.77/32")); /* packets there are not for the LAN */
}

/* Lost events: what went unseen is found, and what stays is not taken away in between. */
static void test_lost_events(void **state)
{
	struct gateway *g = *state;
	unsigned changes;

	neighbour("10.1.0.9", 9);
	neighbour("10.1.0.8", 8);
	sh("ip route add 10.9.0.0/16 via 10.1.0.9; ip route add 10.8.0.0/16 via 10.1.0.8;"
	   " ip addr add 10.77.0.1/24 dev lan0");
	UNTIL(g, leads_to_9, "10.9.0.0/16");
	UNTIL(g, leads_to_8, "10.8.0.0/16");
	UNTIL(g, has_route, "10.77.0.1/32");
	gateway_idle(g);
	changes = fake_route_changes(g->c->dp);
	sh("ip route del 10.9.0.0/16; ip neigh del 10.1.0.9 dev lan0;"
	   " ip addr del 10.77.0.1/24 dev lan0; ip route add 10.7.0.0/16 via 10.1.0.8;"
	   " for i in $(seq 1 12000); do echo route add 10.$((100 + i / 250)).$((i %% 250)).0/24 "
	   "dev lo; done | ip -batch -");
	UNTIL(g, lacks_route, "10.9.0.0/16");
	UNTIL(g, lacks_route, "10.77.0.1/32");
	UNTIL(g, lacks_route, "10.1.0.9/32");
	UNTIL(g, leads_to_8, "10.7.0.0/16");
	assert_true(leads_to(g, "10.8.0.0/16", 8));
	assert_non_null(fake_route(g->c->dp, "10.1.0.1/32"));
	/* 10.9/16, 10.77.0.1, 10.77.0/24, 10.1.0.9 and 10.7/16; nothing else was touched. */
	assert_int_equal(fake_route_changes(g->c->dp) - changes, 5);
}

/* What peers offer is in the kernel for routing daemons, and never wins over its own. */
static void test_export_to_the_kernel(void **state)
{
	struct gateway *g = *state;

	(void)gateway_peer(g, 2, "10.2.0.0/16");
	assert_int_equal(fake_route(g->c->dp, "10.2.0.0/16")->kind, LM_ROUTE_PEER);
	assert_int_equal(fake_route(g->c->dp, "100.64.0.2/32")->kind, LM_ROUTE_PEER);
	sh("ip route show 10.2.0.0/16 | grep -q 'dev lm0 proto 76 scope link metric 2048'");
	sh("ip -6 route show fd00:64::2 | grep -q 'dev lm0 proto 76 metric 2048'");
	/* A peer with our LAN's prefix: the kernel and the workers stay with the LAN. */
	(void)gateway_peer(g, 3, "10.1.0.0/24");
	assert_true(is_connected(g, "10.1.0.0/24"));
	sh("ip route get 10.1.0.9 | grep -q 'dev lan0'");
	/* A peer with a default route: the underlay's own gateway stays the box's way out. */
	(void)gateway_peer(g, 4, "0.0.0.0/0");
	assert_int_equal(fake_route(g->c->dp, "0.0.0.0/0")->kind, LM_ROUTE_PEER);
	sh("ip route get 203.0.113.1 | grep -q 'via 192.0.2.254 dev wan0'");
	/* Somebody takes an exported route away: no timeout, no error when the peer goes. */
	sh("ip route del 10.2.0.0/16");
}

/* The default route through the config's gateway replaces nobody's. */
static void test_gateways_leave_others_alone(void **state)
{
	struct gateway g;

	(void)state;
	sh("ip link add mgmt0 type veth peer name mgmt1; ip link set mgmt0 up;"
	   " ip addr add 172.16.0.1/24 dev mgmt0; ip route add default via 172.16.0.254");
	gateway_up(&g, "");
	sh("ip route show default | grep -q 'via 172.16.0.254'");
	sh("ip route show default | grep -q 'via 192.0.2.254 dev wan0 proto 76 metric 512'");
	gateway_down(&g);
	sh("ip route show default | grep -q 'via 172.16.0.254'");
	sh("ip link del mgmt0");
}

static void test_sysctls(void **state)
{
	struct gateway *g = *state;

	sh("test $(cat /proc/sys/net/ipv4/conf/wan0/forwarding) = 0");
	sh("test $(cat /proc/sys/net/ipv6/conf/wan0/forwarding) = 0");
	/* ...also when somebody switches it on for all. */
	sh("sysctl -qw net.ipv4.ip_forward=0 net.ipv6.conf.all.forwarding=0");
	sh("sysctl -qw net.ipv4.ip_forward=1 net.ipv6.conf.all.forwarding=1");
	UNTIL(g, wan_forwards_nothing, NULL);
	sh("test $(cat /proc/sys/net/ipv6/conf/lan0/accept_ra) = 0");
	sh("test $(cat /proc/sys/net/ipv6/conf/wan0/accept_redirects) = 0");
	sh("ip -6 addr show dev lm0 | grep -q fe80 && exit 1; exit 0");
	sh("ip link show dev lm0 | grep -q 'mtu 1418'"); /* 1500 less ESP in UDP over IPv6 */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_hosts, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_networks_behind_a_router, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_replaced_routes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_metrics_and_multipath, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_link_down, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_lost_events, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_export_to_the_kernel, setup, teardown),
	    cmocka_unit_test(test_gateways_leave_others_alone),
	    cmocka_unit_test_setup_teardown(test_sysctls, setup, teardown),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
