/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside trust: what the three kinds of signed record share. */
#ifndef LIB_TRUST_RECORD_H
#define LIB_TRUST_RECORD_H

#include <lanemesh/trust.h>
/*
 * Ends signing: body_len is what the encoder returned for buf. Appends the
 * signature and returns the whole length, or the encoder's or signer's error in
 * words. what: "certificate" and the like.
 */
int lm_record_sign(const struct lm_identity *id, const char *context, const char *what,
		   int body_len, uint8_t *buf, size_t cap, struct lm_error *err) LM_MUST_CHECK;
bool lm_authorities_have(const struct lm_authorities *au, const uint8_t key[LM_KEY_LEN]);

#endif
