/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The control thread's state. Everything here belongs to that one thread; other
 * threads reach it through lm_control_query alone.
 */
#ifndef LM_CONTROL_INTERNAL_H
#define LM_CONTROL_INTERNAL_H

#include "netlink.h"
#include "rib.h"

#include <lanemesh/config.h>
#include <lanemesh/control.h>
#include <lanemesh/coord.h>
#include <lanemesh/mesh.h>
#include <lanemesh/worker.h>
#include <sys/queue.h>
#include <uthash.h>
#include <uv.h>

#define LM_NO_PORT LM_DP_PORT_NONE

/* The metric of the routes that we export: above those of connected and static routes, so that
 * those always win. */
#define LM_METRIC 2048
/* Of the default routes through the config's gateways, plus the port's index. */
#define LM_METRIC_GATEWAY 512

/* A kernel interface of ours: the TAP twin of a port, or lm0. */
struct lm_twin {
	struct lm_control *c;
	uint16_t port; /* LM_NO_PORT: lm0 */
	char name[LM_CONFIG_IFNAME_MAX];
	int fd;
	unsigned ifindex;
	struct lm_mac mac;
	uint16_t mtu;
	uv_poll_t poll;
	bool up;	   /* the interface, by its administrator */
	bool has_link;	   /* the port */
	bool no_ip6;	   /* the kernel has IPv6 switched off there */
	uint8_t advertise; /* advertise.c: how often still */
	uint8_t n_addrs;
	struct lm_ifaddr addrs[LM_CONFIG_ADDRESSES_MAX * 2];
	uint32_t addr_view[LM_CONFIG_ADDRESSES_MAX * 2]; /* in which each was seen last */
	/* neighbour.c: asked for because of packets, oldest first; packets that wait */
	TAILQ_HEAD(, lm_neigh) unresolved;
	unsigned n_unresolved, n_waiting;
};

/* What is published to the data plane about a peer. */
struct lm_peer_slot {
	bool has_path, path_set;
	bool answers;	    /* the mesh has a way to it that does */
	bool unreachable;   /* as the RIB was told */
	lm_time down_since; /* without a session or a path; 0: it has both */
	struct lm_path path;
	struct lm_outer outer; /* as published */
	uint8_t n_prefixes;
	struct lm_prefix *prefixes; /* offered to the RIB */
};

/* A prefix that this site may announce. */
struct lm_site_prefix {
	struct lm_prefix prefix;
	uint32_t behind; /* LAN ports that lead there, by bit */
	bool withheld;	 /* not announced: none of them has a link */
};

struct lm_neigh;
struct lm_kernel_route;
struct lm_kernel_via;
struct lm_way;
struct lm_relay_slot;
struct lm_state_write;
struct json_t;
struct lm_manage;
struct lm_ping;
struct lm_query;

struct lm_coord_slot {
	struct lm_control *c;
	struct lm_coord_link *link; /* NULL: none */
	struct lm_config_coordinator cfg;
	int source;   /* number in the directory */
	char why[96]; /* the last reason for being down */
};

/* One of the config's STUN servers. */
#define LM_STUN_NAME_FAMILY 2 /* addresses of a name in use, of each family */
struct lm_stun_name {
	uv_getaddrinfo_t *asking; /* the resolver; NULL: not now */
	lm_time due;		  /* to ask it again */
	unsigned fails;		  /* in a row */
	uint8_t n;
	struct lm_endpoint eps[2 * LM_STUN_NAME_FAMILY];
};

struct lm_control {
	char config_path[LM_CONFIG_PATH_MAX];
	struct lm_config *cfg;
	struct lm_log log;
	uv_loop_t loop;
	struct lm_dp *dp;
	struct lm_mesh *mesh;
	struct lm_identity *id;
	struct lm_authorities authorities;
	uint8_t *cert; /* own, signed */
	size_t cert_len;
	lm_time started;
	int lock;	    /* keeps a second process off the same instance name */
	int64_t wall_floor; /* never judge certificates by a clock that is behind this */

	struct lm_prefix announced[LM_PREFIXES_MAX];
	uint8_t n_announced;
	struct lm_site_prefix site[LM_PREFIXES_MAX]; /* of the config, or the certificate */
	uint8_t n_site;
	bool site_moved;  /* LANs have other routes there, or addresses: to be judged again */
	bool links_known; /* every port's link was looked at once */

	struct lm_nl *nl;
	struct lm_rib *rib;
	struct lm_twin twins[LM_CONFIG_PORTS_MAX], overlay;
	struct lm_neigh *neighbours;
	uint32_t n_neighbours;
	struct lm_kernel_route *kernel_routes;
	struct lm_kernel_via *kernel_vias;
	uint32_t n_kernel_hops;
	bool kernel_hops_full;
	uint32_t view; /* number of the last dump of the kernel's tables */
	lm_time dumped;
	bool redump;		      /* something may have been missed */
	struct lm_relay_slot *relays; /* by id */
	struct lm_way *ways;
	uint32_t ways_view;
	uint32_t underlay_dirty; /* ports with changes, by bit */
	lm_time underlay_published;
	struct lm_peer_slot **peers;
	uint32_t n_peers;
	uint32_t errors_left; /* ICMP errors that may still be sent in this second */

	struct lm_directory *directory;
	uint64_t directory_saved;				 /* version on disk */
	struct lm_state_write *directory_write, *sequence_write; /* under way; NULL: none */
	bool save_again;	      /* as soon as that of the directory is over */
	uint64_t announce_due;	      /* sequence of ours that is not on disk yet; 0 = none */
	bool state_failing;	      /* the last write did not succeed, and that has been said */
	struct lm_coord_slot *coords; /* LM_CONFIG_COORDS_MAX of them */

	struct lm_stun_name stun[LM_CONFIG_STUN_MAX]; /* as in the config */
	uint32_t stun_generation;		      /* answers to older questions do not count */

	struct lm_counters counters; /* of the control thread itself */
	struct lm_metrics_http *metrics;
	struct lm_manage *manage;
	struct lm_ping *pings;

	uint32_t *busy; /* usage.c: sessions with traffic */
	uint32_t n_busy, cap_busy;
	uint32_t usage_rounds; /* since all sessions were looked at */

	uv_timer_t mesh_timer, second_timer, dp_again, underlay_timer, usage_timer;
	uv_poll_t dp_poll, nl_poll, metrics_poll;
	uv_signal_t sig_term, sig_int, sig_hup;
	uv_fs_poll_t list_watch; /* the config's revocation_list */
	uv_async_t query_async;
	uv_mutex_t query_lock;
	struct lm_query *queries;
	bool queries_closed; /* under query_lock */
	bool local_changed;  /* WAN addresses changed: tell the mesh after this event */
	bool stopping;
};

/* control.c: time, and what follows a call into the mesh */
struct lm_now lm_control_now(const struct lm_control *c);
void lm_control_rearm(struct lm_control *c);

/* own.c */
/* Reads and judges the certificate; the key is loaded already. */
int lm_own_cert_load(struct lm_control *c, struct lm_error *err) LM_MUST_CHECK;
/* The mesh took this certificate of ours, which may be the one in force; keeps data. True: it is
 * another one. */
bool lm_own_cert_renewed(struct lm_control *c, uint8_t *data, size_t len);
/* The pre-shared key in a file; path "" leaves out as it is. */
int lm_own_psk(const char *path, uint8_t out[32], struct lm_error *err) LM_MUST_CHECK;
/* What this site may send: the certificate says so. */
int lm_own_publish(struct lm_control *c, struct lm_error *err) LM_MUST_CHECK;
/* The authority has dated this revocation list: the wall clock is not before it. */
void lm_control_raise_floor(void *c, const uint8_t *list, size_t len);

/* address.c: the kernel's view of the twins */
extern const struct lm_nl_events lm_control_nl_events;
/* Before anything else is done with them. */
void lm_twins_init(struct lm_control *c);
/* Reads the kernel's addresses, routes and neighbours; what is there no more goes. */
int lm_control_dump(struct lm_control *c) LM_MUST_CHECK;
/* The same when something may have been missed, not too often. */
void lm_control_redump(struct lm_control *c);
int lm_twins_create(struct lm_control *c, struct lm_error *err) LM_MUST_CHECK;
void lm_twins_close(struct lm_control *c);
struct lm_twin *lm_twin_by_ifindex(struct lm_control *c, unsigned ifindex);
/* An address of ours of this family, to speak from: on the port, else on lm0. */
bool lm_control_own_address(const struct lm_control *c, uint16_t port, uint8_t family,
			    struct lm_ip *out);
/* The first address of this family on the port itself. */
bool lm_control_wan_address(const struct lm_control *c, uint16_t port, uint8_t family,
			    struct lm_ip *out);
/* Tells the mesh about WAN addresses when they changed. */
void lm_control_local(struct lm_control *c);

/* neighbour.c */
/* Sends a frame, whose destination MAC is filled in, to the neighbour ip on the twin's link; queues
 * it while the kernel resolves. */
int lm_neigh_send(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip, uint8_t *frame,
		  size_t len);
/* Known MAC, or NULL; asks the kernel to resolve when there is none. */
const struct lm_mac *lm_neigh_mac(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip);
void lm_neigh_event(struct lm_control *c, struct lm_twin *t, const struct lm_nl_neigh *n,
		    bool gone);
void lm_neigh_tick(struct lm_control *c, lm_time now);
/* Takes out those that the last dump did not show. */
void lm_neigh_sweep(struct lm_control *c);
void lm_neigh_forget(struct lm_control *c);

/* kernel_route.c */
void lm_kernel_route_event(struct lm_control *c, struct lm_twin *t, const struct lm_nl_route *r,
			   bool gone);
void lm_kernel_route_replaced(struct lm_control *c, const struct lm_prefix *prefix, uint32_t metric,
			      const struct lm_nl_hop *hops, unsigned n);
void lm_kernel_route_sweep(struct lm_control *c);
/* The MAC of a LAN neighbour changed: routes through it follow. */
void lm_kernel_route_via(struct lm_control *c, struct lm_twin *t, const struct lm_ip *via);
void lm_kernel_route_forget(struct lm_control *c);
/* Those of these LAN ports, by bit, through which the kernel has a route to p, or to a part of it.
 * May look at all routes. */
uint32_t lm_kernel_route_ports(const struct lm_control *c, const struct lm_prefix *p, uint32_t of);

/* link.c */
/* Looks at every port's link. Cheap: every second, and when the kernel tells of a link. */
void lm_link_check(struct lm_control *c);
/* Announces the site's prefixes but for those whose LAN ports all are down. */
void lm_link_announce(struct lm_control *c);
/* Which those are when cfg and own are in force: how many. */
unsigned lm_link_prefixes(const struct lm_control *c, const struct lm_config *cfg,
			  const struct lm_cert *own, struct lm_prefix out[LM_PREFIXES_MAX]);

/* advertise.c: neighbours learn whose an address is without asking */
void lm_advertise(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip);
/* All addresses of a port whose link came up. */
void lm_advertise_all(struct lm_control *c, struct lm_twin *t);
/* Every second: again, in case the first one was lost. */
void lm_advertise_tick(struct lm_control *c);

/* underlay.c: ways to other gateways' outer addresses */
int lm_underlay_send(struct lm_control *c, const struct lm_path *path, const uint8_t *data,
		     size_t len);
/* Publishes the peer's outer headers if they changed. */
void lm_underlay_publish(struct lm_control *c, uint32_t peer);
/* Outer headers of the path; false: its next hop is not known (yet). */
bool lm_underlay_outer(struct lm_control *c, const struct lm_path *path, struct lm_outer *out);
/* Something about a WAN twin's routes or neighbours changed: paths are published anew soon. */
void lm_underlay_changed(struct lm_control *c, uint16_t port);

/* usage.c: tells the mesh what the workers see, often of sessions that have traffic */
void lm_usage_start(struct lm_control *c);

/* relay.c */
int lm_control_relay_set(void *user, const struct lm_mesh_relay *r);
void lm_control_relay_end(void *user, uint64_t id);
/* Something about these ports (by bit) has changed. */
void lm_control_relays_underlay(struct lm_control *c, uint32_t ports);
void lm_control_relays_free(struct lm_control *c);
struct json_t *lm_report_relays(struct lm_control *c);
unsigned lm_control_relay_pairs(const struct lm_control *c);
/* What the config says of relaying for others. */
void lm_control_relaying(struct lm_control *c);

/* publish.c: the mesh's operations, carried out on the data plane */
extern const struct lm_mesh_ops lm_control_mesh_ops;
/* Every second: peers that have been down for a while are ranked behind others in the RIB. */
void lm_control_reachability(struct lm_control *c);
/* Publishes an announcement that waited for the disk. */
void lm_control_announce(struct lm_control *c);
/* This sequence number is on disk. */
void lm_control_announce_stored(struct lm_control *c, uint64_t sequence);

/* punt.c, icmp.c */
void lm_control_punt(void *user, const struct lm_punt *p);
void lm_control_icmp(struct lm_control *c, const struct lm_punt *p);

/* state.c: what outlives the process */
int lm_state_load(struct lm_control *c, struct lm_error *err) LM_MUST_CHECK;
/* Writes the directory if it has changed. Does not wait. */
void lm_state_save(struct lm_control *c);
/* The same, and if a write is under way the next one follows it at once. */
void lm_state_save_now(struct lm_control *c);
uint64_t lm_state_sequence(struct lm_control *c);
/* Does not wait: lm_control_announce_stored follows, or an error is logged. Nothing is done while
 * another one is being written. */
void lm_state_sequence_set(struct lm_control *c, uint64_t sequence);
/* What changed while the last write was under way. Waits; for the end, when nothing else does. */
void lm_state_save_last(struct lm_control *c);

/* coordinators.c */
/* Links to the coordinators of cfg, in place of those before; on failure those stay. */
int lm_coords_start(struct lm_control *c, const struct lm_config *cfg,
		    struct lm_error *err) LM_MUST_CHECK;
void lm_coords_stop(struct lm_control *c);
void lm_coords_publish(struct lm_control *c, const uint8_t *ann, size_t len);
void lm_coords_revocation(struct lm_control *c, const uint8_t *data, size_t len);
/* Each tells the node, if it is linked there too, that we want to reach it. */
void lm_coords_signal(struct lm_control *c, const uint8_t node[LM_KEY_LEN]);
/* Judges a record or list and keeps it when it is good. source: LM_DIRECTORY_NO_SOURCE or a
 * coordinator's number. */
void lm_control_revocation(struct lm_control *c, const uint8_t *data, size_t len, const char *from);

/* stun.c */
/* Those of the config in force, in place of the ones before. */
void lm_stun_start(struct lm_control *c);
void lm_stun_stop(struct lm_control *c);
void lm_stun_tick(struct lm_control *c, lm_time now);

/* reload.c */
int lm_control_reload(struct lm_control *c, struct lm_error *err) LM_MUST_CHECK;
/* Reads and takes the revocation list that the config names, if any. */
int lm_control_load_revocation(struct lm_control *c, const char *path,
			       struct lm_error *err) LM_MUST_CHECK;
/* Does so whenever the file changes. */
void lm_control_watch_revocation(struct lm_control *c);

/* report.c: answers to questions, as JSON */
struct json_t;
/* NULL with err when there is no such question, or no answer is allowed. */
struct json_t *lm_report(struct lm_control *c, const char *what, struct lm_error *err);
/* Lives until the mesh is asked something else; "?": nobody has this number. */
const char *lm_control_peer_name(const struct lm_control *c, uint32_t peer);
void lm_report_counters(struct lm_control *c, struct lm_counters *sum);
void lm_report_metrics(void *user, struct lm_writer *w);

/* -------------------------------------------------------- report_dp.c -- */

#define LM_REPORT_WORKER_VALUES 10
struct lm_report_gauges {
	unsigned n;
	char worker[LM_DP_WORKERS_MAX][12]; /* label values */
	struct lm_gauge gauge[8 + LM_PATH_KINDS + LM_DP_WORKERS_MAX * LM_REPORT_WORKER_VALUES];
};
struct json_t *lm_report_ports(struct lm_control *c);
struct json_t *lm_report_workers(struct lm_control *c);
/* Adds those of every worker. */
void lm_report_worker_gauges(struct lm_control *c, struct lm_report_gauges *g);

/* query.c: questions of other threads */
int lm_query_start(struct lm_control *c);
/* Those that wait get an error, and so do all later ones. */
void lm_query_stop(struct lm_control *c);

/* manage.c: the action socket */
int lm_manage_start(struct lm_control *c, struct lm_error *err) LM_MUST_CHECK;
void lm_manage_stop(struct lm_control *c);

/* ping.c: ICMP echo through the tunnel. done gets the round trip, or LM_TIME_NEVER. */
int lm_ping_start(struct lm_control *c, uint32_t peer, lm_time timeout,
		  void (*done)(void *user, lm_time rtt), void *user, struct lm_ip *to,
		  struct lm_error *err) LM_MUST_CHECK;
/* The asker is gone: done will not be called. */
void lm_ping_cancel(struct lm_control *c, void *user);
void lm_ping_stop(struct lm_control *c);

#endif
