/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The long run: twenty sites and two coordinators live through a bad day.
 *
 *  1. start   everybody comes up, finds the coordinators, then each other
 *  2. steady  10^4 rekeys under loss, reordering and repetition, coordinators
 *             restarting: no packet is lost that the network did not lose
 *  3. chaos   sites killed, cut off, moved behind NATs; old datagrams come back,
 *             some changed; a certificate is renewed, a site is revoked
 *  4. calm    whoever may talk talks again, and 2 holds again
 *
 * tests/world checks as it happens: no ESP on an SPI that its receiver has not
 * installed (2 and 4), no outbound key twice ever, packets only to the owner of
 * the prefix, bounded SAs, nothing to overlay addresses.
 */
#include "sim.h"

#include <stdio.h>
#include <stdlib.h>

#define STEP	 (50 * LM_MSEC)
#define RESTARTS 256
#define OLD	 256

struct run {
	struct sim sim;
	unsigned long rekeys;
	lm_time comes_back[SIM_SITES]; /* when a site that is down or cut off returns */
	lm_time coord_back[SIM_COORDS];
	lm_time restarted[SIM_SITES]; /* and has not found everybody yet, 0 = has */
	lm_time troubled[SIM_SITES];  /* last time that something was wrong with it */
	lm_time learns[SIM_SITES];    /* when it will hear of its new address */
	lm_time took[RESTARTS];
	unsigned n_took;
	struct node *revoked;
	struct datagram old[OLD];
	uint64_t n_old, unsent;
};

static void say(const struct run *r, const char *fmt, ...) LM_PRINTF(2, 3);
static void say(const struct run *r, const char *fmt, ...)
{
	va_list ap;

	printf("%9.2f s  ", (double)(r->sim.w.now - WORLD_START) / 1e9);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\n");
	fflush(stdout);
}

static struct node *site(struct run *r, unsigned i)
{
	return r->sim.sites[i].node;
}

static bool lives(struct run *r, unsigned i)
{
	return site(r, i)->mesh != NULL && !site(r, i)->silent && site(r, i) != r->revoked;
}

/* Has it all others, or (calm) all that had no trouble of their own for a while? */
static bool has_all(struct run *r, unsigned i, bool calm)
{
	for (unsigned j = 0; j < r->sim.n_sites; j++) {
		if (i == j || !lives(r, j) || (calm && r->sim.w.now - r->troubled[j] < 40 * LM_SEC))
			continue;
		if (!node_up(site(r, i), site(r, j), NULL))
			return false;
	}
	return true;
}

static bool all_up(struct world *w, void *arg)
{
	struct run *r = arg;

	(void)w;
	for (unsigned i = 0; i < r->sim.n_sites; i++)
		if (lives(r, i) && !has_all(r, i, false))
			return false;
	return true;
}

/* One packet each 250 ms from everybody to everybody. */
static void talk(struct run *r, unsigned step)
{
	unsigned n = r->sim.n_sites;

	for (unsigned i = 0; i < n; i++)
		for (unsigned j = 0; j < n; j++)
			if (i != j && (i * 7 + j * 3 + step) % 5 == 0 && lives(r, i) &&
			    site(r, j) != r->revoked && !node_send_esp(site(r, i), site(r, j)))
				r->unsent++;
}

static uint64_t total(struct run *r, size_t offset)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < r->sim.n_sites; i++)
		if (site(r, i)->mesh != NULL)
			sum +=
			    *(const uint64_t *)((const char *)lm_mesh_counters(site(r, i)->mesh) +
						offset);
	return sum;
}

static uint64_t rekeys(struct run *r)
{
	return total(r, offsetof(struct lm_mesh_counters, rekeys)) / 2; /* both ends count */
}

static void coordinators(struct run *r)
{
	struct world *w = &r->sim.w;

	for (unsigned i = 0; i < SIM_COORDS; i++) {
		struct coordinator *c = &r->sim.coords[i];

		if (c->server != NULL && world_random(w, 400) == 0) {
			coordinator_stop(c);
			r->coord_back[i] = w->now + world_random(w, 15000) * LM_MSEC;
		} else if (c->server == NULL && w->now >= r->coord_back[i]) {
			coordinator_start(c);
		}
	}
}

/* Phases 2 and 4: everything that was sent arrives, but for what the network lost. */
static void steady(struct run *r, uint64_t until_rekeys, lm_time at_least)
{
	struct world *w = &r->sim.w;
	lm_time end = w->now + at_least, limit = w->now + 3600 * LM_SEC;
	uint64_t sent = 0, got = 0, lost = w->esp_lost, again = w->esp_duplicated;

	for (unsigned i = 0; i < r->sim.n_sites; i++) {
		sent -= site(r, i)->esp_sent;
		got -= site(r, i)->esp_got + site(r, i)->esp_replayed;
	}
	w->esp_may_miss = false;
	r->unsent = 0;
	for (unsigned step = 0; rekeys(r) < until_rekeys || w->now < end; step++) {
		talk(r, step);
		coordinators(r);
		world_pass(w, STEP);
		if (w->now > limit)
			world_fail(w, "%llu rekeys in an hour", (unsigned long long)rekeys(r));
	}
	world_pass(w, LM_SEC); /* what is on its way arrives */
	for (unsigned i = 0; i < r->sim.n_sites; i++) {
		sent += site(r, i)->esp_sent;
		got += site(r, i)->esp_got + site(r, i)->esp_replayed;
	}
	lost = w->esp_lost - lost;
	again = w->esp_duplicated - again;
	say(r, "steady: %llu rekeys, %llu packets, %llu lost by the network, %llu beyond that",
	    (unsigned long long)rekeys(r), (unsigned long long)sent, (unsigned long long)lost,
	    (unsigned long long)(sent + again - lost - got));
	if (r->unsent > 0 || got != sent + again - lost)
		world_fail(w, "%llu packets found no SA, %lld were lost in the nodes",
			   (unsigned long long)r->unsent, (long long)(sent + again - lost - got));
}

/* ----------------------------------------------------------------- chaos -- */

static bool remember(struct world *w, struct datagram *d, void *user)
{
	struct run *r = user;

	(void)w;
	if (lm_demux(d->data, d->len) == LM_DEMUX_CONTROL)
		r->old[r->n_old++ % OLD] = *d;
	return true;
}

/* Something old, perhaps changed, perhaps from somewhere else. */
static void attack(struct run *r)
{
	struct world *w = &r->sim.w;
	struct datagram d;

	if (r->n_old < OLD)
		return;
	d = r->old[world_random(w, OLD)];
	if (world_random(w, 2) == 0)
		d.data[world_random(w, (uint32_t)d.len)] ^= (uint8_t)(1u << world_random(w, 8));
	if (world_random(w, 2) == 0)
		d.from = (struct lm_endpoint){
		    lm_ip4((uint8_t[]){203, 0, 113, (uint8_t)(1 + world_random(w, 200))}), 4500};
	world_inject(w, &d.from, &d.to, d.data, d.len, LM_MSEC);
}

static void trouble(struct run *r)
{
	struct world *w = &r->sim.w;
	unsigned i = world_random(w, r->sim.n_sites);
	struct node *n = site(r, i);

	if (!lives(r, i) || r->restarted[i] != 0)
		return;
	switch (world_random(w, 4)) {
	case 0:
	case 1:
		site_stop(&r->sim.sites[i], world_random(w, 4) == 0);
		r->comes_back[i] = w->now + world_random(w, 20000) * LM_MSEC;
		break;
	case 2: /* cut off */
		n->silent = true;
		r->comes_back[i] = w->now + world_random(w, 25000) * LM_MSEC;
		break;
	case 3: /* another port of the NAT before it, of which it hears later */
		n->wan[0].port = (uint16_t)(10000 + world_random(w, 50000));
		r->learns[i] = w->now + 10 * LM_SEC;
		break;
	}
}

static void returns(struct run *r)
{
	struct world *w = &r->sim.w;

	for (unsigned i = 0; i < r->sim.n_sites; i++) {
		struct node *n = site(r, i);

		if (r->comes_back[i] != 0 || r->learns[i] != 0)
			r->troubled[i] = w->now;
		if (r->learns[i] != 0 && w->now >= r->learns[i]) {
			r->learns[i] = 0;
			if (n->mesh != NULL)
				node_local(n);
		}
		if (r->comes_back[i] != 0 && w->now >= r->comes_back[i]) {
			r->comes_back[i] = 0;
			if (n->mesh == NULL) {
				site_start(&r->sim.sites[i]);
				r->restarted[i] = w->now;
			}
			n->silent = false;
		}
		if (r->restarted[i] == 0)
			continue;
		if (!lives(r, i)) {
			r->restarted[i] = 0;
		} else if (has_all(r, i, true)) {
			if (r->n_took < RESTARTS)
				r->took[r->n_took++] = w->now - r->restarted[i];
			r->restarted[i] = 0;
		}
	}
}

static void renew(struct run *r, unsigned i)
{
	struct site *t = &r->sim.sites[i];
	struct lm_cert *c = &t->node->cert_body;

	if (t->node->mesh != NULL)
		site_stop(t, true);
	c->serial += 1000;
	c->not_before++;
	c->prefixes[c->n_prefixes++] =
	    (struct lm_prefix){lm_ip4((uint8_t[]){10, (uint8_t)i, 1, 0}), 24};
	node_sign(t->node, r->sim.w.authority);
	t->node->silent = false;
	r->comes_back[i] = r->sim.w.now;
}

/* The operator gives the list to one coordinator; nodes pass it to the other. */
static void revoke(struct run *r, unsigned i)
{
	struct coordinator *c = &r->sim.coords[0];
	uint8_t list[512];
	size_t len;

	if (c->server == NULL)
		coordinator_start(c);
	r->revoked = site(r, i);
	len = world_revoke(&r->sim.w, r->revoked, 0, list, sizeof(list));
	if (lm_coord_server_revocation(c->server, coordinator_now(c), list, len) != LM_TRUSTED)
		world_fail(&r->sim.w, "the coordinator refused a good list");
}

static int by_time(const void *a, const void *b)
{
	lm_time x = *(const lm_time *)a, y = *(const lm_time *)b;

	return (x > y) - (x < y);
}

static void chaos(struct run *r, lm_time how_long)
{
	struct world *w = &r->sim.w;
	lm_time end = w->now + how_long;
	unsigned p99;

	w->esp_may_miss = true;
	w->tap = remember;
	w->tap_user = r;
	for (unsigned step = 0; w->now < end; step++) {
		talk(r, step);
		coordinators(r);
		if (world_random(w, 30) == 0)
			trouble(r);
		attack(r);
		returns(r);
		if (step == 400)
			renew(r, 3);
		if (step == 800)
			revoke(r, 5);
		world_pass(w, STEP);
	}
	w->tap = NULL;
	for (unsigned i = 0; i < SIM_COORDS; i++)
		if (r->sim.coords[i].server == NULL)
			coordinator_start(&r->sim.coords[i]);
	for (unsigned i = 0; i < r->sim.n_sites; i++) {
		r->comes_back[i] = r->comes_back[i] != 0 ? w->now : 0;
		r->learns[i] = r->learns[i] != 0 ? w->now : 0;
	}
	returns(r);
	if (r->n_took == 0)
		world_fail(w, "no site came back");
	qsort(r->took, r->n_took, sizeof(r->took[0]), by_time);
	p99 = r->n_took - 1 - r->n_took / 100;
	say(r, "chaos: %u restarts, back in the mesh in %.2f s (median), %.2f s (p99)", r->n_took,
	    (double)r->took[r->n_took / 2] / 1e9, (double)r->took[p99] / 1e9);
	if (r->took[p99] > 5 * LM_SEC)
		world_fail(w, "a restarted site needs more than 5 s");
}

/* ------------------------------------------------------------------ main -- */

static void revoked_is_out(struct run *r)
{
	struct world *w = &r->sim.w;

	for (unsigned i = 0; i < r->sim.n_sites; i++)
		if (site(r, i) != r->revoked && site(r, i)->mesh != NULL &&
		    node_peer_of(site(r, i), r->revoked) != NULL)
			world_fail(w, "gw%u still talks to gw%u, which is revoked", i,
				   r->revoked->number);
}

static void renewed_is_known(struct run *r, unsigned n)
{
	for (unsigned i = 0; i < r->sim.n_sites; i++) {
		struct node_peer *p;

		if (i == n || site(r, i) == r->revoked)
			continue;
		p = node_peer_of(site(r, i), site(r, n));
		if (p == NULL || p->serial != site(r, n)->cert_body.serial)
			world_fail(&r->sim.w, "gw%u does not have gw%u's new certificate", i, n);
	}
}

static void who_misses_whom(struct run *r)
{
	for (unsigned i = 0; i < r->sim.n_sites; i++) {
		for (unsigned j = 0; j < r->sim.n_sites; j++) {
			const struct node *n = site(r, j);
			struct lm_peer_info info = {0};
			char known[LM_ENDPOINT_STRLEN] = "-", true_one[LM_ENDPOINT_STRLEN];

			if (i == j || !lives(r, i) || !lives(r, j) || node_up(site(r, i), n, &info))
				continue;
			if (info.ann != NULL)
				(void)lm_endpoint_format(&info.ann->endpoints[0].ep, known);
			say(r,
			    "gw%u has no session with gw%u, which is at %s, knows it at %s, %u "
			    "tries",
			    i, j, lm_endpoint_format(&n->wan[0], true_one), known,
			    info.handshake_tries);
		}
	}
}

static void play(struct run *r, uint64_t seed, unsigned n_sites)
{
	struct world *w = &r->sim.w;

	sim_init(&r->sim, seed, n_sites);
	w->talk = r->sim.verbose;
	w->delay = 2 * LM_MSEC;
	w->jitter = 40 * LM_MSEC;
	w->loss = 50;
	w->duplicate = 20;
	for (unsigned i = 0; i < n_sites; i++) {
		struct lm_mesh_timers *t = &site(r, i)->timers;

		t->rekey = 5 * LM_SEC;
		t->reject = 20 * LM_SEC;
		t->overlap = 3 * LM_SEC;
	}
	for (unsigned i = 0; i < SIM_COORDS; i++)
		coordinator_start(&r->sim.coords[i]);
	for (unsigned i = 0; i < n_sites; i++) {
		site_start(&r->sim.sites[i]);
		world_pass(w, world_random(w, 200) * LM_MSEC);
	}
	if (!world_until(w, 15 * LM_SEC, all_up, r))
		world_fail(w, "not everybody found everybody in 15 s");
	say(r, "start: %u sites are up", n_sites);
	steady(r, r->rekeys, 10 * LM_SEC);
	chaos(r, 120 * LM_SEC);
	/* Two that were both restarted while the other was away have used up their tries and call
	 * an address that never answered again after a minute (FAULTS row 14). */
	if (!world_until(w, 75 * LM_SEC, all_up, r)) {
		who_misses_whom(r);
		world_fail(w, "not everybody found everybody again in 75 s");
	}
	say(r, "calm: everybody has everybody");
	world_pass(w, 20 * LM_SEC); /* those that disagreed on what happened agree */
	steady(r, 0, 30 * LM_SEC);
	revoked_is_out(r);
	renewed_is_known(r, 3);
	say(r, "%llu control datagrams lost, %llu repeated",
	    (unsigned long long)(w->lost - w->esp_lost),
	    (unsigned long long)(w->duplicated - w->esp_duplicated));
	sim_free(&r->sim);
}

void day_run(uint64_t seed, unsigned n_sites, unsigned long rekeys_wanted, bool verbose)
{
	struct run *r = calloc(1, sizeof(*r));

	if (r == NULL)
		abort();
	r->rekeys = rekeys_wanted;
	r->sim.verbose = verbose;
	play(r, seed, n_sites);
	free(r);
}
