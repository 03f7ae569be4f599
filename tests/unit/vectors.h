/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Test vectors: ours from LM_VECTORS, the third parties' from
 * LM_THIRD_PARTY_VECTORS or the folder beside the source tree, when present.
 */
#ifndef LM_TEST_VECTORS_H
#define LM_TEST_VECTORS_H

#include <jansson.h>
#include <lanemesh/base.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

/* One of the project's own files: must be there. Ends with json_decref. */
static inline json_t *vectors_own(const char *name)
{
	char path[4096];
	json_error_t e;
	json_t *root;

	assert_non_null(getenv("LM_VECTORS"));
	snprintf(path, sizeof(path), "%s/%s", getenv("LM_VECTORS"), name);
	root = json_load_file(path, 0, &e);
	if (root == NULL)
		fail_msg("%s: %s", path, e.text);
	return root;
}

/* NULL, after a note, when the third-party files are not there: the caller then skips. */
static inline json_t *vectors_third_party(const char *name)
{
	const char *dir = getenv("LM_THIRD_PARTY_VECTORS");
	char path[4096];
	json_error_t e;
	json_t *root;

	if (dir != NULL)
		snprintf(path, sizeof(path), "%s/%s", dir, name);
	else
		snprintf(path, sizeof(path), "%s/../../../shared/vectors/third-party/%s",
			 getenv("LM_VECTORS"), name);
	root = json_load_file(path, 0, &e);
	if (root == NULL && json_error_code(&e) != json_error_cannot_open_file)
		fail_msg("%s: %s", path, e.text);
	if (root == NULL)
		print_message("skipped: no %s\n", path);
	return root;
}

static inline const char *vec_str(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	assert_non_null(s);
	return s;
}

/* The bytes of a hex string member, at most cap; returns how many. */
static inline size_t vec_hex(const json_t *object, const char *key, uint8_t *out, size_t cap)
{
	const char *s = vec_str(object, key);
	size_t n = strlen(s) / 2;

	assert_true(strlen(s) % 2 == 0 && n <= cap);
	assert_int_equal(lm_unhex(s, out, n), 0);
	return n;
}

#endif
