/* SPDX-License-Identifier: BSD-3-Clause */
/* Makes a node's key. */
#include "commands.h"
#include "key.h"

struct args {
	const char *output, *show;
};

static const struct cli_option options[] = {
    {.name = "output",
     .letter = 'o',
     .metavar = "FILE",
     .help = "Make a key, with its secret half in FILE, mode 0600. It must not exist yet.",
     .offset = offsetof(struct args, output)},
    {.name = "show",
     .metavar = "FILE",
     .help = "Make nothing; print the public half of the key in FILE.",
     .offset = offsetof(struct args, show)},
    {.name = NULL},
};

static int run(const struct cli *cli, void *data, int n, char **operands)
{
	const struct args *args = data;

	(void)n;
	(void)operands;
	if ((args->output == NULL) == (args->show == NULL))
		return cli_usage(&cli_keygen, "give one of -o FILE and --show FILE");
	if (args->show != NULL)
		return cli_key_show(cli, args->show, LM_LABEL_KEY);
	return cli_key_create(cli, args->output, LM_LABEL_KEY);
}

const struct cli_command cli_keygen = {
    .name = "keygen",
    .operands = "",
    .summary = "make a node's key",
    .description =
	"Makes a new Ed25519 key for a node, writes its secret half to FILE and prints its "
	"public half, which is the node's name in the protocol. Run it on the node itself: only "
	"the public half has to travel, to the place where the authority's key is and \"lanemesh "
	"sign\" makes the node's certificate.",
    .options = options,
    .failure = "FILE exists or cannot be written; with --show, it cannot be read, is not a node's "
	       "key, or others than its owner can read it.",
    .examples = "lanemesh keygen -o /etc/lanemesh/node.key\n"
		"lanemesh keygen --show /etc/lanemesh/node.key\n",
    .args_size = sizeof(struct args),
    .run = run,
};
