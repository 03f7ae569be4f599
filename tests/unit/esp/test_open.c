/* SPDX-License-Identifier: BSD-3-Clause */
/* What must not get through: forged, repeated, late, and authentic but malformed packets. */
#include "esp_test.h"

static struct lm_aead *aead;

static void good_and_again(void **state)
{
	uint8_t esp[256], copy[256];
	struct lm_esp_rx r;
	struct pair p;
	uint32_t len;

	(void)state;
	pair_init(&p, aead, 1);
	len = craft4(aead, &p, 5, 100, esp);
	memcpy(copy, esp, len);
	assert_int_equal(open_one(aead, &r, &p.in, esp, len), LM_ESP_OK);
	assert_int_equal(r.next, 4);
	assert_int_equal(r.len, 100);
	assert_true(r.newest);
	assert_int_equal(open_one(aead, &r, &p.in, copy, len), LM_ESP_REPLAY);
	assert_false(r.newest);

	len = craft4(aead, &p, 4, 100, esp);
	assert_int_equal(open_one(aead, &r, &p.in, esp, len), LM_ESP_OK);
	assert_false(r.newest);
	len = craft4(aead, &p, 0, 100, esp);
	assert_int_equal(open_one(aead, &r, &p.in, esp, len), LM_ESP_SEQ_ZERO);
	assert_int_equal(p.in.packets, 2);
	assert_int_equal(p.in.bytes, 200);
	pair_free(&p);
}

/* Replayed and old packets are dropped before any crypto: their bytes stay as they are. */
static void window(void **state)
{
	enum { TOP = 20000 };
	static const struct {
		uint32_t seq;
		enum lm_esp_status status;
	} feed[] = {
	    {TOP, LM_ESP_OK},
	    {TOP - LM_REPLAY_WINDOW, LM_ESP_OLD},
	    {1, LM_ESP_OLD},
	    {TOP - LM_REPLAY_WINDOW + 1, LM_ESP_OK},
	    {TOP - LM_REPLAY_WINDOW + 1, LM_ESP_REPLAY},
	    {TOP - 1, LM_ESP_OK},
	    {TOP + 1, LM_ESP_OK},
	    {TOP - LM_REPLAY_WINDOW + 2, LM_ESP_OK},
	    {TOP - LM_REPLAY_WINDOW + 1, LM_ESP_OLD},
	};
	uint8_t esp[256], copy[256];
	struct lm_esp_rx r;
	struct pair p;

	(void)state;
	pair_init(&p, aead, 1);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(feed); i++) {
		uint32_t len = craft4(aead, &p, feed[i].seq, 64, esp);

		memcpy(copy, esp, len);
		assert_int_equal(open_one(aead, &r, &p.in, esp, len), feed[i].status);
		if (feed[i].status != LM_ESP_OK) {
			assert_memory_equal(copy, esp, len);
			assert_ptr_equal(r.data, esp);
			assert_int_equal(r.len, len);
		}
	}
	pair_free(&p);
}

/* FAULTS row 8: a forged far number moves nothing, and the next good packet arrives. */
static void forged_far_future(void **state)
{
	static const uint32_t far[] = {11, 5000, 1000000, 0xffffffff};
	struct lm_sa_in before;
	uint8_t esp[256];
	struct lm_esp_rx r;
	struct pair p;
	uint32_t len;

	(void)state;
	pair_init(&p, aead, 1);
	len = craft4(aead, &p, 9, 100, esp);
	assert_int_equal(open_one(aead, &r, &p.in, esp, len), LM_ESP_OK);
	before = p.in;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(far); i++) {
		uint32_t seq_be = htonl(far[i]);

		len = craft4(aead, &p, 10, 100, esp);
		memcpy(esp + 4, &seq_be, 4);
		assert_int_equal(open_one(aead, &r, &p.in, esp, len), LM_ESP_ICV);
		assert_false(r.newest);
		assert_memory_equal(&before, &p.in, sizeof(before));
	}
	len = craft4(aead, &p, 10, 100, esp);
	assert_int_equal(open_one(aead, &r, &p.in, esp, len), LM_ESP_OK);
	pair_free(&p);
}

/* The window is asked again after crypto: one of each number, whatever the burst holds. */
static void duplicates_in_a_burst(void **state)
{
	static const struct {
		uint32_t seq;
		enum lm_esp_status status;
		bool newest;
	} want[] = {
	    {7, LM_ESP_OK, true},      {7, LM_ESP_REPLAY, false},    {6, LM_ESP_OK, false},
	    {7, LM_ESP_REPLAY, false}, {9000, LM_ESP_OK, true},	     {8, LM_ESP_OLD, false},
	    {9001, LM_ESP_OK, true},   {9000, LM_ESP_REPLAY, false},
	};
	struct lm_esp_rx r[LM_ARRAY_SIZE(want)];
	static uint8_t esp[LM_ARRAY_SIZE(want)][256];
	struct pair p;

	(void)state;
	pair_init(&p, aead, 1);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(want); i++)
		r[i] = (struct lm_esp_rx){
		    .sa = &p.in, .data = esp[i], .len = craft4(aead, &p, want[i].seq, 80, esp[i])};
	assert_int_equal(lm_esp_open(aead, r, LM_ARRAY_SIZE(want)), 4);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(want); i++) {
		assert_int_equal(r[i].status, want[i].status);
		assert_int_equal(r[i].newest, want[i].newest);
	}
	assert_int_equal(p.in.packets, 4);
	pair_free(&p);
}

/* A burst of several SAs in which some packets are bad: exactly those are refused. */
static void bursts_with_bad_ones(void **state)
{
	enum { SAS = 5 };
	static uint8_t esp[LM_ESP_BURST][1700];
	struct lm_esp_rx r[LM_ESP_BURST];
	enum lm_esp_status want[LM_ESP_BURST];
	uint32_t seq[SAS] = {0}, size[LM_ESP_BURST];
	uint64_t seed = 777777777;
	struct pair p[SAS];

	(void)state;
	for (uint32_t i = 0; i < SAS; i++)
		pair_init(&p[i], aead, i);
	for (unsigned round = 0; round < 300; round++) {
		unsigned n = 1 + (unsigned)(next_random(&seed) % LM_ESP_BURST), good = 0;

		for (unsigned i = 0; i < n; i++) {
			unsigned from = (unsigned)(next_random(&seed) % SAS), to = from;
			uint32_t len;

			size[i] = 20 + (uint32_t)(next_random(&seed) % 1500);
			len = craft4(aead, &p[from], ++seq[from], size[i], esp[i]);
			want[i] = LM_ESP_OK;
			switch (next_random(&seed) % 12) {
			case 0: /* damaged */
				esp[i][8 + next_random(&seed) % (len - 8)] ^= 0x10;
				want[i] = LM_ESP_ICV;
				break;
			case 1: /* on the wrong SA */
				to = (from + 1) % SAS;
				seq[to]++;
				want[i] = LM_ESP_ICV;
				esp[i][4] = esp[i][5] = esp[i][6] = esp[i][7] = 0xff;
				break;
			case 2: /* cut */
				len -= 1 + (uint32_t)(next_random(&seed) % 3);
				want[i] = LM_ESP_SHORT;
				break;
			}
			good += want[i] == LM_ESP_OK;
			r[i] = (struct lm_esp_rx){.sa = &p[to].in, .data = esp[i], .len = len};
		}
		assert_int_equal(lm_esp_open(aead, r, n), good);
		for (unsigned i = 0; i < n; i++) {
			assert_int_equal(r[i].status, want[i]);
			if (want[i] == LM_ESP_OK)
				assert_int_equal(r[i].len, size[i]);
		}
	}
	for (unsigned i = 0; i < SAS; i++)
		pair_free(&p[i]);
}

/* plain[0..len) under a fresh number; what is said of it. The number counts as seen whatever the
 * verdict, since it was authentic. */
static unsigned verdict(struct pair *p, const uint8_t *plain, uint32_t len, struct lm_esp_rx *r)
{
	static uint8_t esp[4096];
	uint32_t seq = p->in.replay.top + 1;
	uint64_t packets = p->in.packets;
	unsigned status = open_one(aead, r, &p->in, esp, craft(aead, p, seq, plain, len, esp));

	assert_int_equal(p->in.replay.top, seq);
	assert_int_equal(p->in.packets, packets + (status == LM_ESP_OK));
	if (status != LM_ESP_OK)
		assert_ptr_equal(r->data, esp);
	return status;
}

static void padding(void **state)
{
	uint8_t plain[600];
	struct lm_esp_rx r;
	struct pair p;

	(void)state;
	pair_init(&p, aead, 1);
	/* Every pad length that fits is good (RFC 4303 section 2.4: up to 255 bytes), ... */
	for (unsigned pad = 2; pad < 256; pad += 4) {
		unsigned len = 40 + pad + 2;

		inner4(plain, 40);
		for (unsigned i = 0; i < pad; i++)
			plain[40 + i] = (uint8_t)(i + 1);
		plain[len - 2] = (uint8_t)pad;
		plain[len - 1] = 4;
		assert_int_equal(verdict(&p, plain, len, &r), LM_ESP_OK);
		assert_int_equal(r.len, 40);
		/* ... each of its bytes counts, ... */
		for (unsigned i = 0; i < pad; i++) {
			plain[40 + i] ^= 0x40;
			assert_int_equal(verdict(&p, plain, len, &r), LM_ESP_PADDING);
			plain[40 + i] ^= 0x40;
		}
		/* ... and it must fit. */
		plain[len - 2] = (uint8_t)(len - 1);
		if (len - 1 < 256)
			assert_int_equal(verdict(&p, plain, len, &r), LM_ESP_PADDING);
	}
	memcpy(plain, "\1\2\2\x3b", 4);
	assert_int_equal(verdict(&p, plain, 4, &r), LM_ESP_DUMMY);
	memcpy(plain, "\1\2\3\x3b", 4);
	assert_int_equal(verdict(&p, plain, 4, &r), LM_ESP_PADDING);
	memcpy(plain, "\1\2\xff\x3b", 4);
	assert_int_equal(verdict(&p, plain, 4, &r), LM_ESP_PADDING);
	pair_free(&p);
}

/* next header and inner bytes; the trailer is added. */
static unsigned inner_verdict(struct pair *p, const uint8_t *inner, uint32_t len, uint8_t next,
			      struct lm_esp_rx *r)
{
	uint8_t plain[512];
	uint32_t pad = -(len + 2) & 3;

	memcpy(plain, inner, len);
	for (uint32_t i = 0; i < pad; i++)
		plain[len + i] = (uint8_t)(i + 1);
	plain[len + pad] = (uint8_t)pad;
	plain[len + pad + 1] = next;
	return verdict(p, plain, len + pad + 2, r);
}

static void next_headers(void **state)
{
	uint8_t inner[100];
	struct lm_esp_rx r;
	struct pair p;

	(void)state;
	pair_init(&p, aead, 1);
	inner4(inner, sizeof(inner));
	for (unsigned next = 0; next < 256; next++) {
		unsigned want = LM_ESP_NEXT;

		if (next == 4 || next == 143)
			want = LM_ESP_OK;
		else if (next == 41)
			want = LM_ESP_INNER; /* it is an IPv4 packet */
		else if (next == 59)
			want = LM_ESP_DUMMY;
		assert_int_equal(inner_verdict(&p, inner, 100, (uint8_t)next, &r), want);
		if (want == LM_ESP_OK)
			assert_int_equal(r.next, next);
	}
	for (unsigned len = 0; len < 20; len++)
		assert_int_equal(inner_verdict(&p, inner, len, 143, &r),
				 len < 14 ? LM_ESP_INNER : LM_ESP_OK);
	pair_free(&p);
}

static void inner_headers(void **state)
{
	uint8_t inner[200];
	struct lm_esp_rx r;
	struct pair p;

	(void)state;
	pair_init(&p, aead, 1);
	/* Every declared length against 100 bytes: what is left over is cut, what is missing
	 * refused. */
	for (unsigned said = 0; said < 300; said++) {
		unsigned status;

		inner4(inner, 100);
		inner[2] = (uint8_t)(said >> 8);
		inner[3] = (uint8_t)said;
		status = inner_verdict(&p, inner, 100, 4, &r);
		assert_int_equal(status, said >= 20 && said <= 100 ? LM_ESP_OK : LM_ESP_INNER);
		if (status == LM_ESP_OK)
			assert_int_equal(r.len, said);

		inner6(inner, 100);
		inner[4] = (uint8_t)(said >> 8);
		inner[5] = (uint8_t)said;
		status = inner_verdict(&p, inner, 100, 41, &r);
		assert_int_equal(status, said <= 60 ? LM_ESP_OK : LM_ESP_INNER);
		if (status == LM_ESP_OK)
			assert_int_equal(r.len, said + 40);
	}
	/* Every first byte: version and IPv4 header length. */
	for (unsigned first = 0; first < 256; first++) {
		bool v4 = first >> 4 == 4 && (first & 15) >= 5 && (first & 15) * 4 <= 48;

		inner4(inner, 48);
		inner[0] = (uint8_t)first;
		assert_int_equal(inner_verdict(&p, inner, 48, 4, &r),
				 v4 ? LM_ESP_OK : LM_ESP_INNER);
		inner6(inner, 48);
		inner[0] = (uint8_t)first;
		assert_int_equal(inner_verdict(&p, inner, 48, 41, &r),
				 first >> 4 == 6 ? LM_ESP_OK : LM_ESP_INNER);
	}
	/* Too short for a header at all. */
	for (unsigned len = 0; len < 40; len++) {
		inner4(inner, 40);
		inner[3] = (uint8_t)len;
		assert_int_equal(inner_verdict(&p, inner, len, 4, &r),
				 len < 20 ? LM_ESP_INNER : LM_ESP_OK);
		inner6(inner, 40);
		assert_int_equal(inner_verdict(&p, inner, len, 41, &r), LM_ESP_INNER);
	}
	pair_free(&p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(good_and_again),	    cmocka_unit_test(window),
	    cmocka_unit_test(forged_far_future),    cmocka_unit_test(duplicates_in_a_burst),
	    cmocka_unit_test(bursts_with_bad_ones), cmocka_unit_test(padding),
	    cmocka_unit_test(next_headers),	    cmocka_unit_test(inner_headers),
	};
	int failed;

	if (lm_crypto_init() != 0)
		return 1;
	aead = test_aead();
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	lm_aead_free(aead);
	return failed;
}
