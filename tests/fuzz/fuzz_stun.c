/* SPDX-License-Identifier: BSD-3-Clause */
/* A datagram that calls itself STUN; what is good in it can be asked and answered again. */
#include "fuzz.h"

#include <errno.h>

#include <lanemesh/wire.h>

static void again(const struct lm_stun_msg *m)
{
	uint8_t buf[LM_STUN_ANSWER_MAX];
	struct lm_stun_msg back;
	int n;

	if (m->kind == LM_STUN_SUCCESS) {
		n = lm_stun_success(buf, sizeof(buf), m->id, &m->mapped, m->fingerprint);
		FUZZ_CHECK(n > 0 && lm_stun_decode(buf, (size_t)n, &back) == 0);
		FUZZ_CHECK(lm_endpoint_equal(&back.mapped, &m->mapped));
		FUZZ_CHECK(back.fingerprint == m->fingerprint);
	} else if (m->kind == LM_STUN_REQUEST && m->n_unknown > 0) {
		n = lm_stun_unknown(buf, sizeof(buf), m);
		FUZZ_CHECK(n > 0 && lm_stun_decode(buf, (size_t)n, &back) == 0);
		FUZZ_CHECK(back.kind == LM_STUN_ERROR && back.error == 420);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct lm_stun_msg m;
	int rc = lm_stun_decode(data, size, &m);

	if (rc != -EBADMSG)
		FUZZ_CHECK(size >= LM_STUN_HDR_LEN && data[0] < 0x40);
	if (rc != 0)
		return 0;
	/* the one thing in front of all Binding messages that could be something else */
	FUZZ_CHECK(lm_demux(data, size) == LM_DEMUX_STUN);
	FUZZ_CHECK((m.kind == LM_STUN_SUCCESS) == (m.mapped.ip.family != 0));
	FUZZ_CHECK(m.n_unknown <= LM_STUN_UNKNOWN_MAX);
	again(&m);
	return 0;
}
