/* SPDX-License-Identifier: BSD-3-Clause */
/* Coordinators that lie, stammer or withhold, against the real client. */
#include "raw.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

static const uint8_t epoch_a[LM_EPOCH_LEN] = "epoch a", epoch_b[LM_EPOCH_LEN] = "epoch b";

struct other {
	struct site *site;
	uint8_t ann[LM_ANNOUNCE_MAX];
	size_t len;
};

/* A site whose record the coordinator has to pass on. */
static struct other other_new(struct world *w)
{
	struct other o = {.site = site_new(w, false)};

	o.len = site_announcement(o.site, 1, o.ann);
	return o;
}

static struct lm_coord_msg record_of(const struct other *o, uint64_t revision)
{
	return (struct lm_coord_msg){.type = LM_COORD_RECORD,
				     .revision = revision,
				     .cert = o->site->cert,
				     .cert_len = o->site->cert_len,
				     .data = o->ann,
				     .data_len = o->len};
}

static struct lm_coord_msg synced(const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	struct lm_coord_msg m = {.type = LM_COORD_SYNCED, .revision = revision};

	memcpy(m.epoch, epoch, LM_EPOCH_LEN);
	return m;
}

static const struct lm_coord_client_counters *count(struct site *s)
{
	return lm_coord_client_counters(s->client);
}

static void say_synced(struct raw *r, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	struct lm_coord_msg m = synced(epoch, revision);

	raw_say(r, &m);
}

static void test_wrong_key(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	struct raw r;

	(void)state;
	assert_false(raw_serve(&r, s, w->other, epoch_a, 1));
	assert_false(raw_is_open(&r));
	assert_int_equal(count(s)->malformed, 1);
	assert_non_null(strstr(s->why, "key"));
	assert_int_equal(s->records + s->resyncs, 0);
	raw_close(&r);
	world_free(w);
}

/* FAULTS row 12: what the consumer gets from a coordinator that changes any byte. */
static void test_mutated_records(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	struct other o = other_new(w);
	uint64_t revision = 0;
	struct raw r;

	(void)state;
	assert_true(raw_serve(&r, s, NULL, epoch_a, 1));
	for (size_t i = 0; i < o.site->cert_len + o.len; i++) {
		struct lm_coord_msg m = record_of(&o, ++revision);
		uint8_t *byte =
		    i < o.site->cert_len ? &o.site->cert[i] : &o.ann[i - o.site->cert_len];

		*byte ^= (uint8_t)(1u << i % 8);
		raw_say(&r, &m);
		*byte ^= (uint8_t)(1u << i % 8);
		assert_true(raw_is_open(&r)); /* judged by the consumer, not by the link */
	}
	assert_int_equal(s->records, o.site->cert_len + o.len);
	assert_int_equal(lm_directory_count(s->dir), 0);
	{
		struct lm_coord_msg m = record_of(&o, ++revision);

		raw_say(&r, &m);
	}
	assert_int_equal(lm_directory_count(s->dir), 1);
	raw_close(&r);
	world_free(w);
}

/* One wrong message; the link must end, counted, and say why. */
static void refused(struct site *s, struct raw *r, const struct lm_coord_msg *m, const char *why)
{
	uint64_t before = count(s)->malformed;

	assert_true(raw_is_open(r));
	raw_say(r, m);
	assert_false(raw_is_open(r));
	assert_int_equal(count(s)->malformed, before + 1);
	assert_non_null(strstr(s->why, why));
	raw_close(r);
}

static void test_out_of_order(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	struct other o = other_new(w), p = other_new(w);
	struct lm_coord_msg m, removed = {.type = LM_COORD_REMOVED, .revision = 3};
	struct raw r;

	(void)state;
	for (unsigned i = 0; i < 2; i++) { /* the same revision again, an older one */
		assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
		m = record_of(&o, 5);
		raw_say(&r, &m);
		m = record_of(&p, 5 - i);
		refused(s, &r, &m, "out of order");
	}
	assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
	m = record_of(&o, 5);
	raw_say(&r, &m);
	refused(s, &r, &removed, "out of order");
	assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
	m = record_of(&o, 5);
	raw_say(&r, &m);
	m = synced(epoch_a, 4);
	refused(s, &r, &m, "less than it sent");
	assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
	m = synced(epoch_b, 9);
	refused(s, &r, &m, "epoch");
	world_free(w);
}

static void test_not_its_to_say(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	struct other o = other_new(w);
	struct lm_coord_msg m = {.type = LM_COORD_PUBLISH, .data = o.ann, .data_len = o.len};
	struct raw r;

	(void)state;
	assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
	refused(s, &r, &m, "only nodes");
	assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
	m = (struct lm_coord_msg){.type = LM_COORD_SYNC};
	refused(s, &r, &m, "only nodes");
	/* a type of a later version is passed over */
	assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
	raw_send(&r, (const uint8_t *)"\x20later", 6);
	assert_true(raw_is_open(&r));
	raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_PING, .number = 77});
	assert_true(raw_expect(&r, LM_COORD_PONG));
	assert_int_equal(r.last.number, 77);
	raw_close(&r);
	world_free(w);
}

/* Each type with each length but the right one. */
static void test_malformed(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	struct other o = other_new(w);
	uint8_t list[1024], buf[8192];
	struct lm_coord_msg says[] = {
	    record_of(&o, 1),
	    {.type = LM_COORD_REMOVED, .revision = 1},
	    {.type = LM_COORD_REVOCATION, .revision = 1, .data = list},
	    synced(epoch_a, 1),
	    {.type = LM_COORD_PUBLISHED},
	    {.type = LM_COORD_PING},
	    {.type = LM_COORD_PONG},
	    {.type = LM_COORD_ERROR, .number = 1},
	};
	uint64_t tried = 0;
	struct raw r;

	(void)state;
	says[2].data_len = world_list(w, 1, NULL, 0, list, sizeof(list));
	for (size_t i = 0; i < LM_ARRAY_SIZE(says); i++) {
		int n = lm_coord_msg_encode(&says[i], buf, sizeof(buf));

		assert_true(n > 0);
		for (int len = 0; len <= n + 1; len++) {
			if (len == n)
				continue;
			assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
			buf[n] = 0;
			raw_send(&r, buf, (size_t)len);
			assert_false(raw_is_open(&r));
			raw_close(&r);
			tried++;
		}
	}
	assert_int_equal(count(s)->malformed, tried);
	assert_int_equal(s->records + s->removed + s->lists, 0);
	world_free(w);
}

/* Message 2 with any bit changed, cut, or as long as a record can be; a record with a broken
 * seal. */
static void test_broken_bytes(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	uint8_t buf[128] = {0xff, 0xff};
	struct raw r;

	(void)state;
	assert_false(raw_serve(&r, s, w->other, epoch_a, 1));
	raw_close(&r);
	for (unsigned len = 0; len < 100; len++) {
		while (!s->want_connect) {
			w->now.mono = lm_coord_client_next(s->client);
			lm_coord_client_tick(s->client, w->now.mono);
		}
		s->want_connect = false;
		lm_coord_client_connected(s->client, w->now.mono);
		assert_int_equal(lm_coord_client_state(s->client), LM_COORD_HANDSHAKE);
		for (unsigned i = 2; i < sizeof(buf); i++)
			buf[i] = (uint8_t)world_random(w);
		buf[0] = 0;
		buf[1] = (uint8_t)len;
		lm_coord_client_input(s->client, w->now.mono, buf, 2 + len);
		assert_int_equal(lm_coord_client_state(s->client), LM_COORD_WAITING);
		lm_coord_client_closed(s->client, w->now.mono, "");
	}
	assert_int_equal(count(s)->malformed, 101);
	for (unsigned i = 0; i < 27; i++) {
		assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
		assert_int_equal(
		    lm_pipe_put(&r.pipe, &(struct lm_coord_msg){.type = LM_COORD_PONG}), 0);
		memcpy(buf, r.pipe.out + r.pipe.out_head, 27);
		buf[i] ^= 1;
		raw_bytes(&r, buf, 27);
		raw_bytes(&r, buf, 27);
		if (i > 0) /* a longer length waits for the rest until the ping times out */
			assert_false(raw_is_open(&r));
		raw_close(&r);
	}
	world_free(w);
}

/* It answers neither the handshake nor pings: given up in time, and tried again. */
static void test_silence(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	struct raw r;

	(void)state;
	lm_coord_client_tick(s->client, w->now.mono);
	s->want_connect = false;
	w->now.mono += LM_COORD_HANDSHAKE_TIMEOUT; /* TCP never comes up */
	assert_int_equal(lm_coord_client_next(s->client), w->now.mono);
	lm_coord_client_tick(s->client, w->now.mono);
	assert_int_equal(count(s)->timeouts, 1);
	assert_non_null(strstr(s->why, "cannot be reached"));
	assert_true(raw_serve(&r, s, NULL, epoch_a, 9));
	w->now.mono += LM_COORD_PING_EVERY;
	lm_coord_client_tick(s->client, w->now.mono);
	assert_true(raw_expect(&r, LM_COORD_PING));
	w->now.mono += LM_COORD_PING_TIMEOUT;
	lm_coord_client_tick(s->client, w->now.mono);
	assert_false(raw_is_open(&r));
	assert_int_equal(count(s)->timeouts, 2);
	raw_close(&r);
	world_free(w);
}

/* A listing that stops in the middle removes nothing, and is begun again in full. */
static void test_cut_listing(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	struct other o = other_new(w), p = other_new(w);
	struct lm_coord_msg m;
	struct raw r;

	(void)state;
	assert_true(raw_serve(&r, s, NULL, epoch_a, 2));
	m = record_of(&o, 1);
	raw_say(&r, &m);
	m = record_of(&p, 2);
	raw_say(&r, &m);
	say_synced(&r, epoch_a, 2);
	raw_close(&r);
	assert_int_equal(lm_directory_count(s->dir), 2);
	/* another epoch begins and is cut; then the first one is back */
	assert_true(raw_serve(&r, s, NULL, epoch_b, 7));
	m = record_of(&o, 3);
	raw_say(&r, &m);
	raw_close(&r);
	assert_int_equal(lm_directory_count(s->dir), 2);
	assert_true(raw_serve(&r, s, NULL, epoch_a, 2));
	assert_true(raw_expect(&r, LM_COORD_SYNC));
	assert_int_equal(r.last.revision, 0); /* all of it */
	m = record_of(&o, 1);
	raw_say(&r, &m);
	m = record_of(&p, 2);
	raw_say(&r, &m);
	say_synced(&r, epoch_a, 2);
	assert_int_equal(lm_directory_count(s->dir), 2);
	assert_int_equal(s->removed, 0);
	raw_close(&r);
	/* in step: only the changes */
	assert_true(raw_serve(&r, s, NULL, epoch_a, 5));
	assert_true(raw_expect(&r, LM_COORD_SYNC));
	assert_int_equal(r.last.revision, 2);
	assert_memory_equal(r.last.epoch, epoch_a, LM_EPOCH_LEN);
	raw_close(&r);
	world_free(w);
}

/* One coordinator's word does not remove what another one lists. */
static void test_removal_needs_all(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	struct other o = other_new(w);
	struct lm_coord_msg m;
	uint8_t key2[LM_KEY_LEN] = {2};
	int second = lm_directory_source(s->dir, key2);
	struct raw r;

	(void)state;
	assert_int_equal(
	    lm_directory_put(s->dir, second, o.site->cert, o.site->cert_len, o.ann, o.len), 0);
	assert_true(raw_serve(&r, s, NULL, epoch_a, 2));
	m = record_of(&o, 1);
	raw_say(&r, &m);
	m = (struct lm_coord_msg){.type = LM_COORD_REMOVED, .revision = 2};
	memcpy(m.node, o.site->id->ed_public, LM_KEY_LEN);
	raw_say(&r, &m);
	assert_int_equal(s->removed, 0);
	assert_int_equal(lm_directory_count(s->dir), 1);
	assert_true(lm_directory_unlist(s->dir, second, o.site->id->ed_public));
	assert_int_equal(lm_directory_count(s->dir), 0);
	raw_close(&r);
	world_free(w);
}

/* It never stores what we publish, claims another sequence, or refuses for now. */
static void test_publishing(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	static const uint8_t text[] = "disk full";
	struct raw r;

	(void)state;
	site_publish(s, 10);
	assert_true(raw_serve(&r, s, NULL, epoch_a, 0));
	assert_true(raw_expect(&r, LM_COORD_PUBLISH));
	raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_PUBLISHED, .number = 9});
	assert_int_equal(s->publisheds, 0); /* about another one */
	raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_ERROR,
					   .number = LM_COORD_E_STORE,
					   .data = text,
					   .data_len = sizeof(text) - 1});
	assert_true(raw_is_open(&r));
	for (unsigned i = 0; i < 3; i++) {
		w->now.mono += LM_COORD_PUBLISH_AGAIN;
		lm_coord_client_tick(s->client, w->now.mono);
		assert_true(raw_expect(&r, LM_COORD_PUBLISH));
		raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_PONG});
	}
	raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_PUBLISHED, .number = 10});
	assert_int_equal(s->published, 10);
	w->now.mono += LM_COORD_PUBLISH_AGAIN;
	lm_coord_client_tick(s->client, w->now.mono);
	assert_false(raw_expect(&r, LM_COORD_PUBLISH));
	raw_close(&r);
	assert_true(raw_serve(&r, s, NULL, epoch_a, 0)); /* again on every new connection */
	assert_true(raw_expect(&r, LM_COORD_PUBLISH));
	raw_close(&r);
	world_free(w);
}

/* Refused for good: no hammering. */
static void test_refusing(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	static const uint8_t text[] = "certificate expired";
	uint64_t tries;
	lm_time since;
	struct raw r;

	(void)state;
	since = w->now.mono;
	tries = count(s)->tries;
	for (unsigned i = 0; i < 50; i++) {
		assert_true(raw_serve(&r, s, NULL, (const uint8_t[LM_EPOCH_LEN]){0}, 0));
		raw_say(&r, &(struct lm_coord_msg){.type = LM_COORD_ERROR,
						   .number = LM_COORD_E_CERT,
						   .data = text,
						   .data_len = sizeof(text) - 1});
		assert_false(raw_is_open(&r));
		assert_non_null(strstr(s->why, "certificate expired"));
		raw_close(&r);
	}
	assert_true(w->now.mono - since > 200 * LM_SEC);
	assert_int_equal(count(s)->tries, tries + 50);
	assert_int_equal(s->resyncs, 0);
	world_free(w);
}

/* FAULTS row 13, this side: a coordinator with an old list, or none, gets ours. */
static void test_old_list(void **state)
{
	struct world *w = world_new();
	struct site *s = site_new(w, true);
	uint8_t l3[1024], l5[1024];
	size_t n3 = world_list(w, 3, NULL, 0, l3, sizeof(l3));
	size_t n5 = world_list(w, 5, NULL, 0, l5, sizeof(l5));
	struct lm_coord_msg m = {.type = LM_COORD_REVOCATION, .revision = 1};
	struct raw r;

	(void)state;
	assert_int_equal(lm_coord_client_revocation(s->client, 0, l5, n5), 0);
	assert_int_equal(lm_coord_client_revocation(s->client, 0, l3, n3), 0); /* not newer */
	assert_true(raw_serve(&r, s, NULL, epoch_a, 1));
	m.data = l3;
	m.data_len = n3;
	raw_say(&r, &m);
	assert_false(raw_expect(&r, LM_COORD_REVOCATION)); /* the newer may still be coming */
	say_synced(&r, epoch_a, 1);
	assert_true(raw_expect(&r, LM_COORD_REVOCATION));
	assert_int_equal(r.last.data_len, n5);
	assert_memory_equal(r.last.data, l5, n5);
	raw_close(&r);
	/* it knows ours now: not sent again in the same epoch */
	assert_true(raw_serve(&r, s, NULL, epoch_a, 2));
	say_synced(&r, epoch_a, 2);
	assert_false(raw_expect(&r, LM_COORD_REVOCATION));
	raw_close(&r);
	/* another life of the store knows nothing */
	assert_true(raw_serve(&r, s, NULL, epoch_b, 2));
	say_synced(&r, epoch_b, 2);
	assert_true(raw_expect(&r, LM_COORD_REVOCATION));
	raw_close(&r);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_wrong_key),	      cmocka_unit_test(test_mutated_records),
	    cmocka_unit_test(test_out_of_order),      cmocka_unit_test(test_not_its_to_say),
	    cmocka_unit_test(test_malformed),	      cmocka_unit_test(test_broken_bytes),
	    cmocka_unit_test(test_silence),	      cmocka_unit_test(test_cut_listing),
	    cmocka_unit_test(test_removal_needs_all), cmocka_unit_test(test_publishing),
	    cmocka_unit_test(test_refusing),	      cmocka_unit_test(test_old_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
