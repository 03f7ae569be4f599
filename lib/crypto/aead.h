/* SPDX-License-Identifier: BSD-3-Clause */
/* What aead.c asks of a backend. Private to lib/crypto. */
#ifndef LM_CRYPTO_AEAD_H
#define LM_CRYPTO_AEAD_H

#include <lanemesh/crypto.h>

struct aead_backend {
	const char *name;
	size_t key_size;
	/* Sets a->state, a->description and, where there is something to warn of, a->warning. 0 or
	 * a negative errno with err. */
	int (*start)(struct lm_aead *a, struct lm_error *err);
	void (*stop)(struct lm_aead *a);
	void (*key_init)(const struct lm_aead *a, struct lm_aead_key *key, const uint8_t raw[32]);
	void (*seal)(struct lm_aead *a, struct lm_aead_op *ops, unsigned n);
	unsigned (*open)(struct lm_aead *a, struct lm_aead_op *ops, unsigned n);
};

struct lm_aead {
	const struct aead_backend *backend;
	void *state;	 /* the backend's own, NULL when it has none */
	size_t key_size; /* bytes of a key that it uses on this machine */
	bool fastest;	 /* read by start: also code that the library would not choose by itself */
	char description[64];
	struct lm_error warning; /* text "" = none */
};

extern const struct aead_backend lm_aead_ipsecmb, lm_aead_sodium;

#endif
