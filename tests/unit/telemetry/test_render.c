/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/telemetry.h>
#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <jansson.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

static char page[LM_METRICS_MAX];

/* NUL-terminated text of what was written. */
static const char *text_of(struct lm_writer *w)
{
	lm_w_u8(w, 0);
	assert_false(w->bad);
	return page;
}

static void names_are_identifiers_and_unique(void **state)
{
	(void)state;
	for (unsigned i = 0; i < LM_CTR_COUNT; i++) {
		const struct lm_ctr_info *a = lm_ctr_info(i);

		assert_true(strlen(a->name) > 0 && strlen(a->name) <= 27);
		assert_int_equal(strspn(a->name, "abcdefghijklmnopqrstuvwxyz0123456789_"),
				 strlen(a->name));
		assert_true(strlen(a->help) > 0 && strchr(a->help, '\n') == NULL);
		for (unsigned j = 0; j < i; j++)
			assert_string_not_equal(lm_ctr_info(j)->name, a->name);
	}
}

static void sum_over_threads(void **state)
{
	struct lm_counters a = {{0}}, b = {{0}}, sum = {{0}};

	(void)state;
	lm_count(&a, LM_C_ESP_ICV, 3);
	lm_count(&a, LM_C_ESP_ICV, 4);
	lm_count(&b, LM_C_ESP_ICV, 10);
	lm_count_set(&b, LM_C_REKEYS, 5);
	lm_count_set(&b, LM_C_REKEYS, 6);
	lm_counters_add(&sum, &a);
	lm_counters_add(&sum, &b);
	assert_int_equal(sum.v[LM_C_ESP_ICV], 17);
	assert_int_equal(sum.v[LM_C_REKEYS], 6);
	assert_int_equal(sum.v[LM_C_NO_MBUF], 0);
}

static void table_fits_100_columns(void **state)
{
	struct lm_counters c;

	(void)state;
	memset(&c, 0xff, sizeof(c));
	for (unsigned kind = LM_CTR_TRAFFIC; kind <= LM_CTR_EVENT; kind++) {
		struct lm_writer w = lm_writer(page, sizeof(page));
		unsigned lines = 0, of_kind = 0;
		char *rest = NULL;

		lm_counters_text(&w, &c, kind, true);
		(void)text_of(&w);
		for (char *l = strtok_r(page, "\n", &rest); l; l = strtok_r(NULL, "\n", &rest)) {
			if (strlen(l) > 100)
				fail_msg("%zu columns: %s", strlen(l), l);
			lines++;
		}
		for (unsigned i = 0; i < LM_CTR_COUNT; i++)
			of_kind += lm_ctr_info(i)->kind == kind;
		assert_int_equal(lines, of_kind + 1);
	}
}

static void table_leaves_zeros_out(void **state)
{
	struct lm_writer w = lm_writer(page, sizeof(page));
	struct lm_counters c = {{0}};

	(void)state;
	lm_counters_text(&w, &c, LM_CTR_DROP, false);
	assert_int_equal(lm_w_len(&w), 0);
	lm_count(&c, LM_C_ESP_REPLAY, 12);
	lm_count(&c, LM_C_REKEYS, 1);
	lm_counters_text(&w, &c, LM_CTR_DROP, false);
	assert_string_equal(
	    text_of(&w),
	    "COUNTER                                    COUNT  MEANING\n"
	    "esp_replay                                    12  ESP: number seen before\n");
}

static void json_holds_every_counter_of_the_kind(void **state)
{
	struct lm_counters c = {{0}};
	struct json_t *o;

	(void)state;
	lm_count_set(&c, LM_C_ESP_OLD, 7);
	lm_count_set(&c, LM_C_ESP_ICV, UINT64_MAX);
	o = lm_counters_json(&c, LM_CTR_DROP);
	assert_non_null(o);
	assert_int_equal(json_integer_value(json_object_get(o, "esp_old")), 7);
	assert_int_equal(json_integer_value(json_object_get(o, "esp_icv")), INT64_MAX);
	assert_non_null(json_object_get(o, "no_mbuf"));
	assert_null(json_object_get(o, "rekeys"));
	json_decref(o);
}

static void prometheus_page(void **state)
{
	const struct lm_gauge g[] = {
	    {.name = "peers",
	     .help = "peers by state",
	     .label_name = "state",
	     .label_value = "up",
	     .value = 2},
	    {.name = "peers",
	     .help = "peers by state",
	     .label_name = "state",
	     .label_value = "a\"b\\c\nd",
	     .value = 0.5},
	    {.name = "uptime_seconds", .help = "since start", .value = NAN},
	    {.name = "busy_seconds_total", .help = "busy", .value = 1.5, .rises = true},
	};
	struct lm_writer w = lm_writer(page, sizeof(page));
	struct lm_counters c = {{0}};
	const char *text, *p;
	unsigned n = 0;

	(void)state;
	lm_count(&c, LM_C_ESP_ICV, 3);
	lm_count(&c, LM_C_LAN_RX_BYTES, 1234567890123);
	lm_metrics_prometheus(&w, &c, g, LM_ARRAY_SIZE(g));
	text = text_of(&w);
	assert_non_null(strstr(text, "\nlanemesh_lan_rx_bytes_total 1234567890123\n"));
	assert_non_null(strstr(text, "\n# TYPE lanemesh_lan_rx_bytes_total counter\n"));
	assert_non_null(strstr(text, "\nlanemesh_drops_total{reason=\"esp_icv\"} 3\n"));
	assert_non_null(strstr(text, "\n# TYPE lanemesh_peers gauge\n"
				     "lanemesh_peers{state=\"up\"} 2\n"
				     "lanemesh_peers{state=\"a\\\"b\\\\c\\nd\"} 0.5\n"
				     "# HELP lanemesh_uptime_seconds since start\n"));
	assert_non_null(strstr(text, "\nlanemesh_uptime_seconds NaN\n"));
	assert_non_null(strstr(text, "\n# TYPE lanemesh_busy_seconds_total counter\n"
				     "lanemesh_busy_seconds_total 1.5\n"));
	for (p = text; (p = strstr(p, "# TYPE lanemesh_drops_total counter\n")) != NULL; p++)
		n++;
	assert_int_equal(n, 1);
}

/* promtool (package prometheus) is the judge of the format, where it is installed. */
static void promtool_finds_nothing(void **state)
{
	const struct lm_gauge g[] = {{.name = "peers",
				      .help = "peers by state",
				      .label_name = "state",
				      .label_value = "up",
				      .value = 2}};
	struct lm_writer w = lm_writer(page, sizeof(page));
	struct lm_counters c = {{0}};
	FILE *out;

	(void)state;
	if (system("command -v promtool >/dev/null") != 0) {
		print_message("promtool is not installed: skipped\n");
		skip();
	}
	lm_metrics_prometheus(&w, &c, g, LM_ARRAY_SIZE(g));
	out = popen("promtool check metrics", "w");
	assert_non_null(out);
	assert_int_equal(fwrite(page, 1, lm_w_len(&w), out), lm_w_len(&w));
	assert_int_equal(pclose(out), 0);
}

static void buffers_are_bounded(void **state)
{
	struct lm_gauge g[500];
	struct lm_counters c;
	struct lm_writer w;
	char value[64];

	(void)state;
	memset(&c, 0xff, sizeof(c));
	memset(value, 'x', sizeof(value) - 1);
	value[63] = '\0';
	for (size_t i = 0; i < LM_ARRAY_SIZE(g); i++)
		g[i] = (struct lm_gauge){.name = "peer_rtt_seconds",
					 .help = "smoothed round-trip time",
					 .label_name = "peer",
					 .label_value = value,
					 .value = 0.123456789};
	w = lm_writer(page, sizeof(page));
	lm_metrics_prometheus(&w, &c, g, LM_ARRAY_SIZE(g));
	assert_false(w.bad);
	for (size_t cap = 0; cap < 300; cap++) {
		char *buf = malloc(cap);

		w = lm_writer(buf, cap);
		lm_metrics_prometheus(&w, &c, g, 1);
		assert_true(w.bad);
		assert_true(lm_w_len(&w) <= cap);
		free(buf);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_identifiers_and_unique),
	    cmocka_unit_test(sum_over_threads),
	    cmocka_unit_test(table_fits_100_columns),
	    cmocka_unit_test(table_leaves_zeros_out),
	    cmocka_unit_test(json_holds_every_counter_of_the_kind),
	    cmocka_unit_test(prometheus_page),
	    cmocka_unit_test(promtool_finds_nothing),
	    cmocka_unit_test(buffers_are_bounded),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
