/* SPDX-License-Identifier: BSD-3-Clause */
/* Parts that need no data plane: the SPI table against a plain list, ECN, header arithmetic. */
#include "../../../lib/worker/ip.h"
#include "../../../lib/worker/worker_internal.h"
#include "rig.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#define SESSIONS 700
#define STEPS	 200000

/* Puts and takes in any order: what is in is found by any of its lanes, the rest is not. */
static void spi_table(void **state)
{
	static struct lm_session_in all[SESSIONS];
	static bool in[SESSIONS];
	struct lm_sa_table *t = lm_sa_table_new(64), *grown;

	(void)state;
	srand(7);
	assert_non_null(t);
	for (unsigned i = 0; i < SESSIONS; i++)
		/* Some differ in few bits only, as an adversary would have them. */
		all[i].spi_base = i < 200 ? 0x80000000 + i * 64
					  : (0x80000000 | (uint32_t)rand() << 6) + (1u << 20);
	for (unsigned step = 0; step < STEPS; step++) {
		unsigned i = (unsigned)rand() % SESSIONS;
		uint32_t spi = all[i].spi_base + (unsigned)rand() % 64;

		assert_ptr_equal(lm_sa_table_get(t, spi), in[i] ? &all[i] : NULL);
		if (in[i]) {
			assert_ptr_equal(lm_sa_table_take(t, all[i].spi_base), &all[i]);
			assert_null(lm_sa_table_take(t, all[i].spi_base));
		} else {
			if (lm_sa_table_full(t)) {
				grown = lm_sa_table_grown(t);
				assert_non_null(grown);
				free(t);
				t = grown;
			}
			lm_sa_table_put(t, &all[i]);
		}
		in[i] = !in[i];
	}
	assert_true(t->mask < 8192); /* removed ones do not make it grow */
	free(t);
}

/* RFC 6040 figure 4, in its own order. */
static void ecn(void **state)
{
	enum { NOT_ECT = 0, ECT1 = 1, ECT0 = 2, CE = 3, DROP = -1 };
	static const int outer[4] = {NOT_ECT, ECT0, ECT1, CE}, inner[4] = {NOT_ECT, ECT0, ECT1, CE};
	static const int want[4][4] = {
	    {NOT_ECT, NOT_ECT, NOT_ECT, DROP},
	    {ECT0, ECT0, ECT1, CE},
	    {ECT1, ECT1, ECT1, CE},
	    {CE, CE, CE, CE},
	};

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		for (unsigned o = 0; o < 4; o++) {
			for (unsigned dscp = 0; dscp < 64; dscp++) {
				struct rig_ip d = {"10.0.0.1", "10.0.0.2", .proto = 17, .ttl = 4};
				uint8_t ip[64], other[64];
				bool ok = want[i][o] != DROP;

				d.tos = (uint8_t)(dscp << 2 | (unsigned)inner[i]);
				rig_ip(&d, ip);
				assert_int_equal(lm_ecn_apply(ip, (uint8_t)(0xfc | outer[o])), ok);
				if (ok)
					d.tos = (uint8_t)(dscp << 2 | (unsigned)want[i][o]);
				assert_memory_equal(ip, other, rig_ip(&d, other));
				assert_int_equal(lm_ip_tos(ip), d.tos);
				d.src = "fd00::1";
				d.dst = "fd00::2";
				d.tos = (uint8_t)(dscp << 2 | (unsigned)inner[i]);
				rig_ip(&d, ip);
				ip[1] |= 7; /* flow label */
				assert_int_equal(lm_ecn_apply(ip, (uint8_t)outer[o]), ok);
				if (ok)
					d.tos = (uint8_t)(dscp << 2 | (unsigned)want[i][o]);
				assert_int_equal(lm_ip_tos(ip), d.tos);
				assert_int_equal(ip[0] >> 4, 6);
				assert_int_equal(ip[1] & 15, 7);
			}
		}
	}
}

/* The mended checksum is the one that is computed anew, for every TTL and many headers. */
static void ttl_checksum(void **state)
{
	uint8_t ip[64], want[64];

	(void)state;
	srand(11);
	for (unsigned round = 0; round < 2000; round++) {
		char src[16];
		struct rig_ip d = {.src = src, .dst = "10.0.0.2", .proto = (uint8_t)rand()};

		snprintf(src, sizeof(src), "%d.%d.%d.%d", rand() & 255, rand() & 255, rand() & 255,
			 rand() & 255);
		for (unsigned ttl = 2; ttl < 256; ttl += 1 + (unsigned)rand() % 40) {
			d.ttl = (uint8_t)ttl;
			rig_ip(&d, ip);
			assert_int_equal(lm_ip4_total(ip, 20), 20);
			lm_ip_dec_ttl(ip);
			assert_int_equal(lm_ip4_total(ip, 20), 20);
			d.ttl--;
			assert_memory_equal(ip, want, rig_ip(&d, want));
		}
	}
}

static void routable(void **state)
{
	static const struct {
		const char *ip;
		bool ok;
	} cases[] = {
	    {"10.0.0.1", true},
	    {"0.0.0.0", false},
	    {"0.255.255.255", false},
	    {"1.0.0.0", true},
	    {"126.255.255.255", true},
	    {"127.0.0.0", false},
	    {"127.255.255.255", false},
	    {"128.0.0.0", true},
	    {"223.255.255.255", true},
	    {"224.0.0.0", false},
	    {"240.0.0.1", false},
	    {"255.255.255.255", false},
	    {"::", false},
	    {"::1", false},
	    {"::ffff:10.0.0.1", false},
	    {"::10.0.0.1", false},
	    {"2001:db8::1", true},
	    {"fe80::1", false},
	    {"febf::1", false},
	    {"fec0::1", true},
	    {"ff02::1", false},
	    {"64:ff9b::a00:1", true},
	    {"::fffe:a00:1", true},
	    {"fd00::1", true},
	};

	(void)state;
	for (unsigned i = 0; i < LM_ARRAY_SIZE(cases); i++) {
		struct lm_ip ip = rig_addr(cases[i].ip);

		if (ip.family == 4)
			assert_int_equal(lm_ip4_routable(lm_be32(ip.b)), cases[i].ok);
		else
			assert_int_equal(lm_ip6_routable(ip.b), cases[i].ok);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(spi_table),
	    cmocka_unit_test(ecn),
	    cmocka_unit_test(ttl_checksum),
	    cmocka_unit_test(routable),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
