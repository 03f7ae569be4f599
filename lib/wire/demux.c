/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/wire.h>

#define STUN_HEADER_LEN 20

enum lm_demux lm_demux(const uint8_t *payload, size_t len)
{
	struct lm_reader r = lm_reader(payload, len);
	uint32_t first, second;

	if (len == 1)
		return payload[0] == 0xff ? LM_DEMUX_KEEPALIVE : LM_DEMUX_BAD;
	first = lm_r_u32(&r);
	second = lm_r_u32(&r);
	if (r.bad)
		return LM_DEMUX_BAD;
	if (first >= LM_SPI_MIN)
		return LM_DEMUX_ESP;
	if (first == 0)
		return LM_DEMUX_CONTROL;
	if (first >> 30 == 0 && second == LM_STUN_COOKIE && len >= STUN_HEADER_LEN)
		return LM_DEMUX_STUN;
	return LM_DEMUX_BAD;
}
