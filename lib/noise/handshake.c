/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Noise_IK and Noise_IKpsk2 (Noise specification, revision 34):
 *
 *	<- s
 *	...
 *	-> e, es, s, ss
 *	<- e, ee, se [, psk]
 */
#include <errno.h>
#include <lanemesh/crypto.h>
#include <lanemesh/noise.h>
#include <sodium.h>

#define HASH_LEN  64
#define KEY_LEN	  32
#define TAG_LEN	  16
#define STEP_DEAD 0xff

static void mix_hash(struct lm_noise *ns, const void *data, size_t len)
{
	uint8_t h[HASH_LEN];

	lm_blake2b(h, sizeof(h), NULL, 0, ns->h, HASH_LEN, data, len);
	memcpy(ns->h, h, sizeof(h));
}

static void mix_key(struct lm_noise *ns, const uint8_t ikm[KEY_LEN])
{
	uint8_t out[2][HASH_LEN];

	lm_noise_hkdf(ns->ck, ikm, KEY_LEN, 2, out);
	memcpy(ns->ck, out[0], HASH_LEN);
	memcpy(ns->k, out[1], KEY_LEN);
	ns->n = 0;
	sodium_memzero(out, sizeof(out));
}

static void mix_key_and_hash(struct lm_noise *ns, const uint8_t ikm[KEY_LEN])
{
	uint8_t out[3][HASH_LEN];

	lm_noise_hkdf(ns->ck, ikm, KEY_LEN, 3, out);
	memcpy(ns->ck, out[0], HASH_LEN);
	mix_hash(ns, out[1], HASH_LEN);
	memcpy(ns->k, out[2], KEY_LEN);
	ns->n = 0;
	sodium_memzero(out, sizeof(out));
}

/* DH and MixKey. libsodium refuses low-order points and all-zero results (RFC 7748 section 6.1). */
static int mix_dh(struct lm_noise *ns, const uint8_t secret[KEY_LEN], const uint8_t pub[KEY_LEN])
{
	uint8_t shared[KEY_LEN];
	int rc = crypto_scalarmult(shared, secret, pub);

	if (rc == 0)
		mix_key(ns, shared);
	sodium_memzero(shared, sizeof(shared));
	return rc == 0 ? 0 : -EKEYREJECTED;
}

/* The "e" token; with a psk the ephemeral is also mixed into the key (9.2). */
static void mix_ephemeral(struct lm_noise *ns, const uint8_t pub[KEY_LEN])
{
	mix_hash(ns, pub, KEY_LEN);
	if (ns->has_psk)
		mix_key(ns, pub);
}

static void encrypt_and_hash(struct lm_noise *ns, const void *plain, size_t len, uint8_t *out)
{
	lm_noise_seal(ns->k, ns->n++, ns->h, HASH_LEN, plain, len, out);
	mix_hash(ns, out, len + TAG_LEN);
}

static int decrypt_and_hash(struct lm_noise *ns, const uint8_t *in, size_t len, uint8_t *out)
{
	int rc = lm_noise_open(ns->k, ns->n++, ns->h, HASH_LEN, in, len, out);

	if (rc == 0)
		mix_hash(ns, in, len);
	return rc;
}

void lm_noise_init(struct lm_noise *ns, bool initiator, const uint8_t s[32],
		   const uint8_t s_pub[32], const uint8_t e[32], const uint8_t *rs,
		   const uint8_t *psk, const void *prologue, size_t prologue_len)
{
	const char *name = psk != NULL ? "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2b"
				       : "Noise_IK_25519_ChaChaPoly_BLAKE2b";

	*ns = (struct lm_noise){.initiator = initiator, .has_psk = psk != NULL};
	/* A name no longer than the hash is padded with zeros (5.2). */
	memcpy(ns->h, name, strlen(name));
	memcpy(ns->ck, ns->h, HASH_LEN);
	memcpy(ns->s, s, KEY_LEN);
	memcpy(ns->s_pub, s_pub, KEY_LEN);
	memcpy(ns->e, e, KEY_LEN);
	crypto_scalarmult_base(ns->e_pub, ns->e);
	if (initiator)
		memcpy(ns->rs, rs, KEY_LEN);
	if (psk != NULL)
		memcpy(ns->psk, psk, KEY_LEN);
	mix_hash(ns, prologue, prologue_len);
	mix_hash(ns, initiator ? ns->rs : ns->s_pub, KEY_LEN);
}

static int write_first(struct lm_noise *ns, const void *payload, size_t len, uint8_t *out)
{
	memcpy(out, ns->e_pub, KEY_LEN);
	mix_ephemeral(ns, ns->e_pub);
	if (mix_dh(ns, ns->e, ns->rs) != 0)
		return -EKEYREJECTED;
	encrypt_and_hash(ns, ns->s_pub, KEY_LEN, out + KEY_LEN);
	if (mix_dh(ns, ns->s, ns->rs) != 0)
		return -EKEYREJECTED;
	encrypt_and_hash(ns, payload, len, out + 2 * KEY_LEN + TAG_LEN);
	return 0;
}

static int write_second(struct lm_noise *ns, const void *payload, size_t len, uint8_t *out)
{
	memcpy(out, ns->e_pub, KEY_LEN);
	mix_ephemeral(ns, ns->e_pub);
	if (mix_dh(ns, ns->e, ns->re) != 0 || mix_dh(ns, ns->e, ns->rs) != 0)
		return -EKEYREJECTED;
	if (ns->has_psk)
		mix_key_and_hash(ns, ns->psk);
	encrypt_and_hash(ns, payload, len, out + KEY_LEN);
	return 0;
}

static int read_first(struct lm_noise *ns, const uint8_t *msg, size_t len, uint8_t *payload)
{
	struct lm_reader r = lm_reader(msg, len);
	const uint8_t *e = lm_r_bytes(&r, KEY_LEN), *s = lm_r_bytes(&r, KEY_LEN + TAG_LEN);

	if (r.bad || lm_r_left(&r) < TAG_LEN)
		return -EBADMSG;
	memcpy(ns->re, e, KEY_LEN);
	mix_ephemeral(ns, ns->re);
	if (mix_dh(ns, ns->s, ns->re) != 0)
		return -EKEYREJECTED;
	if (decrypt_and_hash(ns, s, KEY_LEN + TAG_LEN, ns->rs) != 0)
		return -EBADMSG;
	if (mix_dh(ns, ns->s, ns->rs) != 0)
		return -EKEYREJECTED;
	return decrypt_and_hash(ns, r.p, lm_r_left(&r), payload);
}

static int read_second(struct lm_noise *ns, const uint8_t *msg, size_t len, uint8_t *payload)
{
	struct lm_reader r = lm_reader(msg, len);
	const uint8_t *e = lm_r_bytes(&r, KEY_LEN);

	if (r.bad || lm_r_left(&r) < TAG_LEN)
		return -EBADMSG;
	memcpy(ns->re, e, KEY_LEN);
	mix_ephemeral(ns, ns->re);
	if (mix_dh(ns, ns->e, ns->re) != 0 || mix_dh(ns, ns->s, ns->re) != 0)
		return -EKEYREJECTED;
	if (ns->has_psk)
		mix_key_and_hash(ns, ns->psk);
	return decrypt_and_hash(ns, r.p, lm_r_left(&r), payload);
}

/* Counts the message, or kills the state so that a half-done one is never used. */
static int advance(struct lm_noise *ns, int rc)
{
	if (rc == 0)
		ns->step++;
	else
		lm_noise_wipe(ns);
	return rc;
}

int lm_noise_write(struct lm_noise *ns, const void *payload, size_t payload_len, uint8_t *out)
{
	if (ns->initiator && ns->step == 0)
		return advance(ns, write_first(ns, payload, payload_len, out));
	if (!ns->initiator && ns->step == 1)
		return advance(ns, write_second(ns, payload, payload_len, out));
	return -EPROTO;
}

int lm_noise_read(struct lm_noise *ns, const uint8_t *msg, size_t len, uint8_t *payload)
{
	if (!ns->initiator && ns->step == 0)
		return advance(ns, read_first(ns, msg, len, payload));
	if (ns->initiator && ns->step == 1)
		return advance(ns, read_second(ns, msg, len, payload));
	return -EPROTO;
}

int lm_noise_split(struct lm_noise *ns, struct lm_noise_keys *out)
{
	uint8_t k[3][HASH_LEN];

	if (ns->step != 2)
		return -EPROTO;
	/* Three outputs instead of Noise's two: the first two are the same, the third is ours. */
	lm_noise_hkdf(ns->ck, NULL, 0, 3, k);
	memcpy(out->send, k[ns->initiator ? 0 : 1], KEY_LEN);
	memcpy(out->recv, k[ns->initiator ? 1 : 0], KEY_LEN);
	memcpy(out->esp_root, k[2], HASH_LEN);
	memcpy(out->hash, ns->h, HASH_LEN);
	sodium_memzero(k, sizeof(k));
	lm_noise_wipe(ns);
	return 0;
}

void lm_noise_wipe(struct lm_noise *ns)
{
	sodium_memzero(ns, sizeof(*ns));
	ns->step = STEP_DEAD;
}
