/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * mesh, inside: who owns what.
 *
 *   lm_mesh -> peers (by node key, by index) -> sessions (by own SPI base)
 *
 * Every peer and session keeps its timers in the mesh's heap for its whole life
 * (far in the future when there is nothing to do), so that only making one can
 * run out of memory. Freeing a session may leave a peer that nothing needs any
 * more; such peers are collected at the end of each public call (lm_m_leave),
 * so a peer pointer stays good during a call.
 */
#ifndef LANEMESH_MESH_INTERNAL_H
#define LANEMESH_MESH_INTERNAL_H

#include "path.h"

#include <lanemesh/noise.h>

#define HASH_NONFATAL_OOM	 1
#define uthash_nonfatal_oom(elt) ((void)(elt)) /* hh.tbl stays NULL, which callers test */
#include <uthash.h>
#include <utlist.h>

#define LM_M_HALF_OPEN_LIFE   (10 * LM_SEC)
#define LM_M_HALF_OPEN_PEER   8 /* half-open sessions of one peer */
#define LM_M_CONFIRM_LIFE     (2 * LM_SEC)
#define LM_M_HALF_OPEN_MAX    4096
#define LM_M_REPLIES	      8	   /* ways that one message 1 is answered */
#define LM_M_INITIATIONS      4	   /* own handshakes under way to one peer */
#define LM_M_OLD_PEER	      4	   /* superseded sessions of one peer that still receive */
#define LM_M_EPHEMERALS	      32   /* remembered of each peer, */
#define LM_M_EPHEMERALS_MAX   1024 /* or more, as long as all peers have no more than these: */
#define LM_M_EPHEMERALS_EXTRA 65536
#define LM_M_EPHEMERALS_STEP  4
#define LM_M_EPHEMERAL_LEN    8	 /* bytes of each: who finds another with them harms itself */
#define LM_M_CANDIDATES	      10 /* FAULTS row 14 */
#define LM_M_TARGETS	      16 /* datagrams of one handshake round */
#define LM_M_PACE	      (50 * LM_MSEC)  /* ICE's Ta, RFC 8445 section 14.2 */
#define LM_M_CANDIDATE_GAP    (200 * LM_MSEC) /* at most 5 a second to one address */
/* On the wire, to a host that never answered, in each of its lives; of these for punches only; and
 * so many times as much once it has answered, as many sites may be there behind one NAT. */
#define LM_M_HOST_BYTES	     5000
#define LM_M_HOST_PUNCHES    88
#define LM_M_HOST_SITES	     64
#define LM_M_HOST_LIFE	     (60 * LM_SEC)
#define LM_M_HOSTS	     16384
#define LM_M_HOSTS_PEER	     (2 * LM_M_CANDIDATES) /* new ones because of one peer, in a life */
#define LM_M_HANDSHAKE_LIMIT 500
#define LM_M_SOURCE_RATE     20
#define LM_M_SOURCE_BURST    5
#define LM_M_SWEEP	     (5 * LM_SEC)
#define LM_M_SWEEP_FULL	     (60 * LM_SEC)
#define LM_M_WALL_JUMP	     30	 /* seconds of wall against monotonic time: judge all again */
#define LM_M_ANN_BURST	     8.0 /* announcements of one peer that are checked at once */
#define LM_M_RESP_TRIES	     8	 /* forged message 2s that one initiation puts up with */

struct peer;
struct session;

enum timer_kind {
	TIMER_HANDSHAKE,
	TIMER_LIVENESS,
	TIMER_SESSION,
	TIMER_STUN,
	TIMER_RELAY,
	TIMER_WAY,
	TIMER_SWEEP
};
struct due {
	struct lm_timer timer;
	enum timer_kind kind;
};

#include "stun.h"

/* What a responder gave us to show that we are where we say. */
struct kept_cookie {
	lm_time at; /* 0 = none */
	uint8_t cookie[LM_COOKIE_LEN];
};

#include "relay.h"

/* Own SPI blocks in use, the key of the session table. */
struct spi_slot {
	UT_hash_handle hh;
	uint32_t spi;
};

/*
 * Initiator: INIT -> CONFIRM (message 2 came, inbound SAs installed, probing)
 * -> CURRENT -> OLD. Responder: HALF -> CURRENT -> OLD. Only CURRENT sends ESP;
 * a session sends ESP in one stretch and never again, because the data plane
 * starts its sequence numbers at every sa_out_set.
 */
enum session_state { SESSION_INIT, SESSION_HALF, SESSION_CONFIRM, SESSION_CURRENT, SESSION_OLD };

/* A handshake that we started, until message 2. */
struct initiation {
	struct lm_noise noise;
	uint8_t msg[LM_INIT_LEN]; /* mac2 is filled in for each target */
	struct lm_path targets[LM_M_TARGETS];
	uint8_t n_targets, n_sent; /* the first n_sent were given the message */
	uint8_t cookie_resends;
	uint8_t bad; /* message 2s refused */
};

/* Message 2, kept while half open: the copy of message 1 that came first may have come a way that
 * leads nowhere back. */
struct reply {
	uint8_t ephemeral[LM_M_EPHEMERAL_LEN]; /* of the message 1 that it answers */
	struct lm_path paths[LM_M_REPLIES];    /* where it was sent to */
	uint8_t n_paths;
	bool proven; /* message 1 came with a cookie */
	uint16_t len;
	uint8_t msg[LM_RESP_MAX];
};

struct session {
	struct spi_slot slot; /* first: the table's element */
	struct peer *peer;
	struct session *prev, *next; /* of the peer, oldest first */
	struct due due;
	enum session_state state;
	bool initiator;
	bool spent;	      /* a lane is at its hard limit, which was told */
	bool has_in, has_out; /* SAs installed; has_out stays true: outbound keys are used up */
	uint8_t lanes_in;     /* lanes that the peer sends on */
	uint32_t remote_spi;
	struct lm_path path; /* where its handshake went through */
	struct initiation *init;
	struct reply *reply; /* HALF */
	struct cert *cert;   /* HALF: shown in message 1, taken when confirmed */
	uint8_t send[32], recv[32], esp_root[64];
	uint64_t counter; /* next of ours */
	struct lm_noise_window window;
	lm_time created;  /* INIT, HALF: message 1; CONFIRM: message 2 */
	lm_time since;	  /* CURRENT, OLD: in use since */
	lm_time rekey_at; /* CURRENT: when a successor is due */
	lm_time last_rx;  /* ESP, from the workers */
	uint64_t tx_packets;
	uint8_t probes; /* CONFIRM: sent so far */
};

struct candidate {
	struct lm_endpoint ep;
	enum lm_path_kind kind;
	bool answered; /* something authentic came from there */
	uint8_t turn;  /* counts message 1s that went there: by which port comes next */
	lm_time punched, sent;
	struct kept_cookie cookie;
};

/* host.c */
struct host {
	UT_hash_handle hh;
	struct lm_prefix net;
	lm_time since;
	uint32_t spent;
	bool answered;
};

/*
 * Records are kept as their signers made them, a fifth of their decoded size, and decoded where
 * they are used: lm_m_cert, lm_m_ann.
 */
struct cert {
	uint8_t hash[32];
	uint16_t len;
	uint8_t raw[];
};

struct ann {
	uint64_t sequence;
	uint16_t len;
	uint8_t raw[];
};

/* A certificate that was just judged; raw is the caller's. */
struct shown_cert {
	struct lm_cert c;
	uint8_t hash[32];
	const uint8_t *raw;
	size_t len;
};

struct peer {
	UT_hash_handle hh; /* by node */
	uint8_t node[LM_KEY_LEN];
	struct lm_mesh *mesh;
	uint32_t index;		/* LM_PEER_NONE while barred */
	bool listed;		/* a directory record exists */
	bool published;		/* peer_set was called and peer_gone was not */
	bool checked;		/* on the mesh's check list */
	bool greater;		/* our node key is greater than the peer's: our handshake wins */
	enum lm_verdict barred; /* LM_TRUSTED = may talk; else why not */
	struct peer *check_next;
	struct cert *cert;
	uint8_t x_public[32];
	struct ann *ann;   /* NULL: none is known */
	double ann_tokens; /* announcements that we still check for it */
	lm_time ann_refilled;

	struct session *sessions, *current;
	uint8_t (*ephemerals)[LM_M_EPHEMERAL_LEN]; /* room for so many */
	uint16_t n_ephemerals, next_ephemeral, room;

	/* handshakes that we start */
	struct due connect;
	bool connecting;	/* rounds are under way */
	lm_time wanted_until;	/* by traffic; after that a large mesh keeps no session */
	bool everywhere;	/* not only over the current path */
	uint32_t rounds;	/* since the last success */
	struct session *pacing; /* INIT session with targets left */
	lm_time signal_sent;	/* last SIGNAL to it */
	lm_time signalled;	/* since then, SIGNALs from it came by: */
	uint16_t signallers;	/* coordinators, by bit */
	uint8_t signals;	/* sent since it was up */

	/* where it is */
	struct candidate *candidates;
	uint8_t n_candidates; /* up to LM_M_CANDIDATES */
	uint8_t n_hosts;      /* new ones that we spoke to because of it, since: */
	lm_time hosts_since;
	bool has_path; /* path was proven at some time */
	struct lm_path path;
	struct path *paths, *active; /* path.h; active: where traffic goes, NULL without session */
	uint8_t n_paths;
	bool reachable;	       /* as the owner was told */
	struct path *moved_to; /* the peer spoke from there, not from the active one; or NULL */
	struct path *rx_path;  /* where the newest ESP came from; NULL: not known */
	struct path *better;   /* than the active one; */
	lm_time better_since;  /* taken when it stays so */
	lm_time traffic;       /* last seen; 0 = never */
	lm_time esp_rx;	       /* newest ESP came in; 0 = never */
	lm_time seen_next;     /* not before, a path that only packets speak for is asked */

	/* relays: ways to it, pairs that we have it in, and whether it is one */
	uint8_t n_ways;
	bool is_relay;
	uint32_t n_pairs;
	struct relay_end *pairs;
	struct relay_way *ways, *carries; /* to it; through it */
	float opens;			  /* tokens for what it asks of us as a relay */
	lm_time opens_refilled;
	lm_time relay_next; /* not before, another way is looked for */
	struct peer *next_relay;

	/* is it there */
	struct due liveness;
	lm_time probing; /* first unanswered probe on the active path, 0 = none */
	lm_time up_since, last_rx, last_handshake;
};

/* At most `burst` lines at once, one more each `gap`. */
struct log_limit {
	uint32_t tokens, burst;
	lm_time refilled, gap;
	uint64_t held;
};

/* SIGNALs that still count, by one coordinator. */
struct signaller {
	double tokens;
	lm_time refilled;
};

struct overlay {
	UT_hash_handle hh;
	struct lm_prefix prefix;
	uint32_t refs;
};

struct lm_mesh {
	const struct lm_identity *id;
	struct lm_mesh_ops ops;
	void *user;
	const struct lm_log *log;
	struct lm_now now; /* of the call under way; mono never goes back */
	struct lm_mesh_timers t;
	struct lm_mesh_counters count;

	struct lm_authorities authorities;
	struct lm_revocations revocations;
	struct lm_cert cert;
	uint8_t *cert_raw;
	size_t cert_len;
	uint8_t prologue[16 + LM_MESH_ID_MAX];
	size_t prologue_len;
	uint8_t psk[32];
	uint8_t mac1_key[32], cookie_key[32];
	uint8_t lanes;

	struct lm_timers timers;
	struct due sweep;
	lm_time swept;
	int64_t wall_offset;

	/* What lm_m_cert and lm_m_ann return. */
	struct lm_cert decoded_cert;
	struct lm_announcement decoded_ann;

	struct peer *peers; /* by node key */
	struct peer **by_index;
	uint32_t n_peers, max_peers, eager_peers, index_hint;
	struct peer *check; /* may have to be forgotten */
	struct spi_slot *sessions;
	struct brief_block *brief; /* those with room first */
	struct host *hosts;
	uint32_t n_half_open, max_half_open;

	struct lm_cookie_jar jar;
	struct lm_ratelimit *unproven, *proven; /* by source: without and with a cookie */
	struct lm_rate rate;
	uint32_t handshake_limit;
	double dh_tokens; /* handshakes that we answer */
	lm_time dh_refilled;
	uint32_t extra_ephemerals;
	struct log_limit refusals, events;
	struct signaller signallers[LM_MESH_COORDS_MAX];

	struct overlay *overlays;
	uint32_t overlay_lengths[2][129]; /* prefixes of each length, by family */
	uint32_t overlay_tops[2][256];	  /* prefixes that touch the /8 */
	bool overlay_grew;		  /* endpoints were not judged by all of them */

	struct lm_local_endpoint local[LM_ENDPOINTS_MAX];
	uint8_t n_local;
	bool wan4[LM_MESH_WAN_MAX], wan6[LM_MESH_WAN_MAX];
	struct stun stun;
	struct relaying relaying;
	struct due relay_due;
	lm_time relay_due_at;
	bool all_prefixes; /* announce what the certificate holds */
	struct lm_prefix prefixes[LM_PREFIXES_MAX];
	uint8_t n_prefixes;
	uint64_t sequence; /* greatest of ours that anyone has seen */
	bool has_ann;
	size_t ann_len;
	uint8_t ann[LM_ANNOUNCE_MAX];
};

/* mesh.c */
void lm_m_enter(struct lm_mesh *m, struct lm_now now);
void lm_m_leave(struct lm_mesh *m);
lm_time lm_m_since(const struct lm_mesh *m, lm_time then);
/* Timers always fire later than now, by at least a millisecond. */
void lm_m_arm(struct lm_mesh *m, struct due *d, lm_time delay);
void lm_m_disarm(struct lm_mesh *m, struct due *d);
int lm_m_due_init(struct lm_mesh *m, struct due *d, enum timer_kind kind);
uint32_t lm_m_random_below(struct lm_mesh *m, uint32_t limit);
lm_time lm_m_jitter(struct lm_mesh *m, lm_time max);
/* As lm_mesh_ops.send; -EHOSTUNREACH also when no WAN port can reach the address, or it is inside
 * the mesh. */
int lm_m_send(struct lm_mesh *m, const struct lm_path *path, const uint8_t *data, size_t len);

/* brief.c */
/* Zeroed memory for a struct initiation or a struct reply, or NULL. */
void *lm_m_brief_new(struct lm_mesh *m);
/* Wipes it. p may be NULL. */
void lm_m_brief_free(struct lm_mesh *m, void *p);

/* note.c */
#define LM_M_LABEL_LEN (LM_NAME_MAX + 16)
const char *lm_m_label(const struct lm_cert *c, char buf[LM_M_LABEL_LEN]);
const char *lm_m_peer_label(const struct peer *p, char buf[LM_M_LABEL_LEN]);
/* Something that a stranger or a hostile member can cause at will. */
void lm_m_refusal(struct lm_mesh *m, const char *fmt, ...) LM_PRINTF(2, 3);
void lm_m_event(struct lm_mesh *m, enum lm_log_level level, const char *fmt, ...) LM_PRINTF(3, 4);

/* overlay.c: the prefixes and overlay addresses of every certificate in force */
int lm_m_overlay_add(struct lm_mesh *m, const struct lm_cert *c) LM_MUST_CHECK;
void lm_m_overlay_del(struct lm_mesh *m, const struct lm_cert *c);
bool lm_m_overlay_has(const struct lm_mesh *m, const struct lm_ip *ip);

/* peer.c */
struct peer *lm_m_peer_find(const struct lm_mesh *m, const uint8_t node[32]);
/* NULL: the table is full, no memory, or the key is no curve point. */
struct peer *lm_m_peer_new(struct lm_mesh *m, const struct shown_cert *shown,
			   enum lm_verdict barred);
/* The peer's certificate, and its announcement (NULL: none is known). What they return lives in
 * the mesh until the same function is called again, for any peer. */
const struct lm_cert *lm_m_cert(const struct peer *p);
const struct lm_announcement *lm_m_ann(const struct peer *p);
/* A copy to keep; NULL: no memory. */
struct cert *lm_m_cert_keep(const struct shown_cert *shown);
void lm_m_peer_free(struct lm_mesh *m, struct peer *p);
void lm_m_peer_check(struct peer *p);
/* Tells the data plane; false when it refused. */
bool lm_m_peer_publish(struct lm_mesh *m, struct peer *p);
/* Takes the certificate when it is newer than the one held or that one is no longer good. */
void lm_m_peer_cert(struct lm_mesh *m, struct peer *p, const struct shown_cert *shown);
/* A certificate from the wire or the directory. *p = its peer, NULL when not known. */
enum lm_verdict lm_m_cert_judge(struct lm_mesh *m, const uint8_t *data, size_t len,
				struct shown_cert *out, struct peer **p);
void lm_m_peers_judge(struct lm_mesh *m);
enum lm_peer_state lm_m_peer_state(const struct peer *p);

/* session.c */
struct session *lm_m_session_new(struct lm_mesh *m, struct peer *p, enum session_state state);
struct session *lm_m_session_find(const struct lm_mesh *m, uint32_t spi);
/* false: no free SPI was found. */
bool lm_m_spi_draw(struct lm_mesh *m, struct spi_slot *slot);
/* close: what to tell the peer (enum lm_close_reason), 0 = nothing. */
void lm_m_session_free(struct lm_mesh *m, struct session *s, uint8_t close);
void lm_m_sessions_free(struct lm_mesh *m, struct peer *p, uint8_t close);
bool lm_m_session_install(struct lm_mesh *m, struct session *s);
/* The first authentic transport message of a HALF or CONFIRM session; false: s is gone. */
bool lm_m_session_confirm(struct lm_mesh *m, struct session *s);
void lm_m_session_timer(struct lm_mesh *m, struct session *s);
void lm_m_session_keys(const struct session *s, bool inbound, unsigned lanes,
		       struct lm_esp_key *out);
struct session *lm_m_session_oldest(const struct peer *p, enum session_state state, unsigned *n);

/* initiate.c */
/* Handshake rounds from `delay` on until a session is confirmed; everywhere: all candidates. */
void lm_m_connect(struct lm_mesh *m, struct peer *p, lm_time delay, bool everywhere);
/* The same, as if nothing had been tried yet. */
void lm_m_connect_again(struct lm_mesh *m, struct peer *p, lm_time delay);
void lm_m_connect_stop(struct lm_mesh *m, struct peer *p);
void lm_m_connect_timer(struct lm_mesh *m, struct peer *p);
void lm_m_on_resp(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len);
void lm_m_on_cookie(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len);
/* The peer can be reached that way too from now on: it gets the message 1 that is going round, or
 * one of its own. */
void lm_m_connect_way(struct lm_mesh *m, struct peer *p, const struct lm_path *path);
/* Our hello for the session; its length. */
int lm_m_hello(const struct lm_mesh *m, const struct session *s, uint8_t *buf, size_t cap,
	       size_t pad_to) LM_MUST_CHECK;

/* punch.c */
/* Has the coordinators tell the peer that we try to reach it; not too often. */
void lm_m_signal(struct lm_mesh *m, struct peer *p);

/* demand.c */
/* Is a session with the peer to be had and kept? */
bool lm_m_wants(const struct lm_mesh *m, const struct peer *p);
/* There is traffic. */
void lm_m_want(struct lm_mesh *m, struct peer *p);
/* The peer is said to want us. */
void lm_m_called(struct lm_mesh *m, struct peer *p);

/* respond.c */
/* HALF, and its first transport message came from there: the way to use, if it was answered that
 * way; it is no longer half open. */
void lm_m_reply_done(struct session *s, const struct lm_path *from);
void lm_m_ephemerals_free(struct lm_mesh *m, struct peer *p);
void lm_m_on_init(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len);

/* transport.c */
void lm_m_on_transport(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data,
		       size_t len);
#define LM_M_PROBE_LEN (LM_TRANSPORT_OVERHEAD + 31)
/* Asks on that path; the answer comes to lm_m_probe_answered. */
void lm_m_probe(struct lm_mesh *m, struct session *s, struct path *r);
void lm_m_close(struct lm_mesh *m, struct session *s, uint8_t reason);
void lm_m_send_announcement(struct lm_mesh *m, struct session *s, const uint8_t *data, size_t len);

/* Sends one frame, and pad bytes of PAD behind it, if pad is not 0. */
void lm_m_send_frame(struct lm_mesh *m, struct session *s, const struct lm_path *to,
		     const struct lm_frame *f, size_t pad);

/* relay.c: what others have relayed by us */
void lm_m_relay_frame(struct lm_mesh *m, struct session *s, const struct lm_path *from,
		      const struct lm_frame *f);
bool lm_m_relay_id_used(const struct lm_mesh *m, uint64_t id);
/* Has it a session whose path goes through no relay? */
bool lm_m_straight(const struct peer *p);
/* The first of these that is proven to lead to the peer, which is straight; else its active one. */
const struct lm_path *lm_m_relay_place(const struct peer *p, const struct lm_path *first,
				       const struct lm_path *second);
/* The peer has another active path. */
void lm_m_pairs_moved(struct lm_mesh *m, struct peer *p);
void lm_m_pairs_drop(struct lm_mesh *m, const struct peer *p);
/* May we be a relay (still)? */
void lm_m_relaying_check(struct lm_mesh *m);

/* way.c: our ways through relays */
/* The open way that has this path, or NULL. */
struct relay_way *lm_m_way(const struct peer *p, const struct lm_path *path);
/* The number of the peer that the path goes through, or LM_PEER_NONE. */
uint32_t lm_m_path_relay(const struct peer *p, const struct lm_path *path);
void lm_m_way_frame(struct lm_mesh *m, struct peer *relay, const struct lm_path *from,
		    const struct lm_frame *f);
/* Opens as many ways as the peer should have now. */
void lm_m_relay_want(struct lm_mesh *m, struct peer *p);
/* None of the peer's paths is alive. */
void lm_m_relay_no_path(struct lm_mesh *m, struct peer *p);
/* The relay has another active path; it has no session any more; the peer goes. */
void lm_m_ways_moved(struct lm_mesh *m, struct peer *relay);
void lm_m_ways_lost(struct lm_mesh *m, struct peer *relay);
void lm_m_ways_drop(struct lm_mesh *m, const struct peer *p);
/* The peer's certificate in force is this one. */
void lm_m_relay_role(struct lm_mesh *m, struct peer *p, const struct lm_cert *c);
void lm_m_relay_arm(struct lm_mesh *m, lm_time due);
void lm_m_relay_timer(struct lm_mesh *m);
void lm_m_way_timer(struct lm_mesh *m, struct relay_way *way);

/* liveness.c */
void lm_m_liveness_start(struct lm_mesh *m, struct peer *p);
void lm_m_liveness_timer(struct lm_mesh *m, struct peer *p);
/* Some path's `next` has changed. */
void lm_m_liveness_rearm(struct lm_mesh *m, struct peer *p);
void lm_m_heard(struct lm_mesh *m, struct peer *p, lm_time when);
/* The workers have seen packets: rx = when one came in, 0 = they only sent. */
void lm_m_traffic(struct lm_mesh *m, struct peer *p, lm_time rx);
/* Users' packets are going either way. */
bool lm_m_busy(const struct lm_mesh *m, const struct peer *p);
/* Does the active path still answer? */
void lm_m_active_check(struct lm_mesh *m, struct peer *p);
/* The peer may have left the active path for this one: does the active one still answer? */
void lm_m_has_moved(struct lm_mesh *m, struct peer *p, struct path *r);
/* A newest authentic packet came that way: is it a new one, and does the old one still answer? */
void lm_m_roam(struct lm_mesh *m, struct peer *p, const struct lm_path *from, bool esp);

/* path.c */
bool lm_m_path_equal(const struct lm_path *a, const struct lm_path *b);
bool lm_m_endpoint_ok(const struct lm_mesh *m, const struct lm_endpoint *ep);
bool lm_m_wan_ok(const struct lm_mesh *m, uint16_t port, const struct lm_endpoint *remote);
bool lm_m_own_endpoint(const struct lm_mesh *m, const struct lm_endpoint *ep);
void lm_m_candidates(struct lm_mesh *m, struct peer *p);
/* Endpoints that were taken before it was known that they are inside the mesh: given up. */
void lm_m_candidates_judge(struct lm_mesh *m);
struct candidate *lm_m_candidate(const struct peer *p, const struct lm_endpoint *ep);
/* May so many bytes of UDP payload go there now? Then they count as sent. */
bool lm_m_candidate_spend(struct lm_mesh *m, struct peer *p, struct candidate *c, size_t len);
uint8_t lm_m_targets(const struct lm_mesh *m, const struct peer *p, bool everywhere,
		     struct lm_path out[LM_M_TARGETS]);

/* host.c */
/* May so many bytes of UDP payload go to the host, which is named by the peer? Then they count as
 * sent. One byte is a punch. */
bool lm_m_host_spend(struct lm_mesh *m, struct peer *p, const struct lm_ip *ip, size_t len);
/* It was not sent. */
void lm_m_host_refund(struct lm_mesh *m, const struct lm_ip *ip, size_t len);
/* A round trip was made there. */
void lm_m_host_answered(struct lm_mesh *m, const struct lm_ip *ip);
void lm_m_hosts_free(struct lm_mesh *m);

/* reconfigure.c */
int lm_m_own_cert_check(const struct lm_mesh *m, const uint8_t *data, size_t len,
			const struct lm_authorities *au, struct lm_cert *out,
			struct lm_error *err) LM_MUST_CHECK;
/* Every prefix inside the own certificate? out: a copy. */
int lm_m_prefixes_check(const struct lm_cert *own, const struct lm_prefix *prefixes, uint8_t n,
			struct lm_prefix out[LM_PREFIXES_MAX], struct lm_error *err) LM_MUST_CHECK;

/* stun.c */
void lm_m_on_stun(struct lm_mesh *m, const struct lm_path *from, const uint8_t *data, size_t len);
void lm_m_stun_timer(struct lm_mesh *m);
/* The addresses of these WAN ports (by bit) have changed. */
void lm_m_stun_local(struct lm_mesh *m, uint32_t ports);
/* A peer sees us elsewhere than before. */
void lm_m_stun_observed(struct lm_mesh *m);

/* record.c */
/* When to call a peer that many may call: not all in the same moment. */
lm_time lm_m_first_delay(struct lm_mesh *m);
enum lm_verdict lm_m_announcement(struct lm_mesh *m, const uint8_t *data, size_t len,
				  struct session *from);
void lm_m_announcement_recheck(struct peer *p);
void lm_m_own_announcement(struct lm_mesh *m, bool force);

#endif
