/* SPDX-License-Identifier: BSD-3-Clause */
#include "fuzz.h"

#include <lanemesh/wire.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t again[LM_COORD_MSG_MAX];
	struct lm_coord_msg m;

	if (lm_coord_msg_decode(data, size, &m) != 0)
		return 0;
	FUZZ_CHECK(m.cert == NULL || (m.cert > data && m.cert + m.cert_len <= data + size));
	FUZZ_CHECK(m.data == NULL || m.data + m.data_len == data + size);
	FUZZ_CHECK(lm_coord_msg_encode(&m, again, sizeof(again)) == (int)size);
	FUZZ_CHECK(memcmp(again, data, size) == 0);
	return 0;
}
