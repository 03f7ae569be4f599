/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * crypto: identities, key derivation, and AES-256-GCM bursts for ESP behind one
 * small interface with two backends that agree byte for byte.
 */
#ifndef LANEMESH_CRYPTO_H
#define LANEMESH_CRYPTO_H

#include <lanemesh/base.h>

/* Must be called once per process before anything else here; thread-safe. 0 or -EIO. */
int lm_crypto_init(void) LM_MUST_CHECK;

/* ---------------------------------------------------------- identities -- */

/*
 * A node's or authority's secret. Lives in sodium_malloc memory: locked, out of
 * core dumps, guarded. Free with lm_identity_free, which wipes.
 */
struct lm_identity {
	uint8_t ed_secret[64]; /* libsodium form: seed, public key */
	uint8_t ed_public[32];
	uint8_t x_secret[32]; /* X25519, by libsodium's conversion */
	uint8_t x_public[32];
};

/* NULL when memory cannot be had. */
struct lm_identity *lm_identity_generate(void);
struct lm_identity *lm_identity_from_seed(const uint8_t seed[32]);
void lm_identity_free(struct lm_identity *id);
/* X25519 public key of an Ed25519 one. -EINVAL when it is no valid point of the main subgroup. */
int lm_identity_x_public(const uint8_t ed_public[32], uint8_t out[32]) LM_MUST_CHECK;
/* Ed25519 (RFC 8032) over context || 0x00 || data: no record can pass for one of another kind.
 * 0, or -ENOMEM with an all-zero signature. */
int lm_sign(const struct lm_identity *id, const char *context, const void *data, size_t len,
	    uint8_t sig[64]) LM_MUST_CHECK;
/* False also when memory cannot be had. Small-order keys and malleable signatures are refused. */
bool lm_verify(const uint8_t ed_public[32], const char *context, const void *data, size_t len,
	       const uint8_t sig[64]);

/* -------------------------------------------------------------- hashes -- */

/* BLAKE2b (RFC 7693) of two pieces, out_len 16..64, key may be NULL. */
void lm_blake2b(uint8_t *out, size_t out_len, const void *key, size_t key_len, const void *a,
		size_t a_len, const void *b, size_t b_len);
/* HMAC (RFC 2104) with BLAKE2b-512, block 128. */
void lm_hmac_blake2b(uint8_t out[64], const void *key, size_t key_len, const void *a, size_t a_len,
		     const void *b, size_t b_len);
/* The HKDF of the Noise specification, section 4.3: n = 2 or 3 outputs of 64 bytes. */
void lm_noise_hkdf(const uint8_t ck[64], const void *ikm, size_t ikm_len, unsigned n,
		   uint8_t out[][64]);

/* Key and salt of one ESP SA (RFC 4106): HKDF-Expand (RFC 5869) of the session's ESP root with
 * info = "lanemesh esp" || direction || lane. direction: 0 initiator to responder, 1 back. */
#define LM_ESP_KEY_LEN	32
#define LM_ESP_SALT_LEN 4
struct lm_esp_key {
	uint8_t key[LM_ESP_KEY_LEN];
	uint8_t salt[LM_ESP_SALT_LEN];
};
void lm_esp_key_derive(const uint8_t root[64], uint8_t direction, uint8_t lane,
		       struct lm_esp_key *out);

/* ---------------------------------------------------------- AEAD burst -- */

/* An expanded AES-256-GCM key; what is in it is the backend's affair. Aligned to 64. */
struct lm_aead_key;

/*
 * One packet. dst and src may be equal (in place) and otherwise must not overlap.
 * seal: src = plaintext, dst = ciphertext, tag written. open: src = ciphertext,
 * dst = plaintext, tag compared in constant time; ok says how it went, and dst
 * is to be thrown away when it went wrong.
 */
struct lm_aead_op {
	const struct lm_aead_key *key;
	const uint8_t *src;
	uint8_t *dst;
	uint8_t *tag; /* 16 bytes */
	const uint8_t *aad;
	uint32_t len, aad_len;
	uint8_t iv[12];
	bool ok; /* open only */
};
_Static_assert(sizeof(struct lm_aead_op) <= 64, "an operation fits a cache line");

/* One thread's cipher: its own IMB_MGR. Not to be shared between threads. */
struct lm_aead;

/* Names of the backends built in, best first, NULL-terminated: "ipsec-mb", "sodium". */
const char *const *lm_aead_backends(void);
/*
 * backend NULL = the fastest: "ipsec-mb", and in it also code that the library has but does not
 * choose by itself on this CPU (AVX2 with VAES, ipsec-mb 2.x), once it has passed a check against
 * the library's choice, which takes a few milliseconds. "ipsec-mb" = the library's choice alone.
 * NULL with err when it cannot run on this machine.
 */
struct lm_aead *lm_aead_new(const char *backend, struct lm_error *err);
void lm_aead_free(struct lm_aead *a);
/* "ipsec-mb 1.3.0 (AVX2)" or the like, for status; lives as long as a. */
const char *lm_aead_description(const struct lm_aead *a);
/* Why the fastest code of this machine is not used; NULL when there is nothing to say. */
const char *lm_aead_warning(const struct lm_aead *a);
/* Bytes of a key on this machine; the caller gives 64-aligned memory of that size, and wipes it at
 * the end. */
size_t lm_aead_key_size(const struct lm_aead *a);
/* Expands; keys made by one lm_aead work with every other in the process that was made
 * for the same backend argument. */
void lm_aead_key_init(const struct lm_aead *a, struct lm_aead_key *key, const uint8_t raw[32]);
/* A whole burst, any mix of keys and lengths (0 included). Never allocates or blocks. */
void lm_aead_seal(struct lm_aead *a, struct lm_aead_op *ops, unsigned n);
/* Returns how many failed; each op's ok says which. */
unsigned lm_aead_open(struct lm_aead *a, struct lm_aead_op *ops, unsigned n);

#endif
