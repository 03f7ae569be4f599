/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * lm_scale: how a mesh behaves as it grows. N gateways come up within some
 * seconds, learn of each other from coordinators, each finds its peers (all, or so
 * many), and they live for a while, perhaps with traffic. Prints what it took, for
 * each node. Expensive cryptography is replaced (cheap.c), but for lm_scale_real;
 * all of mesh, coord and trust is the real thing.
 */
#include "registry.h"

#include <getopt.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#define LOOK (100 * LM_MSEC)
#define PART (300 * LM_SEC) /* between reports of a long run */

struct scale {
	struct world w;
	unsigned n, peers; /* peers: of each; n - 1: a full mesh */
	lm_time boot, life;
	unsigned talks;	       /* packets a second of each node */
	bool on_demand;	       /* sessions for those only that have traffic */
	unsigned coordinators; /* 0: everybody hears of everybody at once */
	struct registry *registry;
	struct registry_sum directory; /* at the last mark */
	bool *peer;		       /* by how far it is in the ring */
	uint64_t rss_before;	       /* bytes */
	double cpu;		       /* at the last mark */
	uint64_t sent, bytes, done;
};

static double cpu_now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static uint64_t heap(void)
{
	struct mallinfo2 m = mallinfo2();

	return m.uordblks + m.hblkhd;
}

static double seconds(lm_time t)
{
	return (double)t / 1e9;
}

/* Node i's k-th peer: a ring of neighbours near and far, the same seen from both. */
static unsigned neighbour(const struct scale *s, unsigned i, unsigned k)
{
	unsigned step = k / 2 + 1;

	if (s->peers == s->n - 1)
		return (i + k + 1) % s->n;
	step += k / 2 * (s->n / (s->peers + 2));
	return k % 2 == 0 ? (i + step) % s->n : (i + s->n - step) % s->n;
}

static bool wanted(void *user, const struct node *a, const struct node *b)
{
	const struct scale *s = user;

	return s->peer[(b->number + s->n - a->number) % s->n];
}

static uint64_t sum(const struct scale *s, size_t offset)
{
	uint64_t all = 0;

	for (unsigned i = 0; i < s->n; i++)
		if (s->w.nodes[i]->mesh != NULL)
			all += *(
			    const uint64_t *)((const char *)lm_mesh_counters(s->w.nodes[i]->mesh) +
					      offset);
	return all;
}

#define SUM(s, counter) sum((s), offsetof(struct lm_mesh_counters, counter))

static uint64_t links_up(const struct scale *s)
{
	return SUM(s, sessions_up) - SUM(s, sessions_down);
}

static void mark(struct scale *s)
{
	s->cpu = cpu_now();
	s->sent = s->bytes = 0;
	for (unsigned i = 0; i < s->n; i++) {
		s->sent += s->w.nodes[i]->sent;
		s->bytes += s->w.nodes[i]->sent_bytes;
	}
	s->done = SUM(s, handshakes_done);
	if (s->registry != NULL)
		registry_sum(s->registry, &s->directory);
	s->cpu -= s->directory.cpu;
}

/* What happened since the mark, for each node. */
static void report(struct scale *s, const char *what, lm_time took)
{
	struct scale was = *s;
	double per = 1.0 / s->n, minutes = seconds(took) / 60;
	double sent, bytes;

	mark(s);
	sent = (double)(s->sent - was.sent) * per;
	bytes = (double)(s->bytes - was.bytes) * per;
	printf("%-9s %8.2f s: %.1f messages, %.0f bytes, %.1f handshakes, %.3f ms CPU; each "
	       "minute: %.1f messages, %.0f bytes\n",
	       what, seconds(took), sent, bytes, (double)(s->done - was.done) * per,
	       (s->cpu - was.cpu) * per * 1e3, sent / minutes, bytes / minutes);
	if (s->registry != NULL)
		printf("          directory: %.0f bytes to the node, %.0f from it, %.1f records; "
		       "coordinators: %.3f ms CPU a node\n",
		       (double)(s->directory.to_nodes - was.directory.to_nodes) * per,
		       (double)(s->directory.from_nodes - was.directory.from_nodes) * per,
		       (double)(s->directory.records - was.directory.records) * per,
		       (s->directory.cpu - was.directory.cpu) * per * 1e3);
	fflush(stdout);
}

static void make(struct scale *s, uint64_t seed)
{
	struct world *w = &s->w;

	world_init(w, seed);
	w->what = "lm_scale";
	w->delay = 5 * LM_MSEC;
	w->jitter = 30 * LM_MSEC;
	w->loss = 1;
	w->esp_may_miss = true;
	for (unsigned i = 0; i < s->n; i++) {
		struct node *n = world_node(w);

		n->max_peers = s->peers + 1;
		n->eager_peers = s->on_demand ? 1 : s->peers;
		n->lanes = 1;
	}
	s->peer = calloc(s->n, sizeof(s->peer[0]));
	world_must(w, s->peer != NULL);
	for (unsigned k = 0; k < s->peers; k++)
		s->peer[neighbour(s, 0, k)] = true;
	if (s->coordinators > 0)
		s->registry = registry_new(w, s->coordinators, wanted, s);
}

static void tell_directly(struct scale *s, unsigned i)
{
	struct node *n = s->w.nodes[i];

	for (unsigned k = 0; k < s->peers; k++) {
		struct node *other = s->w.nodes[neighbour(s, i, k)];

		if (other->mesh == NULL)
			continue;
		(void)node_tell(other, n);
		(void)node_tell(n, other);
	}
}

static void boot(struct scale *s)
{
	struct world *w = &s->w;

	for (unsigned i = 0; i < s->n; i++) {
		node_start(w->nodes[i]);
		if (s->registry != NULL)
			registry_join(s->registry, w->nodes[i]);
		else
			tell_directly(s, i);
		world_pass(w, s->boot / s->n);
	}
}

static void talk(struct scale *s)
{
	for (unsigned i = 0; i < s->n; i++)
		for (unsigned k = 0; k < s->talks; k++) {
			unsigned to = neighbour(s, i, world_random(&s->w, s->peers));

			(void)node_send_esp(s->w.nodes[i], s->w.nodes[to]);
		}
}

static void live(struct scale *s)
{
	lm_time began = s->w.now, end = began + s->life, part = began + PART;

	while (s->w.now < end) {
		talk(s);
		world_pass(&s->w, LM_SEC);
		if (s->w.now >= part && part < end) {
			struct scale so_far = *s;

			report(&so_far, "so far", s->w.now - began);
			part += PART;
		}
	}
}

static void run(struct scale *s, uint64_t seed)
{
	uint64_t all = (uint64_t)s->n * s->peers, most, mem;
	struct world *w = &s->w;
	lm_time began;

	printf("%u gateways, %u peers each, %u coordinators, %s\n", s->n, s->peers, s->coordinators,
	       s->talks > 0 ? "some traffic" : "no traffic");
	make(s, seed);
	mem = heap();
	mark(s);
	boot(s);
	report(s, "boot", s->boot);
	began = w->now;
	while (!s->on_demand && (most = links_up(s)) < all) {
		world_pass(w, LOOK);
		if (w->now - began > 300 * LM_SEC)
			world_fail(w, "%llu of %llu sessions are up after 300 s",
				   (unsigned long long)most, (unsigned long long)all);
	}
	report(s, "converge", w->now - began + 1);
	printf("memory: %.1f kB each node, %.2f kB each peer of it, the model of its data plane "
	       "included (%zu bytes)\n",
	       (double)(heap() - mem) / s->n / 1e3, (double)(heap() - mem) / (double)all / 1e3,
	       sizeof(struct node_peer) + sizeof(struct sa_in) + 16);
	mark(s);
	live(s);
	report(s, "live", s->life);
	printf("sessions that ended: %llu; refused: %llu by rate, %llu half open, cookies %llu; "
	       "most datagrams on their way: %zu; events %llu; trace %016llx\n",
	       (unsigned long long)SUM(s, sessions_down), (unsigned long long)SUM(s, rate_limited),
	       (unsigned long long)SUM(s, half_open_full), (unsigned long long)SUM(s, cookie_sent),
	       w->most_queue, (unsigned long long)w->events, (unsigned long long)w->trace);
	if (!s->on_demand && links_up(s) < all)
		world_fail(w, "%llu of %llu sessions are left", (unsigned long long)links_up(s),
			   (unsigned long long)all);
	if (s->registry != NULL)
		registry_free(s->registry);
	free(s->peer);
	world_free(w);
}

static void usage(FILE *f)
{
	fprintf(f, "usage: lm_scale [--nodes N] [--peers N] [--boot SECONDS] [--life SECONDS]\n"
		   "                [--talk PACKETS] [--seed N] [--on-demand] [--coordinators N]\n"
		   "N gateways; --peers 0: everybody with everybody; --coordinators 0: each hears\n"
		   "of the others at once, without any.\n");
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"nodes", required_argument, NULL, 'n'}, {"peers", required_argument, NULL, 'p'},
	    {"boot", required_argument, NULL, 'b'},  {"life", required_argument, NULL, 'l'},
	    {"talk", required_argument, NULL, 't'},  {"seed", required_argument, NULL, 's'},
	    {"on-demand", no_argument, NULL, 'd'},   {"coordinators", required_argument, NULL, 'c'},
	    {"help", no_argument, NULL, 'h'},	     {NULL, 0, NULL, 0},
	};
	struct scale *s = calloc(1, sizeof(*s));
	unsigned long seed = 1;
	int opt;

	if (s == NULL)
		return 1;
	s->n = 100;
	s->coordinators = 2;
	s->boot = 10 * LM_SEC;
	s->life = 120 * LM_SEC;
	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		unsigned long v = optarg != NULL ? strtoul(optarg, NULL, 0) : 0;

		if (opt == 'n')
			s->n = (unsigned)v;
		else if (opt == 'p')
			s->peers = (unsigned)v;
		else if (opt == 'b')
			s->boot = v * LM_SEC;
		else if (opt == 'l')
			s->life = v * LM_SEC;
		else if (opt == 't')
			s->talks = (unsigned)v;
		else if (opt == 'c')
			s->coordinators = (unsigned)v;
		else if (opt == 'd')
			s->on_demand = true;
		else if (opt == 's')
			seed = v;
		else {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (s->n < 3 || s->n > 30000 || s->peers >= s->n || s->life < LM_SEC ||
	    s->coordinators > 4) {
		usage(stderr);
		return 2;
	}
	if (s->peers == 0)
		s->peers = s->n - 1;
	run(s, seed);
	free(s);
	return 0;
}
