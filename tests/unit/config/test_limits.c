/* SPDX-License-Identifier: BSD-3-Clause */
/* What values become, defaults, instance names, sizes, half-written files. */
#include "../../../lib/config/option.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

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

static void is_endpoint(const struct lm_endpoint *ep, const char *want)
{
	char buf[LM_ENDPOINT_STRLEN];

	assert_string_equal(lm_endpoint_format(ep, buf), want);
}

static void is_ip(const struct lm_ip *ip, const char *want)
{
	char buf[LM_IP_STRLEN];

	assert_string_equal(lm_ip_format(ip, buf), want);
}

static void defaults(void **state)
{
	struct lm_config *c = load("minimal");

	(void)state;
	assert_string_equal(c->instance, "gw1");
	assert_string_equal(c->state_dir, "/var/lib/lanemesh/gw1");
	assert_string_equal(c->overlay_interface, "lm0");
	assert_string_equal(c->psk_file, "");
	assert_string_equal(c->revocation_list, "");
	assert_string_equal(c->aead, "");
	assert_int_equal(c->n_coordinators + c->n_prefixes + c->ports[0].n_addresses, 0);
	assert_int_equal(c->max_peers, 4096);
	assert_int_equal(c->full_mesh_up_to, 256);
	assert_int_equal(c->max_routes, 65536);
	assert_int_equal(c->handshake_limit, 500);
	assert_int_equal(c->workers.count, 1);
	assert_int_equal(c->workers.n_cpus, 0);
	assert_int_equal(c->workers.idle, LM_IDLE_ADAPTIVE);
	assert_int_equal(c->memory.hugepages, LM_HUGEPAGES_AUTO);
	assert_int_equal(c->memory.size_mb, 384);
	assert_int_equal(c->memory.mbufs, 16384);
	assert_int_equal(c->timers.rekey_s, 120);
	assert_int_equal(c->timers.keepalive_s, 5);
	assert_int_equal(c->log_level, LM_LOG_INFO);
	assert_false(c->allow_key_export || c->has_metrics || c->ports[0].has_mac);
	assert_int_equal(c->ports[0].mtu, 1500);
	assert_int_equal(c->ports[0].udp_port, 4500);
	assert_int_equal(c->ports[1].udp_port, 0);
	free(c);
}

static void values(void **state)
{
	struct lm_config *c = load("everything");
	const struct lm_config_port *wan = &c->ports[0], *lan = &c->ports[1];
	char buf[LM_PREFIX_STRLEN], mac[LM_MAC_STRLEN];

	(void)state;
	assert_string_equal(c->mesh, "corp");
	assert_string_equal(c->identity, "/etc/lanemesh/a.key");
	assert_string_equal(c->psk_file, "/etc/lanemesh/gw1.psk");
	assert_string_equal(c->state_dir, "/s/gw1/gw1");
	assert_int_equal(c->n_authorities, 1);
	assert_int_equal(c->authorities[0][0], 0x6a);
	assert_int_equal(c->authorities[0][31], 0x46);
	assert_int_equal(c->n_coordinators, 2);
	is_endpoint(&c->coordinators[0].address, "127.0.0.1:4600");
	is_endpoint(&c->coordinators[1].address, "[::1]:4601");
	assert_int_equal(c->coordinators[1].key[0], 0x91);
	assert_int_equal(c->n_stun_servers, 4);
	assert_string_equal(c->stun_servers[0].name, "stun.example.org");
	assert_int_equal(c->stun_servers[0].port, 3478);
	assert_string_equal(c->stun_servers[1].name, "Stun-2.example.org");
	assert_int_equal(c->stun_servers[1].port, 19302);
	assert_string_equal(c->stun_servers[2].name, "192.0.2.9");
	assert_int_equal(c->stun_servers[2].port, 3478);
	assert_string_equal(c->stun_servers[3].name, "2001:db8::9");
	assert_int_equal(c->stun_servers[3].port, 1);
	assert_int_equal(c->n_prefixes, 2);
	assert_string_equal(lm_prefix_format(&c->prefixes[1], buf), "fd00:1::/64");
	assert_int_equal(c->n_ports, 2);
	assert_int_equal(wan->role, LM_PORT_ROLE_WAN);
	assert_int_equal(lan->role, LM_PORT_ROLE_LAN);
	assert_string_equal(wan->device, "0000:03:00.0");
	is_ip(&wan->addresses[0].ip, "203.0.113.2");
	assert_int_equal(wan->addresses[0].len, 30);
	assert_int_equal(wan->n_gateways, 2);
	is_ip(&wan->gateways[1], "fe80::1");
	assert_int_equal(wan->mtu, 9000);
	assert_true(wan->has_mac);
	assert_string_equal(lm_mac_format(&wan->mac, mac), "02:00:00:00:00:01");
	assert_int_equal(wan->udp_port, 1);
	assert_int_equal(wan->n_public_endpoints, 2);
	is_endpoint(&wan->public_endpoints[1], "[2001:db8::7]:4500");
	assert_int_equal(wan->n_accept_tcp, 2);
	assert_int_equal(wan->accept_tcp[1], 179);
	assert_int_equal(wan->accept_udp[0], 520);
	assert_true(c->relay.enabled);
	assert_int_equal(c->relay.pairs, 4096);
	assert_int_equal(c->relay.rate_mbit, 0);
	assert_int_equal(c->workers.n_cpus, 2);
	assert_int_equal(c->workers.idle, LM_IDLE_POLL);
	assert_int_equal(c->memory.hugepages, LM_HUGEPAGES_NO);
	assert_string_equal(c->aead, "sodium");
	assert_true(c->allow_key_export && c->has_metrics);
	is_endpoint(&c->metrics, "[::1]:9469");
	assert_int_equal(c->log_level, LM_LOG_DEBUG);
	free(c);
}

static void coordinator_defaults(void **state)
{
	struct lm_coord_config c;
	char path[512];

	(void)state;
	snprintf(path, sizeof(path), "%s/ok/coord-minimal.conf", getenv("LM_CONFIG_FILES"));
	assert_int_equal(lm_coord_config_load(path, "main", &c, NULL), 0);
	assert_string_equal(c.store, "/var/lib/lanemesh-coord/main/directory.db");
	assert_int_equal(c.n_listen, 2);
	is_endpoint(&c.listen[0], "0.0.0.0:4600");
	is_endpoint(&c.listen[1], "[::]:4600");
	assert_int_equal(c.n_stun_listen, 0);
	assert_int_equal(c.max_nodes, 65536);
	assert_int_equal(c.record_ttl_s, 30 * 86400);
}

static void instance_names(void **state)
{
	struct lm_coord_config c;
	struct lm_error err;

	(void)state;
	assert_true(lm_instance_valid("gw1"));
	assert_true(lm_instance_valid("A_b-9"));
	assert_true(lm_instance_valid("01234567890123456789012345678901"));
	assert_false(lm_instance_valid("012345678901234567890123456789012"));
	assert_false(lm_instance_valid(""));
	assert_false(lm_instance_valid(".."));
	assert_false(lm_instance_valid("a/b"));
	assert_int_equal(lm_coord_config_parse("x", "", 0, "../etc", &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "instance name"));
}

static void files_that_are_none(void **state)
{
	struct lm_coord_config c;
	struct lm_error err;
	size_t big = LM_CONFIG_FILE_MAX + 1;
	char *text = malloc(big);

	(void)state;
	assert_non_null(text);
	memset(text, '\n', big);
	assert_int_equal(lm_coord_config_parse("x", text, big, "main", &c, &err), -EFBIG);
	assert_int_equal(lm_coord_config_parse("x", text, big - 1, "main", &c, &err), -EINVAL);
	assert_string_equal(err.text, "x:1: mesh: is missing; add it (name: id of the mesh that is "
				      "served)");
	text[100] = '\0';
	assert_int_equal(lm_coord_config_parse("x", text, 200, "main", &c, &err), -EINVAL);
	assert_non_null(strstr(err.text, "x:101: character"));
	free(text);
	assert_int_equal(lm_coord_config_load("/nonexistent/x", "main", &c, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/x"));
	assert_true(lm_coord_config_load("/dev/zero", "main", &c, &err) < 0);
	assert_true(lm_coord_config_load("/", "main", &c, NULL) < 0);
}

/* A file cut anywhere is refused or is a whole config; never anything else. */
static void half_written_files(void **state)
{
	struct lm_config *c = malloc(sizeof(*c));
	char path[512];
	uint8_t *text;
	size_t len, accepted = 0;

	(void)state;
	assert_non_null(c);
	snprintf(path, sizeof(path), "%s/ok/everything.conf", getenv("LM_CONFIG_FILES"));
	assert_int_equal(lm_file_read(path, LM_CONFIG_FILE_MAX, &text, &len, NULL), 0);
	for (size_t n = 0; n < len; n++) {
		struct lm_error err = {""};
		int rc = lm_config_parse("x", (char *)text, n, "gw1", c, &err);

		assert_true(rc == 0 || rc == -EINVAL);
		assert_true((rc == 0) == (err.text[0] == '\0'));
		accepted += rc == 0;
		if (rc == 0)
			assert_int_equal(c->n_ports, 2);
	}
	assert_true(accepted < len / 2);
	free(text);
	free(c);
}

/* Facts that a row states twice must agree. */
static void table_is_consistent(void **state)
{
	(void)state;
	for (unsigned kind = 0; kind <= LM_CONFIG_COORD; kind++) {
		const struct lm_table *t = lm_table(kind);

		for (unsigned i = 0; i < t->n; i++) {
			const struct lm_row *r = &t->rows[i];
			char words[128] = "";

			assert_true(r->pub.name[0] != '\0' && r->pub.help[0] != '\0');
			assert_int_equal(r->required, strcmp(r->pub.def, "required") == 0);
			if (r->shape == LM_S_LIST || r->shape == LM_S_GROUPS)
				assert_true(r->most <= r->room && r->room <= UINT8_MAX &&
					    r->least <= r->most);
			if (r->value == LM_V_WORD || r->value == LM_V_BACKEND)
				for (unsigned k = 0; r->words != NULL && r->words[k] != NULL; k++)
					snprintf(words + strlen(words),
						 sizeof(words) - strlen(words), "%s\"%s\"",
						 k > 0 ? ", " : "", r->words[k]);
			if (words[0] != '\0')
				assert_string_equal(words, r->pub.range);
			for (unsigned k = 0; k < i; k++)
				assert_string_not_equal(t->rows[k].pub.name, r->pub.name);
		}
		assert_null(lm_config_option(kind, t->n));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(defaults),
	    cmocka_unit_test(values),
	    cmocka_unit_test(coordinator_defaults),
	    cmocka_unit_test(instance_names),
	    cmocka_unit_test(files_that_are_none),
	    cmocka_unit_test(half_written_files),
	    cmocka_unit_test(table_is_consistent),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
