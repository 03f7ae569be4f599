/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a node a member. */
#include "commands.h"
#include "record_json.h"

#include <errno.h>
#include <sodium.h>
#include <time.h>

#define DAY	     INT64_C(86400)
#define DAYS_DEFAULT 365
#define DAYS_MAX     36500

struct args {
	const char *authority, *output;
	struct lm_cert cert;
	bool has_before, has_after;
	uint64_t days;
};

static int set_node(void *data, const char *value, struct lm_error *err)
{
	return cli_key(value, ((struct args *)data)->cert.node, err);
}

static int set_word(const char *value, char *out, size_t max, struct lm_error *err)
{
	if (!lm_name_valid(value, max))
		return lm_error_set(err, EINVAL,
				    "write 1 to %zu of the characters a-z 0-9 . _ -, the first a "
				    "letter or digit",
				    max);
	strcpy(out, value);
	return 0;
}

static int set_mesh(void *data, const char *value, struct lm_error *err)
{
	return set_word(value, ((struct args *)data)->cert.mesh, LM_MESH_ID_MAX, err);
}

static int set_name(void *data, const char *value, struct lm_error *err)
{
	return set_word(value, ((struct args *)data)->cert.name, LM_NAME_MAX, err);
}

static int full(struct lm_error *err, unsigned max)
{
	return lm_error_set(err, EINVAL, "a certificate holds at most %u of them", max);
}

static int twice(struct lm_error *err)
{
	return lm_error_set(err, EINVAL, "given twice");
}

static int add_overlay(void *data, const char *value, struct lm_error *err)
{
	struct lm_cert *c = &((struct args *)data)->cert;
	struct lm_ip ip;

	if (lm_ip_parse(value, &ip) != 0 || lm_ip_is_special(&ip))
		return lm_error_set(err, EINVAL, "write a unicast IPv4 or IPv6 address");
	for (unsigned i = 0; i < c->n_overlays; i++)
		if (lm_ip_equal(&c->overlays[i], &ip))
			return twice(err);
	if (c->n_overlays == LM_OVERLAYS_MAX)
		return full(err, LM_OVERLAYS_MAX);
	c->overlays[c->n_overlays++] = ip;
	return 0;
}

static int add_prefix(void *data, const char *value, struct lm_error *err)
{
	struct lm_cert *c = &((struct args *)data)->cert;
	struct lm_prefix p;

	if (lm_prefix_parse(value, &p) != 0 || !lm_prefix_valid(&p))
		return lm_error_set(err, EINVAL,
				    "write a network like 10.1.0.0/24 or fd00:1::/64, without bits "
				    "set behind its length");
	for (unsigned i = 0; i < c->n_prefixes; i++)
		if (lm_prefix_equal(&c->prefixes[i], &p))
			return twice(err);
	if (c->n_prefixes == LM_PREFIXES_MAX)
		return full(err, LM_PREFIXES_MAX);
	c->prefixes[c->n_prefixes++] = p;
	return 0;
}

static int add_segment(void *data, const char *value, struct lm_error *err)
{
	struct lm_cert *c = &((struct args *)data)->cert;
	uint64_t n;
	int rc = cli_number(value, 0, UINT32_MAX, &n, err);

	if (rc != 0)
		return rc;
	for (unsigned i = 0; i < c->n_segments; i++)
		if (c->segments[i] == n)
			return twice(err);
	if (c->n_segments == LM_SEGMENTS_MAX)
		return full(err, LM_SEGMENTS_MAX);
	c->segments[c->n_segments++] = (uint32_t)n;
	return 0;
}

static int add_role(void *data, const char *value, struct lm_error *err)
{
	for (const struct cli_role *r = cli_roles; r->name != NULL; r++)
		if (strcmp(r->name, value) == 0) {
			((struct args *)data)->cert.roles |= r->bit;
			return 0;
		}
	return lm_error_set(err, EINVAL, "the only role is \"relay\"");
}

static int add_tag(void *data, const char *value, struct lm_error *err)
{
	struct lm_cert *c = &((struct args *)data)->cert;

	for (unsigned i = 0; i < c->n_tags; i++)
		if (strcmp(c->tags[i], value) == 0)
			return twice(err);
	if (c->n_tags == LM_TAGS_MAX)
		return full(err, LM_TAGS_MAX);
	if (set_word(value, c->tags[c->n_tags], LM_TAG_STR_MAX, err) != 0)
		return -EINVAL;
	c->n_tags++;
	return 0;
}

static int set_days(void *data, const char *value, struct lm_error *err)
{
	return cli_number(value, 1, DAYS_MAX, &((struct args *)data)->days, err);
}

static int set_before(void *data, const char *value, struct lm_error *err)
{
	struct args *args = data;

	args->has_before = true;
	return cli_time(value, &args->cert.not_before, err);
}

static int set_after(void *data, const char *value, struct lm_error *err)
{
	struct args *args = data;

	args->has_after = true;
	return cli_time(value, &args->cert.not_after, err);
}

static int set_serial(void *data, const char *value, struct lm_error *err)
{
	return cli_number(value, 1, INT64_MAX, &((struct args *)data)->cert.serial, err);
}

static const struct cli_option options[] = {
    {.name = "authority",
     .flags = CLI_REQUIRED,
     .metavar = "FILE",
     .help = "The authority's secret key, from \"lanemesh authority create\".",
     .offset = offsetof(struct args, authority)},
    {.name = "node",
     .flags = CLI_REQUIRED,
     .metavar = "PUBHEX",
     .help = "The node's public key, as \"lanemesh keygen\" printed it.",
     .set = set_node},
    {.name = "mesh",
     .flags = CLI_REQUIRED,
     .metavar = "NAME",
     .help = "The mesh that the node joins; the same in every config and certificate of it.",
     .set = set_mesh},
    {.name = "name",
     .flags = CLI_REQUIRED,
     .metavar = "NAME",
     .help = "What people call the node; shown in status, logs and by \"lanemesh ping\".",
     .set = set_name},
    {.name = "overlay",
     .flags = CLI_REPEAT,
     .metavar = "IP",
     .help = "The node's own address in the mesh; at most two, usually an IPv4 and an IPv6 one.",
     .set = add_overlay},
    {.name = "prefix",
     .flags = CLI_REPEAT,
     .metavar = "P",
     .help = "A network that the node may carry. Peers drop packets from it with any other source.",
     .set = add_prefix},
    {.name = "segment",
     .flags = CLI_REPEAT,
     .metavar = "N",
     .help = "A layer-2 segment that the node may carry.",
     .set = add_segment},
    {.name = "role",
     .flags = CLI_REPEAT,
     .metavar = "ROLE",
     .help = "What the node may do for others: relay, pass on their traffic.",
     .set = add_role},
    {.name = "tag",
     .flags = CLI_REPEAT,
     .metavar = "T",
     .help = "A word of your choice for your own sorting.",
     .set = add_tag},
    {.name = "days",
     .metavar = "N",
     .help = "How long the certificate holds from its beginning (default: 365).",
     .set = set_days},
    {.name = "not-before",
     .metavar = "TIME",
     .help = "When it begins, as RFC 3339 writes times (default: now).",
     .set = set_before},
    {.name = "not-after",
     .metavar = "TIME",
     .help = "When it ends; instead of --days.",
     .set = set_after},
    {.name = "serial",
     .metavar = "N",
     .help = "Its number, by which it can be revoked (default: random). Never give one twice.",
     .set = set_serial},
    {.name = "output",
     .letter = 'o',
     .flags = CLI_REQUIRED,
     .metavar = "FILE",
     .help = "Where the certificate goes. What is there is replaced, in one step.",
     .offset = offsetof(struct args, output)},
    {.name = NULL},
};

static uint64_t random_serial(void)
{
	uint64_t serial;

	randombytes_buf(&serial, sizeof(serial));
	serial &= INT64_MAX;
	return serial == 0 ? 1 : serial;
}

static int complete(struct args *args, int64_t now)
{
	struct lm_cert *c = &args->cert;

	if (args->days != 0 && args->has_after)
		return cli_usage(&cli_sign, "give one of --days and --not-after");
	if (!args->has_before)
		c->not_before = now;
	if (!args->has_after)
		c->not_after =
		    c->not_before + DAY * (int64_t)(args->days != 0 ? args->days : DAYS_DEFAULT);
	if (c->not_after <= c->not_before)
		return cli_usage(&cli_sign,
				 "the certificate would end before it begins; check --not-before "
				 "and --not-after");
	if (c->serial == 0)
		c->serial = random_serial();
	return CLI_OK;
}

static int run(const struct cli *cli, void *data, int n, char **operands)
{
	struct args *args = data;
	struct lm_identity *authority;
	uint8_t record[LM_CERT_MAX];
	int64_t now = (int64_t)time(NULL);
	struct lm_error err;
	int rc = complete(args, now), len;

	(void)n;
	(void)operands;
	if (rc != CLI_OK)
		return rc;
	if (lm_identity_load(args->authority, LM_LABEL_AUTHORITY, &authority, &err) != 0)
		return cli_fail(&err);
	memcpy(args->cert.issuer, authority->ed_public, LM_KEY_LEN);
	len = lm_cert_sign(authority, &args->cert, record, sizeof(record), &err);
	lm_identity_free(authority);
	if (len < 0 ||
	    lm_armor_write(args->output, LM_LABEL_CERT, record, (size_t)len, true, &err) != 0)
		return cli_fail(&err);
	return cli_print(cli, cli_cert_json(&args->cert, now));
}

const struct cli_command cli_sign = {
    .name = "sign",
    .operands = "",
    .summary = "make a node's certificate",
    .description =
	"Signs a certificate: that the holder of a key is a member of the mesh under a "
	"name, and which addresses, networks and segments it may carry until when. Peers check it "
	"themselves in every handshake; nothing else makes a node a member. The certificate is no "
	"secret.\n\nSign again before it ends, with the same key and a new serial, and put the new "
	"file in place of the old one. Clocks may differ: peers grant an hour before the beginning "
	"and after the end.",
    .options = options,
    .failure = "The authority's key cannot be read, the certificate does not fit 1024 bytes (fewer "
	       "prefixes or tags), or FILE cannot be written.",
    .examples =
	"lanemesh sign --authority mesh.authority --mesh example --name gw1 \\\n"
	"    --node 3d40...8a --overlay 10.255.0.1 --prefix 10.1.0.0/24 \\\n"
	"    --prefix fd00:1::/64 -o gw1.cert\n"
	"lanemesh sign --authority mesh.authority --mesh example --name relay1 \\\n"
	"    --node 77a1...03 --role relay --not-after 2027-01-01T00:00:00Z -o relay1.cert\n",
    .args_size = sizeof(struct args),
    .run = run,
};
