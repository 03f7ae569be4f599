/* SPDX-License-Identifier: BSD-3-Clause */
/* One seed's life: come up, trouble, calm, and the questions at the end. */
#include "swarm.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP	   (250 * LM_MSEC)
#define TROUBLE	   (60 * LM_SEC)
#define TALK	   (15 * LM_SEC)
#define TWICE	   10 /* each so many-th seed runs twice, to compare */
#define VICTIM_MIN 5000

static struct node *site(struct swarm *s, unsigned i)
{
	return s->sim.sites[i].node;
}

static bool wanted(struct swarm *s, unsigned i, unsigned j)
{
	struct node *a = site(s, i), *b = site(s, j);

	return i != j && a != s->revoked && b != s->revoked && oracle_reachable(s, a, b);
}

static bool all_up(struct world *w, void *arg)
{
	struct swarm *s = arg;

	(void)w;
	for (unsigned i = 0; i < s->sim.n_sites; i++)
		for (unsigned j = 0; j < s->sim.n_sites; j++)
			if (wanted(s, i, j) && !node_up(site(s, i), site(s, j), NULL))
				return false;
	return true;
}

static void who_misses_whom(struct swarm *s)
{
	topology_print(s);
	for (unsigned i = 0; i < s->sim.n_sites; i++)
		for (unsigned j = 0; j < s->sim.n_sites; j++) {
			struct lm_peer_info info = {0};

			if (!wanted(s, i, j) || node_up(site(s, i), site(s, j), &info))
				continue;
			fprintf(stderr, "gw%u has no session with gw%u: %s, %u tries\n", i, j,
				info.cert == NULL ? "not known" : lm_peer_state_name(info.state),
				info.handshake_tries);
		}
}

static bool remember(struct world *w, struct datagram *d, void *user)
{
	struct swarm *s = user;

	(void)w;
	if (d->domain == NULL && lm_demux(d->data, d->len) == LM_DEMUX_CONTROL)
		s->old[s->n_old++ % SWARM_OLD] = *d;
	return true;
}

static size_t victim(struct world *w, void *user, const struct lm_endpoint *from,
		     const uint8_t *data, size_t len, uint8_t *out)
{
	struct swarm *s = user;
	uint64_t minutes = (w->now - WORLD_START) / (60 * LM_SEC) + 1;

	(void)from;
	(void)data;
	(void)out;
	s->victim_bytes += len;
	/* FAULTS row 14: from each that believed it, and as many again by replies to forgeries. */
	if (s->victim_bytes > 2 * VICTIM_MIN * minutes * s->sim.n_sites)
		world_fail(w, "%llu bytes went to an address that never answered",
			   (unsigned long long)s->victim_bytes);
	return 0;
}

/* ------------------------------------------------------------ each second -- */

static void count(void *user, uint32_t session)
{
	(void)session;
	++*(unsigned *)user;
}

static void bounded(struct swarm *s)
{
	struct world *w = &s->sim.w;

	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		unsigned n = 0;

		if (site(s, i)->mesh == NULL)
			continue;
		lm_mesh_sessions(site(s, i)->mesh, count, &n);
		if (n != node_sas(site(s, i)))
			world_fail(w, "gw%u has %u sessions, its data plane %u", i, n,
				   node_sas(site(s, i)));
	}
	if (w->n_queue > 5000)
		world_fail(w, "%zu datagrams are on their way", w->n_queue);
}

static void talk(struct swarm *s, bool must)
{
	for (unsigned i = 0; i < s->sim.n_sites; i++)
		for (unsigned j = 0; j < s->sim.n_sites; j++)
			if (site(s, i)->mesh != NULL && wanted(s, i, j) &&
			    !node_send_esp(site(s, i), site(s, j)) && must)
				world_fail(&s->sim.w, "gw%u has no way to gw%u", i, j);
}

static uint64_t control_sent(struct swarm *s)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < s->sim.n_sites; i++)
		sum += site(s, i)->sent;
	return sum;
}

/* ----------------------------------------------------------------- phases -- */

static void begin(struct swarm *s, uint64_t seed, const struct swarm_how *how)
{
	struct world *w = &s->sim.w;

	sim_init(&s->sim, seed, 3 + (unsigned)(seed * 0x9e3779b97f4a7c15u >> 40) % 6);
	w->what = "lm_sim --swarm 1";
	w->talk = how->verbose;
	w->show = how->packets;
	s->relays = how->relays;
	w->delay = 1 * LM_MSEC;
	w->jitter = world_random(w, 40) * LM_MSEC;
	w->loss = s->base_loss = world_random(w, 4) * 10;
	w->duplicate = world_random(w, 20);
	w->esp_may_miss = true;
	w->cut = trouble_cut;
	w->exempt = oracle_exempt;
	w->inspect = bounds_check;
	w->tap = remember;
	w->tap_user = s;
	s->victim = (struct lm_endpoint){lm_ip4((uint8_t[]){198, 51, 100, 99}), 4500};
	w->services[w->n_services++] =
	    (struct service){.at = s->victim, .answer = victim, .user = s};
	topology_build(s);
	s->on_demand = s->relays && world_random(w, 6) == 0;
	for (unsigned i = 0; i < SIM_COORDS; i++)
		coordinator_start(&s->sim.coords[i]);
	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		struct lm_mesh_timers *t = &site(s, i)->timers;

		site(s, i)->eager_peers = s->on_demand ? 1 : 0;
		t->rekey = (10 + world_random(w, 60)) * LM_SEC;
		t->reject = t->rekey + 60 * LM_SEC;
		site_start(&s->sim.sites[i]);
		world_pass(w, world_random(w, 2000) * LM_MSEC);
	}
}

static void trouble(struct swarm *s)
{
	struct world *w = &s->sim.w;
	lm_time end = w->now + TROUBLE;
	unsigned often = 4 + world_random(w, 40);

	for (unsigned step = 0; w->now < end; step++) {
		if (world_random(w, often) == 0)
			trouble_some(s);
		trouble_heal(s, false);
		talk(s, false);
		world_pass(w, STEP);
		if (step % 4 == 0)
			bounded(s);
	}
	trouble_heal(s, true);
	trouble_heal(s, true); /* those whose clock was wrong start */
	if (s->liar != NULL && s->liar->mesh != NULL)
		node_local(s->liar);
}

/* got: those that came first, and the copies that were known as such; stale: what came to a relay
 * from where an end had been until then. */
struct packets {
	uint64_t sent, got, lost, again, stale;
};

static struct packets packets(struct swarm *s)
{
	struct packets p = {.lost = s->sim.w.esp_lost, .again = s->sim.w.esp_duplicated};

	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		p.sent += site(s, i)->esp_sent;
		p.got +=
		    site(s, i)->esp_got + site(s, i)->esp_replayed + site(s, i)->esp_relayed_again;
		p.stale += site(s, i)->esp_not_relayed;
	}
	return p;
}

/* What is sent arrives, but for what the network lost, and nothing twice. */
static void calm(struct swarm *s)
{
	struct world *w = &s->sim.w;
	lm_time end = w->now + TALK;
	struct packets before = packets(s), after;
	uint64_t sent, again, lost, control;

	control = control_sent(s);
	w->esp_may_miss = false;
	while (w->now < end) {
		talk(s, true);
		world_pass(w, STEP);
		bounded(s);
	}
	world_pass(w, LM_SEC);
	after = packets(s);
	sent = after.sent - before.sent;
	again = after.again - before.again;
	lost = after.lost - before.lost + after.stale - before.stale;
	/* In flight as an end moves: a packet or two each time. */
	if (after.stale - before.stale > 2 * s->sim.n_sites)
		world_fail(w, "%llu packets came to relays from where nobody was",
			   (unsigned long long)(after.stale - before.stale));
	if (after.got - before.got != sent + again - lost)
		world_fail(w, "%lld packets of %llu were lost in the nodes",
			   (long long)(sent + again - lost - (after.got - before.got)),
			   (unsigned long long)sent);
	control = control_sent(s) - control;
	if (control > 16 * 30 * s->sim.n_sites * s->sim.n_sites)
		world_fail(w, "%llu control datagrams when all is calm",
			   (unsigned long long)control);
}

static void revoked_is_out(struct swarm *s)
{
	for (unsigned i = 0; i < s->sim.n_sites; i++)
		if (s->revoked != NULL && site(s, i) != s->revoked &&
		    node_peer_of(site(s, i), s->revoked) != NULL)
			world_fail(&s->sim.w, "gw%u still talks to gw%u, which is revoked", i,
				   s->revoked->number);
}

/* Sessions come with traffic, where that is how it is. */
static bool until_all_up(struct swarm *s, lm_time limit)
{
	struct world *w = &s->sim.w;
	lm_time end = w->now + limit;

	if (!s->on_demand)
		return world_until(w, limit, all_up, s);
	while (w->now < end && !all_up(w, s)) {
		talk(s, false);
		world_pass(w, STEP);
	}
	return all_up(w, s);
}

uint64_t swarm_seed(uint64_t seed, const struct swarm_how *how, struct coverage *c)
{
	struct swarm *s = calloc(1, sizeof(*s));
	struct world *w = &s->sim.w;
	uint64_t trace;

	begin(s, seed, how);
	if (how->verbose)
		topology_print(s);
	world_pass(w, 5 * LM_SEC);
	trouble(s);
	world_pass(w, 20 * LM_SEC); /* sessions that are dead are found out */
	/* An address that never answered is called again after a minute (FAULTS row 14). */
	if (!until_all_up(s, 90 * LM_SEC)) {
		who_misses_whom(s);
		world_fail(w, "not everybody found everybody in 90 s");
	}
	world_pass(w, 10 * LM_SEC); /* those that disagreed on what happened agree */
	calm(s);
	revoked_is_out(s);
	if (c != NULL)
		coverage_add(c, s);
	trace = w->trace;
	sim_free(&s->sim);
	free(s);
	return trace;
}

void swarm_run(uint64_t first, unsigned long count_, const struct swarm_how *how)
{
	struct swarm_how quiet = {.relays = how->relays};
	struct coverage c = {0};

	for (uint64_t seed = first; seed < first + count_; seed++) {
		uint64_t trace = swarm_seed(seed, how, &c);

		if (how->verbose)
			fprintf(stderr, "seed %llu: trace %016llx\n", (unsigned long long)seed,
				(unsigned long long)trace);
		if (seed % TWICE == 0 && swarm_seed(seed, &quiet, NULL) != trace) {
			fprintf(stderr, "lm_sim --swarm 1 --seed %llu: two runs differ\n",
				(unsigned long long)seed);
			abort();
		}
	}
	coverage_print(&c);
	printf("%lu seeds from %llu on: all is well\n", count_, (unsigned long long)first);
}
