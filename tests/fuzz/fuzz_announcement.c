/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <lanemesh/wire.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[LM_ANNOUNCE_MAX];
	struct lm_announcement a;
	size_t body;

	if (lm_announcement_decode(data, size, &a, &body) != 0)
		return 0;
	FUZZ_CHECK(body + LM_SIG_LEN == size);
	FUZZ_CHECK(lm_announcement_encode(&a, again, sizeof(again)) == (int)body);
	FUZZ_CHECK(memcmp(again, data, body) == 0);
	for (unsigned i = 0; i < a.n_prefixes; i++)
		FUZZ_CHECK(lm_prefix_valid(&a.prefixes[i]));
	return 0;
}
