/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * One GCM implementation held against another and against published vectors, before
 * traffic is trusted to it. Deterministic, so that every thread of a process comes to
 * the same end, and with it to the same layout of expanded keys.
 */
#include "aead_ipsecmb.h"

#include <errno.h>

#define EVERY_LENGTH 2048 /* each one up to here, */
#define MOST	     9216 /* and a sample up to the largest frame: the code is a loop by then */
#define STRIDE	     37
#define MARGIN	     64 /* room for odd addresses, and behind the data nothing may be written */

struct trial {
	struct gcm_key_data ref_key, key;
	struct gcm_context_data ctx;
	uint8_t plain[MOST + 2 * MARGIN], sealed[MOST + 2 * MARGIN], work[MOST + 2 * MARGIN];
	uint8_t aad[20], iv[12], secret[32];
} __attribute__((aligned(64)));

static void fill(uint8_t *p, size_t n, uint64_t *s)
{
	for (size_t i = 0; i < n; i++) {
		*s ^= *s << 13;
		*s ^= *s >> 7;
		*s ^= *s << 17;
		p[i] = (uint8_t)*s;
	}
}

static bool untouched(const uint8_t *p)
{
	for (unsigned i = 0; i < MARGIN; i++)
		if (p[i] != 0xa5)
			return false;
	return true;
}

/* Runs f from src to dst; true when it wrote what it should, and nothing behind it. */
static bool gives(aes_gcm_enc_dec_t f, struct trial *t, const uint8_t *src, uint8_t *dst,
		  size_t len, size_t aad_len, const uint8_t *expect, const uint8_t tag[TAG_LEN])
{
	uint8_t got[TAG_LEN];

	memset(dst + len, 0xa5, MARGIN);
	f(&t->key, &t->ctx, dst, src, len, t->iv, t->aad, aad_len, got, TAG_LEN);
	return memcmp(dst, expect, len) == 0 && memcmp(got, tag, TAG_LEN) == 0 &&
	       untouched(dst + len);
}

/* Both directions, from odd addresses to others, and in place. */
static bool both_ways(const struct lm_gcm *tried, struct trial *t, const uint8_t *plain,
		      const uint8_t *sealed, size_t len, size_t aad_len, const uint8_t *tag)
{
	uint8_t *work = t->work + (len * 7 + 1) % MARGIN;

	if (!gives(tried->enc, t, plain, work, len, aad_len, sealed, tag) ||
	    !gives(tried->dec, t, work, work, len, aad_len, plain, tag) ||
	    !gives(tried->enc, t, work, work, len, aad_len, sealed, tag))
		return false;
	return gives(tried->dec, t, sealed, work, len, aad_len, plain, tag);
}

static bool length_agrees(const struct lm_gcm *tried, const struct lm_gcm *reference,
			  struct trial *t, size_t len, uint64_t *seed)
{
	static const uint8_t aad_lens[] = {8, 12, 0, 20}; /* ESP's, ESP's with ESN, odd ones */
	const uint8_t *plain = t->plain + len % MARGIN;
	uint8_t *sealed = t->sealed + (len * 3 + 5) % MARGIN, tag[TAG_LEN];
	size_t aad_len = aad_lens[len % LM_ARRAY_SIZE(aad_lens)];

	fill(t->secret, sizeof(t->secret), seed);
	fill(t->iv, sizeof(t->iv), seed);
	fill(t->aad, sizeof(t->aad), seed);
	reference->pre(t->secret, &t->ref_key);
	tried->pre(t->secret, &t->key);
	reference->enc(&t->ref_key, &t->ctx, sealed, plain, len, t->iv, t->aad, aad_len, tag,
		       TAG_LEN);
	return both_ways(tried, t, plain, sealed, len, aad_len, tag);
}

/* McGrew and Viega, "The Galois/Counter Mode of Operation", test cases 13 to 16. */
static const struct vector {
	const char *key, *iv, *aad, *plain, *sealed, *tag;
} vectors[] = {
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "", "", "530f8afbc74536b9a963b4f1c4cb738b"},
    {"0000000000000000000000000000000000000000000000000000000000000000", "000000000000000000000000",
     "", "00000000000000000000000000000000", "cea7403d4d606b6e074ec5d3baf39d18",
     "d0d1c8a799996bf0265b98b5d48ab919"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b391aafd255",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662898015ad",
     "b094dac5d93471bdec1a502270e3cc6c"},
    {"feffe9928665731c6d6a8f9467308308feffe9928665731c6d6a8f9467308308", "cafebabefacedbaddecaf888",
     "feedfacedeadbeeffeedfacedeadbeefabaddad2",
     "d9313225f88406e5a55909c5aff5269a86a7a9531534f7da2e4c303d8a318a72"
     "1c3c0c95956809532fcf0e2449a6b525b16aedf5aa0de657ba637b39",
     "522dc1f099567d07f47f37a32a84427d643a8cdcbfe5c0c97598a2bd2555d1aa"
     "8cb08e48590dbb3da7b08b1056828838c5f61e6393ba7a0abcc9f662",
     "76fc6ece0f4e1768cddf8853bb2d551b"},
};

static bool bytes(const char *hex, uint8_t *out)
{
	return lm_unhex(hex, out, strlen(hex) / 2) == 0;
}

static bool vector_agrees(const struct lm_gcm *tried, struct trial *t, const struct vector *v)
{
	uint8_t plain[64], sealed[64], tag[TAG_LEN];

	if (!bytes(v->key, t->secret) || !bytes(v->iv, t->iv) || !bytes(v->aad, t->aad) ||
	    !bytes(v->plain, plain) || !bytes(v->sealed, sealed) || !bytes(v->tag, tag))
		return false;
	tried->pre(t->secret, &t->key);
	return both_ways(tried, t, plain, sealed, strlen(v->plain) / 2, strlen(v->aad) / 2, tag);
}

bool lm_gcm_check(const struct lm_gcm *tried, const struct lm_gcm *reference, struct lm_error *err)
{
	uint64_t seed = UINT64_C(0x9e3779b97f4a7c15);
	struct trial t;

	for (unsigned i = 0; i < LM_ARRAY_SIZE(vectors); i++) {
		if (!vector_agrees(tried, &t, &vectors[i])) {
			lm_error_set(err, EIO, "GCM test case %u fails", 13 + i);
			return false;
		}
	}
	fill(t.plain, sizeof(t.plain), &seed);
	for (size_t len = 0; len <= MOST; len += len < EVERY_LENGTH ? 1 : STRIDE) {
		if (!length_agrees(tried, reference, &t, len, &seed)) {
			lm_error_set(err, EIO, "another result than the default code at %zu bytes",
				     len);
			return false;
		}
	}
	return true;
}
