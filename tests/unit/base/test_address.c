/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <errno.h>
#include <setjmp.h>
#include <sys/socket.h>

#include <cmocka.h>

static struct lm_ip ip(const char *text)
{
	struct lm_ip out;

	assert_int_equal(lm_ip_parse(text, &out), 0);
	return out;
}

static struct lm_prefix prefix(const char *text)
{
	struct lm_prefix out;

	assert_int_equal(lm_prefix_parse(text, &out), 0);
	return out;
}

static void ip_text(void **state)
{
	static const char *const same[] = {
	    "0.0.0.0", "255.255.255.255",   "10.1.2.3", "::",
	    "::1",     "2001:db8::1:0:0:1", "fe80::1",	"2001:db8:0:1:1:1:1:1"};
	static const char *const bad[] = {
	    "",		 "1.2.3", "1.2.3.4.5", "256.1.1.1", "01.2.3.4",	  "1.2.3.4 ",
	    "localhost", ":::",	  "1::2::3",   "g::",	    "fe80::1%lo", "12345::"};
	char buf[LM_IP_STRLEN];
	struct lm_ip out;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(same); i++) {
		out = ip(same[i]);
		assert_string_equal(lm_ip_format(&out, buf), same[i]);
	}
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++)
		assert_int_equal(lm_ip_parse(bad[i], &out), -EINVAL);
	out = ip("2001:DB8:0:0:0:0:0:A");
	assert_string_equal(lm_ip_format(&out, buf), "2001:db8::a");
	out = ip("::ffff:10.1.2.3");
	assert_int_equal(out.family, 4);
	assert_string_equal(lm_ip_format(&out, buf), "10.1.2.3");
	out = (struct lm_ip){0};
	assert_string_equal(lm_ip_format(&out, buf), "none");
	assert_int_equal(lm_ip_bits(&out), 0);
}

static void ip_order_and_kind(void **state)
{
	static const char *const special[] = {
	    "0.0.0.0", "0.1.2.3", "127.0.0.1", "224.0.0.1", "239.1.1.1", "255.255.255.255",
	    "::",      "::1",	  "ff02::1",   "fe80::1",   "febf::1"};
	static const char *const plain[] = {"10.0.0.1",	      "192.0.2.1", "1.1.1.1",
					    "2001:db8::1",    "fd00::1",   "fec0::1",
					    "223.255.255.255"};
	struct lm_ip a = ip("255.0.0.1"), b = ip("::2"), c = ip("::3"), mapped = {.family = 6};

	(void)state;
	assert_true(lm_ip_cmp(&a, &b) < 0);
	assert_true(lm_ip_cmp(&c, &b) > 0);
	assert_int_equal(lm_ip_cmp(&c, &c), 0);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(special); i++) {
		a = ip(special[i]);
		assert_true(lm_ip_is_special(&a));
	}
	for (unsigned i = 0; i < LM_ARRAY_SIZE(plain); i++) {
		a = ip(plain[i]);
		assert_false(lm_ip_is_special(&a));
	}
	/* A loopback address in mapped dress is still one. */
	memcpy(mapped.b, (uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 127, 0, 0, 1}, 16);
	assert_true(lm_ip_is_special(&mapped));
	a = lm_ip_canonical(mapped);
	b = ip("127.0.0.1");
	assert_true(lm_ip_equal(&a, &b));
	a = (struct lm_ip){0};
	assert_true(lm_ip_is_special(&a));
}

static void endpoint_text(void **state)
{
	static const struct {
		const char *in;
		uint16_t port;
		const char *out; /* NULL: refused */
	} cases[] = {
	    {"10.0.0.1:4500", 0, "10.0.0.1:4500"},
	    {"10.0.0.1", 4500, "10.0.0.1:4500"},
	    {"10.0.0.1:1", 4500, "10.0.0.1:1"},
	    {"[2001:db8::1]:65535", 0, "[2001:db8::1]:65535"},
	    {"[2001:db8::1]", 7, "[2001:db8::1]:7"},
	    {"2001:db8::1", 7, "[2001:db8::1]:7"},
	    {"[::ffff:1.2.3.4]:5", 0, "1.2.3.4:5"},
	    {"10.0.0.1", 0, NULL},
	    {"10.0.0.1:", 5, NULL},
	    {"10.0.0.1:0", 5, NULL},
	    {"10.0.0.1:65536", 5, NULL},
	    {"10.0.0.1:99999999999999999999", 5, NULL},
	    {"10.0.0.1:+5", 5, NULL},
	    {"10.0.0.1:05", 5, NULL},
	    {"10.0.0.1:5x", 5, NULL},
	    {"[10.0.0.1]:5", 5, NULL},
	    {"[2001:db8::1", 5, NULL},
	    {"[2001:db8::1]x", 5, NULL},
	    {"[2001:db8::1]:", 5, NULL},
	    {"", 5, NULL},
	    {":5", 5, NULL},
	    {"[]:5", 5, NULL},
	    {"1111111111111111111111111111111111111111111111111111111111:5", 5, NULL},
	};
	char buf[LM_ENDPOINT_STRLEN];
	struct lm_endpoint ep;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++) {
		int rc = lm_endpoint_parse(cases[i].in, cases[i].port, &ep);

		if (cases[i].out == NULL) {
			assert_int_equal(rc, -EINVAL);
			continue;
		}
		assert_int_equal(rc, 0);
		assert_string_equal(lm_endpoint_format(&ep, buf), cases[i].out);
	}
}

static void endpoint_sockaddr(void **state)
{
	static const char *const texts[] = {"192.0.2.1:4500", "[2001:db8::5]:1"};
	struct lm_endpoint a, b;
	struct sockaddr_storage ss;
	char buf[LM_ENDPOINT_STRLEN];

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(texts); i++) {
		assert_int_equal(lm_endpoint_parse(texts[i], 0, &a), 0);
		assert_true(lm_endpoint_to_sockaddr(&a, &ss) > 0);
		assert_int_equal(lm_endpoint_from_sockaddr((struct sockaddr *)&ss, &b), 0);
		assert_true(lm_endpoint_equal(&a, &b));
	}
	b.port++;
	assert_false(lm_endpoint_equal(&a, &b));
	/* what a dual-stack socket hands out for an IPv4 peer */
	a.ip = lm_ip6((uint8_t[]){0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 255, 255, 192, 0, 2, 9});
	assert_true(lm_endpoint_to_sockaddr(&a, &ss) > 0);
	assert_int_equal(lm_endpoint_from_sockaddr((struct sockaddr *)&ss, &b), 0);
	assert_string_equal(lm_endpoint_format(&b, buf), "192.0.2.9:1");
	ss.ss_family = AF_UNIX;
	assert_int_equal(lm_endpoint_from_sockaddr((struct sockaddr *)&ss, &b), -EAFNOSUPPORT);
	a.ip.family = 0;
	assert_int_equal(lm_endpoint_to_sockaddr(&a, &ss), 0);
}

static void prefix_text(void **state)
{
	static const char *const same[] = {"0.0.0.0/0",	  "10.1.0.0/16",     "10.1.2.3/32", "::/0",
					   "fd00:1::/64", "2001:db8::1/128", "128.0.0.0/1"};
	static const char *const bad[] = {"10.1.0.1/16",
					  "10.0.0.0/33",
					  "10.0.0.0/",
					  "10.0.0.0/-1",
					  "10.0.0.0/08",
					  "fd00::/129",
					  "fd00::1/64",
					  "/8",
					  "",
					  "::ffff:10.0.0.0/104",
					  "::ffff:10.0.0.0/8",
					  "::ffff:10.0.0.1",
					  "::ffff:0:0/96"};
	char buf[LM_PREFIX_STRLEN];
	struct lm_prefix p;

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(same); i++) {
		p = prefix(same[i]);
		assert_string_equal(lm_prefix_format(&p, buf), same[i]);
		assert_true(lm_prefix_valid(&p));
	}
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++)
		assert_int_equal(lm_prefix_parse(bad[i], &p), -EINVAL);
	p = prefix("10.1.2.3");
	assert_string_equal(lm_prefix_format(&p, buf), "10.1.2.3/32");

	p = prefix("10.0.0.0/8");
	p.len = 33;
	assert_false(lm_prefix_valid(&p));
	p.len = 8;
	p.ip.b[9] = 1; /* beyond an IPv4 address */
	assert_false(lm_prefix_valid(&p));
	p.ip.family = 5;
	assert_false(lm_prefix_valid(&p));
	p = (struct lm_prefix){.ip = {.family = 6, .b[10] = 0xff, .b[11] = 0xff}, .len = 96};
	assert_false(lm_prefix_valid(&p));
}

static void prefix_sets(void **state)
{
	struct lm_prefix ten = prefix("10.0.0.0/8"), all4 = prefix("0.0.0.0/0"),
			 all6 = prefix("::/0"), nine = prefix("10.128.0.0/9"),
			 p = prefix("fd00:0:0:fff8::/61");
	struct lm_ip a = ip("10.255.0.1"), b = ip("11.0.0.0"), c = ip("fd00::ffff:0:0:0:1"),
		     d = ip("fd00:0:0:fff7::1"), mapped = {.family = 6, .b[10] = 255, .b[11] = 255};

	(void)state;
	assert_true(lm_prefix_contains(&ten, &a));
	assert_false(lm_prefix_contains(&ten, &b));
	assert_true(lm_prefix_contains(&all4, &b));
	assert_false(lm_prefix_contains(&all6, &b));
	assert_true(lm_prefix_contains(&p, &c));
	assert_false(lm_prefix_contains(&p, &d));
	/* an address that should have been canonicalised belongs to nobody */
	mapped.b[12] = 10;
	assert_false(lm_prefix_contains(&all6, &mapped));
	assert_true(lm_prefix_covers(&ten, &nine));
	assert_true(lm_prefix_covers(&ten, &ten));
	assert_false(lm_prefix_covers(&nine, &ten));
	assert_false(lm_prefix_covers(&all6, &ten));
	p = lm_prefix_of(&a, 9);
	assert_true(lm_prefix_equal(&p, &nine));
	p = lm_prefix_of(&a, 0);
	assert_true(lm_prefix_equal(&p, &all4));
	p = lm_prefix_of(&c, 200);
	assert_int_equal(p.len, 128);
}

/* Every length, against a bit-by-bit definition. */
static void prefix_every_length(void **state)
{
	struct lm_ip base = ip("a5a5:5a5a:ffff:1234:8765:4321:cafe:f00d");

	(void)state;
	for (unsigned len = 0; len <= 128; len++) {
		struct lm_prefix p = lm_prefix_of(&base, len);

		assert_true(lm_prefix_valid(&p));
		assert_true(lm_prefix_contains(&p, &base));
		for (unsigned bit = 0; bit < 128; bit++) {
			struct lm_ip other = base;

			other.b[bit / 8] ^= (uint8_t)(0x80 >> bit % 8);
			assert_int_equal(lm_prefix_contains(&p, &other), bit >= len);
		}
	}
}

static void mac_text(void **state)
{
	static const char *const bad[] = {"",
					  "02:00:00:00:00",
					  "02:00:00:00:00:0",
					  "02-00-00-00-00-01",
					  "02:00:00:00:00:0g",
					  "02:00:00:00:00:011",
					  " 2:00:00:00:00:01"};
	struct lm_mac mac;
	char buf[LM_MAC_STRLEN];

	(void)state;
	assert_int_equal(lm_mac_parse("02:AB:cd:00:01:ff", &mac), 0);
	assert_string_equal(lm_mac_format(&mac, buf), "02:ab:cd:00:01:ff");
	for (unsigned i = 0; i < LM_ARRAY_SIZE(bad); i++)
		assert_int_equal(lm_mac_parse(bad[i], &mac), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(ip_text),	     cmocka_unit_test(ip_order_and_kind),
	    cmocka_unit_test(endpoint_text), cmocka_unit_test(endpoint_sockaddr),
	    cmocka_unit_test(prefix_text),   cmocka_unit_test(prefix_sets),
	    cmocka_unit_test(mac_text),	     cmocka_unit_test(prefix_every_length),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
