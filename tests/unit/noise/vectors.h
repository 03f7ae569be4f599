/* SPDX-License-Identifier: BSD-3-Clause */
/* Vector files for the tests of noise; include after cmocka.h. */
#ifndef TESTS_NOISE_VECTORS_H
#define TESTS_NOISE_VECTORS_H

#include <jansson.h>
#include <lanemesh/base.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* A committed vector file. */
static inline json_t *own_vectors(const char *name)
{
	char path[512];
	json_error_t e;
	json_t *root;

	assert_non_null(getenv("LM_VECTORS"));
	snprintf(path, sizeof(path), "%s/%s", getenv("LM_VECTORS"), name);
	root = json_load_file(path, 0, &e);
	if (root == NULL)
		fail_msg("%s:%d: %s", path, e.line, e.text);
	return root;
}

/* One that is not part of the project; NULL and a note when it is not on this machine. */
static inline json_t *third_party_vectors(const char *name)
{
	const char *dir = getenv("LM_THIRD_PARTY_VECTORS");
	char path[512];
	json_error_t e;
	json_t *root;

	if (dir != NULL)
		snprintf(path, sizeof(path), "%s/%s", dir, name);
	else
		snprintf(path, sizeof(path), "%s/../../../shared/vectors/third-party/%s",
			 getenv("LM_VECTORS"), name);
	if (access(path, R_OK) != 0) {
		print_message("skipped: %s is not here (set LM_THIRD_PARTY_VECTORS)\n", name);
		return NULL;
	}
	root = json_load_file(path, 0, &e);
	if (root == NULL)
		fail_msg("%s:%d: %s", path, e.line, e.text);
	return root;
}

/* The bytes of a hex string, in malloc'ed memory of at least one byte. */
static inline uint8_t *unhex_alloc(const json_t *text, size_t *len)
{
	uint8_t *out;

	assert_non_null(json_string_value(text));
	*len = json_string_length(text) / 2;
	out = malloc(*len + 1);
	assert_non_null(out);
	assert_int_equal(lm_unhex(json_string_value(text), out, *len), 0);
	return out;
}

static inline void unhex_key(const json_t *text, uint8_t out[32])
{
	assert_non_null(json_string_value(text));
	assert_int_equal(lm_unhex(json_string_value(text), out, 32), 0);
}

#endif
