/* SPDX-License-Identifier: BSD-3-Clause */
#include "raw.h"

#include "aead_ipsecmb.h"

#include <stdlib.h>
#include <string.h>

#define ESP_HEAD 8
#define ROOM	 2048
#define TRAILER	 2 /* Pad Length, Next Header */

struct raw_cipher {
	IMB_MGR *mgr;
	struct lm_gcm gcm;
	struct gcm_key_data key __attribute__((aligned(64)));
	const uint16_t *len;
	unsigned n, at;
	uint32_t number;
	uint8_t data[RAW_BURST][ROOM];
};

struct raw_cipher *raw_new(const uint16_t *len, unsigned n)
{
	size_t size = (sizeof(struct raw_cipher) + 63) / 64 * 64;
	struct raw_cipher *r = aligned_alloc(64, size);
	static const uint8_t secret[32] = "a key that protects nothing, 32";
	struct lm_error warning;
	IMB_ARCH arch;

	if (r == NULL)
		return NULL;
	memset(r, 0, size);
	r->mgr = alloc_mb_mgr(0);
	if (r->mgr == NULL) {
		free(r);
		return NULL;
	}
	init_mb_mgr_auto(r->mgr, &arch);
	(void)lm_gcm_choose(r->mgr, arch, true, &r->gcm, &warning);
	r->gcm.pre(secret, &r->key);
	r->len = len;
	r->n = n;
	return r;
}

void raw_free(struct raw_cipher *r)
{
	if (r == NULL)
		return;
	free_mb_mgr(r->mgr);
	free(r);
}

void raw_burst(struct raw_cipher *r, bool seal, enum raw_reading what)
{
	struct gcm_context_data ctx;
	uint8_t iv[12] = {0}, tag[TAG_LEN];

	for (unsigned i = 0; i < RAW_BURST; i++) {
		uint8_t *p = r->data[i], *body = p + ESP_HEAD;
		unsigned len = r->len[r->at];

		if (++r->at == r->n)
			r->at = 0;
		if (what == RAW_ESP)
			len = (len + TRAILER + 3) & ~3u; /* RFC 4303 section 2.4 */
		/* The cipher reads 8 and 4 bytes: written so, it need not wait for the store. */
		r->number++;
		memcpy(iv + 8, &r->number, 4);
		(seal ? r->gcm.enc : r->gcm.dec)(&r->key, &ctx, body, body, len, iv, p, ESP_HEAD,
						 tag, TAG_LEN);
	}
}
