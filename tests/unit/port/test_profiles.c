/* SPDX-License-Identifier: BSD-3-Clause */
/* drivers-config/profiles: each is a good configuration when the rest is added. */
#include "port_internal.h"

#include <dirent.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

static const char rest[] =
    "mesh = \"corp\"; identity = \"/etc/lanemesh/k\"; certificate = \"/etc/lanemesh/c\";\n"
    "authorities = [ \"6a1f3c5e7d9b2048a6c4e8f0135792468ace13579bdf02468acf13579bdf0246\" ];\n";

static void check(const char *path)
{
	struct lm_config *cfg = calloc(1, sizeof(*cfg));
	char text[16384], out[512];
	size_t n = sizeof(rest) - 1;
	struct lm_error err;
	bool pci = true;
	FILE *f = fopen(path, "r");

	assert_non_null(cfg);
	assert_non_null(f);
	memcpy(text, rest, n);
	n += fread(text + n, 1, sizeof(text) - n, f);
	fclose(f);
	if (lm_config_parse(path, text, n, "gw1", cfg, &err) < 0)
		fail_msg("%s", err.text);
	for (unsigned i = 0; i < cfg->n_ports; i++) {
		const struct lm_config_port *p = &cfg->ports[i];

		assert_int_equal(
		    lm_devargs_complete(p->device, cfg->workers.count, p->mtu, out, sizeof(out)),
		    0);
		pci = pci && lm_devargs_is_pci(p->device);
		if (!pci)
			assert_int_equal(strncmp(p->device, "net_", 4), 0);
	}
	free(cfg);
}

static void all(void **state)
{
	const char *dir = getenv("LM_PROFILES");
	struct dirent *e;
	unsigned n = 0;
	DIR *d;

	(void)state;
	assert_non_null(dir);
	d = opendir(dir);
	assert_non_null(d);
	while ((e = readdir(d)) != NULL) {
		char path[512];

		if (strstr(e->d_name, ".conf") == NULL)
			continue;
		snprintf(path, sizeof(path), "%s/%s", dir, e->d_name);
		check(path);
		n++;
	}
	closedir(d);
	assert_int_equal(n, 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(all)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
