/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * wire: every byte that lanemesh sends or accepts. Pure: no I/O, no allocation
 * (decoded messages point into the caller's buffer or are plain values), no
 * crypto. lib/wire/PROTOCOL.md says in words what this header says in C.
 * Integers on the wire are big-endian.
 */
#ifndef LANEMESH_WIRE_H
#define LANEMESH_WIRE_H

#include <lanemesh/base.h>

/* ================================================== outer demultiplexer == */

#define LM_PORT_DEFAULT	 4500
#define LM_CONTROL_MAX	 1200 /* UDP payload of any control message, without a relay's header */
#define LM_SPI_MIN	 0x80000000u
#define LM_LANES_MAX	 64 /* SPIs in a block; the low 6 bits of an SPI are its lane */
#define LM_SPI_LANE_MASK 0x3fu
#define LM_STUN_COOKIE	 0x2112a442u

enum lm_demux {
	LM_DEMUX_ESP,	    /* first bit set */
	LM_DEMUX_CONTROL,   /* RFC 3948 non-ESP marker */
	LM_DEMUX_STUN,	    /* RFC 8489: bits 00, magic cookie, at least 20 bytes */
	LM_DEMUX_KEEPALIVE, /* one byte 0xff, RFC 3948 section 2.3 */
	LM_DEMUX_BAD,	    /* anything else: a counted drop, never answered */
};

/* What is this UDP payload of the mesh port? Zero or the top bit in the first word is decided
 * first; ESP and control need 8 bytes (SPI and sequence number; header), shorter ones are BAD. */
enum lm_demux lm_demux(const uint8_t *payload, size_t len);

/* ================================================== control messages ===== */

/*
 * Common header: 4 zero bytes, type, 3 zero bytes. Fixed sizes include it.
 */
/* Prologue of the handshake, and of that of the coordinator link: this, a zero byte, mesh id. */
#define LM_PROLOGUE	  "lanemesh 1"
#define LM_COORD_PROLOGUE "lanemesh-coord 1"

enum lm_msg_type {
	LM_MSG_INIT = 1,      /* handshake message 1 */
	LM_MSG_RESP = 2,      /* handshake message 2 */
	LM_MSG_COOKIE = 3,    /* cookie reply */
	LM_MSG_TRANSPORT = 4, /* frames sealed under the session's Noise transport keys */
	LM_MSG_RELAY = 5,     /* relay's header, then a datagram: ESP or one of the above */
};

#define LM_KEY_LEN  32
#define LM_TAG_LEN  16
#define LM_MAC_LEN  16
#define LM_SIG_LEN  64
#define LM_HDR_LEN  8
#define LM_TYPE_OFF 4

/* --- message 1: header, sender SPI base, e, {s}, {payload}, mac1, mac2 --- */
#define LM_INIT_LEN	  1200 /* always: so message 2 is never longer */
#define LM_INIT_NOISE_OFF 12
#define LM_INIT_NOISE_LEN (LM_INIT_LEN - LM_INIT_NOISE_OFF - 2 * LM_MAC_LEN)
/* What mac1 and mac2 cover: header, SPI base, e, {s}. */
#define LM_INIT_MACED	    (LM_INIT_NOISE_OFF + LM_KEY_LEN + LM_KEY_LEN + LM_TAG_LEN)
#define LM_INIT_PAYLOAD_LEN (LM_INIT_NOISE_LEN - LM_KEY_LEN - LM_KEY_LEN - 2 * LM_TAG_LEN)
/* --- message 2: header, sender SPI base, receiver SPI base, e, {payload}, mac1, mac2 --- */
#define LM_RESP_NOISE_OFF 16
#define LM_RESP_MIN	  (LM_RESP_NOISE_OFF + LM_KEY_LEN + LM_TAG_LEN + 2 * LM_MAC_LEN)
#define LM_RESP_MAX	  1200
#define LM_RESP_MACED	  (LM_RESP_NOISE_OFF + LM_KEY_LEN) /* header, SPI bases, e */
/* --- cookie reply: header, receiver SPI base, nonce, {cookie} --- */
#define LM_COOKIE_NONCE_OFF 12
#define LM_COOKIE_NONCE_LEN 24
#define LM_COOKIE_LEN	    16
#define LM_COOKIE_REPLY_LEN (LM_COOKIE_NONCE_OFF + LM_COOKIE_NONCE_LEN + LM_COOKIE_LEN + LM_TAG_LEN)
/* --- transport: header, receiver SPI base, counter, {frames} --- */
#define LM_TRANSPORT_OVERHEAD (LM_TRANSPORT_DATA_OFF + LM_TAG_LEN)
#define LM_TRANSPORT_DATA_OFF 20
#define LM_FRAMES_MAX	      (LM_CONTROL_MAX - LM_TRANSPORT_OVERHEAD)
/* --- relayed: header, relay id, the untouched datagram --- */
#define LM_RELAY_ID_OFF	 8
#define LM_RELAY_HDR_LEN 16

struct lm_msg_init {
	uint32_t sender_spi;
	const uint8_t *noise; /* LM_INIT_NOISE_LEN bytes */
	const uint8_t *mac1, *mac2;
};

struct lm_msg_resp {
	uint32_t sender_spi, receiver_spi;
	const uint8_t *noise;
	size_t noise_len;
	const uint8_t *mac1, *mac2;
};

struct lm_msg_cookie {
	uint32_t receiver_spi;
	const uint8_t *nonce, *sealed; /* sealed: LM_COOKIE_LEN + LM_TAG_LEN bytes */
};

struct lm_msg_transport {
	uint32_t receiver_spi;
	uint64_t counter;
	const uint8_t
	    *sealed; /* tag included; the associated data is the message's first 20 bytes */
	size_t sealed_len;
};

struct lm_msg_relay {
	uint64_t id;	      /* never 0 */
	const uint8_t *inner; /* ESP or a control message other than a relayed one */
	size_t inner_len;
};

/* Type of a control datagram, known or not; 0 when too short, not control, or reserved bytes are
 * set. */
uint8_t lm_msg_type(const uint8_t *msg, size_t len);
/* Each checks marker, type, reserved bytes, exact or allowed length, SPI range and alignment.
 * Pointers in *out point into msg. 0 or -EBADMSG. */
int lm_msg_init_decode(const uint8_t *msg, size_t len, struct lm_msg_init *out) LM_MUST_CHECK;
int lm_msg_resp_decode(const uint8_t *msg, size_t len, struct lm_msg_resp *out) LM_MUST_CHECK;
int lm_msg_cookie_decode(const uint8_t *msg, size_t len, struct lm_msg_cookie *out) LM_MUST_CHECK;
int lm_msg_transport_decode(const uint8_t *msg, size_t len,
			    struct lm_msg_transport *out) LM_MUST_CHECK;
/* Header and length of the datagram in it are checked too: ESP of a possible length, or a control
 * message of a known type. */
int lm_msg_relay_decode(const uint8_t *msg, size_t len, struct lm_msg_relay *out) LM_MUST_CHECK;
/* Write the clear header fields at buf; the caller fills the rest in place at the offsets above. */
void lm_msg_init_header(uint8_t *buf, uint32_t sender_spi);
void lm_msg_resp_header(uint8_t *buf, uint32_t sender_spi, uint32_t receiver_spi);
void lm_msg_cookie_header(uint8_t *buf, uint32_t receiver_spi);
void lm_msg_transport_header(uint8_t *buf, uint32_t receiver_spi, uint64_t counter);
void lm_msg_relay_header(uint8_t *buf, uint64_t id); /* LM_RELAY_HDR_LEN bytes */

/* Is it the base of an SPI block that may be allocated: >= LM_SPI_MIN, multiple of 64? */
static inline bool lm_spi_base_valid(uint32_t spi)
{
	return spi >= LM_SPI_MIN && (spi & LM_SPI_LANE_MASK) == 0;
}

/* --- payload of both handshake messages --- */
struct lm_hello {
	uint32_t spi_base;     /* the sender's inbound block; equals the clear sender SPI */
	uint8_t lanes;	       /* lanes that the sender will send on, 1..64 */
	uint32_t capabilities; /* unknown bits are ignored; none is defined yet */
	const uint8_t *cert;   /* certificate bytes, in the caller's buffer */
	size_t cert_len;
};

/* Encodes, and with pad_to > 0 fills with zeros up to pad_to bytes. Length, -EMSGSIZE when it does
 * not fit, -EINVAL for a field that no decoder would accept. */
int lm_hello_encode(const struct lm_hello *h, uint8_t *buf, size_t cap,
		    size_t pad_to) LM_MUST_CHECK;
/* Padding after the certificate must be zero. 0 or -EBADMSG. */
int lm_hello_decode(const uint8_t *buf, size_t len, struct lm_hello *out) LM_MUST_CHECK;

/* --- frames inside a transport message: type u8, length u16, body --- */
enum lm_frame_type {
	LM_FRAME_PAD = 0,	    /* body ignored; encoded without one */
	LM_FRAME_PROBE = 1,	    /* token u64; must be answered */
	LM_FRAME_PROBE_REPLY = 2,   /* token u64, source endpoint as the answerer saw it */
	LM_FRAME_CLOSE = 3,	    /* reason u8: the sender has dropped this session */
	LM_FRAME_ANNOUNCEMENT = 4,  /* a signed announcement of the sender or of another node */
	LM_FRAME_RELAY_OPEN = 5,    /* end: relay between me and this node; also to keep it so */
	LM_FRAME_RELAY_OFFER = 6,   /* relay: this node wants you through me, under this id */
	LM_FRAME_RELAY_ACCEPT = 7,  /* end: it may */
	LM_FRAME_RELAY_READY = 8,   /* relay: under this id you reach that node */
	LM_FRAME_RELAY_REFUSED = 9, /* relay: you do not, and why */
	LM_FRAME_RELAY_END = 10,    /* either: nothing goes under this id any more */
};

enum lm_relay_reason {
	LM_RELAY_R_NOT_A_RELAY = 1, /* not (any more) */
	LM_RELAY_R_NO_SESSION = 2,  /* with that node, or none that is straight */
	LM_RELAY_R_LIMIT = 3,	    /* no room, or too often */
	LM_RELAY_R_NO_CONSENT = 4,  /* of that node */
};

enum lm_close_reason {
	LM_CLOSE_SHUTDOWN = 1,	 /* going away; a new handshake may follow any time */
	LM_CLOSE_SUPERSEDED = 2, /* a newer session has replaced this one */
	LM_CLOSE_UNTRUSTED = 3,	 /* your certificate expired or was revoked */
};

struct lm_frame {
	uint8_t type;
	union {
		struct {
			uint64_t token;
		} probe;
		struct {
			uint64_t token;
			struct lm_endpoint observed;
		} reply;
		struct {
			uint8_t reason;
		} close;
		struct {
			const uint8_t *data;
			size_t len;
		} announcement;
		struct {
			uint64_t id;		  /* OFFER, ACCEPT, READY, END; not 0 */
			uint8_t node[LM_KEY_LEN]; /* OPEN, OFFER, READY, REFUSED: the other end */
			uint8_t reason;		  /* REFUSED: enum lm_relay_reason, or unknown */
		} relay;
	} u;
};

/* Appends one frame; w->bad when it does not fit or no decoder would accept it. */
void lm_frame_encode(struct lm_writer *w, const struct lm_frame *f);
/* Takes the next frame from r: 1 = got a known one, 0 = end, -EBADMSG. Unknown types and PAD are
 * skipped. An announcement points into the reader's bytes. */
int lm_frame_next(struct lm_reader *r, struct lm_frame *out) LM_MUST_CHECK;

/* ================================================== signed records ======= */

#define LM_MESH_ID_MAX	       32 /* bytes of a mesh name */
#define LM_NAME_MAX	       63 /* bytes of a node name */
#define LM_CERT_MAX	       1024
#define LM_ANNOUNCE_MAX	       1100
#define LM_REVOCATION_MAX      60000
#define LM_PREFIXES_MAX	       32
#define LM_OVERLAYS_MAX	       2
#define LM_SEGMENTS_MAX	       8
#define LM_TAGS_MAX	       8
#define LM_TAG_STR_MAX	       16
#define LM_ENDPOINTS_MAX       16
#define LM_REVOKED_NODES_MAX   1024
#define LM_REVOKED_SERIALS_MAX 2048

#define LM_ROLE_RELAY 0x1u

/* What signatures cover is one of these, a zero byte, then the body (see lm_sign). */
#define LM_SIGN_CERT	     "lanemesh certificate 1"
#define LM_SIGN_ANNOUNCEMENT "lanemesh announcement 1"
#define LM_SIGN_REVOCATION   "lanemesh revocation 1"

/* Membership: signed by the authority. */
struct lm_cert {
	uint8_t node[LM_KEY_LEN];   /* Ed25519 public key = the node's name in the protocol */
	uint8_t issuer[LM_KEY_LEN]; /* Ed25519 public key of the authority that signed */
	uint64_t serial;
	int64_t not_before, not_after; /* wall seconds; valid while before <= t < after */
	uint32_t roles;
	char mesh[LM_MESH_ID_MAX + 1];
	char name[LM_NAME_MAX + 1];
	uint8_t n_overlays, n_prefixes, n_segments, n_tags;
	struct lm_ip overlays[LM_OVERLAYS_MAX];
	struct lm_prefix prefixes[LM_PREFIXES_MAX];
	uint32_t segments[LM_SEGMENTS_MAX];
	char tags[LM_TAGS_MAX][LM_TAG_STR_MAX + 1];
};

enum lm_endpoint_kind {
	LM_EP_HOST = 1,	     /* an address of one of the node's WAN ports */
	LM_EP_PUBLIC = 2,    /* configured by the operator */
	LM_EP_REFLEXIVE = 3, /* learned by STUN */
};

/* Where a node is and what it carries now: signed by the node. */
struct lm_announcement {
	uint8_t node[LM_KEY_LEN];
	uint64_t sequence; /* newer replaces older */
	char mesh[LM_MESH_ID_MAX + 1];
	uint8_t lanes;
	uint8_t n_endpoints, n_prefixes;
	struct {
		uint8_t kind; /* enum lm_endpoint_kind; unknown kinds are kept and ignored */
		struct lm_endpoint ep;
	} endpoints[LM_ENDPOINTS_MAX];
	struct lm_prefix prefixes[LM_PREFIXES_MAX]; /* each inside a certificate prefix */
};

/* What is no longer valid: signed by the authority, numbered; older never replaces newer. */
struct lm_revocation {
	uint8_t issuer[LM_KEY_LEN];
	char mesh[LM_MESH_ID_MAX + 1];
	uint64_t number;
	int64_t issued, next_update;
	uint32_t n_nodes, n_serials;
	const uint8_t *nodes;	/* n_nodes * 32 bytes, ascending; in the caller's buffer */
	const uint8_t *serials; /* n_serials * 8 bytes big-endian, ascending */
};

/*
 * Encoders write everything but the signature and return that length; the
 * signature (LM_SIG_LEN) follows it. -EMSGSIZE: does not fit cap or the record's
 * maximum; -EINVAL: a field that no decoder would accept.
 * Decoders take body and signature; *body_len is what the signature covers.
 * They refuse trailing bytes, unknown versions, invalid names, prefixes and
 * addresses, special addresses (lm_ip_is_special) as overlays or endpoints,
 * duplicates, zero ports, empty validity, serials, numbers, sequences and times
 * above INT64_MAX (they also live in SQL columns and JSON), and any encoding but
 * the one the encoder makes. 0 or -EBADMSG; *out is to be ignored then.
 */
int lm_cert_encode(const struct lm_cert *c, uint8_t *buf, size_t cap) LM_MUST_CHECK;
int lm_cert_decode(const uint8_t *buf, size_t len, struct lm_cert *out,
		   size_t *body_len) LM_MUST_CHECK;
int lm_announcement_encode(const struct lm_announcement *a, uint8_t *buf, size_t cap) LM_MUST_CHECK;
int lm_announcement_decode(const uint8_t *buf, size_t len, struct lm_announcement *out,
			   size_t *body_len) LM_MUST_CHECK;
int lm_revocation_encode(const struct lm_revocation *r, uint8_t *buf, size_t cap) LM_MUST_CHECK;
int lm_revocation_decode(const uint8_t *buf, size_t len, struct lm_revocation *out,
			 size_t *body_len) LM_MUST_CHECK;
/* Node names, mesh ids and tags: [a-z0-9] first, then [a-z0-9._-], 1 to max bytes. */
bool lm_name_valid(const char *name, size_t max);

/* ================================================== coordinator link ===== */

/*
 * TCP. Each record: length u16, then that many bytes. First record of each side
 * is a Noise_IK handshake message, then every record is a Noise transport
 * message with an implicit counter, holding one coordinator message: type u8, body.
 */
#define LM_COORD_PORT_DEFAULT 4600
#define LM_COORD_RECORD_MAX   65535
#define LM_COORD_MSG_MAX      (LM_COORD_RECORD_MAX - LM_TAG_LEN)
#define LM_EPOCH_LEN	      16

enum lm_coord_type {
	LM_COORD_PUBLISH = 1,	/* node: its announcement */
	LM_COORD_PUBLISHED = 2, /* coordinator: that sequence is durable */
	LM_COORD_SYNC = 3,	/* node: send me all after this revision of this epoch, then push */
	LM_COORD_RECORD = 4,	/* coordinator: certificate and announcement of a node */
	LM_COORD_REMOVED = 5,	/* coordinator: a node has left the directory */
	LM_COORD_REVOCATION = 6, /* either: a revocation list */
	LM_COORD_SYNCED = 7,	 /* coordinator: you now have all up to this revision */
	LM_COORD_PING = 8,
	LM_COORD_PONG = 9,
	LM_COORD_ERROR = 10,	 /* coordinator: why the connection ends */
	LM_COORD_SIGNAL = 16,	 /* node: tell this node that I want to reach it */
	LM_COORD_SIGNALLED = 17, /* coordinator: that node wants to reach you */
};

/* Codes of LM_COORD_ERROR. All but LM_COORD_E_STORE end the connection. */
enum lm_coord_error {
	LM_COORD_E_PROTOCOL = 1, /* a message that is malformed or not due */
	LM_COORD_E_CERT = 2,	 /* the node's certificate is not accepted; the text names why */
	LM_COORD_E_RECORD = 3,	 /* an announcement or revocation list is not accepted */
	LM_COORD_E_STORE = 4,	 /* cannot store now: publish again later; the link stays */
	LM_COORD_E_REPLACED = 5, /* the same node has connected again */
	LM_COORD_E_LIMIT = 6,	 /* too many messages, or the directory is full */
	LM_COORD_E_SHUTDOWN = 7, /* the coordinator stops */
};

#define LM_COORD_TEXT_MAX 255 /* printable ASCII */

struct lm_coord_msg {
	uint8_t type;
	uint64_t revision; /* RECORD, REMOVED, REVOCATION (0 from a node), SYNC (since), SYNCED;
			    * at most INT64_MAX */
	uint64_t
	    number; /* PUBLISHED: sequence; PING, PONG, SIGNAL, SIGNALLED: token; ERROR: code */
	uint8_t epoch[LM_EPOCH_LEN]; /* SYNC, SYNCED: which life of the store revisions belong to */
	uint8_t node[LM_KEY_LEN];    /* REMOVED; SIGNAL: to whom; SIGNALLED: from whom */
	const uint8_t *cert;	     /* RECORD */
	size_t cert_len;
	const uint8_t *data; /* PUBLISH, RECORD: announcement; REVOCATION: list; ERROR: text */
	size_t data_len;
};

/* Length, -EMSGSIZE, or -EINVAL for an unknown type or a field that no decoder would accept. */
int lm_coord_msg_encode(const struct lm_coord_msg *m, uint8_t *buf, size_t cap) LM_MUST_CHECK;
/* Pointers in *out point into buf. 0 or -EBADMSG; unknown types give -EOPNOTSUPP. */
int lm_coord_msg_decode(const uint8_t *buf, size_t len, struct lm_coord_msg *out) LM_MUST_CHECK;

/* ================================================== STUN ================= */

#define LM_STUN_HDR_LEN	    20
#define LM_STUN_ID_LEN	    12
#define LM_STUN_REQUEST_LEN 48 /* of ours: not less than an answer with an IPv6 address */
#define LM_STUN_ANSWER_MAX  52 /* of those below: IPv6 address and fingerprint */
#define LM_STUN_UNKNOWN_MAX 4

enum lm_stun_kind { LM_STUN_REQUEST, LM_STUN_SUCCESS, LM_STUN_ERROR };

/* A Binding message of RFC 8489. */
struct lm_stun_msg {
	enum lm_stun_kind kind;
	uint8_t id[LM_STUN_ID_LEN]; /* transaction id */
	struct lm_endpoint mapped;  /* SUCCESS: where the request came from, as the server saw it */
	uint16_t error;		    /* ERROR: 300 to 699 */
	bool fingerprint;	    /* it had one, which was right */
	uint8_t n_unknown; /* REQUEST: attributes that must be understood and are not; the first */
	uint16_t unknown[LM_STUN_UNKNOWN_MAX];
};

/* Header, every attribute's bounds, and the fingerprint are checked; a success without
 * XOR-MAPPED-ADDRESS, or an answer with attributes that must be understood and are not, is
 * malformed. Credentials are not looked at. 0, -EBADMSG, or -EOPNOTSUPP: not of Binding. */
int lm_stun_decode(const uint8_t *msg, size_t len, struct lm_stun_msg *out) LM_MUST_CHECK;
/* A request with a SOFTWARE attribute, which every server ignores (PADDING of RFC 5780 is refused
 * by those that do not know it) and which makes room: a server that never sends more than it got
 * (FAULTS row 20) can answer. */
void lm_stun_request(uint8_t buf[LM_STUN_REQUEST_LEN], const uint8_t id[LM_STUN_ID_LEN]);
/* Answers: length, -EMSGSIZE, or -EINVAL for an endpoint without address or port. */
int lm_stun_success(uint8_t *buf, size_t cap, const uint8_t id[LM_STUN_ID_LEN],
		    const struct lm_endpoint *mapped, bool fingerprint) LM_MUST_CHECK;
/* Error 420 with what was not understood, RFC 8489 section 6.3.1. */
int lm_stun_unknown(uint8_t *buf, size_t cap, const struct lm_stun_msg *request) LM_MUST_CHECK;

/* ================================================== packet headers ======= */

#define LM_ETHERTYPE_IP4  0x0800
#define LM_ETHERTYPE_IP6  0x86dd
#define LM_ETHERTYPE_ARP  0x0806
#define LM_ETHERTYPE_VLAN 0x8100

#define LM_PROTO_IP4	  4
#define LM_PROTO_TCP	  6
#define LM_PROTO_UDP	  17
#define LM_PROTO_IP6	  41
#define LM_PROTO_ESP	  50
#define LM_PROTO_ICMP	  1
#define LM_PROTO_ICMP6	  58
#define LM_PROTO_DUMMY	  59  /* RFC 4303 section 2.6 */
#define LM_PROTO_ETHERNET 143 /* RFC 8986 */

/* Unaligned-safe header layouts; multi-byte fields are big-endian as on the wire. */
struct lm_eth_hdr {
	uint8_t dst[6], src[6];
	uint16_t type;
} __attribute__((packed));

struct lm_ip4_hdr {
	uint8_t ver_ihl, tos;
	uint16_t len, id, frag;
	uint8_t ttl, proto;
	uint16_t csum;
	uint8_t src[4], dst[4];
} __attribute__((packed));

struct lm_ip6_hdr {
	uint32_t ver_tc_flow;
	uint16_t payload_len;
	uint8_t next, hop_limit;
	uint8_t src[16], dst[16];
} __attribute__((packed));

struct lm_udp_hdr {
	uint16_t src, dst, len, csum;
} __attribute__((packed));

struct lm_esp_hdr {
	uint32_t spi, seq;
} __attribute__((packed));

#define LM_ESP_IV_LEN	   8
#define LM_ESP_ICV_LEN	   16
#define LM_ESP_TRAILER_LEN 2
/* The least ESP packet: SPI, number, IV, padding to 4 with trailer, ICV. */
#define LM_ESP_MIN_LEN (8 + LM_ESP_IV_LEN + 4 + LM_ESP_ICV_LEN)

/* Largest inner packet for an outer MTU: floor4(mtu - outer IP - UDP - 32) - 2. */
static inline unsigned lm_esp_inner_mtu(unsigned outer_mtu, bool outer_ip6)
{
	unsigned overhead = (outer_ip6 ? 40u : 20u) + 8u + 32u;

	return outer_mtu < overhead + 4 ? 0 : ((outer_mtu - overhead) & ~3u) - LM_ESP_TRAILER_LEN;
}

/* The same through a relay, whose other side may be IPv6 whatever ours is. */
static inline unsigned lm_esp_inner_mtu_relayed(unsigned outer_mtu)
{
	return outer_mtu < LM_RELAY_HDR_LEN ? 0
					    : lm_esp_inner_mtu(outer_mtu - LM_RELAY_HDR_LEN, true);
}

/* RFC 1071 ones-complement sum over len bytes, added to sum; fold and invert with finish. All
 * pieces but the last must be of even length. */
uint32_t lm_csum_add(uint32_t sum, const void *data, size_t len);
uint16_t lm_csum_finish(uint32_t sum); /* result in network byte order, ready to store */
/* Checksum of an upper-layer datagram with its pseudo-header (RFC 768, 8200 section 8.1), whose
 * checksum field is zero. For UDP a result of zero comes as 0xffff. */
uint16_t lm_csum_pseudo(const struct lm_ip *src, const struct lm_ip *dst, uint8_t proto,
			const void *data, size_t len);

/* A validated view of an IP packet: version, header length and total length agree with len. */
struct lm_ip_view {
	struct lm_ip src, dst;
	uint8_t proto; /* IPv6: after a bounded walk of extension headers, or what the fragment
			* header of a non-first fragment names */
	uint8_t ttl;
	bool fragment;	    /* any fragment; an IPv6 atomic one (RFC 6946) is a whole packet */
	bool dont_fragment; /* IPv4 DF; always true for IPv6 */
	uint16_t l4_off;    /* of proto's header, <= total_len; 0 for a non-first fragment */
	uint16_t total_len; /* may be shorter than len: Ethernet padding */
};
#define LM_IP6_EXT_MAX 8 /* longer chains are refused (Nebula #1789) */
/* 0, or -EBADMSG. */
int lm_ip_view(const uint8_t *pkt, size_t len, struct lm_ip_view *out) LM_MUST_CHECK;

/*
 * Build an ICMP error about pkt, from src to pkt's source (RFC 792, 1191, 1812 section 4.3;
 * RFC 4443). Returns its length, 0 when none may be sent (about an ICMP error, a non-first
 * fragment, a multicast or special address, a malformed packet, or src is of the other family),
 * or -EMSGSIZE. The result is a whole IP packet of at most 576 (IPv4) or 1280 bytes. mtu is used
 * by TOO_BIG only; whether an IPv4 packet had DF is the caller's affair.
 */
enum lm_icmp_error { LM_ICMP_TOO_BIG, LM_ICMP_TIME_EXCEEDED, LM_ICMP_NO_ROUTE, LM_ICMP_PROHIBITED };
int lm_icmp_error_build(enum lm_icmp_error what, unsigned mtu, const struct lm_ip *src,
			const uint8_t *pkt, size_t len, uint8_t *out, size_t cap) LM_MUST_CHECK;

#endif
