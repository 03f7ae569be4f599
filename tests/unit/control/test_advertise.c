/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses that are announced on the ports' links; and a kernel without IPv6. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <net/if.h>

struct sought {
	uint16_t port;
	const char *ip;
	unsigned times;
};

/* Every field of an ARP announcement (RFC 5227 section 2.3). */
static bool is_arp(const struct fake_frame *f, const struct lm_ip *ip, const struct lm_mac *m)
{
	static const uint8_t head[] = {8, 6, 0, 1, 8, 0, 6, 4, 0, 1};
	static const uint8_t all[6] = {255, 255, 255, 255, 255, 255};

	return f->len == 42 && memcmp(f->data, all, 6) == 0 && memcmp(f->data + 6, m->b, 6) == 0 &&
	       memcmp(f->data + 12, head, sizeof(head)) == 0 &&
	       memcmp(f->data + 22, m->b, 6) == 0 && memcmp(f->data + 28, ip->b, 4) == 0 &&
	       memcmp(f->data + 38, ip->b, 4) == 0;
}

/* Of an unsolicited neighbour advertisement (RFC 4861 sections 4.4, 7.1.2, 7.2.6). */
static bool is_na(const struct fake_frame *f, const struct lm_ip *ip, const struct lm_mac *m)
{
	static const uint8_t to[] = {0x33, 0x33, 0, 0, 0, 1}, opt[] = {2, 1};
	static const uint8_t all_nodes[16] = {0xff, 2, [15] = 1};
	const struct lm_ip dst = lm_ip6(all_nodes);
	const uint8_t *na = f->data + 54;

	return f->len == 86 && memcmp(f->data, to, 6) == 0 && memcmp(f->data + 6, m->b, 6) == 0 &&
	       f->data[12] == 0x86 && f->data[13] == 0xdd && f->data[14] == 0x60 &&
	       f->data[19] == 32 && f->data[20] == 58 && f->data[21] == 255 &&
	       memcmp(f->data + 22, ip->b, 16) == 0 && memcmp(f->data + 38, all_nodes, 16) == 0 &&
	       na[0] == 136 && na[1] == 0 && (na[4] & 0x60) == 0x20 &&
	       memcmp(na + 8, ip->b, 16) == 0 && memcmp(na + 24, opt, 2) == 0 &&
	       memcmp(na + 26, m->b, 6) == 0 && lm_csum_pseudo(ip, &dst, 58, na, 32) == 0;
}

static bool is_advertised(struct gateway *g, const void *arg)
{
	const struct sought *s = arg;
	struct lm_ip who = ip(s->ip);
	unsigned n = 0;

	for (unsigned i = 0; i < fake_frames(g->c->dp); i++) {
		const struct fake_frame *f = fake_frame(g->c->dp, i);

		n += f->port == s->port &&
		     (who.family == 6 ? is_na : is_arp)(f, &who, &g->c->twins[s->port].mac);
	}
	return n >= s->times;
}

static const struct sought lan4 = {LAN, "10.1.0.1", 1}, lan6 = {LAN, "fd00:1::1", 1},
			   wan4 = {WAN, "192.0.2.1", 1}, wan6 = {WAN, "2001:db8:2::1", 1},
			   more4 = {LAN, "10.1.0.77", 1}, more6 = {WAN, "2001:db8:2::77", 1},
			   again4 = {LAN, "10.1.0.1", 2}, again6 = {LAN, "fd00:1::1", 3};

static void test_neighbours_are_told(void **state)
{
	struct gateway g;

	(void)state;
	gateway_up(&g, "");
	assert_true(is_advertised(&g, &lan4) && is_advertised(&g, &lan6));
	assert_true(is_advertised(&g, &wan4) && is_advertised(&g, &wan6));
	assert_false(is_advertised(&g, &again4));
	UNTIL(&g, is_advertised, &again4);
	UNTIL(&g, is_advertised, &again6);
	/* An address more: it alone, at once. */
	sh("ip addr add 10.1.0.77/24 dev lan0; ip addr add 2001:db8:2::77/64 dev wan0 nodad");
	UNTIL(&g, is_advertised, &more4);
	UNTIL(&g, is_advertised, &more6);
	while (g.c->twins[LAN].advertise + g.c->twins[WAN].advertise > 0)
		(void)uv_run(&g.c->loop, UV_RUN_ONCE);
	/* Then it is quiet, until the link has been away. */
	fake_frames_clear(g.c->dp);
	fake_link(g.c->dp, LAN, false);
	lm_link_check(g.c);
	sh("ip addr add 10.1.0.78/24 dev lan0"); /* nobody would hear of it */
	gateway_idle(&g);
	assert_false(is_advertised(&g, &lan4));
	assert_false(is_advertised(&g, &(struct sought){LAN, "10.1.0.78", 1}));
	fake_link(g.c->dp, LAN, true);
	lm_link_check(g.c);
	assert_true(is_advertised(&g, &lan4) && is_advertised(&g, &lan6));
	assert_true(is_advertised(&g, &(struct sought){LAN, "10.1.0.78", 1}));
	assert_false(is_advertised(&g, &wan4));
	gateway_down(&g);
}

/* Certificate and config have IPv6 addresses and a gateway; the kernel knows of no IPv6. */
static void test_ipv6_is_switched_off(void **state)
{
	struct gateway g;

	(void)state;
	sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=1");
	gateway_files(&g, "");
	g.ports = ", { name = \"wan1\"; role = \"wan\"; device = \"fake2\";"
		  " addresses = [ \"198.51.100.1/24\", \"2001:db8:3::1/64\" ];"
		  " gateways = [ \"198.51.100.254\", \"2001:db8:3::fe\" ]; }";
	gateway_config(&g, "");
	{
		struct lm_error err;

		if (gateway_start(&g, &err) != 0)
			fail_msg("does not start: %s", err.text);
	}
	UNTIL(&g, has_route, "10.1.0.1/32");
	assert_non_null(fake_route(g.c->dp, "100.64.0.1/32"));
	assert_null(fake_route(g.c->dp, "fd00:1::1/128"));
	sh("ip route show default | grep -q 'via 198.51.100.254'");
	(void)gateway_peer(&g, 2, "10.2.0.0/16");
	sh("ip route show 10.2.0.0/16 | grep -q 'dev lm0'");
	/* Workers carry the site's IPv6 as before. */
	assert_non_null(fake_route(g.c->dp, "fd00:64::2/128"));
	gateway_down(&g);
	sh("sysctl -qw net.ipv6.conf.all.disable_ipv6=0");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_neighbours_are_told),
	    cmocka_unit_test(test_ipv6_is_switched_off),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
