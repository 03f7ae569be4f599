/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A crowd of members in one process, each the mesh core with a UDP port of its own, for one real
 * gateway: what an idle peer costs it, and what handshakes do to it. Writes the gateway's key,
 * certificate and directory into a folder, so that it finds all members without a coordinator.
 *
 *   crowd FOLDER MEMBERS ADDRESS [HANDSHAKES]
 *
 * Member i is at ADDRESS, port 10000 + i. Prints "ready AUTHORITY", then each second how many have
 * a session and how many handshakes were done; with HANDSHAKES, that many a second are begun once
 * all have one. Ends when its standard input does.
 */
#include <lanemesh/coord.h>
#include <lanemesh/mesh.h>
#include <lanemesh/trust.h>

#include <arpa/inet.h>
#include <errno.h>
#include <poll.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define FIRST_PORT   10000
#define MEMBERS_MAX  16384
#define DATAGRAM_MAX 2048
#define MESH	     "bench"

struct crowd;

struct member {
	struct crowd *crowd;
	struct lm_identity *id;
	struct lm_mesh *mesh;
	struct lm_timer due;
	uint8_t cert[LM_CERT_MAX], ann[LM_ANNOUNCE_MAX];
	size_t cert_len, ann_len;
	int fd;
	uint32_t gateway; /* its number there, once known */
};

struct crowd {
	struct lm_identity *authority;
	struct lm_authorities authorities;
	struct lm_ip ip;
	struct member *members;
	unsigned n, rate;
	uint64_t sas;
	struct lm_timers timers;
	int epoll;
};

static void must(int rc, const char *what)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "crowd: %s: %s\n", what, strerror(-rc));
	exit(1);
}

static void must_text(int rc, const struct lm_error *err)
{
	if (rc >= 0)
		return;
	fprintf(stderr, "crowd: %s\n", err->text);
	exit(1);
}

static struct lm_now now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct lm_now){.mono = (lm_time)ts.tv_sec * LM_SEC + (lm_time)ts.tv_nsec,
			       .wall = (int64_t)time(NULL)};
}

/* -------------------------------------------------------------- members -- */

static int op_send(void *user, const struct lm_path *path, const uint8_t *data, size_t len)
{
	const struct member *m = user;
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_port = htons(path->remote.port)};

	memcpy(&to.sin_addr, path->remote.ip.b, 4);
	/* What does not go out is lost, as on any link. */
	(void)sendto(m->fd, data, len, MSG_DONTWAIT, (struct sockaddr *)&to, sizeof(to));
	return 0;
}

static int op_sa_in_add(void *user, const struct lm_mesh_sa_in *sa)
{
	const struct member *m = user;

	(void)sa;
	m->crowd->sas++;
	return 0;
}

static void op_sa_in_del(void *user, uint32_t spi_base)
{
	(void)user, (void)spi_base;
}

static int op_sa_out_set(void *user, uint32_t peer, const struct lm_mesh_sa_out *sa)
{
	(void)user, (void)peer, (void)sa;
	return 0;
}

static void op_path_set(void *user, uint32_t peer, const struct lm_path *path)
{
	(void)user, (void)peer, (void)path;
}

static int op_peer_set(void *user, uint32_t peer, const struct lm_cert *cert,
		       const struct lm_announcement *ann)
{
	struct member *m = user;

	(void)cert, (void)ann;
	m->gateway = peer;
	return 0;
}

static void op_peer_gone(void *user, uint32_t peer)
{
	(void)user, (void)peer;
}

static void op_reachable(void *user, uint32_t peer, bool yes)
{
	(void)user, (void)peer, (void)yes;
}

static void op_signal(void *user, const uint8_t node[32])
{
	(void)user, (void)node; /* there is no coordinator */
}

/* A gateway that relays may make a member an end: here no ESP is sent, so there is nothing to do.
 */
static int op_relay_set(void *user, const struct lm_mesh_relay *r)
{
	(void)user, (void)r;
	return 0;
}

static void op_relay_end(void *user, uint64_t id)
{
	(void)user, (void)id;
}

static void op_bytes(void *user, uint64_t sequence, const uint8_t *data, size_t len)
{
	(void)user, (void)sequence, (void)data, (void)len;
}

static void op_list(void *user, const uint8_t *data, size_t len)
{
	(void)user, (void)data, (void)len;
}

static void op_random(void *user, void *out, size_t len)
{
	(void)user;
	randombytes_buf(out, len);
}

static const struct lm_mesh_ops ops = {
    .send = op_send,
    .sa_in_add = op_sa_in_add,
    .sa_in_del = op_sa_in_del,
    .sa_out_set = op_sa_out_set,
    .path_set = op_path_set,
    .reachable = op_reachable,
    .peer_set = op_peer_set,
    .peer_gone = op_peer_gone,
    .announce = op_bytes,
    .revocation = op_list,
    .relay_set = op_relay_set,
    .relay_end = op_relay_end,
    .signal = op_signal,
    .random = op_random,
};

/* Number 0 is the gateway, member i number i + 1: an overlay address and a /24 each. */
static size_t sign_cert(struct crowd *c, const struct lm_identity *id, unsigned number,
			uint8_t cert[LM_CERT_MAX])
{
	uint32_t overlay = 0x64400000u + number, net = 0x0a000000u + (number << 8);
	struct lm_cert x = {
	    .serial = number + 1,
	    .not_before = now().wall - 3600,
	    .not_after = now().wall + 30 * 86400,
	    .n_overlays = 1,
	    .n_prefixes = 1,
	    .overlays[0] =
		lm_ip4((const uint8_t[]){(uint8_t)(overlay >> 24), (uint8_t)(overlay >> 16),
					 (uint8_t)(overlay >> 8), (uint8_t)overlay}),
	    .prefixes[0] = {.ip =
				lm_ip4((const uint8_t[]){(uint8_t)(net >> 24), (uint8_t)(net >> 16),
							 (uint8_t)(net >> 8), 0}),
			    .len = 24},
	};
	struct lm_error err;
	int n;

	memcpy(x.node, id->ed_public, LM_KEY_LEN);
	snprintf(x.mesh, sizeof(x.mesh), "%s", MESH);
	snprintf(x.name, sizeof(x.name), "site-%05u", number);
	n = lm_cert_sign(c->authority, &x, cert, LM_CERT_MAX, &err);
	must_text(n, &err);
	return (size_t)n;
}

static void rearm(struct member *m)
{
	must(lm_timer_set(&m->crowd->timers, &m->due, lm_mesh_next(m->mesh)), "timer");
}

static void member_new(struct crowd *c, unsigned i)
{
	struct member *m = &c->members[i];
	struct sockaddr_in at = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)(FIRST_PORT + i))};
	struct epoll_event ev = {.events = EPOLLIN, .data.ptr = m};
	struct lm_local_endpoint local = {.kind = LM_EP_HOST,
					  .ep = {.ip = c->ip, .port = (uint16_t)(FIRST_PORT + i)}};
	struct lm_mesh_config cfg = {.authorities = c->authorities,
				     .lanes = 1,
				     .max_peers = 1,
				     .handshake_limit = 100000,
				     .timers = lm_mesh_timers_default()};
	const uint8_t *ann;
	struct lm_error err;

	m->crowd = c;
	m->gateway = LM_PEER_NONE;
	m->id = lm_identity_generate();
	if (m->id == NULL)
		must(-ENOMEM, "identity");
	m->cert_len = sign_cert(c, m->id, i + 1, m->cert);
	m->fd = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	memcpy(&at.sin_addr, c->ip.b, 4);
	if (m->fd < 0 || bind(m->fd, (struct sockaddr *)&at, sizeof(at)) != 0 ||
	    epoll_ctl(c->epoll, EPOLL_CTL_ADD, m->fd, &ev) != 0)
		must(-errno, "socket");
	cfg.identity = m->id;
	cfg.cert = m->cert;
	cfg.cert_len = m->cert_len;
	/* The gateway rekeys; here only what is asked for. */
	cfg.timers.rekey = 3600 * LM_SEC;
	cfg.timers.reject = 7200 * LM_SEC;
	m->mesh = lm_mesh_new(&cfg, &ops, m, now(), &err);
	must_text(m->mesh == NULL ? -1 : 0, &err);
	lm_mesh_local(m->mesh, now(), &local, 1);
	ann = lm_mesh_own_announcement(m->mesh, &m->ann_len);
	memcpy(m->ann, ann, m->ann_len);
	rearm(m);
}

/* ---------------------------------------------------------------- files -- */

static void write_files(struct crowd *c, const char *folder)
{
	struct lm_directory *d = lm_directory_new(c->n);
	struct lm_identity *gateway = lm_identity_generate();
	uint8_t cert[LM_CERT_MAX];
	char path[512];
	struct lm_error err;
	size_t len;

	if (d == NULL || gateway == NULL)
		must(-ENOMEM, "directory");
	len = sign_cert(c, gateway, 0, cert);
	snprintf(path, sizeof(path), "%s/gw.key", folder);
	must_text(lm_armor_write(path, LM_LABEL_KEY, gateway->ed_secret, 32, true, &err), &err);
	snprintf(path, sizeof(path), "%s/gw.crt", folder);
	must_text(lm_armor_write(path, LM_LABEL_CERT, cert, len, true, &err), &err);
	for (unsigned i = 0; i < c->n; i++)
		must(lm_directory_put(d, LM_DIRECTORY_NO_SOURCE, c->members[i].cert,
				      c->members[i].cert_len, c->members[i].ann,
				      c->members[i].ann_len),
		     "directory");
	snprintf(path, sizeof(path), "%s/state", folder);
	if (mkdir(path, 0755) != 0 && errno != EEXIST)
		must(-errno, path);
	snprintf(path, sizeof(path), "%s/state/directory", folder);
	must_text(lm_directory_save(d, path, &err), &err);
	lm_directory_free(d);
	lm_identity_free(gateway);
}

/* ----------------------------------------------------------------- life -- */

static void receive(struct member *m)
{
	uint8_t data[DATAGRAM_MAX];
	struct sockaddr_in from;
	socklen_t from_len = sizeof(from);
	ssize_t n = recvfrom(m->fd, data, sizeof(data), 0, (struct sockaddr *)&from, &from_len);
	struct lm_path path = {0};

	if (n <= 0 || lm_demux(data, (size_t)n) != LM_DEMUX_CONTROL)
		return;
	path.remote.ip = lm_ip4((const uint8_t *)&from.sin_addr);
	path.remote.port = ntohs(from.sin_port);
	lm_mesh_datagram(m->mesh, now(), &path, data, (size_t)n);
	rearm(m);
}

static unsigned count_up(const struct crowd *c)
{
	struct lm_peer_info info;
	unsigned up = 0;

	for (unsigned i = 0; i < c->n; i++)
		up += lm_mesh_peer(c->members[i].mesh, 0, &info) && info.state == LM_PEER_UP;
	return up;
}

/* Handshakes begun by one member after the other. */
static void call(struct crowd *c, unsigned *turn, lm_time *next)
{
	while (c->rate > 0 && now().mono >= *next) {
		struct member *m = &c->members[*turn];

		if (m->gateway != LM_PEER_NONE) {
			(void)lm_mesh_rekey(m->mesh, now(), m->gateway);
			rearm(m);
		}
		*turn = (*turn + 1) % c->n;
		*next += LM_SEC / c->rate;
	}
}

static void run(struct crowd *c)
{
	struct pollfd in = {.fd = STDIN_FILENO, .events = POLLIN};
	struct epoll_event ev[64];
	lm_time said = now().mono, calls = 0;
	unsigned turn = 0, up = 0;

	for (;;) {
		int n = epoll_wait(c->epoll, ev, LM_ARRAY_SIZE(ev), 1);
		struct lm_timer *t;

		for (int i = 0; i < n; i++)
			receive(ev[i].data.ptr);
		while ((t = lm_timers_pop(&c->timers, now().mono)) != NULL) {
			struct member *m =
			    (struct member *)((char *)t - offsetof(struct member, due));

			lm_mesh_tick(m->mesh, now());
			rearm(m);
		}
		if (up == c->n)
			call(c, &turn, &calls);
		if (now().mono - said < LM_SEC)
			continue;
		said = now().mono;
		up = count_up(c);
		if (up == c->n && calls == 0)
			calls = said;
		printf("%u %llu\n", up, (unsigned long long)c->sas);
		if (fflush(stdout) != 0 || (poll(&in, 1, 0) > 0 && getchar() == EOF))
			return;
	}
}

int main(int argc, char **argv)
{
	struct rlimit files = {65536, 65536};
	struct crowd c = {0};
	char authority[65];

	c.n = argc >= 4 ? (unsigned)strtoul(argv[2], NULL, 10) : 0;
	if (c.n < 1 || c.n > MEMBERS_MAX || argc > 5 || lm_ip_parse(argv[3], &c.ip) != 0) {
		fprintf(stderr, "usage: bench-crowd FOLDER MEMBERS ADDRESS [HANDSHAKES]\n");
		return 2;
	}
	c.rate = argc == 5 ? (unsigned)strtoul(argv[4], NULL, 10) : 0;
	(void)setrlimit(RLIMIT_NOFILE, &files);
	must(lm_crypto_init(), "libsodium");
	c.authority = lm_identity_generate();
	c.members = calloc(c.n, sizeof(c.members[0]));
	c.epoll = epoll_create1(EPOLL_CLOEXEC);
	if (c.authority == NULL || c.members == NULL || c.epoll < 0)
		must(-ENOMEM, "members");
	snprintf(c.authorities.mesh, sizeof(c.authorities.mesh), "%s", MESH);
	c.authorities.n = 1;
	memcpy(c.authorities.keys[0], c.authority->ed_public, LM_KEY_LEN);
	for (unsigned i = 0; i < c.n; i++)
		member_new(&c, i);
	write_files(&c, argv[1]);
	sodium_bin2hex(authority, sizeof(authority), c.authority->ed_public, LM_KEY_LEN);
	printf("ready %s\n", authority);
	if (fflush(stdout) != 0)
		return 1;
	run(&c);
	return 0;
}
