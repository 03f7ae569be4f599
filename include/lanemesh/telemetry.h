/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * telemetry: counters whose names are declared once, here, and their renderers:
 * a table for people, JSON, and the Prometheus text format over HTTP.
 *
 * Every thread that counts owns one struct lm_counters and is its only writer;
 * anyone may read it at any time. Nothing is ever reset.
 */
#ifndef LANEMESH_TELEMETRY_H
#define LANEMESH_TELEMETRY_H

#include <lanemesh/base.h>

enum lm_ctr_kind {
	LM_CTR_TRAFFIC, /* what passed */
	LM_CTR_DROP,	/* what did not: offered = passed + the sum of these */
	LM_CTR_EVENT,	/* what happened */
};

/*
 * X(ID, name, unit, kind, help). The counter is LM_C_<ID>. Prometheus names are
 * lanemesh_<name>_total, and lanemesh_drops_total{reason="<name>"} for drops.
 * The ctl_cert_ and record_ groups follow the order of enum lm_verdict in trust.h
 * (LM_BAD_ENCODING first), so that a verdict is an offset.
 */
#define LM_COUNTERS(X)                                                                             \
	/* traffic */                                                                              \
	X(LAN_RX_PACKETS, "lan_rx_packets", PACKETS, TRAFFIC, "frames received on LAN ports")      \
	X(LAN_RX_BYTES, "lan_rx_bytes", BYTES, TRAFFIC, "bytes of frames received on LAN ports")   \
	X(LAN_TX_PACKETS, "lan_tx_packets", PACKETS, TRAFFIC, "frames sent on LAN ports")          \
	X(LAN_TX_BYTES, "lan_tx_bytes", BYTES, TRAFFIC, "bytes of frames sent on LAN ports")       \
	X(WAN_RX_PACKETS, "wan_rx_packets", PACKETS, TRAFFIC, "frames received on WAN ports")      \
	X(WAN_RX_BYTES, "wan_rx_bytes", BYTES, TRAFFIC, "bytes of frames received on WAN ports")   \
	X(WAN_TX_PACKETS, "wan_tx_packets", PACKETS, TRAFFIC, "frames sent on WAN ports")          \
	X(WAN_TX_BYTES, "wan_tx_bytes", BYTES, TRAFFIC, "bytes of frames sent on WAN ports")       \
	X(SEALED_PACKETS, "sealed_packets", PACKETS, TRAFFIC, "packets sealed into ESP")           \
	X(SEALED_BYTES, "sealed_bytes", BYTES, TRAFFIC, "inner bytes sealed into ESP")             \
	X(OPENED_PACKETS, "opened_packets", PACKETS, TRAFFIC, "packets opened from ESP")           \
	X(OPENED_BYTES, "opened_bytes", BYTES, TRAFFIC, "inner bytes opened from ESP")             \
	X(HANDED_OVER, "handed_over", PACKETS, TRAFFIC, "packets passed to the lane's own worker") \
	X(PUNTED, "punted", PACKETS, TRAFFIC, "packets passed to the control thread")              \
	X(INJECTED, "injected", PACKETS, TRAFFIC, "packets taken from the control thread")         \
	X(KEEPALIVE_RX, "keepalive_rx", PACKETS, TRAFFIC, "NAT keepalives received")               \
	X(RELAYED_PACKETS, "relayed_packets", PACKETS, TRAFFIC, "datagrams passed on as a relay")  \
	X(RELAYED_BYTES, "relayed_bytes", BYTES, TRAFFIC, "their UDP payload")                     \
	/* before any worker */                                                                    \
	X(RX_MISSED, "rx_missed", PACKETS, DROP, "a port's receive queue or ring was full")        \
	/* LAN to WAN */                                                                           \
	X(LAN_NOT_IP, "lan_not_ip", PACKETS, DROP, "LAN: neither IPv4, IPv6 nor for the kernel")   \
	X(LAN_MALFORMED, "lan_malformed", PACKETS, DROP, "LAN: IP header does not fit the frame")  \
	X(LAN_NOT_FOR_US, "lan_not_for_us", PACKETS, DROP, "LAN: for another MAC address")         \
	X(LAN_SOURCE_NOT_OURS, "lan_source_not_ours", PACKETS, DROP,                               \
	  "LAN: source is not in our certificate's prefixes")                                      \
	X(LAN_NO_ROUTE, "lan_no_route", PACKETS, DROP, "LAN: no site announces the destination")   \
	X(LAN_TTL_EXPIRED, "lan_ttl_expired", PACKETS, DROP, "LAN: TTL or hop limit ran out")      \
	X(LAN_TOO_BIG, "lan_too_big", PACKETS, DROP, "LAN: larger than the tunnel's MTU")          \
	X(LAN_MULTICAST, "lan_multicast", PACKETS, DROP, "LAN: multicast is not routed")           \
	X(NO_SESSION, "no_session", PACKETS, DROP, "no session with the site yet")                 \
	X(SEAL_EXPIRED, "seal_expired", PACKETS, DROP, "the SA's hard limit is reached")           \
	X(SEAL_NO_ROOM, "seal_no_room", PACKETS, DROP, "no room around the packet for ESP")        \
	X(TX_RING_FULL, "tx_ring_full", PACKETS, DROP, "the port took no more frames")             \
	X(NEIGHBOUR_UNRESOLVED, "neighbour_unresolved", PACKETS, DROP,                             \
	  "MAC address of the next hop not known yet")                                             \
	/* WAN to LAN */                                                                           \
	X(WAN_MALFORMED, "wan_malformed", PACKETS, DROP, "WAN: header does not fit the frame")     \
	X(WAN_FILTERED, "wan_filtered", PACKETS, DROP, "WAN: protocol or port not open")           \
	X(WAN_NOT_FOR_US, "wan_not_for_us", PACKETS, DROP, "WAN: for another MAC or IP address")   \
	X(WAN_FRAGMENT, "wan_fragment", PACKETS, DROP, "WAN: outer fragment")                      \
	X(DEMUX_BAD, "demux_bad", PACKETS, DROP, "UDP: neither ESP, control, STUN nor keepalive")  \
	X(ESP_UNKNOWN_SPI, "esp_unknown_spi", PACKETS, DROP, "ESP: no SA with this SPI")           \
	X(PEER_OVER_SHARE, "peer_over_share", PACKETS, DROP,                                       \
	  "overload: the peer sends more than its share")                                          \
	X(ESP_SHORT, "esp_short", PACKETS, DROP, "ESP: impossible length")                         \
	X(ESP_SEQ_ZERO, "esp_seq_zero", PACKETS, DROP, "ESP: sequence number 0")                   \
	X(ESP_REPLAY, "esp_replay", PACKETS, DROP, "ESP: number seen before")                      \
	X(ESP_OLD, "esp_old", PACKETS, DROP, "ESP: number older than the replay window")           \
	X(ESP_ICV, "esp_icv", PACKETS, DROP, "ESP: not authentic")                                 \
	X(ESP_PADDING, "esp_padding", PACKETS, DROP, "ESP: padding is not RFC 4303's")             \
	X(ESP_NEXT_HEADER, "esp_next_header", PACKETS, DROP, "ESP: next header not carried")       \
	X(ESP_INNER_MALFORMED, "esp_inner_malformed", PACKETS, DROP,                               \
	  "ESP: inner IP header does not fit")                                                     \
	X(ESP_DUMMY, "esp_dummy", PACKETS, DROP, "ESP: dummy packet, RFC 4303 section 2.6")        \
	X(INNER_SOURCE_DENIED, "inner_source_denied", PACKETS, DROP,                               \
	  "inner source is not in the sender's certificate")                                       \
	X(INNER_ECN, "inner_ecn", PACKETS, DROP, "outer congestion mark, inner without ECN")       \
	X(INNER_NO_ROUTE, "inner_no_route", PACKETS, DROP, "inner destination is not local")       \
	X(INNER_TO_MESH, "inner_to_mesh", PACKETS, DROP, "inner destination is behind a peer")     \
	X(INNER_TTL_EXPIRED, "inner_ttl_expired", PACKETS, DROP, "inner TTL or hop limit ran out") \
	X(INNER_TOO_BIG, "inner_too_big", PACKETS, DROP, "inner packet exceeds the LAN's MTU")     \
	/* relay */                                                                                \
	X(RELAY_MALFORMED, "relay_malformed", PACKETS, DROP, "relay: not a relayed datagram")      \
	X(RELAY_UNKNOWN, "relay_unknown", PACKETS, DROP, "relay: no such id")                      \
	X(RELAY_SOURCE, "relay_source", PACKETS, DROP, "relay: id from another address or port")   \
	X(RELAY_TOO_BIG, "relay_too_big", PACKETS, DROP,                                           \
	  "relay: exceeds the MTU to the other end")                                               \
	X(RELAY_DUPLICATE, "relay_duplicate", PACKETS, DROP, "relay: copy of a recent datagram")   \
	X(RELAY_QUOTA, "relay_quota", PACKETS, DROP, "relay: over the member's quota")             \
	/* rings and buffers */                                                                    \
	X(HANDOVER_FULL, "handover_full", PACKETS, DROP, "ring to another worker is full")         \
	X(PUNT_FULL, "punt_full", PACKETS, DROP, "ring to the control thread is full")             \
	X(INJECT_FULL, "inject_full", PACKETS, DROP, "ring from the control thread is full")       \
	X(INJECT_MALFORMED, "inject_malformed", PACKETS, DROP,                                     \
	  "packet from the kernel cannot be sent")                                                 \
	X(NO_MBUF, "no_mbuf", PACKETS, DROP, "packet buffers are exhausted")                       \
	X(TWIN_FULL, "twin_full", PACKETS, DROP, "the kernel's interface took no more packets")    \
	/* control datagrams; the same words as struct lm_mesh_counters */                         \
	X(CTL_MALFORMED, "ctl_malformed", PACKETS, DROP, "control: malformed")                     \
	X(CTL_MAC1_BAD, "ctl_mac1_bad", PACKETS, DROP, "control: mac1 wrong")                      \
	X(CTL_COOKIE_SENT, "ctl_cookie_sent", PACKETS, DROP, "control: answered with a cookie")    \
	X(CTL_RATE_LIMITED, "ctl_rate_limited", PACKETS, DROP,                                     \
	  "control: too many handshakes from the source")                                          \
	X(CTL_HALF_OPEN_FULL, "ctl_half_open_full", PACKETS, DROP,                                 \
	  "control: too many half-open sessions")                                                  \
	X(CTL_HANDSHAKE_BAD, "ctl_handshake_bad", PACKETS, DROP, "control: handshake fails")       \
	X(CTL_REPLAYED, "ctl_replayed", PACKETS, DROP, "control: seen before")                     \
	X(CTL_UNKNOWN_SESSION, "ctl_unknown_session", PACKETS, DROP, "control: no such session")   \
	X(CTL_TRANSPORT_BAD, "ctl_transport_bad", PACKETS, DROP, "control: not authentic")         \
	X(STUN_UNEXPECTED, "stun_unexpected", PACKETS, DROP, "STUN that nobody asked for")         \
	X(CTL_CERT_BAD_ENCODING, "ctl_cert_bad_encoding", PACKETS, DROP,                           \
	  "handshake refused: certificate malformed")                                              \
	X(CTL_CERT_BAD_SIGNATURE, "ctl_cert_bad_signature", PACKETS, DROP,                         \
	  "handshake refused: signature wrong")                                                    \
	X(CTL_CERT_BAD_MESH, "ctl_cert_bad_mesh", PACKETS, DROP,                                   \
	  "handshake refused: certificate of another mesh")                                        \
	X(CTL_CERT_UNKNOWN_AUTHORITY, "ctl_cert_unknown_authority", PACKETS, DROP,                 \
	  "handshake refused: authority not configured")                                           \
	X(CTL_CERT_NOT_YET_VALID, "ctl_cert_not_yet_valid", PACKETS, DROP,                         \
	  "handshake refused: certificate not valid yet")                                          \
	X(CTL_CERT_EXPIRED, "ctl_cert_expired", PACKETS, DROP,                                     \
	  "handshake refused: certificate expired")                                                \
	X(CTL_CERT_REVOKED, "ctl_cert_revoked", PACKETS, DROP,                                     \
	  "handshake refused: certificate revoked")                                                \
	X(CTL_CERT_WRONG_NODE, "ctl_cert_wrong_node", PACKETS, DROP,                               \
	  "handshake refused: certificate of another node")                                        \
	/* directory records */                                                                    \
	X(RECORD_BAD_ENCODING, "record_bad_encoding", RECORDS, EVENT, "record refused: malformed") \
	X(RECORD_BAD_SIGNATURE, "record_bad_signature", RECORDS, EVENT,                            \
	  "record refused: signature wrong")                                                       \
	X(RECORD_BAD_MESH, "record_bad_mesh", RECORDS, EVENT, "record refused: of another mesh")   \
	X(RECORD_UNKNOWN_AUTHORITY, "record_unknown_authority", RECORDS, EVENT,                    \
	  "record refused: authority not configured")                                              \
	X(RECORD_NOT_YET_VALID, "record_not_yet_valid", RECORDS, EVENT,                            \
	  "record refused: certificate not valid yet")                                             \
	X(RECORD_EXPIRED, "record_expired", RECORDS, EVENT, "record refused: certificate expired") \
	X(RECORD_REVOKED, "record_revoked", RECORDS, EVENT, "record refused: certificate revoked") \
	X(RECORD_WRONG_NODE, "record_wrong_node", RECORDS, EVENT,                                  \
	  "record refused: announcement of another node")                                          \
	X(RECORD_OUTSIDE_CERT, "record_outside_cert", RECORDS, EVENT,                              \
	  "record refused: prefix outside the certificate")                                        \
	X(RECORD_BAD_OVERLAY_ENDPOINT, "record_bad_overlay_endpoint", RECORDS, EVENT,              \
	  "record refused: endpoint inside the overlay")                                           \
	X(RECORD_OLDER, "record_older", RECORDS, EVENT, "record refused: older than ours")         \
	/* sessions */                                                                             \
	X(HANDSHAKES_STARTED, "handshakes_started", EVENTS, EVENT, "handshakes we began")          \
	X(HANDSHAKES_DONE, "handshakes_done", EVENTS, EVENT, "handshakes that succeeded")          \
	X(HANDSHAKE_DH, "handshake_dh", EVENTS, EVENT, "incoming handshakes that cost a DH")       \
	X(SESSIONS_UP, "sessions_up", EVENTS, EVENT, "peers that came up")                         \
	X(SESSIONS_DOWN, "sessions_down", EVENTS, EVENT, "peers that went down")                   \
	X(REKEYS, "rekeys", EVENTS, EVENT, "sessions replaced by a newer one")                     \
	X(KEYS_SPENT, "keys_spent", EVENTS, EVENT,                                                 \
	  "sessions that used up their keys without a rekey")                                      \
	X(MOVES, "moves", EVENTS, EVENT, "peers whose traffic took another path")                  \
	X(FAILOVERS, "failovers", EVENTS, EVENT, "of these, away from a path that died")           \
	X(SIGNALS_SENT, "signals_sent", EVENTS, EVENT, "coordinators asked to wake a peer up")     \
	X(SIGNALS_TAKEN, "signals_taken", EVENTS, EVENT,                                           \
	  "peers that want to reach us, we try too")                                               \
	X(SIGNALS_IGNORED, "signals_ignored", EVENTS, EVENT,                                       \
	  "the same of unknown peers, or too many")                                                \
	X(STUN_SENT, "stun_sent", EVENTS, EVENT, "STUN requests sent")                             \
	X(STUN_ANSWERED, "stun_answered", EVENTS, EVENT, "STUN requests answered")

enum lm_ctr {
#define LM_CTR_ENUM(id, name, unit, kind, help) LM_C_##id,
	LM_COUNTERS(LM_CTR_ENUM)
#undef LM_CTR_ENUM
	    LM_CTR_COUNT
};

struct lm_ctr_info {
	const char *name, *unit, *help; /* unit: "packets", "bytes", "records", "events" */
	enum lm_ctr_kind kind;
};
/* id < LM_CTR_COUNT. */
const struct lm_ctr_info *lm_ctr_info(enum lm_ctr id);

/* Written by one thread, on cache lines of its own; read by any. */
struct lm_counters {
	uint64_t v[LM_CTR_COUNT];
} __attribute__((aligned(64)));

/* By the owning thread only: a plain add, visible to readers whole. */
static inline void lm_count(struct lm_counters *c, enum lm_ctr id, uint64_t n)
{
	__atomic_store_n(&c->v[id], c->v[id] + n, __ATOMIC_RELAXED);
}

/* For counts kept elsewhere (struct lm_mesh_counters): the value itself. Owning thread only. */
static inline void lm_count_set(struct lm_counters *c, enum lm_ctr id, uint64_t value)
{
	__atomic_store_n(&c->v[id], value, __ATOMIC_RELAXED);
}

/* Adds what another thread counts to sum, which the caller owns. */
void lm_counters_add(struct lm_counters *sum, const struct lm_counters *of);

/* ------------------------------------------------------------ renderers -- */

/* A value that is no counter of ours: it goes up and down or, when it only rises, has a name that
 * ends in _total. Gauges of one name stand next to each other. */
struct lm_gauge {
	const char *name; /* "peers"; Prometheus: lanemesh_peers */
	const char *help;
	const char *label_name, *label_value; /* NULL, or one label; any text as value */
	double value;
	bool rises; /* of the type "counter" */
};

#define LM_METRICS_MAX (256 * 1024) /* enough for every counter and 1,000 gauges */

/* A table of at most 100 columns: counters of one kind, with zeros only when asked. w->bad when it
 * does not fit. */
void lm_counters_text(struct lm_writer *w, const struct lm_counters *c, enum lm_ctr_kind kind,
		      bool zeros);
/* {"name": count, ...} of one kind, all of them. A jansson object owned by the caller, or NULL. */
struct json_t;
struct json_t *lm_counters_json(const struct lm_counters *c, enum lm_ctr_kind kind);
/* Prometheus text exposition format 0.0.4: every counter and the gauges. w->bad when it does not
 * fit. */
void lm_metrics_prometheus(struct lm_writer *w, const struct lm_counters *c,
			   const struct lm_gauge *gauges, size_t n_gauges);

/* ----------------------------------------------------------------- HTTP -- */

/*
 * GET /metrics and nothing else, for the caller's event loop: no thread of its
 * own. Poll lm_metrics_http_fd for reading; call lm_metrics_http_run when it is
 * readable and at least every second (idle connections are closed after 10 s,
 * and there are at most 16).
 */
struct lm_metrics_http;
/* Fills w (LM_METRICS_MAX bytes of room) with the page; called from lm_metrics_http_run. */
typedef void (*lm_metrics_render_fn)(void *user, struct lm_writer *w);
int lm_metrics_http_start(const struct lm_endpoint *listen, lm_metrics_render_fn render, void *user,
			  struct lm_metrics_http **out, struct lm_error *err) LM_MUST_CHECK;
int lm_metrics_http_fd(const struct lm_metrics_http *h);
/* The port that was bound: listen's, or the one the kernel chose for 0. */
uint16_t lm_metrics_http_port(const struct lm_metrics_http *h);
void lm_metrics_http_run(struct lm_metrics_http *h);
void lm_metrics_http_stop(struct lm_metrics_http *h);

#endif
