/* SPDX-License-Identifier: BSD-3-Clause */
/* Text forms of addresses: what parses comes out of the formatter in a form that parses to it. */
#include "fuzz.h"

#include <lanemesh/base.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char text[128], again[LM_IP_STRLEN + LM_ENDPOINT_STRLEN + LM_PREFIX_STRLEN];
	struct lm_ip ip, ip2;
	struct lm_prefix prefix, prefix2;
	struct lm_endpoint ep, ep2;
	struct lm_mac mac, mac2;

	if (size >= sizeof(text))
		return -1;
	memcpy(text, data, size);
	text[size] = '\0';
	if (lm_ip_parse(text, &ip) == 0) {
		FUZZ_CHECK(lm_ip_parse(lm_ip_format(&ip, again), &ip2) == 0);
		FUZZ_CHECK(lm_ip_equal(&ip, &ip2));
	}
	if (lm_prefix_parse(text, &prefix) == 0) {
		FUZZ_CHECK(lm_prefix_valid(&prefix));
		FUZZ_CHECK(lm_prefix_parse(lm_prefix_format(&prefix, again), &prefix2) == 0);
		FUZZ_CHECK(lm_prefix_equal(&prefix, &prefix2));
		FUZZ_CHECK(lm_prefix_contains(&prefix, &prefix.ip));
	}
	if (lm_endpoint_parse(text, 4500, &ep) == 0) {
		FUZZ_CHECK(ep.port != 0);
		FUZZ_CHECK(lm_endpoint_parse(lm_endpoint_format(&ep, again), 0, &ep2) == 0);
		FUZZ_CHECK(lm_endpoint_equal(&ep, &ep2));
	}
	if (lm_mac_parse(text, &mac) == 0) {
		FUZZ_CHECK(lm_mac_parse(lm_mac_format(&mac, again), &mac2) == 0);
		FUZZ_CHECK(memcmp(&mac, &mac2, sizeof(mac)) == 0);
	}
	return 0;
}
