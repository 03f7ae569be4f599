/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/wire.h>

#include <errno.h>
#include <setjmp.h>

#include <cmocka.h>

static const uint8_t bytes[300];

static const struct lm_coord_msg samples[] = {
    {.type = LM_COORD_PUBLISH, .data = bytes, .data_len = 300},
    {.type = LM_COORD_PUBLISHED, .number = UINT64_MAX},
    {.type = LM_COORD_SYNC, .epoch = {1, 2, 3}, .revision = 77},
    {.type = LM_COORD_RECORD,
     .revision = INT64_MAX,
     .cert = bytes,
     .cert_len = 200,
     .data = bytes,
     .data_len = 100},
    {.type = LM_COORD_REMOVED, .revision = 5, .node = {9, 8, 7}},
    {.type = LM_COORD_REVOCATION, .revision = 6, .data = bytes, .data_len = 1},
    {.type = LM_COORD_SYNCED, .epoch = {4}, .revision = 8},
    {.type = LM_COORD_PING, .number = 1},
    {.type = LM_COORD_PONG, .number = 1},
    {.type = LM_COORD_ERROR,
     .number = LM_COORD_E_LIMIT,
     .data = (const uint8_t *)"too many",
     .data_len = 8},
    {.type = LM_COORD_ERROR, .number = LM_COORD_E_SHUTDOWN},
    {.type = LM_COORD_SIGNAL, .node = {1, 2, 3}, .number = 7},
    {.type = LM_COORD_SIGNALLED, .node = {4, 5, 6}, .number = UINT64_MAX},
};

static void round_trip(void **state)
{
	static const int lengths[] = {303, 9, 25, 313, 41, 12, 25, 9, 9, 19, 11, 41, 41};
	uint8_t buf[400], again[400];
	struct lm_coord_msg m;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(samples); i++) {
		int n = lm_coord_msg_encode(&samples[i], buf, sizeof(buf) - 1);

		assert_int_equal(n, lengths[i]);
		assert_int_equal(lm_coord_msg_decode(buf, (size_t)n, &m), 0);
		assert_int_equal(m.type, samples[i].type);
		assert_true(m.revision == samples[i].revision && m.number == samples[i].number);
		assert_memory_equal(m.epoch, samples[i].epoch, sizeof(m.epoch));
		assert_memory_equal(m.node, samples[i].node, sizeof(m.node));
		assert_int_equal(m.cert_len, samples[i].cert_len);
		assert_int_equal(m.data_len, samples[i].data_len);
		assert_int_equal(lm_coord_msg_encode(&m, again, sizeof(again)), n);
		assert_memory_equal(again, buf, (size_t)n);
		buf[n] = 0;
		assert_int_equal(lm_coord_msg_decode(buf, (size_t)n + 1, &m), -EBADMSG);
		for (int k = 0; k < n; k++)
			assert_int_equal(lm_coord_msg_decode(buf, (size_t)k, &m), -EBADMSG);
		assert_int_equal(lm_coord_msg_encode(&samples[i], buf, (size_t)n - 1), -EMSGSIZE);
	}
}

static void refused(void **state)
{
	static const struct lm_coord_msg bad[] = {
	    {.type = 0},
	    {.type = 11},
	    {.type = 255},
	    {.type = LM_COORD_PUBLISH},
	    {.type = LM_COORD_PUBLISH, .data = bytes, .data_len = LM_ANNOUNCE_MAX + 1},
	    {.type = LM_COORD_RECORD, .data = bytes, .data_len = 1},
	    {.type = LM_COORD_RECORD,
	     .cert = bytes,
	     .cert_len = LM_CERT_MAX + 1,
	     .data = bytes,
	     .data_len = 1},
	    {.type = LM_COORD_SYNC, .revision = 1ull << 63},
	    {.type = LM_COORD_REVOCATION, .data = bytes, .data_len = LM_REVOCATION_MAX + 1},
	    {.type = LM_COORD_ERROR, .data = (const uint8_t *)"\x1b[2J", .data_len = 4},
	    {.type = LM_COORD_ERROR, .data = bytes, .data_len = LM_COORD_TEXT_MAX + 1},
	};
	uint8_t buf[65536] = {0};
	struct lm_coord_msg m;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++)
		assert_int_equal(lm_coord_msg_encode(&bad[i], buf, sizeof(buf)), -EINVAL);
	for (unsigned type = 0; type < 256; type++) {
		buf[0] = (uint8_t)type;
		if (type < LM_COORD_PUBLISH || (type > LM_COORD_ERROR && type < LM_COORD_SIGNAL) ||
		    type > LM_COORD_SIGNALLED)
			assert_int_equal(lm_coord_msg_decode(buf, 1, &m), -EOPNOTSUPP);
	}
	buf[0] = 200;
	assert_int_equal(lm_coord_msg_decode(buf, LM_COORD_MSG_MAX + 1, &m), -EBADMSG);
	memcpy(buf, "\x0a\0\0\0\0\0\0\0\1\0\2a\n", 13);
	assert_int_equal(lm_coord_msg_decode(buf, 13, &m), -EBADMSG);
	buf[12] = 'b';
	assert_int_equal(lm_coord_msg_decode(buf, 13, &m), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(round_trip), cmocka_unit_test(refused)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
