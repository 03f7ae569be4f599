/* SPDX-License-Identifier: BSD-3-Clause */
/* An IP packet of a stranger, and the ICMP errors that it may provoke. */
#include "fuzz.h"

#include <lanemesh/wire.h>

static void check_error(const uint8_t *out, int n, const struct lm_ip_view *about,
			const struct lm_ip *src)
{
	bool v6 = src->family == 6;
	uint8_t again[1280];
	struct lm_ip_view v;

	FUZZ_CHECK(n <= (v6 ? 1280 : 576));
	FUZZ_CHECK(lm_ip_view(out, (size_t)n, &v) == 0 && v.total_len == n && !v.fragment);
	FUZZ_CHECK(v.proto == (v6 ? LM_PROTO_ICMP6 : LM_PROTO_ICMP));
	FUZZ_CHECK(lm_ip_equal(&v.src, src) && lm_ip_equal(&v.dst, &about->src));
	if (v6)
		FUZZ_CHECK(lm_csum_pseudo(&v.src, &v.dst, v.proto, out + 40, (size_t)n - 40) == 0);
	else
		FUZZ_CHECK(lm_csum_finish(lm_csum_add(0, out, 20)) == 0 &&
			   lm_csum_finish(lm_csum_add(0, out + 20, (size_t)n - 20)) == 0);
	/* never an error about an error */
	FUZZ_CHECK(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, src, out, (size_t)n, again,
				       sizeof(again)) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct lm_ip src4 = {.family = 4, .b = {10, 9, 8, 7}};
	static const struct lm_ip src6 = {.family = 6, .b = {0xfd, 1, 2, 3}};
	uint8_t out[1280];
	struct lm_ip_view v;
	int rc = lm_ip_view(data, size, &v);

	if (rc == 0) {
		FUZZ_CHECK(v.total_len <= size && v.l4_off <= v.total_len);
		FUZZ_CHECK(v.src.family == data[0] >> 4 && v.dst.family == v.src.family);
		FUZZ_CHECK(v.l4_off >= 20 || (v.l4_off == 0 && v.fragment));
	}
	for (int what = LM_ICMP_TOO_BIG; what <= LM_ICMP_PROHIBITED; what++) {
		const struct lm_ip *src = rc == 0 && v.src.family == 6 ? &src6 : &src4;
		int n = lm_icmp_error_build((enum lm_icmp_error)what, 1438, src, data, size, out,
					    sizeof(out));

		FUZZ_CHECK(n >= 0 && (rc == 0 || n == 0));
		if (n > 0)
			check_error(out, n, &v, src);
	}
	return 0;
}
