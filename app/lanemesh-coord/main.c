/* SPDX-License-Identifier: BSD-3-Clause */
/* lanemesh-coord: one of a mesh's coordinators. */
#include "coord.h"

#include <errno.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static const char help[] =
    "NAME\n"
    "  lanemesh-coord - directory of a lanemesh\n"
    "\n"
    "SYNOPSIS\n"
    "  lanemesh-coord [-i NAME] [-c FILE] [--check]\n"
    "\n"
    "DESCRIPTION\n"
    "  Tells the gateways of a mesh about each other: keeps their signed records and the\n"
    "  revocation lists, and passes changes on at once. Tells each under which address it\n"
    "  is seen (STUN, on UDP), and who else wants to reach it. It sees no traffic and holds no\n"
    "  secret of the mesh: gateways check all that it says. When it is away, the mesh goes\n"
    "  on; run two or three of them, each with a store of its own.\n"
    "\n"
    "  Runs in the foreground, needs no privileges (run it as a user of its own), logs to\n"
    "  standard error, and says \"ready\" there once it serves. SIGTERM and SIGINT end it.\n"
    "  SIGHUP reads the config again: what may change while it runs is taken over, the\n"
    "  rest is named in the log; a bad config changes nothing. A new revocation list in\n"
    "  its file is taken by itself within seconds.\n"
    "\n"
    "OPTIONS\n"
    "  -i, --instance NAME  Name of this coordinator on this machine. Default: main.\n"
    "  -c, --config FILE    Default: /etc/lanemesh-coord/NAME.conf.\n"
    "      --check          Read and check the config, then end.\n"
    "  -h, --help           This text, with all options of the config.\n"
    "  -V, --version        The version.\n"
    "\n";

static const char help_end[] =
    "FILES\n"
    "  /etc/lanemesh-coord/NAME.conf\n"
    "      The config, in libconfig's syntax.\n"
    "  /var/lib/lanemesh-coord/NAME/directory.db\n"
    "      The directory (SQLite). Written before anything is acknowledged. If it is lost\n"
    "      or damaged, move it away and start again: gateways register anew by themselves.\n"
    "      When the disk is full, records are still served, and new ones refused until\n"
    "      there is space again.\n"
    "\n"
    "EXIT STATUS\n"
    "  0  ended by a signal, or the config is good\n"
    "  1  could not start; the reason is on standard error\n"
    "  2  wrong usage\n"
    "\n"
    "EXAMPLES\n"
    "  lanemesh keygen -o /etc/lanemesh-coord/main.key\n"
    "  lanemesh-coord\n"
    "  lanemesh-coord -c ./coord.conf --check\n"
    "\n"
    "SEE ALSO\n"
    "  lanemesh --help, lanemeshd --help\n";

static void print_help(void)
{
	const struct lm_option *o;

	(void)fputs(help, stdout);
	(void)puts("CONFIG");
	for (unsigned i = 0; (o = lm_config_option(LM_CONFIG_COORD, i)) != NULL; i++)
		(void)printf("  %s (%s%s%s; %s%s%s)\n      %s.\n", o->name, o->type,
			     o->range[0] ? ", " : "", o->range,
			     strcmp(o->def, "required") == 0 || strcmp(o->def, "none") == 0
				 ? ""
				 : "default ",
			     o->def, o->live ? "; may change while running" : "", o->help);
	(void)putchar('\n');
	(void)fputs(help_end, stdout);
}

static int usage(const char *what, const char *arg)
{
	(void)fprintf(stderr, "lanemesh-coord: %s%s; see lanemesh-coord --help\n", what, arg);
	return 2;
}

static int fail(const struct lm_error *err)
{
	(void)fprintf(stderr, "lanemesh-coord: %s\n", err->text);
	return 1;
}

void app_now(void *user, struct lm_now *out)
{
	struct timespec wall;

	(void)user;
	(void)clock_gettime(CLOCK_REALTIME, &wall);
	*out = (struct lm_now){.mono = uv_hrtime(), .wall = wall.tv_sec};
}

void app_authorities(const struct lm_coord_config *cfg, struct lm_authorities *out)
{
	memset(out, 0, sizeof(*out));
	memcpy(out->mesh, cfg->mesh, sizeof(out->mesh));
	out->n = cfg->n_authorities;
	memcpy(out->keys, cfg->authorities, sizeof(out->keys));
}

/* ----------------------------------------------------------------- start -- */

/* Every node costs one file descriptor. */
static uint32_t connections_for(const struct app *a)
{
	struct rlimit l;
	uint64_t want = (uint64_t)a->cfg->max_nodes + 256;

	if (getrlimit(RLIMIT_NOFILE, &l) < 0)
		return 512;
	if (l.rlim_cur < want + 64) {
		l.rlim_cur =
		    l.rlim_max == RLIM_INFINITY || l.rlim_max > want + 64 ? want + 64 : l.rlim_max;
		if (setrlimit(RLIMIT_NOFILE, &l) < 0)
			(void)getrlimit(RLIMIT_NOFILE, &l);
	}
	if (l.rlim_cur < want + 64) {
		want = l.rlim_cur > 128 ? l.rlim_cur - 64 : 64;
		lm_log(&a->log, LM_LOG_INFO,
		       "the limit of open files allows %llu connections, max_nodes is %u; raise it "
		       "(systemd: LimitNOFILE=)",
		       (unsigned long long)want, a->cfg->max_nodes);
	}
	return (uint32_t)want;
}

static int open_store(struct app *a, struct lm_error *err)
{
	char dir[LM_CONFIG_PATH_MAX];
	char *slash;

	memcpy(dir, a->cfg->store, sizeof(dir));
	slash = strrchr(dir, '/');
	if (slash != NULL && slash != dir) {
		*slash = '\0';
		if (mkdir(dir, 0750) < 0 && errno != EEXIST)
			return lm_error_set(
			    err, errno,
			    "%s: cannot make this folder for the store: %s; make it, "
			    "owned by the user that runs lanemesh-coord",
			    dir, strerror(errno));
	}
	return lm_coord_store_sqlite_open(a->cfg->store, &a->store, err);
}

static int open_listener(struct app *a, struct lm_error *err)
{
	struct lm_coord_server_config cfg = {.id = a->id,
					     .record_ttl = a->cfg->record_ttl_s * LM_SEC,
					     .store = &a->store,
					     .log = &a->log};

	app_authorities(a->cfg, &cfg.authorities);
	lm_coord_limits_default(&cfg.limits);
	cfg.limits.nodes = cfg.limits.gone = a->cfg->max_nodes;
	cfg.limits.connections = connections_for(a);
	a->listener = lm_coord_listener_new(&a->loop, a->cfg->listen, a->cfg->n_listen, &cfg,
					    app_now, a, err);
	return a->listener != NULL ? 0 : -EIO;
}

static int open_stun(struct app *a, struct lm_error *err)
{
	struct lm_endpoint all[2 * LM_CONFIG_LISTEN_MAX];
	size_t n = a->cfg->n_listen, more = a->cfg->n_stun_listen;

	memcpy(all, a->cfg->listen, n * sizeof(all[0]));
	memcpy(all + n, a->cfg->stun_listen, more * sizeof(all[0]));
	a->stun = lm_coord_stun_listener_new(&a->loop, all, n + more, err);
	return a->stun != NULL ? 0 : -EIO;
}

static void close_handle(uv_handle_t *h, void *user)
{
	(void)user;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void stop(struct app *a)
{
	metrics_stop(a);
	lm_coord_listener_close(a->listener);
	a->listener = NULL;
	lm_coord_stun_listener_close(a->stun);
	a->stun = NULL;
	uv_close((uv_handle_t *)&a->term, NULL);
	uv_close((uv_handle_t *)&a->intr, NULL);
	uv_close((uv_handle_t *)&a->hup, NULL);
	uv_close((uv_handle_t *)&a->list_event, NULL);
	uv_close((uv_handle_t *)&a->list_timer, NULL);
}

static void on_signal(uv_signal_t *h, int number)
{
	struct app *a = h->data;

	if (number == SIGHUP) {
		reload(a);
		return;
	}
	lm_log(&a->log, LM_LOG_INFO, "signal %d: stopping", number);
	stop(a);
}

static int open_signals(struct app *a, struct lm_error *err)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP};
	uv_signal_t *const handles[] = {&a->term, &a->intr, &a->hup};
	int rc = 0;

	(void)signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; rc == 0 && i < LM_ARRAY_SIZE(numbers); i++) {
		rc = uv_signal_init(&a->loop, handles[i]);
		handles[i]->data = a;
		if (rc == 0)
			rc = uv_signal_start(handles[i], on_signal, numbers[i]);
	}
	return rc == 0 ? 0 : lm_error_set(err, -rc, "signals: %s", uv_strerror(rc));
}

static int start(struct app *a, struct lm_error *err)
{
	struct lm_coord_server_info info;
	char key[2 * LM_KEY_LEN + 1];
	int rc;

	if ((rc = lm_identity_load(a->cfg->identity, LM_LABEL_KEY, &a->id, err)) < 0 ||
	    (rc = open_signals(a, err)) < 0 || (rc = open_store(a, err)) < 0 ||
	    (rc = open_listener(a, err)) < 0 || (rc = open_stun(a, err)) < 0 ||
	    (rc = list_start(a, err)) < 0 || (rc = metrics_start(a, err)) < 0)
		return rc;
	lm_coord_server_info(lm_coord_listener_server(a->listener), &info);
	for (unsigned i = 0; i < a->cfg->n_listen; i++) {
		char at[LM_ENDPOINT_STRLEN];

		lm_log(&a->log, LM_LOG_INFO, "listening on %s",
		       lm_endpoint_format(&a->cfg->listen[i], at));
	}
	lm_log(&a->log, LM_LOG_INFO, "ready: mesh %s, key %s, %u nodes, revision %llu",
	       a->cfg->mesh, lm_hex(a->id->ed_public, LM_KEY_LEN, key), info.nodes,
	       (unsigned long long)info.revision);
	return 0;
}

static int run(struct app *a)
{
	struct lm_error err = {.text = "no memory"};
	int rc;

	a->cfg = malloc(sizeof(*a->cfg));
	rc = a->cfg == NULL ? -ENOMEM
			    : lm_coord_config_load(a->config_path, a->instance, a->cfg, &err);
	if (rc < 0) {
		free(a->cfg);
		return fail(&err);
	}
	a->log = (struct lm_log){.level = a->cfg->log_level,
				 .sink = lm_log_stderr,
				 .user = getenv("JOURNAL_STREAM") ? a : NULL};
	rc = uv_loop_init(&a->loop);
	if (rc == 0) {
		rc = start(a, &err);
		if (rc < 0)
			(void)fail(&err);
		else
			(void)uv_run(&a->loop, UV_RUN_DEFAULT);
		/* after a start that failed, what had been opened */
		metrics_stop(a);
		lm_coord_listener_close(a->listener);
		lm_coord_stun_listener_close(a->stun);
		if (rc < 0)
			uv_walk(&a->loop, close_handle, NULL);
		(void)uv_run(&a->loop, UV_RUN_DEFAULT);
		(void)uv_loop_close(&a->loop);
	}
	lm_coord_store_sqlite_close(&a->store);
	lm_identity_free(a->id);
	free(a->cfg);
	return rc < 0 ? 1 : 0;
}

static int check(const char *path, const char *instance)
{
	struct lm_coord_config *cfg = malloc(sizeof(*cfg));
	struct lm_error err = {.text = "no memory"};
	int rc = cfg == NULL ? -ENOMEM : lm_coord_config_load(path, instance, cfg, &err);

	free(cfg);
	if (rc < 0)
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
	struct app a = {.instance = "main"};
	char path[256];
	bool only_check = false;
	int o;

	while ((o = getopt_long(argc, argv, "i:c:hV", options, NULL)) != -1) {
		switch (o) {
		case 'i':
			a.instance = optarg;
			break;
		case 'c':
			a.config_path = optarg;
			break;
		case 'k':
			only_check = true;
			break;
		case 'h':
			print_help();
			return 0;
		case 'V':
			(void)puts("lanemesh-coord " LM_VERSION);
			return 0;
		default:
			return usage("unknown option", "");
		}
	}
	if (optind < argc)
		return usage("unexpected argument ", argv[optind]);
	if (!lm_instance_valid(a.instance))
		return usage("an instance name is letters, digits, _ and -, not ", a.instance);
	if (a.config_path == NULL) {
		(void)snprintf(path, sizeof(path), "/etc/lanemesh-coord/%s.conf", a.instance);
		a.config_path = path;
	}
	if (only_check)
		return check(a.config_path, a.instance);
	if (lm_crypto_init() != 0)
		return fail(&(struct lm_error){.text = "libsodium cannot start"});
	return run(&a);
}
