/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * RFC 1071: the sum does not depend on byte order, so words are added as they
 * lie in memory and the result is stored as it comes out.
 */
#include <lanemesh/wire.h>

#include <arpa/inet.h>

static uint32_t fold(uint64_t sum)
{
	while (sum >> 32 != 0)
		sum = (sum & 0xffffffff) + (sum >> 32);
	return (uint32_t)sum;
}

uint32_t lm_csum_add(uint32_t sum, const void *data, size_t len)
{
	const uint8_t *p = data;
	uint64_t total = sum;

	for (; len >= 4; len -= 4, p += 4) {
		uint32_t word;

		memcpy(&word, p, 4);
		total += word;
	}
	if (len > 0) {
		uint32_t word = 0;

		memcpy(&word, p, len);
		total += word;
	}
	return fold(total);
}

uint16_t lm_csum_finish(uint32_t sum)
{
	while (sum >> 16 != 0)
		sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)~sum;
}

uint16_t lm_csum_pseudo(const struct lm_ip *src, const struct lm_ip *dst, uint8_t proto,
			const void *data, size_t len)
{
	const uint32_t tail[2] = {htonl((uint32_t)len), htonl(proto)};
	unsigned n = lm_ip_bits(src) / 8;
	uint32_t sum;
	uint16_t csum;

	sum = lm_csum_add(0, src->b, n);
	sum = lm_csum_add(sum, dst->b, n);
	sum = lm_csum_add(sum, tail, sizeof(tail));
	csum = lm_csum_finish(lm_csum_add(sum, data, len));
	/* RFC 768: zero would mean "no checksum" */
	return proto == LM_PROTO_UDP && csum == 0 ? 0xffff : csum;
}
