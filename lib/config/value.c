/* SPDX-License-Identifier: BSD-3-Clause */
/* Single values: from libconfig's untyped settings to checked fields. */
#include "option.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

typedef int (*read_fn)(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		       void *dst);

static const char *type_of(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_INT:
	case CONFIG_TYPE_INT64:
		return "an integer";
	case CONFIG_TYPE_FLOAT:
		return "a fraction";
	case CONFIG_TYPE_STRING:
		return "a text";
	case CONFIG_TYPE_BOOL:
		return "true or false";
	case CONFIG_TYPE_GROUP:
		return "a group";
	default:
		return "a list";
	}
}

static const char *text_of(struct lm_cfg *c, const config_setting_t *s, const char *example)
{
	if (config_setting_type(s) == CONFIG_TYPE_STRING)
		return config_setting_get_string(s);
	lm_cfg_error(c, s, "is %s; write a text in quotes, such as \"%s\"", type_of(s), example);
	return NULL;
}

static int read_int(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		    void *dst)
{
	uint32_t v;
	int i;

	if (config_setting_type(s) != CONFIG_TYPE_INT)
		return lm_cfg_error(c, s, "is %s; write an integer from %u to %u", type_of(s),
				    row->min, row->max);
	i = config_setting_get_int(s);
	if (i < 0 || (uint32_t)i < row->min || (uint32_t)i > row->max)
		return lm_cfg_error(c, s, "%d is out of range; write an integer from %u to %u", i,
				    row->min, row->max);
	v = (uint32_t)i;
	if (row->size == sizeof(uint8_t))
		*(uint8_t *)dst = (uint8_t)v;
	else if (row->size == sizeof(uint16_t))
		*(uint16_t *)dst = (uint16_t)v;
	else
		*(uint32_t *)dst = v;
	return 0;
}

static int read_bool(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		     void *dst)
{
	(void)row;
	if (config_setting_type(s) != CONFIG_TYPE_BOOL)
		return lm_cfg_error(c, s, "is %s; write true or false, without quotes", type_of(s));
	*(bool *)dst = config_setting_get_bool(s) != 0;
	return 0;
}

/* Index of the setting's text in the row's words, or -EINVAL. */
static int find_word(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row)
{
	const char *text = text_of(c, s, row->words[0]);

	if (text == NULL)
		return -EINVAL;
	for (int i = 0; row->words[i] != NULL; i++)
		if (strcmp(text, row->words[i]) == 0)
			return i;
	return lm_cfg_error(c, s, "\"%.40s\" is not known; write one of %s", text, row->pub.range);
}

static int read_word(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		     void *dst)
{
	int i = find_word(c, s, row);

	if (i < 0)
		return i;
	/* Every enum of words has the values 0, 1, ... in the words' order. */
	*(unsigned *)dst = (unsigned)i;
	return 0;
}

static int read_backend(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
			void *dst)
{
	int i = find_word(c, s, row);

	if (i > 0)
		snprintf(dst, row->size, "%s", row->words[i]);
	return i < 0 ? i : 0;
}

static int read_name(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		     void *dst)
{
	const char *text = text_of(c, s, "corp");

	if (text == NULL)
		return -EINVAL;
	if (!lm_name_valid(text, row->size - 1))
		return lm_cfg_error(
		    c, s, "\"%.40s\" is no name; write 1 to %zu of the characters a-z 0-9 . _ -",
		    text, row->size - 1);
	snprintf(dst, row->size, "%s", text);
	return 0;
}

/* Copies text with every %i replaced by the instance; false when it does not fit. */
static bool expand(const char *text, const char *instance, char *dst, size_t size)
{
	size_t n = 0, len;

	for (; *text != '\0'; text++) {
		const char *from = text;

		len = 1;
		if (text[0] == '%' && text[1] == 'i') {
			from = instance;
			len = strlen(instance);
			text++;
		}
		if (n + len >= size)
			return false;
		memcpy(dst + n, from, len);
		n += len;
	}
	dst[n] = '\0';
	return true;
}

static int read_path(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		     void *dst)
{
	const char *text = text_of(c, s, "/etc/lanemesh/file");

	if (text == NULL)
		return -EINVAL;
	if (text[0] != '/')
		return lm_cfg_error(
		    c, s, "\"%.80s\" is not absolute; write a path that begins with /", text);
	if (!expand(text, c->instance, dst, row->size))
		return lm_cfg_error(c, s, "path is too long; at most %zu bytes are possible",
				    row->size - 1);
	return 0;
}

static int read_ifname(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		       void *dst)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789_.-";
	const char *text = text_of(c, s, "wan0");
	size_t len;

	if (text == NULL)
		return -EINVAL;
	len = strlen(text);
	if (len == 0 || len >= row->size || strspn(text, allowed) != len ||
	    strspn(text, ".") == len)
		return lm_cfg_error(
		    c, s,
		    "\"%.40s\" is no interface name; write 1 to %zu of the characters "
		    "A-Z a-z 0-9 _ . -",
		    text, row->size - 1);
	memcpy(dst, text, len + 1);
	return 0;
}

static int read_device(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		       void *dst)
{
	const char *text = text_of(c, s, "0000:03:00.0");
	size_t len;

	if (text == NULL)
		return -EINVAL;
	len = strlen(text);
	if (len == 0 || len >= row->size)
		return lm_cfg_error(c, s, "has %zu bytes; write 1 to %zu", len, row->size - 1);
	/* EAL would take a text with a leading dash for an option. */
	for (size_t i = 0; i < len; i++)
		if (text[i] <= ' ' || text[i] > '~' || text[0] == '-' || text[0] == ',')
			return lm_cfg_error(
			    c, s,
			    "is no device; write a PCI address such as \"0000:03:00.0\" "
			    "or a virtual device such as "
			    "\"net_af_packet0,iface=eth1\", without blanks");
	memcpy(dst, text, len + 1);
	return 0;
}

static int read_key(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		    void *dst)
{
	static const uint8_t zero[LM_KEY_LEN];
	const char *text = text_of(c, s, "64 hex digits");

	(void)row;
	if (text == NULL)
		return -EINVAL;
	if (lm_unhex(text, dst, LM_KEY_LEN) != 0 || memcmp(dst, zero, LM_KEY_LEN) == 0)
		return lm_cfg_error(
		    c, s,
		    "\"%.70s\" is no key; write the 64 hex digits that lanemesh inspect "
		    "shows for the public key",
		    text);
	return 0;
}

static int read_endpoint(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
			 void *dst)
{
	const char *text = text_of(c, s, "192.0.2.1:4600");
	const char *what = row->port != 0 ? "address or address:port" : "address:port";

	if (text == NULL)
		return -EINVAL;
	if (lm_endpoint_parse(text, row->port, dst) != 0)
		return lm_cfg_error(c, s,
				    "\"%.60s\" is no %s; write it in numbers, such as "
				    "\"192.0.2.1:%u\" or \"[2001:db8::1]:%u\"",
				    text, what, row->port ? row->port : 9469u,
				    row->port ? row->port : 9469u);
	return 0;
}

/* RFC 1123 section 2.1. A name whose last label is a number is an address with a mistake. */
static bool host_name(const char *text, size_t len)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789-";
	bool number = false;

	if (len == 0 || len >= LM_CONFIG_HOST_MAX)
		return false;
	for (size_t at = 0; at < len;) {
		size_t n = strspn(text + at, allowed);

		if (n == 0 || n > 63 || text[at] == '-' || text[at + n - 1] == '-')
			return false;
		number = strspn(text + at, "0123456789") == n;
		at += n;
		if (at < len && (text[at] != '.' || ++at == len))
			return false;
	}
	return !number;
}

static bool parse_port(const char *text, uint16_t *out)
{
	size_t digits = strspn(text, "0123456789");
	unsigned long v = strtoul(text, NULL, 10);

	*out = (uint16_t)v;
	return digits > 0 && digits <= 5 && text[digits] == '\0' && v > 0 && v <= 65535;
}

static bool parse_host(const char *text, uint16_t port, struct lm_config_host *out)
{
	const char *colon = strrchr(text, ':');
	size_t len = colon != NULL ? (size_t)(colon - text) : strlen(text);
	struct lm_endpoint ep;

	if (lm_endpoint_parse(text, port, &ep) == 0) {
		(void)lm_ip_format(&ep.ip, out->name);
		out->port = ep.port;
		return true;
	}
	out->port = port;
	if (!host_name(text, len) || (colon != NULL && !parse_port(colon + 1, &out->port)))
		return false;
	memcpy(out->name, text, len);
	return true;
}

static int read_host(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		     void *dst)
{
	const char *text = text_of(c, s, "stun.example.org");

	if (text == NULL)
		return -EINVAL;
	if (!parse_host(text, row->port, dst))
		return lm_cfg_error(c, s,
				    "\"%.60s\" is no host or host:port; write such as "
				    "\"stun.example.org\", \"192.0.2.1:%u\" or "
				    "\"[2001:db8::1]:%u\"",
				    text, row->port, row->port);
	return 0;
}

static int read_ip(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row, void *dst)
{
	const char *text = text_of(c, s, "192.0.2.1");

	(void)row;
	if (text == NULL)
		return -EINVAL;
	if (lm_ip_parse(text, dst) != 0)
		return lm_cfg_error(c, s,
				    "\"%.60s\" is no address; write it in numbers, such as "
				    "\"192.0.2.1\" or \"2001:db8::1\"",
				    text);
	return 0;
}

/* "addr/len" with any host bits. */
static bool parse_ifaddr(const char *text, struct lm_ifaddr *out)
{
	char addr[LM_IP_STRLEN];
	const char *slash = strchr(text, '/');
	size_t digits;

	if (slash == NULL || (size_t)(slash - text) >= sizeof(addr))
		return false;
	memcpy(addr, text, (size_t)(slash - text));
	addr[slash - text] = '\0';
	digits = strspn(slash + 1, "0123456789");
	if (digits == 0 || digits > 3 || slash[1 + digits] != '\0' ||
	    lm_ip_parse(addr, &out->ip) != 0 || strtoul(slash + 1, NULL, 10) > lm_ip_bits(&out->ip))
		return false;
	out->len = (uint8_t)strtoul(slash + 1, NULL, 10);
	return true;
}

static int read_ifaddr(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		       void *dst)
{
	const char *text = text_of(c, s, "192.0.2.1/24");

	(void)row;
	if (text == NULL)
		return -EINVAL;
	if (!parse_ifaddr(text, dst))
		return lm_cfg_error(c, s,
				    "\"%.60s\" is no address with length; write such as "
				    "\"192.0.2.1/24\" or \"2001:db8::1/64\"",
				    text);
	return 0;
}

static int read_prefix(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		       void *dst)
{
	const char *text = text_of(c, s, "10.1.0.0/24");
	char buf[LM_PREFIX_STRLEN];
	struct lm_prefix masked;
	struct lm_ifaddr host;

	(void)row;
	if (text == NULL)
		return -EINVAL;
	if (strchr(text, '/') != NULL && lm_prefix_parse(text, dst) == 0)
		return 0;
	if (!parse_ifaddr(text, &host))
		return lm_cfg_error(c, s,
				    "\"%.60s\" is no prefix; write such as \"10.1.0.0/24\" or "
				    "\"2001:db8:1::/64\"",
				    text);
	masked = lm_prefix_of(&host.ip, host.len);
	return lm_cfg_error(c, s, "\"%.60s\" has bits after its length; write \"%s\"", text,
			    lm_prefix_format(&masked, buf));
}

static int read_mac(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row,
		    void *dst)
{
	static const struct lm_mac none;
	const char *text = text_of(c, s, "02:00:00:00:00:01");
	struct lm_mac *mac = dst;

	(void)row;
	if (text == NULL)
		return -EINVAL;
	if (lm_mac_parse(text, mac) != 0 || (mac->b[0] & 1) != 0 ||
	    memcmp(mac, &none, sizeof(none)) == 0)
		return lm_cfg_error(c, s,
				    "\"%.40s\" is no unicast MAC address; write such as "
				    "\"02:00:00:00:00:01\"",
				    text);
	return 0;
}

static const read_fn readers[LM_V_COUNT] = {
    [LM_V_U8] = read_int,	 [LM_V_U16] = read_int,	      [LM_V_U32] = read_int,
    [LM_V_BOOL] = read_bool,	 [LM_V_WORD] = read_word,     [LM_V_BACKEND] = read_backend,
    [LM_V_NAME] = read_name,	 [LM_V_PATH] = read_path,     [LM_V_IFNAME] = read_ifname,
    [LM_V_DEVICE] = read_device, [LM_V_KEY] = read_key,	      [LM_V_ENDPOINT] = read_endpoint,
    [LM_V_HOST] = read_host,	 [LM_V_IFADDR] = read_ifaddr, [LM_V_IP] = read_ip,
    [LM_V_PREFIX] = read_prefix, [LM_V_MAC] = read_mac,
};

int lm_value_read(struct lm_cfg *c, const config_setting_t *s, const struct lm_row *row, void *dst)
{
	return readers[row->value](c, s, row, dst);
}

bool lm_value_equal(enum lm_value v, size_t size, const void *a, const void *b)
{
	switch (v) {
	case LM_V_ENDPOINT: /* the only value with padding */
		return lm_endpoint_equal(a, b);
	case LM_V_NAME:
	case LM_V_PATH:
	case LM_V_IFNAME:
	case LM_V_DEVICE:
	case LM_V_BACKEND:
		return strcmp(a, b) == 0;
	default:
		return memcmp(a, b, size) == 0;
	}
}
