/* SPDX-License-Identifier: BSD-3-Clause */
#include <jansson.h>
#include <lanemesh/telemetry.h>

static const struct lm_ctr_info infos[LM_CTR_COUNT] = {
#define UNIT_PACKETS "packets"
#define UNIT_BYTES   "bytes"
#define UNIT_RECORDS "records"
#define UNIT_EVENTS  "events"
#define INFO(id, name_, unit_, kind_, help_)                                                       \
	[LM_C_##id] = {.name = name_, .unit = UNIT_##unit_, .help = help_, .kind = LM_CTR_##kind_},
    LM_COUNTERS(INFO)
#undef INFO
};

const struct lm_ctr_info *lm_ctr_info(enum lm_ctr id)
{
	return &infos[id];
}

void lm_counters_add(struct lm_counters *sum, const struct lm_counters *of)
{
	for (unsigned i = 0; i < LM_CTR_COUNT; i++)
		sum->v[i] += __atomic_load_n(&of->v[i], __ATOMIC_RELAXED);
}

struct json_t *lm_counters_json(const struct lm_counters *c, enum lm_ctr_kind kind)
{
	json_t *o = json_object();

	for (unsigned i = 0; o != NULL && i < LM_CTR_COUNT; i++) {
		uint64_t v = c->v[i] <= INT64_MAX ? c->v[i] : INT64_MAX;

		if (infos[i].kind != kind ||
		    json_object_set_new(o, infos[i].name, json_integer((json_int_t)v)) == 0)
			continue;
		json_decref(o);
		o = NULL;
	}
	return o;
}
