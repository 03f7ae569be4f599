/* SPDX-License-Identifier: BSD-3-Clause */
/* rtnetlink both ways: what is set is what the kernel then tells, and what others do is seen. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <net/if.h>
#include <poll.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

#define LOG_MAX 4096

/* What the events said, as text: "+addr 10.0.0.1/24", "-route 10.9.0.0/16 via 10.0.0.9 metric 5".
 */
struct seen {
	struct lm_nl *nl;
	char line[LOG_MAX][96];
	unsigned n, overruns;
	/* Requests from within an event handler. */
	bool asks;
	unsigned asked, refused;
	struct lm_ip ask_for;
	unsigned ask_on;
};

static void say(struct seen *s, const char *fmt, ...) LM_PRINTF(2, 3);
static void say(struct seen *s, const char *fmt, ...)
{
	struct lm_ip src, hop;
	va_list ap;

	if (s->n < LOG_MAX) {
		va_start(ap, fmt);
		(void)vsnprintf(s->line[s->n++], sizeof(s->line[0]), fmt, ap);
		va_end(ap);
	}
	if (s->asks) {
		s->asked++;
		s->refused += lm_nl_route_get(s->nl, &s->ask_for, s->ask_on, &src, &hop) != 0;
	}
}

static void on_addr(void *user, const struct lm_nl_addr *a, bool gone)
{
	char text[LM_IP_STRLEN];

	say(user, "%caddr %s/%u%s", gone ? '-' : '+', lm_ip_format(&a->addr.ip, text), a->addr.len,
	    a->usable ? "" : " unusable");
}

static void on_route(void *user, const struct lm_nl_route *r, bool gone)
{
	char text[LM_PREFIX_STRLEN], via[LM_IP_STRLEN] = "link";

	if (r->hop.via.family != 0)
		(void)lm_ip_format(&r->hop.via, via);
	say(user, "%croute %s via %s metric %u", gone ? '-' : '+',
	    lm_prefix_format(&r->prefix, text), via, r->metric);
}

static void on_replaced(void *user, const struct lm_prefix *prefix, uint32_t metric,
			const struct lm_nl_hop *hops, unsigned n)
{
	char text[LM_PREFIX_STRLEN];

	(void)hops;
	say(user, "=route %s metric %u hops %u", lm_prefix_format(prefix, text), metric, n);
}

static void on_neigh(void *user, const struct lm_nl_neigh *n, bool gone)
{
	char text[LM_IP_STRLEN], hw[LM_MAC_STRLEN] = "?";

	if (n->valid)
		(void)lm_mac_format(&n->mac, hw);
	say(user, "%cneigh %s %s%s", gone ? '-' : '+', lm_ip_format(&n->ip, text), hw,
	    n->failed ? " failed" : "");
}

static void on_link(void *user, unsigned ifindex, bool up, bool gone)
{
	say(user, "%clink %u %s", gone ? '-' : '+', ifindex, up ? "up" : "down");
}

static void on_overrun(void *user)
{
	((struct seen *)user)->overruns++;
}

static const struct lm_nl_events events = {.addr = on_addr,
					   .route = on_route,
					   .route_replaced = on_replaced,
					   .neigh = on_neigh,
					   .link = on_link,
					   .overrun = on_overrun};

static unsigned said(const struct seen *s, const char *line)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += strcmp(s->line[i], line) == 0;
	return n;
}

/* How many lines begin so. */
static unsigned said_of(const struct seen *s, const char *begin)
{
	unsigned n = 0;

	for (unsigned i = 0; i < s->n; i++)
		n += strncmp(s->line[i], begin, strlen(begin)) == 0;
	return n;
}

/* Reads until the kernel has said so; most things it tells before the call that makes them returns,
 * a few come from its own timers. */
static void must_say(struct seen *s, const char *line)
{
	for (unsigned i = 0; i < 100 && said(s, line) == 0; i++) {
		struct pollfd p = {.fd = lm_nl_fd(s->nl), .events = POLLIN};

		(void)poll(&p, 1, 200);
		lm_nl_read(s->nl);
	}
	if (said(s, line) != 0)
		return;
	for (unsigned i = 0; i < s->n; i++)
		(void)printf("  %s\n", s->line[i]);
	fail_msg("the kernel did not say: %s", line);
}

static int setup(void **state)
{
	struct seen *s = calloc(1, sizeof(*s));
	struct lm_error err;

	assert_non_null(s);
	sh("ip link add veth0 type veth peer name veth1; ip link set veth0 up; ip link set veth1 "
	   "up");
	sh("ip addr add 10.0.0.1/24 dev veth0");
	if (lm_nl_open(&events, s, &s->nl, &err) != 0)
		fail_msg("%s", err.text);
	*state = s;
	return 0;
}

static int teardown(void **state)
{
	struct seen *s = *state;

	lm_nl_close(s->nl);
	free(s);
	sh("ip link del veth0");
	return 0;
}

static void test_dump(void **state)
{
	struct seen *s = *state;

	sh("ip route add 10.9.0.0/16 via 10.0.0.9 metric 5");
	sh("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev veth0");
	assert_int_equal(lm_nl_dump(s->nl), 0);
	assert_int_equal(said(s, "+addr 10.0.0.1/24"), 1);
	assert_int_equal(said(s, "+addr 127.0.0.1/8"), 1);
	assert_int_equal(said(s, "+route 10.0.0.0/24 via link metric 0"), 1);
	assert_int_equal(said(s, "+route 10.9.0.0/16 via 10.0.0.9 metric 5"), 1);
	assert_int_equal(said(s, "+neigh 10.0.0.9 02:00:00:00:00:09"), 1);
	/* Neither the local table nor broadcast routes. */
	assert_int_equal(said(s, "+route 10.0.0.1/32 via link metric 0"), 0);
	assert_int_equal(said(s, "+route 10.0.0.255/32 via link metric 0"), 0);
}

static void test_addresses(void **state)
{
	struct seen *s = *state;
	unsigned dev = if_nametoindex("veth0");
	struct lm_ifaddr a4 = {.ip = ip("10.7.0.1"), .len = 30},
			 a6 = {.ip = ip("fd00:7::1"), .len = 64};

	assert_int_equal(lm_nl_addr_add(s->nl, dev, &a4), 0);
	assert_int_equal(lm_nl_addr_add(s->nl, dev, &a4), 0); /* there already */
	assert_int_equal(lm_nl_addr_add(s->nl, dev, &a6), 0);
	must_say(s, "+addr 10.7.0.1/30");
	must_say(s, "+addr fd00:7::1/64"); /* at once: no duplicate address detection */
	assert_int_equal(said(s, "+addr fd00:7::1/64 unusable"), 0);
	sh("ip addr show dev veth0 | grep -q 'brd 10.7.0.3'");
	sh("ip addr del 10.7.0.1/30 dev veth0");
	must_say(s, "-addr 10.7.0.1/30");
	assert_int_equal(lm_nl_addr_add(s->nl, 999999, &a4), -ENODEV);
	/* An address under duplicate address detection is there, but not to be used. */
	sh("ip addr add fd00:8::1/64 dev veth0");
	must_say(s, "+addr fd00:8::1/64 unusable");
}

static void test_routes(void **state)
{
	struct seen *s = *state;
	unsigned dev = if_nametoindex("veth0");
	struct lm_prefix p = prefix("10.8.0.0/16"), p6 = prefix("fd00:8::/32");
	struct lm_ip via = ip("10.0.0.9");

	assert_int_equal(lm_nl_route_set(s->nl, &p, dev, &via, RTPROT_STATIC, 7), 0);
	must_say(s, "+route 10.8.0.0/16 via 10.0.0.9 metric 7");
	assert_int_equal(lm_nl_route_set(s->nl, &p, dev, NULL, RTPROT_STATIC, 2048), 0);
	must_say(s, "+route 10.8.0.0/16 via link metric 2048");
	assert_int_equal(lm_nl_route_set(s->nl, &p6, dev, NULL, RTPROT_STATIC, 2048), 0);
	must_say(s, "+route fd00:8::/32 via link metric 2048");
	assert_int_equal(lm_nl_route_del(s->nl, &p, dev, RTPROT_STATIC, 2048), 0);
	must_say(s, "-route 10.8.0.0/16 via link metric 2048");
	assert_int_equal(lm_nl_route_del(s->nl, &p6, dev, RTPROT_STATIC, 2048), 0);
	must_say(s, "-route fd00:8::/32 via link metric 2048");
	/* Another's route of the same prefix stays. */
	sh("ip route show 10.8.0.0/16 | grep -q 'via 10.0.0.9'");
	via = ip("203.0.113.1");
	assert_int_equal(lm_nl_route_set(s->nl, &p, dev, &via, RTPROT_STATIC, 9), -ENETUNREACH);
}

/* Thousands of mesh routes of our own must not fill the socket that tells of others' changes. */
static void test_own_routes_are_not_told(void **state)
{
	struct seen *s = *state;
	unsigned dev = if_nametoindex("veth0");
	struct lm_prefix p = prefix("10.9.0.0/16"), any = prefix("0.0.0.0/0");

	assert_int_equal(lm_nl_route_set(s->nl, &p, dev, NULL, LM_RTPROT, 2048), 0);
	assert_int_equal(lm_nl_route_del(s->nl, &p, dev, LM_RTPROT, 2048), 0);
	/* The default route is a way of the underlay: whoever changes it. */
	assert_int_equal(lm_nl_route_set(s->nl, &any, dev, NULL, LM_RTPROT, 2048), 0);
	must_say(s, "+route 0.0.0.0/0 via link metric 2048");
	assert_int_equal(lm_nl_route_del(s->nl, &any, dev, LM_RTPROT, 2048), 0);
	must_say(s, "-route 0.0.0.0/0 via link metric 2048");
	assert_int_equal(said(s, "+route 10.9.0.0/16 via link metric 2048"), 0);
	assert_int_equal(said(s, "-route 10.9.0.0/16 via link metric 2048"), 0);
}

/* The kernel's ESRCH for a route that is not there is an answer, not one to wait a second for. */
static void test_missing_things_are_answered_at_once(void **state)
{
	struct seen *s = *state;
	unsigned dev = if_nametoindex("veth0");
	struct lm_prefix p = prefix("10.8.0.0/16"), p6 = prefix("fd00:8::/32");
	struct lm_ip who = ip("10.0.0.77");
	struct timespec a, b;

	(void)clock_gettime(CLOCK_MONOTONIC, &a);
	for (unsigned i = 0; i < 50; i++) {
		assert_int_equal(lm_nl_route_del(s->nl, &p, dev, LM_RTPROT, 1), -ESRCH);
		assert_int_equal(lm_nl_route_del(s->nl, &p6, dev, LM_RTPROT, 1), -ESRCH);
		assert_int_equal(lm_nl_neigh_del(s->nl, dev, &who), -ENOENT);
	}
	(void)clock_gettime(CLOCK_MONOTONIC, &b);
	assert_true(b.tv_sec - a.tv_sec < 30); /* would be 100 seconds of timeouts */
}

static void test_changes_by_others(void **state)
{
	struct seen *s = *state;

	sh("ip route add 10.9.0.0/16 via 10.0.0.9");
	must_say(s, "+route 10.9.0.0/16 via 10.0.0.9 metric 0");
	sh("ip route replace 10.9.0.0/16 via 10.0.0.10");
	must_say(s, "+route 10.9.0.0/16 via 10.0.0.10 metric 0");
	must_say(s, "=route 10.9.0.0/16 metric 0 hops 1");
	sh("ip route replace blackhole 10.9.0.0/16");
	assert_int_equal(said(s, "=route 10.9.0.0/16 metric 0 hops 0"), 0);
	must_say(s, "=route 10.9.0.0/16 metric 0 hops 0");
	sh("ip route add 10.10.0.0/16 metric 3 nexthop via 10.0.0.9 nexthop via 10.0.0.10");
	must_say(s, "+route 10.10.0.0/16 via 10.0.0.9 metric 3");
	must_say(s, "+route 10.10.0.0/16 via 10.0.0.10 metric 3");
	sh("ip route del 10.10.0.0/16");
	must_say(s, "-route 10.10.0.0/16 via 10.0.0.9 metric 3");
	must_say(s, "-route 10.10.0.0/16 via 10.0.0.10 metric 3");
	sh("ip route add 10.11.0.0/16 via inet6 fe80::9 dev veth0");
	must_say(s, "+route 10.11.0.0/16 via fe80::9 metric 0");
	/* By destination alone: neither TOS nor other tables. */
	sh("ip route add 10.12.0.0/16 tos 0x10 via 10.0.0.9; ip route add 10.13.0.0/16 via "
	   "10.0.0.9 "
	   "table 77");
	sh("ip -6 route add fd00:9::/32 via fe80::9 dev veth0");
	must_say(s, "+route fd00:9::/32 via fe80::9 metric 1024");
	assert_int_equal(said(s, "+route 10.12.0.0/16 via 10.0.0.9 metric 0"), 0);
	assert_int_equal(said(s, "+route 10.13.0.0/16 via 10.0.0.9 metric 0"), 0);
	sh("ip -6 route replace fd00:9::/32 via fe80::a dev veth0");
	must_say(s, "+route fd00:9::/32 via fe80::a metric 1024");
	must_say(s, "=route fd00:9::/32 metric 1024 hops 1");
	sh("ip route flush table 77; ip route flush cache");
}

static void test_links_and_neighbours(void **state)
{
	struct seen *s = *state;
	unsigned dev = if_nametoindex("veth0");
	struct lm_mac hw = mac("02:00:00:00:00:77");
	struct lm_ip who = ip("10.0.0.9");
	char text[64];

	sh("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev veth0");
	must_say(s, "+neigh 10.0.0.9 02:00:00:00:00:09");
	assert_int_equal(lm_nl_neigh_del(s->nl, dev, &who), 0);
	must_say(s, "-neigh 10.0.0.9 ? failed");
	assert_int_equal(lm_nl_link_set(s->nl, dev, false, 1400, &hw), 0);
	(void)snprintf(text, sizeof(text), "+link %u down", dev);
	must_say(s, text);
	assert_int_equal(lm_nl_link_set(s->nl, dev, true, 0, NULL), 0);
	(void)snprintf(text, sizeof(text), "+link %u up", dev);
	must_say(s, text);
	sh("ip link show dev veth0 | grep -q 'mtu 1400' && ip link show dev veth0 | grep -q "
	   "02:00:00:00:00:77");
	/* Nobody has 10.0.0.5: asked for, and after a while failed. */
	who = ip("10.0.0.5");
	assert_int_equal(lm_nl_neigh_use(s->nl, dev, &who), 0);
	must_say(s, "+neigh 10.0.0.5 ? failed");
}

static void test_ways(void **state)
{
	struct seen *s = *state;
	unsigned dev = if_nametoindex("veth0"), other = if_nametoindex("veth1");
	struct lm_ip dst = ip("10.0.0.9"), far = ip("198.51.100.9"), src, hop, me = ip("10.0.0.1"),
		     gw = ip("10.0.0.254");

	assert_int_equal(lm_nl_route_get(s->nl, &dst, dev, &src, &hop), 0);
	assert_true(lm_ip_equal(&src, &me) && lm_ip_equal(&hop, &dst));
	assert_int_equal(lm_nl_route_get(s->nl, &far, dev, &src, &hop), -ENETUNREACH);
	sh("ip route add default via 10.0.0.254 metric 700");
	assert_int_equal(lm_nl_route_get(s->nl, &far, dev, &src, &hop), 0);
	assert_true(lm_ip_equal(&src, &me) && lm_ip_equal(&hop, &gw));
	/* Another port's default route with a better metric does not hide it, nor is it taken. */
	sh("ip addr add 10.5.0.1/24 dev veth1; ip route add default via 10.5.0.254 metric 1");
	assert_int_equal(lm_nl_route_get(s->nl, &far, dev, &src, &hop), 0);
	assert_true(lm_ip_equal(&hop, &gw));
	assert_int_equal(lm_nl_route_get(s->nl, &far, other, &src, &hop), 0);
	gw = ip("10.5.0.254");
	assert_true(lm_ip_equal(&hop, &gw));
	/* Ourselves. */
	assert_int_equal(lm_nl_route_get(s->nl, &me, dev, &src, &hop), -ENETUNREACH);
	/* Only a link-local address to speak from: none for a distant gateway. */
	sh("ip -6 route add default via fe80::9 dev veth0");
	far = ip("2001:db8::9");
	assert_int_equal(lm_nl_route_get(s->nl, &far, dev, &src, &hop), -ENETUNREACH);
	sh("ip addr add 2001:db8:5::1/64 dev veth0 nodad");
	assert_int_equal(lm_nl_route_get(s->nl, &far, dev, &src, &hop), 0);
	gw = ip("fe80::9");
	assert_true(lm_ip_equal(&hop, &gw));
}

/* A handler that asks the kernel something must not disturb what is being read: not the rest of a
 * dump, and not the rest of the events in one datagram. */
static void test_requests_from_handlers(void **state)
{
	struct seen *s = *state;

	sh("for i in $(seq 1 250); do echo route add 10.9.$i.0/24 via 10.0.0.9;"
	   " echo neigh add 10.0.0.$i lladdr 02:00:00:00:00:09 dev veth0; done |"
	   " grep -v ' 10.0.0.1 ' | ip -batch -");
	s->ask_for = ip("10.0.0.9");
	s->ask_on = if_nametoindex("veth0");
	s->asks = true;
	assert_int_equal(lm_nl_dump(s->nl), 0);
	/* Not all lines: the kernel adds addresses and routes of its own at its own time. */
	assert_int_equal(said_of(s, "+route 10.9."), 250);
	assert_int_equal(said_of(s, "+neigh 10.0.0."), 249);
	assert_true(s->asked >= 499);
	assert_int_equal(s->refused, 0);
	s->n = 0;
	for (unsigned i = 0; i < 100; i++)
		lm_nl_read(s->nl);
	assert_int_equal(said(s, "+route 10.9.250.0/24 via 10.0.0.9 metric 0"), 1);
	assert_int_equal(s->refused, 0);
	assert_int_equal(s->overruns, 0);
}

static void test_overrun(void **state)
{
	struct seen *s = *state;

	sh("for i in $(seq 1 9000); do echo route add 10.$((20 + i / 250)).$((i %% 250)).0/24 "
	   "via 10.0.0.9; done | ip -batch -");
	for (unsigned i = 0; i < 1000 && s->overruns == 0; i++)
		lm_nl_read(s->nl);
	assert_int_equal(s->overruns, 1);
	/* What was queued is thrown away, and what comes next is read. */
	s->n = 0;
	lm_nl_read(s->nl);
	assert_int_equal(s->n, 0);
	sh("ip route add 10.200.0.0/24 via 10.0.0.9");
	must_say(s, "+route 10.200.0.0/24 via 10.0.0.9 metric 0");
}

/* Only the kernel is listened to. */
static void test_forged_messages(void **state)
{
	struct seen *s = *state;
	struct sockaddr_nl to = {.nl_family = AF_NETLINK};
	socklen_t len = sizeof(to);
	struct {
		struct nlmsghdr h;
		struct ifinfomsg m;
	} msg = {.h = {.nlmsg_len = sizeof(msg), .nlmsg_type = RTM_NEWLINK},
		 .m = {.ifi_index = 4711}};
	int f = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

	assert_true(f >= 0);
	assert_int_equal(getsockname(lm_nl_fd(s->nl), (struct sockaddr *)&to, &len), 0);
	assert_int_equal(sendto(f, &msg, sizeof(msg), 0, (struct sockaddr *)&to, sizeof(to)),
			 sizeof(msg));
	close(f);
	lm_nl_read(s->nl);
	assert_int_equal(said(s, "+link 4711 down"), 0);
	sh("ip neigh add 10.0.0.9 lladdr 02:00:00:00:00:09 dev veth0");
	must_say(s, "+neigh 10.0.0.9 02:00:00:00:00:09");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_dump, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_addresses, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_routes, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_own_routes_are_not_told, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_missing_things_are_answered_at_once, setup,
					    teardown),
	    cmocka_unit_test_setup_teardown(test_changes_by_others, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_links_and_neighbours, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_ways, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_requests_from_handlers, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_overrun, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_forged_messages, setup, teardown),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
