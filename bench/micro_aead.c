/* SPDX-License-Identifier: BSD-3-Clause */
/* AES-256-GCM by size and by the way of calling it. */
#include "micro.h"

#include "aead_ipsecmb.h"

#include <lanemesh/crypto.h>
#include <stdio.h>
#include <stdlib.h>

#define BURST 64
#define ROOM  2048

struct aead {
	IMB_MGR *mgr;
	/* What the library picks by itself and the fastest that it has; often the same. */
	struct lm_gcm picked, fastest;
	struct gcm_key_data key __attribute__((aligned(64)));
	struct gcm_key_data fastest_key __attribute__((aligned(64)));
	struct lm_aead *ours, *sodium;
	struct lm_aead_key *ours_key, *sodium_key;
	struct lm_aead_op op[BURST];
	IMB_JOB session; /* what all jobs have in common and 2.x looks up before the first */
	uint8_t iv[12], tag[BURST][16];
	uint32_t len;
	uint8_t data[BURST][ROOM];
};

static void direct(struct aead *a, aes_gcm_enc_dec_t f, const struct gcm_key_data *key)
{
	struct gcm_context_data ctx;

	for (unsigned i = 0; i < BURST; i++) {
		uint8_t *p = a->data[i];

		f(key, &ctx, p + 8, p + 8, a->len, a->iv, p, 8, a->tag[i], TAG_LEN);
	}
}

static void direct_seal(void *ctx)
{
	struct aead *a = ctx;

	direct(a, a->fastest.enc, &a->fastest_key);
}

static void direct_open(void *ctx)
{
	struct aead *a = ctx;

	direct(a, a->fastest.dec, &a->fastest_key);
}

static void picked_seal(void *ctx)
{
	struct aead *a = ctx;

	direct(a, a->picked.enc, &a->key);
}

static void picked_open(void *ctx)
{
	struct aead *a = ctx;

	direct(a, a->picked.dec, &a->key);
}

static void fill(struct aead *a, IMB_JOB *job, unsigned i)
{
	job->cipher_mode = IMB_CIPHER_GCM;
	job->hash_alg = IMB_AUTH_AES_GMAC;
	job->cipher_direction = IMB_DIR_ENCRYPT;
	job->chain_order = IMB_ORDER_CIPHER_HASH;
	job->enc_keys = job->dec_keys = &a->key;
	job->key_len_in_bytes = 32;
	job->src = a->data[i];
	job->dst = a->data[i] + 8;
	job->cipher_start_src_offset_in_bytes = job->hash_start_src_offset_in_bytes = 8;
	job->msg_len_to_cipher_in_bytes = job->msg_len_to_hash_in_bytes = a->len;
	job->iv = a->iv;
	job->iv_len_in_bytes = 12;
	job->auth_tag_output = a->tag[i];
	job->auth_tag_output_len_in_bytes = 16;
	job->u.GCM.aad = a->data[i];
	job->u.GCM.aad_len_in_bytes = 8;
#if IMB_VERSION_NUM >= IMB_VERSION(2, 0, 0)
	memcpy(job->suite_id, a->session.suite_id, sizeof(job->suite_id));
#endif
}

static void job_seal(void *ctx)
{
	struct aead *a = ctx;

	for (unsigned i = 0; i < BURST; i++) {
		fill(a, IMB_GET_NEXT_JOB(a->mgr), i);
		(void)IMB_SUBMIT_JOB_NOCHECK(a->mgr);
	}
	while (IMB_FLUSH_JOB(a->mgr) != NULL)
		;
}

static void burst_seal(void *ctx)
{
	struct aead *a = ctx;
	IMB_JOB *jobs[BURST];

	while (IMB_GET_NEXT_BURST(a->mgr, BURST, jobs) < BURST)
		(void)IMB_FLUSH_BURST(a->mgr, BURST, jobs);
	for (unsigned i = 0; i < BURST; i++)
		fill(a, jobs[i], i);
	if (IMB_SUBMIT_BURST(a->mgr, BURST, jobs) != BURST) {
		fprintf(stderr, "bench: ipsec-mb did not do a burst\n");
		exit(1);
	}
}

static void ours_seal(void *ctx)
{
	struct aead *a = ctx;

	for (unsigned i = 0; i < BURST; i++)
		a->op[i].key = a->ours_key;
	lm_aead_seal(a->ours, a->op, BURST);
}

static void ours_open(void *ctx)
{
	struct aead *a = ctx;

	for (unsigned i = 0; i < BURST; i++)
		a->op[i].key = a->ours_key;
	(void)lm_aead_open(a->ours, a->op, BURST);
}

static void sodium_seal(void *ctx)
{
	struct aead *a = ctx;

	for (unsigned i = 0; i < BURST; i++)
		a->op[i].key = a->sodium_key;
	lm_aead_seal(a->sodium, a->op, BURST);
}

static struct lm_aead *backend(const char *name, struct lm_aead_key **key)
{
	static const uint8_t raw[32] = {1};
	struct lm_error err = {0};
	struct lm_aead *a = lm_aead_new(name, &err);

	if (a == NULL) {
		fprintf(stderr, "bench: %s\n", err.text);
		exit(1);
	}
	*key = micro_alloc(lm_aead_key_size(a));
	lm_aead_key_init(a, *key, raw);
	return a;
}

void micro_aead(void)
{
	static const uint32_t sizes[] = {64, 128, 256, 512, 1024, 1400};
	struct aead *a = micro_alloc(sizeof(*a));
	const struct micro_work seal[] = {
	    {"direct", direct_seal, a, BURST}, {"job", job_seal, a, BURST},
	    {"burst", burst_seal, a, BURST},   {"lm_aead", ours_seal, a, BURST},
	    {"sodium", sodium_seal, a, BURST}, {"picked", picked_seal, a, BURST},
	};
	const struct micro_work open[] = {
	    {"direct", direct_open, a, BURST},
	    {"lm_aead", ours_open, a, BURST},
	    {"picked", picked_open, a, BURST},
	};
	static const uint8_t raw[32] = {1};
	struct lm_error warning;
	unsigned same;
	IMB_ARCH arch;
	char name[48];

	a->mgr = alloc_mb_mgr(0);
	if (a->mgr == NULL)
		exit(1);
	init_mb_mgr_auto(a->mgr, &arch);
	(void)lm_gcm_choose(a->mgr, arch, false, &a->picked, &warning);
	(void)lm_gcm_choose(a->mgr, arch, true, &a->fastest, &warning);
#if IMB_VERSION_NUM >= IMB_VERSION(2, 0, 0)
	fill(a, &a->session, 0);
	(void)imb_set_session(a->mgr, &a->session);
#endif
	a->picked.pre(raw, &a->key);
	a->fastest.pre(raw, &a->fastest_key);
	same = a->picked.enc == a->fastest.enc; /* then there is no need for the last series */
	a->ours = backend(NULL, &a->ours_key);
	a->sodium = backend("sodium", &a->sodium_key);
	for (unsigned s = 0; s < LM_ARRAY_SIZE(sizes); s++) {
		a->len = sizes[s];
		for (unsigned i = 0; i < BURST; i++)
			a->op[i] = (struct lm_aead_op){.src = a->data[i] + 8,
						       .dst = a->data[i] + 8,
						       .tag = a->tag[i],
						       .aad = a->data[i],
						       .len = a->len,
						       .aad_len = 8};
		snprintf(name, sizeof(name), "aead/seal/%u", a->len);
		micro_measure(name, seal, LM_ARRAY_SIZE(seal) - same);
		snprintf(name, sizeof(name), "aead/open/%u", a->len);
		micro_measure(name, open, LM_ARRAY_SIZE(open) - same);
	}
	lm_aead_free(a->ours);
	lm_aead_free(a->sodium);
	free(a->ours_key);
	free(a->sodium_key);
	free_mb_mgr(a->mgr);
	free(a);
}
