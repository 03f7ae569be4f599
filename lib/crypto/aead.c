/* SPDX-License-Identifier: BSD-3-Clause */
#include "aead.h"

#include <errno.h>
#include <stdlib.h>

static const struct aead_backend *const backends[] = {&lm_aead_ipsecmb, &lm_aead_sodium};

const char *const *lm_aead_backends(void)
{
	static const char *const names[] = {"ipsec-mb", "sodium", NULL};

	_Static_assert(LM_ARRAY_SIZE(names) == LM_ARRAY_SIZE(backends) + 1, "one name each");
	return names;
}

/*
 * How much of a key the backend uses here: what it writes, for it reads nothing else. A type may
 * be made for the widest CPU there is (intel-ipsec-mb 1.3: 1,008 bytes, of which AVX2 uses 368),
 * and a gateway holds two keys of each peer and lane.
 */
static size_t key_footprint(const struct lm_aead *a)
{
	static const uint8_t raw[32] = {1};
	size_t n = a->backend->key_size, room = (n + 63) / 64 * 64;
	uint8_t *zeros = aligned_alloc(64, room), *ones = aligned_alloc(64, room);

	if (zeros != NULL && ones != NULL) {
		memset(zeros, 0, n);
		memset(ones, 0xff, n);
		a->backend->key_init(a, (struct lm_aead_key *)zeros, raw);
		a->backend->key_init(a, (struct lm_aead_key *)ones, raw);
		while (n > 0 && zeros[n - 1] != ones[n - 1])
			n--;
	}
	free(zeros);
	free(ones);
	return n;
}

struct lm_aead *lm_aead_new(const char *backend, struct lm_error *err)
{
	const struct aead_backend *b = backends[0];
	struct lm_aead *a;

	for (size_t i = 0; backend != NULL; i++) {
		if (i == LM_ARRAY_SIZE(backends)) {
			lm_error_set(err, EINVAL,
				     "no AEAD backend \"%s\": use \"ipsec-mb\" or \"sodium\"",
				     backend);
			return NULL;
		}
		b = backends[i];
		if (strcmp(b->name, backend) == 0)
			break;
	}
	a = calloc(1, sizeof(*a));
	if (a == NULL) {
		lm_error_set(err, ENOMEM, "AEAD backend %s: out of memory", b->name);
		return NULL;
	}
	a->backend = b;
	a->fastest = backend == NULL;
	if (b->start(a, err) != 0) {
		free(a);
		return NULL;
	}
	a->key_size = key_footprint(a);
	return a;
}

void lm_aead_free(struct lm_aead *a)
{
	if (a == NULL)
		return;
	a->backend->stop(a);
	free(a);
}

const char *lm_aead_description(const struct lm_aead *a)
{
	return a->description;
}

const char *lm_aead_warning(const struct lm_aead *a)
{
	return a->warning.text[0] != '\0' ? a->warning.text : NULL;
}

size_t lm_aead_key_size(const struct lm_aead *a)
{
	return a->key_size;
}

void lm_aead_key_init(const struct lm_aead *a, struct lm_aead_key *key, const uint8_t raw[32])
{
	a->backend->key_init(a, key, raw);
}

void lm_aead_seal(struct lm_aead *a, struct lm_aead_op *ops, unsigned n)
{
	a->backend->seal(a, ops, n);
}

unsigned lm_aead_open(struct lm_aead *a, struct lm_aead_op *ops, unsigned n)
{
	return a->backend->open(a, ops, n);
}
