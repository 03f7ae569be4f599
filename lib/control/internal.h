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
#include <uv.h>

#define LM_NO_PORT LM_DP_PORT_NONE

/* What the kernel calls the routes that we export: rtm_protocol, and their metric. Above the
 * metrics of connected and static routes, so that those always win. */
#define LM_RTPROT 0x4c
#define LM_METRIC 2048

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
	uint8_t n_addrs;
	struct lm_ifaddr addrs[LM_CONFIG_ADDRESSES_MAX * 2];
};

/* What is published to the data plane about a peer. */
struct lm_peer_slot {
	bool used, has_path, path_set;
	struct lm_path path;
	struct lm_outer outer; /* as published */
	uint8_t n_prefixes;
	struct lm_prefix prefixes[LM_DP_PREFIXES_MAX]; /* offered to the RIB */
};

struct lm_neigh;
struct lm_kernel_route;
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

	struct lm_nl *nl;
	struct lm_rib *rib;
	struct lm_twin twins[LM_CONFIG_PORTS_MAX], overlay;
	struct lm_neigh *neighbours;
	uint32_t n_neighbours, n_pending;
	struct lm_kernel_route *kernel_routes;
	struct lm_peer_slot **peers;
	uint32_t n_peers;
	uint32_t errors_left; /* ICMP errors that may still be sent in this second */

	struct lm_directory *directory;
	uint64_t directory_saved; /* version on disk */
	struct lm_coord_slot coords[LM_CONFIG_COORDS_MAX];

	struct lm_counters counters; /* of the control thread itself */
	struct lm_metrics_http *metrics;
	struct lm_manage *manage;
	struct lm_ping *pings;

	uv_timer_t mesh_timer, second_timer, dp_again;
	uv_poll_t dp_poll, nl_poll, metrics_poll;
	uv_signal_t sig_term, sig_int, sig_hup;
	uv_fs_poll_t list_watch; /* the config's revocation_list */
	uv_async_t query_async;
	uv_mutex_t query_lock;
	struct lm_query *queries;
	bool local_changed; /* WAN addresses changed: tell the mesh after this event */
	bool stopping;
};

/* control.c: time, and what follows a call into the mesh */
struct lm_now lm_control_now(const struct lm_control *c);
void lm_control_rearm(struct lm_control *c);
/* The authority has dated this revocation list: the wall clock is not before it. */
void lm_control_raise_floor(void *c, const uint8_t *list, size_t len);

/* address.c: the kernel's view of the twins */
extern const struct lm_nl_events lm_control_nl_events;
int lm_twins_create(struct lm_control *c, struct lm_error *err) LM_MUST_CHECK;
void lm_twins_close(struct lm_control *c);
struct lm_twin *lm_twin_by_ifindex(struct lm_control *c, unsigned ifindex);
/* An address of ours of this family, to speak from: on the port, else on lm0. */
bool lm_control_own_address(const struct lm_control *c, uint16_t port, uint8_t family,
			    struct lm_ip *out);
/* Tells the mesh about WAN addresses when they changed. */
void lm_control_local(struct lm_control *c);

/* neighbour.c */
/* Sends a frame, whose destination MAC is filled in, to the neighbour ip on the twin's link; queues
 * it while the kernel resolves. */
void lm_neigh_send(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip, uint8_t *frame,
		   size_t len);
/* Known MAC, or NULL; asks the kernel to resolve when there is none. */
const struct lm_mac *lm_neigh_mac(struct lm_control *c, struct lm_twin *t, const struct lm_ip *ip);
void lm_neigh_event(struct lm_control *c, struct lm_twin *t, const struct lm_nl_neigh *n,
		    bool gone);
void lm_neigh_tick(struct lm_control *c, lm_time now);
void lm_neigh_forget(struct lm_control *c);

/* kernel_route.c */
void lm_kernel_route_event(struct lm_control *c, struct lm_twin *t, const struct lm_nl_route *r,
			   bool gone);
/* The MAC of a LAN neighbour changed: routes through it follow. */
void lm_kernel_route_via(struct lm_control *c, struct lm_twin *t, const struct lm_ip *via);
void lm_kernel_route_forget(struct lm_control *c);

/* underlay.c: ways to other gateways' outer addresses */
void lm_underlay_send(struct lm_control *c, const struct lm_path *path, const uint8_t *data,
		      size_t len);
/* Publishes the peer's outer headers if they changed. */
void lm_underlay_publish(struct lm_control *c, uint32_t peer);
/* Something about a WAN twin's routes or neighbours changed. */
void lm_underlay_changed(struct lm_control *c, uint16_t port);

/* publish.c: the mesh's operations, carried out on the data plane */
extern const struct lm_mesh_ops lm_control_mesh_ops;

/* punt.c, icmp.c */
void lm_control_punt(void *user, const struct lm_punt *p);
void lm_control_icmp(struct lm_control *c, const struct lm_punt *p);

/* state.c: what outlives the process */
int lm_state_load(struct lm_control *c, struct lm_error *err) LM_MUST_CHECK;
void lm_state_save(struct lm_control *c);
uint64_t lm_state_sequence(struct lm_control *c);
int lm_state_sequence_set(struct lm_control *c, uint64_t sequence);

/* coordinators.c */
int lm_coords_start(struct lm_control *c, const struct lm_config *cfg,
		    struct lm_error *err) LM_MUST_CHECK;
void lm_coords_stop(struct lm_control *c);
void lm_coords_publish(struct lm_control *c, const uint8_t *ann, size_t len);
void lm_coords_revocation(struct lm_control *c, const uint8_t *data, size_t len);
/* Judges a record or list and keeps it when it is good. source: LM_DIRECTORY_NO_SOURCE or a
 * coordinator's number. */
void lm_control_revocation(struct lm_control *c, const uint8_t *data, size_t len, const char *from);

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
void lm_report_counters(struct lm_control *c, struct lm_counters *sum);
void lm_report_metrics(void *user, struct lm_writer *w);

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
