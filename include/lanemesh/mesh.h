/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mesh: the mesh protocol without I/O and without a clock. Datagrams, directory
 * changes and the time go in; datagrams to send, SAs to install and the next
 * deadline come out. Randomness is injected, so a run repeats exactly.
 *
 * One thread owns a struct lm_mesh and makes every call; the operations in
 * struct lm_mesh_ops are called back on that thread, before the call that caused
 * them returns, in an order that keeps make-before-break: an inbound SA is
 * installed before any message that lets the peer use it is sent. Operations
 * must not call back into the mesh.
 */
#ifndef LANEMESH_MESH_H
#define LANEMESH_MESH_H

#include <lanemesh/trust.h>

struct lm_mesh;

/* Peers are numbered densely from 0; a number is not used again while the data plane may still
 * hold it, i.e. before lm_mesh_ops.peer_gone for it has returned. */
#define LM_PEER_NONE UINT32_MAX

/*
 * A way to a peer: one of our WAN ports and the peer's address there; or, when relay is not 0, the
 * address of a relay and the number under which it passes datagrams on to the peer.
 */
struct lm_path {
	uint16_t port; /* index of a WAN port, the caller's numbering */
	struct lm_endpoint remote;
	uint64_t relay;
};

/* Where a path comes from. Kinds before LM_PATH_RELAY are direct ones. */
enum lm_path_kind {
	LM_PATH_HOST, /* announced: an address of one of the peer's WAN ports */
	LM_PATH_PUBLIC,
	LM_PATH_REFLEXIVE,
	LM_PATH_SEEN, /* not announced: authentic packets came from there */
	LM_PATH_RELAY,
};
#define LM_PATH_KINDS (LM_PATH_RELAY + 1)
const char *lm_path_kind_name(enum lm_path_kind k);

enum lm_path_state {
	LM_PATH_UNTRIED,
	LM_PATH_PROBING, /* asked, and no answer yet */
	LM_PATH_ALIVE,	 /* a probe was answered there, and nothing speaks against it since */
	LM_PATH_DEAD,
};
const char *lm_path_state_name(enum lm_path_state s);

/* Inbound SAs of a session: one for each lane that the peer sends on. */
struct lm_mesh_sa_in {
	uint32_t peer;
	uint32_t spi_base; /* ours; lane j has SPI spi_base + j */
	uint8_t lanes;
	const struct lm_esp_key *keys; /* one for each lane; valid during the call */
};

/* Outbound SAs: one for each lane that we send on. */
struct lm_mesh_sa_out {
	uint32_t peer;
	uint32_t session;  /* our own SPI base of the same session: its name in calls and logs */
	uint32_t spi_base; /* the peer's */
	uint8_t lanes;
	const struct lm_esp_key *keys;
};

/*
 * What comes under the id from.relay, and counts only from that address on that WAN port, goes to
 * `to` under the id to.relay; or, when that is 0, we are the end that it is for.
 */
struct lm_mesh_relay {
	struct lm_path from, to;
	uint32_t member; /* the peer that it comes from, whose quota it uses; not for an end */
};

struct lm_mesh_ops {
	/* Send one control datagram, or a STUN request; data is not to be kept. 0: it is on its
	 * way; -EINPROGRESS: it waits until the next hop's address is known, and may yet be lost;
	 * else it was not sent, as no route leads there. */
	int (*send)(void *user, const struct lm_path *path, const uint8_t *data, size_t len);
	/* Returns only when every worker accepts the SPIs. 0 or -errno (then the session is not
	 * used). */
	int (*sa_in_add)(void *user, const struct lm_mesh_sa_in *sa);
	void (*sa_in_del)(void *user, uint32_t spi_base);
	/* Traffic to the peer goes out on these SAs from now on; the ones before are freed. sa =
	 * NULL: none, traffic to the peer is a counted drop. Never called twice for one session,
	 * so sequence numbers start at 1. */
	int (*sa_out_set)(void *user, uint32_t peer, const struct lm_mesh_sa_out *sa);
	/* Traffic to the peer takes this path from now on; sequence numbers go on. Comes before
	 * the sa_out_set that needs it. Users are waiting: nothing slow. */
	void (*path_set)(void *user, uint32_t peer, const struct lm_path *path);
	/* Is there a way to the peer that answers? Called when that changes; a peer starts without.
	 * False while its session goes on: traffic for it may take another site's prefix. */
	void (*reachable)(void *user, uint32_t peer, bool yes);
	/* Adds or changes what is done with a relay id. 0 or -errno. */
	int (*relay_set)(void *user, const struct lm_mesh_relay *r);
	void (*relay_end)(void *user, uint64_t id); /* also one that is not there */
	/* A peer is known, or its certificate or announcement changed: routes to it are the
	 * announced prefixes and its overlay addresses, and the source check its certificate. */
	int (*peer_set)(void *user, uint32_t peer, const struct lm_cert *cert,
			const struct lm_announcement *ann);
	void (*peer_gone)(void *user, uint32_t peer);
	/* Our own announcement changed: to be stored, then published to the coordinators. */
	void (*announce)(void *user, uint64_t sequence, const uint8_t *data, size_t len);
	/* A revocation list newer than any before was taken: to be stored and passed on. */
	void (*revocation)(void *user, const uint8_t *data, size_t len);
	/* Ask the coordinators to tell the node that we want to reach it (SIGNAL); best effort. */
	void (*signal)(void *user, const uint8_t node[32]);
	void (*random)(void *user, void *out, size_t len);
};

/* Durations; lm_mesh_timers_default gives the design's. */
struct lm_mesh_timers {
	lm_time rekey;	 /* 120 s: a session's initiator starts the next; its responder 1/8 later */
	lm_time reject;	 /* 180 s: a session without successor ends */
	lm_time overlap; /* 10 s: how long a superseded session still receives */
	/* Far-side death is noticed after keepalive (and up to a sixteenth) + dead. */
	lm_time keepalive; /* 5 s: a probe when nothing was received for so long */
	lm_time dead; /* 8 s after the first unanswered probe: peer is down, handshakes start */
	lm_time retry_min, retry_max; /* 250 ms, 10 s: handshake backoff, with jitter */
};
struct lm_mesh_timers lm_mesh_timers_default(void);

#define LM_MESH_WAN_MAX	    16
#define LM_MESH_EAGER_PEERS 256
#define LM_MESH_COORDS_MAX  16

struct lm_mesh_config {
	const struct lm_identity *identity; /* borrowed */
	const uint8_t *cert;		    /* own certificate, copied */
	size_t cert_len;
	struct lm_authorities authorities;
	uint8_t psk[32]; /* zeros when unset */
	uint8_t lanes;	 /* lanes that we send on = number of workers */
	uint32_t max_peers;
	/* While no more peers than this are known, a session is kept with each; in a larger mesh
	 * with those only that traffic goes to or comes from; 0 = LM_MESH_EAGER_PEERS. */
	uint32_t eager_peers;
	uint32_t max_half_open;	    /* sessions not yet confirmed, over all peers; 0 = 4,096 */
	uint32_t handshake_limit;   /* handshakes a second before cookies are asked for */
	uint64_t announce_sequence; /* the last one stored; ours will be greater */
	const struct lm_prefix *prefixes; /* to announce; NULL = all of the certificate's; copied */
	uint8_t n_prefixes;
	struct lm_mesh_timers timers;
	const struct lm_log *log; /* borrowed, may be NULL */
};

/* NULL with err: own certificate refused (the verdict is named), or no memory. */
struct lm_mesh *lm_mesh_new(const struct lm_mesh_config *cfg, const struct lm_mesh_ops *ops,
			    void *user, struct lm_now now, struct lm_error *err);
/* Sends CLOSE(shutdown) on every session when polite; removes SAs and peers; wipes keys. */
void lm_mesh_free(struct lm_mesh *m, struct lm_now now, bool polite);

/* ---------------------------------------------------------------- input -- */

/* A control datagram or STUN message (lm_demux) and the way that it came: WAN port, outer source,
 * and the number under which a relay passed it on (then without the relay's header). Anything. */
void lm_mesh_datagram(struct lm_mesh *m, struct lm_now now, const struct lm_path *from,
		      const uint8_t *data, size_t len);
/* The newest packet of an inbound SA, authentic, came another way than the one before. */
void lm_mesh_moved(struct lm_mesh *m, struct lm_now now, uint32_t session,
		   const struct lm_path *from);
/* What the workers saw of a session. */
struct lm_mesh_usage {
	lm_time last_rx;      /* when the last authentic packet came in; 0 = none yet */
	uint32_t highest_seq; /* sent, on any of its lanes */
	uint64_t tx_packets;  /* on all of them */
};
/* Reported for every session at least each second. True: there is traffic, and its path is proven
 * by what comes in: report this session again within 50 to 100 ms, until it says false. */
bool lm_mesh_usage(struct lm_mesh *m, struct lm_now now, uint32_t session,
		   const struct lm_mesh_usage *u);
/* A directory record; ann_len 0: no announcement. LM_TRUSTED: taken, or nothing new, or no room
 * (max_peers; counted). Anything else: refused and logged; one that is refused only because it is
 * expired or not valid yet is remembered, and taken once the wall clock agrees. */
enum lm_verdict lm_mesh_record(struct lm_mesh *m, struct lm_now now, const uint8_t *cert,
			       size_t cert_len, const uint8_t *ann, size_t ann_len);
/* A coordinator no longer lists the node. Live sessions stay; it is forgotten once none is left
 * (a coordinator is not trusted to end one). */
void lm_mesh_record_removed(struct lm_mesh *m, struct lm_now now, const uint8_t node[32]);
/* A coordinator says that the node wants to reach us: both try at the same time, which opens the
 * NATs between. It may lie, so few of these count, of each coordinator; the caller numbers them,
 * below LM_MESH_COORDS_MAX. */
void lm_mesh_signalled(struct lm_mesh *m, struct lm_now now, unsigned coordinator,
		       const uint8_t node[32]);
/* Ends sessions of revoked nodes at once. */
enum lm_verdict lm_mesh_revocation(struct lm_mesh *m, struct lm_now now, const uint8_t *data,
				   size_t len);
/* The addresses of our WAN ports and configured public endpoints changed (also at start). A WAN
 * port without an address is not used. Re-announces when the list differs. */
struct lm_local_endpoint {
	uint16_t port; /* WAN port index */
	uint8_t kind;  /* enum lm_endpoint_kind */
	struct lm_endpoint ep;
};
void lm_mesh_local(struct lm_mesh *m, struct lm_now now, const struct lm_local_endpoint *eps,
		   size_t n);
/* STUN servers (RFC 8489), in place of those before: coordinators and others. Each is asked from
 * every WAN port with an address of its family; what it says is announced when a NAT is between.
 * Duplicates, and what can be no endpoint, are left out; at most LM_MESH_STUN_MAX are used. */
#define LM_MESH_STUN_MAX 16
void lm_mesh_stun_servers(struct lm_mesh *m, struct lm_now now, const struct lm_endpoint *servers,
			  size_t n);
/* Asks all of them once more, at once (an operator wants to know). */
void lm_mesh_stun_again(struct lm_mesh *m, struct lm_now now);
/* How many pairs of peers we relay between at most; 0, which is so at first: we are no relay. Our
 * certificate must have the role as well. */
void lm_mesh_relaying(struct lm_mesh *m, struct lm_now now, uint32_t pairs);
/* What a config reload may change. */
struct lm_mesh_change {
	const struct lm_authorities *authorities; /* of the same mesh */
	const uint8_t *cert; /* ours, perhaps renewed: same node, same overlay addresses; copied */
	size_t cert_len;
	const struct lm_prefix *prefixes; /* to announce; NULL = all of the certificate's */
	uint8_t n_prefixes;
	const struct lm_prefix *announced; /* the part of them to announce now; NULL = all */
	uint8_t n_announced;
};
/* All peers are judged again. Peers learn of a new certificate by the next handshake, or by the
 * coordinators before. 0 or -EINVAL, -ENOMEM with err, then nothing has changed. */
int lm_mesh_reconfigure(struct lm_mesh *m, struct lm_now now, const struct lm_mesh_change *change,
			struct lm_error *err) LM_MUST_CHECK;
/* The prefixes to announce now, a part of those configured (some LANs are down); until the next
 * lm_mesh_reconfigure. n = 0: none. 0 or -EINVAL with err, then nothing has changed. */
int lm_mesh_prefixes(struct lm_mesh *m, struct lm_now now, const struct lm_prefix *prefixes,
		     uint8_t n, struct lm_error *err) LM_MUST_CHECK;
/* Traffic for the peer finds no session (lm_mesh_ops.sa_out_set): to be said when it does, and
 * again as long as it goes on, about each second. */
void lm_mesh_wanted(struct lm_mesh *m, struct lm_now now, uint32_t peer);
/* Starts a handshake with the peer at the next tick (e.g. an operator asks). -ENOENT for an unknown
 * number. */
int lm_mesh_rekey(struct lm_mesh *m, struct lm_now now, uint32_t peer);

/* ----------------------------------------------------------------- time -- */

/* When lm_mesh_tick is due next. */
lm_time lm_mesh_next(const struct lm_mesh *m);
void lm_mesh_tick(struct lm_mesh *m, struct lm_now now);

/* --------------------------------------------------------------- output -- */

/* Event counts since start; names and help texts are in telemetry.h under the same words. */
struct lm_mesh_counters {
	uint64_t mac1_bad, cookie_sent, rate_limited, half_open_full, handshake_bad, replayed,
	    unknown_session, transport_bad, malformed;
	uint64_t cert_refused[LM_VERDICT_COUNT];
	uint64_t records_refused[LM_VERDICT_COUNT];
	uint64_t bad_endpoint;		/* overlay or special addresses as endpoint or source */
	uint64_t peers_full;		/* peers that found no room, max_peers */
	uint64_t refused_by_data_plane; /* peer_set, sa_in_add, sa_out_set that failed */
	uint64_t handshakes_started, handshakes_done, sessions_up, sessions_down, rekeys, moves;
	uint64_t keys_spent; /* sessions whose SAs ran out of numbers before a rekey */
	uint64_t failovers;  /* of the moves, those away from a path that died */
	uint64_t dh;	     /* responder handshakes that cost a DH */
	uint64_t stun_sent, stun_answered, stun_unexpected;
	uint64_t signals_sent, signals_taken, signals_ignored;
};
const struct lm_mesh_counters *lm_mesh_counters(const struct lm_mesh *m);

/* How the NAT on the way out of a WAN port maps us, RFC 5780 section 4.3. */
enum lm_nat {
	LM_NAT_UNKNOWN,		     /* no STUN server has answered */
	LM_NAT_NONE,		     /* outside we have the address that we have here */
	LM_NAT_SOME,		     /* there is one; a single server cannot tell which kind */
	LM_NAT_ENDPOINT,	     /* endpoint-independent mapping */
	LM_NAT_ADDRESS,		     /* address-dependent mapping */
	LM_NAT_ADDRESS_PORT,	     /* address and port-dependent mapping */
	LM_NAT_ADDRESS_PERHAPS_PORT, /* one of these two: no two servers share an address */
};
/* "endpoint-independent": of mapping; or "no NAT", "unknown". */
const char *lm_nat_name(enum lm_nat nat);
/* family: 4 or 6. */
enum lm_nat lm_mesh_nat(const struct lm_mesh *m, uint16_t port, uint8_t family);
/* What is announced as reflexive for the port; false: nothing. */
bool lm_mesh_reflexive(const struct lm_mesh *m, uint16_t port, uint8_t family,
		       struct lm_endpoint *out);
/* One STUN server as seen from one WAN port. */
struct lm_stun_info {
	uint16_t port;
	struct lm_endpoint server, mapped; /* mapped: valid when answered */
	bool answered;
	bool refused; /* its last answer was an error */
	bool asking;  /* a request is under way */
	lm_time rtt;  /* of the last answer */
};
void lm_mesh_stun(const struct lm_mesh *m, void (*each)(void *user, const struct lm_stun_info *s),
		  void *user);

enum lm_peer_state {
	LM_PEER_UNREACHABLE, /* no endpoint known */
	LM_PEER_CONNECTING,
	LM_PEER_UP,
	LM_PEER_IDLE, /* no session, as no traffic wants one (eager_peers) */
};
const char *lm_peer_state_name(enum lm_peer_state s);

struct lm_peer_info {
	uint32_t index;
	enum lm_peer_state state;
	const struct lm_cert *cert;
	const struct lm_announcement *ann; /* NULL when none is known */
	struct lm_path path;		   /* valid when up */
	uint32_t relay;			   /* the peer that it goes through, or LM_PEER_NONE */
	lm_time rtt;			   /* smoothed, RFC 6298; 0 = not measured */
	lm_time up_since, last_rx, last_handshake;
	uint32_t session, remote_spi; /* valid when up */
	uint32_t handshake_tries;     /* since the last success */
};
/* The peer with the lowest index >= `from`; false when there is none. Pointers in *out live until
 * the next call. */
bool lm_mesh_peer(const struct lm_mesh *m, uint32_t from, struct lm_peer_info *out);

/* Calls back for every listed node that may not talk to us, which is no peer (lm_mesh_peer) for as
 * long: why is the verdict on its certificate. Must not change the mesh. */
void lm_mesh_barred(const struct lm_mesh *m,
		    void (*each)(void *user, const struct lm_cert *cert, enum lm_verdict why),
		    void *user);
/* Is the node's key on a revocation list? Also of nodes that no directory lists any more. */
bool lm_mesh_revoked(const struct lm_mesh *m, const uint8_t node[32]);
/* What peers will think of our own certificate. */
enum lm_verdict lm_mesh_own_verdict(const struct lm_mesh *m);

struct lm_path_info {
	struct lm_path path;
	enum lm_path_kind kind;
	uint32_t relay; /* the peer that it goes through, or LM_PEER_NONE */
	enum lm_path_state state;
	bool active;	     /* traffic goes there */
	lm_time rtt, jitter; /* smoothed (RFC 6298, RFC 3550); 0 = not measured */
	lm_time last_rx, last_probe, last_answer; /* monotonic; 0 = never */
	double loss; /* share of its probes that got no answer, lately */
	uint32_t probes, answers;
	struct lm_endpoint observed; /* of ours, as the peer sees it there; family 0: not known */
};
/* Calls back for every path of the peer's table, which is empty while there is neither a session
 * nor a relay to it. Must not change the mesh. */
void lm_mesh_paths(const struct lm_mesh *m, uint32_t peer,
		   void (*each)(void *user, const struct lm_path_info *path), void *user);
/* Where the peer may be, and what was tried there before there was a session. */
struct lm_candidate_info {
	struct lm_endpoint ep;
	enum lm_path_kind kind;
	bool answered; /* something authentic came from there */
	lm_time sent;  /* last message 1; monotonic, 0 = never */
};
void lm_mesh_candidates(const struct lm_mesh *m, uint32_t peer,
			void (*each)(void *user, const struct lm_candidate_info *c), void *user);
/* A pair of peers that we relay between, or are about to. */
struct lm_relay_info {
	uint32_t peer[2];
	struct lm_path path[2]; /* of each, with its relay id */
	bool open;
};
void lm_mesh_relay_pairs(const struct lm_mesh *m,
			 void (*each)(void *user, const struct lm_relay_info *pair), void *user);
const struct lm_cert *lm_mesh_own_cert(const struct lm_mesh *m);
/* The signed announcement in force; NULL before lm_mesh_local. */
const uint8_t *lm_mesh_own_announcement(const struct lm_mesh *m, size_t *len);
/* Calls back with the SPI base of every session whose inbound SAs are installed. Must not change
 * the mesh. */
void lm_mesh_sessions(const struct lm_mesh *m, void (*each)(void *user, uint32_t session),
		      void *user);
/* ESP keys of the live sessions for `sa --wireshark`, when the caller's config allows export. */
struct lm_sa_export {
	uint32_t peer;
	bool inbound;
	uint32_t spi;
	struct lm_esp_key key;
};
/* Calls back for each lane of each session (also superseded ones that still receive). */
void lm_mesh_export_keys(const struct lm_mesh *m,
			 void (*each)(void *user, const struct lm_sa_export *sa), void *user);

#endif
