/* SPDX-License-Identifier: BSD-3-Clause */
/* Addresses as text. Only numeric forms: a name lookup would block and could be forged. */
#include <lanemesh/base.h>

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>

int lm_ip_parse(const char *text, struct lm_ip *out)
{
	uint8_t b[16];

	if (inet_pton(AF_INET, text, b) == 1)
		*out = lm_ip4(b);
	else if (inet_pton(AF_INET6, text, b) == 1)
		*out = lm_ip_canonical(lm_ip6(b));
	else
		return -EINVAL;
	return 0;
}

const char *lm_ip_format(const struct lm_ip *ip, char buf[LM_IP_STRLEN])
{
	/* inet_ntop compresses the first longest run of two or more zero groups and writes
	 * lower case, as RFC 5952 section 4 asks. */
	if (ip->family == 4)
		inet_ntop(AF_INET, ip->b, buf, LM_IP_STRLEN);
	else if (ip->family == 6)
		inet_ntop(AF_INET6, ip->b, buf, LM_IP_STRLEN);
	else
		snprintf(buf, LM_IP_STRLEN, "none");
	return buf;
}

/* Decimal digits only, no leading zero but in "0" itself, at most max. */
static int parse_number(const char *text, unsigned max, unsigned *out)
{
	unsigned v = 0;

	if (*text == '\0' || (text[0] == '0' && text[1] != '\0'))
		return -EINVAL;
	for (; *text != '\0'; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		v = v * 10 + (unsigned)(*text - '0');
		if (v > max)
			return -EINVAL;
	}
	*out = v;
	return 0;
}

/* Copies the address part [from, to) and parses it. */
static int parse_ip_part(const char *from, const char *to, struct lm_ip *out)
{
	char addr[LM_IP_STRLEN];
	size_t n = (size_t)(to - from);

	if (n >= sizeof(addr))
		return -EINVAL;
	memcpy(addr, from, n);
	addr[n] = '\0';
	return lm_ip_parse(addr, out);
}

int lm_endpoint_parse(const char *text, uint16_t default_port, struct lm_endpoint *out)
{
	const char *from = text, *to, *port = NULL;
	struct lm_endpoint ep = {.port = default_port};
	unsigned number;

	if (*text == '[') {
		from = text + 1;
		to = strchr(from, ']');
		if (to == NULL || (to[1] != '\0' && to[1] != ':') ||
		    memchr(from, ':', (size_t)(to - from)) == NULL)
			return -EINVAL;
		if (to[1] == ':')
			port = to + 2;
	} else {
		to = strchr(text, ':');
		if (to != NULL && strchr(to + 1, ':') == NULL)
			port = to + 1; /* one colon: IPv4 and port */
		else
			to = text + strlen(text);
	}
	if (parse_ip_part(from, to, &ep.ip) != 0)
		return -EINVAL;
	if (port != NULL) {
		if (parse_number(port, UINT16_MAX, &number) != 0)
			return -EINVAL;
		ep.port = (uint16_t)number;
	}
	if (ep.port == 0)
		return -EINVAL;
	*out = ep;
	return 0;
}

const char *lm_endpoint_format(const struct lm_endpoint *ep, char buf[LM_ENDPOINT_STRLEN])
{
	char ip[LM_IP_STRLEN];

	lm_ip_format(&ep->ip, ip);
	snprintf(buf, LM_ENDPOINT_STRLEN, ep->ip.family == 6 ? "[%s]:%u" : "%s:%u", ip, ep->port);
	return buf;
}

int lm_prefix_parse(const char *text, struct lm_prefix *out)
{
	const char *slash = strchr(text, '/');
	const char *end = slash != NULL ? slash : text + strlen(text);
	struct lm_prefix p = {0};
	unsigned len;

	if (parse_ip_part(text, end, &p.ip) != 0)
		return -EINVAL;
	/* A v4-mapped text became IPv4: which length would "/104" or "/8" mean? */
	if (p.ip.family == 4 && memchr(text, ':', (size_t)(end - text)) != NULL)
		return -EINVAL;
	len = lm_ip_bits(&p.ip);
	if (slash != NULL && parse_number(slash + 1, len, &len) != 0)
		return -EINVAL;
	p.len = (uint8_t)len;
	if (!lm_prefix_valid(&p))
		return -EINVAL;
	*out = p;
	return 0;
}

const char *lm_prefix_format(const struct lm_prefix *p, char buf[LM_PREFIX_STRLEN])
{
	char ip[LM_IP_STRLEN];

	snprintf(buf, LM_PREFIX_STRLEN, "%s/%u", lm_ip_format(&p->ip, ip), p->len);
	return buf;
}

int lm_mac_parse(const char *text, struct lm_mac *out)
{
	struct lm_mac mac;

	if (strlen(text) != LM_MAC_STRLEN - 1)
		return -EINVAL;
	for (unsigned i = 0; i < 6; i++) {
		const char pair[3] = {text[3 * i], text[3 * i + 1], '\0'};

		if (lm_unhex(pair, &mac.b[i], 1) != 0 || (i < 5 && text[3 * i + 2] != ':'))
			return -EINVAL;
	}
	*out = mac;
	return 0;
}

const char *lm_mac_format(const struct lm_mac *mac, char buf[LM_MAC_STRLEN])
{
	snprintf(buf, LM_MAC_STRLEN, "%02x:%02x:%02x:%02x:%02x:%02x", mac->b[0], mac->b[1],
		 mac->b[2], mac->b[3], mac->b[4], mac->b[5]);
	return buf;
}
