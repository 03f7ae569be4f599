/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/socket.h>

/* RFC 4291 section 2.5.5.2 */
static const uint8_t mapped_head[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff};

struct lm_ip lm_ip4(const uint8_t b[4])
{
	struct lm_ip ip = {.family = 4};

	memcpy(ip.b, b, 4);
	return ip;
}

struct lm_ip lm_ip6(const uint8_t b[16])
{
	struct lm_ip ip = {.family = 6};

	memcpy(ip.b, b, 16);
	return ip;
}

static bool is_mapped(const struct lm_ip *ip)
{
	return ip->family == 6 && memcmp(ip->b, mapped_head, sizeof(mapped_head)) == 0;
}

struct lm_ip lm_ip_canonical(struct lm_ip ip)
{
	return is_mapped(&ip) ? lm_ip4(ip.b + 12) : ip;
}

int lm_ip_cmp(const struct lm_ip *a, const struct lm_ip *b)
{
	return memcmp(a, b, sizeof(*a));
}

unsigned lm_ip_bits(const struct lm_ip *ip)
{
	return ip->family == 4 ? 32 : ip->family == 6 ? 128 : 0;
}

bool lm_ip_is_special(const struct lm_ip *any)
{
	static const struct lm_ip none6 = {.family = 6};
	static const struct lm_ip loopback6 = {.family = 6, .b[15] = 1};
	static const struct lm_ip broadcast4 = {.family = 4, .b = {255, 255, 255, 255}};
	struct lm_ip ip = lm_ip_canonical(*any);

	if (ip.family == 4) /* RFC 1122 section 3.2.1.3, RFC 5771 */
		return ip.b[0] == 0 || ip.b[0] == 127 || (ip.b[0] & 0xf0) == 0xe0 ||
		       lm_ip_equal(&ip, &broadcast4);
	if (ip.family == 6) /* RFC 4291 section 2.4 */
		return ip.b[0] == 0xff || (ip.b[0] == 0xfe && (ip.b[1] & 0xc0) == 0x80) ||
		       lm_ip_equal(&ip, &none6) || lm_ip_equal(&ip, &loopback6);
	return true;
}

bool lm_endpoint_equal(const struct lm_endpoint *a, const struct lm_endpoint *b)
{
	return a->port == b->port && lm_ip_equal(&a->ip, &b->ip);
}

unsigned lm_endpoint_to_sockaddr(const struct lm_endpoint *ep, struct sockaddr_storage *out)
{
	memset(out, 0, sizeof(*out));
	if (ep->ip.family == 4) {
		struct sockaddr_in *in = (struct sockaddr_in *)out;

		in->sin_family = AF_INET;
		in->sin_port = htons(ep->port);
		memcpy(&in->sin_addr, ep->ip.b, 4);
		return sizeof(*in);
	}
	if (ep->ip.family == 6) {
		struct sockaddr_in6 *in6 = (struct sockaddr_in6 *)out;

		in6->sin6_family = AF_INET6;
		in6->sin6_port = htons(ep->port);
		memcpy(&in6->sin6_addr, ep->ip.b, 16);
		return sizeof(*in6);
	}
	return 0;
}

int lm_endpoint_from_sockaddr(const struct sockaddr *sa, struct lm_endpoint *out)
{
	*out = (struct lm_endpoint){0};
	if (sa->sa_family == AF_INET) {
		const struct sockaddr_in *in = (const struct sockaddr_in *)sa;

		out->ip = lm_ip4((const uint8_t *)&in->sin_addr);
		out->port = ntohs(in->sin_port);
		return 0;
	}
	if (sa->sa_family == AF_INET6) {
		const struct sockaddr_in6 *in6 = (const struct sockaddr_in6 *)sa;

		out->ip = lm_ip_canonical(lm_ip6((const uint8_t *)&in6->sin6_addr));
		out->port = ntohs(in6->sin6_port);
		return 0;
	}
	return -EAFNOSUPPORT;
}

static bool same_bits(const uint8_t *a, const uint8_t *b, unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	if (memcmp(a, b, whole) != 0)
		return false;
	return rest == 0 || ((a[whole] ^ b[whole]) & (0xff00u >> rest) & 0xff) == 0;
}

struct lm_prefix lm_prefix_of(const struct lm_ip *ip, unsigned len)
{
	struct lm_prefix p = {.ip = *ip};
	unsigned bits = lm_ip_bits(ip);

	if (len > bits)
		len = bits;
	p.len = (uint8_t)len;
	if (len % 8 != 0)
		p.ip.b[len / 8] &= (uint8_t)(0xff00u >> len % 8);
	for (unsigned i = (len + 7) / 8; i < sizeof(p.ip.b); i++)
		p.ip.b[i] = 0;
	return p;
}

bool lm_prefix_valid(const struct lm_prefix *p)
{
	struct lm_prefix clean;

	if (lm_ip_bits(&p->ip) == 0 || p->len > lm_ip_bits(&p->ip))
		return false;
	clean = lm_prefix_of(&p->ip, p->len);
	return lm_prefix_equal(&clean, p) && !(p->len >= 96 && is_mapped(&p->ip));
}

bool lm_prefix_contains(const struct lm_prefix *p, const struct lm_ip *ip)
{
	return p->ip.family == ip->family && p->ip.family != 0 && !is_mapped(ip) &&
	       same_bits(p->ip.b, ip->b, p->len);
}

bool lm_prefix_covers(const struct lm_prefix *outer, const struct lm_prefix *inner)
{
	return outer->len <= inner->len && lm_prefix_contains(outer, &inner->ip);
}

bool lm_prefix_equal(const struct lm_prefix *a, const struct lm_prefix *b)
{
	return a->len == b->len && lm_ip_equal(&a->ip, &b->ip);
}
