/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * esp: ESP in UDP (RFC 4303 tunnel mode, RFC 3948, RFC 4106) on bursts of packet
 * descriptors. Knows no mbufs: a descriptor is a pointer with room around it.
 *
 * An SA is split: what every packet touches sits in the first cache lines, which
 * only the owning worker writes; key material is behind a pointer and constant.
 */
#ifndef LANEMESH_ESP_H
#define LANEMESH_ESP_H

#include <lanemesh/crypto.h>
#include <lanemesh/wire.h>

#define LM_ESP_BURST	 64    /* descriptors in one call at most */
#define LM_ESP_INNER_MAX 65454 /* inner bytes that an outer IPv4 packet can hold, relayed too */

/* Why a packet was not sealed or opened. Each has a drop counter of its own. */
enum lm_esp_status {
	LM_ESP_OK,
	LM_ESP_SHORT, /* shorter than ESP can be, or not a multiple of 4 (RFC 4303 section 2.4) */
	LM_ESP_SEQ_ZERO, /* RFC 4303 section 3.4.3: numbers start at 1 */
	LM_ESP_REPLAY,	 /* seen before */
	LM_ESP_OLD,	 /* left of the replay window */
	LM_ESP_ICV,	 /* not authentic; no state has changed */
	LM_ESP_PADDING,	 /* authentic, but pad bytes or pad length are not those of RFC 4303 2.4 */
	LM_ESP_DUMMY,	 /* next header 59: authentic cover traffic, to be thrown away */
	LM_ESP_NEXT,	 /* authentic, but a next header that we do not carry */
	LM_ESP_INNER,	 /* authentic, but the inner IP header does not fit its bytes */
	LM_ESP_EXPIRED,	 /* sending: the SA's hard limit is reached */
	LM_ESP_NO_ROOM,	 /* sending: not enough head- or tailroom, or over LM_ESP_INNER_MAX */
	LM_ESP_STATUS_COUNT,
};

/* -------------------------------------------------------------- sending -- */

/*
 * Outer headers of a path, prebuilt by the control thread and constant once
 * published: Ethernet, IPv4 or IPv6, UDP. Per packet only lengths, the IPv4 id,
 * TOS/traffic class and checksums are patched. The UDP checksum is zero over IPv4
 * (RFC 3948 section 2.1) and computed over IPv6 (RFC 8200 section 8.1).
 */
#define LM_OUTER_MAX (14 + 40 + 8 + LM_RELAY_HDR_LEN)
struct lm_outer {
	uint32_t csum0;	 /* what stays of a checksum, folded to 16 bits: IPv4: the header without
			    length, id and TOS; IPv6: UDP ports and pseudo-header without length */
	uint16_t port;	 /* DPDK port index to send on; esp does not read it */
	uint8_t hdr_len; /* 42 or 62; through a relay LM_RELAY_HDR_LEN more */
	uint8_t ip_off;	 /* 14 */
	bool ip6;
	uint8_t relay_len; /* of the relay's header at the end of hdr: LM_RELAY_HDR_LEN or 0 */
	uint8_t pad_[2];
	uint8_t hdr[80]; /* the bytes; first hdr_len count */
};
/* Builds one. src and dst must be of one family, ports not 0; df sets IPv4's DF. 0 or -EINVAL. */
int lm_outer_build(struct lm_outer *o, const struct lm_mac *src_mac, const struct lm_mac *dst_mac,
		   const struct lm_endpoint *src, const struct lm_endpoint *dst,
		   bool df) LM_MUST_CHECK;
/* Puts a relay's header behind UDP's of one that was just built; id is not 0. */
void lm_outer_relay(struct lm_outer *o, uint64_t id);

/* Outbound SA of one lane. One cache line; written by its worker alone after init. */
struct lm_sa_out {
	const struct lm_aead_key *key;
	uint32_t seq;  /* last number used */
	uint32_t hard; /* no packet is sent with a number above this */
	uint32_t spi_be;
	uint8_t salt[4];
	uint64_t bytes; /* of inner packets; it and seq are read by the control thread, relaxed */
	/* Lanes share the outer addresses: this, the lane in the upper bits, keeps the IPv4 ids
	 * apart (RFC 6864). Big-endian. */
	uint16_t id_mix;
	uint8_t pad_[30];
} __attribute__((aligned(64)));
_Static_assert(sizeof(struct lm_sa_out) == 64, "an outbound SA is one cache line");

#define LM_ESP_SOFT_LIMIT (1u << 30)		/* rekey is due */
#define LM_ESP_HARD_LIMIT (0xffffffffu - 65536) /* sending stops */

void lm_sa_out_init(struct lm_sa_out *sa, const struct lm_aead_key *key, const uint8_t salt[4],
		    uint32_t spi, uint32_t hard);

struct lm_esp_tx {
	struct lm_sa_out *sa;
	const struct lm_outer *outer;
	uint8_t *data;		     /* in: inner packet; out: outer frame */
	uint32_t len;		     /* in and out: bytes at data */
	uint16_t headroom, tailroom; /* in: free bytes before and after: see below */
	uint8_t next;		     /* ESP next header: 4, 41, 143, 59 */
	uint8_t tos;		     /* outer TOS or traffic class */
	uint8_t status;		     /* out: enum lm_esp_status */
};
/* Less is refused. */
#define LM_ESP_HEADROOM (LM_OUTER_MAX + 8 + LM_ESP_IV_LEN)
#define LM_ESP_TAILROOM (3 + LM_ESP_TRAILER_LEN + LM_ESP_ICV_LEN)

/* Seals n <= LM_ESP_BURST packets of any mix of SAs in place; numbers follow array order.
 * The calling worker owns every SA in the burst. A packet that is not sealed uses no number and
 * is as it was. Returns how many have status LM_ESP_OK. */
unsigned lm_esp_seal(struct lm_aead *aead, struct lm_esp_tx *pkts, unsigned n);

/* ------------------------------------------------------------ receiving -- */

/* Replay window, RFC 6479: a ring of 64-bit words. The newest word is kept beside it, so packets
 * in order leave the ring alone. Checked before crypto and committed after it by lm_esp_open,
 * which alone touches it. */
#define LM_REPLAY_WINDOW 4096
#define LM_REPLAY_WORDS	 (LM_REPLAY_WINDOW / 64)
struct lm_replay {
	uint64_t newest; /* numbers of the word that top is in; its place in the ring is stale */
	uint32_t top;	 /* highest number committed */
	uint32_t pad_;
	uint64_t bits[LM_REPLAY_WORDS];
};

/* Inbound SA of one lane; written by its worker alone after init. The first line is hot. */
struct lm_sa_in {
	const struct lm_aead_key *key;
	uint64_t packets;  /* read by the control thread, relaxed */
	uint64_t bytes;	   /* of inner packets; same */
	lm_time last_seen; /* worker: burst time of the last good packet, ns; same */
	uint32_t spi;
	uint8_t salt[4];
	uint32_t peer;	    /* index of the peer that owns the SA, for the source check */
	uint32_t from_hash; /* worker: source endpoint of the newest good packet, hashed */
	struct lm_replay replay;
} __attribute__((aligned(64)));

void lm_sa_in_init(struct lm_sa_in *sa, const struct lm_aead_key *key, const uint8_t salt[4],
		   uint32_t spi, uint32_t peer);

struct lm_esp_rx {
	struct lm_sa_in *sa;
	uint8_t *data;	/* in: ESP header; out: inner packet */
	uint32_t len;	/* in: ESP bytes; out: inner packet's own length */
	uint8_t next;	/* out: ESP next header: 4, 41 or 143 (at least an Ethernet header) */
	uint8_t status; /* out */
	bool newest; /* out: authentic and the highest number of its SA so far; only such a packet
			may hint at roaming */
};

/* Opens n <= LM_ESP_BURST packets of any mix of SAs in place. IPv4 and IPv6 inner packets come out
 * with the length of their own header (traffic-flow-confidentiality padding cut, RFC 4303 2.7).
 * Of a packet that is not LM_ESP_OK, data and len stay, but the bytes may be rubbish.
 * Returns how many have status LM_ESP_OK. */
unsigned lm_esp_open(struct lm_aead *aead, struct lm_esp_rx *pkts, unsigned n);

#endif
