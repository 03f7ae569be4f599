/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * coord: the directory of signed records. A node's cache of it, both ends of the
 * coordinator link without I/O and without a clock (so that thousands run on a
 * virtual one), the coordinator's store, and thin libuv glue for real TCP.
 *
 * A coordinator is never trusted: a client hands out what arrived, well formed but
 * unchecked, and the consumer (lm_mesh_record, lm_mesh_revocation) judges it. The
 * worst a lying coordinator can do is to withhold or delay.
 *
 * The link (wire.h has the messages): TCP, records of u16 length and that many
 * bytes, Noise_IK_25519_ChaChaPoly_BLAKE2b with prologue LM_COORD_PROLOGUE || 0x00
 * || mesh id. Message 1's payload is the node's certificate, message 2's the
 * store's epoch (16) and revision (u64).
 *
 * One thread owns each object here and makes every call on it.
 */
#ifndef LANEMESH_COORD_H
#define LANEMESH_COORD_H

#include <lanemesh/trust.h>

/* ======================================================= directory cache == */

/*
 * What a node remembers of the directory, in memory and in one file: records that
 * its consumer found good, which coordinators list each of them, how far it is in
 * step with each coordinator, and the newest revocation lists. Does not judge
 * signatures: put in only what lm_mesh_record or lm_mesh_revocation called
 * LM_TRUSTED, and hand everything to them again after lm_directory_load.
 */
struct lm_directory;

#define LM_DIRECTORY_SOURCES   16 /* coordinators at most */
#define LM_DIRECTORY_NO_SOURCE (-1)

struct lm_directory_record {
	uint8_t node[LM_KEY_LEN];
	uint64_t sequence; /* of the announcement */
	const uint8_t *cert, *ann;
	size_t cert_len, ann_len;
};

/* Holds at most max_nodes records. NULL when out of memory. */
struct lm_directory *lm_directory_new(uint32_t max_nodes);
void lm_directory_free(struct lm_directory *d);

/* The number (0..15) of the coordinator with this Ed25519 key, a new one when it has none yet;
 * -ENOSPC when all are taken. */
int lm_directory_source(struct lm_directory *d, const uint8_t key[LM_KEY_LEN]) LM_MUST_CHECK;
/* Forgets coordinators that are not among keys (those configured now). Records that only they
 * listed stay until they expire. */
void lm_directory_keep_sources(struct lm_directory *d, const uint8_t (*keys)[LM_KEY_LEN], size_t n);
/* How far we are in step with it; zeros when it is new, or its full listing has not ended. */
void lm_directory_position(const struct lm_directory *d, int source, uint8_t epoch[LM_EPOCH_LEN],
			   uint64_t *revision);

/* A good record, heard from a coordinator or (LM_DIRECTORY_NO_SOURCE) otherwise. The newer one
 * stays: the higher announcement sequence, then the later certificate (not_before, serial).
 * 0; -EBADMSG: not decodable; -ENOSPC: full; -ENOMEM. */
int lm_directory_put(struct lm_directory *d, int source, const uint8_t *cert, size_t cert_len,
		     const uint8_t *ann, size_t ann_len) LM_MUST_CHECK;
/* The coordinator says that the node has left. True: no coordinator lists it any more, it has been
 * taken out, and lm_mesh_record_removed is due. */
bool lm_directory_unlist(struct lm_directory *d, int source, const uint8_t node[LM_KEY_LEN]);
/* A full listing begins: what it does not name again is unlisted by lm_directory_synced. */
void lm_directory_resync(struct lm_directory *d, int source);
/* In step with the coordinator up to this point. removed (may be NULL) is called for each node
 * that a full listing no longer named and that is now gone, after it was taken out. */
void lm_directory_synced(struct lm_directory *d, int source, const uint8_t epoch[LM_EPOCH_LEN],
			 uint64_t revision,
			 void (*removed)(void *user, const uint8_t node[LM_KEY_LEN]), void *user);
/* Takes out records whose certificate has expired (with grace) at wall time and that no coordinator
 * lists; how many. */
uint32_t lm_directory_expire(struct lm_directory *d, int64_t wall);

/* A good revocation list. The one with the highest number of each issuer stays. 0; -EBADMSG;
 * -ENOSPC: more than LM_AUTHORITIES_MAX issuers; -ENOMEM. */
int lm_directory_put_revocation(struct lm_directory *d, const uint8_t *data,
				size_t len) LM_MUST_CHECK;
/* Forgets the lists of issuers that are no authority (now). */
void lm_directory_keep_issuers(struct lm_directory *d, const struct lm_authorities *au);

uint32_t lm_directory_count(const struct lm_directory *d);
bool lm_directory_get(const struct lm_directory *d, const uint8_t node[LM_KEY_LEN],
		      struct lm_directory_record *out);
/* Callbacks must not change the directory; pointers are valid during the call. */
void lm_directory_each(const struct lm_directory *d,
		       void (*each)(void *user, const struct lm_directory_record *r), void *user);
void lm_directory_each_revocation(const struct lm_directory *d,
				  void (*each)(void *user, const uint8_t *data, size_t len),
				  void *user);
/* Grows with every change: save when it differs from the value at the last save. */
uint64_t lm_directory_version(const struct lm_directory *d);

/* The file: magic, version, content, BLAKE2b checksum; replaced atomically, mode 0644. Load into
 * an empty directory: 0; -ENOENT; anything else: err says why and what to do, d is empty. */
int lm_directory_save(const struct lm_directory *d, const char *path,
		      struct lm_error *err) LM_MUST_CHECK;
int lm_directory_load(struct lm_directory *d, const char *path, struct lm_error *err) LM_MUST_CHECK;
/* The same as bytes; *out is malloc'ed. decode wants d empty, and leaves it empty on failure. */
int lm_directory_encode(const struct lm_directory *d, uint8_t **out, size_t *len) LM_MUST_CHECK;
int lm_directory_decode(struct lm_directory *d, const uint8_t *data, size_t len,
			struct lm_error *err) LM_MUST_CHECK;

/* ================================================================ client == */

/* A node's link to one coordinator. */
struct lm_coord_client;

#define LM_COORD_HANDSHAKE_TIMEOUT (5 * LM_SEC) /* connect, and then handshake */
#define LM_COORD_PING_EVERY	   (20 * LM_SEC)
#define LM_COORD_PING_TIMEOUT	   (10 * LM_SEC)
#define LM_COORD_RETRY_MIN	   (250 * LM_MSEC)
#define LM_COORD_RETRY_MAX	   (9 * LM_SEC) /* between starts of two tries (FAULTS row 15) */
#define LM_COORD_PUBLISH_AGAIN	   (5 * LM_SEC)

enum lm_coord_state {
	LM_COORD_WAITING,    /* for the next try */
	LM_COORD_CONNECTING, /* TCP */
	LM_COORD_HANDSHAKE,
	LM_COORD_SYNCING,
	LM_COORD_UP, /* in step; changes are pushed */
};
const char *lm_coord_state_name(enum lm_coord_state s);

/*
 * Called on the owner's thread, from inside lm_coord_client_* calls. They may call back only
 * lm_coord_client_publish, _revocation and _signal (from record, removed, revocation, resync,
 * synced, published, signalled) and lm_coord_client_output and _sent (from output). Members marked
 * (opt) may be NULL.
 */
struct lm_coord_client_ops {
	/* Open a connection. Answer later with _connected or _closed. */
	void (*connect)(void *user);
	/* Drop the connection, or the attempt. No _closed call follows. */
	void (*close)(void *user);
	/* There are bytes to send: see lm_coord_client_output. */
	void (*output)(void *user);
	void (*random)(void *user, void *out, size_t len);
	/* A record of the directory, to be judged; also our own. */
	void (*record)(void *user, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		       size_t ann_len);
	void (*removed)(void *user, const uint8_t node[LM_KEY_LEN]);
	void (*revocation)(void *user, const uint8_t *data, size_t len);
	/* A full listing begins (lm_directory_resync). */
	void (*resync)(void *user);
	/* In step up to this revision; also after pushed changes. To be remembered with the
	 * directory and given back as position in the next process. */
	void (*synced)(void *user, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision);
	/* The coordinator has stored our announcement `sequence` durably; greater than the one we
	 * published when it holds a newer one of ours. (opt) */
	void (*published)(void *user, uint64_t sequence);
	/* A node that is connected to the same coordinator wants to reach us; says the coordinator,
	 * which may lie. token: the node's. (opt) */
	void (*signalled)(void *user, const uint8_t node[LM_KEY_LEN], uint64_t token);
	/* why: a phrase for people when the link went down, else NULL. (opt) */
	void (*state)(void *user, enum lm_coord_state s, const char *why);
};

struct lm_coord_client_config {
	const struct lm_identity *id; /* borrowed */
	const uint8_t *cert;	      /* own certificate; copied */
	size_t cert_len;
	char mesh[LM_MESH_ID_MAX + 1];
	uint8_t server_key[LM_KEY_LEN]; /* the coordinator's Ed25519 public key, pinned */
	const char *name;		/* for logs, e.g. its address; copied */
	uint8_t epoch[LM_EPOCH_LEN];	/* position of the last process, or zeros */
	uint64_t revision;
	const struct lm_log *log; /* borrowed, may be NULL */
};

struct lm_coord_client_counters {
	uint64_t tries, connects, failures; /* failures: tries that did not get to SYNCING */
	uint64_t malformed;		    /* links ended because of what the coordinator sent */
	uint64_t timeouts, errors;	    /* errors: ERROR messages from the coordinator */
	uint64_t records, removed, revocations, published, signalled; /* messages taken */
	uint64_t bytes_in, bytes_out;
};

/* The first lm_coord_client_tick starts the first try. NULL with err: a key or certificate that
 * cannot be used, or no memory. */
struct lm_coord_client *lm_coord_client_new(const struct lm_coord_client_config *cfg,
					    const struct lm_coord_client_ops *ops, void *user,
					    struct lm_error *err);
/* Calls no operation: drop the connection yourself. */
void lm_coord_client_free(struct lm_coord_client *c);

void lm_coord_client_connected(struct lm_coord_client *c, lm_time now);
/* Connection failed or ended; why for the log ("connection refused"). */
void lm_coord_client_closed(struct lm_coord_client *c, lm_time now, const char *why);
void lm_coord_client_input(struct lm_coord_client *c, lm_time now, const uint8_t *data, size_t len);
/* Bytes to send now, NULL when none; then say how many of them went out. Valid until the next
 * call on c. */
const uint8_t *lm_coord_client_output(const struct lm_coord_client *c, size_t *len);
void lm_coord_client_sent(struct lm_coord_client *c, size_t n);
lm_time lm_coord_client_next(const struct lm_coord_client *c);
void lm_coord_client_tick(struct lm_coord_client *c, lm_time now);

/* Our signed announcement: sent now or when connected, again until stored, and on every new
 * connection. Copied; replaces the one before. 0, -EMSGSIZE or -EBADMSG. */
int lm_coord_client_publish(struct lm_coord_client *c, lm_time now, const uint8_t *ann,
			    size_t len) LM_MUST_CHECK;
/* A revocation list that we hold to be good: passed on when the coordinator has none or an older
 * one of that issuer. Copied; older ones than before are ignored. 0, -EBADMSG, -ENOSPC, -ENOMEM. */
int lm_coord_client_revocation(struct lm_coord_client *c, lm_time now, const uint8_t *data,
			       size_t len) LM_MUST_CHECK;
/* Asks the coordinator to tell a node that we want to reach it. 0: on its way (the node may not be
 * connected there, nobody says); -ENOTCONN: not linked; -ENOBUFS, -ENOMEM. */
int lm_coord_client_signal(struct lm_coord_client *c, const uint8_t node[LM_KEY_LEN],
			   uint64_t token);
enum lm_coord_state lm_coord_client_state(const struct lm_coord_client *c);
const struct lm_coord_client_counters *lm_coord_client_counters(const struct lm_coord_client *c);

/* ================================================================= store == */

enum lm_coord_item_kind {
	LM_COORD_ITEM_NODE = 1,	      /* cert and ann; key = node */
	LM_COORD_ITEM_GONE = 2,	      /* a node that has left; key = node */
	LM_COORD_ITEM_REVOCATION = 3, /* list in ann, cert empty; key = issuer */
};

struct lm_coord_item {
	uint8_t kind;
	uint8_t key[LM_KEY_LEN];
	uint64_t revision; /* > 0, each one used once in an epoch */
	const uint8_t *cert, *ann;
	size_t cert_len, ann_len;
};

/*
 * Where a coordinator keeps its directory. NODE and GONE of one key replace each
 * other. commit is durable when it returns 0, and all or nothing; on failure the
 * server goes on serving what it has, refuses writes, and tries again later.
 */
struct lm_coord_store {
	void *self;
	/* Everything, in any order, then epoch and the highest revision ever committed. A store
	 * that is empty makes an epoch of 16 random bytes first. 0 or -errno with err. */
	int (*load)(void *self, int (*each)(void *user, const struct lm_coord_item *it), void *user,
		    uint8_t epoch[LM_EPOCH_LEN], uint64_t *revision, struct lm_error *err);
	int (*commit)(void *self, const struct lm_coord_item *items, size_t n,
		      struct lm_error *err);
	/* Drops all GONE items and starts another epoch: everybody lists in full again. */
	int (*new_epoch)(void *self, const uint8_t epoch[LM_EPOCH_LEN], struct lm_error *err);
};

/* SQLite in one file with write-ahead log; checked at opening. -EUCLEAN: it is damaged or of
 * another kind or version, err says what to do. The process must be its only user. */
int lm_coord_store_sqlite_open(const char *path, struct lm_coord_store *out,
			       struct lm_error *err) LM_MUST_CHECK;
void lm_coord_store_sqlite_close(struct lm_coord_store *st);

/* ================================================================ server == */

struct lm_coord_server;
struct lm_coord_conn; /* one node's connection */

struct lm_coord_limits {
	uint32_t nodes;		   /* records in the directory */
	uint32_t gone;		   /* departed nodes remembered for delta sync */
	uint32_t connections;	   /* in total */
	uint32_t half_open;	   /* not known yet; beyond it the oldest of them goes */
	uint32_t connections_from; /* from one source: an IPv4 address or an IPv6 /64 */
	uint32_t handshake_rate, handshake_burst; /* new connections a second from one source */
	uint32_t write_rate, write_burst;	  /* PUBLISH and REVOCATION a second per node */
	uint32_t signal_rate, signal_burst;	  /* SIGNAL a second per node */
	uint32_t pair_rate, pair_burst;		  /* SIGNAL a second from one node to another */
	lm_time handshake;			  /* from accept to the first sealed record */
	lm_time idle;				  /* no record from the node */
	lm_time stall;				  /* output waits and none of it is taken */
	size_t output;				  /* bytes waiting for one node at most */
};
/* 10,000 nodes, 10,000 gone, 10,000 connections, 1,024 half open, 256 from one source, 50/s burst
 * 200 there, 10/s burst 20 writes, 100/s burst 1,000 signals and 1/s burst 3 for a pair, 5 s, 60 s,
 * 30 s, 256 KiB. */
void lm_coord_limits_default(struct lm_coord_limits *l);

/* As for the client: none may call back into the server, except that `output` may use
 * lm_coord_conn_output and lm_coord_conn_sent. */
struct lm_coord_server_ops {
	/* There are bytes to send on this connection. */
	void (*output)(void *user, void *conn_user);
	/* The server has ended the connection: send these last bytes if that is possible without
	 * waiting for long, and close. The lm_coord_conn is gone when this returns. */
	void (*close)(void *user, void *conn_user, const uint8_t *last, size_t len);
	void (*random)(void *user, void *out, size_t len);
};

struct lm_coord_server_config {
	const struct lm_identity *id; /* borrowed */
	struct lm_authorities authorities;
	struct lm_coord_limits limits;
	lm_time record_ttl; /* a record stays so long after its node left; 0: until it expires.
			     * A coordinator's restart begins it anew. */
	struct lm_coord_store *store; /* borrowed; NULL: nothing outlives the process */
	const struct lm_log *log;     /* borrowed, may be NULL */
};

struct lm_coord_server_counters {
	uint64_t accepted;
	uint64_t refused_total, refused_source, refused_rate; /* connections not accepted */
	uint64_t handshake_bad, handshake_timeout, handshake_evicted, protocol_bad;
	uint64_t cert_refused[LM_VERDICT_COUNT];   /* nodes not let in, or put out later */
	uint64_t record_refused[LM_VERDICT_COUNT]; /* announcements and lists */
	uint64_t replaced, idle, stalled, limited;
	uint64_t published, unchanged, removed, revocations; /* changes made; unchanged: repeats */
	uint64_t store_errors;
	uint64_t sync_full, sync_delta;
	uint64_t signals, signals_absent, signals_limited; /* passed on; node not here; too many */
	uint64_t bytes_in, bytes_out;
};

/* Loads the store. NULL with err on failure. */
struct lm_coord_server *lm_coord_server_new(const struct lm_coord_server_config *cfg,
					    const struct lm_coord_server_ops *ops, void *user,
					    struct lm_now now, struct lm_error *err);
/* Ends all connections (close is called for each), frees. The store stays open. */
void lm_coord_server_free(struct lm_coord_server *s);

/* A connection was accepted. NULL: refused and counted, close it. */
struct lm_coord_conn *lm_coord_server_accept(struct lm_coord_server *s, struct lm_now now,
					     const struct lm_endpoint *from, void *conn_user);
/* Bytes arrived. The connection may be gone when this returns (then close was called). */
void lm_coord_server_input(struct lm_coord_server *s, struct lm_now now, struct lm_coord_conn *c,
			   const uint8_t *data, size_t len);
/* The other side closed, or an error; close is not called. */
void lm_coord_server_closed(struct lm_coord_server *s, struct lm_coord_conn *c);
/* Bytes to send, NULL when none; valid until the next call on s. */
const uint8_t *lm_coord_conn_output(const struct lm_coord_conn *c, size_t *len);
void lm_coord_conn_sent(struct lm_coord_conn *c, lm_time now, size_t n);
/* A list from the operator's file. LM_TRUSTED: taken, or the same again. LM_OLDER: a newer one of
 * that authority is in force and stays. */
enum lm_verdict lm_coord_server_revocation(struct lm_coord_server *s, struct lm_now now,
					   const uint8_t *data, size_t len);
/* Other authorities or life time of records; what is no longer good leaves at once. */
void lm_coord_server_reconfigure(struct lm_coord_server *s, struct lm_now now,
				 const struct lm_authorities *au, lm_time record_ttl);
/* Writes that arrived since the last tick are committed together by the next: call it soon. */
lm_time lm_coord_server_next(const struct lm_coord_server *s);
void lm_coord_server_tick(struct lm_coord_server *s, struct lm_now now);

struct lm_coord_server_info {
	uint8_t epoch[LM_EPOCH_LEN];
	uint64_t revision;
	uint32_t nodes, gone, connections, subscribed;
	bool store_failing; /* the last commit did not succeed */
	bool list_stale;    /* a revocation list's next update is overdue */
};
void lm_coord_server_info(const struct lm_coord_server *s, struct lm_coord_server_info *out);
const struct lm_coord_server_counters *lm_coord_server_counters(const struct lm_coord_server *s);

/* ================================================================== STUN == */

/* Answers Binding requests: each with at most as many bytes as it has, or not at all. */
struct lm_coord_stun;

struct lm_coord_stun_counters {
	uint64_t answered;
	uint64_t refused;   /* answered with error 420: attributes that we do not know */
	uint64_t no_room;   /* not answered: shorter than the answer */
	uint64_t limited;   /* not answered: too many from that address or /64 */
	uint64_t malformed; /* not answered: no Binding request */
};

/* key: 16 random bytes. NULL when out of memory. */
struct lm_coord_stun *lm_coord_stun_new(const uint8_t key[16]);
void lm_coord_stun_free(struct lm_coord_stun *s);
/* A datagram. Length of the answer, which goes back to `from`; 0: none. */
size_t lm_coord_stun_answer(struct lm_coord_stun *s, lm_time now, const struct lm_endpoint *from,
			    const uint8_t *msg, size_t len, uint8_t out[LM_STUN_ANSWER_MAX]);
const struct lm_coord_stun_counters *lm_coord_stun_counters(const struct lm_coord_stun *s);

/* ============================================================ libuv glue == */

/* The process must ignore SIGPIPE. Nothing here but lm_coord_link_client and
 * lm_coord_link_kick may be called from inside callbacks. */
struct uv_loop_s;

/* A client with its TCP connection and timer. */
struct lm_coord_link;

struct lm_coord_link_ops {
	void (*now)(void *user, struct lm_now *out);
	/* As in struct lm_coord_client_ops. */
	void (*record)(void *user, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		       size_t ann_len);
	void (*removed)(void *user, const uint8_t node[LM_KEY_LEN]);
	void (*revocation)(void *user, const uint8_t *data, size_t len);
	void (*resync)(void *user);
	void (*synced)(void *user, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision);
	void (*published)(void *user, uint64_t sequence);			       /* (opt) */
	void (*signalled)(void *user, const uint8_t node[LM_KEY_LEN], uint64_t token); /* (opt) */
	void (*state)(void *user, enum lm_coord_state s, const char *why);	       /* (opt) */
};

/* Starts at once. Callbacks come from the loop, never from inside this call. NULL with err. */
struct lm_coord_link *lm_coord_link_new(struct uv_loop_s *loop, const struct lm_endpoint *server,
					const struct lm_coord_client_config *cfg,
					const struct lm_coord_link_ops *ops, void *user,
					struct lm_error *err);
/* Closes; no callback comes after this call. The memory goes when the loop has run once more. */
void lm_coord_link_close(struct lm_coord_link *l);
/* For publish, revocation, state and counters. */
struct lm_coord_client *lm_coord_link_client(struct lm_coord_link *l);
/* Call after lm_coord_client_publish or _revocation: deadlines may have changed. */
void lm_coord_link_kick(struct lm_coord_link *l);

/* A server with its listening sockets. */
struct lm_coord_listener;

/* Listens on n endpoints. The server is made inside with cfg. NULL with err. now: as above. */
struct lm_coord_listener *lm_coord_listener_new(struct uv_loop_s *loop,
						const struct lm_endpoint *listen, size_t n,
						const struct lm_coord_server_config *cfg,
						void (*now)(void *user, struct lm_now *out),
						void *user, struct lm_error *err);
/* Says goodbye to all nodes, closes. The memory goes when the loop has run until all is closed;
 * the store may be closed after this call. */
void lm_coord_listener_close(struct lm_coord_listener *l);
struct lm_coord_server *lm_coord_listener_server(struct lm_coord_listener *l);
/* Call after lm_coord_server_revocation: deadlines may have changed. */
void lm_coord_listener_kick(struct lm_coord_listener *l);

/* UDP sockets that answer STUN. */
struct lm_coord_stun_listener;

/* NULL with err. */
struct lm_coord_stun_listener *lm_coord_stun_listener_new(struct uv_loop_s *loop,
							  const struct lm_endpoint *listen,
							  size_t n, struct lm_error *err);
/* The memory goes when the loop has run until all is closed. */
void lm_coord_stun_listener_close(struct lm_coord_stun_listener *l);
const struct lm_coord_stun_counters *
lm_coord_stun_listener_counters(const struct lm_coord_stun_listener *l);

#endif
