/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <errno.h>
#include <setjmp.h>

#include <cmocka.h>

static void read_fields(void **state)
{
	static const uint8_t data[] = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16};
	struct lm_reader r = lm_reader(data, sizeof(data)), sub;
	uint8_t copy[2];

	(void)state;
	assert_int_equal(lm_r_u8(&r), 1);
	assert_int_equal(lm_r_u16(&r), 0x0203);
	assert_int_equal(lm_r_u32(&r), 0x04050607);
	assert_int_equal(lm_r_left(&r), 9);
	sub = lm_r_sub(&r, 3);
	assert_int_equal(lm_r_u16(&sub), 0x0809);
	assert_int_equal(lm_r_u16(&sub), 0); /* one byte left: nothing of it is given */
	assert_true(sub.bad);
	assert_int_equal(lm_r_u8(&sub), 0);
	assert_false(r.bad);
	lm_r_copy(&r, copy, 2);
	assert_memory_equal(copy, data + 10, 2);
	assert_int_equal(lm_r_u64(&r), 0);
	assert_true(r.bad);
	assert_int_equal(lm_r_left(&r), 0);
	copy[0] = copy[1] = 9;
	lm_r_copy(&r, copy, 2);
	assert_int_equal(copy[0] | copy[1], 0);
	sub = lm_r_sub(&r, 1);
	assert_true(sub.bad);
	assert_null(lm_r_bytes(&sub, 0));
	r = lm_reader(data, 8);
	assert_true(lm_r_u64(&r) == 0x0102030405060708);
	assert_null(lm_r_bytes(&r, SIZE_MAX));
}

static void write_fields(void **state)
{
	uint8_t buf[10];
	struct lm_writer w = lm_writer(buf, sizeof(buf));

	(void)state;
	lm_w_u8(&w, 1);
	lm_w_u16(&w, 0x0203);
	lm_w_u32(&w, 0x04050607);
	lm_w_zero(&w, 1);
	lm_w_copy(&w, "x", 1);
	assert_int_equal(lm_w_len(&w), 9);
	lm_w_u16(&w, 0xffff);
	assert_true(w.bad);
	lm_w_u8(&w, 0xff); /* would fit, but the message is already broken */
	assert_int_equal(lm_w_len(&w), 9);
	assert_memory_equal(buf, "\1\2\3\4\5\6\7\0x", 9);
	w = lm_writer(buf, 8);
	lm_w_u64(&w, 0x1122334455667788);
	assert_false(w.bad);
	assert_memory_equal(buf, "\x11\x22\x33\x44\x55\x66\x77\x88", 8);
	assert_null(lm_w_room(&w, 1));
}

static void hex(void **state)
{
	uint8_t out[3];
	char text[7];

	(void)state;
	assert_string_equal(lm_hex("\x00\xab\x9f", 3, text), "00ab9f");
	assert_int_equal(lm_unhex("00aB9F", out, 3), 0);
	assert_memory_equal(out, "\x00\xab\x9f", 3);
	assert_int_equal(lm_unhex("00ab9", out, 3), -EINVAL);
	assert_int_equal(lm_unhex("00ab9f0", out, 3), -EINVAL);
	assert_int_equal(lm_unhex("00ab9g", out, 3), -EINVAL);
	assert_int_equal(lm_unhex("00 b9f", out, 3), -EINVAL);
	assert_int_equal(lm_unhex("", out, 0), 0);
	assert_int_equal(lm_unhex("a", out, 0), -EINVAL);
}

static void error_text(void **state)
{
	struct lm_error err;
	char longer[1000];

	(void)state;
	memset(longer, 'x', sizeof(longer) - 1);
	longer[sizeof(longer) - 1] = '\0';
	assert_int_equal(lm_error_set(&err, ENOENT, "%s:%d: no", "f", 3), -ENOENT);
	assert_string_equal(err.text, "f:3: no");
	assert_int_equal(lm_error_set(NULL, EINVAL, "%s", longer), -EINVAL);
	assert_int_equal(lm_error_set(&err, EINVAL, "%s", longer), -EINVAL);
	assert_int_equal(strlen(err.text), sizeof(err.text) - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(read_fields),
	    cmocka_unit_test(write_fields),
	    cmocka_unit_test(hex),
	    cmocka_unit_test(error_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
