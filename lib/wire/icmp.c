/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/wire.h>

#include <errno.h>

#define IP4_LEN	  20
#define IP6_LEN	  40
#define ICMP_LEN  8
#define TTL	  64
#define ICMP4_MAX 576  /* RFC 1812 section 4.3.2.3 */
#define ICMP6_MAX 1280 /* RFC 4443 section 2.4 (c) */

static const struct {
	uint8_t type, code;
} codes4[] =
    {
	[LM_ICMP_TOO_BIG] = {3, 4}, /* RFC 1191 section 4 */
	[LM_ICMP_TIME_EXCEEDED] = {11, 0},
	[LM_ICMP_NO_ROUTE] = {3, 0},
	[LM_ICMP_PROHIBITED] = {3, 13}, /* RFC 1812 section 5.2.7.1 */
},
  codes6[] = {
      [LM_ICMP_TOO_BIG] = {2, 0},
      [LM_ICMP_TIME_EXCEEDED] = {3, 0},
      [LM_ICMP_NO_ROUTE] = {1, 0},
      [LM_ICMP_PROHIBITED] = {1, 1},
};

/* RFC 1812 section 4.3.2.7 and RFC 4443 section 2.4 (e): no error about an error. A type that
 * is not known to be a query counts as one. */
static bool about_icmp_error(const struct lm_ip_view *v, const uint8_t *pkt)
{
	bool v6 = v->src.family == 6;
	uint8_t type;

	if (v->proto != (v6 ? LM_PROTO_ICMP6 : LM_PROTO_ICMP))
		return false;
	if (v->l4_off >= v->total_len)
		return true;
	type = pkt[v->l4_off];
	if (v6)
		return type < 128 || type == 137; /* 137: redirect */
	return !(type == 0 || type == 8 || (type >= 13 && type <= 18));
}

static bool may_answer(const struct lm_ip_view *v, const uint8_t *pkt)
{
	return v->l4_off != 0 && !lm_ip_is_special(&v->src) && !lm_ip_is_special(&v->dst) &&
	       !about_icmp_error(v, pkt);
}

static void write_icmp(struct lm_writer *w, uint8_t type, uint8_t code, uint32_t word,
		       const uint8_t *quote, size_t quote_len)
{
	lm_w_u8(w, type);
	lm_w_u8(w, code);
	lm_w_u16(w, 0); /* checksum */
	lm_w_u32(w, word);
	lm_w_copy(w, quote, quote_len);
}

static void build4(struct lm_writer *w, enum lm_icmp_error what, unsigned mtu,
		   const struct lm_ip *src, const struct lm_ip_view *v, const uint8_t *pkt)
{
	size_t quote = v->total_len;
	uint8_t *ip = w->p;
	uint16_t csum;

	if (quote > ICMP4_MAX - IP4_LEN - ICMP_LEN)
		quote = ICMP4_MAX - IP4_LEN - ICMP_LEN;
	lm_w_u8(w, 0x45);
	lm_w_u8(w, 0xc0); /* internetwork control, RFC 1812 section 4.3.2.5 */
	lm_w_u16(w, (uint16_t)(IP4_LEN + ICMP_LEN + quote));
	lm_w_u16(w, 0);	     /* any id does when DF is set, RFC 6864 section 4.1 */
	lm_w_u16(w, 0x4000); /* DF */
	lm_w_u8(w, TTL);
	lm_w_u8(w, LM_PROTO_ICMP);
	lm_w_u16(w, 0);
	lm_w_copy(w, src->b, 4);
	lm_w_copy(w, v->src.b, 4);
	write_icmp(w, codes4[what].type, codes4[what].code,
		   what != LM_ICMP_TOO_BIG ? 0
		   : mtu > UINT16_MAX	   ? UINT16_MAX
					   : mtu,
		   pkt, quote);
	if (w->bad)
		return;
	csum = lm_csum_finish(lm_csum_add(0, ip, IP4_LEN));
	memcpy(ip + 10, &csum, 2);
	csum = lm_csum_finish(lm_csum_add(0, ip + IP4_LEN, ICMP_LEN + quote));
	memcpy(ip + IP4_LEN + 2, &csum, 2);
}

static void build6(struct lm_writer *w, enum lm_icmp_error what, unsigned mtu,
		   const struct lm_ip *src, const struct lm_ip_view *v, const uint8_t *pkt)
{
	size_t quote = v->total_len;
	uint8_t *ip = w->p;
	uint16_t csum;

	if (quote > ICMP6_MAX - IP6_LEN - ICMP_LEN)
		quote = ICMP6_MAX - IP6_LEN - ICMP_LEN;
	lm_w_u32(w, 6u << 28);
	lm_w_u16(w, (uint16_t)(ICMP_LEN + quote));
	lm_w_u8(w, LM_PROTO_ICMP6);
	lm_w_u8(w, TTL);
	lm_w_copy(w, src->b, 16);
	lm_w_copy(w, v->src.b, 16);
	write_icmp(w, codes6[what].type, codes6[what].code, what == LM_ICMP_TOO_BIG ? mtu : 0, pkt,
		   quote);
	if (w->bad)
		return;
	csum = lm_csum_pseudo(src, &v->src, LM_PROTO_ICMP6, ip + IP6_LEN, ICMP_LEN + quote);
	memcpy(ip + IP6_LEN + 2, &csum, 2);
}

int lm_icmp_error_build(enum lm_icmp_error what, unsigned mtu, const struct lm_ip *src,
			const uint8_t *pkt, size_t len, uint8_t *out, size_t cap)
{
	struct lm_writer w = lm_writer(out, cap);
	struct lm_ip_view v;

	if (lm_ip_view(pkt, len, &v) != 0 || v.src.family != src->family || !may_answer(&v, pkt))
		return 0;
	if (src->family == 4)
		build4(&w, what, mtu, src, &v, pkt);
	else
		build6(&w, what, mtu, src, &v, pkt);
	return w.bad ? -EMSGSIZE : (int)lm_w_len(&w);
}
