/* SPDX-License-Identifier: BSD-3-Clause */
#include "field.h"

bool lm_field_ip_valid(const struct lm_ip *ip)
{
	struct lm_prefix host = {.ip = *ip, .len = (uint8_t)lm_ip_bits(ip)};

	/* refuses other families, v4-mapped IPv6, and bytes beyond an IPv4 address */
	return lm_prefix_valid(&host);
}

/* The 4 or 16 bytes of an address whose family is known. */
static struct lm_ip address_read(struct lm_reader *r, uint8_t family)
{
	struct lm_ip ip = {.family = family};

	if (family != 4 && family != 6)
		r->bad = true;
	lm_r_copy(r, ip.b, lm_ip_bits(&ip) / 8);
	return r->bad ? (struct lm_ip){0} : ip;
}

struct lm_ip lm_field_ip_read(struct lm_reader *r)
{
	struct lm_ip ip = address_read(r, lm_r_u8(r));

	if (!lm_field_ip_valid(&ip))
		r->bad = true;
	return ip;
}

void lm_field_ip_write(struct lm_writer *w, const struct lm_ip *ip)
{
	lm_w_u8(w, ip->family);
	lm_w_copy(w, ip->b, lm_ip_bits(ip) / 8);
}

bool lm_field_endpoint_valid(const struct lm_endpoint *ep)
{
	return ep->port != 0 && lm_field_ip_valid(&ep->ip);
}

struct lm_endpoint lm_field_endpoint_read(struct lm_reader *r)
{
	struct lm_endpoint ep = {0};

	ep.ip = lm_field_ip_read(r);
	ep.port = lm_r_u16(r);
	if (ep.port == 0)
		r->bad = true;
	return ep;
}

void lm_field_endpoint_write(struct lm_writer *w, const struct lm_endpoint *ep)
{
	lm_field_ip_write(w, &ep->ip);
	lm_w_u16(w, ep->port);
}

bool lm_field_prefixes_valid(const struct lm_prefix *p, uint8_t n)
{
	if (n > LM_PREFIXES_MAX)
		return false;
	for (uint8_t i = 0; i < n; i++) {
		if (!lm_prefix_valid(&p[i]))
			return false;
		for (uint8_t j = 0; j < i; j++)
			if (lm_prefix_equal(&p[i], &p[j]))
				return false;
	}
	return true;
}

uint8_t lm_field_prefixes_read(struct lm_reader *r, struct lm_prefix out[LM_PREFIXES_MAX])
{
	uint8_t n = lm_field_count_read(r, LM_PREFIXES_MAX);

	for (uint8_t i = 0; i < n; i++) {
		uint8_t family = lm_r_u8(r);
		uint8_t len = lm_r_u8(r);

		out[i] = (struct lm_prefix){.ip = address_read(r, family), .len = len};
	}
	if (!r->bad && !lm_field_prefixes_valid(out, n))
		r->bad = true;
	return n;
}

void lm_field_prefixes_write(struct lm_writer *w, const struct lm_prefix *p, uint8_t n)
{
	lm_w_u8(w, n);
	for (uint8_t i = 0; i < n; i++) {
		lm_w_u8(w, p[i].ip.family);
		lm_w_u8(w, p[i].len);
		lm_w_copy(w, p[i].ip.b, lm_ip_bits(&p[i].ip) / 8);
	}
}

bool lm_name_valid(const char *name, size_t max)
{
	size_t n = strnlen(name, max + 1);

	if (n == 0 || n > max)
		return false;
	for (size_t i = 0; i < n; i++) {
		char c = name[i];
		bool alnum = (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');

		/* Names become file names and arguments: no "..", no leading dash. */
		if (!alnum && (i == 0 || (c != '.' && c != '_' && c != '-')))
			return false;
	}
	return true;
}

void lm_field_name_read(struct lm_reader *r, char *out, size_t max)
{
	size_t n = lm_r_u8(r);
	const uint8_t *p = lm_r_bytes(r, n);

	memset(out, 0, max + 1);
	if (p == NULL || n > max) {
		r->bad = true;
		return;
	}
	memcpy(out, p, n);
	if (strnlen(out, n) != n || !lm_name_valid(out, max))
		r->bad = true;
}

void lm_field_name_write(struct lm_writer *w, const char *name)
{
	size_t n = strlen(name);

	lm_w_u8(w, (uint8_t)n);
	lm_w_copy(w, name, n);
}

uint8_t lm_field_count_read(struct lm_reader *r, uint8_t max)
{
	uint8_t n = lm_r_u8(r);

	if (n > max)
		r->bad = true;
	return r->bad ? 0 : n;
}

uint64_t lm_field_u63_read(struct lm_reader *r)
{
	uint64_t v = lm_r_u64(r);

	if (v > INT64_MAX)
		r->bad = true;
	return v;
}
