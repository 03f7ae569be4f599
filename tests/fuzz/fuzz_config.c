/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Config text: any bytes give a config or an error with file and line. What is
 * accepted does not differ from itself.
 */
#include <lanemesh/config.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int rc, const struct lm_error *err)
{
	if ((rc == 0) != (err->text[0] == '\0') || (rc != 0 && strncmp(err->text, "fuzz:", 5) != 0))
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct lm_config node;
	struct lm_coord_config coord;
	struct lm_error err = {""};
	int rc;

	rc = lm_config_parse("fuzz", (const char *)data, size, "i", &node, &err);
	check(rc, &err);
	if (rc == 0 && (lm_config_diff(&node, &node, NULL, NULL, NULL) != 0 || node.n_ports < 2))
		abort();
	err.text[0] = '\0';
	rc = lm_coord_config_parse("fuzz", (const char *)data, size, "i", &coord, &err);
	check(rc, &err);
	if (rc == 0 && lm_coord_config_diff(&coord, &coord, NULL, NULL, NULL) != 0)
		abort();
	return 0;
}
