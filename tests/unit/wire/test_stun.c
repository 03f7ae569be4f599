/* SPDX-License-Identifier: BSD-3-Clause */
#include "../vectors.h"

#include <lanemesh/wire.h>

#include <errno.h>

static const uint8_t id[LM_STUN_ID_LEN] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12};

static struct lm_endpoint endpoint(const char *text)
{
	struct lm_endpoint ep;

	assert_int_equal(lm_endpoint_parse(text, 0, &ep), 0);
	return ep;
}

/* RFC 5769: a fingerprint each, or credentials that we do not look at. */
static void rfc5769(void **state)
{
	json_t *root = vectors_third_party("rfc5769.json"), *v;
	uint8_t msg[256];
	size_t i;

	(void)state;
	if (root == NULL)
		skip();
	json_array_foreach(json_object_get(root, "vectors"), i, v)
	{
		size_t len = vec_hex(v, "hex", msg, sizeof(msg));
		bool request = strcmp(vec_str(v, "type"), "0x1") == 0;
		const json_t *mapped = json_object_get(v, "xor_mapped");
		struct lm_stun_msg m;

		assert_int_equal(lm_demux(msg, len), LM_DEMUX_STUN);
		assert_int_equal(lm_stun_decode(msg, len, &m), 0);
		assert_int_equal(m.kind, request ? LM_STUN_REQUEST : LM_STUN_SUCCESS);
		assert_memory_equal(m.id, msg + 8, LM_STUN_ID_LEN);
		assert_int_equal(m.fingerprint, json_is_true(json_object_get(v, "fingerprint_ok")));
		if (json_is_array(mapped)) {
			struct lm_ip ip;

			assert_int_equal(
			    lm_ip_parse(json_string_value(json_array_get(mapped, 0)), &ip), 0);
			assert_true(lm_ip_equal(&m.mapped.ip, &ip));
			assert_int_equal(m.mapped.port,
					 json_integer_value(json_array_get(mapped, 1)));
		}
		/* no flipped bit leaves a good fingerprint */
		for (size_t bit = 0; bit < len * 8; bit++) {
			msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
			assert_true(lm_stun_decode(msg, len, &m) != 0 || !m.fingerprint);
			msg[bit / 8] ^= (uint8_t)(1 << bit % 8);
		}
		for (size_t n = 0; n < len; n++)
			assert_int_equal(lm_stun_decode(msg, n, &m), -EBADMSG);
	}
	assert_int_equal(i, 4);
	json_decref(root);
}

static void request(void **state)
{
	uint8_t buf[LM_STUN_REQUEST_LEN], answer[LM_STUN_ANSWER_MAX];
	struct lm_endpoint ep = endpoint("[2001:db8::1]:4500");
	struct lm_stun_msg m;

	(void)state;
	lm_stun_request(buf, id);
	assert_int_equal(lm_demux(buf, sizeof(buf)), LM_DEMUX_STUN);
	assert_int_equal(lm_stun_decode(buf, sizeof(buf), &m), 0);
	assert_int_equal(m.kind, LM_STUN_REQUEST);
	assert_memory_equal(m.id, id, sizeof(id));
	assert_int_equal(m.n_unknown, 0);
	assert_false(m.fingerprint);
	/* the longest answer to it is no longer */
	assert_in_range(lm_stun_success(answer, sizeof(answer), id, &ep, m.fingerprint), 1,
			sizeof(buf));
}

static void answers(void **state)
{
	static const char *const texts[] = {"192.0.2.1:1", "255.255.255.255:65535",
					    "[2001:db8::ffff]:4500", "[::1]:8466"};
	uint8_t buf[LM_STUN_ANSWER_MAX];
	struct lm_stun_msg m;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(texts); i++) {
		for (unsigned fp = 0; fp < 2; fp++) {
			struct lm_endpoint ep = endpoint(texts[i]);
			int want = 20 + (ep.ip.family == 4 ? 12 : 24) + (fp ? 8 : 0);

			assert_int_equal(lm_stun_success(buf, sizeof(buf), id, &ep, fp), want);
			assert_int_equal(lm_stun_decode(buf, (size_t)want, &m), 0);
			assert_int_equal(m.kind, LM_STUN_SUCCESS);
			assert_true(lm_endpoint_equal(&m.mapped, &ep));
			assert_int_equal(m.fingerprint, fp);
			assert_memory_equal(m.id, id, sizeof(id));
			for (int cap = 0; cap < want; cap++)
				assert_int_equal(lm_stun_success(buf, (size_t)cap, id, &ep, fp),
						 -EMSGSIZE);
		}
	}
	assert_int_equal(lm_stun_success(buf, sizeof(buf), id, &(struct lm_endpoint){0}, false),
			 -EINVAL);
}

static void unknown_attributes(void **state)
{
	/* PRIORITY of ICE, then CHANGE-REQUEST, then an optional one */
	uint8_t b[] = {0, 1, 0,	 24, 0x21, 0x12, 0xa4, 0x42, 1, 2, 3, 4, 5, 6, 7,
		       8, 9, 10, 11, 12,   0,	 0x24, 0,    4, 1, 2, 3, 4, 0, 3,
		       0, 4, 0,	 0,  0,	   2,	 0x90, 0,    0, 1, 9, 0, 0, 0};
	uint8_t out[LM_STUN_ANSWER_MAX];
	struct lm_stun_msg m;
	int n;

	(void)state;
	assert_int_equal(lm_stun_decode(b, sizeof(b), &m), 0);
	assert_int_equal(m.n_unknown, 2);
	assert_int_equal(m.unknown[0], 0x24);
	assert_int_equal(m.unknown[1], 3);
	n = lm_stun_unknown(out, sizeof(out), &m);
	assert_int_equal(n, 20 + 8 + 8);
	assert_memory_equal(out + 20, "\0\x09\0\4\0\0\4\x14\0\x0a\0\4\0\x24\0\3", 16);
	assert_int_equal(lm_stun_decode(out, (size_t)n, &m), 0);
	assert_int_equal(m.kind, LM_STUN_ERROR);
	assert_int_equal(m.error, 420);
	/* in an answer they make it void; so does an address that is missing */
	b[0] = 1;
	assert_int_equal(lm_stun_decode(b, sizeof(b), &m), -EBADMSG);
	assert_int_equal(
	    lm_stun_decode((const uint8_t *)"\1\1\0\0\x21\x12\xa4\x42xxxxxxxxxxxx", 20, &m),
	    -EBADMSG);
	assert_int_equal(
	    lm_stun_decode((const uint8_t *)"\0\1\0\0\x21\x12\xa4\x42xxxxxxxxxxxx", 20, &m), 0);
}

static void refused(void **state)
{
	static const struct {
		int rc;
		size_t len;
		uint8_t b[44];
	} cases[] = {
	    {-EOPNOTSUPP, 20, {0, 3, 0, 0, 0x21, 0x12, 0xa4, 0x42}},	/* TURN Allocate */
	    {-EOPNOTSUPP, 20, {0, 0x11, 0, 0, 0x21, 0x12, 0xa4, 0x42}}, /* indication */
	    {-EBADMSG, 20, {0x40, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}},
	    {-EBADMSG, 20, {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x43}},
	    {-EBADMSG, 20, {0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42}}, /* length */
	    {-EBADMSG, 24, {0, 1, 0, 0, 0x21, 0x12, 0xa4, 0x42}}, /* bytes after it */
	    {-EBADMSG, 22, {0, 1, 0, 2, 0x21, 0x12, 0xa4, 0x42}}, /* no multiple of 4 */
	    {-EBADMSG, 24, {0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42, [22] = 0, 4}}, /* beyond the end */
	    {-EBADMSG, 24, {0, 1, 0, 4, 0x21, 0x12, 0xa4, 0x42, [22] = 0xff, 0xff}},
	    /* an address of an unknown family, of the wrong length, with port 0 */
	    {-EBADMSG,
	     32,
	     {1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42, [21] = 0x20, 0, 8, 0, 3, 1, 1, 1, 1, 1, 1}},
	    {-EBADMSG,
	     32,
	     {1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42, [21] = 0x20, 0, 8, 0, 2, 1, 1, 1, 1, 1, 1}},
	    {-EBADMSG,
	     32,
	     {1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42, [21] = 0x20, 0, 8, 0, 1, 0x21, 0x12, 1, 1, 1,
	      1}},
	    {0,
	     32,
	     {1, 1, 0, 12, 0x21, 0x12, 0xa4, 0x42, [21] = 0x20, 0, 8, 0, 1, 1, 1, 1, 1, 1, 1}},
	    /* error codes */
	    {-EBADMSG, 28, {1, 0x11, 0, 8, 0x21, 0x12, 0xa4, 0x42, [21] = 9, 0, 4, 0, 0, 2, 99}},
	    {-EBADMSG, 28, {1, 0x11, 0, 8, 0x21, 0x12, 0xa4, 0x42, [21] = 9, 0, 4, 0, 0, 4, 100}},
	    {0, 28, {1, 0x11, 0, 8, 0x21, 0x12, 0xa4, 0x42, [21] = 9, 0, 4, 0, 0, 5, 0}},
	};
	struct lm_stun_msg m;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++)
		assert_int_equal(lm_stun_decode(cases[i].b, cases[i].len, &m), cases[i].rc);
}

/* Many empty attributes: the walk ends. */
static void bounded(void **state)
{
	static uint8_t b[65536];
	struct lm_stun_msg m;

	(void)state;
	memcpy(b, "\0\1\0\0\x21\x12\xa4\x42", 8);
	for (unsigned n = 0; n < 200; n++) {
		b[2] = (uint8_t)(4 * n >> 8);
		b[3] = (uint8_t)(4 * n);
		for (unsigned i = 0; i < n; i++)
			memcpy(b + 20 + 4 * i, "\x90\1\0\0", 4);
		assert_int_equal(lm_stun_decode(b, 20 + 4 * n, &m), n <= 64 ? 0 : -EBADMSG);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(rfc5769), cmocka_unit_test(request),
	    cmocka_unit_test(answers), cmocka_unit_test(unknown_attributes),
	    cmocka_unit_test(refused), cmocka_unit_test(bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
