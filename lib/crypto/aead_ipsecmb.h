/* SPDX-License-Identifier: BSD-3-Clause */
/* Which of ipsec-mb's AES-256-GCM functions are used. Private to lib/crypto. */
#ifndef LM_CRYPTO_AEAD_IPSECMB_H
#define LM_CRYPTO_AEAD_IPSECMB_H

#include <intel-ipsec-mb.h>
#include <lanemesh/base.h>

#define TAG_LEN 16

/* Three functions that belong together: what pre writes, only its own enc and dec can read. */
struct lm_gcm {
	aes_gcm_pre_t pre;
	aes_gcm_enc_dec_t enc, dec;
};

/*
 * Those to use with a manager that init_mb_mgr_auto set up with arch: what the library chose for
 * this CPU or, when fastest, also its AVX2 code with VAES, which must have passed lm_gcm_check
 * (if not: the library's choice, and warning says why). True when it is the VAES code.
 */
bool lm_gcm_choose(const IMB_MGR *mgr, IMB_ARCH arch, bool fastest, struct lm_gcm *out,
		   struct lm_error *warning);
/* Does tried agree with reference at every length and with the published vectors? err says where
 * it does not. Takes a few milliseconds. */
bool lm_gcm_check(const struct lm_gcm *tried, const struct lm_gcm *reference, struct lm_error *err);

#endif
