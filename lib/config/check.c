/* SPDX-License-Identifier: BSD-3-Clause */
/* Rules between options, and about what an address may be in its place. */
#include "option.h"

#include <errno.h>
#include <stdio.h>
#include <strings.h>

/* The setting at a libconfig path, or the nearest one around it. */
static const config_setting_t *at(struct lm_cfg *c, const char *fmt, ...) LM_PRINTF(2, 3);
static const config_setting_t *at(struct lm_cfg *c, const char *fmt, ...)
{
	const config_setting_t *s;
	char path[128], *cut;
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(path, sizeof(path), fmt, ap);
	va_end(ap);
	while ((s = config_lookup(&c->tree, path)) == NULL && (cut = strrchr(path, '.')) != NULL)
		*cut = '\0';
	return s != NULL ? s : config_root_setting(&c->tree);
}

static bool ip_unspecified(const struct lm_ip *ip)
{
	static const uint8_t zero[16];

	return memcmp(ip->b, zero, sizeof(zero)) == 0;
}

static bool ip_multicast(const struct lm_ip *ip)
{
	return ip->family == 4 ? ip->b[0] >= 224 : ip->b[0] == 0xff;
}

static bool ip_link_local(const struct lm_ip *ip)
{
	return ip->family == 6 && ip->b[0] == 0xfe && (ip->b[1] & 0xc0) == 0x80;
}

static int check_authorities(struct lm_cfg *c, const uint8_t keys[][LM_KEY_LEN], unsigned n)
{
	for (unsigned i = 1; i < n; i++)
		for (unsigned j = 0; j < i; j++)
			if (memcmp(keys[i], keys[j], LM_KEY_LEN) == 0)
				return lm_cfg_error(c, at(c, "authorities.[%u]", i),
						    "is the same key as authorities[%u]; remove it",
						    j);
	return 0;
}

static int check_metrics(struct lm_cfg *c, bool has, const struct lm_endpoint *ep)
{
	if (has && ip_multicast(&ep->ip))
		return lm_cfg_error(c, at(c, "metrics"),
				    "is a multicast address; write one of this machine, such as "
				    "\"127.0.0.1:9469\"");
	return 0;
}

static int check_coordinators(struct lm_cfg *c, const struct lm_config *cfg)
{
	for (unsigned i = 0; i < cfg->n_coordinators; i++) {
		const struct lm_config_coordinator *a = &cfg->coordinators[i];

		if (ip_unspecified(&a->address.ip) || ip_multicast(&a->address.ip))
			return lm_cfg_error(c, at(c, "coordinators.[%u].address", i),
					    "is no address of a machine; write the coordinator's");
		for (unsigned j = 0; j < i; j++) {
			const struct lm_config_coordinator *b = &cfg->coordinators[j];

			if (lm_endpoint_equal(&a->address, &b->address))
				return lm_cfg_error(c, at(c, "coordinators.[%u].address", i),
						    "is the same as coordinators[%u].address; "
						    "remove one",
						    j);
		}
	}
	return 0;
}

static int check_stun_servers(struct lm_cfg *c, const struct lm_config *cfg)
{
	for (unsigned i = 0; i < cfg->n_stun_servers; i++) {
		const struct lm_config_host *a = &cfg->stun_servers[i];
		struct lm_ip ip;

		if (lm_ip_parse(a->name, &ip) == 0 && lm_ip_is_special(&ip))
			return lm_cfg_error(c, at(c, "stun_servers.[%u]", i),
					    "is no address of a machine elsewhere; write the "
					    "server's");
		for (unsigned j = 0; j < i; j++)
			if (a->port == cfg->stun_servers[j].port &&
			    strcasecmp(a->name, cfg->stun_servers[j].name) == 0)
				return lm_cfg_error(c, at(c, "stun_servers.[%u]", i),
						    "is the same as stun_servers[%u]; remove one",
						    j);
	}
	return 0;
}

static int check_prefixes(struct lm_cfg *c, const struct lm_config *cfg)
{
	for (unsigned i = 0; i < cfg->n_prefixes; i++) {
		if (!lm_prefix_valid(&cfg->prefixes[i]) || ip_multicast(&cfg->prefixes[i].ip))
			return lm_cfg_error(c, at(c, "prefixes.[%u]", i),
					    "cannot be routed; write a unicast prefix");
		for (unsigned j = 0; j < i; j++)
			if (lm_prefix_equal(&cfg->prefixes[i], &cfg->prefixes[j]))
				return lm_cfg_error(c, at(c, "prefixes.[%u]", i),
						    "is the same as prefixes[%u]; remove one", j);
	}
	return 0;
}

/* ----------------------------------------------------------------- ports -- */

static int check_address(struct lm_cfg *c, const struct lm_config *cfg, unsigned i, unsigned k)
{
	const struct lm_config_port *p = &cfg->ports[i];
	const struct lm_ifaddr *a = &p->addresses[k];
	const config_setting_t *s = at(c, "ports.[%u].addresses.[%u]", i, k);
	struct lm_prefix net = lm_prefix_of(&a->ip, a->len);

	if (a->len == 0 || (lm_ip_is_special(&a->ip) && !ip_link_local(&a->ip)))
		return lm_cfg_error(c, s,
				    "is no address that a port can have; write a unicast one");
	if (a->ip.family == 4 && a->len < 31 && lm_ip_equal(&net.ip, &a->ip))
		return lm_cfg_error(c, s, "is the network itself; write one of its addresses");
	if (a->ip.family == 6 && p->mtu < 1280)
		return lm_cfg_error(
		    c, at(c, "ports.[%u].mtu", i),
		    "%u is too small for the port's IPv6 address; write 1280 or more "
		    "(RFC 8200 section 5)",
		    p->mtu);
	for (unsigned j = 0; j <= i; j++)
		for (unsigned m = 0; m < (j == i ? k : cfg->ports[j].n_addresses); m++)
			if (lm_ip_equal(&cfg->ports[j].addresses[m].ip, &a->ip))
				return lm_cfg_error(
				    c, s, "is also in ports[%u].addresses; remove one", j);
	return 0;
}

/* A gateway must be a neighbour, else nothing ever reaches it. */
static int check_gateways(struct lm_cfg *c, const struct lm_config_port *p, unsigned i)
{
	for (unsigned k = 0; k < p->n_gateways; k++) {
		const struct lm_ip *gw = &p->gateways[k];
		const config_setting_t *s = at(c, "ports.[%u].gateways.[%u]", i, k);
		bool near = p->n_addresses == 0 || ip_link_local(gw);

		if (lm_ip_is_special(gw) && !ip_link_local(gw))
			return lm_cfg_error(c, s, "is no address of a router; write a unicast one");
		if (k > 0 && p->gateways[0].family == gw->family)
			return lm_cfg_error(c, s,
					    "is the second gateway of its IP version; "
					    "write one IPv4 and one IPv6 gateway at most");
		for (unsigned m = 0; m < p->n_addresses; m++) {
			struct lm_prefix net =
			    lm_prefix_of(&p->addresses[m].ip, p->addresses[m].len);

			if (lm_ip_equal(&p->addresses[m].ip, gw))
				return lm_cfg_error(c, s,
						    "is the port's own address; write the "
						    "router's");
			near |= lm_prefix_contains(&net, gw);
		}
		if (!near)
			return lm_cfg_error(
			    c, s,
			    "is in no network of ports[%u].addresses; write a router "
			    "on the same link, or correct the addresses",
			    i);
	}
	return 0;
}

static int check_endpoints(struct lm_cfg *c, const struct lm_config_port *p, unsigned i)
{
	for (unsigned k = 0; k < p->n_public_endpoints; k++)
		if (lm_ip_is_special(&p->public_endpoints[k].ip))
			return lm_cfg_error(c, at(c, "ports.[%u].public_endpoints.[%u]", i, k),
					    "cannot be reached by others; write a unicast address");
	return 0;
}

static int check_role(struct lm_cfg *c, struct lm_config_port *p, unsigned i)
{
	static const char *const wan_only[] = {"gateways", "udp_port", "public_endpoints",
					       "accept_tcp", "accept_udp"};
	const config_setting_t *s = at(c, "ports.[%u]", i), *m;

	if (p->role == LM_PORT_ROLE_WAN)
		return 0;
	for (unsigned k = 0; k < LM_ARRAY_SIZE(wan_only); k++) {
		m = config_setting_get_member(s, wan_only[k]);
		if (m != NULL)
			return lm_cfg_error(c, m,
					    "is for ports with role = \"wan\" only; remove it");
	}
	p->udp_port = 0;
	return 0;
}

/* Is the device the same up to its arguments? */
static bool same_device(const char *a, const char *b)
{
	size_t n = strcspn(a, ",");

	return n == strcspn(b, ",") && memcmp(a, b, n) == 0;
}

static int check_unique(struct lm_cfg *c, const struct lm_config *cfg, unsigned i)
{
	const struct lm_config_port *p = &cfg->ports[i];

	if (strcmp(p->name, cfg->overlay_interface) == 0)
		return lm_cfg_error(c, at(c, "ports.[%u].name", i),
				    "is the name of overlay_interface; choose another");
	for (unsigned j = 0; j < i; j++) {
		const struct lm_config_port *o = &cfg->ports[j];

		if (strcmp(p->name, o->name) == 0)
			return lm_cfg_error(c, at(c, "ports.[%u].name", i),
					    "\"%s\" is also the name of ports[%u]; choose another",
					    p->name, j);
		if (same_device(p->device, o->device))
			return lm_cfg_error(c, at(c, "ports.[%u].device", i),
					    "is also the device of ports[%u]; choose another", j);
	}
	return 0;
}

static int check_ports(struct lm_cfg *c, struct lm_config *cfg)
{
	unsigned n[2] = {0, 0};
	int rc = 0;

	for (unsigned i = 0; i < cfg->n_ports && rc == 0; i++) {
		struct lm_config_port *p = &cfg->ports[i];

		n[p->role]++;
		rc = check_role(c, p, i);
		if (rc == 0)
			rc = check_unique(c, cfg, i);
		for (unsigned k = 0; k < p->n_addresses && rc == 0; k++)
			rc = check_address(c, cfg, i, k);
		if (rc == 0)
			rc = check_gateways(c, p, i);
		if (rc == 0)
			rc = check_endpoints(c, p, i);
	}
	if (rc == 0 && (n[LM_PORT_ROLE_LAN] == 0 || n[LM_PORT_ROLE_WAN] == 0))
		return lm_cfg_error(c, at(c, "ports"),
				    "no port has role = \"%s\"; a node needs at least one of each",
				    n[LM_PORT_ROLE_LAN] == 0 ? "lan" : "wan");
	return rc;
}

/* ------------------------------------------------------------------ whole -- */

/* A buffer with its headers and the allocator's share, rounded up. */
#define MBUF_BYTES 2560u
/* Tables, rings and DPDK itself beside the buffers. */
#define OTHER_MB 64u

static int check_resources(struct lm_cfg *c, const struct lm_config *cfg)
{
	uint64_t need = (uint64_t)cfg->memory.mbufs * MBUF_BYTES / (1024 * 1024) + OTHER_MB;

	if (need > cfg->memory.size_mb)
		return lm_cfg_error(
		    c, at(c, "memory.size_mb"),
		    "%u MiB cannot hold %u buffers; write %u or more, or fewer mbufs",
		    cfg->memory.size_mb, cfg->memory.mbufs, (unsigned)need);
	if (cfg->workers.n_cpus != 0 && cfg->workers.n_cpus != cfg->workers.count)
		return lm_cfg_error(c, at(c, "workers.cpus"),
				    "has %u entries for %u workers; write one for each worker",
				    cfg->workers.n_cpus, cfg->workers.count);
	return 0;
}

int lm_check_node(struct lm_cfg *c, struct lm_config *cfg)
{
	int rc = check_authorities(c, cfg->authorities, cfg->n_authorities);

	if (rc == 0)
		rc = check_coordinators(c, cfg);
	if (rc == 0)
		rc = check_stun_servers(c, cfg);
	if (rc == 0)
		rc = check_prefixes(c, cfg);
	if (rc == 0)
		rc = check_ports(c, cfg);
	if (rc == 0)
		rc = check_resources(c, cfg);
	if (rc == 0)
		rc = check_metrics(c, cfg->has_metrics, &cfg->metrics);
	return rc;
}

static int check_listen(struct lm_cfg *c, const char *option, const struct lm_endpoint *list,
			unsigned n)
{
	for (unsigned i = 0; i < n; i++) {
		if (ip_multicast(&list[i].ip))
			return lm_cfg_error(c, at(c, "%s.[%u]", option, i),
					    "is a multicast address; write one of this machine");
		for (unsigned j = 0; j < i; j++)
			if (lm_endpoint_equal(&list[i], &list[j]))
				return lm_cfg_error(c, at(c, "%s.[%u]", option, i),
						    "is the same as %s[%u]; remove one", option, j);
	}
	return 0;
}

int lm_check_coord(struct lm_cfg *c, struct lm_coord_config *cfg)
{
	int rc = check_authorities(c, cfg->authorities, cfg->n_authorities);

	if (rc == 0)
		rc = check_listen(c, "listen", cfg->listen, cfg->n_listen);
	if (rc == 0)
		rc = check_listen(c, "stun_listen", cfg->stun_listen, cfg->n_stun_listen);
	for (unsigned i = 0; i < cfg->n_stun_listen && rc == 0; i++)
		for (unsigned j = 0; j < cfg->n_listen && rc == 0; j++)
			if (lm_endpoint_equal(&cfg->stun_listen[i], &cfg->listen[j]))
				rc = lm_cfg_error(c, at(c, "stun_listen.[%u]", i),
						  "is the same as listen[%u], which answers STUN "
						  "too; remove it",
						  j);
	if (rc == 0)
		rc = check_metrics(c, cfg->has_metrics, &cfg->metrics);
	return rc;
}
