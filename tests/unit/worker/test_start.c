/* SPDX-License-Identifier: BSD-3-Clause */
/* Starting with what cannot work: an error that names it, and nothing left behind. */
#include <lanemesh/worker.h>

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

static struct lm_dp_port_config ports[LM_DP_PORTS_MAX + 1];
static char instance[32];

static struct lm_dp_config usual(void)
{
	ports[0] = (struct lm_dp_port_config){
	    .name = "lan0", .role = LM_DP_LAN, .device = "net_null0", .mtu = 1500};
	ports[1] = (struct lm_dp_port_config){.name = "wan0",
					      .role = LM_DP_WAN,
					      .device = "net_af_packet1,iface=lmt-none",
					      .mtu = 1500,
					      .udp_port = 4500};
	return (struct lm_dp_config){.instance = instance,
				     .workers = 2,
				     .hugepages = LM_HUGEPAGES_NO,
				     .memory_mb = 256,
				     .max_peers = 4,
				     .ports = ports,
				     .n_ports = 2};
}

static void refused(const struct lm_dp_config *cfg, int code, const char *word)
{
	struct lm_error err = {""};
	struct lm_dp *dp = NULL;

	if (code != 0)
		assert_int_equal(lm_dp_create(cfg, &dp, &err), code);
	else
		assert_true(lm_dp_create(cfg, &dp, &err) < 0);
	assert_null(dp);
	if (strstr(err.text, word) == NULL)
		fail_msg("\"%s\" does not say \"%s\"", err.text, word);
}

static void impossible_numbers(void **state)
{
	struct lm_dp_config cfg = usual();

	(void)state;
	cfg.workers = 0;
	refused(&cfg, -EINVAL, "0 workers");
	cfg.workers = LM_DP_WORKERS_MAX + 1;
	refused(&cfg, -EINVAL, "65 workers");
	cfg = usual();
	cfg.n_ports = 0;
	refused(&cfg, -EINVAL, "0 ports");
	cfg.n_ports = LM_DP_PORTS_MAX + 1;
	refused(&cfg, -EINVAL, "17 ports");
	cfg = usual();
	cfg.max_peers = 0;
	refused(&cfg, -EINVAL, "max_peers");
	cfg = usual();
	ports[1].n_accept_tcp = LM_CONFIG_ACCEPT_MAX + 1;
	refused(&cfg, -EINVAL, "wan0");
}

/* The first port is open and the second is not there: DPDK is started and stopped. */
static void no_such_device(void **state)
{
	struct lm_dp_config cfg = usual();
	char path[96];

	(void)state;
	refused(&cfg, 0, "wan0");
	snprintf(path, sizeof(path), "/var/run/dpdk/lanemesh-%s", instance);
	assert_int_equal(access(path, F_OK), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(impossible_numbers),
	    cmocka_unit_test(no_such_device),
	};

	snprintf(instance, sizeof(instance), "lmt-start-%d", (int)getpid());
	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
