/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <lanemesh/wire.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	uint8_t again[LM_REVOCATION_MAX];
	struct lm_revocation v;
	size_t body;

	if (lm_revocation_decode(data, size, &v, &body) != 0)
		return 0;
	FUZZ_CHECK(body + LM_SIG_LEN == size);
	FUZZ_CHECK(v.n_nodes == 0 || v.nodes + 32 * v.n_nodes <= data + body);
	FUZZ_CHECK(v.n_serials == 0 || v.serials + 8 * v.n_serials == data + body);
	FUZZ_CHECK(lm_revocation_encode(&v, again, sizeof(again)) == (int)body);
	FUZZ_CHECK(memcmp(again, data, body) == 0);
	return 0;
}
