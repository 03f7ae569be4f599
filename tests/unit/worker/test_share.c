/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * FAULTS row 37: a worker's time among peers, against a model of a worker with its receive queue.
 * Time is counted in nanoseconds of the model, so every run is alike.
 */
#include "../../../lib/worker/share.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define BURST  64
#define QUEUE  1024 /* descriptors */
#define PEERS  64
#define T_TAKE 45 /* ns for a packet up to the verdict; a loop costs the same once more */
#define T_OPEN 70 /* ns for the rest of one that passes, and */
#define T_BYTE 0.29

struct sender {
	unsigned len;
	double rate; /* packets a second offered */
	double credit;
	uint64_t offered, missed, cut, delivered;
};

struct model {
	struct lm_share share;
	bool asked;
	unsigned n;
	struct sender peer[PEERS];
	uint8_t queue[QUEUE];
	unsigned head, waiting;
	double now; /* ns */
};

static double cost(unsigned len)
{
	return T_TAKE + T_OPEN + T_BYTE * len;
}

static unsigned pick(unsigned n)
{
	static uint64_t x = 1;

	x = x * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(x >> 33) % n;
}

/* What arrives in so many ns, in random order; what the queue has no room for is lost there. */
static void arrive(struct model *m, double ns)
{
	unsigned due[PEERS], total = 0;

	for (unsigned i = 0; i < m->n; i++) {
		struct sender *s = &m->peer[i];

		s->credit += s->rate * ns / 1e9;
		due[i] = (unsigned)s->credit;
		s->credit -= due[i];
		s->offered += due[i];
		total += due[i];
	}
	for (; total > 0; total--) {
		unsigned at = pick(total), i = 0;

		while (at >= due[i])
			at -= due[i++];
		due[i]--;
		if (m->waiting == QUEUE)
			m->peer[i].missed++;
		else
			m->queue[(m->head + m->waiting++) % QUEUE] = (uint8_t)i;
	}
}

static void loop(struct model *m)
{
	unsigned n = m->waiting < BURST ? m->waiting : BURST;
	double ns = T_TAKE;

	for (unsigned k = 0; k < n; k++) {
		unsigned i = m->queue[m->head];
		struct sender *s = &m->peer[i];

		m->head = (m->head + 1) % QUEUE;
		if (m->asked && !lm_share_take(&m->share, i, s->len)) {
			s->cut++;
			ns += T_TAKE;
		} else {
			s->delivered++;
			ns += cost(s->len);
		}
	}
	m->waiting -= n;
	m->asked = lm_share_loop(&m->share, n == BURST ? n : 0);
	m->now += ns;
	arrive(m, ns);
}

static void run(struct model *m, double ms)
{
	double end = m->now + ms * 1e6;

	for (unsigned i = 0; i < m->n; i++)
		m->peer[i].offered = m->peer[i].missed = m->peer[i].cut = m->peer[i].delivered = 0;
	while (m->now < end)
		loop(m);
}

/* Peers of which each offers so much of what the worker can do. */
static void start(struct model *m, unsigned n, unsigned len, double part)
{
	*m = (struct model){.n = n};
	assert_int_equal(lm_share_init(&m->share, PEERS), 0);
	for (unsigned i = 0; i < n; i++)
		m->peer[i] = (struct sender){.len = len, .rate = part * 1e9 / cost(len)};
}

static double delivered(const struct model *m, unsigned i)
{
	return (double)m->peer[i].delivered / (double)m->peer[i].offered;
}

static uint64_t cuts(const struct model *m)
{
	uint64_t n = 0;

	for (unsigned i = 0; i < m->n; i++)
		n += m->peer[i].cut;
	return n;
}

/* One floods with ten times what each of the others sends, who send their fair share: they keep
 * 90 % of it. What share of time is left when the flood is thrown away is the fair share's base. */
static void one_floods(void **state)
{
	static const struct {
		unsigned n, len, flood_len;
	} cases[] = {{2, 1400, 1400}, {2, 576, 1400},  {2, 64, 1400},
		     {2, 1400, 64},   {4, 1400, 1400}, {16, 1400, 1400},
		     {16, 576, 576},  {16, 64, 64},    {64, 576, 576}};

	(void)state;
	for (unsigned c = 0; c < LM_ARRAY_SIZE(cases); c++) {
		unsigned n = cases[c].n;
		double worst = 1, flood, part;
		struct model m;

		/* 10 x + (n - 1) x of full cost, of which the flood's packets but x are thrown
		 * away: x is what each can have. */
		start(&m, n, cases[c].len, 1.0 / n);
		m.peer[0].len = cases[c].flood_len;
		flood = 10 * (1.0 / n) * 1e9 / cost(cases[c].flood_len);
		part = 1.0 / (1 + flood * T_TAKE / 1e9);
		for (unsigned i = 0; i < n; i++)
			m.peer[i].rate = part / n * 1e9 / cost(m.peer[i].len);
		m.peer[0].rate *= 10;
		run(&m, 200);
		run(&m, 200);
		for (unsigned i = 1; i < n; i++) {
			worst = delivered(&m, i) < worst ? delivered(&m, i) : worst;
			assert_true(m.peer[i].cut * 50 < m.peer[i].offered);
		}
		print_message("%u peers, %u bytes, flood of %u: worst victim %.3f of its share, "
			      "flooder %.3f of what it sends\n",
			      n, cases[c].len, cases[c].flood_len, worst, delivered(&m, 0));
		assert_true(worst >= 0.9);
		assert_true(m.peer[0].cut > 0);
		lm_share_free(&m.share);
	}
}

/* A peer with little traffic loses nothing at all beside a flood. */
static void little_traffic(void **state)
{
	struct model m;

	(void)state;
	start(&m, 2, 1400, 3);
	m.peer[1].len = 100;
	m.peer[1].rate = 2000;
	run(&m, 200);
	run(&m, 200);
	assert_true(m.peer[1].offered > 100);
	assert_int_equal(m.peer[1].cut, 0);
	assert_true(delivered(&m, 1) > 0.99);
	lm_share_free(&m.share);
}

/* Beside it, dropping the flood may fill the worker on its own: then cutting deeper wins nothing,
 * and the flooder, who may be an honest large site, keeps something. */
static void a_flood_that_nothing_empties(void **state)
{
	static const struct {
		unsigned len, times;
	} cases[] = {{64, 3}, {64, 6}, {576, 6}, {1400, 12}};

	(void)state;
	for (unsigned c = 0; c < LM_ARRAY_SIZE(cases); c++) {
		double goodput;
		struct model m;

		start(&m, 2, cases[c].len, cases[c].times);
		m.peer[1].rate = 2000;
		run(&m, 200);
		run(&m, 200);
		goodput = delivered(&m, 0) * cases[c].times;
		print_message("%u bytes, %u times what can be done: %.2f of it done, %.2f of the "
			      "other's\n",
			      cases[c].len, cases[c].times, goodput, delivered(&m, 1));
		assert_true(goodput > 0.1);
		assert_true(delivered(&m, 1) > 1.2 / cases[c].times);
		lm_share_free(&m.share);
	}
}

/* Overload by all alike: nothing is thrown away early, so what is carried is what can be. */
static void all_alike(void **state)
{
	(void)state;
	for (unsigned n = 1; n <= PEERS; n *= 4) {
		struct model m;

		start(&m, n, 576, 2.0 / n);
		run(&m, 200);
		assert_true(cuts(&m) * 1000 < m.peer[0].offered);
		lm_share_free(&m.share);
	}
}

/* Not overloaded: who sends most may. */
static void idle_capacity(void **state)
{
	struct model m;

	(void)state;
	start(&m, 4, 576, 0.02);
	m.peer[0].rate *= 40;
	run(&m, 200);
	assert_int_equal(cuts(&m), 0);
	for (unsigned i = 0; i < m.n; i++)
		assert_int_equal(m.peer[i].missed, 0);
	lm_share_free(&m.share);
}

/* A flood that ends is forgotten, as is one whose victim goes away. */
static void it_ends(void **state)
{
	struct model m;
	double flood;

	(void)state;
	start(&m, 2, 1400, 0.3);
	flood = m.peer[0].rate *= 6;
	run(&m, 200);
	assert_true(cuts(&m) > 0);
	m.peer[0].rate = flood / 6;
	run(&m, 200);
	run(&m, 200);
	assert_int_equal(cuts(&m), 0);
	assert_int_equal(m.share.state, LM_SHARE_OFF);
	m.peer[0].rate = flood;
	run(&m, 200);
	assert_true(cuts(&m) > 0);
	m.peer[1].rate = 0;
	run(&m, 200);
	run(&m, 200);
	assert_int_equal(cuts(&m), 0);
	lm_share_free(&m.share);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(one_floods),
	    cmocka_unit_test(little_traffic),
	    cmocka_unit_test(a_flood_that_nothing_empties),
	    cmocka_unit_test(all_alike),
	    cmocka_unit_test(idle_capacity),
	    cmocka_unit_test(it_ends),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
