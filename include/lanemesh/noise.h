/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * noise: Noise_IK and Noise_IKpsk2 with 25519, ChaChaPoly, BLAKE2b (Noise
 * specification revision 34) on raw keys, and WireGuard's mac1, mac2, cookies
 * and rate limits. Knows no sockets, peers or messages.
 */
#ifndef LANEMESH_NOISE_H
#define LANEMESH_NOISE_H

#include <lanemesh/base.h>

/* ----------------------------------------------------------- handshake -- */

struct lm_noise {
	uint8_t ck[64], h[64], k[32];
	uint64_t n;
	uint8_t s[32], s_pub[32], e[32], e_pub[32], rs[32], re[32], psk[32];
	bool has_psk, initiator;
	uint8_t step; /* messages done; 0xff = failed or used up, nothing more is accepted */
};

/* What Split gives (Noise 5.2, with a third HKDF output: the ESP root). Wipe after use. */
struct lm_noise_keys {
	uint8_t send[32], recv[32];
	uint8_t esp_root[64];
	uint8_t hash[64]; /* h, for channel binding */
};

#define LM_NOISE_MSG1_OVERHEAD (32 + 48 + 16)
#define LM_NOISE_MSG2_OVERHEAD (32 + 16)

/*
 * Start. s, s_pub: own X25519 static pair; rs: the responder's public key
 * (initiator only, NULL for a responder); psk NULL = plain IK, else IKpsk2.
 * e: ephemeral secret, fresh randomness from the caller (only tests reuse one).
 */
void lm_noise_init(struct lm_noise *ns, bool initiator, const uint8_t s[32],
		   const uint8_t s_pub[32], const uint8_t e[32], const uint8_t *rs,
		   const uint8_t *psk, const void *prologue, size_t prologue_len);
/* Writes the next message of this side, payload_len + overhead bytes, into out, which payload must
 * not overlap. 0; -EPROTO when it is not this side's turn (the state stays as it was);
 * -EKEYREJECTED when a DH gave all zeros (a low-order point): the state is then dead and wiped. */
int lm_noise_write(struct lm_noise *ns, const void *payload, size_t payload_len,
		   uint8_t *out) LM_MUST_CHECK;
/* Reads the other side's message; payload gets len - overhead bytes (it may be NULL when there are
 * none, and must not overlap msg). 0; -EPROTO as above; -EBADMSG: short or not authentic;
 * -EKEYREJECTED as above. After the last two the state is dead and wiped, and nothing of payload
 * may be used. After message 1 the initiator's static is in ns->rs and its ephemeral in ns->re. */
int lm_noise_read(struct lm_noise *ns, const uint8_t *msg, size_t len,
		  uint8_t *payload) LM_MUST_CHECK;
/* After both messages, once. -EPROTO before. Wipes ns. */
int lm_noise_split(struct lm_noise *ns, struct lm_noise_keys *out) LM_MUST_CHECK;
/* Forgets all secrets; the state accepts nothing afterwards. */
void lm_noise_wipe(struct lm_noise *ns);

/* ----------------------------------------------------------- transport -- */

/* ChaCha20-Poly1305 (RFC 8439) with Noise's nonce: 4 zero bytes, little-endian counter, which must
 * never repeat under one key. out: len + 16. In place is allowed. */
void lm_noise_seal(const uint8_t key[32], uint64_t counter, const void *ad, size_t ad_len,
		   const void *plain, size_t len, uint8_t *out);
/* in: len bytes with tag; out: len - 16. In place is allowed. 0 or -EBADMSG, and then out is
 * zeroed. */
int lm_noise_open(const uint8_t key[32], uint64_t counter, const void *ad, size_t ad_len,
		  const uint8_t *in, size_t len, uint8_t *out) LM_MUST_CHECK;

/* Replay window for explicit counters of control messages: 256 wide, RFC 6479. Check before
 * opening, commit after, and only what the check let through. Counters start at 0 and
 * UINT64_MAX is never accepted (Noise 5.1 reserves it). Zeroed = new. */
#define LM_NOISE_WINDOW 256
struct lm_noise_window {
	uint64_t top; /* highest committed + 1 */
	uint64_t bits[LM_NOISE_WINDOW / 64 + 1];
};
bool lm_noise_window_ok(const struct lm_noise_window *w, uint64_t counter);
void lm_noise_window_commit(struct lm_noise_window *w, uint64_t counter);

/* --------------------------------------------------- mac1, mac2, cookie -- */

/*
 * mac1 key = BLAKE2b-256("lanemesh mac1" || receiver's X25519 public key), cookie key the same with
 * "lanemesh cookie"; mac1, mac2 and cookies are keyed BLAKE2b-128.
 * mac1 proves that the sender knows the receiver's public key, mac2 that it receives at its
 * address. Both cover the first `covered` bytes of the message, which tell it from every other one
 * that its sender made (LM_INIT_MACED, LM_RESP_MACED): a flood costs one short hash a packet.
 */
void lm_mac1_key(const uint8_t receiver_x_public[32], uint8_t out[32]);
void lm_cookie_key(const uint8_t receiver_x_public[32], uint8_t out[32]);
void lm_mac1(const uint8_t mac1_key[32], const uint8_t *msg, size_t covered, uint8_t out[16]);
bool lm_mac1_ok(const uint8_t mac1_key[32], const uint8_t *msg, size_t covered,
		const uint8_t mac[16]);
void lm_mac2(const uint8_t cookie[16], const uint8_t *msg, size_t covered, uint8_t out[16]);

/*
 * Responder's secret that cookies are made of. It changes every 120 s, and the one before stays
 * valid for as long, so that a cookie lives 120 to 240 s. Zeroed = new. Call lm_cookie_jar_turn
 * before the functions that read it. A cookie = BLAKE2b-128(secret, family u8, 16 bytes of
 * address, port u16): only who receives at that address can have it.
 */
struct lm_cookie_jar {
	uint8_t secret[2][32];
	lm_time changed;
	bool has[2];
};
#define LM_COOKIE_LIFE (120 * LM_SEC)
/* fresh: 32 random bytes, used only when the secret is due to change. */
void lm_cookie_jar_turn(struct lm_cookie_jar *jar, lm_time now, const uint8_t fresh[32]);
void lm_cookie_make(const struct lm_cookie_jar *jar, const struct lm_endpoint *from,
		    uint8_t cookie[16]);
/* Was mac made from a cookie that we gave to `from`? Check mac1 first. */
bool lm_mac2_ok(const struct lm_cookie_jar *jar, const struct lm_endpoint *from, const uint8_t *msg,
		size_t covered, const uint8_t mac[16]);
/* XChaCha20-Poly1305 of the cookie, associated data = the message's mac1. out: 16 + 16 bytes.
 * open: 0 or -EBADMSG. */
void lm_cookie_seal(const uint8_t cookie_key[32], const uint8_t nonce[24], const uint8_t mac1[16],
		    const uint8_t cookie[16], uint8_t out[32]);
int lm_cookie_open(const uint8_t cookie_key[32], const uint8_t nonce[24], const uint8_t mac1[16],
		   const uint8_t in[32], uint8_t cookie[16]) LM_MUST_CHECK;

/* --------------------------------------------------------- rate limits -- */

/* Token buckets by source: /32 for IPv4 (v4-mapped too), /64 for IPv6. Fixed table, keyed hash, no
 * allocation: a newcomer takes the stalest of 4 ways, so memory never grows with the number of
 * sources, and a source that keeps knocking keeps its own, empty, bucket. */
#define LM_RATELIMIT_SLOTS 4096
struct lm_ratelimit;
/* key: 16 random bytes for the hash. rate: tokens a second, 1 .. 10^9; burst: tokens at most, at
 * least 1. NULL when memory or these bounds do not allow it. */
struct lm_ratelimit *lm_ratelimit_new(const uint8_t key[16], unsigned rate, unsigned burst);
void lm_ratelimit_free(struct lm_ratelimit *rl);
/* Takes one token of the source's bucket. false = over the limit. */
bool lm_ratelimit_take(struct lm_ratelimit *rl, lm_time now, const struct lm_ip *from);

/* How many handshakes arrived in the last second, for deciding on cookies. Zeroed = new. */
struct lm_rate {
	lm_time window;
	uint32_t now_count, last_count;
};
/* Counts one event; returns the rate over the last second, estimated from two windows. */
uint32_t lm_rate_count(struct lm_rate *r, lm_time now);

#endif
