/* SPDX-License-Identifier: BSD-3-Clause */
#include "esp_test.h"

#include <errno.h>

static const struct lm_mac mac_a = {{2, 0, 0, 0, 0, 1}}, mac_b = {{2, 0, 0, 0, 0, 2}};

static struct lm_endpoint ep(const char *text)
{
	struct lm_endpoint out;

	assert_int_equal(lm_endpoint_parse(text, 0, &out), 0);
	return out;
}

static void ip4(void **state)
{
	static const uint8_t want[42] = {
	    2,	  0,	0,    0,    0,	 2,  2,	  0, 0,	 0,  0, 1, 0x08, 0, /* Ethernet */
	    0x45, 0,	0,    0,    0,	 0,  0,	  0, 64, 17, 0, 0,	    /* IPv4 to checksum */
	    192,  0,	2,    1,    198, 51, 100, 2,			    /* addresses */
	    0x11, 0x94, 0x13, 0x88, 0,	 0,  0,	  0};
	struct lm_endpoint a = ep("192.0.2.1:4500"), b = ep("198.51.100.2:5000");
	struct lm_outer o;

	(void)state;
	assert_int_equal(lm_outer_build(&o, &mac_a, &mac_b, &a, &b, false), 0);
	assert_int_equal(o.hdr_len, 42);
	assert_false(o.ip6);
	assert_memory_equal(o.hdr, want, sizeof(want));
	assert_int_equal(lm_outer_build(&o, &mac_a, &mac_b, &a, &b, true), 0);
	assert_int_equal(o.hdr[20], 0x40);
	assert_int_equal(o.hdr[21], 0);
}

static void ip6(void **state)
{
	struct lm_endpoint a = ep("[2001:db8::1]:4500"), b = ep("[2001:db8::2]:4500");
	struct lm_outer o;

	(void)state;
	assert_int_equal(lm_outer_build(&o, &mac_a, &mac_b, &a, &b, true), 0);
	assert_int_equal(o.hdr_len, 62);
	assert_true(o.ip6);
	assert_memory_equal(o.hdr + 12, "\x86\xdd\x60\0\0\0\0\0\x11\x40", 10);
	assert_memory_equal(o.hdr + 22, a.ip.b, 16);
	assert_memory_equal(o.hdr + 38, b.ip.b, 16);
	assert_memory_equal(o.hdr + 54, "\x11\x94\x11\x94\0\0\0\0", 8);
}

static void refused(void **state)
{
	struct lm_endpoint a = ep("192.0.2.1:4500"), b = ep("[2001:db8::2]:4500"), c = a;
	struct lm_outer o;

	(void)state;
	assert_int_equal(lm_outer_build(&o, &mac_a, &mac_b, &a, &b, true), -EINVAL);
	c.ip.family = 0;
	assert_int_equal(lm_outer_build(&o, &mac_a, &mac_b, &c, &c, true), -EINVAL);
	c = a;
	c.port = 0;
	assert_int_equal(lm_outer_build(&o, &mac_a, &mac_b, &a, &c, true), -EINVAL);
	assert_int_equal(lm_outer_build(&o, &mac_a, &mac_b, &c, &a, true), -EINVAL);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ip4),
	    cmocka_unit_test(ip6),
	    cmocka_unit_test(refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
