/* SPDX-License-Identifier: BSD-3-Clause */
#include "fwd_test.h"

#include <errno.h>
#include <stdlib.h>

#define OPS	 100000
#define RULES	 300
#define PROBES	 64
#define PEER_MAX 50

/* A list of rules, searched linearly: too slow to be wrong. */
struct model {
	struct {
		struct lm_prefix p;
		uint32_t peer;
	} rule[RULES];
	unsigned n;
};

static int model_find(const struct model *m, const struct lm_prefix *p)
{
	for (unsigned i = 0; i < m->n; i++)
		if (lm_prefix_equal(&m->rule[i].p, p))
			return (int)i;
	return -1;
}

static uint32_t model_lookup(const struct model *m, const struct lm_ip *ip)
{
	uint32_t peer = UINT32_MAX;
	int best = -1;

	for (unsigned i = 0; i < m->n; i++) {
		const struct lm_prefix *p = &m->rule[i].p;

		if (p->len > best && lm_prefix_contains(p, ip)) {
			best = p->len;
			peer = m->rule[i].peer;
		}
	}
	return peer;
}

/* Few distinct bytes, so that prefixes nest, share groups and split them again. */
static struct lm_ip random_ip(uint64_t *s, unsigned family)
{
	static const uint8_t bytes[] = {0, 1, 0x7f, 0x80, 0xff};
	struct lm_ip ip = {.family = (uint8_t)family};

	for (unsigned i = 0; i < (family == 4 ? 4 : 16); i++)
		ip.b[i] = bytes[rnd(s) % sizeof(bytes)];
	ip.b[0] = family == 4 ? 10 : 0xfd;
	if (rnd(s) % 4 == 0)
		ip.b[family == 4 ? 3 : 15] = (uint8_t)rnd(s);
	return ip;
}

static void check_bursts(const struct lm_fwd *f, const struct model *m, uint64_t *s,
			 unsigned family)
{
	const struct lm_adj *adjs = lm_fwd_adjs(f);
	struct lm_ip ips[PROBES];
	const uint8_t *dst6[PROBES];
	uint32_t dst4[PROBES], slot[PROBES];
	unsigned n = 1 + (unsigned)(rnd(s) % PROBES);

	for (unsigned i = 0; i < n; i++) {
		ips[i] = random_ip(s, family);
		/* next to and inside rules */
		if (m->n > 0 && rnd(s) % 2 == 0) {
			ips[i] = m->rule[rnd(s) % m->n].p.ip;
			ips[i].b[family == 4 ? 3 : 15] ^= (uint8_t)(rnd(s) % 3);
		}
		dst4[i] = host4(&ips[i]);
		dst6[i] = ips[i].b;
	}
	if (family == 4)
		lm_fwd_lookup4(f, dst4, slot, n);
	else
		lm_fwd_lookup6(f, dst6, slot, n);
	for (unsigned i = 0; i < n; i++) {
		uint32_t want = model_lookup(m, &ips[i]);

		assert_int_equal(adjs[slot[i]].kind,
				 want == UINT32_MAX ? LM_ROUTE_NONE : LM_ROUTE_PEER);
		assert_int_equal(adjs[slot[i]].peer, want);
	}
}

static void against_model(unsigned family, uint64_t seed)
{
	struct lm_fwd_config cfg = {.max_routes4 = RULES, .max_routes6 = 4 * RULES}; /* groups */
	struct model *m = calloc(1, sizeof(*m));
	struct lm_fwd *f;
	uint64_t s = seed;

	assert_non_null(m);
	assert_int_equal(lm_fwd_create(&cfg, &f, NULL), 0);
	for (unsigned op = 0; op < OPS; op++) {
		struct lm_ip ip = random_ip(&s, family);
		/* /0 is rare; long ones are more frequent, for they use groups */
		unsigned bits = family == 4 ? 32 : 128;
		unsigned len = rnd(&s) % 3 ? bits - (unsigned)(rnd(&s) % (bits - 7))
					   : bits - (unsigned)(rnd(&s) % 17);
		struct lm_prefix p = lm_prefix_of(&ip, rnd(&s) % 500 == 0 ? 0 : len);
		int at = model_find(m, &p);

		/* half of the removals aim at what exists */
		if (rnd(&s) % 2 == 0) {
			if (m->n > 0 && rnd(&s) % 2 == 0)
				p = m->rule[at = (int)(rnd(&s) % m->n)].p;
			assert_int_equal(lm_fwd_route_del(f, &p), at < 0 ? -ENOENT : 0);
			if (at >= 0)
				m->rule[at] = m->rule[--m->n];
		} else if (at >= 0 || m->n < RULES) {
			struct lm_route r = to_peer((uint32_t)(rnd(&s) % PEER_MAX));

			assert_int_equal(lm_fwd_route_set(f, &p, &r), 0);
			if (at < 0)
				at = (int)m->n++;
			m->rule[at].p = p;
			m->rule[at].peer = r.peer;
		}
		if (op % 32 == 0)
			check_bursts(f, m, &s, family);
		if (op % 1000 == 0)
			lm_fwd_quiesce(f);
	}
	assert_int_equal(lm_fwd_route_count(f), m->n);
	while (m->n > 0)
		assert_int_equal(lm_fwd_route_del(f, &m->rule[--m->n].p), 0);
	lm_fwd_quiesce(f);
	assert_int_equal(f->lpm4.n_groups + f->lpm6.n_groups + f->adj.used, 0);
	check_bursts(f, m, &s, family);
	lm_fwd_free(f);
	free(m);
}

static void model4(void **state)
{
	(void)state;
	against_model(4, 0x1234567);
}

static void model6(void **state)
{
	(void)state;
	against_model(6, 0x7654321);
}

static void kinds_and_sharing(void **state)
{
	struct lm_fwd_config cfg = {0};
	struct lm_prefix a = prefix("10.1.0.0/24"), b = prefix("10.1.0.7/32"),
			 c = prefix("fd00:1::/64");
	struct lm_route peer = to_peer(9);
	struct lm_route nb = {
	    .kind = LM_ROUTE_NEIGHBOUR, .port = 3, .mac = {{2, 0, 0, 0, 0, 1}}, .peer = 77};
	struct lm_route con = {.kind = LM_ROUTE_CONNECTED, .port = 2};
	const struct lm_adj *adjs;
	struct lm_fwd *f;

	(void)state;
	assert_int_equal(lm_ip_parse("10.1.0.254", &con.via), 0);
	assert_int_equal(lm_fwd_create(&cfg, &f, NULL), 0);
	adjs = lm_fwd_adjs(f);
	assert_int_equal(lm_fwd_route_set(f, &a, &peer), 0);
	assert_int_equal(lm_fwd_route_set(f, &c, &peer), 0);
	assert_int_equal(lookup_text(f, "10.1.0.1"), lookup_text(f, "fd00:1::1"));
	assert_int_equal(adjs[lookup_text(f, "10.1.0.1")].peer, 9);
	assert_int_equal(lookup_text(f, "10.1.1.0"), LM_ADJ_NONE);
	assert_int_equal(lm_fwd_route_set(f, &b, &nb), 0);
	assert_int_equal(adjs[lookup_text(f, "10.1.0.7")].kind, LM_ROUTE_NEIGHBOUR);
	assert_int_equal(adjs[lookup_text(f, "10.1.0.7")].peer, UINT32_MAX);
	assert_int_equal(adjs[lookup_text(f, "10.1.0.7")].port, 3);
	assert_memory_equal(&adjs[lookup_text(f, "10.1.0.7")].mac, &nb.mac, 6);
	assert_int_equal(adjs[lookup_text(f, "10.1.0.6")].peer, 9);
	/* a field that the kind does not use makes no second next hop */
	nb.peer = 78;
	assert_int_equal(lm_fwd_route_set(f, &c, &nb), 0);
	assert_int_equal(f->adj.used, 2);
	assert_int_equal(lookup_text(f, "10.1.0.7"), lookup_text(f, "fd00:1::"));
	assert_int_equal(lm_fwd_route_set(f, &a, &con), 0);
	assert_int_equal(adjs[lookup_text(f, "10.1.0.9")].kind, LM_ROUTE_CONNECTED);
	assert_int_equal(adjs[lookup_text(f, "10.1.0.9")].port, 2);
	assert_true(lm_ip_equal(&adjs[lookup_text(f, "10.1.0.9")].via, &con.via));
	/* the same again changes nothing */
	assert_int_equal(lm_fwd_route_set(f, &a, &con), 0);
	assert_int_equal(lm_fwd_route_count(f), 3);
	lm_fwd_free(f);
}

static void default_routes(void **state)
{
	struct lm_fwd_config cfg = {0};
	struct lm_prefix all4 = prefix("0.0.0.0/0"), all6 = prefix("::/0"),
			 one = prefix("10.0.0.0/8");
	struct lm_route r4 = to_peer(4), r6 = to_peer(6), r10 = to_peer(10);
	const struct lm_adj *adjs;
	struct lm_fwd *f;

	(void)state;
	assert_int_equal(lm_fwd_create(&cfg, &f, NULL), 0);
	adjs = lm_fwd_adjs(f);
	assert_int_equal(lm_fwd_route_set(f, &one, &r10), 0);
	assert_int_equal(lm_fwd_route_set(f, &all4, &r4), 0);
	assert_int_equal(lm_fwd_route_set(f, &all6, &r6), 0);
	assert_int_equal(adjs[lookup_text(f, "192.0.2.1")].peer, 4);
	assert_int_equal(adjs[lookup_text(f, "2001:db8::1")].peer, 6);
	assert_int_equal(adjs[lookup_text(f, "10.9.9.9")].peer, 10);
	assert_int_equal(lm_fwd_route_del(f, &one), 0);
	assert_int_equal(adjs[lookup_text(f, "10.9.9.9")].peer, 4);
	assert_int_equal(lm_fwd_route_del(f, &all4), 0);
	assert_int_equal(lookup_text(f, "10.9.9.9"), LM_ADJ_NONE);
	assert_int_equal(lm_fwd_route_del(f, &all4), -ENOENT);
	assert_int_equal(adjs[lookup_text(f, "2001:db8::1")].peer, 6);
	lm_fwd_free(f);
}

static void refusals(void **state)
{
	struct lm_fwd_config cfg = {.max_routes4 = 4, .max_routes6 = 2}, big = {.max_routes4 = ~0u};
	struct lm_prefix p = prefix("10.0.0.0/24"), bad = p, six = prefix("fd00::/64");
	struct lm_route r = to_peer(1), none = {.kind = LM_ROUTE_NONE}, nobody = to_peer(~0u);
	struct lm_error err;
	struct lm_fwd *f;

	(void)state;
	assert_int_equal(lm_fwd_create(&big, &f, &err), -EINVAL);
	assert_non_null(strstr(err.text, "at most"));
	assert_int_equal(lm_fwd_create(&cfg, &f, &err), 0);
	bad.ip.b[3] = 1; /* host bits */
	assert_int_equal(lm_fwd_route_set(f, &bad, &r), -EINVAL);
	assert_int_equal(lm_fwd_route_del(f, &bad), -ENOENT);
	bad = (struct lm_prefix){0};
	assert_int_equal(lm_fwd_route_set(f, &bad, &r), -EINVAL);
	assert_int_equal(lm_fwd_route_set(f, &p, &none), -EINVAL);
	assert_int_equal(lm_fwd_route_set(f, &p, &nobody), -EINVAL);
	for (unsigned i = 0; i < 4; i++, p.ip.b[1]++)
		assert_int_equal(lm_fwd_route_set(f, &p, &r), 0);
	assert_int_equal(lm_fwd_route_set(f, &p, &r), -ENOSPC);
	assert_int_equal(lookup(f, &p.ip), LM_ADJ_NONE);
	assert_int_equal(lm_fwd_route_count(f), 4);
	assert_int_equal(lm_fwd_route_set(f, &six, &r), 0);
	p.ip.b[1]--;
	r.peer = 2; /* replacing works in a full table */
	assert_int_equal(lm_fwd_route_set(f, &p, &r), 0);
	assert_int_equal(lm_fwd_adjs(f)[lookup(f, &p.ip)].peer, 2);
	lm_fwd_free(f);
}

/* Every IPv6 group in use: the next long prefix is refused whole, and fits again after removals. */
static void groups_run_out(void **state)
{
	struct lm_fwd_config cfg = {.max_routes4 = 1, .max_routes6 = 256};
	struct lm_prefix p = prefix("fd00::1/128");
	uint32_t before;
	struct lm_route r = to_peer(1);
	unsigned n = 0;
	struct lm_fwd *f;
	int rc;

	(void)state;
	assert_int_equal(lm_fwd_create(&cfg, &f, NULL), 0);
	do {
		before = f->lpm6.n_groups;
		p.ip.b[1] = (uint8_t)++n;
		rc = lm_fwd_route_set(f, &p, &r);
	} while (rc == 0 && n < 255);
	assert_int_equal(rc, -ENOSPC);
	assert_int_equal(f->lpm6.n_groups, before);
	assert_int_equal(f->lpm6.n_rules, n - 1);
	assert_int_equal(f->adj.used, 1);
	assert_int_equal(lookup(f, &p.ip), LM_ADJ_NONE);
	p.ip.b[1] = 1;
	assert_int_equal(lm_fwd_route_del(f, &p), 0);
	p.ip.b[1] = (uint8_t)n; /* takes over what was set aside: no explicit quiesce */
	assert_int_equal(lm_fwd_route_set(f, &p, &r), 0);
	assert_int_equal(lm_fwd_adjs(f)[lookup(f, &p.ip)].peer, 1);
	lm_fwd_free(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(model4),
	    cmocka_unit_test(model6),
	    cmocka_unit_test(kinds_and_sharing),
	    cmocka_unit_test(default_routes),
	    cmocka_unit_test(refusals),
	    cmocka_unit_test(groups_run_out),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
