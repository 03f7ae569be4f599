/* SPDX-License-Identifier: BSD-3-Clause */
#include "telemetry.h"

#include <inttypes.h>
#include <jansson.h>
#include <pthread.h>
#include <rte_telemetry.h>
#include <rte_version.h>
#include <stdio.h>
#include <stdlib.h>

/* DPDK's callbacks carry no user pointer, hence these two; the lock keeps a question from running
 * into the daemon's end. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct lm_control *control;

/* DPDK names are [A-Za-z0-9_/]. */
static void field_name(const char *key, char out[64])
{
	size_t n = 0;

	for (; key[n] != '\0' && n < 63; n++)
		out[n] = key[n] == '-' || key[n] == '.' ? '_' : key[n];
	out[n] = '\0';
}

static void text_of(const json_t *v, char out[128])
{
	char *dump;

	if (json_is_string(v)) {
		(void)snprintf(out, 128, "%s", json_string_value(v));
	} else if (json_is_null(v)) {
		(void)snprintf(out, 128, "-");
	} else if (json_is_real(v)) {
		(void)snprintf(out, 128, "%.3f", json_real_value(v));
	} else {
		dump = json_dumps(v, JSON_COMPACT | JSON_ENCODE_ANY);
		(void)snprintf(out, 128, "%s", dump != NULL ? dump : "");
		free(dump);
	}
}

/* DPDK 23.03 renamed it, and later releases warn of the old name. */
static int add_number(struct rte_tel_data *d, const char *name, uint64_t value)
{
#if RTE_VERSION >= RTE_VERSION_NUM(23, 3, 0, 0)
	return rte_tel_data_add_dict_uint(d, name, value);
#else
	return rte_tel_data_add_dict_u64(d, name, value);
#endif
}

/* One level: numbers as numbers, anything nested as its JSON text. */
static void fill_dict(struct rte_tel_data *d, json_t *o)
{
	const char *key;
	char name[64], text[128];
	json_t *v;

	(void)rte_tel_data_start_dict(d);
	json_object_foreach(o, key, v)
	{
		field_name(key, name);
		if (json_is_integer(v)) {
			(void)add_number(d, name, (uint64_t)json_integer_value(v));
		} else {
			text_of(v, text);
			(void)rte_tel_data_add_dict_string(d, name, text);
		}
	}
}

/* A table without argument gives the number of rows; with a number, that row. */
static int fill_row(struct rte_tel_data *d, json_t *list, const char *params)
{
	size_t i;
	char *end;

	if (params == NULL || params[0] == '\0') {
		(void)rte_tel_data_start_dict(d);
		(void)add_number(d, "rows", json_array_size(list));
		return 0;
	}
	i = strtoul(params, &end, 10);
	if (*end != '\0' || i >= json_array_size(list))
		return -1;
	fill_dict(d, json_array_get(list, i));
	return 0;
}

static int on_command(const char *cmd, const char *params, struct rte_tel_data *d)
{
	char *text = NULL;
	json_t *o = NULL;
	int rc = -1;

	(void)pthread_mutex_lock(&lock);
	if (control != NULL)
		text = lm_control_query(control, strrchr(cmd, '/') + 1, NULL);
	(void)pthread_mutex_unlock(&lock);
	if (text != NULL)
		o = json_loads(text, 0, NULL);
	if (json_is_array(o)) {
		rc = fill_row(d, o, params);
	} else if (json_is_object(o)) {
		fill_dict(d, o);
		rc = 0;
	}
	json_decref(o);
	free(text);
	return rc;
}

void lm_telemetry_start(struct lm_control *c)
{
	static const char *const commands[][2] = {
	    {"/lanemesh/status", "Identity, coordinators, ports, peers and drops in short"},
	    {"/lanemesh/peers", "Number of peers; with a row number, that peer"},
	    {"/lanemesh/routes", "Number of routes; with a row number, that route"},
	    {"/lanemesh/relays", "Number of ways that are relayed; with a row number, that way"},
	    {"/lanemesh/sa", "Number of SAs; with a row number, that SA (no keys)"},
	    {"/lanemesh/ports", "Number of ports; with a row number, that port"},
	    {"/lanemesh/workers", "Number of workers; with a row number, that worker"},
	    {"/lanemesh/drops", "Dropped packets by reason"},
	    {"/lanemesh/traffic", "Packets and bytes"},
	    {"/lanemesh/netcheck", "UDP, NAT, STUN servers and relays"},
	    {"/lanemesh/events", "Handshakes, rekeys, refused records"},
	};

	(void)pthread_mutex_lock(&lock);
	control = c;
	(void)pthread_mutex_unlock(&lock);
	for (size_t i = 0; i < LM_ARRAY_SIZE(commands); i++)
		(void)rte_telemetry_register_cmd(commands[i][0], on_command, commands[i][1]);
}

void lm_telemetry_stop(void)
{
	(void)pthread_mutex_lock(&lock);
	control = NULL;
	(void)pthread_mutex_unlock(&lock);
}
