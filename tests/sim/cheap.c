/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Stand-ins for what is expensive in libsodium, for lm_scale only: millions of
 * handshakes would take days. Linked into the program, they come before the
 * library's functions of the same names. They keep what the protocol rests on
 * (both ends of a Diffie-Hellman agree, a changed message is refused, keys differ)
 * and none of the secrecy.
 */
#include <sodium.h>
#include <stdint.h>
#include <string.h>

static uint64_t mix(uint64_t z)
{
	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
	return z ^ (z >> 31);
}

static uint64_t absorb(uint64_t h, const unsigned char *p, unsigned long long len)
{
	uint64_t w;

	for (; len >= sizeof(w); p += sizeof(w), len -= sizeof(w)) {
		memcpy(&w, p, sizeof(w));
		h = (h ^ w) * 0x9e3779b97f4a7c15u;
		h ^= h >> 29;
	}
	for (; len > 0; p++, len--)
		h = (h ^ *p) * 0x9e3779b97f4a7c15u;
	return mix(h);
}

/* In BLAKE2b's place; fed in other pieces it gives another result, which nobody does. */
struct state {
	uint64_t h, out;
};

_Static_assert(sizeof(struct state) <= sizeof(crypto_generichash_blake2b_state), "fits");

int crypto_generichash_blake2b_init(crypto_generichash_blake2b_state *state,
				    const unsigned char *key, const size_t key_len,
				    const size_t out_len)
{
	struct state s = {.h = absorb(out_len, key, key_len), .out = out_len};

	memcpy(state, &s, sizeof(s));
	return 0;
}

int crypto_generichash_blake2b_update(crypto_generichash_blake2b_state *state,
				      const unsigned char *in, unsigned long long len)
{
	struct state s;

	memcpy(&s, state, sizeof(s));
	s.h = absorb(s.h, in, len);
	memcpy(state, &s, sizeof(s));
	return 0;
}

int crypto_generichash_blake2b_final(crypto_generichash_blake2b_state *state, unsigned char *out,
				     const size_t out_len)
{
	struct state s;

	memcpy(&s, state, sizeof(s));
	for (size_t i = 0; i < out_len; i += sizeof(s.h)) {
		s.h = mix(s.h + i + 1);
		memcpy(out + i, &s.h, out_len - i < sizeof(s.h) ? out_len - i : sizeof(s.h));
	}
	return 0;
}

int crypto_generichash(unsigned char *out, size_t out_len, const unsigned char *in,
		       unsigned long long len, const unsigned char *key, size_t key_len)
{
	crypto_generichash_blake2b_state state;

	(void)crypto_generichash_blake2b_init(&state, key, key_len, out_len);
	(void)crypto_generichash_blake2b_update(&state, in, len);
	return crypto_generichash_blake2b_final(&state, out, out_len);
}

int crypto_scalarmult_base(unsigned char *q, const unsigned char *n)
{
	uint64_t w[4];

	memcpy(w, n, sizeof(w));
	for (unsigned i = 0; i < 4; i++)
		w[i] = mix(w[i] + i + 1);
	memcpy(q, w, sizeof(w));
	return 0;
}

/* Commutes: it depends on the sum of the two public keys. */
int crypto_scalarmult(unsigned char *q, const unsigned char *n, const unsigned char *p)
{
	uint64_t own[4], theirs[4];

	(void)crypto_scalarmult_base((unsigned char *)own, n);
	memcpy(theirs, p, sizeof(theirs));
	for (unsigned i = 0; i < 4; i++)
		own[i] = mix(own[i] + theirs[i]) + 1;
	memcpy(q, own, sizeof(own));
	return 0;
}

/* An X25519 secret is its node's public Ed25519 key. */
int crypto_sign_ed25519_sk_to_curve25519(unsigned char *x, const unsigned char *ed_secret)
{
	memcpy(x, ed_secret + 32, 32);
	return 0;
}

int crypto_sign_ed25519_pk_to_curve25519(unsigned char *x, const unsigned char *ed_public)
{
	return crypto_scalarmult_base(x, ed_public);
}

int crypto_sign_detached(unsigned char *sig, unsigned long long *sig_len, const unsigned char *m,
			 unsigned long long len, const unsigned char *secret)
{
	if (sig_len != NULL)
		*sig_len = crypto_sign_BYTES;
	return crypto_generichash(sig, crypto_sign_BYTES, m, len, secret + 32, 32);
}

int crypto_sign_verify_detached(const unsigned char *sig, const unsigned char *m,
				unsigned long long len, const unsigned char *public_key)
{
	unsigned char want[crypto_sign_BYTES];

	(void)crypto_generichash(want, sizeof(want), m, len, public_key, 32);
	return memcmp(want, sig, sizeof(want)) == 0 ? 0 : -1;
}

static void tag_of(unsigned char tag[16], const unsigned char *m, unsigned long long len,
		   const unsigned char *ad, unsigned long long ad_len, const unsigned char *nonce,
		   const unsigned char *key)
{
	uint64_t h = absorb(absorb(len, key, 32), nonce, 12), t[2];

	t[0] = absorb(absorb(h, ad, ad_len), m, len);
	t[1] = mix(t[0] + h);
	memcpy(tag, t, sizeof(t));
}

int crypto_aead_chacha20poly1305_ietf_encrypt(unsigned char *c, unsigned long long *c_len,
					      const unsigned char *m, unsigned long long len,
					      const unsigned char *ad, unsigned long long ad_len,
					      const unsigned char *nsec, const unsigned char *nonce,
					      const unsigned char *key)
{
	unsigned char tag[16];

	(void)nsec;
	tag_of(tag, m, len, ad, ad_len, nonce, key);
	if (len > 0)
		memmove(c, m, len);
	memcpy(c + len, tag, sizeof(tag));
	if (c_len != NULL)
		*c_len = len + sizeof(tag);
	return 0;
}

int crypto_aead_chacha20poly1305_ietf_decrypt(unsigned char *m, unsigned long long *m_len,
					      unsigned char *nsec, const unsigned char *c,
					      unsigned long long len, const unsigned char *ad,
					      unsigned long long ad_len, const unsigned char *nonce,
					      const unsigned char *key)
{
	unsigned char tag[16];

	(void)nsec;
	if (len < sizeof(tag))
		return -1;
	len -= sizeof(tag);
	tag_of(tag, c, len, ad, ad_len, nonce, key);
	if (memcmp(tag, c + len, sizeof(tag)) != 0)
		return -1;
	if (len > 0)
		memmove(m, c, len);
	if (m_len != NULL)
		*m_len = len;
	return 0;
}
