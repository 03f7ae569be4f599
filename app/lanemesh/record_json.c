/* SPDX-License-Identifier: BSD-3-Clause */
#include "record_json.h"

#define DAY 86400

const struct cli_role cli_roles[] = {{"relay", LM_ROLE_RELAY}, {NULL, 0}};

static void put_key(json_t *o, const char *name, const uint8_t key[LM_KEY_LEN])
{
	char hex[2 * LM_KEY_LEN + 1];

	json_object_set_new(o, name, json_string(lm_hex(key, LM_KEY_LEN, hex)));
}

static void put_time(json_t *o, const char *name, int64_t t)
{
	char text[CLI_TIME_STRLEN];

	json_object_set_new(o, name, json_string(cli_time_text(t, text)));
}

/* As text: it has up to 63 bits, and many readers of JSON keep only 53. */
static json_t *serial(uint64_t n)
{
	return json_sprintf("%llu", (unsigned long long)n);
}

static void put_prefixes(json_t *o, const struct lm_prefix *p, unsigned n)
{
	json_t *list = json_array();
	char text[LM_PREFIX_STRLEN];

	for (unsigned i = 0; i < n; i++)
		json_array_append_new(list, json_string(lm_prefix_format(&p[i], text)));
	json_object_set_new(o, "prefixes", list);
}

static void put_roles(json_t *o, uint32_t roles)
{
	json_t *list = json_array();

	for (const struct cli_role *r = cli_roles; r->name != NULL; r++) {
		if ((roles & r->bit) != 0)
			json_array_append_new(list, json_string(r->name));
		roles &= ~r->bit;
	}
	if (roles != 0)
		json_array_append_new(list, json_sprintf("unknown 0x%x", roles));
	json_object_set_new(o, "roles", list);
}

/* Peers grant LM_TRUST_GRACE on top; what is shown is what the certificate says. */
static void put_validity(json_t *o, const struct lm_cert *c, int64_t now)
{
	const char *state = now < c->not_before	  ? "not yet valid"
			    : now >= c->not_after ? "expired"
						  : "ok";

	put_time(o, "not_before", c->not_before);
	put_time(o, "not_after", c->not_after);
	json_object_set_new(o, "validity", json_string(state));
	if (now >= c->not_before && now < c->not_after)
		json_object_set_new(o, "days_left", json_integer((c->not_after - now) / DAY));
}

json_t *cli_cert_json(const struct lm_cert *c, int64_t now)
{
	json_t *o = json_object(), *overlays = json_array(), *segments = json_array(),
	       *tags = json_array();
	char text[LM_IP_STRLEN];

	json_object_set_new(o, "kind", json_string("certificate"));
	json_object_set_new(o, "name", json_string(c->name));
	json_object_set_new(o, "mesh", json_string(c->mesh));
	put_key(o, "node", c->node);
	put_key(o, "issuer", c->issuer);
	json_object_set_new(o, "serial", serial(c->serial));
	put_validity(o, c, now);
	for (unsigned i = 0; i < c->n_overlays; i++)
		json_array_append_new(overlays, json_string(lm_ip_format(&c->overlays[i], text)));
	json_object_set_new(o, "overlays", overlays);
	put_prefixes(o, c->prefixes, c->n_prefixes);
	for (unsigned i = 0; i < c->n_segments; i++)
		json_array_append_new(segments, json_sprintf("%u", c->segments[i]));
	json_object_set_new(o, "segments", segments);
	put_roles(o, c->roles);
	for (unsigned i = 0; i < c->n_tags; i++)
		json_array_append_new(tags, json_string(c->tags[i]));
	json_object_set_new(o, "tags", tags);
	return o;
}

static const char *endpoint_kind(uint8_t kind)
{
	static const char *const names[] = {
	    [LM_EP_HOST] = "host", [LM_EP_PUBLIC] = "public", [LM_EP_REFLEXIVE] = "reflexive"};

	return kind < LM_ARRAY_SIZE(names) && names[kind] != NULL ? names[kind] : "unknown";
}

json_t *cli_announcement_json(const struct lm_announcement *a)
{
	json_t *o = json_object(), *endpoints = json_array();
	char text[LM_ENDPOINT_STRLEN];

	json_object_set_new(o, "kind", json_string("announcement"));
	json_object_set_new(o, "mesh", json_string(a->mesh));
	put_key(o, "node", a->node);
	json_object_set_new(o, "sequence", serial(a->sequence));
	json_object_set_new(o, "lanes", json_integer(a->lanes));
	for (unsigned i = 0; i < a->n_endpoints; i++)
		json_array_append_new(endpoints,
				      json_sprintf("%s %s", endpoint_kind(a->endpoints[i].kind),
						   lm_endpoint_format(&a->endpoints[i].ep, text)));
	json_object_set_new(o, "endpoints", endpoints);
	put_prefixes(o, a->prefixes, a->n_prefixes);
	return o;
}

json_t *cli_revocation_json(const struct lm_revocation *r, int64_t now)
{
	json_t *o = json_object(), *nodes = json_array(), *serials = json_array();
	struct lm_reader items = lm_reader(r->serials, (size_t)r->n_serials * 8);
	char hex[2 * LM_KEY_LEN + 1];

	json_object_set_new(o, "kind", json_string("revocation list"));
	json_object_set_new(o, "mesh", json_string(r->mesh));
	put_key(o, "issuer", r->issuer);
	json_object_set_new(o, "number", serial(r->number));
	put_time(o, "issued", r->issued);
	put_time(o, "next_update", r->next_update);
	json_object_set_new(o, "validity",
			    json_string(now < r->issued		? "issued in the future"
					: now >= r->next_update ? "update is overdue"
								: "ok"));
	for (uint32_t i = 0; i < r->n_nodes; i++)
		json_array_append_new(
		    nodes, json_string(lm_hex(r->nodes + i * LM_KEY_LEN, LM_KEY_LEN, hex)));
	json_object_set_new(o, "revoked_nodes", nodes);
	for (uint32_t i = 0; i < r->n_serials; i++)
		json_array_append_new(serials, serial(lm_r_u64(&items)));
	json_object_set_new(o, "revoked_serials", serials);
	return o;
}
