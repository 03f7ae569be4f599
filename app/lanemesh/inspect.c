/* SPDX-License-Identifier: BSD-3-Clause */
/* Shows what is in a file. */
#include "commands.h"
#include "record_json.h"

#include <errno.h>
#include <sodium.h>
#include <stdlib.h>
#include <time.h>

struct args {
	uint8_t authority[LM_KEY_LEN];
	bool has_authority;
};

static int set_authority(void *data, const char *value, struct lm_error *err)
{
	struct args *args = data;

	args->has_authority = true;
	return cli_key(value, args->authority, err);
}

static const struct cli_option options[] = {
    {.name = "authority-key",
     .metavar = "HEX",
     .help = "The public key that a certificate or list must be signed by.",
     .set = set_authority},
    {.name = NULL},
};

/* One record: its bytes, what signs it, and what was found. */
struct record {
	const uint8_t *data;
	size_t body_len;
	const char *context;
	uint8_t signer[LM_KEY_LEN];
	bool by_authority;
	json_t *json;
};

static int damaged(const char *path, const char *what, struct lm_error *err)
{
	return lm_error_set(err, EBADMSG, "%s: the %s in it is damaged, or made by a newer version",
			    path, what);
}

static int read_cert(const char *path, struct record *r, size_t len, struct lm_error *err)
{
	struct lm_cert c;

	if (lm_cert_decode(r->data, len, &c, &r->body_len) != 0)
		return damaged(path, "certificate", err);
	r->context = LM_SIGN_CERT;
	r->by_authority = true;
	memcpy(r->signer, c.issuer, LM_KEY_LEN);
	r->json = cli_cert_json(&c, (int64_t)time(NULL));
	return 0;
}

static int read_announcement(const char *path, struct record *r, size_t len, struct lm_error *err)
{
	struct lm_announcement a;

	if (lm_announcement_decode(r->data, len, &a, &r->body_len) != 0)
		return damaged(path, "announcement", err);
	r->context = LM_SIGN_ANNOUNCEMENT;
	memcpy(r->signer, a.node, LM_KEY_LEN);
	r->json = cli_announcement_json(&a);
	return 0;
}

static int read_revocation(const char *path, struct record *r, size_t len, struct lm_error *err)
{
	struct lm_revocation list;

	if (lm_revocation_decode(r->data, len, &list, &r->body_len) != 0)
		return damaged(path, "revocation list", err);
	r->context = LM_SIGN_REVOCATION;
	r->by_authority = true;
	memcpy(r->signer, list.issuer, LM_KEY_LEN);
	r->json = cli_revocation_json(&list, (int64_t)time(NULL));
	return 0;
}

static const struct {
	const char *label;
	int (*read)(const char *path, struct record *r, size_t len, struct lm_error *err);
} readers[] = {{LM_LABEL_CERT, read_cert},
	       {LM_LABEL_ANNOUNCE, read_announcement},
	       {LM_LABEL_REVOCATION, read_revocation}};

/* Adds the verdict on the signature. Is it as it should be? */
static bool judge_signature(const struct record *r, const struct args *args)
{
	const char *text;
	bool good = lm_verify(r->signer, r->context, r->data, r->body_len, r->data + r->body_len);

	if (!good) {
		text = "BAD: not made by the key that it names";
	} else if (!r->by_authority) {
		text = "good, by the node";
	} else if (!args->has_authority) {
		text = "good, by the issuer (compare it, or give --authority-key)";
	} else {
		good = memcmp(args->authority, r->signer, LM_KEY_LEN) == 0;
		text = good ? "good, by the authority given"
			    : "BAD: the issuer is another "
			      "authority than the one given";
	}
	json_object_set_new(r->json, "signature", json_string(text));
	json_object_set_new(r->json, "signature_good", json_boolean(good));
	return good;
}

static int inspect_record(const struct cli *cli, const struct args *args, const char *path,
			  const char *label, const uint8_t *data, size_t len)
{
	struct record r = {.data = data};
	struct lm_error err;
	bool good;
	int rc;

	for (size_t i = 0; i < LM_ARRAY_SIZE(readers); i++)
		if (strcmp(readers[i].label, label) == 0) {
			if (readers[i].read(path, &r, len, &err) != 0)
				return cli_fail(&err);
			good = judge_signature(&r, args);
			rc = cli_print(cli, r.json);
			return rc != CLI_OK ? rc : good ? CLI_OK : CLI_FAILED;
		}
	(void)lm_error_set(&err, EBADMSG, "%s: \"%s\" is no file of lanemesh", path, label);
	return cli_fail(&err);
}

/* Loaded anew as a key: that refuses files that others can read. */
static int inspect_key(const struct cli *cli, const char *path, const char *label)
{
	char node[2 * LM_KEY_LEN + 1], x25519[2 * LM_KEY_LEN + 1];
	bool authority = strcmp(label, LM_LABEL_AUTHORITY) == 0;
	struct lm_identity *id;
	struct lm_error err;
	int rc;

	if (lm_identity_load(path, label, &id, &err) != 0)
		return cli_fail(&err);
	lm_hex(id->ed_public, LM_KEY_LEN, node);
	lm_hex(id->x_public, LM_KEY_LEN, x25519);
	rc = cli_print(cli, json_pack("{s:s, s:s, s:s}", "kind",
				      authority ? "authority private key" : "private key",
				      "public_key", node, "x25519_public_key", x25519));
	lm_identity_free(id);
	return rc;
}

static int run(const struct cli *cli, void *data, int n, char **operands)
{
	const char *path = operands[0];
	char label[LM_LABEL_MAX + 1];
	struct lm_error err;
	uint8_t *record;
	size_t len;
	int rc;

	(void)n;
	if (lm_armor_read(path, NULL, label, &record, &len, &err) != 0)
		return cli_fail(&err);
	if (strcmp(label, LM_LABEL_KEY) == 0 || strcmp(label, LM_LABEL_AUTHORITY) == 0)
		rc = inspect_key(cli, path, label);
	else
		rc = inspect_record(cli, data, path, label, record, len);
	sodium_memzero(record, len);
	free(record);
	return rc;
}

const struct cli_command cli_inspect = {
    .name = "inspect",
    .operands = "FILE",
    .operands_min = 1,
    .operands_max = 1,
    .summary = "show what is in a key, certificate or revocation list",
    .description =
	"Prints the content of a file that lanemesh made: certificate, revocation list, "
	"announcement, or the public half of a key; a secret is never printed. Says whether the "
	"times hold now by this machine's clock, and whether the signature is good.\n\nThat a "
	"signature is good only means that the issuer named in the file made it. Whether that is "
	"your authority is checked with --authority-key.",
    .options = options,
    .failure = "FILE cannot be read or is damaged, or the signature is not good.",
    .examples = "lanemesh inspect gw1.cert\n"
		"lanemesh inspect --json --authority-key 9c01...7f mesh.revoked\n",
    .args_size = sizeof(struct args),
    .run = run,
};
