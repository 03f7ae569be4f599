/* SPDX-License-Identifier: BSD-3-Clause */
/* Why traffic to a site takes the path that it takes, in plain words. */
#include "report.h"

#include <errno.h>
#include <jansson.h>
#include <stdio.h>

struct why {
	struct lm_control *c;
	lm_time now;
	struct lm_peer_info p;
	char name[2 * LM_KEY_LEN + 1]; /* or the node key */
	json_t *paths, *there, *words;
	unsigned direct, direct_alive; /* paths of the table */
	bool has_active, relay_alive;
	struct lm_path_info active;
	bool announces_reflexive, symmetric; /* the other side's NAT */
	unsigned tried;			     /* addresses, before there was a session */
};

static void say(struct why *y, json_t *sentence)
{
	json_array_append_new(y->words, sentence);
}

/* ---------------------------------------------------------- candidates -- */

static json_t *candidate_json(const char *kind, const struct lm_endpoint *ep)
{
	json_t *o = json_object();

	json_object_set_new(o, "kind", json_string(kind));
	json_object_set_new(o, "endpoint", lm_json_endpoint(ep));
	return o;
}

static void add_candidate(void *user, const struct lm_candidate_info *c)
{
	struct why *y = user;
	json_t *o = candidate_json(lm_path_kind_name(c->kind), &c->ep);

	/* What was tried before the last session says nothing of now. */
	y->tried += c->sent > y->p.last_handshake;
	y->announces_reflexive |= c->kind == LM_PATH_REFLEXIVE;
	json_object_set_new(o, "tried_s", lm_json_ago(y->now, c->sent));
	json_object_set_new(o, "answered", json_boolean(c->answered));
	json_array_append_new(y->there, o);
}

/* What the other side has of us to try. */
static json_t *own_candidates(struct lm_control *c)
{
	static const char *const kinds[] = {
	    [LM_EP_HOST] = "host", [LM_EP_PUBLIC] = "public", [LM_EP_REFLEXIVE] = "reflexive"};
	json_t *list = json_array();
	struct lm_announcement a;
	const uint8_t *data;
	size_t len, body_len;

	data = lm_mesh_own_announcement(c->mesh, &len);
	if (data == NULL || lm_announcement_decode(data, len, &a, &body_len) != 0)
		return list;
	for (unsigned i = 0; i < a.n_endpoints; i++)
		json_array_append_new(
		    list, candidate_json(kinds[a.endpoints[i].kind], &a.endpoints[i].ep));
	return list;
}

/* --------------------------------------------------------------- paths -- */

/* The relay that a path goes through: the member with that endpoint. */
static json_t *relay_name(struct lm_control *c, const struct lm_path *path)
{
	struct lm_peer_info p;

	if (path->relay == 0)
		return json_null();
	for (uint32_t i = 0; lm_mesh_peer(c->mesh, i, &p); i = p.index + 1)
		if (p.state == LM_PEER_UP && p.path.relay == 0 &&
		    lm_endpoint_equal(&p.path.remote, &path->remote))
			return json_string(p.cert->name);
	return json_string("?");
}

static json_t *result(const struct lm_path_info *r, lm_time now)
{
	double since = (double)(now - r->last_answer) / (double)LM_SEC;

	switch (r->state) {
	case LM_PATH_ALIVE:
		return json_string(r->active ? "in use" : "works, is not better");
	case LM_PATH_UNTRIED:
		return json_string("not asked yet");
	case LM_PATH_PROBING:
		return r->answers > 0 ? json_sprintf("asked again, answered %.1f s ago", since)
				      : json_sprintf("%u probes, no answer", r->probes);
	case LM_PATH_DEAD:
		return r->answers > 0 ? json_sprintf("stopped answering %.1f s ago", since)
				      : json_sprintf("%u probes, never an answer", r->probes);
	}
	return json_null();
}

static json_t *us(lm_time t)
{
	return t != 0 ? json_real((double)t / 1000) : json_null();
}

static void add_path(void *user, const struct lm_path_info *r)
{
	struct why *y = user;
	json_t *o = candidate_json(lm_path_kind_name(r->kind), &r->path.remote);
	bool relayed = r->path.relay != 0, alive = r->state == LM_PATH_ALIVE;

	y->direct += !relayed;
	y->direct_alive += !relayed && alive;
	y->relay_alive |= relayed && alive;
	/* Where it was never announced to be: its NAT gave our packets a port of their own. */
	y->symmetric |= r->kind == LM_PATH_SEEN && alive;
	if (r->active) {
		y->has_active = true;
		y->active = *r;
	}
	json_object_set_new(o, "port", json_string(lm_port_name(y->c, r->path.port)));
	json_object_set_new(o, "relay", relay_name(y->c, &r->path));
	json_object_set_new(o, "state", json_string(lm_path_state_name(r->state)));
	json_object_set_new(o, "active", json_boolean(r->active));
	json_object_set_new(o, "rtt_us", us(r->rtt));
	json_object_set_new(o, "jitter_us", us(r->jitter));
	json_object_set_new(o, "loss", json_real(r->loss));
	json_object_set_new(o, "probes", json_integer(r->probes));
	json_object_set_new(o, "answers", json_integer(r->answers));
	json_object_set_new(o, "sees_us_as",
			    r->observed.ip.family != 0 ? lm_json_endpoint(&r->observed)
						       : json_null());
	json_object_set_new(o, "result", result(r, y->now));
	json_array_append_new(y->paths, o);
}

/* --------------------------------------------------------------- words -- */

static bool depends(enum lm_nat nat)
{
	return nat == LM_NAT_ADDRESS || nat == LM_NAT_ADDRESS_PORT ||
	       nat == LM_NAT_ADDRESS_PERHAPS_PORT;
}

/* Our own side: NATs, and whether UDP gets out at all. */
static void say_here(struct why *y)
{
	bool any = false;

	for (uint16_t port = 0; port < y->c->cfg->n_ports; port++)
		for (uint8_t family = 4; family <= 6; family += 2) {
			enum lm_nat nat = lm_mesh_nat(y->c->mesh, port, family);

			if (nat == LM_NAT_UNKNOWN)
				continue;
			any = true;
			say(y, json_sprintf("%s, IPv%u, on our side: %s%s%s",
					    lm_port_name(y->c, port), family, lm_nat_name(nat),
					    nat >= LM_NAT_ENDPOINT ? " mapping" : "",
					    depends(nat) ? ", so a site learns the port that our "
							   "packets come from only when they come"
							 : ""));
		}
	if (!any)
		say(y,
		    json_string("no STUN server has answered us (lanemesh netcheck), so what NAT "
				"we are behind, and whether UDP gets out, is not known"));
}

static void say_there(struct why *y)
{
	if (y->symmetric)
		say(y, json_sprintf("%s comes from an address that it did not announce: the NAT on "
				    "its side maps by destination",
				    y->name));
	else if (y->announces_reflexive)
		say(y,
		    json_sprintf("%s is behind a NAT: it announces an address that a STUN server "
				 "saw",
				 y->name));
	else if (json_array_size(y->there) > 0)
		say(y, json_sprintf("%s announces no address from outside a NAT: it has none "
				    "before it, or does not know",
				    y->name));
}

/* Neither side can know where to send: what one learns from a STUN server counts for that server
 * alone, and the other one's NAT may let in only whom it has sent to (RFC 5128 section 3.3.5). */
static void say_nats(struct why *y)
{
	for (uint16_t port = 0; port < y->c->cfg->n_ports; port++)
		for (uint8_t family = 4; family <= 6; family += 2)
			if (y->announces_reflexive &&
			    depends(lm_mesh_nat(y->c->mesh, port, family))) {
				say(y, json_string("with NATs on both sides, of which ours maps by "
						   "destination, a relay is likely to be needed: a "
						   "member with the relay role"));
				return;
			}
}

static void say_down(struct why *y)
{
	if (y->p.state == LM_PEER_IDLE) {
		say(y,
		    json_string("there is no session, since no traffic wants one (in a mesh with "
				"more nodes than full_mesh_up_to); the next packet starts one"));
		return;
	}
	if (y->p.last_handshake != 0)
		say(y, json_sprintf("there was a session, and it ended: %s was last heard %.0f s "
				    "ago",
				    y->name, (double)(y->now - y->p.last_rx) / (double)LM_SEC));
	if (json_array_size(y->there) == 0)
		say(y, json_sprintf("no address of %s is known: it has announced none, or no "
				    "coordinator has passed its announcement on",
				    y->name));
	else if (y->tried == 0)
		say(y, json_sprintf("nothing was sent to %s yet%s", y->name,
				    y->p.last_handshake != 0 ? " since then" : ""));
	else
		say(y, json_sprintf("%u of %zu addresses of %s were tried in %u rounds of "
				    "handshakes, and none answered",
				    y->tried, json_array_size(y->there), y->name,
				    y->p.handshake_tries));
	say_nats(y);
}

static void say_up(struct why *y)
{
	static const char *const ways[LM_PATH_KINDS] = {
	    [LM_PATH_HOST] = "direct, to an address of its own",
	    [LM_PATH_PUBLIC] = "direct, to an address that its operator configured",
	    [LM_PATH_REFLEXIVE] = "direct, through the NAT before it, to the address that a STUN "
				  "server saw",
	    [LM_PATH_SEEN] = "direct, to where its packets come from, an address that nobody "
			     "announced",
	    [LM_PATH_RELAY] = "through a relay",
	};

	if (!y->has_active) {
		say(y, json_string("there is a session, and no path that answers"));
		return;
	}
	say(y, json_sprintf("traffic goes %s", ways[y->active.kind]));
	if (y->active.kind != LM_PATH_RELAY)
		return;
	if (y->direct == 0)
		say(y, json_string("not direct: no address of the other side can be reached from "
				   "our WAN ports"));
	else if (y->direct_alive == 0)
		say(y, json_sprintf("not direct: of %u direct paths none has answered a probe",
				    y->direct));
	else
		say(y, json_string("not direct: the direct paths that answer lose more, or have "
				   "not proven themselves for long enough"));
	if (y->direct_alive == 0)
		say_nats(y);
}

/* Takes over what y has collected. */
static json_t *answer(struct why *y, const char *state)
{
	enum lm_verdict own = lm_mesh_own_verdict(y->c->mesh);
	json_t *o = json_object();

	if (own != LM_TRUSTED)
		say(y, json_sprintf("our own certificate does not hold, so every site refuses us: "
				    "%s; install a new one",
				    lm_verdict_text(own)));
	json_object_set_new(o, "name", json_string(y->name));
	json_object_set_new(o, "state", json_string(state));
	json_object_set_new(o, "path",
			    y->has_active ? json_string(lm_path_kind_name(y->active.kind))
					  : json_null());
	json_object_set_new(o, "why", y->words);
	json_object_set_new(o, "paths", y->paths);
	json_object_set_new(o, "candidates_there", y->there);
	json_object_set_new(o, "candidates_here", own_candidates(y->c));
	return o;
}

static json_t *why_peer(struct lm_control *c, const struct lm_peer_info *p)
{
	struct why y = {.c = c,
			.now = lm_control_now(c).mono,
			.p = *p,
			.paths = json_array(),
			.there = json_array(),
			.words = json_array()};
	bool up = p->state == LM_PEER_UP;

	(void)snprintf(y.name, sizeof(y.name), "%s", p->cert->name);
	lm_mesh_candidates(c->mesh, p->index, add_candidate, &y);
	lm_mesh_paths(c->mesh, p->index, add_path, &y);
	if (up)
		say_up(&y);
	else
		say_down(&y);
	say_here(&y);
	say_there(&y);
	return answer(&y, lm_peer_state_name(p->state));
}

/* ------------------------------------------------------ what is no peer -- */

/* A site that there is nothing to tell of but why. Takes over the sentence. */
static json_t *why_none(struct lm_control *c, const char *name, const char *state, json_t *sentence)
{
	struct why y = {
	    .c = c, .paths = json_array(), .there = json_array(), .words = json_array()};

	(void)snprintf(y.name, sizeof(y.name), "%s", name);
	say(&y, sentence);
	return answer(&y, state);
}

static bool is_named(const struct lm_cert *cert, const char *name)
{
	char hex[2 * LM_KEY_LEN + 1];

	return strcmp(cert->name, name) == 0 ||
	       strcmp(lm_hex(cert->node, LM_KEY_LEN, hex), name) == 0;
}

bool lm_report_peer_named(struct lm_control *c, const char *name, struct lm_peer_info *out)
{
	for (uint32_t i = 0; lm_mesh_peer(c->mesh, i, out); i = out->index + 1)
		if (is_named(out->cert, name))
			return true;
	return false;
}

struct barred {
	const char *wanted;
	char name[LM_NAME_MAX + 1];
	enum lm_verdict why; /* LM_TRUSTED: not found */
};

static void find_barred(void *user, const struct lm_cert *cert, enum lm_verdict why)
{
	struct barred *b = user;

	if (b->why != LM_TRUSTED || !is_named(cert, b->wanted))
		return;
	memcpy(b->name, cert->name, sizeof(b->name));
	b->why = why;
}

/* Revoked nodes are taken out of the directory, and their names with them: keys stay. */
static bool is_revoked_key(struct lm_control *c, const char *text)
{
	uint8_t node[LM_KEY_LEN];

	return lm_unhex(text, node, sizeof(node)) == 0 && lm_mesh_revoked(c->mesh, node);
}

json_t *lm_report_why(struct lm_control *c, const char *site, struct lm_error *err)
{
	struct barred b = {.wanted = site, .why = LM_TRUSTED};
	struct lm_peer_info p;

	if (lm_report_peer_named(c, site, &p))
		return why_peer(c, &p);
	if (is_named(lm_mesh_own_cert(c->mesh), site))
		return why_none(c, lm_mesh_own_cert(c->mesh)->name, "local",
				json_string("this is the site of the gateway that you ask: traffic "
					    "to it goes to its LAN, through no tunnel"));
	lm_mesh_barred(c->mesh, find_barred, &b);
	if (b.why != LM_TRUSTED)
		return why_none(c, b.name, "refused",
				json_sprintf("no traffic goes to %s or is taken from it: %s",
					     b.name, lm_verdict_text(b.why)));
	if (is_revoked_key(c, site))
		return why_none(c, site, "refused",
				json_string("no traffic goes to the node with this key or is taken "
					    "from it: it was revoked"));
	(void)lm_error_set(err, ENOENT,
			   "no site '%s'; `lanemesh peers` lists them (one that was revoked may be "
			   "known by its node key alone)",
			   site);
	return NULL;
}
