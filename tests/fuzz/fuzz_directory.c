/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's directory file, with and without a checksum that fits. */
#include "fuzz.h"

#include <lanemesh/coord.h>

static void decode(const uint8_t *data, size_t size, bool must_fail)
{
	struct lm_directory *d = lm_directory_new(4), *e = lm_directory_new(4);
	uint8_t *one, *two;
	size_t len1, len2;
	struct lm_error err;

	FUZZ_CHECK(d != NULL && e != NULL);
	if (lm_directory_decode(d, data, size, &err) == 0) {
		FUZZ_CHECK(!must_fail);
		FUZZ_CHECK(lm_directory_count(d) <= 4);
		FUZZ_CHECK(lm_directory_encode(d, &one, &len1) == 0);
		FUZZ_CHECK(lm_directory_decode(e, one, len1, &err) == 0);
		FUZZ_CHECK(lm_directory_encode(e, &two, &len2) == 0);
		FUZZ_CHECK(len1 == len2 && memcmp(one, two, len1) == 0);
		free(one);
		free(two);
	} else {
		FUZZ_CHECK(lm_directory_count(d) == 0 && err.text[0] != '\0');
	}
	lm_directory_free(d);
	lm_directory_free(e);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t *whole = malloc(size + 32);

	FUZZ_CHECK(whole != NULL);
	memcpy(whole, data, size);
	lm_blake2b(whole + size, 32, NULL, 0, data, size, NULL, 0);
	decode(whole, size + 32, false);
	whole[size] ^= 1;
	decode(whole, size + 32, true);
	free(whole);
	return 0;
}
