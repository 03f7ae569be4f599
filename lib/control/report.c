/* SPDX-License-Identifier: BSD-3-Clause */
/* Answers to questions about the running gateway, as JSON. README.md describes each. */
#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>

static json_t *overlays_of(const struct lm_cert *cert)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < cert->n_overlays; i++)
		json_array_append_new(list, lm_json_ip(&cert->overlays[i]));
	return list;
}

static json_t *prefixes_of(const struct lm_prefix *p, unsigned n)
{
	json_t *list = json_array();

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, lm_json_prefix(&p[i]));
	return list;
}

const char *lm_control_peer_name(const struct lm_control *c, uint32_t peer)
{
	struct lm_peer_info p;

	return lm_mesh_peer(c->mesh, peer, &p) && p.index == peer ? p.cert->name : "?";
}

/* -------------------------------------------------------------- tables -- */

static void find_active(void *user, const struct lm_path_info *path)
{
	if (path->active)
		*(enum lm_path_kind *)user = path->kind;
}

static enum lm_path_kind path_kind(struct lm_control *c, const struct lm_peer_info *p)
{
	enum lm_path_kind kind = p->path.relay != 0 ? LM_PATH_RELAY : LM_PATH_SEEN;

	lm_mesh_paths(c->mesh, p->index, find_active, &kind);
	return kind;
}

static json_t *report_peers(struct lm_control *c)
{
	lm_time now = lm_control_now(c).mono;
	json_t *list = json_array();
	struct lm_peer_info p;

	for (uint32_t i = 0; lm_mesh_peer(c->mesh, i, &p); i = p.index + 1) {
		bool up = p.state == LM_PEER_UP;
		struct lm_dp_usage u = {0};
		json_t *o = json_object();

		if (up && lm_dp_usage(c->dp, p.session, &u) != 0)
			u = (struct lm_dp_usage){0};
		json_object_set_new(o, "name", json_string(p.cert->name));
		json_object_set_new(o, "state", json_string(lm_peer_state_name(p.state)));
		json_object_set_new(o, "node", lm_json_hex(p.cert->node, LM_KEY_LEN));
		json_object_set_new(o, "overlay", overlays_of(p.cert));
		json_object_set_new(
		    o, "prefixes",
		    p.ann == NULL ? json_array() : prefixes_of(p.ann->prefixes, p.ann->n_prefixes));
		json_object_set_new(
		    o, "path", up ? json_string(lm_path_kind_name(path_kind(c, &p))) : json_null());
		json_object_set_new(o, "port",
				    up ? json_string(lm_port_name(c, p.path.port)) : json_null());
		json_object_set_new(o, "endpoint",
				    up ? lm_json_endpoint(&p.path.remote) : json_null());
		json_object_set_new(o, "rtt_us",
				    p.rtt != 0 ? json_real((double)p.rtt / 1000) : json_null());
		json_object_set_new(o, "up_s", up ? lm_json_ago(now, p.up_since) : json_null());
		json_object_set_new(
		    o, "last_heard_s",
		    lm_json_ago(now, u.last_rx > p.last_rx ? u.last_rx : p.last_rx));
		json_object_set_new(o, "handshake_s", lm_json_ago(now, p.last_handshake));
		json_object_set_new(o, "handshake_tries", json_integer(p.handshake_tries));
		json_object_set_new(o, "rx_packets", json_integer((json_int_t)u.rx_packets));
		json_object_set_new(o, "rx_bytes", json_integer((json_int_t)u.rx_bytes));
		json_object_set_new(o, "tx_packets", json_integer((json_int_t)u.tx_packets));
		json_object_set_new(o, "tx_bytes", json_integer((json_int_t)u.tx_bytes));
		json_object_set_new(o, "expires", json_integer(p.cert->not_after));
		/* Asks the mesh, whose certificate above is gone then. */
		json_object_set_new(o, "relay",
				    up && p.relay != LM_PEER_NONE
					? json_string(lm_control_peer_name(c, p.relay))
					: json_null());
		json_array_append_new(list, o);
	}
	return list;
}

struct route_list {
	struct lm_control *c;
	json_t *list;
};

static void add_route(void *user, const struct lm_prefix *prefix, enum lm_rib_source source,
		      const struct lm_route *r, bool best)
{
	struct route_list *rl = user;
	json_t *o = json_object();
	char mac[LM_MAC_STRLEN];

	json_object_set_new(o, "prefix", lm_json_prefix(prefix));
	json_object_set_new(o, "source", json_string(lm_rib_source_name(source)));
	json_object_set_new(o, "active", json_boolean(best));
	switch (r->kind) {
	case LM_ROUTE_PEER:
		json_object_set_new(o, "peer", json_string(lm_control_peer_name(rl->c, r->peer)));
		json_object_set_new(o, "dev", json_string(rl->c->overlay.name));
		break;
	case LM_ROUTE_NEIGHBOUR:
		json_object_set_new(o, "mac", json_string(lm_mac_format(&r->mac, mac)));
		/* fallthrough */
	default:
		json_object_set_new(o, "dev", json_string(lm_port_name(rl->c, r->port)));
		if (r->via.family != 0)
			json_object_set_new(o, "via", lm_json_ip(&r->via));
		break;
	}
	json_array_append_new(rl->list, o);
}

static json_t *report_routes(struct lm_control *c)
{
	struct route_list rl = {.c = c, .list = json_array()};

	lm_rib_each(c->rib, add_route, &rl);
	return rl.list;
}

struct sa_list {
	struct lm_control *c;
	json_t *list;
	bool keys;
};

static void add_sa(void *user, const struct lm_sa_export *sa)
{
	struct sa_list *sl = user;
	json_t *o = json_object();
	struct lm_dp_usage u;

	json_object_set_new(o, "peer", json_string(lm_control_peer_name(sl->c, sa->peer)));
	json_object_set_new(o, "direction", json_string(sa->inbound ? "in" : "out"));
	json_object_set_new(o, "spi", lm_json_spi(sa->spi));
	json_object_set_new(o, "lane", json_integer(sa->spi & LM_SPI_LANE_MASK));
	json_object_set_new(o, "transform", json_string("aes-256-gcm-16"));
	if (sa->inbound && (sa->spi & LM_SPI_LANE_MASK) == 0 &&
	    lm_dp_usage(sl->c->dp, sa->spi, &u) == 0)
		json_object_set_new(o, "session_packets", json_integer((json_int_t)u.rx_packets));
	if (sl->keys) {
		json_object_set_new(o, "key", lm_json_hex(sa->key.key, sizeof(sa->key.key)));
		json_object_set_new(o, "salt", lm_json_hex(sa->key.salt, sizeof(sa->key.salt)));
	}
	json_array_append_new(sl->list, o);
}

static json_t *report_sa(struct lm_control *c, bool keys, struct lm_error *err)
{
	struct sa_list sl = {.c = c, .keys = keys};

	if (keys && !c->cfg->allow_key_export) {
		(void)lm_error_set(err, EPERM,
				   "key export is off; set allow_key_export = true in "
				   "%s and reload",
				   c->config_path);
		return NULL;
	}
	sl.list = json_array();
	lm_mesh_export_keys(c->mesh, add_sa, &sl);
	return sl.list;
}

/* ------------------------------------------------------------- counters -- */

void lm_report_counters(struct lm_control *c, struct lm_counters *sum)
{
	const struct lm_mesh_counters *m = lm_mesh_counters(c->mesh);
	const struct {
		enum lm_ctr id;
		uint64_t value;
	} same[] = {
	    {LM_C_CTL_MALFORMED, m->malformed},
	    {LM_C_CTL_MAC1_BAD, m->mac1_bad},
	    {LM_C_CTL_COOKIE_SENT, m->cookie_sent},
	    {LM_C_CTL_RATE_LIMITED, m->rate_limited},
	    {LM_C_CTL_HALF_OPEN_FULL, m->half_open_full},
	    {LM_C_CTL_HANDSHAKE_BAD, m->handshake_bad},
	    {LM_C_CTL_REPLAYED, m->replayed},
	    {LM_C_CTL_UNKNOWN_SESSION, m->unknown_session},
	    {LM_C_CTL_TRANSPORT_BAD, m->transport_bad},
	    {LM_C_HANDSHAKES_STARTED, m->handshakes_started},
	    {LM_C_HANDSHAKES_DONE, m->handshakes_done},
	    {LM_C_HANDSHAKE_DH, m->dh},
	    {LM_C_SESSIONS_UP, m->sessions_up},
	    {LM_C_SESSIONS_DOWN, m->sessions_down},
	    {LM_C_REKEYS, m->rekeys},
	    {LM_C_KEYS_SPENT, m->keys_spent},
	    {LM_C_MOVES, m->moves},
	    {LM_C_FAILOVERS, m->failovers},
	    {LM_C_SIGNALS_SENT, m->signals_sent},
	    {LM_C_SIGNALS_TAKEN, m->signals_taken},
	    {LM_C_SIGNALS_IGNORED, m->signals_ignored},
	    {LM_C_STUN_SENT, m->stun_sent},
	    {LM_C_STUN_ANSWERED, m->stun_answered},
	    {LM_C_STUN_UNEXPECTED, m->stun_unexpected},
	};

	lm_dp_counters(c->dp, UINT32_MAX, sum);
	lm_counters_add(sum, &c->counters);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(same); i++)
		sum->v[same[i].id] += same[i].value;
	for (unsigned v = LM_BAD_ENCODING; v <= LM_WRONG_NODE; v++)
		sum->v[LM_C_CTL_CERT_BAD_ENCODING + v - LM_BAD_ENCODING] += m->cert_refused[v];
	for (unsigned v = LM_BAD_ENCODING; v <= LM_OLDER; v++)
		sum->v[LM_C_RECORD_BAD_ENCODING + v - LM_BAD_ENCODING] += m->records_refused[v];
}
_Static_assert(LM_C_CTL_CERT_WRONG_NODE - LM_C_CTL_CERT_BAD_ENCODING ==
		   LM_WRONG_NODE - LM_BAD_ENCODING,
	       "the counters follow the verdicts");
_Static_assert(LM_C_RECORD_OLDER - LM_C_RECORD_BAD_ENCODING == LM_OLDER - LM_BAD_ENCODING,
	       "the counters follow the verdicts");

static json_t *report_counters(struct lm_control *c, enum lm_ctr_kind kind)
{
	struct lm_counters sum = {0};

	lm_report_counters(c, &sum);
	return lm_counters_json(&sum, kind);
}

static uint64_t total_drops(struct lm_control *c)
{
	struct lm_counters sum = {0};
	uint64_t n = 0;

	lm_report_counters(c, &sum);
	for (unsigned i = 0; i < LM_CTR_COUNT; i++)
		if (lm_ctr_info(i)->kind == LM_CTR_DROP)
			n += sum.v[i];
	return n;
}

/* --------------------------------------------------------------- status -- */

static json_t *report_coordinators(struct lm_control *c)
{
	json_t *list = json_array();

	for (unsigned i = 0; c->coords != NULL && i < LM_CONFIG_COORDS_MAX; i++) {
		struct lm_coord_slot *s = &c->coords[i];
		json_t *o;

		if (s->link == NULL)
			continue;
		o = json_object();
		json_object_set_new(o, "address", lm_json_endpoint(&s->cfg.address));
		json_object_set_new(o, "state",
				    json_string(lm_coord_state_name(
					lm_coord_client_state(lm_coord_link_client(s->link)))));
		json_object_set_new(o, "why", s->why[0] ? json_string(s->why) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}

static void count_peers(struct lm_control *c, uint32_t *known, uint32_t *up)
{
	struct lm_peer_info p;

	*known = *up = 0;
	for (uint32_t i = 0; lm_mesh_peer(c->mesh, i, &p); i = p.index + 1) {
		(*known)++;
		*up += p.state == LM_PEER_UP;
	}
}

static void count_kinds(struct lm_control *c, uint32_t of_kind[LM_PATH_KINDS])
{
	struct lm_peer_info p;

	memset(of_kind, 0, LM_PATH_KINDS * sizeof(of_kind[0]));
	for (uint32_t i = 0; lm_mesh_peer(c->mesh, i, &p); i = p.index + 1)
		if (p.state == LM_PEER_UP)
			of_kind[path_kind(c, &p)]++;
}

static json_t *kinds_json(struct lm_control *c)
{
	uint32_t of_kind[LM_PATH_KINDS];
	json_t *o = json_object();

	count_kinds(c, of_kind);
	for (unsigned k = 0; k < LM_PATH_KINDS; k++)
		json_object_set_new(o, lm_path_kind_name((enum lm_path_kind)k),
				    json_integer(of_kind[k]));
	return o;
}

static json_t *report_status(struct lm_control *c)
{
	const struct lm_cert *own = lm_mesh_own_cert(c->mesh);
	json_t *o = json_object();
	uint32_t known, up;

	count_peers(c, &known, &up);
	json_object_set_new(o, "instance", json_string(c->cfg->instance));
	json_object_set_new(o, "version", json_string(LM_VERSION));
	json_object_set_new(o, "mesh", json_string(own->mesh));
	json_object_set_new(o, "name", json_string(own->name));
	json_object_set_new(o, "node", lm_json_hex(own->node, LM_KEY_LEN));
	json_object_set_new(o, "overlay", overlays_of(own));
	json_object_set_new(o, "prefixes", prefixes_of(c->announced, c->n_announced));
	json_object_set_new(o, "expires", json_integer(own->not_after));
	json_object_set_new(o, "uptime_s", lm_json_ago(lm_control_now(c).mono, c->started));
	json_object_set_new(o, "aead", json_string(lm_dp_aead(c->dp)));
	json_object_set_new(o, "peers_known", json_integer(known));
	json_object_set_new(o, "peers_up", json_integer(up));
	json_object_set_new(o, "peers_by_path", kinds_json(c));
	json_object_set_new(o, "routes", json_integer(lm_dp_route_count(c->dp)));
	json_object_set_new(o, "drops", json_integer((json_int_t)total_drops(c)));
	json_object_set_new(o, "state_saved", json_boolean(!c->state_failing));
	json_object_set_new(o, "coordinators", report_coordinators(c));
	json_object_set_new(o, "ports", lm_report_ports(c));
	json_object_set_new(o, "workers", lm_report_workers(c));
	return o;
}

json_t *lm_report(struct lm_control *c, const char *what, struct lm_error *err)
{
	if (strcmp(what, "status") == 0)
		return report_status(c);
	if (strcmp(what, "peers") == 0)
		return report_peers(c);
	if (strcmp(what, "netcheck") == 0)
		return lm_report_netcheck(c);
	if (strcmp(what, "routes") == 0)
		return report_routes(c);
	if (strcmp(what, "sa") == 0)
		return report_sa(c, false, err);
	if (strcmp(what, "sa-keys") == 0)
		return report_sa(c, true, err);
	if (strcmp(what, "relays") == 0)
		return lm_report_relays(c);
	if (strcmp(what, "ports") == 0)
		return lm_report_ports(c);
	if (strcmp(what, "workers") == 0)
		return lm_report_workers(c);
	if (strcmp(what, "drops") == 0)
		return report_counters(c, LM_CTR_DROP);
	if (strcmp(what, "traffic") == 0)
		return report_counters(c, LM_CTR_TRAFFIC);
	if (strcmp(what, "events") == 0)
		return report_counters(c, LM_CTR_EVENT);
	(void)lm_error_set(err, ENOENT, "unknown command '%.32s'", what);
	return NULL;
}

void lm_report_metrics(void *user, struct lm_writer *w)
{
	struct lm_control *c = user;
	struct lm_counters sum = {0};
	struct lm_report_gauges *g = malloc(sizeof(*g));
	uint32_t known, up, of_kind[LM_PATH_KINDS];

	if (g == NULL)
		return; /* an empty page; the next scrape may be luckier */
	lm_report_counters(c, &sum);
	count_peers(c, &known, &up);
	g->gauge[0] = (struct lm_gauge){
	    .name = "peers_known", .help = "peers in the directory", .value = known};
	g->gauge[1] =
	    (struct lm_gauge){.name = "peers_up", .help = "peers with a live session", .value = up};
	g->gauge[2] = (struct lm_gauge){
	    .name = "routes", .help = "routes in the FIB", .value = lm_dp_route_count(c->dp)};
	g->gauge[3] = (struct lm_gauge){.name = "certificate_expires_seconds",
					.help = "when our certificate ends, Unix time",
					.value = (double)lm_mesh_own_cert(c->mesh)->not_after};
	g->gauge[4] = (struct lm_gauge){.name = "relay_pairs",
					.help = "pairs of members that we relay between",
					.value = lm_control_relay_pairs(c)};
	g->n = 5;
	count_kinds(c, of_kind);
	for (unsigned k = 0; k < LM_PATH_KINDS; k++)
		g->gauge[g->n++] =
		    (struct lm_gauge){.name = "peers_by_path",
				      .help = "peers with a live session, by the path in use",
				      .label_name = "path",
				      .label_value = lm_path_kind_name((enum lm_path_kind)k),
				      .value = of_kind[k]};
	lm_report_worker_gauges(c, g);
	lm_metrics_prometheus(w, &sum, g->gauge, g->n);
	free(g);
}
