/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * AES-256-GCM on intel-ipsec-mb's direct calls, which beat its job queue at every
 * length (figures in README.md) and exist unchanged from 1.3 to 2.x.
 */
#include "aead_ipsecmb.h"
#include "aead.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

struct state {
	struct lm_gcm gcm; /* read for each packet */
	IMB_MGR *mgr;
};

struct lm_aead_key {
	struct gcm_key_data gcm;
};
_Static_assert(_Alignof(struct lm_aead_key) <= 64, "the contract promises 64");

/* Only the widths that matter for speed; names of others differ between releases. */
static const char *arch_name(IMB_ARCH arch)
{
	switch (arch) {
	case IMB_ARCH_AVX512:
		return "AVX512";
	case IMB_ARCH_AVX2:
		return "AVX2";
	case IMB_ARCH_SSE:
		return "SSE";
	default:
		return "other";
	}
}

static int start(struct lm_aead *a, struct lm_error *err)
{
	IMB_ARCH arch = IMB_ARCH_NONE;
	struct state *s = calloc(1, sizeof(*s));
	bool vaes;
	int e;

	if (s != NULL)
		s->mgr = alloc_mb_mgr(0);
	if (s == NULL || s->mgr == NULL) {
		free(s);
		return lm_error_set(err, ENOMEM, "intel-ipsec-mb: out of memory");
	}
	init_mb_mgr_auto(s->mgr, &arch);
	e = imb_get_errno(s->mgr);
	if (e != 0 || arch == IMB_ARCH_NONE) {
		free_mb_mgr(s->mgr);
		free(s);
		return lm_error_set(err, ENOTSUP,
				    "intel-ipsec-mb cannot run on this CPU: %s (it needs AES-NI)",
				    imb_get_strerror(e));
	}
	a->state = s;
	vaes = lm_gcm_choose(s->mgr, arch, a->fastest, &s->gcm, &a->warning);
	snprintf(a->description, sizeof(a->description), "ipsec-mb %s (%s%s)",
		 imb_get_version_str(), vaes ? "VAES " : "", arch_name(arch));
	return 0;
}

static void stop(struct lm_aead *a)
{
	struct state *s = a->state;

	free_mb_mgr(s->mgr);
	free(s);
}

static void key_init(const struct lm_aead *a, struct lm_aead_key *key, const uint8_t raw[32])
{
	const struct state *s = a->state;

	s->gcm.pre(raw, &key->gcm);
}

/* The round keys and the first hash keys: what even a small packet reads. */
static inline void prefetch_key(const struct lm_aead_key *key)
{
	const char *p = (const char *)key;

	for (int line = 0; line < 6; line++)
		__builtin_prefetch(p + line * 64);
}

static inline void prefetch_next(const struct lm_aead_op *op, const struct lm_aead_op *end)
{
	if (op + 1 == end)
		return;
	__builtin_prefetch(op[1].src);
	if (op[1].key != op->key)
		prefetch_key(op[1].key);
}

static void seal_burst(struct lm_aead *a, struct lm_aead_op *ops, unsigned n)
{
	const struct state *s = a->state;
	aes_gcm_enc_dec_t enc = s->gcm.enc;
	struct gcm_context_data ctx;

	for (struct lm_aead_op *op = ops, *end = ops + n; op < end; op++) {
		prefetch_next(op, end);
		enc(&op->key->gcm, &ctx, op->dst, op->src, op->len, op->iv, op->aad, op->aad_len,
		    op->tag, TAG_LEN);
	}
}

/* In constant time, and without a call: 64-byte packets feel it. */
static inline bool tag_equal(const uint8_t *a, const uint8_t *b)
{
	uint64_t x[2], y[2];

	memcpy(x, a, TAG_LEN);
	memcpy(y, b, TAG_LEN);
	return ((x[0] ^ y[0]) | (x[1] ^ y[1])) == 0;
}

static unsigned open_burst(struct lm_aead *a, struct lm_aead_op *ops, unsigned n)
{
	const struct state *s = a->state;
	aes_gcm_enc_dec_t dec = s->gcm.dec;
	struct gcm_context_data ctx;
	uint8_t tag[TAG_LEN];
	unsigned failed = 0;

	for (struct lm_aead_op *op = ops, *end = ops + n; op < end; op++) {
		prefetch_next(op, end);
		dec(&op->key->gcm, &ctx, op->dst, op->src, op->len, op->iv, op->aad, op->aad_len,
		    tag, TAG_LEN);
		op->ok = tag_equal(tag, op->tag);
		failed += !op->ok;
	}
	return failed;
}

const struct aead_backend lm_aead_ipsecmb = {
    .name = "ipsec-mb",
    .key_size = sizeof(struct lm_aead_key),
    .start = start,
    .stop = stop,
    .key_init = key_init,
    .seal = seal_burst,
    .open = open_burst,
};
