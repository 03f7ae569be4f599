/* SPDX-License-Identifier: BSD-3-Clause */
#include "fake_dp.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PEERS	   64
#define FRAMES_MAX 65536
#define ROUTES_MAX 65536
#define RELAYS	   64

struct route {
	struct lm_prefix prefix;
	struct lm_route route;
};

struct punt {
	struct punt *next;
	struct lm_punt p;
	uint8_t data[];
};

struct lm_dp {
	int event_fd;
	struct lm_dp_port_info ports[LM_DP_PORTS_MAX];
	unsigned n_ports, workers;
	struct route *routes;
	unsigned n_routes, route_changes;
	struct fake_frame *frames;
	unsigned n_frames;
	struct fake_peer peers[PEERS];
	struct fake_relay relays[RELAYS];
	uint64_t quota;
	struct lm_ip addresses[LM_DP_PORTS_MAX][LM_DP_ADDRESSES_MAX];
	unsigned n_addresses[LM_DP_PORTS_MAX], n_own;
	struct punt *punts, **punts_tail;
};

static struct lm_dp *the_dp;
static struct {
	unsigned n;
	int rc;
} failing[FAKE_CALLS];

void fake_fail(enum fake_call call, unsigned n, int rc)
{
	failing[call].n = n;
	failing[call].rc = rc;
}

static int fails(enum fake_call call)
{
	if (failing[call].n == 0)
		return 0;
	failing[call].n--;
	return failing[call].rc;
}

struct lm_dp *fake_dp(void)
{
	return the_dp;
}

struct lm_dp *fake_new(void)
{
	struct lm_dp *dp = calloc(1, sizeof(*dp));

	if (dp == NULL)
		abort();
	dp->event_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	dp->punts_tail = &dp->punts;
	dp->routes = calloc(ROUTES_MAX, sizeof(*dp->routes));
	dp->frames = calloc(FRAMES_MAX, sizeof(*dp->frames));
	dp->workers = 1;
	return dp;
}

int lm_dp_create(const struct lm_dp_config *cfg, struct lm_dp **out, struct lm_error *err)
{
	int rc = fails(FAKE_CREATE);
	struct lm_dp *dp;

	if (rc != 0)
		return lm_error_set(err, -rc, "the fake data plane does not start");
	dp = fake_new();
	dp->workers = cfg->workers;
	dp->n_ports = cfg->n_ports;
	for (unsigned i = 0; i < cfg->n_ports; i++)
		dp->ports[i] = (struct lm_dp_port_info){
		    .name = cfg->ports[i].name,
		    .driver = "fake",
		    .role = cfg->ports[i].role,
		    .mac = cfg->ports[i].has_mac
			       ? cfg->ports[i].mac
			       : (struct lm_mac){{2, 0xfa, 0x4e, 0, 0, (uint8_t)i}},
		    .link_up = true,
		    .mtu = cfg->ports[i].mtu,
		    .queues = 1,
		};
	*out = the_dp = dp;
	return 0;
}

void lm_dp_free(struct lm_dp *dp)
{
	if (dp == NULL)
		return;
	while (dp->punts != NULL) {
		struct punt *p = dp->punts;

		dp->punts = p->next;
		free(p);
	}
	fake_frames_clear(dp);
	free(dp->frames);
	free(dp->routes);
	close(dp->event_fd);
	if (dp == the_dp)
		the_dp = NULL;
	free(dp);
}

/* ---------------------------------------------------------------- routes -- */

static struct route *find(const struct lm_dp *dp, const struct lm_prefix *prefix)
{
	for (unsigned i = 0; i < dp->n_routes; i++)
		if (lm_prefix_equal(&dp->routes[i].prefix, prefix))
			return &dp->routes[i];
	return NULL;
}

int lm_dp_route_set(struct lm_dp *dp, const struct lm_prefix *prefix, const struct lm_route *r)
{
	struct route *at = find(dp, prefix);
	int rc = fails(FAKE_ROUTE_SET);

	if (rc != 0 || (at == NULL && dp->n_routes == ROUTES_MAX))
		return rc != 0 ? rc : -ENOSPC;
	if (at == NULL)
		at = &dp->routes[dp->n_routes++];
	*at = (struct route){.prefix = *prefix, .route = *r};
	dp->route_changes++;
	return 0;
}

int lm_dp_route_del(struct lm_dp *dp, const struct lm_prefix *prefix)
{
	struct route *at = find(dp, prefix);

	if (at == NULL)
		return -ENOENT;
	*at = dp->routes[--dp->n_routes];
	dp->route_changes++;
	return 0;
}

uint32_t lm_dp_route_count(const struct lm_dp *dp)
{
	return dp->n_routes;
}

const struct lm_route *fake_route(const struct lm_dp *dp, const char *prefix)
{
	struct lm_prefix p;
	const struct route *r;

	if (lm_prefix_parse(prefix, &p) != 0)
		abort();
	r = find(dp, &p);
	return r != NULL ? &r->route : NULL;
}

unsigned fake_route_changes(const struct lm_dp *dp)
{
	return dp->route_changes;
}

/* ---------------------------------------------------------- other tables -- */

int lm_dp_own_set(struct lm_dp *dp, const struct lm_prefix *prefixes, unsigned n)
{
	(void)prefixes;
	dp->n_own = n;
	return fails(FAKE_OWN_SET);
}

unsigned fake_own(const struct lm_dp *dp)
{
	return dp->n_own;
}

int lm_dp_addresses_set(struct lm_dp *dp, uint16_t port, const struct lm_ip *ips, unsigned n)
{
	int rc = fails(FAKE_ADDRESSES_SET);

	if (rc != 0 || port >= dp->n_ports || n > LM_DP_ADDRESSES_MAX)
		return rc != 0 ? rc : -EINVAL;
	memcpy(dp->addresses[port], ips, n * sizeof(*ips));
	dp->n_addresses[port] = n;
	return 0;
}

unsigned fake_addresses(const struct lm_dp *dp, uint16_t port, const struct lm_ip **ips)
{
	*ips = dp->addresses[port];
	return dp->n_addresses[port];
}

int lm_dp_peer_set(struct lm_dp *dp, uint32_t peer, const struct lm_prefix *prefixes, unsigned n)
{
	int rc = fails(FAKE_PEER_SET);

	(void)prefixes;
	if (rc != 0 || peer >= PEERS)
		return rc != 0 ? rc : -ENOMEM;
	if (n == 0)
		dp->peers[peer] = (struct fake_peer){0};
	dp->peers[peer].n_prefixes = n;
	return 0;
}

int lm_dp_path_set(struct lm_dp *dp, uint32_t peer, const struct lm_outer *outer,
		   uint16_t inner_mtu)
{
	int rc = fails(FAKE_PATH_SET);

	if (rc != 0 || peer >= PEERS)
		return rc != 0 ? rc : -ENOMEM;
	dp->peers[peer].has_path = outer != NULL;
	if (outer != NULL)
		dp->peers[peer].outer = *outer;
	dp->peers[peer].inner_mtu = inner_mtu;
	dp->peers[peer].path_changes++;
	return 0;
}

const struct fake_relay *fake_relay(const struct lm_dp *dp, uint64_t id)
{
	for (unsigned i = 0; i < RELAYS; i++)
		if (dp->relays[i].id == id)
			return &dp->relays[i];
	return NULL;
}

int lm_dp_relay_set(struct lm_dp *dp, uint64_t id, const struct lm_dp_relay *r)
{
	struct fake_relay *at = (struct fake_relay *)fake_relay(dp, id);

	if (at == NULL)
		at = (struct fake_relay *)fake_relay(dp, 0);
	if (at == NULL)
		return -ENOSPC;
	*at = (struct fake_relay){.id = id, .r = *r};
	if (r->outer != NULL) {
		at->outer = *r->outer;
		at->r.outer = &at->outer;
	}
	return 0;
}

void lm_dp_relay_end(struct lm_dp *dp, uint64_t id)
{
	struct fake_relay *at = (struct fake_relay *)fake_relay(dp, id);

	if (at != NULL)
		*at = (struct fake_relay){0};
}

void lm_dp_relay_quota(struct lm_dp *dp, uint64_t bytes_per_second)
{
	dp->quota = bytes_per_second;
}

uint64_t fake_relay_quota(const struct lm_dp *dp)
{
	return dp->quota;
}

int lm_dp_relay_usage(const struct lm_dp *dp, uint64_t id, struct lm_dp_relay_usage *out)
{
	*out = (struct lm_dp_relay_usage){.packets = 1, .bytes = 100};
	return fake_relay(dp, id) != NULL ? 0 : -ENOENT;
}

const struct fake_peer *fake_peer(const struct lm_dp *dp, uint32_t peer)
{
	return &dp->peers[peer];
}

int lm_dp_sa_in_add(struct lm_dp *dp, uint32_t peer, uint32_t spi_base, unsigned lanes,
		    const struct lm_esp_key *keys)
{
	(void)dp, (void)peer, (void)spi_base, (void)lanes, (void)keys;
	return 0;
}

void lm_dp_sa_in_del(struct lm_dp *dp, uint32_t spi_base)
{
	(void)dp, (void)spi_base;
}

int lm_dp_sa_out_set(struct lm_dp *dp, uint32_t peer, uint32_t spi_base, unsigned lanes,
		     const struct lm_esp_key *keys)
{
	(void)dp, (void)peer, (void)spi_base, (void)lanes, (void)keys;
	return 0;
}

/* ----------------------------------------------------------------- rings -- */

static int keep(struct lm_dp *dp, uint16_t port, const void *data, size_t len)
{
	struct fake_frame *f = &dp->frames[dp->n_frames];

	if (dp->n_frames == FRAMES_MAX)
		return -ENOBUFS;
	*f = (struct fake_frame){.port = port, .len = len, .data = malloc(len)};
	if (f->data == NULL)
		abort();
	memcpy(f->data, data, len);
	dp->n_frames++;
	return 0;
}

int lm_dp_send(struct lm_dp *dp, uint16_t port, const void *frame, size_t len)
{
	return keep(dp, port, frame, len);
}

int lm_dp_send_urgent(struct lm_dp *dp, uint16_t port, const void *frame, size_t len)
{
	return keep(dp, port, frame, len);
}

int lm_dp_inject(struct lm_dp *dp, const void *packet, size_t len)
{
	return keep(dp, LM_DP_PORT_NONE, packet, len);
}

unsigned fake_frames(const struct lm_dp *dp)
{
	return dp->n_frames;
}

const struct fake_frame *fake_frame(const struct lm_dp *dp, unsigned i)
{
	return &dp->frames[i];
}

void fake_frames_clear(struct lm_dp *dp)
{
	while (dp->n_frames > 0)
		free(dp->frames[--dp->n_frames].data);
}

void fake_punt(struct lm_dp *dp, const struct lm_punt *p)
{
	struct punt *q = malloc(sizeof(*q) + p->len);

	if (q == NULL)
		abort();
	q->next = NULL;
	q->p = *p;
	if (p->len > 0)
		memcpy(q->data, p->data, p->len);
	q->p.data = q->data;
	*dp->punts_tail = q;
	dp->punts_tail = &q->next;
	if (eventfd_write(dp->event_fd, 1) != 0)
		abort();
}

int lm_dp_event_fd(const struct lm_dp *dp)
{
	return dp->event_fd;
}

/* As promised: the descriptor becomes quiet only when a poll finds nothing. */
unsigned lm_dp_poll(struct lm_dp *dp, unsigned max,
		    void (*handler)(void *user, const struct lm_punt *p), void *user)
{
	eventfd_t ignored;
	unsigned n = 0;

	for (; n < max && dp->punts != NULL; n++) {
		struct punt *p = dp->punts;

		dp->punts = p->next;
		if (dp->punts == NULL)
			dp->punts_tail = &dp->punts;
		handler(user, &p->p);
		free(p);
	}
	if (n == 0)
		(void)eventfd_read(dp->event_fd, &ignored);
	return n;
}

/* ------------------------------------------------------------ inspection -- */

unsigned lm_dp_workers(const struct lm_dp *dp)
{
	return dp->workers;
}

void lm_dp_counters(const struct lm_dp *dp, uint32_t worker, struct lm_counters *out)
{
	(void)dp, (void)worker;
	memset(out, 0, sizeof(*out));
}

int lm_dp_usage(const struct lm_dp *dp, uint32_t spi_base, struct lm_dp_usage *out)
{
	(void)dp, (void)spi_base, (void)out;
	return -ENOENT;
}

unsigned lm_dp_port_count(const struct lm_dp *dp)
{
	return dp->n_ports;
}

int lm_dp_port_info(const struct lm_dp *dp, uint16_t port, struct lm_dp_port_info *out)
{
	int rc = fails(FAKE_PORT_INFO);

	if (rc != 0 || port >= dp->n_ports)
		return rc != 0 ? rc : -ENOENT;
	*out = dp->ports[port];
	return 0;
}

void fake_link(struct lm_dp *dp, uint16_t port, bool up)
{
	dp->ports[port].link_up = up;
}

int lm_dp_worker_info(const struct lm_dp *dp, uint32_t worker, struct lm_dp_worker_info *out)
{
	if (worker >= dp->workers)
		return -ENOENT;
	*out = (struct lm_dp_worker_info){.cpu = -1};
	return 0;
}

const char *lm_dp_aead(const struct lm_dp *dp)
{
	(void)dp;
	return "fake";
}
