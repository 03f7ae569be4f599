/* SPDX-License-Identifier: BSD-3-Clause */
/* Checksums, packet views, ICMP errors, inner MTU. */
#include <lanemesh/wire.h>

#include <arpa/inet.h>
#include <errno.h>
#include <jansson.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static void inner_mtu(void **state)
{
	static const struct {
		const char *key;
		bool v6;
	} tables[] = {{"esp_in_udp_over_ipv4", false}, {"esp_in_udp_over_ipv6", true}};
	const char *dir = getenv("LM_VECTORS");
	char path[4096];
	json_t *all, *value;
	const char *mtu;

	(void)state;
	assert_non_null(dir);
	snprintf(path, sizeof(path), "%s/pmtu_expect.json", dir);
	all = json_load_file(path, 0, NULL);
	assert_non_null(all);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(tables); i++) {
		json_t *table = json_object_get(all, tables[i].key);

		assert_true(json_object_size(table) > 0);
		json_object_foreach(table, mtu, value)
		{
			unsigned outer = (unsigned)atoi(mtu);

			assert_int_equal(lm_esp_inner_mtu(outer, tables[i].v6),
					 json_integer_value(value));
		}
	}
	json_decref(all);
	assert_int_equal(lm_esp_inner_mtu(63, false), 0);
	assert_int_equal(lm_esp_inner_mtu(0, true), 0);
	/* through a relay: the other side may be IPv6 */
	assert_int_equal(lm_esp_inner_mtu_relayed(1500), 1402);
	for (unsigned outer = 0; outer < 9000; outer++)
		assert_int_equal(lm_esp_inner_mtu_relayed(outer),
				 outer < 16 ? 0 : lm_esp_inner_mtu(outer - 16, true));
}

static void checksums(void **state)
{
	/* the example of RFC 1071 section 3: sum ddf2 */
	static const uint8_t rfc[] = {0, 1, 0xf2, 3, 0xf4, 0xf5, 0xf6, 0xf7};
	/* an IPv4 header as Linux sent it */
	uint8_t ip[] = {0x45, 0,    0,	  0x73, 0, 0, 0x40, 0,	  0x40, 0x11,
			0xb8, 0x61, 0xc0, 0xa8, 0, 1, 0xc0, 0xa8, 0,	0xc7};
	uint8_t udp[] = {0, 1, 0, 2, 0, 9, 0, 0, 7}, fill[512];
	struct lm_ip a = lm_ip4(ip + 12), b = lm_ip4(ip + 16);
	uint16_t csum = lm_csum_finish(lm_csum_add(0, rfc, 8));

	(void)state;
	assert_memory_equal(&csum, "\x22\x0d", 2);
	assert_int_equal(lm_csum_finish(lm_csum_add(0, ip, 20)), 0);
	ip[10] = ip[11] = 0;
	csum = lm_csum_finish(lm_csum_add(0, ip, 20));
	assert_memory_equal(&csum, "\xb8\x61", 2);
	/* pieces give what the whole gives; an odd tail counts as if a zero byte followed */
	memset(fill, 0xff, sizeof(fill));
	for (unsigned cut = 0; cut <= sizeof(fill); cut += 2)
		for (unsigned odd = 0; odd < 2; odd++) {
			uint32_t whole = lm_csum_add(0, fill, sizeof(fill) - odd);
			uint32_t part = lm_csum_add(0, fill, cut - (cut == sizeof(fill) ? odd : 0));

			if (cut < sizeof(fill))
				part = lm_csum_add(part, fill + cut, sizeof(fill) - odd - cut);
			assert_int_equal(lm_csum_finish(part), lm_csum_finish(whole));
		}
	/* every length and alignment gives what adding 16-bit words one by one gives */
	for (unsigned i = 0; i < sizeof(fill); i++)
		fill[i] = (uint8_t)(i * 151 + i / 3);
	for (unsigned off = 0; off < 8; off++)
		for (unsigned len = 0; len <= 300; len++) {
			uint32_t slow = 0x12345;
			uint16_t want;

			for (unsigned i = 0; i < len; i++)
				slow += i % 2 == 0 ? (uint32_t)fill[off + i] << 8 : fill[off + i];
			while (slow >> 16 != 0)
				slow = (slow & 0xffff) + (slow >> 16);
			want = htons((uint16_t)~slow);
			/* the start value as it lies in memory: 0x12345 folds to 0x2346 */
			assert_int_equal(
			    lm_csum_finish(lm_csum_add(htons(0x2346), fill + off, len)), want);
		}
	/* c0a8 + 0001 + c0a8 + 00c7 + 0011 + 0009 + 0001 + 0002 + 0009 + 0700 folds to 893f */
	csum = lm_csum_pseudo(&a, &b, LM_PROTO_UDP, udp, sizeof(udp));
	assert_memory_equal(&csum, "\x76\xc0", 2);
	/* UDP never shows zero */
	memcpy(udp + 6, &csum, 2);
	csum = lm_csum_pseudo(&a, &b, LM_PROTO_UDP, udp, sizeof(udp));
	assert_int_equal(csum, 0xffff);
}

static size_t packet4(uint8_t *p, unsigned total, uint16_t frag, uint8_t proto)
{
	struct lm_writer w = lm_writer(p, 28);

	lm_w_u16(&w, 0x4500);
	lm_w_u16(&w, (uint16_t)total);
	lm_w_u16(&w, 1);
	lm_w_u16(&w, frag);
	lm_w_u8(&w, 61);
	lm_w_u8(&w, proto);
	lm_w_u16(&w, 0);
	lm_w_copy(&w, "\x0a\1\0\1\x0a\2\0\1", 8);
	lm_w_copy(&w, "\x08\0\0\0\0\0\0\0", 8);
	return total;
}

static void view_ip4(void **state)
{
	uint8_t p[64] = {0};
	struct lm_ip_view v;
	char buf[LM_IP_STRLEN];

	(void)state;
	packet4(p, 40, 0x4000, LM_PROTO_UDP);
	assert_int_equal(lm_ip_view(p, 64, &v), 0); /* Ethernet padding */
	assert_int_equal(v.total_len, 40);
	assert_int_equal(v.l4_off, 20);
	assert_int_equal(v.proto, LM_PROTO_UDP);
	assert_int_equal(v.ttl, 61);
	assert_true(v.dont_fragment && !v.fragment);
	assert_string_equal(lm_ip_format(&v.src, buf), "10.1.0.1");
	assert_string_equal(lm_ip_format(&v.dst, buf), "10.2.0.1");
	for (size_t len = 0; len < 40; len++)
		assert_int_equal(lm_ip_view(p, len, &v), -EBADMSG);
	p[0] = 0x44; /* header of 16 bytes */
	assert_int_equal(lm_ip_view(p, 64, &v), -EBADMSG);
	p[0] = 0x4b; /* of 44, total 40 */
	assert_int_equal(lm_ip_view(p, 64, &v), -EBADMSG);
	p[0] = 0x4a;
	assert_int_equal(lm_ip_view(p, 64, &v), 0);
	assert_int_equal(v.l4_off, 40);
	p[0] = 0x55;
	assert_int_equal(lm_ip_view(p, 64, &v), -EBADMSG);
	packet4(p, 28, 0x2000, LM_PROTO_UDP); /* first fragment */
	assert_int_equal(lm_ip_view(p, 28, &v), 0);
	assert_true(v.fragment && !v.dont_fragment && v.l4_off == 20);
	packet4(p, 28, 1, LM_PROTO_UDP); /* last */
	assert_int_equal(lm_ip_view(p, 28, &v), 0);
	assert_true(v.fragment && v.l4_off == 0);
	packet4(p, 28, 0x1fff, LM_PROTO_UDP); /* 8 * 8191 + 28 > 65535: ping of death */
	assert_int_equal(lm_ip_view(p, 28, &v), -EBADMSG);
}

/* An IPv6 packet whose chain is given as next-header numbers, ending with UDP. */
static size_t packet6(uint8_t *p, const uint8_t *chain, unsigned n, uint16_t frag_field)
{
	struct lm_writer w = lm_writer(p, 400);

	lm_w_u32(&w, 0x60000000);
	lm_w_u16(&w, (uint16_t)(n * 8 + 8));
	lm_w_u8(&w, n > 0 ? chain[0] : LM_PROTO_UDP);
	lm_w_u8(&w, 62);
	lm_w_copy(&w, "\xfd\0\0\1\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	lm_w_copy(&w, "\xfd\0\0\2\0\0\0\0\0\0\0\0\0\0\0\1", 16);
	for (unsigned i = 0; i < n; i++) {
		lm_w_u8(&w, i + 1 < n ? chain[i + 1] : LM_PROTO_UDP);
		lm_w_u8(&w, 0); /* 8 bytes, for AH too */
		lm_w_u16(&w, chain[i] == 44 ? frag_field : 0);
		lm_w_u32(&w, 0);
	}
	lm_w_zero(&w, 8);
	assert_false(w.bad);
	return lm_w_len(&w);
}

static void view_ip6(void **state)
{
	static const uint8_t mixed[] = {0, 60, 43, 51, 135, 139, 140, 60};
	static const uint8_t hop_late[] = {60, 0}, twice[] = {44, 44}, frag[] = {60, 44, 60};
	uint8_t p[400], many[64];
	struct lm_ip_view v;
	size_t len = packet6(p, NULL, 0, 0);

	(void)state;
	assert_int_equal(lm_ip_view(p, len, &v), 0);
	assert_true(v.proto == LM_PROTO_UDP && v.l4_off == 40 && v.total_len == 48 && v.ttl == 62);
	assert_true(v.dont_fragment && !v.fragment && v.src.family == 6 && v.dst.b[3] == 2);
	for (size_t n = 0; n < len; n++)
		assert_int_equal(lm_ip_view(p, n, &v), -EBADMSG);
	len = packet6(p, mixed, 8, 0);
	assert_int_equal(lm_ip_view(p, len, &v), 0);
	assert_true(v.proto == LM_PROTO_UDP && v.l4_off == 40 + 64);
	for (unsigned n = 0; n <= 64 - 30; n++) {
		memset(many, 60, sizeof(many));
		len = packet6(p, many, n, 0);
		assert_int_equal(lm_ip_view(p, len, &v), n <= LM_IP6_EXT_MAX ? 0 : -EBADMSG);
	}
	len = packet6(p, hop_late, 2, 0);
	assert_int_equal(lm_ip_view(p, len, &v), -EBADMSG);
	len = packet6(p, twice, 2, 0);
	assert_int_equal(lm_ip_view(p, len, &v), -EBADMSG);
	len = packet6(p, frag, 3, 0); /* atomic */
	assert_int_equal(lm_ip_view(p, len, &v), 0);
	assert_true(!v.fragment && v.l4_off == 64 && v.proto == LM_PROTO_UDP);
	len = packet6(p, frag, 3, 1); /* first */
	assert_int_equal(lm_ip_view(p, len, &v), 0);
	assert_true(v.fragment && v.l4_off == 64);
	len = packet6(p, frag, 3, 8); /* later: what follows is payload */
	assert_int_equal(lm_ip_view(p, len, &v), 0);
	assert_true(v.fragment && v.l4_off == 0 && v.proto == 60);
	len = packet6(p, frag, 3, 0xfff8);
	assert_int_equal(lm_ip_view(p, len, &v), -EBADMSG);
	/* lengths 0 to 255 of one header: never beyond the packet */
	for (unsigned units = 0; units < 256; units++) {
		len = packet6(p, mixed + 1, 1, 0);
		p[41] = (uint8_t)units;
		assert_int_equal(lm_ip_view(p, len, &v), units <= 1 ? 0 : -EBADMSG);
	}
	p[4] = 0; /* payload length 0 is no jumbogram to us: the header it names is missing */
	p[5] = 0;
	assert_int_equal(lm_ip_view(p, len, &v), -EBADMSG);
	p[6] = LM_PROTO_DUMMY; /* no next header */
	assert_int_equal(lm_ip_view(p, len, &v), 0);
	assert_true(v.l4_off == 40 && v.total_len == 40);
}

static void icmp4(void **state)
{
	static const struct {
		enum lm_icmp_error what;
		uint8_t head[8];
	} kinds[] = {{LM_ICMP_TOO_BIG, {3, 4, 0, 0, 0, 0, 0x05, 0x9e}},
		     {LM_ICMP_TIME_EXCEEDED, {11, 0}},
		     {LM_ICMP_NO_ROUTE, {3, 0}},
		     {LM_ICMP_PROHIBITED, {3, 13}}};
	uint8_t p[1500] = {0}, out[600];
	struct lm_ip src = lm_ip4((uint8_t[]){10, 1, 0, 254}), src6 = {.family = 6};
	struct lm_ip_view v;

	(void)state;
	packet4(p, 1500, 0x4000, LM_PROTO_UDP);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(kinds); i++) {
		assert_int_equal(
		    lm_icmp_error_build(kinds[i].what, 1438, &src, p, 1500, out, sizeof(out)), 576);
		assert_int_equal(lm_ip_view(out, 576, &v), 0);
		assert_true(v.proto == LM_PROTO_ICMP && v.total_len == 576);
		assert_memory_equal(v.dst.b, p + 12, 4);
		assert_memory_equal(v.src.b, src.b, 4);
		assert_int_equal(lm_csum_finish(lm_csum_add(0, out, 20)), 0);
		assert_int_equal(lm_csum_finish(lm_csum_add(0, out + 20, 556)), 0);
		assert_memory_equal(out + 20, kinds[i].head, 2);
		assert_memory_equal(out + 24, kinds[i].head + 4, 4);
		assert_memory_equal(out + 28, p, 548);
	}
	packet4(p, 28, 0, LM_PROTO_UDP);
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, 60, out, 56), 56);
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, 60, out, 55), -EMSGSIZE);
	assert_int_equal(lm_icmp_error_build(LM_ICMP_TOO_BIG, 99999, &src, p, 60, out, 56), 56);
	assert_memory_equal(out + 26, "\xff\xff", 2);
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src6, p, 60, out, 600), 0);
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, 27, out, 600), 0);
	packet4(p, 28, 5, LM_PROTO_UDP); /* a later fragment */
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, 60, out, 600), 0);
	packet4(p, 28, 0, LM_PROTO_ICMP);
	for (unsigned type = 0; type < 256; type++) {
		int n;

		p[20] = (uint8_t)type;
		n = lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, 28, out, 600);
		assert_int_equal(n > 0, type == 0 || type == 8 || (type >= 13 && type <= 18));
	}
	packet4(p, 20, 0, LM_PROTO_ICMP); /* type cut off */
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, 20, out, 600), 0);
	packet4(p, 28, 0, LM_PROTO_UDP);
	p[16] = 224;
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, 28, out, 600), 0);
	p[16] = 10;
	p[12] = 127;
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, 28, out, 600), 0);
}

static void icmp6(void **state)
{
	uint8_t p[400] = {0}, out[1400], big[1500] = {0};
	struct lm_ip src = lm_ip6((uint8_t[]){0xfd, [15] = 9});
	struct lm_ip_view v;
	size_t len = packet6(p, NULL, 0, 0);

	(void)state;
	memcpy(big, p, len);
	big[4] = 1460 >> 8;
	big[5] = 1460 & 255;
	assert_int_equal(lm_icmp_error_build(LM_ICMP_TOO_BIG, 1418, &src, big, 1500, out, 1400),
			 1280);
	assert_int_equal(lm_ip_view(out, 1280, &v), 0);
	assert_true(v.proto == LM_PROTO_ICMP6 && v.total_len == 1280);
	assert_memory_equal(out + 40, "\2\0", 2);
	assert_memory_equal(out + 44, "\0\0\x05\x8a", 4);
	assert_memory_equal(out + 48, big, 1280 - 48);
	assert_int_equal(lm_csum_pseudo(&v.src, &v.dst, LM_PROTO_ICMP6, out + 40, 1240), 0);
	assert_int_equal(lm_icmp_error_build(LM_ICMP_PROHIBITED, 0, &src, p, len, out, 1400), 96);
	assert_memory_equal(out + 40, "\1\1", 2);
	assert_memory_equal(out + 44, "\0\0\0\0", 4);
	p[6] = LM_PROTO_ICMP6;
	for (unsigned type = 0; type < 256; type++) {
		int n;

		p[40] = (uint8_t)type;
		n = lm_icmp_error_build(LM_ICMP_TIME_EXCEEDED, 0, &src, p, len, out, 1400);
		assert_int_equal(n > 0, type >= 128 && type != 137);
	}
	p[6] = LM_PROTO_UDP;
	p[8] = 0xfe; /* from a link-local address */
	p[9] = 0x80;
	assert_int_equal(lm_icmp_error_build(LM_ICMP_NO_ROUTE, 0, &src, p, len, out, 1400), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(inner_mtu), cmocka_unit_test(checksums), cmocka_unit_test(view_ip4),
	    cmocka_unit_test(view_ip6),	 cmocka_unit_test(icmp4),     cmocka_unit_test(icmp6),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
