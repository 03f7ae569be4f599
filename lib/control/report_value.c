/* SPDX-License-Identifier: BSD-3-Clause */
/* Values of answers, as JSON. */
#include "report.h"

#include <sodium.h>

json_t *lm_json_hex(const void *data, size_t n)
{
	char text[2 * 64 + 1];

	return json_string(lm_hex(data, n, text));
}

json_t *lm_json_spi(uint32_t spi)
{
	return json_sprintf("0x%08x", spi);
}

json_t *lm_json_ip(const struct lm_ip *ip)
{
	char text[LM_IP_STRLEN];

	return json_string(lm_ip_format(ip, text));
}

json_t *lm_json_prefix(const struct lm_prefix *p)
{
	char text[LM_PREFIX_STRLEN];

	return json_string(lm_prefix_format(p, text));
}

json_t *lm_json_endpoint(const struct lm_endpoint *ep)
{
	char text[LM_ENDPOINT_STRLEN];

	return json_string(lm_endpoint_format(ep, text));
}

/* Seconds since then, null when it never was. */
json_t *lm_json_ago(lm_time now, lm_time then)
{
	if (then == 0)
		return json_null();
	/* A worker may have seen something after `now` was taken. */
	return json_real(then < now ? (double)(now - then) / (double)LM_SEC : 0.0);
}

const char *lm_port_name(const struct lm_control *c, uint16_t port)
{
	return port < c->cfg->n_ports ? c->cfg->ports[port].name : c->overlay.name;
}
