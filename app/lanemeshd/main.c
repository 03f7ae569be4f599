/* SPDX-License-Identifier: BSD-3-Clause */
/* lanemeshd: the gateway of one site. */
#include "telemetry.h"

#include <lanemesh/config.h>
#include <lanemesh/control.h>
#include <lanemesh/crypto.h>

#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

static const char help[] =
    "NAME\n"
    "  lanemeshd - gateway of one site in a lanemesh\n"
    "\n"
    "SYNOPSIS\n"
    "  lanemeshd [-i NAME] [-c FILE] [--check]\n"
    "\n"
    "DESCRIPTION\n"
    "  Takes the traffic of the site's LAN ports, seals it with AES-256-GCM and sends it\n"
    "  straight to the right other site; finds and checks the other sites by itself. Runs\n"
    "  in the foreground as root, logs to standard error, and ends on SIGTERM or SIGINT.\n"
    "  SIGHUP reads the config again: it is taken over whole, or refused with a reason\n"
    "  and nothing changed.\n"
    "\n"
    "OPTIONS\n"
    "  -i, --instance NAME  Name of this gateway on this machine: its sockets are in\n"
    "                       /run/lanemesh/NAME, its state in /var/lib/lanemesh/NAME.\n"
    "                       Default: lanemesh.\n"
    "  -c, --config FILE    Default: /etc/lanemesh/NAME.conf.\n"
    "      --check          Read and check the config, then end.\n"
    "  -h, --help           This text.\n"
    "  -V, --version        The version.\n"
    "\n"
    "EXIT STATUS\n"
    "  0  ended by a signal, or the config is good\n"
    "  1  could not start; the reason is on standard error\n"
    "  2  wrong usage\n"
    "\n"
    "EXAMPLES\n"
    "  lanemeshd -i berlin\n"
    "  lanemeshd -c ./gw1.conf --check\n"
    "\n"
    "SEE ALSO\n"
    "  lanemesh --help, lanemesh-coord --help, dpdk-telemetry.py -f lanemesh-NAME\n";

static int usage(const char *what, const char *arg)
{
	(void)fprintf(stderr, "lanemeshd: %s%s; see lanemeshd --help\n", what, arg);
	return 2;
}

static int fail(const struct lm_error *err)
{
	(void)fprintf(stderr, "lanemeshd: %s\n", err->text);
	return 1;
}

static int check(const char *path, const char *instance)
{
	struct lm_config *cfg = malloc(sizeof(*cfg));
	struct lm_error err = {.text = "no memory"};
	int rc = cfg == NULL ? -1 : lm_config_load(path, instance, cfg, &err);

	free(cfg);
	if (rc != 0)
		return fail(&err);
	(void)printf("%s: good\n", path);
	return 0;
}

int main(int argc, char **argv)
{
	static const struct option options[] = {
	    {"instance", required_argument, NULL, 'i'}, {"config", required_argument, NULL, 'c'},
	    {"check", no_argument, NULL, 'k'},		{"help", no_argument, NULL, 'h'},
	    {"version", no_argument, NULL, 'V'},	{0},
	};
	const char *instance = "lanemesh", *config = NULL;
	struct lm_control *c;
	struct lm_error err;
	char path[256];
	bool only_check = false;
	int o;

	while ((o = getopt_long(argc, argv, "i:c:hV", options, NULL)) != -1) {
		switch (o) {
		case 'i':
			instance = optarg;
			break;
		case 'c':
			config = optarg;
			break;
		case 'k':
			only_check = true;
			break;
		case 'h':
			(void)fputs(help, stdout);
			return 0;
		case 'V':
			(void)puts("lanemeshd " LM_VERSION);
			return 0;
		default:
			return usage("unknown option", "");
		}
	}
	if (optind < argc)
		return usage("unexpected argument ", argv[optind]);
	if (!lm_instance_valid(instance))
		return usage("an instance name is letters, digits, _ and -, not ", instance);
	if (config == NULL) {
		(void)snprintf(path, sizeof(path), "/etc/lanemesh/%s.conf", instance);
		config = path;
	}
	if (only_check)
		return check(config, instance);
	if (lm_crypto_init() != 0) {
		(void)lm_error_set(&err, 1, "libsodium cannot start");
		return fail(&err);
	}
	/* Keys are in memory: none in core files, and no ptrace by others. */
	(void)setrlimit(RLIMIT_CORE, &(struct rlimit){0});
	(void)prctl(PR_SET_DUMPABLE, 0);
	/* A coordinator or an operator who hangs up is an error of that connection alone. */
	(void)signal(SIGPIPE, SIG_IGN);
	if (lm_control_new(config, instance, &c, &err) != 0)
		return fail(&err);
	lm_telemetry_start(c);
	lm_control_run(c);
	lm_telemetry_stop();
	/* Else a destructor of libuv's would wait for a thread that hangs in disk or resolver. */
	if (!lm_control_free(c))
		_exit(0);
	return 0;
}
