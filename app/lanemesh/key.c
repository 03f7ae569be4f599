/* SPDX-License-Identifier: BSD-3-Clause */
#include "key.h"

#include <errno.h>

/* What keygen prints: alone on its line, so that scripts can take it. */
static int print_public(const struct cli *cli, const char *path, const struct lm_identity *id)
{
	char hex[2 * LM_KEY_LEN + 1];

	lm_hex(id->ed_public, LM_KEY_LEN, hex);
	if (cli->json)
		return cli_print(cli, json_pack("{s:s, s:s}", "file", path, "public_key", hex));
	return cli_print_line(hex);
}

int cli_key_create(const struct cli *cli, const char *path, const char *label)
{
	struct lm_identity *id = lm_identity_generate();
	struct lm_error err;
	int rc;

	if (id == NULL) {
		(void)lm_error_set(&err, ENOMEM, "no locked memory for a key; raise ulimit -l");
		return cli_fail(&err);
	}
	/* The seed, RFC 8032's private key, is the first half of libsodium's form. */
	rc = lm_armor_write(path, label, id->ed_secret, 32, false, &err);
	rc = rc != 0 ? cli_fail(&err) : print_public(cli, path, id);
	lm_identity_free(id);
	return rc;
}

int cli_key_show(const struct cli *cli, const char *path, const char *label)
{
	struct lm_identity *id;
	struct lm_error err;
	int rc;

	if (lm_identity_load(path, label, &id, &err) != 0)
		return cli_fail(&err);
	rc = print_public(cli, path, id);
	lm_identity_free(id);
	return rc;
}
