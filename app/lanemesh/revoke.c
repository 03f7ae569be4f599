/* SPDX-License-Identifier: BSD-3-Clause */
/* Adds to a mesh's revocation list. */
#include "commands.h"
#include "record_json.h"

#include <errno.h>
#include <stdlib.h>
#include <time.h>

#define DAY		INT64_C(86400)
#define UPDATE_DAYS	30
#define UPDATE_DAYS_MAX 3650
#define SERIAL_LEN	8
#define CERTS_MAX	256 /* --cert in one command */

struct args {
	const char *authority, *list;
	uint64_t days;
	char mesh[LM_MESH_ID_MAX + 1];
	unsigned n_certs;
	const char *certs[CERTS_MAX];
	uint32_t n_nodes, n_serials;
	uint8_t nodes[LM_REVOKED_NODES_MAX][LM_KEY_LEN];
	uint8_t serials[LM_REVOKED_SERIALS_MAX][SERIAL_LEN];
};

static int add_item(uint8_t *items, uint32_t *n, uint32_t max, size_t size, const uint8_t *item,
		    const char *what, struct lm_error *err)
{
	for (uint32_t i = 0; i < *n; i++)
		if (memcmp(items + i * size, item, size) == 0)
			return 0;
	if (*n == max)
		return lm_error_set(err, ENOSPC,
				    "a list holds at most %u %s; start over with a new authority",
				    max, what);
	memcpy(items + *n * size, item, size);
	(*n)++;
	return 0;
}

static int add_node(struct args *a, const uint8_t node[LM_KEY_LEN], struct lm_error *err)
{
	return add_item(a->nodes[0], &a->n_nodes, LM_REVOKED_NODES_MAX, LM_KEY_LEN, node, "nodes",
			err);
}

static int add_serial(struct args *a, uint64_t serial, struct lm_error *err)
{
	uint8_t item[SERIAL_LEN];
	struct lm_writer w = lm_writer(item, sizeof(item));

	lm_w_u64(&w, serial);
	return add_item(a->serials[0], &a->n_serials, LM_REVOKED_SERIALS_MAX, SERIAL_LEN, item,
			"serials", err);
}

static int set_node(void *data, const char *value, struct lm_error *err)
{
	uint8_t node[LM_KEY_LEN];
	int rc = cli_key(value, node, err);

	return rc != 0 ? rc : add_node(data, node, err);
}

static int set_serial(void *data, const char *value, struct lm_error *err)
{
	uint64_t serial;
	int rc = cli_number(value, 0, INT64_MAX, &serial, err);

	return rc != 0 ? rc : add_serial(data, serial, err);
}

static int set_mesh(void *data, const char *value, struct lm_error *err)
{
	struct args *a = data;

	if (!lm_name_valid(value, LM_MESH_ID_MAX))
		return lm_error_set(err, EINVAL, "no mesh can have this name");
	strcpy(a->mesh, value);
	return 0;
}

static int set_days(void *data, const char *value, struct lm_error *err)
{
	return cli_number(value, 1, UPDATE_DAYS_MAX, &((struct args *)data)->days, err);
}

static int set_cert(void *data, const char *value, struct lm_error *err)
{
	struct args *a = data;

	if (a->n_certs == CERTS_MAX)
		return lm_error_set(err, E2BIG, "give at most %d in one command", CERTS_MAX);
	a->certs[a->n_certs++] = value;
	return 0;
}

static const struct cli_option options[] = {
    {.name = "authority",
     .flags = CLI_REQUIRED,
     .metavar = "FILE",
     .help = "The authority's secret key.",
     .offset = offsetof(struct args, authority)},
    {.name = "list",
     .flags = CLI_REQUIRED,
     .metavar = "FILE",
     .help = "The list to add to; replaced in one step. Made when it does not exist.",
     .offset = offsetof(struct args, list)},
    {.name = "node",
     .flags = CLI_REPEAT,
     .metavar = "PUBHEX",
     .help = "Revoke this key: no certificate for it is good any more, whoever signed it. For a "
	     "node that was lost or broken into.",
     .set = set_node},
    {.name = "cert",
     .flags = CLI_REPEAT,
     .metavar = "FILE",
     .help = "Revoke this certificate by its serial; another one for the same key stays good. For "
	     "a certificate that gave too much.",
     .set = set_cert},
    {.name = "serial",
     .flags = CLI_REPEAT,
     .metavar = "N",
     .help = "The same for a certificate whose file is gone.",
     .set = set_serial},
    {.name = "next-update-days",
     .metavar = "N",
     .help = "Nodes raise an alarm when they have seen no newer list after so many days "
	     "(default: 30).",
     .set = set_days},
    {.name = "mesh",
     .metavar = "NAME",
     .help = "The mesh of a new list. Not needed with --cert or a list that exists.",
     .set = set_mesh},
    {.name = NULL},
};

/* Takes over what an old list holds. 1 = there is none yet. */
static int read_old(struct args *a, const struct lm_identity *authority, int64_t now,
		    uint64_t *number, struct lm_error *err)
{
	struct lm_revocation old;
	char when[CLI_TIME_STRLEN];
	size_t len, body_len;
	uint8_t *record;
	int rc = lm_armor_read(a->list, LM_LABEL_REVOCATION, NULL, &record, &len, err);

	if (rc == -ENOENT)
		return 1;
	if (rc != 0)
		return rc;
	if (lm_revocation_decode(record, len, &old, &body_len) != 0 ||
	    !lm_verify(old.issuer, LM_SIGN_REVOCATION, record, body_len, record + body_len))
		rc = lm_error_set(err, EBADMSG,
				  "%s: the list is damaged; restore it from a copy or a node",
				  a->list);
	else if (memcmp(old.issuer, authority->ed_public, LM_KEY_LEN) != 0)
		rc = lm_error_set(err, EPERM,
				  "%s: signed by another authority than the one of %s; each has a "
				  "list of its own",
				  a->list, a->authority);
	else if (a->mesh[0] != '\0' && strcmp(a->mesh, old.mesh) != 0)
		rc = lm_error_set(err, EPERM, "%s: is of the mesh \"%s\", not \"%s\"", a->list,
				  old.mesh, a->mesh);
	else if (old.issued > now)
		rc = lm_error_set(err, EINVAL,
				  "%s: issued at %s, which is later than this machine's clock; "
				  "set the clock",
				  a->list, cli_time_text(old.issued, when));
	for (uint32_t i = 0; rc == 0 && i < old.n_nodes; i++)
		rc = add_node(a, old.nodes + i * LM_KEY_LEN, err);
	for (uint32_t i = 0; rc == 0 && i < old.n_serials; i++)
		rc = add_item(a->serials[0], &a->n_serials, LM_REVOKED_SERIALS_MAX, SERIAL_LEN,
			      old.serials + i * SERIAL_LEN, "serials", err);
	if (rc == 0) {
		strcpy(a->mesh, old.mesh);
		*number = old.number;
	}
	free(record);
	return rc;
}

static int compare_nodes(const void *a, const void *b)
{
	return memcmp(a, b, LM_KEY_LEN);
}

static int compare_serials(const void *a, const void *b)
{
	return memcmp(a, b, SERIAL_LEN);
}

/* Certificates must be of this authority, since serials are its own; they also tell the mesh. */
static int add_cert(struct args *a, const char *path, const struct lm_identity *authority,
		    struct lm_error *err)
{
	struct lm_cert c;
	size_t len, body_len;
	uint8_t *record;
	bool good;
	int rc = lm_armor_read(path, LM_LABEL_CERT, NULL, &record, &len, err);

	if (rc != 0)
		return rc;
	good = lm_cert_decode(record, len, &c, &body_len) == 0 &&
	       lm_verify(c.issuer, LM_SIGN_CERT, record, body_len, record + body_len);
	free(record);
	if (!good)
		return lm_error_set(err, EBADMSG,
				    "%s: the certificate is damaged; revoke it by its serial or "
				    "its node",
				    path);
	if (memcmp(c.issuer, authority->ed_public, LM_KEY_LEN) != 0)
		return lm_error_set(err, EPERM,
				    "%s: signed by another authority than the one of %s, and only "
				    "that one can revoke it",
				    path, a->authority);
	if (a->mesh[0] != '\0' && strcmp(a->mesh, c.mesh) != 0)
		return lm_error_set(err, EPERM, "%s: is of the mesh \"%s\", not \"%s\"", path,
				    c.mesh, a->mesh);
	strcpy(a->mesh, c.mesh);
	return add_serial(a, c.serial, err);
}

static int write_list(struct args *a, const struct lm_identity *authority,
		      struct lm_revocation *list, struct lm_error *err)
{
	uint8_t *record = malloc(LM_REVOCATION_MAX);
	int len, rc;

	if (record == NULL)
		return lm_error_set(err, ENOMEM, "out of memory");
	qsort(a->nodes, a->n_nodes, LM_KEY_LEN, compare_nodes);
	qsort(a->serials, a->n_serials, SERIAL_LEN, compare_serials);
	list->n_nodes = a->n_nodes;
	list->nodes = a->nodes[0];
	list->n_serials = a->n_serials;
	list->serials = a->serials[0];
	memcpy(list->issuer, authority->ed_public, LM_KEY_LEN);
	strcpy(list->mesh, a->mesh);
	len = lm_revocation_sign(authority, list, record, LM_REVOCATION_MAX, err);
	rc = len < 0 ? len
		     : lm_armor_write(a->list, LM_LABEL_REVOCATION, record, (size_t)len, true, err);
	free(record);
	return rc;
}

static int revoke(struct args *a, const struct lm_identity *authority, struct lm_revocation *list,
		  struct lm_error *err)
{
	uint64_t number = 0;
	int rc = 0;

	for (unsigned i = 0; rc == 0 && i < a->n_certs; i++)
		rc = add_cert(a, a->certs[i], authority, err);
	if (rc == 0)
		rc = read_old(a, authority, list->issued, &number, err);
	if (rc < 0)
		return rc;
	if (rc == 1 && a->mesh[0] == '\0')
		return lm_error_set(err, EINVAL,
				    "%s: does not exist; to start a list, say with --mesh which "
				    "mesh it is for",
				    a->list);
	list->number = number + 1;
	list->next_update = list->issued + DAY * (int64_t)(a->days != 0 ? a->days : UPDATE_DAYS);
	return write_list(a, authority, list, err);
}

static int run(const struct cli *cli, void *data, int n, char **operands)
{
	struct args *a = data;
	struct lm_revocation list = {.issued = (int64_t)time(NULL)};
	struct lm_identity *authority;
	struct lm_error err;
	int rc;

	(void)n;
	(void)operands;
	if (lm_identity_load(a->authority, LM_LABEL_AUTHORITY, &authority, &err) != 0)
		return cli_fail(&err);
	rc = revoke(a, authority, &list, &err);
	lm_identity_free(authority);
	return rc != 0 ? cli_fail(&err) : cli_print(cli, cli_revocation_json(&list, list.issued));
}

const struct cli_command cli_revoke = {
    .name = "revoke",
    .operands = "",
    .summary = "add nodes or certificates to the revocation list",
    .description =
	"Reads the mesh's revocation list, adds to it, raises its number, signs and replaces it. "
	"With nothing to add, the list is only renewed, which must happen before its next update "
	"is "
	"due.\n\nHand the new file to any one node or coordinator (revocation_list in its config; "
	"it "
	"notices by itself when the file changes); they pass it on to all others. Every node "
	"keeps the list with the highest number: an older one is never taken, so keep FILE, and "
	"start no second list beside it.",
    .options = options,
    .failure = "The key or the list cannot be read, they or a certificate do not belong together, "
	       "or the list is full.",
    .examples = "lanemesh revoke --authority mesh.authority --list mesh.revoked --mesh example \\\n"
		"    --node 3d40...8a\n"
		"lanemesh revoke --authority mesh.authority --list mesh.revoked --cert gw1.cert\n"
		"lanemesh revoke --authority mesh.authority --list mesh.revoked\n",
    .args_size = sizeof(struct args),
    .run = run,
};
