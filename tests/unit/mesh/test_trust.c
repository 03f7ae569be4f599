/* SPDX-License-Identifier: BSD-3-Clause */
/* Who is let in, for how long, and what clocks have to do with it. */
#include "pair.h"

#include <errno.h>
#include <lanemesh/noise.h>
#include <stdlib.h>

/* A message 1 by hand: any static key, any certificate, any hello. */
static struct datagram craft(struct pair *p, const struct lm_identity *id, const uint8_t *cert,
			     size_t cert_len, uint32_t clear_spi, uint32_t hello_spi)
{
	static const char prologue[] = "lanemesh 1\0testmesh";
	struct lm_hello h = {.spi_base = hello_spi, .lanes = 1, .cert = cert, .cert_len = cert_len};
	uint8_t payload[LM_INIT_PAYLOAD_LEN], e[32], key[32], psk[32] = {0};
	struct datagram d = {.from = p->a->wan[0], .to = p->b->wan[0], .len = LM_INIT_LEN};
	struct lm_noise ns;

	world_random_bytes(&p->w, e, sizeof(e));
	assert_int_equal(lm_hello_encode(&h, payload, sizeof(payload), sizeof(payload)),
			 sizeof(payload));
	lm_noise_init(&ns, true, id->x_secret, id->x_public, e, p->b->id->x_public, psk, prologue,
		      sizeof(prologue) - 1);
	lm_msg_init_header(d.data, clear_spi);
	assert_int_equal(lm_noise_write(&ns, payload, sizeof(payload), d.data + LM_INIT_NOISE_OFF),
			 0);
	lm_mac1_key(p->b->id->x_public, key);
	lm_mac1(key, d.data, LM_INIT_MACED, d.data + LM_INIT_LEN - 32);
	return d;
}

static void give(struct pair *p, const struct datagram *d)
{
	lm_mesh_datagram(p->b->mesh, world_now(&p->w, p->b), &(struct lm_path){.remote = d->from},
			 d->data, d->len);
	world_pass(&p->w, 300 * LM_MSEC);
}

static void test_strangers(void **state)
{
	const uint32_t spi = 0x80001240;
	uint8_t other_seed[32] = {7}, bad[LM_CERT_MAX];
	struct lm_identity *other = lm_identity_from_seed(other_seed);
	struct lm_cert was;
	struct datagram d;
	struct pair p;

	(void)state;
	assert_non_null(other);
	pair_begin(&p, 1);
	node_start(p.b);
	/* ours is well made */
	d = craft(&p, p.a->id, p.a->cert, p.a->cert_len, spi, spi);
	give(&p, &d);
	assert_int_equal(p.b->sent, 1);
	/* another's certificate */
	d = craft(&p, other, p.a->cert, p.a->cert_len, spi, spi);
	give(&p, &d);
	assert_int_equal(counters(p.b)->cert_refused[LM_WRONG_NODE], 1);
	/* the responder's own */
	d = craft(&p, p.b->id, p.b->cert, p.b->cert_len, spi, spi);
	give(&p, &d);
	assert_int_equal(counters(p.b)->cert_refused[LM_WRONG_NODE], 2);
	/* none */
	d = craft(&p, p.a->id, bad, 0, spi, spi);
	give(&p, &d);
	assert_int_equal(counters(p.b)->cert_refused[LM_BAD_ENCODING] + counters(p.b)->malformed,
			 1);
	/* changed after signing: a longer life */
	memcpy(bad, p.a->cert, p.a->cert_len);
	bad[p.a->cert_len - 1] ^= 1;
	d = craft(&p, p.a->id, bad, p.a->cert_len, spi, spi);
	give(&p, &d);
	assert_int_equal(counters(p.b)->cert_refused[LM_BAD_SIGNATURE], 1);
	/* SPI in the clear and sealed differ */
	d = craft(&p, p.a->id, p.a->cert, p.a->cert_len, spi, spi + 64);
	give(&p, &d);
	/* another authority's */
	node_sign(p.a, other);
	d = craft(&p, p.a->id, p.a->cert, p.a->cert_len, spi, spi);
	give(&p, &d);
	assert_int_equal(counters(p.b)->cert_refused[LM_UNKNOWN_AUTHORITY], 1);
	/* expired, not yet valid */
	was = p.a->cert_body;
	p.a->cert_body.not_after = WORLD_WALL - LM_TRUST_GRACE - 10;
	node_sign(p.a, p.w.authority);
	d = craft(&p, p.a->id, p.a->cert, p.a->cert_len, spi, spi);
	give(&p, &d);
	assert_int_equal(counters(p.b)->cert_refused[LM_EXPIRED], 1);
	p.a->cert_body = was;
	p.a->cert_body.not_before = WORLD_WALL + LM_TRUST_GRACE + 100;
	node_sign(p.a, p.w.authority);
	d = craft(&p, p.a->id, p.a->cert, p.a->cert_len, spi, spi);
	give(&p, &d);
	assert_int_equal(counters(p.b)->cert_refused[LM_NOT_YET_VALID], 1);
	/* nobody of these was answered or is known */
	assert_int_equal(p.b->sent, 1);
	assert_null(node_peer_of(p.b, p.a));
	lm_identity_free(other);
	world_free(&p.w);
}

/* A record that a hostile coordinator changed, any byte of it. */
static void test_records(void **state)
{
	uint8_t cert[LM_CERT_MAX], ann[LM_ANNOUNCE_MAX];
	unsigned refused = 0;
	struct pair p;

	(void)state;
	pair_begin(&p, 2);
	node_start(p.a);
	node_start(p.b);
	for (size_t i = 0; i < p.a->cert_len; i++) {
		memcpy(cert, p.a->cert, p.a->cert_len);
		cert[i] ^= (uint8_t)(1u << (i % 8));
		refused += lm_mesh_record(p.b->mesh, world_now(&p.w, p.b), cert, p.a->cert_len,
					  p.a->ann, p.a->ann_len) != LM_TRUSTED;
	}
	assert_int_equal(refused, p.a->cert_len);
	assert_null(node_peer_of(p.b, p.a));
	for (size_t i = 0; i < p.a->ann_len; i++) {
		memcpy(ann, p.a->ann, p.a->ann_len);
		ann[i] ^= (uint8_t)(1u << (i % 8));
		(void)lm_mesh_record(p.b->mesh, world_now(&p.w, p.b), p.a->cert, p.a->cert_len, ann,
				     p.a->ann_len);
		assert_null(({
			struct lm_peer_info info;
			(void)node_up(p.b, p.a, &info);
			info.ann;
		}));
	}
	assert_int_equal(node_tell(p.a, p.b), LM_TRUSTED);
	/* b's certificate with a's announcement */
	assert_int_equal(lm_mesh_record(p.a->mesh, world_now(&p.w, p.a), p.b->cert, p.b->cert_len,
					p.a->ann, p.a->ann_len),
			 LM_WRONG_NODE);
	assert_true(world_until(&p.w, 5 * LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

/* A coordinator shows us our own record while our clock says that it has run out. */
static void test_own_record(void **state)
{
	struct lm_peer_info info;
	struct pair p;

	(void)state;
	pair_begin(&p, 20);
	node_start(p.a);
	p.a->skew = 60 * 86400;
	assert_int_equal(lm_mesh_record(p.a->mesh, world_now(&p.w, p.a), p.a->cert, p.a->cert_len,
					p.a->ann, p.a->ann_len),
			 LM_EXPIRED);
	p.a->skew = 0;
	world_pass(&p.w, 60 * LM_SEC); /* judged again, it would be a peer */
	assert_false(lm_mesh_peer(p.a->mesh, 0, &info));
	world_free(&p.w);
}

static void test_expiry(void **state)
{
	struct pair p;

	(void)state;
	pair_begin(&p, 3);
	p.w.esp_may_miss = true;
	p.b->cert_body.not_after = WORLD_WALL - LM_TRUST_GRACE + 100;
	node_sign(p.b, p.w.authority);
	pair_connect(&p);
	world_run(&p.w, WORLD_START + 99 * LM_SEC);
	assert_true(pair_up(&p));
	world_run(&p.w, WORLD_START + 162 * LM_SEC);
	assert_false(node_up(p.a, p.b, NULL));
	assert_int_equal(node_sas(p.a), 0);
	assert_null(node_peer_of(p.a, p.b));
	world_pass(&p.w, 60 * LM_SEC);
	assert_false(node_up(p.a, p.b, NULL));
	assert_true(counters(p.a)->cert_refused[LM_EXPIRED] > 0);
	/* a new one helps */
	node_stop(p.b, false);
	p.b->cert_body.not_after += 86400;
	p.b->cert_body.serial++;
	p.b->cert_body.not_before++;
	node_sign(p.b, p.w.authority);
	node_start(p.b);
	(void)node_tell(p.a, p.b);
	assert_true(world_until(&p.w, 3 * LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

static void test_revoked(void **state)
{
	(void)state;
	for (int by_serial = 0; by_serial < 2; by_serial++) {
		uint8_t list[512], older[512];
		size_t older_len;
		struct pair p;

		pair_begin(&p, 4);
		p.w.esp_may_miss = true;
		pair_connect(&p);
		older_len = world_revoke(&p.w, NULL, 999, older, sizeof(older));
		assert_true(pair_up(&p));
		(void)world_revoke(&p.w, by_serial ? NULL : p.b, p.b->cert_body.serial, list,
				   sizeof(list));
		assert_false(node_up(p.a, p.b, NULL));
		assert_int_equal(node_sas(p.a), 0);
		assert_null(node_peer_of(p.a, p.b));
		assert_int_equal(p.a->revocations, 2);
		assert_int_equal(
		    lm_mesh_revocation(p.a->mesh, world_now(&p.w, p.a), older, older_len),
		    LM_OLDER);
		world_pass(&p.w, 30 * LM_SEC);
		node_stop(p.b, false);
		node_start(p.b);
		(void)node_tell(p.a, p.b);
		world_pass(&p.w, 30 * LM_SEC);
		assert_null(node_peer_of(p.a, p.b));
		assert_int_equal(node_tell(p.b, p.a), LM_REVOKED);
		assert_true(counters(p.a)->cert_refused[LM_REVOKED] > 0);
		world_free(&p.w);
	}
}

/* The one that we call answers with a certificate that is none here. */
static void test_responder(void **state)
{
	uint8_t seed[32] = {11}, good[LM_CERT_MAX];
	struct lm_identity *other = lm_identity_from_seed(seed);
	size_t good_len;
	struct pair p;

	(void)state;
	assert_non_null(other);
	pair_begin(&p, 11);
	good_len = p.b->cert_len;
	memcpy(good, p.b->cert, good_len);
	p.b->authorities.n = 2;
	memcpy(p.b->authorities.keys[1], other->ed_public, LM_KEY_LEN);
	node_sign(p.b, other);
	node_start(p.a);
	node_start(p.b);
	assert_int_equal(
	    lm_mesh_record(p.a->mesh, world_now(&p.w, p.a), good, good_len, p.b->ann, p.b->ann_len),
	    LM_TRUSTED);
	world_pass(&p.w, 10 * LM_SEC);
	assert_true(counters(p.a)->cert_refused[LM_UNKNOWN_AUTHORITY] > 0);
	assert_false(node_up(p.a, p.b, NULL));
	assert_int_equal(p.a->sas_added, 0);
	lm_identity_free(other);
	world_free(&p.w);
}

/* An older certificate, which held more, does not come back in place of the newer one. */
static void test_older(void **state)
{
	uint8_t older[LM_CERT_MAX];
	size_t older_len;
	struct pair p;

	(void)state;
	pair_begin(&p, 12);
	p.b->cert_body.prefixes[p.b->cert_body.n_prefixes++] =
	    (struct lm_prefix){{4, {172, 20, 0, 0}}, 16};
	node_sign(p.b, p.w.authority);
	older_len = p.b->cert_len;
	memcpy(older, p.b->cert, older_len);
	p.b->cert_body.n_prefixes--;
	p.b->cert_body.serial++;
	node_sign(p.b, p.w.authority);
	pair_connect(&p);
	assert_int_equal(lm_mesh_record(p.a->mesh, world_now(&p.w, p.a), older, older_len, NULL, 0),
			 LM_TRUSTED);
	assert_int_equal(node_peer_of(p.a, p.b)->n_prefixes, 1);
	/* the other way round the newer one is taken */
	p.b->cert_body.serial++;
	p.b->cert_body.n_prefixes++;
	node_sign(p.b, p.w.authority);
	assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
	assert_int_equal(node_peer_of(p.a, p.b)->n_prefixes, 2);
	world_free(&p.w);
}

/* FAULTS row 16. */
static void test_clocks(void **state)
{
	const int64_t skews[] = {-3600, 3600};
	struct pair p;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(skews); i++) {
		pair_begin(&p, 5 + i);
		p.a->cert_body.not_before = WORLD_WALL; /* signed just now */
		node_sign(p.a, p.w.authority);
		p.b->skew = skews[i];
		p.b->cert_body.not_before = WORLD_WALL - 7200;
		node_sign(p.b, p.w.authority);
		pair_connect(&p);
		world_free(&p.w);
	}
	for (int which = 0; which < 2; which++) {
		pair_begin(&p, 8);
		p.w.esp_may_miss = true;
		pair_connect(&p);
		/* 2100, or 1970 */
		p.b->skew = which ? -WORLD_WALL : 4102444800 - WORLD_WALL;
		world_pass(&p.w, 10 * LM_SEC);
		assert_false(node_up(p.b, p.a, NULL));
		world_pass(&p.w, 600 * LM_SEC);
		p.b->skew = 0;
		assert_true(world_until(&p.w, 10 * LM_SEC, pair_up_cond, &p));
		world_free(&p.w);
	}
	/* records heard while the clock was wrong count once it is right */
	pair_begin(&p, 9);
	node_start(p.a);
	node_start(p.b);
	p.b->skew = -WORLD_WALL;
	assert_int_equal(node_tell(p.a, p.b), LM_NOT_YET_VALID);
	world_pass(&p.w, 20 * LM_SEC);
	assert_null(node_peer_of(p.b, p.a));
	assert_int_equal(p.b->sent, 0);
	p.b->skew = 0;
	assert_true(world_until(&p.w, 10 * LM_SEC, pair_up_cond, &p));
	world_free(&p.w);
}

/* With the certificate that the node has now; prefixes: one, or NULL for all. */
static int reconfigure(struct world *w, struct node *n, const struct lm_authorities *au,
		       const struct lm_prefix *prefix, struct lm_error *err)
{
	const struct lm_mesh_change change = {
	    .authorities = au,
	    .cert = n->cert,
	    .cert_len = n->cert_len,
	    .prefixes = prefix,
	    .n_prefixes = prefix != NULL,
	};

	return lm_mesh_reconfigure(n->mesh, world_now(w, n), &change, err);
}

/* A renewed certificate, with one more prefix, is taken without a new session; another node's, or
 * one with other overlay addresses, is not. */
static void test_renewed(void **state)
{
	struct lm_identity *old;
	struct lm_error err;
	struct lm_cert before;
	struct pair p;

	(void)state;
	pair_begin(&p, 11);
	pair_connect(&p);
	before = p.a->cert_body;
	p.a->cert_body.overlays[0].b[3] ^= 0x40;
	node_sign(p.a, p.w.authority);
	assert_int_equal(reconfigure(&p.w, p.a, &p.a->authorities, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "overlay"));
	p.a->cert_body = before;
	old = p.a->id;
	p.a->id = p.b->id;
	node_sign(p.a, p.w.authority);
	assert_int_equal(reconfigure(&p.w, p.a, &p.a->authorities, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "another key"));
	p.a->id = old;

	p.a->cert_body.not_before++;
	p.a->cert_body.serial++;
	assert_int_equal(
	    lm_prefix_parse("10.77.0.0/24", &p.a->cert_body.prefixes[p.a->cert_body.n_prefixes++]),
	    0);
	node_sign(p.a, p.w.authority);
	assert_int_equal(reconfigure(&p.w, p.a, &p.a->authorities, NULL, &err), 0);
	assert_int_equal(lm_mesh_own_cert(p.a->mesh)->serial, p.a->cert_body.serial);
	assert_true(pair_up(&p));
	/* the directory tells b */
	assert_int_equal(node_tell(p.a, p.b), LM_TRUSTED);
	assert_int_equal(node_peer_of(p.b, p.a)->n_prefixes, p.a->cert_body.n_prefixes);
	assert_true(pair_up(&p));
	assert_int_equal(lm_mesh_counters(p.b->mesh)->sessions_down, 0);
	world_free(&p.w);
}

static void test_authorities(void **state)
{
	uint8_t seed[32] = {9};
	struct lm_identity *fresh = lm_identity_from_seed(seed);
	struct lm_authorities both, only;
	struct lm_prefix outside;
	struct lm_error err;
	struct pair p;

	(void)state;
	assert_non_null(fresh);
	pair_begin(&p, 10);
	pair_connect(&p);
	both = p.a->authorities;
	both.n = 2;
	memcpy(both.keys[1], fresh->ed_public, 32);
	only = both;
	only.n = 1;
	memcpy(only.keys[0], fresh->ed_public, 32);
	/* our own certificate would not hold */
	assert_int_equal(reconfigure(&p.w, p.a, &only, NULL, &err), -EINVAL);
	assert_non_null(strstr(err.text, "own certificate"));
	assert_true(pair_up(&p));
	assert_int_equal(reconfigure(&p.w, p.a, &both, NULL, &err), 0);
	assert_true(pair_up(&p));
	/* b moves to the new authority, then a does and the old one is dropped */
	p.w.esp_may_miss = true;
	node_stop(p.b, false);
	p.b->authorities = both;
	p.b->cert_body.not_before++;
	node_sign(p.b, fresh);
	node_start(p.b);
	(void)node_tell(p.a, p.b);
	assert_true(world_until(&p.w, 3 * LM_SEC, pair_up_cond, &p));
	assert_int_equal(reconfigure(&p.w, p.b, &only, NULL, &err), 0);
	assert_false(node_up(p.b, p.a, NULL));
	/* prefixes: inside the certificate only */
	assert_int_equal(lm_prefix_parse("10.77.0.0/24", &outside), 0);
	assert_int_equal(reconfigure(&p.w, p.b, &both, &outside, &err), -EINVAL);
	assert_non_null(strstr(err.text, "10.77.0.0/24"));
	assert_int_equal(reconfigure(&p.w, p.b, &both, NULL, &err), 0);
	assert_true(world_until(&p.w, 15 * LM_SEC, pair_up_cond, &p));
	lm_identity_free(fresh);
	world_free(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_strangers), cmocka_unit_test(test_records),
	    cmocka_unit_test(test_responder), cmocka_unit_test(test_older),
	    cmocka_unit_test(test_expiry),    cmocka_unit_test(test_revoked),
	    cmocka_unit_test(test_clocks),    cmocka_unit_test(test_authorities),
	    cmocka_unit_test(test_renewed),   cmocka_unit_test(test_own_record),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
