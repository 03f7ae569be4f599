/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's cache: what is newer, who lists it, and its file. */
#include "world.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static const uint8_t key1[LM_KEY_LEN] = {1}, key2[LM_KEY_LEN] = {2}, key3[LM_KEY_LEN] = {3};
static const uint8_t epoch[LM_EPOCH_LEN] = "epoch";

static int put(struct lm_directory *d, int source, struct site *s, uint64_t sequence)
{
	uint8_t ann[LM_ANNOUNCE_MAX];
	size_t len = site_announcement(s, sequence, ann);

	return lm_directory_put(d, source, s->cert, s->cert_len, ann, len);
}

static uint64_t sequence_of(struct lm_directory *d, const struct site *s)
{
	struct lm_directory_record r;

	return lm_directory_get(d, s->id->ed_public, &r) ? r.sequence : 0;
}

static void test_newer(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, false), *b = site_new(w, false);
	struct lm_directory *d = lm_directory_new(2);
	struct lm_directory_record r;
	uint64_t version;
	int s1;

	(void)state;
	s1 = lm_directory_source(d, key1);
	assert_true(s1 >= 0);
	assert_int_equal(lm_directory_source(d, key1), s1);
	assert_int_equal(put(d, s1, a, 5), 0);
	version = lm_directory_version(d);
	assert_int_equal(put(d, s1, a, 5), 0);
	assert_int_equal(put(d, s1, a, 4), 0);
	assert_int_equal(lm_directory_version(d), version); /* nothing new, nothing to save */
	assert_int_equal(sequence_of(d, a), 5);
	assert_int_equal(put(d, LM_DIRECTORY_NO_SOURCE, a, 6), 0);
	assert_int_equal(sequence_of(d, a), 6);
	assert_true(lm_directory_version(d) > version);
	/* a renewed certificate with the same announcement; the old one does not come back */
	a->cert_fields.serial = 100;
	site_certify(a, NULL);
	assert_int_equal(put(d, s1, a, 6), 0);
	assert_true(lm_directory_get(d, a->id->ed_public, &r));
	assert_memory_equal(r.cert, a->cert, a->cert_len);
	a->cert_fields.serial = 50;
	site_certify(a, NULL);
	assert_int_equal(put(d, s1, a, 6), 0);
	assert_true(lm_directory_get(d, a->id->ed_public, &r));
	assert_memory_not_equal(r.cert, a->cert, a->cert_len);
	assert_int_equal(put(d, s1, b, 1), 0);
	assert_int_equal(put(d, s1, site_new(w, false), 1), -ENOSPC);
	assert_int_equal(put(d, s1, b, 2), 0); /* full, but not for those that are in it */
	assert_int_equal(lm_directory_put(d, s1, a->cert, a->cert_len, (const uint8_t *)"x", 1),
			 -EBADMSG);
	lm_directory_free(d);
	world_free(w);
}

static void count_removed(void *user, const uint8_t node[LM_KEY_LEN])
{
	(void)node;
	++*(unsigned *)user;
}

static void test_sources(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, false), *b = site_new(w, false), *c = site_new(w, false);
	struct lm_directory *d = lm_directory_new(10);
	uint8_t keys[1][LM_KEY_LEN], e[LM_EPOCH_LEN];
	unsigned removed = 0;
	uint64_t revision;
	int s1, s2;

	(void)state;
	s1 = lm_directory_source(d, key1);
	s2 = lm_directory_source(d, key2);
	assert_int_equal(put(d, s1, a, 1) | put(d, s2, a, 1) | put(d, s1, b, 1), 0);
	assert_int_equal(put(d, LM_DIRECTORY_NO_SOURCE, c, 1), 0);
	assert_false(lm_directory_unlist(d, s1, a->id->ed_public)); /* s2 still lists it */
	assert_false(lm_directory_unlist(d, s1, a->id->ed_public)); /* nor twice */
	assert_false(lm_directory_unlist(d, s1, c->id->ed_public)); /* never listed it */
	assert_true(lm_directory_unlist(d, s2, a->id->ed_public));
	assert_int_equal(lm_directory_count(d), 2);
	/* a full listing without b */
	assert_int_equal(put(d, s1, a, 1), 0);
	lm_directory_resync(d, s1);
	assert_int_equal(put(d, s1, a, 1), 0);
	lm_directory_synced(d, s1, epoch, 7, count_removed, &removed);
	assert_int_equal(removed, 1);
	assert_int_equal(sequence_of(d, b), 0);
	assert_int_equal(sequence_of(d, a), 1);
	lm_directory_position(d, s1, e, &revision);
	assert_int_equal(revision, 7);
	assert_memory_equal(e, epoch, LM_EPOCH_LEN);
	/* changes after it remove nothing */
	lm_directory_synced(d, s1, epoch, 8, count_removed, &removed);
	assert_int_equal(removed, 1);
	/* a coordinator leaves the config */
	memcpy(keys[0], key2, LM_KEY_LEN);
	lm_directory_keep_sources(d, keys, 1);
	lm_directory_position(d, s1, e, &revision);
	assert_int_equal(revision, 0);
	assert_int_equal(sequence_of(d, a), 1);
	assert_int_equal(lm_directory_source(d, key3), s1); /* its place is free */
	assert_false(lm_directory_unlist(d, s1, a->id->ed_public));
	for (uint8_t i = 10; i < 24; i++) {
		uint8_t key[LM_KEY_LEN] = {i};

		assert_true(lm_directory_source(d, key) >= 0);
	}
	keys[0][0] = 99;
	assert_int_equal(lm_directory_source(d, keys[0]), -ENOSPC);
	lm_directory_free(d);
	world_free(w);
}

static void test_expire(void **state)
{
	struct world *w = world_new();
	struct site *a = site_new(w, false), *b = site_new(w, false);
	struct lm_directory *d = lm_directory_new(10);

	(void)state;
	a->cert_fields.not_after = WORLD_EPOCH + 10;
	site_certify(a, NULL);
	assert_int_equal(
	    put(d, LM_DIRECTORY_NO_SOURCE, a, 1) | put(d, LM_DIRECTORY_NO_SOURCE, b, 1), 0);
	assert_int_equal(lm_directory_expire(d, 0), 0); /* 1970 at boot */
	assert_int_equal(lm_directory_expire(d, WORLD_EPOCH + LM_TRUST_GRACE), 0);
	assert_int_equal(lm_directory_expire(d, WORLD_EPOCH + LM_TRUST_GRACE + 10), 1);
	assert_int_equal(sequence_of(d, b), 1);
	/* Listed by a coordinator: a clock that was wrong for a moment loses nothing. */
	assert_int_equal(put(d, lm_directory_source(d, key1), a, 2), 0);
	assert_int_equal(lm_directory_expire(d, WORLD_EPOCH + 100 * LM_TRUST_GRACE), 0);
	assert_int_equal(sequence_of(d, a), 2);
	lm_directory_free(d);
	world_free(w);
}

static void count_list(void *user, const uint8_t *data, size_t len)
{
	struct lm_revocation r;
	size_t body;

	assert_int_equal(lm_revocation_decode(data, len, &r, &body), 0);
	*(uint64_t *)user += r.number;
}

static uint64_t list_numbers(struct lm_directory *d)
{
	uint64_t sum = 0;

	lm_directory_each_revocation(d, count_list, &sum);
	return sum;
}

static void put_list(struct world *w, struct lm_directory *d, uint64_t number)
{
	uint8_t list[1024];
	size_t len = world_list(w, number, NULL, 0, list, sizeof(list));

	assert_int_equal(lm_directory_put_revocation(d, list, len), 0);
}

static void test_lists(void **state)
{
	struct world *w = world_new();
	struct lm_directory *d = lm_directory_new(10);
	struct lm_identity *keep = w->authority;

	(void)state;
	put_list(w, d, 5);
	put_list(w, d, 4);
	assert_int_equal(list_numbers(d), 5);
	put_list(w, d, 6);
	assert_int_equal(list_numbers(d), 6);
	w->authority = w->other;
	put_list(w, d, 100);
	w->authority = keep;
	assert_int_equal(list_numbers(d), 106);
	lm_directory_keep_issuers(d, &w->au);
	assert_int_equal(list_numbers(d), 6);
	assert_int_equal(lm_directory_put_revocation(d, (const uint8_t *)"x", 1), -EBADMSG);
	lm_directory_free(d);
	world_free(w);
}

/* ------------------------------------------------------------------ file -- */

static struct lm_directory *filled(struct world *w, struct site *sites[3])
{
	struct lm_directory *d = lm_directory_new(10);

	for (unsigned i = 0; i < 3; i++)
		sites[i] = site_new(w, false);
	assert_int_equal(lm_directory_source(d, key1), 0);
	assert_int_equal(lm_directory_source(d, key2), 1);
	assert_int_equal(put(d, 0, sites[0], 1) | put(d, 1, sites[0], 1) | put(d, 1, sites[1], 2) |
			     put(d, LM_DIRECTORY_NO_SOURCE, sites[2], 3),
			 0);
	lm_directory_synced(d, 1, epoch, 42, NULL, NULL);
	put_list(w, d, 5);
	return d;
}

static void test_file(void **state)
{
	struct world *w = world_new();
	struct site *s[3];
	struct lm_directory *d = filled(w, s), *e = lm_directory_new(10), *small;
	char dir[] = "/tmp/lmt-coord-XXXXXX", path[64];
	uint8_t ep[LM_EPOCH_LEN], *one, *two;
	struct lm_error err;
	uint64_t revision;
	size_t len1, len2;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/directory", dir);
	assert_int_equal(lm_directory_load(e, path, &err), -ENOENT);
	assert_int_equal(lm_directory_save(d, path, &err), 0);
	assert_int_equal(lm_directory_load(e, path, &err), 0);
	for (unsigned i = 0; i < 3; i++)
		assert_int_equal(sequence_of(e, s[i]), i + 1);
	assert_int_equal(list_numbers(e), 5);
	assert_int_equal(lm_directory_source(e, key2), 1);
	lm_directory_position(e, 1, ep, &revision);
	assert_int_equal(revision, 42);
	assert_memory_equal(ep, epoch, LM_EPOCH_LEN);
	/* who lists what is kept as well: both files are the same */
	assert_int_equal(lm_directory_encode(d, &one, &len1), 0);
	assert_int_equal(lm_directory_encode(e, &two, &len2), 0);
	assert_int_equal(len1, len2);
	assert_memory_equal(one, two, len1);
	/* with room for fewer nodes now: some, and in step with nobody */
	small = lm_directory_new(2);
	assert_int_equal(lm_directory_decode(small, one, len1, &err), 0);
	assert_int_equal(lm_directory_count(small), 2);
	lm_directory_position(small, 1, ep, &revision);
	assert_int_equal(revision, 0);
	lm_directory_free(small);
	free(one);
	free(two);
	unlink(path);
	rmdir(dir);
	lm_directory_free(d);
	lm_directory_free(e);
	world_free(w);
}

/* Cut anywhere, any byte changed: refused with a reason, and the directory stays empty. */
static void test_damaged(void **state)
{
	struct world *w = world_new();
	struct site *s[3];
	struct lm_directory *d = filled(w, s), *e = lm_directory_new(10);
	char dir[] = "/tmp/lmt-coord-XXXXXX", path[64];
	struct lm_error err;
	uint8_t *file;
	size_t len;

	(void)state;
	assert_int_equal(lm_directory_encode(d, &file, &len), 0);
	for (size_t i = 0; i < len; i++) {
		assert_int_equal(lm_directory_decode(e, file, i, &err), -EBADMSG);
		file[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(lm_directory_decode(e, file, len, &err), -EBADMSG);
		file[i] ^= (uint8_t)(1u << i % 8);
		assert_int_equal(lm_directory_count(e), 0);
		assert_int_equal(list_numbers(e), 0);
		assert_int_equal(lm_directory_source(e, key3), 0);
		lm_directory_free(e);
		e = lm_directory_new(10);
	}
	/* a checksum proves nothing: content that does not decode under a good one */
	for (size_t i = 8; i < len - 32; i += 7) {
		file[i] ^= 0xff;
		lm_blake2b(file + len - 32, 32, NULL, 0, file, len - 32, NULL, 0);
		if (lm_directory_decode(e, file, len, &err) < 0)
			assert_int_equal(lm_directory_count(e), 0);
		file[i] ^= 0xff;
		lm_directory_free(e);
		e = lm_directory_new(10);
	}
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/directory", dir);
	file[20] ^= 1;
	assert_int_equal(lm_file_replace(path, file, len, 0644, &err), 0);
	assert_int_equal(lm_directory_load(e, path, &err), -EBADMSG);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "empty directory"));
	unlink(path);
	rmdir(dir);
	free(file);
	lm_directory_free(d);
	lm_directory_free(e);
	world_free(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_newer),  cmocka_unit_test(test_sources),
	    cmocka_unit_test(test_expire), cmocka_unit_test(test_lists),
	    cmocka_unit_test(test_file),   cmocka_unit_test(test_damaged),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
