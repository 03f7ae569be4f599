/* SPDX-License-Identifier: BSD-3-Clause */
/* Relay ids of the mesh, given to the data plane; and what this gateway relays for others. */
#include "internal.h"

#include <errno.h>
#include <jansson.h>
#include <stdlib.h>

#define BYTES_A_SECOND 125000u /* of 1 Mbit/s */

struct lm_relay_slot {
	UT_hash_handle hh; /* by id */
	uint64_t id;
	struct lm_mesh_relay r;
	bool set; /* in the data plane, with this outer header: */
	struct lm_outer outer;
};

/* While the way to the other end is not known, nothing is passed on. 0 or -errno. */
static int publish(struct lm_control *c, struct lm_relay_slot *s, bool changed)
{
	struct lm_dp_relay d = {
	    .port = s->r.from.port, .from = s->r.from.remote, .member = s->r.member};
	struct lm_outer o = {0};
	bool end = s->r.to.relay == 0, found = end || lm_underlay_outer(c, &s->r.to, &o);
	int rc;

	if (!found) {
		if (s->set)
			lm_dp_relay_end(c->dp, s->id);
		s->set = false;
		return 0;
	}
	if (s->set && !changed && memcmp(&s->outer, &o, sizeof(o)) == 0)
		return 0;
	d.outer = end ? NULL : &o;
	rc = lm_dp_relay_set(c->dp, s->id, &d);
	if (rc == 0) { /* else what was set before stays, and is to be ended */
		s->set = true;
		s->outer = o;
	}
	return rc;
}

int lm_control_relay_set(void *user, const struct lm_mesh_relay *r)
{
	struct lm_control *c = user;
	uint64_t id = r->from.relay;
	struct lm_relay_slot *s;
	int rc;

	HASH_FIND(hh, c->relays, &id, sizeof(id), s);
	if (s == NULL) {
		s = calloc(1, sizeof(*s));
		if (s == NULL)
			return -ENOMEM;
		s->id = id;
		HASH_ADD(hh, c->relays, id, sizeof(s->id), s);
	}
	s->r = *r;
	rc = publish(c, s, true);
	if (rc != 0)
		lm_control_relay_end(c, id);
	return rc;
}

void lm_control_relay_end(void *user, uint64_t id)
{
	struct lm_control *c = user;
	struct lm_relay_slot *s;

	HASH_FIND(hh, c->relays, &id, sizeof(id), s);
	if (s == NULL)
		return;
	if (s->set)
		lm_dp_relay_end(c->dp, id);
	HASH_DEL(c->relays, s);
	free(s);
}

void lm_control_relays_underlay(struct lm_control *c, uint32_t ports)
{
	struct lm_relay_slot *s, *tmp;

	HASH_ITER(hh, c->relays, s, tmp)
	if (s->r.to.relay != 0 && (ports >> s->r.to.port & 1) != 0 && publish(c, s, false) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "a relayed way was not given to the workers");
}

void lm_control_relays_free(struct lm_control *c)
{
	struct lm_relay_slot *s, *tmp;

	HASH_ITER(hh, c->relays, s, tmp)
	{
		HASH_DEL(c->relays, s);
		free(s);
	}
}

void lm_control_relaying(struct lm_control *c)
{
	const struct lm_config *cfg = c->cfg;
	bool role = (lm_mesh_own_cert(c->mesh)->roles & LM_ROLE_RELAY) != 0;

	if (cfg->relay.enabled && !role)
		lm_log(&c->log, LM_LOG_WARN,
		       "relay.enabled has no effect: the certificate has not the role; have it "
		       "signed with --role relay");
	lm_dp_relay_quota(c->dp, (uint64_t)cfg->relay.rate_mbit * BYTES_A_SECOND);
	lm_mesh_relaying(c->mesh, lm_control_now(c), cfg->relay.enabled ? cfg->relay.pairs : 0);
}

/* ---------------------------------------------------------------- report -- */

struct report {
	struct lm_control *c;
	json_t *list;
};

/* One row for each way. */
static void add_pair(void *user, const struct lm_relay_info *pair)
{
	const struct report *r = user;
	char text[LM_ENDPOINT_STRLEN];

	for (unsigned i = 0; pair->open && i < 2; i++) {
		json_t *o = json_object();
		struct lm_dp_relay_usage u;

		/* Its way may not be known at present: then there is nothing to count. */
		if (lm_dp_relay_usage(r->c->dp, pair->path[i].relay, &u) != 0)
			u = (struct lm_dp_relay_usage){0};
		json_object_set_new(o, "from",
				    json_string(lm_control_peer_name(r->c, pair->peer[i])));
		json_object_set_new(o, "to",
				    json_string(lm_control_peer_name(r->c, pair->peer[1 - i])));
		json_object_set_new(o, "endpoint",
				    json_string(lm_endpoint_format(&pair->path[i].remote, text)));
		json_object_set_new(o, "packets", json_integer((json_int_t)u.packets));
		json_object_set_new(o, "bytes", json_integer((json_int_t)u.bytes));
		json_array_append_new(r->list, o);
	}
}

json_t *lm_report_relays(struct lm_control *c)
{
	struct report r = {.c = c, .list = json_array()};

	lm_mesh_relay_pairs(c->mesh, add_pair, &r);
	return r.list;
}

static void count_pair(void *user, const struct lm_relay_info *pair)
{
	*(unsigned *)user += pair->open;
}

unsigned lm_control_relay_pairs(const struct lm_control *c)
{
	unsigned n = 0;

	lm_mesh_relay_pairs(c->mesh, count_pair, &n);
	return n;
}
