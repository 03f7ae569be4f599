/* SPDX-License-Identifier: BSD-3-Clause */
/* Frames and packets between kernel, workers and peers; ICMP errors and fragments. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "gateway.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static int setup(void **state)
{
	struct gateway *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	gateway_up(g, "");
	UNTIL(g, has_route, "fd00:1::/64");
	gateway_idle(g);
	fake_frames_clear(g->c->dp);
	*state = g;
	return 0;
}

static int teardown(void **state)
{
	gateway_down(*state);
	free(*state);
	return 0;
}

/* RFC 1071, written anew: the library's own sum is not asked about itself. */
static uint16_t sum16(const uint8_t *p, size_t len, uint32_t sum)
{
	for (size_t i = 0; i < len; i++)
		sum += i % 2 == 0 ? (uint32_t)p[i] << 8 : p[i];
	while (sum > 0xffff)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint16_t be16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

/* ------------------------------------------------------- kernel and mesh -- */

static const struct fake_frame *frame_on(struct gateway *g, uint16_t port, size_t len)
{
	for (unsigned i = 0; i < fake_frames(g->c->dp); i++)
		if (fake_frame(g->c->dp, i)->port == port && fake_frame(g->c->dp, i)->len == len)
			return fake_frame(g->c->dp, i);
	return NULL;
}

static bool was_injected(struct gateway *g, const void *len)
{
	return frame_on(g, LM_DP_PORT_NONE, *(const size_t *)len) != NULL;
}

static int udp_socket(const char *bind_to, uint16_t port)
{
	struct lm_endpoint at = {.ip = ip(bind_to), .port = port};
	struct sockaddr_storage sa;
	unsigned len = lm_endpoint_to_sockaddr(&at, &sa);
	int f = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);

	assert_true(f >= 0);
	assert_int_equal(bind(f, (struct sockaddr *)&sa, len), 0);
	return f;
}

static void send_to(int f, const char *to, uint16_t port, size_t len)
{
	struct lm_endpoint at = {.ip = ip(to), .port = port};
	struct sockaddr_storage sa;
	unsigned sa_len = lm_endpoint_to_sockaddr(&at, &sa);
	uint8_t data[1400] = {0};

	assert_int_equal(sendto(f, data, len, 0, (struct sockaddr *)&sa, sa_len), (ssize_t)len);
}

static bool has_datagram(struct gateway *g, const void *f)
{
	uint8_t buf[1500];

	(void)g;
	return recv(*(const int *)f, buf, sizeof(buf), 0) == 5;
}

/* The box itself talks to the mesh through lm0, both ways. */
static void test_own_packets(void **state)
{
	struct gateway *g = *state;
	size_t len = 20 + 8 + 100;
	int f = udp_socket("100.64.0.1", 7777);
	uint8_t pkt[33] = {0x45, 0,    0, 33, 0,  0,   0,   0,	 64,  17,   0,
			   0,	 10,   2, 0,  10, 100, 64,  0,	 1,   0x10, 0,
			   0x1e, 0x61, 0, 13, 0,  0,   'h', 'e', 'l', 'l',  'o'};
	uint16_t csum;

	(void)gateway_peer(g, 2, "10.2.0.0/16");
	send_to(f, "10.2.0.10", 4096, 100);
	UNTIL(g, was_injected, &len);
	assert_int_equal(frame_on(g, LM_DP_PORT_NONE, len)->data[0], 0x45);
	csum = (uint16_t)~sum16(pkt, 20, 0);
	pkt[10] = (uint8_t)(csum >> 8);
	pkt[11] = (uint8_t)csum;
	fake_punt(
	    g->c->dp,
	    &(struct lm_punt){
		.kind = LM_PUNT_LOCAL, .port = WAN, .peer = 0, .data = pkt, .len = sizeof(pkt)});
	UNTIL(g, has_datagram, &f);
	close(f);
	/* What the kernel does not take is counted. */
	sh("ip link set lm0 down");
	fake_punt(
	    g->c->dp,
	    &(struct lm_punt){.kind = LM_PUNT_LOCAL, .port = WAN, .data = pkt, .len = sizeof(pkt)});
	gateway_idle(g);
	assert_int_equal(g->c->counters.v[LM_C_TWIN_FULL], 1);
}

/* Anything that workers hand up, whatever its fields say: counted or ignored, never a crash. */
static void test_rubbish_is_punted(void **state)
{
	struct gateway *g = *state;
	unsigned seed = 7;
	uint8_t data[2000];

	for (unsigned i = 0; i < 20000; i++) {
		struct lm_punt p = {
		    .kind = (enum lm_punt_kind)(rand_r(&seed) % (LM_PUNT_MOVED + 1)),
		    .port = (uint16_t)(rand_r(&seed) % 4 == 0 ? rand_r(&seed) : rand_r(&seed) % 3),
		    .from = {.ip = ip("192.0.2.9"), .port = (uint16_t)rand_r(&seed)},
		    .session = (uint32_t)rand_r(&seed),
		    .peer = rand_r(&seed) % 2 == 0 ? UINT32_MAX : 0,
		    .via = rand_r(&seed) % 2 == 0 ? ip("10.1.0.9") : (struct lm_ip){0},
		    .error = (enum lm_icmp_error)(rand_r(&seed) % 4),
		    .mtu = (uint16_t)rand_r(&seed),
		    .data = data,
		    .len = (size_t)rand_r(&seed) % sizeof(data)};

		for (size_t k = 0; k < 64; k++)
			data[k] = (uint8_t)rand_r(&seed);
		if (i % 2 == 0) { /* nearly IPv4 */
			data[0] = 0x45 + (uint8_t)(i / 2 % 3);
			data[2] = (uint8_t)(p.len >> 8);
			data[3] = (uint8_t)p.len;
		}
		if (i % 16 == 0)
			memset(data, 0, 4); /* a control message, perhaps */
		fake_punt(g->c->dp, &p);
		if (i % 100 == 0) {
			gateway_idle(g);
			fake_frames_clear(g->c->dp);
		}
	}
	gateway_idle(g);
	assert_true(has_route(g, "10.1.0.0/24"));
}

/* ---------------------------------------------------------------- errors -- */

static size_t make_ip4(uint8_t *pkt, size_t options, size_t body, uint16_t frag)
{
	size_t hlen = 20 + options, len = hlen + body;

	memset(pkt, 0, hlen);
	pkt[0] = (uint8_t)(0x40 | hlen / 4);
	pkt[2] = (uint8_t)(len >> 8);
	pkt[3] = (uint8_t)len;
	pkt[4] = 0xab;
	pkt[5] = 0xcd;
	pkt[6] = (uint8_t)(frag >> 8);
	pkt[7] = (uint8_t)frag;
	pkt[8] = 64;
	pkt[9] = 17;
	memcpy(pkt + 12, (const uint8_t[]){10, 1, 0, 9, 10, 2, 0, 10}, 8);
	if (options >= 12) { /* one that is copied into fragments, one that is not, padding */
		memcpy(pkt + 20, (const uint8_t[]){0x94, 4, 0, 0, 7, 7, 4, 0, 0, 0, 0, 1}, 12);
		memset(pkt + 32, 1, options - 12);
	}
	for (size_t i = 0; i < body; i++)
		pkt[hlen + i] = (uint8_t)(i * 7 + i / 256);
	return len;
}

static void punt_error(struct gateway *g, const uint8_t *pkt, size_t len, enum lm_icmp_error what,
		       uint16_t mtu, uint32_t peer)
{
	fake_frames_clear(g->c->dp);
	fake_punt(g->c->dp, &(struct lm_punt){.kind = LM_PUNT_ERROR,
					      .port = peer == UINT32_MAX ? LAN : WAN,
					      .peer = peer,
					      .error = what,
					      .mtu = mtu,
					      .data = pkt,
					      .len = len});
	gateway_idle(g);
}

/* The packets that were injected since, and nothing else was sent by then. */
static unsigned injected(struct gateway *g, const struct fake_frame *out[64])
{
	unsigned n = 0;

	for (unsigned i = 0; i < fake_frames(g->c->dp) && n < 64; i++)
		if (fake_frame(g->c->dp, i)->port == LM_DP_PORT_NONE)
			out[n++] = fake_frame(g->c->dp, i);
	return n;
}

static void check_fragments(struct gateway *g, const uint8_t *pkt, size_t len, uint16_t mtu)
{
	const struct fake_frame *f[64];
	unsigned n = injected(g, f);
	size_t hlen = (size_t)(pkt[0] & 15) * 4, covered = 0;
	uint16_t frag = be16(pkt + 6);
	uint8_t body[9216] = {0};

	assert_true(n >= 2);
	for (unsigned i = 0; i < n; i++) {
		const uint8_t *p = f[i]->data;
		size_t h = (size_t)(p[0] & 15) * 4, at = (be16(p + 6) & 0x1fff) * 8u, b;

		assert_true(f[i]->len <= mtu);
		assert_int_equal(be16(p + 2), f[i]->len);
		assert_int_equal(sum16(p, h, 0), 0xffff);
		assert_memory_equal(p + 4, pkt + 4, 2);
		assert_memory_equal(p + 8, pkt + 8, 2);
		assert_memory_equal(p + 12, pkt + 12, 8);
		at -= (frag & 0x1fff) * 8u;
		b = f[i]->len - h;
		assert_int_equal(at, covered);
		memcpy(body + at, p + h, b);
		covered += b;
		/* More fragments: all but the last, and that one too when the packet was one. */
		assert_int_equal(be16(p + 6) & 0xe000, i + 1 < n ? 0x2000 : frag & 0x2000);
		assert_true(i + 1 == n || b % 8 == 0);
		if (i == 0)
			assert_int_equal(h, hlen);
		else if (hlen > 20) { /* only the option that is to be copied */
			assert_int_equal(h, 24);
			assert_int_equal(p[20], 0x94);
		} else {
			assert_int_equal(h, 20);
		}
	}
	assert_int_equal(covered, len - hlen);
	assert_memory_equal(body, pkt + hlen, covered);
}

static void test_fragments(void **state)
{
	struct gateway *g = *state;
	static const size_t options[] = {0, 12, 40};
	static const uint16_t mtus[] = {576, 577, 583, 1000, 1280, 1408};
	uint8_t pkt[9216];

	for (unsigned o = 0; o < LM_ARRAY_SIZE(options); o++)
		for (unsigned m = 0; m < LM_ARRAY_SIZE(mtus); m++)
			for (size_t body = 1440; body < 1452; body++) {
				size_t len = make_ip4(pkt, options[o], body, 0);

				punt_error(g, pkt, len, LM_ICMP_TOO_BIG, mtus[m], UINT32_MAX);
				check_fragments(g, pkt, len, mtus[m]);
			}
}

/* Fragments are cut further, in place. */
static void test_fragments_of_fragments(void **state)
{
	struct gateway *g = *state;
	uint8_t pkt[9216];
	size_t len = make_ip4(pkt, 0, 1440, 0x2000 | 185);
	const struct fake_frame *f[64];

	punt_error(g, pkt, len, LM_ICMP_TOO_BIG, 600, UINT32_MAX);
	check_fragments(g, pkt, len, 600);
	len = make_ip4(pkt, 0, 1433, 185); /* the last one */
	punt_error(g, pkt, len, LM_ICMP_TOO_BIG, 600, UINT32_MAX);
	check_fragments(g, pkt, len, 600);
	/* Its end would lie beyond 65,535: the offsets must not run into the flags. */
	len = make_ip4(pkt, 0, 1440, 0x2000 | 0x1fff);
	punt_error(g, pkt, len, LM_ICMP_TOO_BIG, 600, UINT32_MAX);
	assert_int_equal(injected(g, f), 0);
	/* No room for even 8 bytes. */
	len = make_ip4(pkt, 40, 1440, 0);
	punt_error(g, pkt, len, LM_ICMP_TOO_BIG, 60, UINT32_MAX);
	assert_int_equal(injected(g, f), 0);
	/* From a peer: fragments would have to pass for packets of ours. */
	len = make_ip4(pkt, 0, 1440, 0);
	punt_error(g, pkt, len, LM_ICMP_TOO_BIG, 600, 0);
	assert_int_equal(injected(g, f), 0);
}

static void test_icmp_errors(void **state)
{
	struct gateway *g = *state;
	const struct fake_frame *f[64];
	uint8_t pkt[2000];
	size_t len = make_ip4(pkt, 0, 1400, 0x4000);

	punt_error(g, pkt, len, LM_ICMP_TOO_BIG, 1300, UINT32_MAX);
	assert_int_equal(injected(g, f), 1);
	assert_memory_equal(f[0]->data + 12, ((const uint8_t[]){10, 1, 0, 1, 10, 1, 0, 9}), 8);
	assert_int_equal(f[0]->data[20], 3);
	assert_int_equal(f[0]->data[21], 4);
	assert_int_equal(be16(f[0]->data + 26), 1300);
	assert_int_equal(sum16(f[0]->data + 20, f[0]->len - 20, 0), 0xffff);
	/* About a packet from a peer: spoken from the overlay address. */
	punt_error(g, pkt, len, LM_ICMP_TIME_EXCEEDED, 0, 0);
	assert_int_equal(injected(g, f), 1);
	assert_memory_equal(f[0]->data + 12, ((const uint8_t[]){100, 64, 0, 1}), 4);
	assert_int_equal(f[0]->data[20], 11);
	/* About one of the box's own. */
	fake_frames_clear(g->c->dp);
	fake_punt(g->c->dp, &(struct lm_punt){.kind = LM_PUNT_ERROR,
					      .port = LM_DP_PORT_NONE,
					      .peer = UINT32_MAX,
					      .error = LM_ICMP_NO_ROUTE,
					      .data = pkt,
					      .len = len});
	gateway_idle(g);
	assert_int_equal(injected(g, f), 1);
	/* IPv6. */
	memset(pkt, 0, 1400);
	pkt[0] = 0x60;
	pkt[4] = (1400 - 40) >> 8;
	pkt[5] = (uint8_t)(1400 - 40);
	pkt[6] = 17;
	pkt[7] = 64;
	memcpy(pkt + 8, ip("fd00:1::9").b, 16);
	memcpy(pkt + 24, ip("fd00:2::9").b, 16);
	punt_error(g, pkt, 1400, LM_ICMP_TOO_BIG, 1280, UINT32_MAX);
	assert_int_equal(injected(g, f), 1);
	assert_memory_equal(f[0]->data + 8, ip("fd00:1::1").b, 16);
	assert_int_equal(f[0]->data[40], 2);
	/* Rate limit, RFC 1812 section 4.3.2.8. */
	fake_frames_clear(g->c->dp);
	for (unsigned i = 0; i < 3000; i++)
		fake_punt(g->c->dp, &(struct lm_punt){.kind = LM_PUNT_ERROR,
						      .port = LAN,
						      .peer = UINT32_MAX,
						      .error = LM_ICMP_TIME_EXCEEDED,
						      .data = pkt,
						      .len = 1400});
	gateway_idle(g);
	assert_true(fake_frames(g->c->dp) <= 2000);
}

/* -------------------------------------------------------------- underlay -- */

static bool was_sent(struct gateway *g, const void *len)
{
	return frame_on(g, WAN, *(const size_t *)len) != NULL;
}

static void check_outer4(const uint8_t *f, size_t len, const char *to, const char *hop)
{
	const uint8_t *iph = f + 14, *udp = f + 34;
	struct lm_mac m = mac(hop);
	uint8_t pseudo[12];

	assert_memory_equal(f, m.b, 6);
	assert_int_equal(be16(f + 12), 0x0800);
	assert_int_equal(iph[0], 0x45);
	assert_int_equal(be16(iph + 2), 28 + len);
	assert_int_equal(be16(iph + 6) & 0x3fff, 0); /* whole */
	assert_int_equal(sum16(iph, 20, 0), 0xffff);
	assert_memory_equal(iph + 12, ((const uint8_t[]){192, 0, 2, 1}), 4);
	assert_memory_equal(iph + 16, ip(to).b, 4);
	assert_int_equal(be16(udp), 4500);
	assert_int_equal(be16(udp + 2), 4501);
	assert_int_equal(be16(udp + 4), 8 + len);
	memcpy(pseudo, iph + 12, 8);
	memcpy(pseudo + 8, (const uint8_t[]){0, 17, udp[4], udp[5]}, 4);
	assert_int_not_equal(be16(udp + 6), 0);
	assert_int_equal(sum16(udp, 8 + len, sum16(pseudo, 12, 0)), 0xffff);
}

static void check_outer6(const uint8_t *f, size_t len, const char *to, const char *hop)
{
	const uint8_t *iph = f + 14, *udp = f + 54;
	struct lm_mac m = mac(hop);
	uint8_t pseudo[40] = {0};

	assert_memory_equal(f, m.b, 6);
	assert_int_equal(be16(f + 12), 0x86dd);
	assert_int_equal(iph[0] >> 4, 6);
	assert_int_equal(be16(iph + 4), 8 + len);
	assert_memory_equal(iph + 8, ip("2001:db8:2::1").b, 16);
	assert_memory_equal(iph + 24, ip(to).b, 16);
	assert_int_equal(be16(udp + 4), 8 + len);
	memcpy(pseudo, iph + 8, 32);
	memcpy(pseudo + 34, udp + 4, 2);
	pseudo[39] = 17;
	assert_int_not_equal(be16(udp + 6), 0);
	assert_int_equal(sum16(udp, 8 + len, sum16(pseudo, 40, 0)), 0xffff);
}

static void send_control(struct gateway *g, const char *to, size_t len)
{
	struct lm_path path = {.port = WAN, .remote = {.ip = ip(to), .port = 4501}};
	uint8_t data[LM_CONTROL_MAX + 1];

	for (size_t i = 0; i < len; i++)
		data[i] = (uint8_t)(255 - i);
	fake_frames_clear(g->c->dp);
	lm_underlay_send(g->c, &path, data, len);
}

static void test_control_datagrams(void **state)
{
	struct gateway *g = *state;
	size_t len;

	sh("ip neigh replace 192.0.2.9 lladdr 02:00:00:00:00:09 dev wan0 nud reachable;"
	   "ip neigh replace 192.0.2.254 lladdr 02:00:00:00:00:fe dev wan0 nud reachable;"
	   "ip neigh replace 2001:db8:2::9 lladdr 02:00:00:00:00:09 dev wan0 nud reachable");
	gateway_idle(g);
	for (size_t n = 0; n <= LM_CONTROL_MAX; n += n < 20 ? 1 : 97) {
		send_control(g, "192.0.2.9", n);
		len = 42 + n;
		UNTIL(g, was_sent, &len);
		check_outer4(frame_on(g, WAN, len)->data, n, "192.0.2.9", "02:00:00:00:00:09");
		send_control(g, "198.51.100.9", n); /* through the gateway */
		UNTIL(g, was_sent, &len);
		check_outer4(frame_on(g, WAN, len)->data, n, "198.51.100.9", "02:00:00:00:00:fe");
		send_control(g, "2001:db8:2::9", n);
		len = 62 + n;
		UNTIL(g, was_sent, &len);
		check_outer6(frame_on(g, WAN, len)->data, n, "2001:db8:2::9", "02:00:00:00:00:09");
	}
}

static uint64_t unresolved(const struct gateway *g)
{
	return g->c->counters.v[LM_C_NEIGHBOUR_UNRESOLVED];
}

static void test_no_way(void **state)
{
	struct gateway *g = *state;
	struct lm_path path = {.port = LAN, .remote = {.ip = ip("10.1.0.9"), .port = 4500}};
	uint64_t before = unresolved(g);

	send_control(g, "2001:db8:99::1", 10); /* no IPv6 gateway is configured */
	assert_int_equal(unresolved(g), before + 1);
	send_control(g, "192.0.2.9", LM_CONTROL_MAX + 1);
	assert_int_equal(unresolved(g), before + 2);
	lm_underlay_send(g->c, &path, (const uint8_t *)"x", 1); /* never out of a LAN port */
	path.port = 7;
	lm_underlay_send(g->c, &path, (const uint8_t *)"x", 1);
	assert_int_equal(unresolved(g), before + 4);
	send_control(g, "192.0.2.1", 10); /* ourselves */
	assert_int_equal(unresolved(g), before + 5);
	sh("ip route del default dev wan0");
	gateway_idle(g);
	send_control(g, "198.51.100.9", 10);
	assert_int_equal(unresolved(g), before + 6);
	assert_int_equal(fake_frames(g->c->dp), 0);
}

static bool goes_to(struct gateway *g, const void *n)
{
	const struct fake_peer *p = fake_peer(g->c->dp, 0);

	return p->has_path && p->outer.hdr[5] == *(const uint8_t *)n;
}

static bool has_no_path(struct gateway *g, const void *arg)
{
	(void)arg;
	return !fake_peer(g->c->dp, 0)->has_path;
}

/* The outer headers follow the kernel's routes and neighbours. */
static void test_paths_follow_the_kernel(void **state)
{
	struct gateway *g = *state;
	struct lm_path path = {.port = WAN, .remote = {.ip = ip("198.51.100.9"), .port = 4500}};
	const struct fake_peer *p = fake_peer(g->c->dp, 0);
	uint8_t n = 0xfe;
	unsigned changes;

	assert_int_equal(gateway_peer(g, 2, "10.2.0.0/16"), 0);
	lm_control_mesh_ops.path_set(g->c, 0, &path);
	assert_false(p->has_path); /* the gateway's MAC address is not known yet */
	sh("ip neigh replace 192.0.2.254 lladdr 02:00:00:00:00:fe dev wan0 nud reachable");
	UNTIL(g, goes_to, &n);
	assert_int_equal(p->inner_mtu, lm_esp_inner_mtu(1500, false));
	assert_int_equal(p->outer.port, WAN);
	/* A host route by way of somebody else, and back. */
	n = 0x09;
	sh("ip neigh replace 192.0.2.9 lladdr 02:00:00:00:00:09 dev wan0 nud reachable;"
	   " ip route add 198.51.100.9/32 via 192.0.2.9");
	UNTIL(g, goes_to, &n);
	n = 0xfe;
	sh("ip route del 198.51.100.9/32");
	UNTIL(g, goes_to, &n);
	n = 0xfd;
	sh("ip neigh replace 192.0.2.254 lladdr 02:00:00:00:00:fd dev wan0 nud reachable");
	UNTIL(g, goes_to, &n);
	/* Many changes that change nothing: few rounds, and the workers see none. */
	changes = p->path_changes;
	sh("for i in $(seq 1 2000); do echo route add 172.$((16 + i / 250)).$((i %% 250)).0/24 "
	   "via 192.0.2.254; done | ip -batch -");
	for (unsigned i = 0; i < 200; i++)
		gateway_idle(g);
	assert_int_equal(p->path_changes, changes);
	sh("ip link set wan0 down");
	UNTIL(g, has_no_path, NULL);
	/* Up again: the address is still there, the gateway's route has to come back. */
	sh("ip link set wan0 up; ip route add default via 192.0.2.254 dev wan0 metric 512;"
	   " ip neigh replace 192.0.2.254 lladdr 02:00:00:00:00:fd dev wan0 nud reachable");
	UNTIL(g, goes_to, &n);
	/* The data plane has no memory for a moment. */
	n = 0xfe;
	fake_fail(FAKE_PATH_SET, 2, -ENOMEM);
	sh("ip neigh replace 192.0.2.254 lladdr 02:00:00:00:00:fe dev wan0 nud reachable");
	UNTIL(g, goes_to, &n);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_own_packets, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_rubbish_is_punted, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fragments, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_fragments_of_fragments, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_icmp_errors, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_control_datagrams, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_no_way, setup, teardown),
	    cmocka_unit_test_setup_teardown(test_paths_follow_the_kernel, setup, teardown),
	};

	if (!ns_enter())
		return 77;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
