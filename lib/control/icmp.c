/* SPDX-License-Identifier: BSD-3-Clause */
/* Packets that cannot go on as they are: ICMP errors, and IPv4 fragmentation (RFC 791). */
#include "internal.h"

#include <arpa/inet.h>

#define ERROR_MAX 1280

/* Copies the options that belong into every fragment (RFC 791 section 3.1, the copied flag), padded
 * to a multiple of 4 with End of Options. Returns their length. */
static size_t copied_options(const uint8_t *opt, size_t len, uint8_t *out)
{
	size_t n = 0;

	for (size_t i = 0; i < len && opt[i] != 0;) {
		size_t step = opt[i] == 1 ? 1 : i + 1 < len ? opt[i + 1] : 0;

		if (step == 0 || step > len - i || (opt[i] != 1 && step < 2))
			break;
		if ((opt[i] & 0x80) != 0) {
			memcpy(out + n, opt + i, step);
			n += step;
		}
		i += step;
	}
	while (n % 4 != 0)
		out[n++] = 0;
	return n;
}

/* Sends the IPv4 packet on in fragments of at most mtu bytes. */
static void fragment(struct lm_control *c, const uint8_t *pkt, size_t len, unsigned mtu)
{
	const struct lm_ip4_hdr *h = (const struct lm_ip4_hdr *)pkt;
	size_t hlen = (size_t)(h->ver_ihl & 0xf) * 4, at = 0, body = len - hlen;
	uint16_t frag0 = ntohs(h->frag);
	uint8_t out[9216];

	/* Beyond the largest packet (RFC 791): the offsets would run into the flags. */
	if ((frag0 & 0x1fff) * 8u + body > UINT16_MAX)
		return;
	while (at < body) {
		struct lm_ip4_hdr *o = (struct lm_ip4_hdr *)out;
		size_t ol = hlen - sizeof(*h), n;
		bool last;

		memcpy(out, pkt, at == 0 ? hlen : sizeof(*h));
		if (at != 0)
			ol = copied_options(pkt + sizeof(*h), ol, out + sizeof(*h));
		if (sizeof(*h) + ol + 8 > mtu || mtu > sizeof(out))
			return;
		n = (mtu - sizeof(*h) - ol) & ~(size_t)7;
		last = n >= body - at;
		if (last)
			n = body - at;
		o->ver_ihl = (uint8_t)(0x40 | (sizeof(*h) + ol) / 4);
		o->len = htons((uint16_t)(sizeof(*h) + ol + n));
		/* A fragment of a fragment keeps its place and its More Fragments bit. */
		o->frag = htons((uint16_t)((frag0 & 0x2000) | (last ? 0 : 0x2000) |
					   ((frag0 & 0x1fff) + at / 8)));
		o->csum = 0;
		o->csum = lm_csum_finish(lm_csum_add(0, out, sizeof(*h) + ol));
		memcpy(out + sizeof(*h) + ol, pkt + hlen + at, n);
		(void)lm_dp_inject(c->dp, out, sizeof(*h) + ol + n);
		at += n;
	}
}

void lm_control_icmp(struct lm_control *c, const struct lm_punt *p)
{
	uint16_t port = p->peer == UINT32_MAX ? p->port : LM_NO_PORT;
	uint8_t out[ERROR_MAX];
	struct lm_ip_view v;
	struct lm_ip src;
	int n;

	if (lm_ip_view(p->data, p->len, &v) != 0)
		return;
	if (p->error == LM_ICMP_TOO_BIG && !v.dont_fragment) {
		/* From a peer it is a counted drop: fragments would have to pass as our own. */
		if (p->peer == UINT32_MAX)
			fragment(c, p->data, v.total_len, p->mtu);
		return;
	}
	/* Rate limit, RFC 1812 section 4.3.2.8 and RFC 4443 section 2.4 (f). */
	if (c->errors_left == 0 || !lm_control_own_address(c, port, v.src.family, &src))
		return;
	n = lm_icmp_error_build(p->error, p->mtu, &src, p->data, v.total_len, out, sizeof(out));
	if (n <= 0)
		return;
	c->errors_left--;
	(void)lm_dp_inject(c->dp, out, (size_t)n);
}
