/* SPDX-License-Identifier: BSD-3-Clause */
/* lm_sim: which simulation, and how much of it. */
#include "sim.h"
#include "swarm.h"

#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>

static void usage(FILE *f)
{
	fprintf(f,
		"usage: lm_sim [--seed N] [--sites N] [--rekeys N] [--verbose]\n"
		"       lm_sim --swarm COUNT [--seed FIRST] [--relays] [--verbose | --packets]\n"
		"Runs one long simulation, or many short ones of random small meshes. All follows\n"
		"from the seed; a failure prints the seed, and how to repeat it.\n");
}

static int bad_use(const char *why)
{
	fprintf(stderr, "lm_sim: %s\n", why);
	return 2;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"seed", required_argument, NULL, 's'},
	    {"sites", required_argument, NULL, 'n'},
	    {"rekeys", required_argument, NULL, 'r'},
	    {"swarm", required_argument, NULL, 'w'},
	    {"verbose", no_argument, NULL, 'v'},
	    {"packets", no_argument, NULL, 'p'},
	    {"relays", no_argument, NULL, 'y'},
	    {"help", no_argument, NULL, 'h'},
	    {NULL, 0, NULL, 0},
	};
	unsigned long seed = 1, n_sites = 20, rekeys = 10000, swarm = 0;
	struct swarm_how how = {0};
	int opt;

	while ((opt = getopt_long(argc, argv, "", options, NULL)) != -1) {
		if (opt == 's')
			seed = strtoul(optarg, NULL, 0);
		else if (opt == 'n')
			n_sites = strtoul(optarg, NULL, 0);
		else if (opt == 'r')
			rekeys = strtoul(optarg, NULL, 0);
		else if (opt == 'w')
			swarm = strtoul(optarg, NULL, 0);
		else if (opt == 'y')
			how.relays = true;
		else if (opt == 'v' || opt == 'p') {
			how.verbose = true;
			how.packets = opt == 'p';
		} else {
			usage(opt == 'h' ? stdout : stderr);
			return opt == 'h' ? 0 : 2;
		}
	}
	if (swarm > 0) {
		swarm_run(seed, swarm, &how);
		return 0;
	}
	if (n_sites < 8 || n_sites > SIM_SITES - 1)
		return bad_use("--sites: 8 to 63");
	day_run(seed, (unsigned)n_sites, rekeys, how.verbose);
	return 0;
}
