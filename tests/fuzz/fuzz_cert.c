/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <lanemesh/wire.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[LM_CERT_MAX];
	struct lm_cert c;
	size_t body;

	if (lm_cert_decode(data, size, &c, &body) != 0)
		return 0;
	FUZZ_CHECK(body + LM_SIG_LEN == size);
	FUZZ_CHECK(lm_cert_encode(&c, again, sizeof(again)) == (int)body);
	FUZZ_CHECK(memcmp(again, data, body) == 0);
	for (unsigned i = 0; i < c.n_prefixes; i++)
		FUZZ_CHECK(lm_prefix_valid(&c.prefixes[i]));
	return 0;
}
