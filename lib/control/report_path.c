/* SPDX-License-Identifier: BSD-3-Clause */
/* How the network around this gateway looks, as JSON: netcheck. */
#include "report.h"

#define SOON (30 * LM_SEC)

struct netcheck {
	struct lm_control *c;
	json_t *servers;
	bool answered, asking;
};

static void add_server(void *user, const struct lm_stun_info *s)
{
	struct netcheck *n = user;
	const char *state = s->answered	 ? "answered"
			    : s->refused ? "refused"
			    : s->asking	 ? "asked"
					 : "no answer";
	json_t *o = json_object();

	n->answered |= s->answered;
	n->asking |= s->asking;
	json_object_set_new(o, "port", json_string(lm_port_name(n->c, s->port)));
	json_object_set_new(o, "server", lm_json_endpoint(&s->server));
	json_object_set_new(o, "state", json_string(state));
	json_object_set_new(o, "rtt_us",
			    s->answered ? json_real((double)s->rtt / 1000) : json_null());
	json_object_set_new(o, "sees", s->answered ? lm_json_endpoint(&s->mapped) : json_null());
	json_array_append_new(n->servers, o);
}

/* One line for each WAN port and IP version that it has an address of. */
static json_t *ports(struct lm_control *c)
{
	json_t *list = json_array();

	for (uint16_t port = 0; port < c->cfg->n_ports; port++)
		for (uint8_t family = 4; family <= 6; family += 2) {
			struct lm_ip own;
			struct lm_endpoint outside;
			enum lm_nat nat = lm_mesh_nat(c->mesh, port, family);
			json_t *o;

			if (c->cfg->ports[port].role != LM_PORT_ROLE_WAN ||
			    !lm_control_wan_address(c, port, family, &own))
				continue;
			o = json_object();
			json_object_set_new(o, "port", json_string(c->cfg->ports[port].name));
			json_object_set_new(o, "family", json_integer(family));
			json_object_set_new(o, "address", lm_json_ip(&own));
			json_object_set_new(o, "udp", json_boolean(nat != LM_NAT_UNKNOWN));
			json_object_set_new(o, "mapping", json_string(lm_nat_name(nat)));
			json_object_set_new(o, "outside",
					    lm_mesh_reflexive(c->mesh, port, family, &outside)
						? lm_json_endpoint(&outside)
						: json_null());
			json_array_append_new(list, o);
		}
	return list;
}

/* Members that may relay: their certificates say so. */
static json_t *relays(struct lm_control *c)
{
	json_t *list = json_array();
	struct lm_peer_info p;

	for (uint32_t i = 0; lm_mesh_peer(c->mesh, i, &p); i = p.index + 1) {
		json_t *o;

		if ((p.cert->roles & LM_ROLE_RELAY) == 0)
			continue;
		o = json_object();
		json_object_set_new(o, "name", json_string(p.cert->name));
		json_object_set_new(o, "state", json_string(lm_peer_state_name(p.state)));
		json_object_set_new(o, "rtt_us",
				    p.rtt != 0 ? json_real((double)p.rtt / 1000) : json_null());
		json_array_append_new(list, o);
	}
	return list;
}

/* Has a peer been heard lately? UDP works then, whatever STUN servers say. */
static bool peer_heard(struct lm_control *c)
{
	lm_time now = lm_control_now(c).mono;
	struct lm_peer_info p;

	for (uint32_t i = 0; lm_mesh_peer(c->mesh, i, &p); i = p.index + 1)
		if (p.state == LM_PEER_UP && p.last_rx + SOON > now)
			return true;
	return false;
}

json_t *lm_report_netcheck(struct lm_control *c)
{
	struct netcheck n = {.c = c, .servers = json_array()};
	json_t *o = json_object();

	lm_mesh_stun(c->mesh, add_server, &n);
	json_object_set_new(o, "udp", json_boolean(n.answered || peer_heard(c)));
	json_object_set_new(o, "asking", json_boolean(n.asking));
	json_object_set_new(o, "ports", ports(c));
	json_object_set_new(o, "servers", n.servers);
	json_object_set_new(o, "relays", relays(c));
	return o;
}
