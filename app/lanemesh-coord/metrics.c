/* SPDX-License-Identifier: BSD-3-Clause */
/* The coordinator's Prometheus page. */
#include "coord.h"

#include <stdio.h>

#define EVERY_MS 1000

static const struct {
	const char *name, *help;
	size_t at;
} counters[] = {
#define C(field, help)                                                                             \
	{                                                                                          \
#field, help, offsetof(struct lm_coord_server_counters, field)                     \
	}
    C(accepted, "connections accepted"),
    C(refused_total, "connections refused: too many in total"),
    C(refused_source, "connections refused: too many from one source"),
    C(refused_rate, "connections refused: too many a second from one source"),
    C(handshake_bad, "handshakes refused"),
    C(handshake_timeout, "handshakes not finished in time"),
    C(handshake_evicted, "handshakes pushed out by newer ones"),
    C(protocol_bad, "connections ended by a malformed message or one that was not due"),
    C(replaced, "connections replaced by a newer one of the same node"),
    C(idle, "connections ended: nothing came"),
    C(stalled, "connections ended: output was not taken"),
    C(limited, "connections ended: too many messages, or the directory is full"),
    C(published, "records stored"),
    C(unchanged, "records published again without news"),
    C(removed, "records removed"),
    C(revocations, "revocation lists taken"),
    C(store_errors, "commits that failed"),
    C(sync_full, "full listings"),
    C(sync_delta, "listings of changes"),
    C(signals, "signals passed on"),
    C(signals_absent, "signals dropped: for a node that is not connected"),
    C(signals_limited, "signals dropped: too many"),
    C(bytes_in, "bytes received"),
    C(bytes_out, "bytes sent"),
#undef C
};

static const struct {
	const char *name, *help;
	size_t at;
} stun_counters[] = {
#define C(field, help)                                                                             \
	{                                                                                          \
#field, help, offsetof(struct lm_coord_stun_counters, field)                       \
	}
    C(answered, "STUN requests answered"),
    C(refused, "STUN requests answered with an error: attributes that are not known here"),
    C(no_room, "STUN requests dropped: shorter than the answer would be"),
    C(limited, "STUN requests dropped: too many from one source"),
    C(malformed, "datagrams dropped: no STUN Binding request"),
#undef C
};

static void put(struct lm_writer *w, const char *text)
{
	lm_w_copy(w, text, strlen(text));
}

static void line(struct lm_writer *w, const char *name, const char *help, const char *type,
		 uint64_t value)
{
	char buf[400];

	(void)snprintf(buf, sizeof(buf),
		       "# HELP lanemesh_coord_%s %s\n# TYPE lanemesh_coord_%s %s\n"
		       "lanemesh_coord_%s %llu\n",
		       name, help, name, type, name, (unsigned long long)value);
	put(w, buf);
}

static void by_reason(struct lm_writer *w, const char *name, const char *help,
		      const uint64_t values[LM_VERDICT_COUNT])
{
	char buf[256];

	(void)snprintf(buf, sizeof(buf),
		       "# HELP lanemesh_coord_%s %s\n# TYPE lanemesh_coord_%s counter\n", name,
		       help, name);
	put(w, buf);
	for (int v = LM_TRUSTED + 1; v < LM_VERDICT_COUNT; v++) {
		(void)snprintf(buf, sizeof(buf), "lanemesh_coord_%s{reason=\"%s\"} %llu\n", name,
			       lm_verdict_name(v), (unsigned long long)values[v]);
		put(w, buf);
	}
}

static void render(void *user, struct lm_writer *w)
{
	struct app *a = user;
	const struct lm_coord_server *s = lm_coord_listener_server(a->listener);
	const struct lm_coord_server_counters *n = lm_coord_server_counters(s);
	struct lm_coord_server_info info;

	lm_coord_server_info(s, &info);
	line(w, "nodes", "nodes in the directory", "gauge", info.nodes);
	line(w, "nodes_gone", "departed nodes remembered", "gauge", info.gone);
	line(w, "connections", "connections", "gauge", info.connections);
	line(w, "subscribed", "nodes that changes are pushed to", "gauge", info.subscribed);
	line(w, "revision", "revision of the directory", "gauge", info.revision);
	line(w, "store_failing", "1 while records cannot be stored", "gauge", info.store_failing);
	line(w, "list_stale", "1 while a revocation list's next update is overdue", "gauge",
	     info.list_stale);
	for (size_t i = 0; i < LM_ARRAY_SIZE(counters); i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "%s_total", counters[i].name);
		line(w, name, counters[i].help, "counter",
		     *(const uint64_t *)((const char *)n + counters[i].at));
	}
	for (size_t i = 0; i < LM_ARRAY_SIZE(stun_counters); i++) {
		char name[64];

		(void)snprintf(name, sizeof(name), "stun_%s_total", stun_counters[i].name);
		line(w, name, stun_counters[i].help, "counter",
		     *(const uint64_t *)((const char *)lm_coord_stun_listener_counters(a->stun) +
					 stun_counters[i].at));
	}
	by_reason(w, "certificates_refused_total", "nodes not let in, or put out", n->cert_refused);
	by_reason(w, "records_refused_total", "announcements and lists refused", n->record_refused);
}

static void on_poll(uv_poll_t *p, int status, int events)
{
	struct app *a = p->data;

	(void)status;
	(void)events;
	lm_metrics_http_run(a->http);
}

static void on_timer(uv_timer_t *t)
{
	struct app *a = t->data;

	lm_metrics_http_run(a->http);
}

int metrics_start(struct app *a, struct lm_error *err)
{
	int rc;

	if (!a->cfg->has_metrics)
		return 0;
	rc = lm_metrics_http_start(&a->cfg->metrics, render, a, &a->http, err);
	if (rc < 0)
		return rc;
	rc = uv_poll_init(&a->loop, &a->http_poll, lm_metrics_http_fd(a->http));
	if (rc == 0)
		rc = uv_timer_init(&a->loop, &a->http_timer);
	a->http_poll.data = a->http_timer.data = a;
	if (rc == 0)
		rc = uv_poll_start(&a->http_poll, UV_READABLE, on_poll);
	if (rc == 0)
		rc = uv_timer_start(&a->http_timer, on_timer, EVERY_MS, EVERY_MS);
	if (rc == 0)
		return 0;
	lm_metrics_http_stop(a->http);
	a->http = NULL;
	return lm_error_set(err, -rc, "metrics: %s", uv_strerror(rc));
}

void metrics_stop(struct app *a)
{
	if (a->http == NULL)
		return;
	/* closed before the descriptor goes that it polls */
	uv_close((uv_handle_t *)&a->http_poll, NULL);
	uv_close((uv_handle_t *)&a->http_timer, NULL);
	lm_metrics_http_stop(a->http);
	a->http = NULL;
}
