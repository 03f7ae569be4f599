/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Real devices: net_af_packet on veth pairs and net_tap, in a network namespace
 * that ends with the process. Frames go kernel -> port -> port -> kernel, both ways.
 */
#include <lanemesh/esp.h>
#include <lanemesh/port.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <net/if.h>
#include <poll.h>
#include <rte_ethdev.h>
#include <rte_mbuf.h>
#include <sched.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ETHERTYPE 0x88b5 /* IEEE 802: local experimental */
#define FRAMES	  300u
#define MBUFS	  16384u
#define WAIT_S	  20

struct env {
	struct lm_eal eal;
	void *pool;
	char runtime[128];
};

static void run(const char *fmt, ...) LM_PRINTF(1, 2);
static void run(const char *fmt, ...)
{
	char cmd[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(cmd, sizeof(cmd), fmt, ap);
	va_end(ap);
	if (system(cmd) != 0)
		fail_msg("%s", cmd);
}

static bool expired(time_t start)
{
	return time(NULL) - start > WAIT_S;
}

static double rss_mb(void)
{
	unsigned long total = 0, resident = 0;
	FILE *f = fopen("/proc/self/statm", "r");

	assert_non_null(f);
	assert_int_equal(fscanf(f, "%lu %lu", &total, &resident), 2);
	fclose(f);
	return (double)resident * (double)sysconf(_SC_PAGESIZE) / 1e6;
}

/* A raw socket on a kernel interface: the wire on the far side of a port. */
static int wire(const char *ifname)
{
	struct sockaddr_ll a = {.sll_family = AF_PACKET,
				.sll_protocol = htons(ETHERTYPE),
				.sll_ifindex = (int)if_nametoindex(ifname)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, htons(ETHERTYPE)), on = 1;

	assert_true(fd >= 0);
	assert_true(a.sll_ifindex > 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&a, sizeof(a)), 0);
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_IGNORE_OUTGOING, &on, sizeof(on)), 0);
	return fd;
}

/* Frame i: sizes from the smallest to max, content that depends on i. */
static size_t make_frame(uint8_t *b, unsigned i, size_t max)
{
	size_t len = 60 + (size_t)i * (max - 60) / (FRAMES - 1);

	memset(b, 0xff, 6);
	memcpy(b + 6, "\x02\0\0\0\0\x99", 6);
	b[12] = ETHERTYPE >> 8;
	b[13] = ETHERTYPE & 0xff;
	b[14] = (uint8_t)(i >> 8);
	b[15] = (uint8_t)i;
	for (size_t k = 16; k < len; k++)
		b[k] = (uint8_t)(k * 7 + i);
	return len;
}

/* One round of a forwarder: everything that waits on `from` goes out of `to`. */
static void forward(const struct lm_port *from, const struct lm_port *to)
{
	struct rte_mbuf *m[32];

	for (uint16_t q = 0; q < lm_port_queues(from); q++) {
		uint16_t n = rte_eth_rx_burst(lm_port_id(from), q, m, 32);
		uint16_t sent = 0;
		time_t start = time(NULL);

		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(m[i]->nb_segs, 1);
			assert_true(rte_pktmbuf_headroom(m[i]) >= RTE_PKTMBUF_HEADROOM);
			assert_true(rte_pktmbuf_tailroom(m[i]) >= LM_ESP_TAILROOM);
		}
		while (sent < n && !expired(start))
			sent += rte_eth_tx_burst(lm_port_id(to), 0, m + sent, n - sent);
		assert_int_equal(sent, n);
	}
}

/* Sends all frames into in_if, forwards, and checks that each comes out of out_if once. */
static void pass_frames(const char *in_if, const struct lm_port *from, const struct lm_port *to,
			const char *out_if, size_t max)
{
	int in = wire(in_if), out = wire(out_if);
	static uint8_t sent[16384], got[16384];
	bool seen[FRAMES] = {false};
	unsigned n_sent = 0, n_seen = 0;
	time_t start = time(NULL);

	while (n_seen < FRAMES && !expired(start)) {
		ssize_t n;

		/* a few at a time: rings are small and this is not about speed */
		for (unsigned k = 0; k < 8 && n_sent < FRAMES; k++) {
			size_t len = make_frame(sent, n_sent, max);

			if (send(in, sent, len, 0) == (ssize_t)len)
				n_sent++;
		}
		forward(from, to);
		while ((n = recv(out, got, sizeof(got), 0)) > 0) {
			unsigned i = (unsigned)got[14] << 8 | got[15];

			assert_true(i < FRAMES && !seen[i]);
			assert_int_equal(n, make_frame(sent, i, max));
			assert_memory_equal(got, sent, (size_t)n);
			seen[i] = true;
			n_seen++;
		}
	}
	assert_int_equal(n_seen, FRAMES);
	close(in);
	close(out);
}

static struct lm_port *open_port(struct env *e, const char *name, const char *device, uint16_t mtu,
				 unsigned workers)
{
	struct lm_port_config cfg = {
	    .name = name, .device = device, .mtu = mtu, .workers = workers, .pool = e->pool};
	struct lm_error err;
	struct lm_port *p;

	if (lm_port_open(&cfg, &p, &err) < 0)
		fail_msg("%s", err.text);
	return p;
}

static void veth(const char *a, const char *b, unsigned mtu)
{
	run("ip link add %s mtu %u type veth peer name %s mtu %u", a, mtu, b, mtu);
	run("ip link set %s up && ip link set %s up", a, b);
}

/* The kernel tells of a lost carrier a little later: up to a second on a busy machine. */
static bool link_becomes(const struct lm_port *p, bool up)
{
	for (unsigned i = 0; i < 500 && lm_port_link_up(p) != up; i++)
		(void)poll(NULL, 0, 10);
	return lm_port_link_up(p) == up;
}

static void af_packet_to_tap(void **state)
{
	struct env *e = *state;
	struct lm_port_stats s;
	struct lm_port *a, *t;
	struct lm_mac mac;
	char text[LM_MAC_STRLEN];

	veth("lan0", "lan1", 1500);
	a = open_port(e, "lan", "net_af_packet0,iface=lan1", 1500, 2);
	t = open_port(e, "wan", "net_tap0,iface=lmtap0", 1500, 2);
	run("ip link set lmtap0 up");
	assert_string_equal(lm_port_driver(a), "net_af_packet");
	assert_string_equal(lm_port_driver(t), "net_tap");
	assert_int_equal(lm_port_queues(a), 2);
	assert_int_equal(lm_port_queues(t), 2);
	assert_int_equal(lm_port_mtu(a), 1500);
	assert_true(link_becomes(a, true));
	mac = lm_port_mac(a);
	run("ip -o link show lan1 | grep -q 'ether %s '", lm_mac_format(&mac, text));
	pass_frames("lan0", a, t, "lmtap0", 1514);
	pass_frames("lmtap0", t, a, "lan0", 1514);
	assert_int_equal(lm_port_stats(a, &s), 0);
	assert_int_equal(s.rx_packets, FRAMES);
	assert_int_equal(s.tx_packets, FRAMES);
	assert_true(s.rx_bytes > FRAMES * 60 && s.rx_bytes == s.tx_bytes);
	run("ip link set lan0 down");
	assert_true(link_becomes(a, false));
	lm_port_close(t);
	lm_port_close(a);
	assert_int_equal(if_nametoindex("lmtap0"), 0);
	run("ip link del lan0");
}

static void jumbo(void **state)
{
	struct env *e = *state;
	struct lm_port *a, *b;

	veth("j0", "j1", 9000);
	veth("k0", "k1", 1500); /* the port raises its own end */
	a = open_port(e, "j", "net_af_packet0,iface=j1", 9000, 1);
	b = open_port(e, "k", "net_af_packet1,iface=k1", 9000, 1);
	run("ip -o link show k1 | grep -q 'mtu 9000 '");
	run("ip link set k0 mtu 9000");
	assert_int_equal(lm_port_queues(a), 1);
	pass_frames("j0", a, b, "k0", 9014);
	lm_port_close(a);
	lm_port_close(b);
	run("ip link del j0; ip link del k0");
}

static void own_mac(void **state)
{
	struct env *e = *state;
	struct lm_port_config cfg = {.name = "m",
				     .device = "net_af_packet0,iface=m1",
				     .mtu = 1400,
				     .has_mac = true,
				     .mac = {{2, 1, 2, 3, 4, 5}},
				     .workers = 1,
				     .pool = e->pool};
	struct lm_error err;
	struct lm_port *p;
	struct lm_mac mac;

	veth("m0", "m1", 1500);
	assert_int_equal(lm_port_open(&cfg, &p, &err), 0);
	mac = lm_port_mac(p);
	assert_memory_equal(&mac, &cfg.mac, sizeof(mac));
	run("ip -o link show m1 | grep -q 'ether 02:01:02:03:04:05 '");
	pass_frames("m0", p, p, "m0", 1414);
	lm_port_close(p);
	cfg.device = "net_tap0,iface=m2";
	assert_int_equal(lm_port_open(&cfg, &p, &err), 0);
	run("ip -o link show m2 | grep -q 'ether 02:01:02:03:04:05 '");
	run("ip -o link show m2 | grep -q 'mtu 1400 '");
	lm_port_close(p);
	run("ip link del m0");
}

/* Takes and frees what waits in the queues: how many. */
static unsigned take_all(const struct lm_port *p)
{
	struct rte_mbuf *m[32];
	unsigned taken = 0;

	for (uint16_t q = 0; q < lm_port_queues(p); q++) {
		uint16_t n;

		while ((n = rte_eth_rx_burst(lm_port_id(p), q, m, 32)) > 0) {
			rte_pktmbuf_free_bulk(m, n);
			taken += n;
		}
	}
	return taken;
}

static uint64_t missed(struct lm_port *p)
{
	struct lm_port_stats s;

	assert_int_equal(lm_port_stats(p, &s), 0);
	return s.rx_missed;
}

/* Nobody polls: what does not fit the kernel's ring shows up as missed, and only that. */
static void full_ring(void **state)
{
	struct env *e = *state;
	struct lm_port *p, *other;
	uint64_t lost = 0;
	unsigned sent = 0, taken = 0;
	uint8_t frame[1514];
	int in;

	veth("f0", "f1", 1500);
	veth("g0", "g1", 1500);
	p = open_port(e, "f", "net_af_packet0,iface=f1,framecnt=16", 1500, 2);
	other = open_port(e, "g", "net_af_packet1,iface=g1,framecnt=16", 1500, 1);
	in = wire("f0");
	for (unsigned round = 0; round < 3; round++) {
		time_t start = time(NULL);

		for (unsigned i = 0; i < 100; i++)
			sent += send(in, frame, make_frame(frame, i, 200), 0) > 0;
		/* The kernel may deliver a little later. The rings hold 16 each at most. */
		while (missed(p) < lost + 100 - 32 && !expired(start))
			(void)poll(NULL, 0, 10);
		while (taken + missed(p) < sent && !expired(start))
			taken += take_all(p);
		assert_true(missed(p) >= lost + 100 - 32); /* adds up, though reading resets it */
		lost = missed(p);
	}
	assert_int_equal(sent, 300);
	assert_int_equal(taken + lost, sent);
	assert_true(taken > 0);
	assert_int_equal(missed(other), 0);
	close(in);
	lm_port_close(p);
	/* Another time: numbers start anew, for they are of other sockets. */
	p = open_port(e, "f", "net_af_packet0,iface=f1,framecnt=16", 1500, 1);
	assert_int_equal(missed(p), 0);
	lm_port_close(p);
	lm_port_close(other);
	run("ip link del f0; ip link del g0");
}

static void refusals(void **state)
{
	static const char *const wrong[] = {"",
					    "net_nosuch0",
					    "net_af_packet0,iface=nosuch",
					    "net_af_packet0",
					    "net_af_packet0,iface=e1,qpairs=x",
					    "0000:99:00.0"};
	struct env *e = *state;
	struct lm_port_config cfg = {
	    .name = "the-port", .mtu = 1500, .workers = 1, .pool = e->pool};
	unsigned before = rte_mempool_avail_count(e->pool);
	struct lm_port *p, *q;
	struct lm_error err;

	veth("e0", "e1", 1500);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(wrong); i++) {
		cfg.device = wrong[i];
		assert_true(lm_port_open(&cfg, &p, &err) < 0);
		assert_non_null(strstr(err.text, "port the-port"));
	}
	/* the same device for two ports */
	p = open_port(e, "first", "net_af_packet0,iface=e1", 1500, 1);
	cfg.device = "net_af_packet0,iface=e1";
	assert_int_equal(lm_port_open(&cfg, &q, &err), -EEXIST);
	pass_frames("e0", p, p, "e0", 1514);		/* the first one lives on */
	assert_int_equal(rte_eth_dev_count_avail(), 1); /* and DPDK's tools see it */
	lm_port_close(p);
	/* frames that the ring cannot hold */
	cfg.device = "net_af_packet0,iface=e1,framesz=2048";
	cfg.mtu = 9000;
	assert_true(lm_port_open(&cfg, &p, &err) < 0);
	assert_non_null(strstr(err.text, "framesz="));
	/* nothing of all that stays */
	assert_int_equal(rte_eth_dev_count_avail(), 0);
	assert_int_equal(rte_mempool_avail_count(e->pool), before);
	run("ip link del e0");
}

static void pools(void **state)
{
	struct lm_error err;
	void *p;

	(void)state;
	assert_int_equal(lm_pool_create("tiny", 10, 1500, &p, &err), -EINVAL);
	assert_int_equal(lm_pool_create("giant", 1000000, 1500, &p, &err), -ENOMEM);
	assert_non_null(strstr(err.text, "memory.size_mb"));
	assert_int_equal(lm_pool_create("wide", 1024, 65535, &p, &err), -EINVAL);
	assert_int_equal(lm_pool_create("small", 1024, 1500, &p, &err), 0);
	lm_pool_free(p);
	assert_true(lm_pool_need(2, 2, 1000) > 2 * 2 * 2048 + 1000);
	assert_true(lm_pool_need(2, 2, 0) < MBUFS);
}

static int setup(void **state)
{
	static struct env e;
	static const struct lm_log log = {.level = LM_LOG_WARN, .sink = lm_log_stderr};
	struct lm_eal_config cfg = {
	    .workers = 2, .hugepages = LM_HUGEPAGES_NO, .memory_mb = 320, .log = &log};
	char instance[32];
	double before = rss_mb();
	struct lm_error err;

	snprintf(instance, sizeof(instance), "unit-%d", (int)getpid());
	cfg.instance = instance;
	if (lm_eal_start(&cfg, &e.eal, &err) < 0) {
		print_error("%s\n", err.text);
		return -1;
	}
	print_message("EAL: %.0f MB", rss_mb() - before);
	if (lm_pool_create("unit", MBUFS, 9000, &e.pool, &err) < 0) {
		print_error("%s\n", err.text);
		return -1;
	}
	print_message(", and %u jumbo buffers: %.0f MB\n", MBUFS, rss_mb() - before);
	snprintf(e.runtime, sizeof(e.runtime), "%s", rte_eal_get_runtime_dir());
	*state = &e;
	return 0;
}

static int teardown(void **state)
{
	struct env *e = *state;
	struct stat st;

	lm_pool_free(e->pool);
	lm_eal_stop(&e->eal);
	if (stat(e->runtime, &st) == 0) {
		print_error("%s is still there\n", e->runtime);
		return -1;
	}
	return 0;
}

/* Off: the kernel's own IPv6 chatter on the interfaces. */
static bool private_namespace(void)
{
	int fd;
	bool ok;

	if (unshare(CLONE_NEWNET) < 0)
		return false;
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
	ok = fd < 0 || write(fd, "1", 1) == 1;
	if (fd >= 0)
		close(fd);
	return ok;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(pools),	 cmocka_unit_test(af_packet_to_tap),
	    cmocka_unit_test(jumbo),	 cmocka_unit_test(own_mac),
	    cmocka_unit_test(full_ring), cmocka_unit_test(refusals),
	};

	if (geteuid() != 0 || !private_namespace()) {
		print_message("skipped: a network namespace and packet sockets need root\n");
		return 77;
	}
	return cmocka_run_group_tests(tests, setup, teardown);
}
