/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/fwd.h>
#include <lanemesh/wire.h>

#define TCP_HDR	     20u
#define TCP_FLAG_SYN 0x02
#define OPT_END	     0
#define OPT_NOP	     1
#define OPT_MSS	     2
#define OPT_MSS_LEN  4

static uint16_t get16(const uint8_t *p)
{
	return (uint16_t)(p[0] << 8 | p[1]);
}

static void put16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* RFC 1624 eqn. 3: HC' = ~(~HC + ~m + m'). A field at an odd offset adds its bytes swapped. */
static void csum_update(uint8_t *csum, uint16_t from, uint16_t to, bool odd)
{
	uint32_t sum;

	if (odd) {
		from = __builtin_bswap16(from);
		to = __builtin_bswap16(to);
	}
	sum = (uint16_t)~get16(csum) + (uint32_t)(uint16_t)~from + to;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	put16(csum, (uint16_t)~sum);
}

/* Every MSS option: receivers differ in which one of several they believe. */
static bool clamp_options(uint8_t *tcp, unsigned header_len, uint16_t mss)
{
	bool changed = false;
	unsigned i = TCP_HDR;

	while (i < header_len && tcp[i] != OPT_END) {
		unsigned n;

		if (tcp[i] == OPT_NOP) {
			i++;
			continue;
		}
		if (i + 1 >= header_len)
			break;
		n = tcp[i + 1];
		if (n < 2 || i + n > header_len)
			break;
		if (tcp[i] == OPT_MSS && n == OPT_MSS_LEN && get16(tcp + i + 2) > mss) {
			csum_update(tcp + 16, get16(tcp + i + 2), mss, (i & 1) != 0);
			put16(tcp + i + 2, mss);
			changed = true;
		}
		i += n;
	}
	return changed;
}

static bool clamp_tcp(uint8_t *tcp, size_t len, unsigned ip_header, uint16_t mtu)
{
	unsigned header_len;

	if (len < TCP_HDR || !(tcp[13] & TCP_FLAG_SYN))
		return false;
	header_len = (tcp[12] >> 4) * 4u;
	if (header_len <= TCP_HDR || header_len > len || mtu <= ip_header + TCP_HDR)
		return false;
	/* RFC 9293 section 3.7.1: the option counts neither IP nor TCP options. */
	return clamp_options(tcp, header_len, (uint16_t)(mtu - ip_header - TCP_HDR));
}

static bool clamp4(uint8_t *pkt, size_t len, uint16_t mtu)
{
	unsigned ihl = (pkt[0] & 0xf) * 4u;
	size_t total;

	if (len < sizeof(struct lm_ip4_hdr) || pkt[9] != LM_PROTO_TCP)
		return false;
	total = get16(pkt + 2);
	if (ihl < 20 || total > len || total < ihl || (get16(pkt + 6) & 0x1fff) != 0)
		return false;
	return clamp_tcp(pkt + ihl, total - ihl, sizeof(struct lm_ip4_hdr), mtu);
}

/* Walks at most LM_IP6_EXT_MAX hop-by-hop, routing and destination options headers, RFC 8200
 * section 4; a fragment's or any other header ends the search. */
static bool clamp6(uint8_t *pkt, size_t len, uint16_t mtu)
{
	size_t total, off = sizeof(struct lm_ip6_hdr);
	uint8_t next;

	if (len < off)
		return false;
	next = pkt[6];
	total = off + get16(pkt + 4);
	if (total > len)
		return false;
	for (unsigned i = 0; i < LM_IP6_EXT_MAX && (next == 0 || next == 43 || next == 60); i++) {
		if (total - off < 8)
			return false;
		next = pkt[off];
		off += ((size_t)pkt[off + 1] + 1) * 8;
		if (off > total)
			return false;
	}
	if (next != LM_PROTO_TCP)
		return false;
	return clamp_tcp(pkt + off, total - off, sizeof(struct lm_ip6_hdr), mtu);
}

bool lm_mss_clamp(uint8_t *pkt, size_t len, uint16_t mtu)
{
	if (len == 0)
		return false;
	switch (pkt[0] >> 4) {
	case 4:
		return clamp4(pkt, len, mtu);
	case 6:
		return clamp6(pkt, len, mtu);
	default:
		return false;
	}
}
