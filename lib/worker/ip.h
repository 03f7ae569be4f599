/* SPDX-License-Identifier: BSD-3-Clause */
/* Header checks and changes of the hot path, small enough to be inline. */
#ifndef LANEMESH_WORKER_IP_H
#define LANEMESH_WORKER_IP_H

#include <lanemesh/wire.h>

#include <endian.h>

static inline uint16_t lm_be16(const void *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return be16toh(v);
}

static inline uint32_t lm_be32(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return be32toh(v);
}

static inline uint32_t lm_word(const void *p)
{
	uint32_t v;

	memcpy(&v, p, 4);
	return v;
}

static inline uint64_t lm_word64(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

static inline uint16_t lm_half(const void *p)
{
	uint16_t v;

	memcpy(&v, p, 2);
	return v;
}

static inline void lm_put16(void *p, uint16_t v)
{
	v = htobe16(v);
	memcpy(p, &v, 2);
}

/* 16 bytes that are compared at once. */
typedef uint64_t lm_vec __attribute__((vector_size(16)));
static inline lm_vec lm_vec_at(const void *p)
{
	lm_vec v;

	memcpy(&v, p, 16);
	return v;
}

static inline uint64_t lm_quad(const void *p)
{
	uint64_t v;

	memcpy(&v, p, 8);
	return v;
}

/* 0 when an IPv4 packet's type and a header without options begin here, at the frame's byte 12. */
static inline uint32_t lm_not_plain4(const uint8_t *type)
{
	return (lm_word(type) & htobe32(0xffffff00)) ^ htobe32(LM_ETHERTYPE_IP4 << 16 | 0x4500);
}

/* Is the checksum of the IPv4 header at p right? ihl: its length, at least 20. */
static inline bool lm_ip4_intact(const uint8_t *p, unsigned ihl)
{
	uint64_t sum = (uint64_t)lm_word(p) + lm_word(p + 4) + lm_word(p + 8) + lm_word(p + 12) +
		       lm_word(p + 16);

	for (unsigned i = sizeof(struct lm_ip4_hdr); i < ihl; i += 4)
		sum += lm_word(p + i);
	/* In ones' complement arithmetic 2^16 is 1, and a sum that is not 0 is minus 0 when 0xffff
	 * divides it. By a constant: no division. */
	return sum % 0xffff == 0;
}

/* Total length of the IPv4 packet in `have` bytes, 0 when its header is wrong (RFC 1812 section
 * 5.2.2: version, lengths, checksum). */
static inline unsigned lm_ip4_total(const uint8_t *p, unsigned have)
{
	unsigned ihl, total;

	if (have < sizeof(struct lm_ip4_hdr) || p[0] >> 4 != 4)
		return 0;
	ihl = (p[0] & 15u) * 4;
	total = lm_be16(p + 2);
	if (ihl < sizeof(struct lm_ip4_hdr) || total < ihl || total > have)
		return 0;
	return lm_ip4_intact(p, ihl) ? total : 0;
}

static inline unsigned lm_ip6_total(const uint8_t *p, unsigned have)
{
	unsigned total;

	if (have < sizeof(struct lm_ip6_hdr) || p[0] >> 4 != 6)
		return 0;
	total = (unsigned)sizeof(struct lm_ip6_hdr) + lm_be16(p + 4);
	return total <= have ? total : 0;
}

/* Addresses, without a call of memcmp. */
static inline bool lm_mac_equal(const uint8_t *a, const uint8_t *b)
{
	return lm_word(a) == lm_word(b) && lm_half(a + 4) == lm_half(b + 4);
}

/* An address as it is in the first 8 bytes of a frame to it; the other 2 bytes are not LM_MAC_BITS.
 */
#define LM_MAC_BITS htobe64(0xffffffffffff0000)
static inline uint64_t lm_mac_quad(const struct lm_mac *mac)
{
	uint64_t v = 0;

	memcpy(&v, mac->b, sizeof(mac->b));
	return v;
}

static inline bool lm_is_ip4(const uint8_t *p)
{
	return p[0] >> 4 == 4;
}

/* By the first byte of an IPv4 address: does a router never forward to or from it (RFC 6890)? */
static const uint8_t lm_ip4_special[256] = {[0] = 1, [127] = 1, [224 ... 255] = 1};

/* May a router forward to or from it (RFC 6890)? a: host byte order. */
static inline bool lm_ip4_routable(uint32_t a)
{
	return !lm_ip4_special[a >> 24];
}

/* The same; v4-mapped and v4-compatible addresses are not: they would dodge IPv4's checks. */
static inline bool lm_ip6_routable(const uint8_t *a)
{
	static const uint8_t zero[10];

	if (a[0] == 0xff || (a[0] == 0xfe && (a[1] & 0xc0) == 0x80))
		return false;
	if (memcmp(a, zero, sizeof(zero)) != 0)
		return true;
	return !((a[10] == 0 && a[11] == 0) || (a[10] == 0xff && a[11] == 0xff));
}

static inline bool lm_ip6_link_local(const uint8_t *a)
{
	return a[0] == 0xfe && (a[1] & 0xc0) == 0x80;
}

static inline uint8_t lm_ip_tos(const uint8_t *p)
{
	return lm_is_ip4(p) ? p[1] : (uint8_t)(lm_be16(p) >> 4);
}

static inline uint8_t lm_ip_ttl(const uint8_t *p)
{
	return lm_is_ip4(p) ? p[8] : p[7];
}

static inline bool lm_ip_may_fragment(const uint8_t *p)
{
	return lm_is_ip4(p) && (p[6] & 0x40) == 0;
}

/* Replaces the header's 16-bit word at off, which is big-endian, and mends the checksum (RFC 1624
 * equation 3). */
static inline void lm_ip4_patch(uint8_t *p, unsigned off, uint16_t word)
{
	uint32_t sum = (uint16_t)~lm_be16(p + 10);
	uint16_t be;

	sum += (uint16_t)~lm_be16(p + off) + (uint32_t)word;
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	be = htobe16((uint16_t)~sum);
	memcpy(p + 10, &be, 2);
	be = htobe16(word);
	memcpy(p + off, &be, 2);
}

/* RFC 1624 equation 3 again, of which little is left in memory's byte order (RFC 1071 section 2B):
 * the word that the TTL is in loses one, so its complement's sum gains one. The TTL is not 0. */
static inline void lm_ip4_dec_ttl(uint8_t *p)
{
	uint16_t csum;

	memcpy(&csum, p + 10, 2);
	csum = le16toh(csum);
	csum = (uint16_t)(csum + 1 + (csum >= 0xfffe)); /* 0xffff would be minus 0 */
	csum = htole16(csum);
	memcpy(p + 10, &csum, 2);
	p[8]--;
}

static inline void lm_ip_dec_ttl(uint8_t *p)
{
	if (lm_is_ip4(p))
		lm_ip4_dec_ttl(p);
	else
		p[7]--;
}

/* ---------------------------------------------------------------- ECN -- */

/*
 * RFC 6040 section 4.2, figure 4: the ECN field that leaves the tunnel, by inner
 * and outer field; -1 = drop, since the inner packet cannot carry the mark.
 */
static inline int lm_ecn_decap(unsigned inner, unsigned outer)
{
	static const int8_t out[4][4] = {
	    /* outer:	Not-ECT	ECT(1)	ECT(0)	CE */
	    [0] = {0, 0, 0, -1}, /* inner Not-ECT */
	    [1] = {1, 1, 1, 3},	 /* inner ECT(1) */
	    [2] = {2, 1, 2, 3},	 /* inner ECT(0) */
	    [3] = {3, 3, 3, 3},	 /* inner CE */
	};

	return out[inner & 3][outer & 3];
}

/* Gives the inner packet its ECN field. False: to be dropped. */
static inline bool lm_ecn_apply(uint8_t *p, uint8_t outer_tos)
{
	unsigned inner = lm_ip_tos(p) & 3;
	int ecn = lm_ecn_decap(inner, outer_tos & 3);

	if (ecn == (int)inner)
		return true;
	if (ecn < 0)
		return false;
	if (lm_is_ip4(p))
		lm_ip4_patch(p, 0, (uint16_t)((lm_be16(p) & ~3u) | (unsigned)ecn));
	else
		p[1] = (uint8_t)((p[1] & ~0x30) | ecn << 4);
	return true;
}

#endif
