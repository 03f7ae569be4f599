/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/wire.h>

#include <errno.h>

static bool hello_valid(const struct lm_hello *h)
{
	return lm_spi_base_valid(h->spi_base) && h->lanes >= 1 && h->lanes <= LM_LANES_MAX &&
	       h->cert_len <= LM_CERT_MAX;
}

int lm_hello_encode(const struct lm_hello *h, uint8_t *buf, size_t cap, size_t pad_to)
{
	struct lm_writer w = lm_writer(buf, cap);

	if (!hello_valid(h))
		return -EINVAL;
	lm_w_u32(&w, h->spi_base);
	lm_w_u8(&w, h->lanes);
	lm_w_u8(&w, 0);
	lm_w_u32(&w, h->capabilities);
	lm_w_u16(&w, (uint16_t)h->cert_len);
	lm_w_copy(&w, h->cert, h->cert_len);
	if (pad_to > 0 && lm_w_len(&w) > pad_to)
		return -EMSGSIZE;
	if (pad_to > 0)
		lm_w_zero(&w, pad_to - lm_w_len(&w));
	return w.bad ? -EMSGSIZE : (int)lm_w_len(&w);
}

int lm_hello_decode(const uint8_t *buf, size_t len, struct lm_hello *out)
{
	struct lm_reader r = lm_reader(buf, len);
	uint8_t reserved;

	out->spi_base = lm_r_u32(&r);
	out->lanes = lm_r_u8(&r);
	reserved = lm_r_u8(&r);
	out->capabilities = lm_r_u32(&r);
	out->cert_len = lm_r_u16(&r);
	out->cert = lm_r_bytes(&r, out->cert_len);
	while (lm_r_left(&r) > 0)
		reserved |= lm_r_u8(&r);
	if (r.bad || reserved != 0 || !hello_valid(out))
		return -EBADMSG;
	return 0;
}
