/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/esp_replay.h>

#include "vectors.h"

#define W LM_REPLAY_WINDOW

static void expect(struct lm_replay *r, uint32_t seq, enum lm_esp_status status)
{
	struct lm_replay before = *r;

	if (lm_replay_check(r, seq) != status)
		fail_msg("number %u after %u: check says %d, not %d", seq, r->top,
			 lm_replay_check(r, seq), status);
	assert_memory_equal(&before, r, sizeof(before));
	assert_int_equal(lm_replay_commit(r, seq), status);
	if (status != LM_ESP_OK)
		assert_memory_equal(&before, r, sizeof(before));
}

static void edges(void **state)
{
	static const uint32_t tops[] = {W + 1, 2 * W, 100000, 0x80000000u, 0xffffffffu};

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(tops); i++) {
		struct lm_replay r = {0};
		uint32_t top = tops[i];

		expect(&r, 0, LM_ESP_SEQ_ZERO);
		expect(&r, top - 1, LM_ESP_OK);
		expect(&r, top, LM_ESP_OK);
		expect(&r, top, LM_ESP_REPLAY);
		expect(&r, top - 1, LM_ESP_REPLAY);
		expect(&r, top - W, LM_ESP_OLD);
		expect(&r, top - W + 1, LM_ESP_OK);
		expect(&r, top - W + 1, LM_ESP_REPLAY);
		expect(&r, top - W + 2, LM_ESP_OK);
		expect(&r, 0, LM_ESP_SEQ_ZERO);
		if (top != 0xffffffffu) {
			expect(&r, top + 1, LM_ESP_OK);
			expect(&r, top - W + 1, LM_ESP_OLD);
			expect(&r, top - W + 2, LM_ESP_REPLAY);
		}
	}
}

/* Against a window that remembers every number, in random order with jumps of every size. */
static void model(void **state)
{
	enum { RANGE = 60000 };
	static bool seen[RANGE];
	static const uint32_t bases[] = {0, 0x7fff0000u, 0xffffffffu - RANGE + 1};
	uint64_t seed = 2463534242u;

	(void)state;
	for (unsigned b = 0; b < LM_ARRAY_SIZE(bases); b++) {
		struct lm_replay r = {.top = bases[b]};
		uint32_t top = 0, at = 0;

		memset(seen, 0, sizeof(seen));
		seen[0] = true;
		r.newest |= UINT64_C(1) << (bases[b] & 63);
		for (unsigned i = 0; i < 400000 && top < RANGE - 1; i++) {
			uint32_t x;
			enum lm_esp_status want;

			seed ^= seed << 13;
			seed ^= seed >> 7;
			seed ^= seed << 17;
			if (seed % 1000 == 0)
				at += (uint32_t)(seed >> 32) % (3 * W);
			else
				at += (uint32_t)(seed >> 32) % 4 == 0;
			x = at - (uint32_t)(seed >> 16) % (W + W / 8);
			if (x >= RANGE)
				x = at;
			if (x >= RANGE)
				break;
			if (x > top)
				want = LM_ESP_OK;
			else if (bases[b] + x == 0)
				want = LM_ESP_SEQ_ZERO;
			else if (top - x >= W)
				want = LM_ESP_OLD;
			else
				want = seen[x] ? LM_ESP_REPLAY : LM_ESP_OK;
			expect(&r, bases[b] + x, want);
			seen[x] |= want == LM_ESP_OK;
			if (want == LM_ESP_OK && x > top)
				top = x;
		}
		assert_true(top > 5 * W);
	}
}

/* ---- the third parties' cases ---- */

/* Sums and products of numbers, T and R, with parentheses. */
static uint64_t sum(const char **p, uint64_t t, uint64_t r);

static uint64_t term(const char **p, uint64_t t, uint64_t r)
{
	uint64_t v = 1, f;

	do {
		if (**p == '*')
			++*p;
		if (**p == '(') {
			++*p;
			f = sum(p, t, r);
			assert_int_equal(*(*p)++, ')');
		} else if (**p == 'T' || **p == 'R') {
			f = *(*p)++ == 'T' ? t : r;
		} else {
			char *end;

			f = strtoull(*p, &end, 10);
			assert_ptr_not_equal(end, *p);
			*p = end;
		}
		v *= f;
	} while (**p == '*');
	return v;
}

static uint64_t sum(const char **p, uint64_t t, uint64_t r)
{
	uint64_t v = term(p, t, r);

	while (**p == '+' || **p == '-') {
		bool minus = *(*p)++ == '-';
		uint64_t x = term(p, t, r);

		v = minus ? v - x : v + x;
	}
	return v;
}

/* WireGuard's counters start at 0: one is added. Its window of W' takes W' + 1 numbers, so W' is
 * ours less one; its last counter R becomes the last that 32 bits can carry, and what lies beyond
 * cannot be put into a packet. */
static void wireguard(void **state)
{
	json_t *root = vectors_third_party("replay_cases.json"), *c;
	const uint64_t t = W, last = 0xffffffffu;
	struct lm_replay r = {0};
	unsigned fed = 0;
	size_t i;

	(void)state;
	if (root == NULL)
		skip();
	json_array_foreach(json_object_get(json_object_get(root, "wireguard"), "sequence"), i, c)
	{
		const char *text = json_string_value(json_array_get(c, 0));
		uint64_t seq = sum(&text, t, last) + 1;
		bool accept = json_integer_value(json_array_get(c, 1)) != 0;

		assert_int_equal(*text, 0);
		if (seq > last) {
			assert_false(accept);
			continue;
		}
		if ((lm_replay_commit(&r, (uint32_t)seq) == LM_ESP_OK) != accept)
			fail_msg("case %zu, number %llu", i, (unsigned long long)seq);
		fed++;
	}
	assert_true(fed >= 28);
	json_decref(root);
}

/* Its bulk cases; w as above, first..last in either direction. */
static void wireguard_bulk(void **state)
{
	enum { w = W - 1 };
	static const struct {
		unsigned case_no;
		uint32_t first, last;
		bool accept;
	} steps[] = {
	    {0, 1, w, true},  {0, 0, 0, true},	{0, 0, 0, false},	 {1, 2, w + 1, true},
	    {1, 1, 1, true},  {1, 0, 0, false}, {2, w + 1, 1, true},	 {3, w + 2, 2, true},
	    {3, 0, 0, false}, {4, w, 1, true},	{4, w + 1, w + 1, true}, {4, 0, 0, false},
	    {5, w, 1, true},  {5, 0, 0, true},	{5, w + 1, w + 1, true},
	};
	struct lm_replay r = {0};

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(steps); i++) {
		uint32_t at = steps[i].first;

		if (i > 0 && steps[i].case_no != steps[i - 1].case_no)
			r = (struct lm_replay){0};
		for (;; at += at < steps[i].last ? 1 : -1) {
			if ((lm_replay_commit(&r, at + 1) == LM_ESP_OK) != steps[i].accept)
				fail_msg("step %u, number %u", i, at);
			if (at == steps[i].last)
				break;
		}
	}
}

/* DPDK's cases for windows of our size, without ESN. */
static void dpdk(void **state)
{
	json_t *root = vectors_third_party("replay_cases.json"), *group, *c;
	unsigned fed = 0;
	size_t gi, i;

	(void)state;
	if (root == NULL)
		skip();
	json_array_foreach(json_object_get(json_object_get(root, "dpdk"), "groups"), gi, group)
	{
		struct lm_replay r = {0};

		if (json_is_true(json_object_get(group, "esn")) ||
		    json_integer_value(json_object_get(group, "window")) != W)
			continue;
		json_array_foreach(json_object_get(group, "cases"), i, c)
		{
			uint32_t seq = (uint32_t)json_integer_value(json_array_get(c, 0));
			bool accept = json_integer_value(json_array_get(c, 1)) != 0;

			assert_int_equal(lm_replay_commit(&r, seq) == LM_ESP_OK, accept);
			fed++;
		}
	}
	assert_int_equal(fed, 5);
	json_decref(root);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(edges),	      cmocka_unit_test(model), cmocka_unit_test(wireguard),
	    cmocka_unit_test(wireguard_bulk), cmocka_unit_test(dpdk),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
