/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/wire.h>

#include <errno.h>

#define IP4_MIN	     20
#define IP4_DF	     0x4000
#define IP4_MF	     0x2000
#define IP4_OFF_MASK 0x1fff
#define IP6_LEN	     40

/* Extension headers, RFC 8200 section 4 and the IANA registry. */
enum {
	EXT_HOPOPTS = 0,
	EXT_ROUTING = 43,
	EXT_FRAGMENT = 44,
	EXT_AH = 51,
	EXT_DSTOPTS = 60,
	EXT_MOBILITY = 135,
	EXT_HIP = 139,
	EXT_SHIM6 = 140
};

static int view4(const uint8_t *pkt, size_t len, struct lm_ip_view *out)
{
	struct lm_reader r = lm_reader(pkt, len);
	unsigned header = (lm_r_u8(&r) & 0x0fu) * 4, frag, offset;

	lm_r_u8(&r); /* TOS */
	out->total_len = lm_r_u16(&r);
	lm_r_u16(&r); /* identification */
	frag = lm_r_u16(&r);
	out->ttl = lm_r_u8(&r);
	out->proto = lm_r_u8(&r);
	if (header < IP4_MIN || out->total_len < header || out->total_len > len)
		return -EBADMSG;
	out->src = lm_ip4(pkt + 12);
	out->dst = lm_ip4(pkt + 16);
	offset = (frag & IP4_OFF_MASK) * 8;
	/* would not fit into a datagram when put together */
	if (offset + out->total_len > UINT16_MAX)
		return -EBADMSG;
	out->dont_fragment = (frag & IP4_DF) != 0;
	out->fragment = (frag & IP4_MF) != 0 || offset != 0;
	out->l4_off = offset == 0 ? (uint16_t)header : 0;
	return 0;
}

static bool is_extension(uint8_t next)
{
	switch (next) {
	case EXT_HOPOPTS:
	case EXT_ROUTING:
	case EXT_FRAGMENT:
	case EXT_AH:
	case EXT_DSTOPTS:
	case EXT_MOBILITY:
	case EXT_HIP:
	case EXT_SHIM6:
		return true;
	default:
		return false;
	}
}

/* Walks the chain; r stands behind the fixed header. l4_off is 0 behind a non-first fragment. */
static int walk(const uint8_t *pkt, struct lm_reader *r, struct lm_ip_view *out)
{
	bool seen_fragment = false;

	for (unsigned n = 0; is_extension(out->proto); n++) {
		uint8_t type = out->proto, next, units;
		unsigned size;

		/* RFC 8200 section 4.1: hop-by-hop options come first and once */
		if (n == LM_IP6_EXT_MAX || (type == EXT_HOPOPTS && n > 0) ||
		    (type == EXT_FRAGMENT && seen_fragment))
			return -EBADMSG;
		next = lm_r_u8(r);
		units = lm_r_u8(r);
		if (type == EXT_FRAGMENT) {
			uint16_t field = lm_r_u16(r);
			unsigned offset = field & 0xfff8u;

			lm_r_u32(r); /* identification */
			seen_fragment = true;
			/* RFC 8200 4.5; one without offset and M is a whole packet (RFC 6946) */
			out->fragment = offset != 0 || (field & 1) != 0;
			if (r->bad || offset + lm_r_left(r) > UINT16_MAX)
				return -EBADMSG;
			if (offset != 0) {
				out->proto = next;
				out->l4_off = 0;
				return 0;
			}
		} else {
			/* RFC 4302 section 2.2 counts in words of 4, the others in 8 */
			size = type == EXT_AH ? (units + 2u) * 4 : (units + 1u) * 8;
			lm_r_bytes(r, size - 2);
		}
		if (r->bad)
			return -EBADMSG;
		out->proto = next;
	}
	out->l4_off = (uint16_t)(r->p - pkt);
	return 0;
}

static int view6(const uint8_t *pkt, size_t len, struct lm_ip_view *out)
{
	struct lm_reader r = lm_reader(pkt, len);
	unsigned payload;

	lm_r_u32(&r); /* version, traffic class, flow label */
	payload = lm_r_u16(&r);
	out->proto = lm_r_u8(&r);
	out->ttl = lm_r_u8(&r);
	/* no jumbograms: a length of 65,535 bytes is the most that is carried */
	if (len < IP6_LEN || payload > len - IP6_LEN || payload + IP6_LEN > UINT16_MAX)
		return -EBADMSG;
	out->src = lm_ip6(pkt + 8);
	out->dst = lm_ip6(pkt + 24);
	out->total_len = (uint16_t)(payload + IP6_LEN);
	out->dont_fragment = true;
	out->fragment = false;
	r = lm_reader(pkt, out->total_len);
	lm_r_bytes(&r, IP6_LEN);
	return walk(pkt, &r, out);
}

int lm_ip_view(const uint8_t *pkt, size_t len, struct lm_ip_view *out)
{
	if (len < IP4_MIN)
		return -EBADMSG;
	switch (pkt[0] >> 4) {
	case 4:
		return view4(pkt, len, out);
	case 6:
		return view6(pkt, len, out);
	default:
		return -EBADMSG;
	}
}
