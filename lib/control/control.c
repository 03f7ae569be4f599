/* SPDX-License-Identifier: BSD-3-Clause */
/* The loop, start and stop. */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define PUNT_BURST	  64
#define PUNT_BURSTS	  16 /* before the rest of the loop has its turn */
#define ERRORS_PER_SECOND 1000
#define PATIENCE_MS	  5000 /* at the end, for disk and resolver */

struct lm_now lm_control_now(const struct lm_control *c)
{
	struct timespec ts;
	int64_t wall = (int64_t)time(NULL);

	(void)clock_gettime(CLOCK_MONOTONIC, &ts);
	return (struct lm_now){.mono = (lm_time)ts.tv_sec * LM_SEC + (lm_time)ts.tv_nsec,
			       .wall = wall > c->wall_floor ? wall : c->wall_floor};
}

static void on_mesh_timer(uv_timer_t *t)
{
	struct lm_control *c = t->data;

	lm_mesh_tick(c->mesh, lm_control_now(c));
	lm_control_rearm(c);
}

void lm_control_rearm(struct lm_control *c)
{
	lm_time due = lm_mesh_next(c->mesh), now = lm_control_now(c).mono;
	/* Rounded up: a timer that fires just before its time would spin. */
	lm_time ms = due <= now ? 0 : (due - now + LM_MSEC - 1) / LM_MSEC;

	if (due == LM_TIME_NEVER)
		(void)uv_timer_stop(&c->mesh_timer);
	else
		(void)uv_timer_start(&c->mesh_timer, on_mesh_timer, ms, 0);
}

/* The fd becomes readable again only after a poll has found nothing, so under a flood a timer goes
 * on with what is left after everything else had its turn. */
static void poll_dp(struct lm_control *c);

static void on_dp_again(uv_timer_t *t)
{
	poll_dp(t->data);
}

static void poll_dp(struct lm_control *c)
{
	unsigned bursts = 0;

	while (lm_dp_poll(c->dp, PUNT_BURST, lm_control_punt, c) > 0)
		if (++bursts == PUNT_BURSTS) {
			(void)uv_timer_start(&c->dp_again, on_dp_again, 0, 0);
			break;
		}
	lm_control_rearm(c);
}

static void on_dp(uv_poll_t *h, int status, int events)
{
	(void)status;
	(void)events;
	poll_dp(h->data);
}

static void on_netlink(uv_poll_t *h, int status, int events)
{
	struct lm_control *c = h->data;

	(void)status;
	(void)events;
	lm_nl_read(c->nl);
	lm_control_redump(c);
	lm_link_check(c);
	lm_control_rearm(c);
}

static void on_metrics(uv_poll_t *h, int status, int events)
{
	struct lm_control *c = h->data;

	(void)status;
	(void)events;
	lm_metrics_http_run(c->metrics);
}

static void on_second(uv_timer_t *t)
{
	struct lm_control *c = t->data;
	struct lm_now now = lm_control_now(c);

	c->errors_left = ERRORS_PER_SECOND;
	lm_control_redump(c);
	lm_link_check(c);
	if (c->site_moved)
		lm_link_announce(c);
	lm_advertise_tick(c);
	lm_neigh_tick(c, now.mono);
	lm_directory_expire(c->directory, now.wall);
	lm_state_save(c);
	lm_control_announce(c);
	lm_rib_retry(c->rib);
	lm_stun_tick(c, now.mono);
	lm_control_reachability(c);
	if (c->metrics != NULL)
		lm_metrics_http_run(c->metrics);
	lm_control_rearm(c);
}

static void on_signal(uv_signal_t *s, int signum)
{
	struct lm_control *c = s->data;
	struct lm_error err;

	if (signum == SIGHUP) {
		if (lm_control_reload(c, &err) != 0)
			lm_log(&c->log, LM_LOG_WARN, "going on with the config from before");
		return;
	}
	c->stopping = true;
	uv_stop(&c->loop);
}

/* --------------------------------------------------------------- start -- */

static int take_lock(struct lm_control *c, struct lm_error *err)
{
	char path[96];

	/* In the instance's own folder: beside it a systemd unit may not write. */
	(void)snprintf(path, sizeof(path), LM_RUN_DIR "/%s", c->cfg->instance);
	if ((mkdir(LM_RUN_DIR, 0755) != 0 && errno != EEXIST) ||
	    (mkdir(path, 0755) != 0 && errno != EEXIST))
		return lm_error_set(err, errno, "%s: cannot create: %s; run as root", path,
				    strerror(errno));
	(void)snprintf(path, sizeof(path), LM_RUN_DIR "/%s/lock", c->cfg->instance);
	c->lock = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	if (c->lock < 0)
		return lm_error_set(err, errno, "%s: %s", path, strerror(errno));
	if (flock(c->lock, LOCK_EX | LOCK_NB) != 0)
		return lm_error_set(err, EBUSY,
				    "instance '%s' is running already; stop it, or "
				    "choose another name with -i",
				    c->cfg->instance);
	return 0;
}

static void start_dp_config(const struct lm_control *c, struct lm_dp_config *dc,
			    struct lm_dp_port_config ports[LM_CONFIG_PORTS_MAX],
			    int cpus[LM_CONFIG_WORKERS_MAX])
{
	const struct lm_config *cfg = c->cfg;

	for (unsigned i = 0; i < cfg->n_ports; i++) {
		const struct lm_config_port *p = &cfg->ports[i];

		ports[i] = (struct lm_dp_port_config){
		    .name = p->name,
		    .role = p->role == LM_PORT_ROLE_WAN ? LM_DP_WAN : LM_DP_LAN,
		    .device = p->device,
		    .mtu = p->mtu,
		    .has_mac = p->has_mac,
		    .mac = p->mac,
		    .udp_port = p->udp_port,
		    .n_accept_tcp = p->n_accept_tcp,
		    .n_accept_udp = p->n_accept_udp,
		};
		memcpy(ports[i].accept_tcp, p->accept_tcp, sizeof(p->accept_tcp));
		memcpy(ports[i].accept_udp, p->accept_udp, sizeof(p->accept_udp));
	}
	for (unsigned i = 0; i < cfg->workers.n_cpus; i++)
		cpus[i] = cfg->workers.cpus[i];
	*dc = (struct lm_dp_config){
	    .instance = cfg->instance,
	    .workers = cfg->workers.count,
	    .cpus = cfg->workers.n_cpus > 0 ? cpus : NULL,
	    .idle_poll = cfg->workers.idle == LM_IDLE_POLL,
	    .hugepages = cfg->memory.hugepages,
	    .memory_mb = cfg->memory.size_mb,
	    .mbufs = cfg->memory.mbufs,
	    .aead = cfg->aead[0] != '\0' ? cfg->aead : NULL,
	    .max_peers = cfg->max_peers,
	    .max_routes = cfg->max_routes,
	    .ports = ports,
	    .n_ports = cfg->n_ports,
	    .log = &c->log,
	};
}

static int start_dp(struct lm_control *c, struct lm_error *err)
{
	struct lm_dp_port_config ports[LM_CONFIG_PORTS_MAX];
	struct lm_dp_config dc;
	int cpus[LM_CONFIG_WORKERS_MAX];

	start_dp_config(c, &dc, ports, cpus);
	return lm_dp_create(&dc, &c->dp, err);
}

static int start_mesh(struct lm_control *c, struct lm_error *err)
{
	const struct lm_config *cfg = c->cfg;
	struct lm_mesh_config mc = {
	    .identity = c->id,
	    .cert = c->cert,
	    .cert_len = c->cert_len,
	    .authorities = c->authorities,
	    .lanes = cfg->workers.count,
	    .max_peers = cfg->max_peers,
	    .eager_peers = cfg->full_mesh_up_to,
	    .handshake_limit = cfg->handshake_limit,
	    .announce_sequence = lm_state_sequence(c),
	    .prefixes = cfg->n_prefixes > 0 ? cfg->prefixes : NULL,
	    .n_prefixes = cfg->n_prefixes,
	    .timers = lm_mesh_timers_default(),
	    .log = &c->log,
	};
	int rc = lm_own_psk(cfg->psk_file, mc.psk, err);

	if (rc != 0)
		return rc;
	mc.timers.rekey = cfg->timers.rekey_s * LM_SEC;
	mc.timers.reject = mc.timers.rekey * 3 / 2;
	mc.timers.keepalive = cfg->timers.keepalive_s * LM_SEC;
	c->mesh = lm_mesh_new(&mc, &lm_control_mesh_ops, c, lm_control_now(c), err);
	explicit_bzero(mc.psk, sizeof(mc.psk));
	return c->mesh == NULL ? -EINVAL : 0;
}

static void learn_record(void *user, const struct lm_directory_record *r)
{
	struct lm_control *c = user;

	(void)lm_mesh_record(c->mesh, lm_control_now(c), r->cert, r->cert_len, r->ann, r->ann_len);
}

struct lists {
	struct lm_control *c;
	unsigned n;
	struct {
		uint8_t *data;
		size_t len;
	} of[LM_AUTHORITIES_MAX];
};

static void copy_list(void *user, const uint8_t *data, size_t len)
{
	struct lists *ls = user;
	uint8_t *copy = ls->n < LM_ARRAY_SIZE(ls->of) ? malloc(len) : NULL;

	if (copy == NULL)
		return;
	memcpy(copy, data, len);
	ls->of[ls->n].data = copy;
	ls->of[ls->n++].len = len;
}

/* Revocations before records: a revoked node is not even tried. Copied first, since taking a list
 * stores it in the directory that is being read. */
static void learn_directory(struct lm_control *c)
{
	struct lists ls = {.c = c};

	lm_directory_each_revocation(c->directory, copy_list, &ls);
	for (unsigned i = 0; i < ls.n; i++) {
		lm_control_revocation(c, ls.of[i].data, ls.of[i].len, "the state directory");
		free(ls.of[i].data);
	}
	lm_directory_each(c->directory, learn_record, c);
}

static int start_polls_and_timers(struct lm_control *c)
{
	uv_timer_t *timers[] = {&c->mesh_timer, &c->second_timer, &c->dp_again, &c->underlay_timer,
				&c->usage_timer};
	int rc;

	for (unsigned i = 0; i < LM_ARRAY_SIZE(timers); i++) {
		(void)uv_timer_init(&c->loop, timers[i]);
		timers[i]->data = c;
	}
	c->dp_poll.data = c->nl_poll.data = c;
	if ((rc = uv_poll_init(&c->loop, &c->dp_poll, lm_dp_event_fd(c->dp))) != 0 ||
	    (rc = uv_poll_start(&c->dp_poll, UV_READABLE, on_dp)) != 0 ||
	    (rc = uv_poll_init(&c->loop, &c->nl_poll, lm_nl_fd(c->nl))) != 0 ||
	    (rc = uv_poll_start(&c->nl_poll, UV_READABLE, on_netlink)) != 0)
		return rc;
	lm_usage_start(c);
	return uv_timer_start(&c->second_timer, on_second, 1000, 1000);
}

static int start_handles(struct lm_control *c, struct lm_error *err)
{
	const struct {
		uv_signal_t *handle;
		int signal;
	} signals[] = {{&c->sig_term, SIGTERM}, {&c->sig_int, SIGINT}, {&c->sig_hup, SIGHUP}};
	int rc = start_polls_and_timers(c);

	for (unsigned i = 0; rc == 0 && i < LM_ARRAY_SIZE(signals); i++) {
		rc = uv_signal_init(&c->loop, signals[i].handle);
		signals[i].handle->data = c;
		if (rc == 0)
			rc = uv_signal_start(signals[i].handle, on_signal, signals[i].signal);
	}
	if (rc == 0)
		rc = uv_fs_poll_init(&c->loop, &c->list_watch);
	c->list_watch.data = c;
	if (rc == 0)
		rc = lm_query_start(c);
	c->errors_left = ERRORS_PER_SECOND;
	return rc == 0
		   ? 0
		   : lm_error_set(err, -rc, "cannot set up the event loop: %s", uv_strerror(rc));
}

static int start_metrics(struct lm_control *c, struct lm_error *err)
{
	int rc;

	if (!c->cfg->has_metrics)
		return 0;
	rc = lm_metrics_http_start(&c->cfg->metrics, lm_report_metrics, c, &c->metrics, err);
	if (rc != 0)
		return rc;
	(void)uv_poll_init(&c->loop, &c->metrics_poll, lm_metrics_http_fd(c->metrics));
	c->metrics_poll.data = c;
	(void)uv_poll_start(&c->metrics_poll, UV_READABLE, on_metrics);
	return 0;
}

static void export_route(void *user, const struct lm_prefix *prefix, bool present)
{
	struct lm_control *c = user;
	char text[LM_PREFIX_STRLEN];
	int rc;

	if (c->overlay.ifindex == 0 || (prefix->ip.family == 6 && c->overlay.no_ip6))
		return;
	rc = present
		 ? lm_nl_route_set(c->nl, prefix, c->overlay.ifindex, NULL, LM_RTPROT, LM_METRIC)
		 : lm_nl_route_del(c->nl, prefix, c->overlay.ifindex, LM_RTPROT, LM_METRIC);
	if (rc != 0)
		lm_log(&c->log, LM_LOG_WARN, "kernel route %s dev %s: %s",
		       lm_prefix_format(prefix, text), c->overlay.name, strerror(-rc));
}

static int start(struct lm_control *c, struct lm_error *err)
{
	struct lm_error why;
	int rc;

	if ((rc = take_lock(c, err)) != 0 ||
	    (rc = lm_identity_load(c->cfg->identity, LM_LABEL_KEY, &c->id, err)) != 0 ||
	    (rc = lm_own_cert_load(c, err)) != 0 || (rc = lm_state_load(c, err)) != 0)
		return rc;
	lm_directory_each_revocation(c->directory, lm_control_raise_floor, c);
	lm_directory_keep_issuers(c->directory, &c->authorities);
	/* The certificate is judged before anything is opened. */
	if ((rc = start_mesh(c, err)) != 0 || (rc = start_dp(c, err)) != 0 ||
	    (rc = lm_nl_open(&lm_control_nl_events, c, &c->nl, err)) != 0)
		return rc;
	c->rib = lm_rib_new(c->dp, &c->log, export_route, c);
	if (c->rib == NULL)
		return lm_error_set(err, ENOMEM, "no memory for routes");
	if ((rc = lm_own_publish(c, err)) != 0 || (rc = lm_twins_create(c, err)) != 0)
		return rc;
	if ((rc = start_handles(c, err)) != 0)
		return rc;
	lm_nl_read(c->nl); /* what the kernel says of our making the twins is no news */
	rc = lm_control_dump(c);
	if (rc != 0)
		return lm_error_set(err, -rc, "cannot read the kernel's tables: %s", strerror(-rc));
	lm_control_relaying(c);
	lm_link_check(c);
	if (lm_control_load_revocation(c, c->cfg->revocation_list, &why) != 0)
		lm_log(&c->log, LM_LOG_WARN, "%s", why.text);
	lm_control_watch_revocation(c);
	learn_directory(c);
	lm_stun_start(c);
	if ((rc = lm_coords_start(c, c->cfg, err)) != 0 || (rc = lm_manage_start(c, err)) != 0 ||
	    (rc = start_metrics(c, err)) != 0)
		return rc;
	lm_control_rearm(c);
	return 0;
}

static int read_config(struct lm_control *c, const char *path, const char *instance,
		       struct lm_error *err)
{
	int rc;

	if (strlen(path) >= sizeof(c->config_path))
		return lm_error_set(err, ENAMETOOLONG, "%s: the config's path is too long", path);
	(void)snprintf(c->config_path, sizeof(c->config_path), "%s", path);
	c->cfg = calloc(1, sizeof(*c->cfg));
	if (c->cfg == NULL)
		return lm_error_set(err, ENOMEM, "no memory");
	rc = lm_config_load(path, instance, c->cfg, err);
	if (rc != 0)
		return rc;
	c->log = (struct lm_log){
	    .level = c->cfg->log_level, .sink = lm_log_stderr, .user = getenv("JOURNAL_STREAM")};
	c->authorities.n = c->cfg->n_authorities;
	memcpy(c->authorities.mesh, c->cfg->mesh, sizeof(c->authorities.mesh));
	memcpy(c->authorities.keys, c->cfg->authorities, sizeof(c->authorities.keys));
	return 0;
}

static int init_loop(struct lm_control *c, struct lm_error *err)
{
	int rc = uv_loop_init(&c->loop);

	if (rc == 0 && (rc = uv_mutex_init(&c->query_lock)) != 0)
		(void)uv_loop_close(&c->loop);
	return rc == 0 ? 0 : lm_error_set(err, -rc, "no event loop: %s", uv_strerror(rc));
}

int lm_control_new(const char *config_path, const char *instance, struct lm_control **out,
		   struct lm_error *err)
{
	struct lm_control *c = calloc(1, sizeof(*c));
	int rc;

	if (c == NULL)
		return lm_error_set(err, ENOMEM, "no memory");
	c->lock = -1;
	lm_twins_init(c);
	rc = read_config(c, config_path, instance, err);
	if (rc == 0)
		rc = init_loop(c, err);
	if (rc != 0) {
		free(c->cfg);
		free(c);
		return rc;
	}
	c->started = lm_control_now(c).mono;
	rc = start(c, err);
	if (rc != 0) {
		(void)lm_control_free(c);
		return rc;
	}
	*out = c;
	return 0;
}

/* ---------------------------------------------------------------- stop -- */

void lm_control_run(struct lm_control *c)
{
	while (!c->stopping)
		(void)uv_run(&c->loop, UV_RUN_DEFAULT);
	lm_query_stop(c);
}

static void close_handle(uv_handle_t *h, void *arg)
{
	(void)arg;
	if (!uv_is_closing(h))
		uv_close(h, NULL);
}

static void on_patience_ends(uv_timer_t *t)
{
	*(bool *)t->data = true;
}

/* Lets what is under way end: closing handles, a write to disk, a question to the resolver. False:
 * a thread of libuv's hangs in one of those, and the loop, which it will use, must stay. */
static bool run_dry(struct lm_control *c)
{
	bool enough = false;
	uv_timer_t timer;

	(void)uv_timer_init(&c->loop, &timer);
	timer.data = &enough;
	(void)uv_timer_start(&timer, on_patience_ends, PATIENCE_MS, 0);
	uv_unref((uv_handle_t *)&timer);
	while (uv_loop_alive(&c->loop) && !enough)
		(void)uv_run(&c->loop, UV_RUN_ONCE);
	uv_close((uv_handle_t *)&timer, NULL);
	(void)uv_run(&c->loop, UV_RUN_NOWAIT);
	if (!uv_loop_alive(&c->loop))
		return true;
	lm_log(&c->log, LM_LOG_ERROR,
	       "%s or the resolver does not answer; what changed last may not be stored",
	       c->cfg->state_dir);
	return false;
}

bool lm_control_free(struct lm_control *c)
{
	bool started = c->mesh != NULL && c->dp != NULL, dry;

	if (started)
		lm_state_save(c);
	lm_ping_stop(c);
	lm_manage_stop(c);
	lm_coords_stop(c);
	lm_stun_stop(c);
	/* The interface takes its routes along. */
	c->overlay.ifindex = 0;
	if (c->mesh != NULL) {
		lm_mesh_free(c->mesh, lm_control_now(c), c->rib != NULL);
		c->mesh = NULL;
		/* The workers wake at least every millisecond: time for the goodbyes to go out. */
		if (c->rib != NULL)
			(void)nanosleep(&(struct timespec){.tv_nsec = 10000000}, NULL);
	}
	lm_twins_close(c);
	uv_walk(&c->loop, close_handle, NULL);
	dry = run_dry(c);
	/* A disk that hangs would keep us here. */
	if (started && c->directory_write == NULL && c->sequence_write == NULL)
		lm_state_save_last(c);
	if (c->metrics != NULL)
		lm_metrics_http_stop(c->metrics);
	if (c->rib != NULL) {
		lm_neigh_forget(c);
		lm_kernel_route_forget(c);
	}
	free(c->ways);
	lm_control_relays_free(c);
	free(c->busy);
	lm_rib_free(c->rib);
	lm_nl_close(c->nl);
	lm_dp_free(c->dp);
	for (uint32_t i = 0; i < c->n_peers; i++) {
		if (c->peers[i] != NULL)
			free(c->peers[i]->prefixes);
		free(c->peers[i]);
	}
	free(c->peers);
	lm_directory_free(c->directory);
	lm_identity_free(c->id);
	free(c->cert);
	uv_mutex_destroy(&c->query_lock);
	free(c->cfg);
	if (!dry) /* nor does the lock go: a write may be under way */
		return false;
	(void)uv_loop_close(&c->loop);
	if (c->lock >= 0)
		close(c->lock);
	free(c);
	return true;
}
