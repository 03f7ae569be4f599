/* SPDX-License-Identifier: BSD-3-Clause */
/* What goes wrong in a network, one thing at a time but many at once. */
#include "swarm.h"

#include <stdlib.h>

enum kind {
	KILL,
	KILL_AND_FORGET, /* the disk is new */
	RESTART,
	OFFLINE,
	NAT_REBOOT,
	NAT_MOVES, /* its provider gives it another one */
	ADDRESS,   /* DHCP gives the gateway another one */
	PORT_DOWN,
	PARTITION,
	ONE_WAY, /* from one port to another */
	CLOCK,
	COORD_KILL,
	COORD_LIES,
	LOSS,
	ATTACK,
	FALSE_ENDPOINT,
	REVOKE,
	RENEW,
	KINDS,
};

const char *const trouble_names[] = {
    [KILL] = "kill",
    [KILL_AND_FORGET] = "kill, disk lost",
    [RESTART] = "restart",
    [OFFLINE] = "offline",
    [NAT_REBOOT] = "NAT forgets",
    [NAT_MOVES] = "NAT moves",
    [ADDRESS] = "new address",
    [PORT_DOWN] = "WAN port down",
    [PARTITION] = "partition",
    [ONE_WAY] = "one-way cut",
    [CLOCK] = "clock jump",
    [COORD_KILL] = "coordinator killed",
    [COORD_LIES] = "coordinator lies",
    [LOSS] = "10-40 % loss",
    [ATTACK] = "replays, forgeries",
    [FALSE_ENDPOINT] = "false endpoint",
    [REVOKE] = "revocation",
    [RENEW] = "renewed certificate",
    [KINDS] = NULL,
};

static uint32_t draw(struct swarm *s, uint32_t below)
{
	return world_random(&s->sim.w, below);
}

static lm_time later(struct swarm *s, unsigned seconds)
{
	return s->sim.w.now + draw(s, seconds * 1000) * LM_MSEC;
}

bool trouble_cut(struct world *w, const struct datagram *d, const struct node *to, unsigned port)
{
	struct swarm *s = LM_CONTAINER_OF(LM_CONTAINER_OF(w, struct sim, w), struct swarm, sim);

	return d->sender != NULL && s->cut[d->sender->number][d->sender_port][to->number][port];
}

/* ---------------------------------------------------------------- sites -- */

static void stop(struct swarm *s, unsigned i, bool polite, bool forget)
{
	struct site *t = &s->sim.sites[i];

	site_stop(t, polite);
	if (forget) {
		free(t->disk);
		t->disk = NULL;
		t->node->ann_sequence = 0;
		t->node->ann_len = 0;
	}
	s->back[i] = later(s, 20);
}

static void new_address(struct swarm *s, unsigned i)
{
	struct node *n = s->sim.sites[i].node;
	unsigned port = draw(s, n->n_wan);

	if (n->wan[port].port == 0)
		return;
	topology_address(s, n, port);
	s->learns[i] = later(s, 3);
}

static void port_down(struct swarm *s, unsigned i)
{
	struct node *n = s->sim.sites[i].node;
	unsigned port = draw(s, n->n_wan);

	if (n->wan[port].port == 0)
		return;
	s->lost[i][port] = n->wan[port];
	n->wan[port].port = 0;
	s->learns[i] = later(s, 2);
	s->back[i] = later(s, 25);
}

static void partition(struct swarm *s)
{
	unsigned side = draw(s, 1u << s->sim.n_sites);

	for (unsigned i = 0; i < s->sim.n_sites; i++)
		for (unsigned j = 0; j < s->sim.n_sites; j++)
			for (unsigned k = 0; k < WORLD_PORTS * WORLD_PORTS; k++)
				if ((side >> i & 1) != (side >> j & 1))
					s->cut[i][k / WORLD_PORTS][j][k % WORLD_PORTS] = true;
	s->cut_until = later(s, 30);
}

static void one_way(struct swarm *s)
{
	unsigned i = draw(s, s->sim.n_sites), j = draw(s, s->sim.n_sites);

	s->cut[i][draw(s, WORLD_PORTS)][j][draw(s, WORLD_PORTS)] = true;
	s->cut_until = later(s, 40);
}

static void clock_jump(struct swarm *s, unsigned i)
{
	static const int64_t by[] = {-3600, 3600, -WORLD_WALL, 60 * 86400, -2 * 86400, 100000};

	s->sim.sites[i].node->skew = by[draw(s, LM_ARRAY_SIZE(by))];
	s->clock_back[i] = later(s, 40);
}

/* A member whose announcement names somebody who has nothing to do with it. */
static void false_endpoint(struct swarm *s, unsigned i)
{
	struct node *n = s->sim.sites[i].node;
	struct lm_local_endpoint eps[WORLD_PORTS + 1];
	unsigned n_eps = 0;

	if (s->liar != NULL || n->mesh == NULL)
		return;
	s->liar = n;
	for (unsigned p = 0; p < n->n_wan; p++)
		if (n->wan[p].port != 0)
			eps[n_eps++] = (struct lm_local_endpoint){
			    .port = (uint16_t)p, .kind = LM_EP_HOST, .ep = n->wan[p]};
	eps[n_eps++] = (struct lm_local_endpoint){.port = 0, .kind = LM_EP_PUBLIC, .ep = s->victim};
	lm_mesh_local(n->mesh, world_now(&s->sim.w, n), eps, n_eps);
	node_sync(n);
}

static void renew(struct swarm *s, unsigned i)
{
	struct site *t = &s->sim.sites[i];
	struct lm_cert *c = &t->node->cert_body;

	if (t->node->mesh == NULL || c->n_prefixes > 4)
		return;
	site_stop(t, true);
	c->serial += 1000;
	c->not_before++;
	c->prefixes[c->n_prefixes++] =
	    (struct lm_prefix){lm_ip4((uint8_t[]){10, (uint8_t)i, c->n_prefixes, 0}), 24};
	node_sign(t->node, s->sim.w.authority);
	s->back[i] = later(s, 3);
}

/* ---------------------------------------------------------- coordinators -- */

static void coord_kill(struct swarm *s)
{
	unsigned i = draw(s, SIM_COORDS);

	if (s->sim.coords[i].server == NULL)
		return;
	coordinator_stop(&s->sim.coords[i]);
	s->coord_back[i] = later(s, 30);
}

static void coord_lies(struct swarm *s)
{
	unsigned i = draw(s, SIM_COORDS);

	s->sim.coords[i].lies = 1 + draw(s, LIE_KINDS - 1);
	s->lies |= 1u << s->sim.coords[i].lies;
	s->coord_back[i] = later(s, 60);
}

/* The operator gives the list to one coordinator; nodes pass it on to the other. */
static void revoke(struct swarm *s)
{
	struct coordinator *c = &s->sim.coords[draw(s, SIM_COORDS)];
	uint8_t list[512];
	size_t len;

	if (s->revoked != NULL || c->server == NULL || s->sim.n_sites < 4)
		return;
	s->revoked = s->sim.sites[draw(s, s->sim.n_sites)].node;
	len = world_revocation(&s->sim.w, s->revoked, 0, list, sizeof(list));
	if (lm_coord_server_revocation(c->server, coordinator_now(c), list, len) != LM_TRUSTED)
		world_fail(&s->sim.w, "the coordinator refused a good list");
	coordinator_sync(c);
}

/* --------------------------------------------------------------- attacks -- */

/* Something old, perhaps changed, perhaps from somewhere else, to somewhere public. */
static void attack(struct swarm *s)
{
	struct world *w = &s->sim.w;
	struct datagram d;

	if (s->n_old < SWARM_OLD)
		return;
	for (unsigned i = 0; i < 4; i++) {
		d = s->old[draw(s, SWARM_OLD)];
		if (draw(s, 2) == 0)
			d.data[draw(s, (uint32_t)d.len)] ^= (uint8_t)(1u << draw(s, 8));
		if (draw(s, 2) == 0)
			d.from = s->victim;
		world_inject(w, &d.from, &d.to, d.data, d.len, draw(s, 2000) * LM_MSEC);
	}
}

/* -------------------------------------------------------------------- all -- */

void trouble_some(struct swarm *s)
{
	unsigned i = draw(s, s->sim.n_sites);
	struct site *t = &s->sim.sites[i];
	struct nat *nat = s->n_nats > 0 ? s->nats[draw(s, s->n_nats)] : NULL;
	enum kind what = draw(s, KINDS);

	if (what <= PORT_DOWN && (t->node->mesh == NULL || s->back[i] != 0))
		return;
	s->did |= 1u << what;
	switch (what) {
	case KILL:
	case KILL_AND_FORGET:
	case RESTART:
		stop(s, i, what == RESTART, what == KILL_AND_FORGET);
		break;
	case OFFLINE:
		site_offline(t, true);
		s->back[i] = later(s, 30);
		break;
	case NAT_REBOOT:
	case NAT_MOVES:
		if (nat != NULL && what == NAT_MOVES && !nat->kind.firewall)
			nat->outer = topology_outer(s, nat->parent);
		if (nat != NULL)
			nat_reboot(nat);
		break;
	case ADDRESS:
		new_address(s, i);
		break;
	case PORT_DOWN:
		port_down(s, i);
		break;
	case PARTITION:
		partition(s);
		break;
	case ONE_WAY:
		one_way(s);
		break;
	case CLOCK:
		clock_jump(s, i);
		break;
	case COORD_KILL:
		coord_kill(s);
		break;
	case COORD_LIES:
		coord_lies(s);
		break;
	case LOSS:
		s->sim.w.loss = 100 + draw(s, 300);
		s->loss_until = later(s, 20);
		break;
	case ATTACK:
		attack(s);
		break;
	case FALSE_ENDPOINT:
		false_endpoint(s, i);
		break;
	case REVOKE:
		if (draw(s, 4) == 0)
			revoke(s);
		break;
	case RENEW:
		if (s->back[i] == 0)
			renew(s, i);
		break;
	case KINDS:
		break;
	}
}

static void heal_site(struct swarm *s, unsigned i, bool now)
{
	struct world *w = &s->sim.w;
	struct site *t = &s->sim.sites[i];
	struct node *n = t->node;

	if (s->clock_back[i] != 0 && (now || w->now >= s->clock_back[i])) {
		s->clock_back[i] = 0;
		n->skew = 0;
	}
	if (s->back[i] != 0 && (now || w->now >= s->back[i])) {
		s->back[i] = 0;
		for (unsigned p = 0; p < n->n_wan; p++)
			if (s->lost[i][p].port != 0) {
				n->wan[p].port = s->lost[i][p].port;
				s->lost[i][p].port = 0;
				s->learns[i] = w->now;
			}
		if (n->mesh == NULL && n->skew == 0)
			site_start(t);
		else if (n->mesh == NULL)
			s->back[i] = w->now; /* with that clock its certificate is no good */
		site_offline(t, false);
	}
	if (s->learns[i] != 0 && (now || w->now >= s->learns[i])) {
		s->learns[i] = 0;
		if (n->mesh != NULL)
			node_local(n);
	}
}

void trouble_heal(struct swarm *s, bool now)
{
	struct world *w = &s->sim.w;

	for (unsigned i = 0; i < s->sim.n_sites; i++)
		heal_site(s, i, now);
	for (unsigned i = 0; i < SIM_COORDS; i++) {
		if (s->coord_back[i] == 0 || (!now && w->now < s->coord_back[i]))
			continue;
		s->coord_back[i] = 0;
		coordinator_honest(&s->sim.coords[i]);
		if (s->sim.coords[i].server == NULL)
			coordinator_start(&s->sim.coords[i]);
	}
	if (s->cut_until != 0 && (now || w->now >= s->cut_until)) {
		s->cut_until = 0;
		memset(s->cut, 0, sizeof(s->cut));
	}
	if (s->loss_until != 0 && (now || w->now >= s->loss_until)) {
		s->loss_until = 0;
		w->loss = s->base_loss;
	}
}
