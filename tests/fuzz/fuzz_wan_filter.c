/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The workers' look at IP headers: first byte the outer TOS, then the packet. Nothing
 * beyond the packet is read; what the filter of WAN ports lets through is, for wire's
 * slower parser too, an ICMP, TCP or UDP packet that is no fragment; and changes of
 * TTL and ECN leave a header that is as right as before.
 */
#include "../../lib/worker/ip.h"
#include "../../lib/worker/worker_internal.h"

#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_passed(const uint8_t *ip, unsigned total)
{
	struct lm_ip_view v;

	if (lm_ip_view(ip, total, &v) != 0)
		abort();
	if (v.proto != LM_PROTO_ICMP && v.proto != LM_PROTO_TCP && v.proto != LM_PROTO_UDP &&
	    v.proto != LM_PROTO_ICMP6)
		abort();
}

static unsigned total_of(const uint8_t *ip, unsigned len)
{
	return len > 0 && lm_is_ip4(ip) ? lm_ip4_total(ip, len) : lm_ip6_total(ip, len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const struct lm_dp_port port = {
	    .udp_port = 4500,
	    .n_accept_tcp = 1,
	    .n_accept_udp = 1,
	    .accept_tcp = {22},
	    .accept_udp = {5353},
	};
	struct lm_addresses *own = malloc(sizeof(*own) + 2 * sizeof(own->ips[0]));
	unsigned total, len;
	uint8_t *ip, tos;
	bool fragment;

	if (own == NULL)
		abort();
	own->n = 2;
	own->ips[0] = lm_ip4((const uint8_t[4]){192, 0, 2, 1});
	own->ips[1] = lm_ip6((const uint8_t[16]){0x20, 1, 0xd, 0xb8, [15] = 1});
	if (size < 1 || size > 4096) {
		free(own);
		return 0;
	}
	tos = data[0];
	len = (unsigned)size - 1;
	/* exact, so that a sanitizer sees every byte too many */
	ip = malloc(len + (len == 0));
	if (ip == NULL)
		abort();
	memcpy(ip, data + 1, len);
	total = total_of(ip, len);
	if (total > len)
		abort();
	if (total > 0 && lm_is_ip4(ip)) {
		fragment = (lm_be16(ip + 6) & 0x3fff) != 0;
		if (!fragment && lm_wan_filter4(&port, own, ip, total))
			check_passed(ip, total);
	} else if (total > 0) {
		fragment = ip[6] == 44;
		if (!fragment && lm_wan_filter6(&port, own, ip, total))
			check_passed(ip, total);
	}
	if (total > 0 && lm_ip_ttl(ip) > 0) { /* the path refuses 0 and 1 before */
		uint8_t ttl = lm_ip_ttl(ip), before = lm_ip_tos(ip);

		lm_ip_dec_ttl(ip);
		if (total_of(ip, len) != total || lm_ip_ttl(ip) != (uint8_t)(ttl - 1))
			abort();
		if (lm_ecn_apply(ip, tos) && (lm_ip_tos(ip) & ~3) != (before & ~3))
			abort();
		if (total_of(ip, len) != total)
			abort();
	}
	free(ip);
	free(own);
	return 0;
}
