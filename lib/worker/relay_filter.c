/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Fingerprints of datagrams by a universal hash: NH (RFC 4418 section 5.2), words of 32 bits, whose
 * sum of products is then multiplied and shifted. For two different datagrams, whoever made them
 * up, 3 of 2^32 secrets make the same tag. NH takes whole blocks: here the last one overlaps the
 * one before, and the length counts by itself, so different datagrams are different words to it.
 */
#include "relay_filter.h"

#include <immintrin.h>

#define BLOCK 32u

static inline uint64_t finish(const struct lm_relay_secret *key, uint64_t sum, unsigned len)
{
	sum += (key->length[0] + len) * key->length[1];
	return sum * (key->fold | 1); /* of which the upper half counts */
}

/* Less than a block: only control messages can be. */
static inline const uint8_t *padded(uint8_t block[BLOCK], const uint8_t *p, unsigned len)
{
	memset(block, 0, BLOCK);
	memcpy(block, p, len);
	return block;
}

static inline __m128i half(const uint8_t *p, const uint8_t *key)
{
	__m128i m =
	    _mm_add_epi32(_mm_loadu_si128((const void *)p), _mm_loadu_si128((const void *)key));

	return _mm_mul_epu32(m, _mm_srli_epi64(m, 32));
}

void lm_relay_prints_sse2(const struct lm_relay_secret *key, struct lm_relay_print *d, unsigned n)
{
	uint8_t block[BLOCK];

	for (unsigned k = 0; k < n; k++) {
		const uint8_t *p = d[k].len < BLOCK ? padded(block, d[k].p, d[k].len) : d[k].p;
		unsigned len = d[k].len < BLOCK ? BLOCK : d[k].len, last = len - BLOCK, i = 0;
		__m128i a = _mm_setzero_si128(), b = a;

		for (; i <= last; i += BLOCK) {
			a = _mm_add_epi64(a, half(p + i, key->pad + i));
			b = _mm_add_epi64(b, half(p + i + 16, key->pad + i + 16));
		}
		a = _mm_add_epi64(a, half(p + last, key->pad + i));
		b = _mm_add_epi64(b, half(p + last + 16, key->pad + i + 16));
		a = _mm_add_epi64(a, b);
		d[k].print = finish(key,
				    (uint64_t)_mm_cvtsi128_si64(a) +
					(uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(a, a)),
				    d[k].len);
	}
}

/* tune: unaligned blocks in one load, which is no detour where there is AVX2. */
#define AVX2 __attribute__((target("avx2,tune=haswell")))

AVX2 static inline __m256i whole(const uint8_t *p, const uint8_t *key)
{
	__m256i m = _mm256_add_epi32(_mm256_loadu_si256((const void *)p),
				     _mm256_loadu_si256((const void *)key));

	return _mm256_mul_epu32(m, _mm256_srli_epi64(m, 32));
}

/* The same numbers. */
AVX2 void lm_relay_prints_avx2(const struct lm_relay_secret *key, struct lm_relay_print *d,
			       unsigned n)
{
	uint8_t block[BLOCK];

	for (unsigned k = 0; k < n; k++) {
		const uint8_t *p = d[k].len < BLOCK ? padded(block, d[k].p, d[k].len) : d[k].p;
		unsigned len = d[k].len < BLOCK ? BLOCK : d[k].len, last = len - BLOCK, i = 0;
		__m256i a = _mm256_setzero_si256(), b = a;
		__m128i sum;

		for (; i + BLOCK <= last; i += 2 * BLOCK) {
			a = _mm256_add_epi64(a, whole(p + i, key->pad + i));
			b = _mm256_add_epi64(b, whole(p + i + BLOCK, key->pad + i + BLOCK));
		}
		if (i <= last) {
			a = _mm256_add_epi64(a, whole(p + i, key->pad + i));
			i += BLOCK;
		}
		a = _mm256_add_epi64(a, whole(p + last, key->pad + i));
		a = _mm256_add_epi64(a, b);
		sum = _mm_add_epi64(_mm256_castsi256_si128(a), _mm256_extracti128_si256(a, 1));
		d[k].print = finish(key,
				    (uint64_t)_mm_cvtsi128_si64(sum) +
					(uint64_t)_mm_cvtsi128_si64(_mm_unpackhi_epi64(sum, sum)),
				    d[k].len);
	}
}
lm_relay_prints *lm_relay_prints_choose(void)
{
	return __builtin_cpu_supports("avx2") ? lm_relay_prints_avx2 : lm_relay_prints_sse2;
}
