/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Routes come and go while readers look up. Prefix k only ever leads to peers
 * that are k modulo PREFIXES, or when it is away to the covering route's peer; so
 * a slot or group that is used again too early shows up as a foreign peer.
 */
#include "fwd_test.h"

#include <pthread.h>
#include <rte_pause.h>
#include <rte_rcu_qsbr.h>
#include <sched.h>
#include <stdlib.h>

#define PREFIXES 61
#define COVER	 (PREFIXES * 1000000u)
#define READERS	 2
#define CHANGES	 20000
#define BURST	 32

struct shared {
	struct lm_fwd *f;
	struct rte_rcu_qsbr *qsbr;
	uint32_t stop, wrong; /* atomic */
	uint64_t lookups;     /* atomic */
};

struct reader {
	struct shared *sh;
	unsigned id;
};

static void make_address(struct lm_ip *ip, unsigned k, uint64_t *s)
{
	memset(ip, 0, sizeof(*ip));
	if (k % 2 == 0) { /* 10.0.k.64/26 */
		ip->family = 4;
		memcpy(ip->b, (uint8_t[]){10, 0, (uint8_t)k, (uint8_t)(64 | (rnd(s) & 63))}, 4);
	} else { /* fd00:0:k::/64 */
		ip->family = 6;
		ip->b[0] = 0xfd;
		ip->b[5] = (uint8_t)k;
		ip->b[15] = (uint8_t)rnd(s);
	}
}

static struct lm_prefix make_prefix(unsigned k)
{
	uint64_t s = 1;
	struct lm_ip ip;

	make_address(&ip, k, &s);
	return lm_prefix_of(&ip, k % 2 == 0 ? 26 : 64);
}

static void read_burst(struct shared *sh, uint64_t *s)
{
	const struct lm_adj *adjs = lm_fwd_adjs(sh->f);
	uint32_t dst4[BURST], slot[BURST];
	const uint8_t *dst6[BURST];
	struct lm_ip ips[BURST];
	unsigned k[BURST], odd = rnd(s) % 2;

	for (unsigned i = 0; i < BURST; i++) {
		k[i] = (unsigned)(rnd(s) % (PREFIXES / 2)) * 2 + odd;
		make_address(&ips[i], k[i], s);
		dst4[i] = host4(&ips[i]);
		dst6[i] = ips[i].b;
	}
	if (odd == 0)
		lm_fwd_lookup4(sh->f, dst4, slot, BURST);
	else
		lm_fwd_lookup6(sh->f, dst6, slot, BURST);
	/* a slow packet: time enough for the writer to do harm */
	sched_yield();
	for (unsigned i = 0; i < BURST; i++) {
		const struct lm_adj *a = &adjs[slot[i]];

		if (a->kind != LM_ROUTE_PEER || (a->peer != COVER && a->peer % PREFIXES != k[i]))
			__atomic_fetch_add(&sh->wrong, 1, __ATOMIC_RELAXED);
	}
}

static void *reader_main(void *arg)
{
	struct reader *r = arg;
	uint64_t s = 99 + r->id, n = 0;

	rte_rcu_qsbr_thread_register(r->sh->qsbr, r->id);
	rte_rcu_qsbr_thread_online(r->sh->qsbr, r->id);
	while (!__atomic_load_n(&r->sh->stop, __ATOMIC_RELAXED)) {
		read_burst(r->sh, &s);
		n += BURST;
		rte_rcu_qsbr_quiescent(r->sh->qsbr, r->id);
	}
	rte_rcu_qsbr_thread_offline(r->sh->qsbr, r->id);
	rte_rcu_qsbr_thread_unregister(r->sh->qsbr, r->id);
	__atomic_fetch_add(&r->sh->lookups, n, __ATOMIC_RELAXED);
	return NULL;
}

static void churn(struct shared *sh)
{
	uint64_t s = 5;

	for (uint32_t i = 0; i < CHANGES; i++) {
		unsigned k = (unsigned)(rnd(&s) % (PREFIXES - 1));
		struct lm_prefix p = make_prefix(k);
		struct lm_route r = to_peer(k + PREFIXES * (1 + (uint32_t)(rnd(&s) % 1000)));

		if (rnd(&s) % 3 == 0)
			(void)lm_fwd_route_del(sh->f, &p);
		else
			assert_int_equal(lm_fwd_route_set(sh->f, &p, &r), 0);
		/* small batches, so that slots and groups are soon used again */
		if (i % 4 == 0)
			lm_fwd_quiesce(sh->f);
	}
}

static void change_under_readers(void **state)
{
	struct lm_fwd_config cfg = {.max_routes4 = PREFIXES, .max_routes6 = PREFIXES};
	struct lm_prefix all4 = prefix("10.0.0.0/8"), all6 = prefix("fd00::/8");
	struct lm_route cover = to_peer(COVER);
	struct shared sh = {0};
	struct reader r[READERS];
	pthread_t t[READERS];
	size_t size = rte_rcu_qsbr_get_memsize(READERS);

	(void)state;
	sh.qsbr = aligned_alloc(64, (size + 63) / 64 * 64);
	assert_non_null(sh.qsbr);
	assert_int_equal(rte_rcu_qsbr_init(sh.qsbr, READERS), 0);
	cfg.qsbr = sh.qsbr;
	assert_int_equal(lm_fwd_create(&cfg, &sh.f, NULL), 0);
	assert_int_equal(lm_fwd_route_set(sh.f, &all4, &cover), 0);
	assert_int_equal(lm_fwd_route_set(sh.f, &all6, &cover), 0);
	for (unsigned i = 0; i < READERS; i++) {
		r[i] = (struct reader){.sh = &sh, .id = i};
		assert_int_equal(pthread_create(&t[i], NULL, reader_main, &r[i]), 0);
	}
	churn(&sh);
	__atomic_store_n(&sh.stop, 1, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < READERS; i++)
		pthread_join(t[i], NULL);
	print_message("%u changes under %lu lookups\n", CHANGES, (unsigned long)sh.lookups);
	assert_true(sh.lookups > 0);
	assert_int_equal(sh.wrong, 0);
	lm_fwd_free(sh.f);
	free(sh.qsbr);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(change_under_readers)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
