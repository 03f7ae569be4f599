/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/config.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>

struct seen {
	char text[512]; /* "option+" when live, "option-" when not, joined by blanks */
};

static void note(void *user, const char *option, bool live)
{
	struct seen *s = user;
	size_t n = strlen(s->text);

	snprintf(s->text + n, sizeof(s->text) - n, "%s%s%c", n > 0 ? " " : "", option,
		 live ? '+' : '-');
}

static struct lm_config *load(const char *name)
{
	struct lm_config *cfg = malloc(sizeof(*cfg));
	struct lm_error err;
	char path[512];

	assert_non_null(cfg);
	snprintf(path, sizeof(path), "%s/ok/%s.conf", getenv("LM_CONFIG_FILES"), name);
	if (lm_config_load(path, "gw1", cfg, &err) != 0)
		fail_msg("%s", err.text);
	return cfg;
}

static int setup(void **state)
{
	struct lm_config **both = calloc(2, sizeof(*both));

	assert_non_null(both);
	both[0] = load("everything");
	both[1] = load("everything");
	*state = both;
	return 0;
}

static int teardown(void **state)
{
	struct lm_config **both = *state;

	free(both[0]);
	free(both[1]);
	free(both);
	return 0;
}

static void check(struct lm_config **both, unsigned n, const char *want, bool want_restart)
{
	struct seen s = {""};
	bool restart = !want_restart;

	assert_int_equal(lm_config_diff(both[0], both[1], note, &s, &restart), n);
	assert_string_equal(s.text, want);
	assert_int_equal(restart, want_restart);
	assert_int_equal(lm_config_diff(both[0], both[1], NULL, NULL, NULL), n);
}

static void same_file_twice(void **state)
{
	check(*state, 0, "", false);
}

static void live_and_not_live(void **state)
{
	struct lm_config **both = *state;

	both[1]->log_level = LM_LOG_ERROR;
	check(both, 1, "log_level+", false);
	both[1]->relay.rate_mbit++;
	check(both, 2, "relay.rate_mbit+ log_level+", false);
	both[1]->ports[1].mtu = 1400;
	check(both, 3, "ports[1].mtu- relay.rate_mbit+ log_level+", true);
}

static void elements_of_lists(void **state)
{
	struct lm_config **both = *state;

	both[1]->ports[0].public_endpoints[1].port++;
	both[1]->authorities[0][31] ^= 1;
	both[1]->coordinators[1].address.port++;
	both[1]->stun_servers[1].name[0] = 's';
	check(both, 4,
	      "authorities+ coordinators[1].address+ stun_servers+ ports[0].public_endpoints+",
	      false);
}

static void lengths_of_lists(void **state)
{
	struct lm_config **both = *state;

	both[1]->n_coordinators = 1;
	both[1]->n_prefixes = 0;
	both[1]->ports[0].n_public_endpoints = 0;
	check(both, 3, "coordinators+ prefixes+ ports[0].public_endpoints+", false);
	both[1]->n_ports = 1;
	check(both, 3, "coordinators+ prefixes+ ports-", true);
}

static void groups_and_optional_values(void **state)
{
	struct lm_config **both = *state;

	both[1]->workers.idle = LM_IDLE_ADAPTIVE;
	both[1]->timers.rekey_s = 3;
	both[1]->has_metrics = false;
	both[1]->ports[0].has_mac = false;
	both[1]->aead[0] = '\0';
	check(both, 5, "ports[0].mac- workers.idle- timers.rekey_s- aead- metrics-", true);
}

static void padding_does_not_count(void **state)
{
	struct lm_config **both = *state;

	/* The byte between address and port of an endpoint. */
	((uint8_t *)&both[1]->metrics)[sizeof(struct lm_ip)] = 0xff;
	assert_memory_not_equal(&both[0]->metrics, &both[1]->metrics, sizeof(both[0]->metrics));
	check(both, 0, "", false);
}

static void coordinator(void **state)
{
	struct lm_coord_config a, b;
	struct seen s = {""};
	bool restart;
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/ok/coord-everything.conf", getenv("LM_CONFIG_FILES"));
	assert_int_equal(lm_coord_config_load(path, "main", &a, NULL), 0);
	b = a;
	b.max_nodes++;
	b.record_ttl_s++;
	assert_int_equal(lm_coord_config_diff(&a, &b, note, &s, &restart), 2);
	assert_string_equal(s.text, "max_nodes- record_ttl_s+");
	assert_true(restart);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(same_file_twice, setup, teardown),
	    cmocka_unit_test_setup_teardown(live_and_not_live, setup, teardown),
	    cmocka_unit_test_setup_teardown(elements_of_lists, setup, teardown),
	    cmocka_unit_test_setup_teardown(lengths_of_lists, setup, teardown),
	    cmocka_unit_test_setup_teardown(groups_and_optional_values, setup, teardown),
	    cmocka_unit_test_setup_teardown(padding_does_not_count, setup, teardown),
	    cmocka_unit_test(coordinator),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
