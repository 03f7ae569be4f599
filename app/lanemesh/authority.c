/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes the key that a whole mesh trusts. */
#include "commands.h"
#include "key.h"

struct args {
	const char *output;
};

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .flags = CLI_REQUIRED,
     .metavar = "FILE",
     .help = "Where the secret key goes, with mode 0600. It must not exist yet.",
     .offset = offsetof(struct args, output)},
    {.name = NULL},
};

static int run(const struct cli *cli, void *data, int n, char **operands)
{
	const struct args *args = data;

	(void)n;
	(void)operands;
	return cli_key_create(cli, args->output, LM_LABEL_AUTHORITY);
}

const struct cli_command cli_authority_create = {
    .name = "authority create",
    .operands = "",
    .summary = "make the key that signs a mesh's certificates",
    .description =
	"Makes a new Ed25519 key, writes its secret half to FILE and prints its public "
	"half. Every node of the mesh gets the public half into the authorities of its config, and "
	"believes what this key signs: certificates (lanemesh sign) and revocation lists "
	"(lanemesh revoke).\n\nWho has FILE can let anyone into the mesh, and who loses it can no "
	"longer admit or revoke a node without a new authority in every config. Keep it off the "
	"gateways and off the network, with a copy in a safe place. To replace one, list both "
	"authorities in the configs until every node has a certificate of the new one.",
    .options = options,
    .failure = "FILE exists, or cannot be written.",
    .examples = "lanemesh authority create -o mesh.authority\n",
    .args_size = sizeof(struct args),
    .run = run,
};
