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
		if (n > 8 * s->sim.n_sites || n != node_sas(site(s, i)))
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

static void begin(struct swarm *s, uint64_t seed, bool packets)
{
	struct world *w = &s->sim.w;

	sim_init(&s->sim, seed, 3 + (unsigned)(seed * 0x9e3779b97f4a7c15u >> 40) % 6);
	w->what = "lm_sim --swarm 1";
	w->talk = s->verbose;
	w->show = packets;
	w->delay = 1 * LM_MSEC;
	w->jitter = world_random(w, 40) * LM_MSEC;
	w->loss = s->base_loss = world_random(w, 4) * 10;
	w->duplicate = world_random(w, 20);
	w->esp_may_miss = true;
	w->cut = trouble_cut;
	w->tap = remember;
	w->tap_user = s;
	w->services[w->n_services++] = (struct service){
	    .at = {lm_ip4((uint8_t[]){198, 51, 100, 99}), 4500}, .answer = victim, .user = s};
	topology_build(s);
	for (unsigned i = 0; i < SIM_COORDS; i++)
		coordinator_start(&s->sim.coords[i]);
	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		struct lm_mesh_timers *t = &site(s, i)->timers;

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

/* What is sent arrives, but for what the network lost. */
static void calm(struct swarm *s)
{
	struct world *w = &s->sim.w;
	lm_time end = w->now + TALK;
	uint64_t sent = 0, got = 0, lost = w->esp_lost, again = w->esp_duplicated, control;

	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		sent -= site(s, i)->esp_sent;
		got -= site(s, i)->esp_got;
	}
	control = control_sent(s);
	w->esp_may_miss = false;
	while (w->now < end) {
		talk(s, true);
		world_pass(w, STEP);
		bounded(s);
	}
	world_pass(w, LM_SEC);
	for (unsigned i = 0; i < s->sim.n_sites; i++) {
		sent += site(s, i)->esp_sent;
		got += site(s, i)->esp_got;
	}
	lost = w->esp_lost - lost;
	again = w->esp_duplicated - again;
	if (got != sent + again - lost)
		world_fail(w, "%lld packets of %llu were lost in the nodes",
			   (long long)(sent + again - lost - got), (unsigned long long)sent);
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

uint64_t swarm_seed(uint64_t seed, bool verbose, bool packets)
{
	struct swarm *s = calloc(1, sizeof(*s));
	struct world *w = &s->sim.w;
	uint64_t trace;

	s->verbose = verbose;
	begin(s, seed, packets);
	if (verbose)
		topology_print(s);
	world_pass(w, 5 * LM_SEC);
	trouble(s);
	world_pass(w, 20 * LM_SEC); /* sessions that are dead are found out */
	/* An address that never answered is called again after a minute (FAULTS row 14). */
	if (!world_until(w, 90 * LM_SEC, all_up, s)) {
		who_misses_whom(s);
		world_fail(w, "not everybody found everybody in 90 s");
	}
	world_pass(w, 10 * LM_SEC); /* those that disagreed on what happened agree */
	calm(s);
	revoked_is_out(s);
	trace = w->trace;
	sim_free(&s->sim);
	free(s);
	return trace;
}

void swarm_run(uint64_t first, unsigned long count_, bool verbose, bool packets)
{
	for (uint64_t seed = first; seed < first + count_; seed++) {
		uint64_t trace = swarm_seed(seed, verbose, packets);

		if (verbose)
			fprintf(stderr, "seed %llu: trace %016llx\n", (unsigned long long)seed,
				(unsigned long long)trace);
		if (seed % TWICE == 0 && swarm_seed(seed, false, false) != trace) {
			fprintf(stderr, "lm_sim --swarm 1 --seed %llu: two runs differ\n",
				(unsigned long long)seed);
			abort();
		}
	}
	printf("%lu seeds from %llu on: all is well\n", count_, (unsigned long long)first);
}
