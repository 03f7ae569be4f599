/* SPDX-License-Identifier: BSD-3-Clause */
/* SPI blocks, limits, failures of the data plane, the directory's records. */
#include "internal.h"
#include "pair.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* FAULTS row 17: a million blocks, none twice. */
static void test_spis(void **state)
{
	enum { N = 1000000 };
	struct spi_slot *slots = calloc(N, sizeof(*slots));
	uint8_t *seen = calloc(1u << 22, 1);
	struct pair p;

	(void)state;
	assert_non_null(slots);
	assert_non_null(seen);
	pair_begin(&p, 1);
	node_start(p.a);
	for (unsigned i = 0; i < N; i++) {
		uint32_t block;

		assert_true(lm_m_spi_draw(p.a->mesh, &slots[i]));
		assert_true(lm_spi_base_valid(slots[i].spi));
		block = (slots[i].spi & 0x7fffffff) >> 6;
		assert_int_equal(seen[block / 8] & (1u << (block % 8)), 0);
		seen[block / 8] |= (uint8_t)(1u << (block % 8));
	}
	for (unsigned i = 0; i < N; i++)
		HASH_DELETE(hh, p.a->mesh->sessions, &slots[i]);
	free(slots);
	free(seen);
	world_free(&p.w);
}

static unsigned stuck; /* draws that repeat themselves */

static void stuck_random(void *user, void *out, size_t len)
{
	(void)user;
	memset(out, stuck > 0 ? 0x11 : 0x22, len);
	if (stuck > 0)
		stuck--;
}

static void test_spi_collision(void **state)
{
	struct spi_slot a = {0}, b = {0}, c = {0};
	void (*was)(void *user, void *out, size_t len);
	struct lm_mesh *m;
	struct pair p;

	(void)state;
	pair_begin(&p, 2);
	node_start(p.a);
	m = p.a->mesh;
	was = m->ops.random;
	m->ops.random = stuck_random;
	stuck = 1 + 10;
	assert_true(lm_m_spi_draw(m, &a));
	assert_true(lm_m_spi_draw(m, &b)); /* ten times the same, then another */
	assert_int_not_equal(a.spi, b.spi);
	assert_int_equal(stuck, 0);
	stuck = 1u << 30;
	assert_false(lm_m_spi_draw(m, &c)); /* does not try for ever */
	assert_true(stuck > (1u << 30) - 1000);
	HASH_DELETE(hh, m->sessions, &a);
	HASH_DELETE(hh, m->sessions, &b);
	m->ops.random = was;
	world_free(&p.w);
}

static void test_data_plane_fails(void **state)
{
	(void)state;
	for (int which = 0; which < 4; which++) {
		struct pair p;

		pair_begin(&p, 3 + (uint64_t)which);
		(which & 1 ? p.a : p.b)->fail_sa_in = which & 2 ? 0 : 2;
		(which & 1 ? p.a : p.b)->fail_peer_set = which & 2 ? 3 : 0;
		pair_start(&p);
		assert_true(world_until(&p.w, 80 * LM_SEC, pair_up_cond, &p));
		assert_true(counters(which & 1 ? p.a : p.b)->refused_by_data_plane >= 2);
		assert_int_equal(pair_talk(&p, LM_SEC, 10 * LM_MSEC), 0);
		world_free(&p.w);
	}
}

static void test_max_peers(void **state)
{
	struct node *c;
	struct pair p;

	(void)state;
	pair_begin(&p, 10);
	c = world_node(&p.w);
	p.a->max_peers = 1;
	node_start(c);
	pair_connect(&p);
	assert_int_equal(node_tell(c, p.a), LM_TRUSTED);
	assert_true(counters(p.a)->peers_full >= 1);
	world_pass(&p.w, 5 * LM_SEC);
	assert_null(node_peer_of(p.a, c));
	assert_false(node_up(c, p.a, NULL));
	/* room again once the other has left */
	p.w.esp_may_miss = true;
	lm_mesh_record_removed(p.a->mesh, world_now(&p.w, p.a), p.b->id->ed_public);
	assert_true(pair_up(&p)); /* a coordinator ends no session */
	node_stop(p.b, true);
	world_pass(&p.w, LM_SEC);
	assert_null(node_peer_of(p.a, p.b));
	assert_int_equal(node_tell(c, p.a), LM_TRUSTED);
	world_pass(&p.w, LM_SEC);
	assert_true(node_up(p.a, c, NULL));
	world_free(&p.w);
}

/* Not in our directory, but with a good certificate. */
static void test_unlisted(void **state)
{
	struct lm_peer_info info;
	struct pair p;

	(void)state;
	pair_begin(&p, 11);
	p.w.esp_may_miss = true;
	node_start(p.a);
	node_start(p.b);
	(void)node_tell(p.b, p.a);
	assert_true(world_until(&p.w, LM_SEC, pair_up_cond, &p));
	world_pass(&p.w, LM_SEC);
	/* b has a's announcement from a itself */
	assert_true(node_up(p.b, p.a, &info));
	assert_non_null(info.ann);
	node_stop(p.a, true);
	world_pass(&p.w, 20 * LM_SEC);
	assert_null(node_peer_of(p.b, p.a));
	assert_int_equal(p.b->mesh->n_peers, 0);
	world_free(&p.w);
}

static void test_own_announcement(void **state)
{
	struct lm_peer_info info;
	uint8_t newest[LM_ANNOUNCE_MAX];
	size_t newest_len, len;
	uint64_t sequence;
	struct pair p;

	(void)state;
	pair_begin(&p, 12);
	pair_connect(&p);
	assert_int_equal(p.a->announces, 1);
	node_local(p.a);
	assert_int_equal(p.a->announces, 1); /* nothing new */
	/* the same address twice is one endpoint */
	{
		struct lm_local_endpoint twice[2] = {{.kind = LM_EP_HOST, .ep = p.a->wan[0]},
						     {.kind = LM_EP_HOST, .ep = p.a->wan[0]}};

		lm_mesh_local(p.a->mesh, world_now(&p.w, p.a), twice, 2);
		assert_int_equal(p.a->announces, 1);
		assert_non_null(lm_mesh_own_announcement(p.a->mesh, &len));
	}
	for (int i = 0; i < 5; i++) {
		p.a->wan[0].port++;
		node_local(p.a);
		world_pass(&p.w, LM_SEC);
	}
	assert_int_equal(p.a->announces, 6);
	assert_true(node_up(p.b, p.a, &info));
	assert_int_equal(info.ann->sequence, 6); /* from a itself, by the session */
	assert_memory_equal(lm_mesh_own_announcement(p.a->mesh, &len), p.a->ann, p.a->ann_len);
	memcpy(newest, p.a->ann, p.a->ann_len);
	newest_len = p.a->ann_len;
	/* a comes back without its memory; the directory has the old number */
	p.w.esp_may_miss = true;
	node_stop(p.a, false);
	p.a->ann_sequence = 0;
	node_start(p.a);
	assert_int_equal(p.a->ann_sequence, 1);
	assert_int_equal(lm_mesh_record(p.a->mesh, world_now(&p.w, p.a), p.a->cert, p.a->cert_len,
					newest, newest_len),
			 LM_TRUSTED);
	assert_int_equal(p.a->ann_sequence, 7);
	/* or only its peer has it */
	sequence = p.a->ann_sequence;
	(void)node_tell(p.a, p.b);
	node_stop(p.a, false);
	p.a->ann_sequence = 0;
	node_start(p.a);
	(void)node_tell(p.b, p.a);
	assert_true(world_until(&p.w, 3 * LM_SEC, pair_up_cond, &p));
	world_pass(&p.w, LM_SEC);
	assert_int_equal(p.a->ann_sequence, sequence + 1);
	assert_true(node_up(p.b, p.a, &info));
	assert_int_equal(info.ann->sequence, sequence + 1);
	/* or it has forgotten just so much that it gives the same number to something else */
	node_stop(p.a, false);
	p.a->ann_sequence = sequence;
	p.a->wan[0].port++;
	node_start(p.a);
	assert_int_equal(p.a->ann_sequence, sequence + 1);
	(void)node_tell(p.b, p.a);
	assert_true(world_until(&p.w, 3 * LM_SEC, pair_up_cond, &p));
	world_pass(&p.w, LM_SEC);
	assert_int_equal(p.a->ann_sequence, sequence + 2);
	assert_true(node_up(p.b, p.a, &info));
	assert_int_equal(info.ann->sequence, sequence + 2);
	world_free(&p.w);
}

static int any_peer_set(void *user, uint32_t peer, const struct lm_cert *cert,
			const struct lm_announcement *ann)
{
	(void)user;
	(void)peer;
	return cert == NULL || ann != NULL ? -EINVAL : 0;
}

static void any_peer_gone(void *user, uint32_t peer)
{
	(void)user;
	(void)peer;
}

/* Prefixes of those that are out are free for underlay addresses again. */
static void test_overlay_of_barred(void **state)
{
	const struct lm_ip inside = {4, {10, 1, 0, 9}};
	uint8_t list[512];
	struct pair p;

	(void)state;
	pair_begin(&p, 14);
	pair_connect(&p);
	assert_true(lm_m_overlay_has(p.a->mesh, &inside));
	p.w.esp_may_miss = true;
	(void)world_revoke(&p.w, p.b, 0, list, sizeof(list));
	assert_false(lm_m_overlay_has(p.a->mesh, &inside));
	world_free(&p.w);
}

/* The node that we call shows the certificate of another one. */
static void test_wrong_node(void **state)
{
	struct node *c;
	struct pair p;

	(void)state;
	pair_begin(&p, 15);
	c = world_node(&p.w);
	node_start(p.a);
	node_start(p.b);
	node_start(c);
	free(p.b->mesh->cert_raw);
	p.b->mesh->cert_raw = malloc(c->cert_len);
	assert_non_null(p.b->mesh->cert_raw);
	memcpy(p.b->mesh->cert_raw, c->cert, c->cert_len);
	p.b->mesh->cert_len = c->cert_len;
	assert_int_equal(node_tell(p.b, p.a), LM_TRUSTED);
	world_pass(&p.w, 5 * LM_SEC);
	assert_true(counters(p.a)->cert_refused[LM_WRONG_NODE] > 0);
	assert_int_equal(p.a->sas_added, 0);
	/* also when that one is known */
	assert_int_equal(node_tell(c, p.a), LM_TRUSTED);
	world_pass(&p.w, 90 * LM_SEC);
	assert_false(node_up(p.a, p.b, NULL));
	assert_true(node_up(p.a, c, NULL));
	world_free(&p.w);
}

/* A big directory: memory and time per peer stay small. Certificates are signed before the clock
 * runs, so the run itself is what is long or short. */
static void test_many(void **state)
{
	enum { N = 1500 };
	struct lm_cert c;
	uint8_t cert[LM_CERT_MAX];
	struct lm_error err;
	struct pair p;
	int len;

	(void)state;
	pair_begin(&p, 13);
	p.a->max_peers = N + 10;
	node_start(p.a);
	p.a->mesh->ops.peer_set = any_peer_set; /* the world's data plane is smaller */
	p.a->mesh->ops.peer_gone = any_peer_gone;
	c = p.b->cert_body;
	for (unsigned i = 0; i < N; i++) {
		uint8_t seed[32] = {(uint8_t)i, (uint8_t)(i >> 8), 3};
		struct lm_identity *id = lm_identity_from_seed(seed);

		assert_non_null(id);
		memcpy(c.node, id->ed_public, LM_KEY_LEN);
		c.serial = 1000 + i;
		(void)snprintf(c.name, sizeof(c.name), "site%u", i);
		len = lm_cert_sign(p.w.authority, &c, cert, sizeof(cert), &err);
		assert_true(len > 0);
		lm_identity_free(id);
		assert_int_equal(
		    lm_mesh_record(p.a->mesh, world_now(&p.w, p.a), cert, (size_t)len, NULL, 0),
		    LM_TRUSTED);
	}
	assert_int_equal(p.a->mesh->n_peers, N);
	assert_true(p.a->mesh->timers.n <= 2 * N + 3);
	world_pass(&p.w, 60 * LM_SEC);
	assert_int_equal(p.a->sent, 0);
	world_free(&p.w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_spis),
	    cmocka_unit_test(test_spi_collision),
	    cmocka_unit_test(test_data_plane_fails),
	    cmocka_unit_test(test_max_peers),
	    cmocka_unit_test(test_unlisted),
	    cmocka_unit_test(test_own_announcement),
	    cmocka_unit_test(test_overlay_of_barred),
	    cmocka_unit_test(test_wrong_node),
	    cmocka_unit_test(test_many),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
