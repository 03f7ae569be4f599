/* SPDX-License-Identifier: BSD-3-Clause */
/* What the data plane says of its ports and workers, as JSON and as metrics. */
#include "internal.h"

#include <jansson.h>
#include <stdio.h>

/* "a b" as a list of words; null when there is none. */
static json_t *words(const char *text)
{
	json_t *list;

	if (text == NULL || text[0] == '\0')
		return json_null();
	list = json_array();
	while (*text != '\0') {
		size_t n = strcspn(text, " ");

		json_array_append_new(list, json_stringn(text, n));
		text += n + (text[n] == ' ');
	}
	return list;
}

/* How a packet from another site comes to the worker that owns its lane. */
static json_t *steering(const struct lm_dp_port_info *p, unsigned workers)
{
	if (p->role != LM_DP_WAN || workers == 1)
		return json_null();
	return json_string(p->steers ? "nic" : "ring");
}

json_t *lm_report_ports(struct lm_control *c)
{
	json_t *list = json_array();

	for (uint16_t i = 0; i < lm_dp_port_count(c->dp); i++) {
		const struct lm_twin *t = &c->twins[i];
		struct lm_dp_port_info p;
		char mac[LM_MAC_STRLEN];
		json_t *o, *addrs;

		if (lm_dp_port_info(c->dp, i, &p) != 0)
			continue;
		o = json_object();
		addrs = json_array();
		for (unsigned k = 0; k < t->n_addrs; k++) {
			char text[LM_IP_STRLEN];

			json_array_append_new(
			    addrs, json_sprintf("%s/%u", lm_ip_format(&t->addrs[k].ip, text),
						t->addrs[k].len));
		}
		json_object_set_new(o, "name", json_string(p.name));
		json_object_set_new(o, "role", json_string(p.role == LM_DP_WAN ? "wan" : "lan"));
		json_object_set_new(o, "driver", json_string(p.driver));
		json_object_set_new(o, "mac", json_string(lm_mac_format(&p.mac, mac)));
		json_object_set_new(o, "link", json_string(p.link_up ? "up" : "down"));
		json_object_set_new(o, "mtu", json_integer(p.mtu));
		json_object_set_new(o, "queues", json_integer(p.queues));
		json_object_set_new(o, "steering", steering(&p, lm_dp_workers(c->dp)));
		json_object_set_new(o, "rss", words(p.rss));
		json_object_set_new(o, "offloads", words(p.offloads));
		json_object_set_new(o, "addresses", addrs);
		json_object_set_new(o, "rx_packets", json_integer((json_int_t)p.rx_packets));
		json_object_set_new(o, "rx_bytes", json_integer((json_int_t)p.rx_bytes));
		json_object_set_new(o, "rx_missed", json_integer((json_int_t)p.rx_missed));
		json_object_set_new(o, "tx_packets", json_integer((json_int_t)p.tx_packets));
		json_object_set_new(o, "tx_bytes", json_integer((json_int_t)p.tx_bytes));
		json_object_set_new(o, "tx_errors", json_integer((json_int_t)p.tx_errors));
		json_array_append_new(list, o);
	}
	return list;
}

/* Every number about a worker: JSON name, metric, scale from ours to the metric's unit. */
#define AT(f) offsetof(struct lm_dp_worker_info, f)
static const struct worker_value {
	const char *json, *metric, *help;
	size_t at;
	double scale;
} worker_values[] = {
    {"running_ns", "worker_seconds_total", "how long the worker has run", AT(running), 1e-9},
    {"busy_ns", "worker_busy_seconds_total", "of that, in loops that had a packet", AT(busy), 1e-9},
    {"loops", "worker_loops_total", "loops", AT(loops), 1},
    {"busy_loops", "worker_busy_loops_total", "loops that had a packet", AT(busy_loops), 1},
    {"sleeps", "worker_sleeps_total", "times that the worker slept", AT(sleeps), 1},
    {"rx_packets", "worker_rx_packets_total", "packets from queues", AT(rx_packets), 1},
    {"rx_bursts", "worker_rx_bursts_total", "bursts that they came in", AT(rx_bursts), 1},
    {"full_bursts", "worker_full_bursts_total", "bursts as large as they get", AT(full_bursts), 1},
    {"handed_out", "worker_handed_out_total", "packets passed to other workers", AT(handed_out), 1},
    {"handed_in", "worker_handed_in_total", "packets taken from other workers", AT(handed_in), 1},
};
#undef AT
_Static_assert(LM_ARRAY_SIZE(worker_values) == LM_REPORT_WORKER_VALUES, "room for all");

static uint64_t value_of(const struct lm_dp_worker_info *w, const struct worker_value *v)
{
	uint64_t n;

	_Static_assert(sizeof(w->running) == sizeof(n) && sizeof(w->loops) == sizeof(n), "64 bits");
	memcpy(&n, (const char *)w + v->at, sizeof(n));
	return n;
}

json_t *lm_report_workers(struct lm_control *c)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < lm_dp_workers(c->dp); i++) {
		struct lm_dp_worker_info w;
		json_t *o;

		if (lm_dp_worker_info(c->dp, i, &w) != 0)
			continue;
		o = json_object();
		json_object_set_new(o, "worker", json_integer(i));
		json_object_set_new(o, "cpu", json_integer(w.cpu));
		for (size_t v = 0; v < LM_ARRAY_SIZE(worker_values); v++)
			json_object_set_new(
			    o, worker_values[v].json,
			    json_integer((json_int_t)value_of(&w, &worker_values[v])));
		json_array_append_new(list, o);
	}
	return list;
}

void lm_report_worker_gauges(struct lm_control *c, struct lm_report_gauges *g)
{
	struct lm_dp_worker_info w[LM_DP_WORKERS_MAX];
	unsigned n = lm_dp_workers(c->dp);

	for (unsigned i = 0; i < n; i++) {
		snprintf(g->worker[i], sizeof(g->worker[i]), "%u", i);
		if (lm_dp_worker_info(c->dp, i, &w[i]) != 0)
			return;
	}
	for (size_t v = 0; v < LM_ARRAY_SIZE(worker_values); v++)
		for (unsigned i = 0; i < n; i++)
			g->gauge[g->n++] = (struct lm_gauge){
			    .name = worker_values[v].metric,
			    .help = worker_values[v].help,
			    .label_name = "worker",
			    .label_value = g->worker[i],
			    .value =
				(double)value_of(&w[i], &worker_values[v]) * worker_values[v].scale,
			    .rises = true,
			};
}
