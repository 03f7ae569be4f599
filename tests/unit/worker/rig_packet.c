/* SPDX-License-Identifier: BSD-3-Clause */
#include "rig.h"

#include <arpa/inet.h>
#include <stdlib.h>

struct lm_ip rig_addr(const char *text)
{
	struct lm_ip ip = {0};

	if (inet_pton(AF_INET, text, ip.b) == 1)
		ip.family = 4;
	else if (inet_pton(AF_INET6, text, ip.b) == 1)
		ip.family = 6;
	else
		abort();
	return ip;
}

size_t rig_ip(const struct rig_ip *d, uint8_t *out)
{
	struct lm_ip src = rig_addr(d->src), dst = rig_addr(d->dst);
	size_t header = src.family == 4 ? 20 : 40;

	memset(out, 0, header);
	if (src.family == 4) {
		struct lm_ip4_hdr *h = (struct lm_ip4_hdr *)out;

		h->ver_ihl = 0x45;
		h->tos = d->tos;
		h->len = htons((uint16_t)(header + d->payload));
		h->frag = d->df ? htons(0x4000) : 0;
		h->ttl = d->ttl;
		h->proto = d->proto;
		memcpy(h->src, src.b, 4);
		memcpy(h->dst, dst.b, 4);
		h->csum = lm_csum_finish(lm_csum_add(0, h, 20));
	} else {
		struct lm_ip6_hdr *h = (struct lm_ip6_hdr *)out;

		h->ver_tc_flow = htonl(6u << 28 | (uint32_t)d->tos << 20);
		h->payload_len = htons((uint16_t)d->payload);
		h->next = d->proto;
		h->hop_limit = d->ttl;
		memcpy(h->src, src.b, 16);
		memcpy(h->dst, dst.b, 16);
	}
	for (size_t i = 0; i < d->payload; i++)
		out[header + i] = d->l4 != NULL ? ((const uint8_t *)d->l4)[i] : (uint8_t)i;
	return header + d->payload;
}

size_t rig_udp(const char *src, uint16_t sport, const char *dst, uint16_t dport, const void *data,
	       size_t len, uint8_t *out)
{
	struct lm_udp_hdr h = {htons(sport), htons(dport), htons((uint16_t)(8 + len)), 0};
	uint8_t l4[RIG_FRAME_MAX];

	memcpy(l4, &h, 8);
	if (len > 0)
		memcpy(l4 + 8, data, len);
	return rig_ip(&(struct rig_ip){.src = src,
				       .dst = dst,
				       .proto = LM_PROTO_UDP,
				       .ttl = 64,
				       .payload = 8 + len,
				       .l4 = l4},
		      out);
}

struct lm_mac rig_mac(unsigned port)
{
	return (struct lm_mac){{2, 0, 0, 0, 1, (uint8_t)port}};
}

struct lm_mac rig_host_mac(unsigned port)
{
	return (struct lm_mac){{2, 0, 0, 0, 2, (uint8_t)port}};
}

size_t rig_eth(unsigned port, uint16_t type, const void *payload, size_t len, uint8_t *out)
{
	struct lm_mac dst = rig_mac(port), src = rig_host_mac(port);
	struct lm_eth_hdr h = {.type = htons(type)};

	memcpy(h.dst, dst.b, 6);
	memcpy(h.src, src.b, 6);
	memcpy(out, &h, sizeof(h));
	memcpy(out + sizeof(h), payload, len);
	return sizeof(h) + len;
}

size_t rig_frame(unsigned port, const struct rig_ip *d, uint8_t *out)
{
	uint8_t ip[RIG_FRAME_MAX];
	size_t len = rig_ip(d, ip);

	return rig_eth(port, ip[0] >> 4 == 4 ? LM_ETHERTYPE_IP4 : LM_ETHERTYPE_IP6, ip, len, out);
}
