/* SPDX-License-Identifier: BSD-3-Clause */
/* Questions that other threads ask the control thread. */
#include "internal.h"

#include <errno.h>
#include <jansson.h>

#define TIMEOUT (2 * LM_SEC)

/* On the asker's stack; in the list until it is answered or given up. */
struct lm_query {
	struct lm_query *next;
	const char *what;
	char *answer;
	struct lm_error err;
	bool done;
	uv_cond_t ready;
};

static void finish(struct lm_control *c, struct lm_query *q)
{
	c->queries = q->next;
	q->done = true;
	uv_cond_signal(&q->ready);
}

static void on_query(uv_async_t *a)
{
	struct lm_control *c = a->data;

	uv_mutex_lock(&c->query_lock);
	while (c->queries != NULL) {
		struct lm_query *q = c->queries;
		struct json_t *o = lm_report(c, q->what, &q->err);

		q->answer = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL;
		json_decref(o);
		finish(c, q);
	}
	uv_mutex_unlock(&c->query_lock);
}

int lm_query_start(struct lm_control *c)
{
	c->query_async.data = c;
	return uv_async_init(&c->loop, &c->query_async, on_query);
}

void lm_query_stop(struct lm_control *c)
{
	uv_mutex_lock(&c->query_lock);
	c->queries_closed = true;
	while (c->queries != NULL) {
		(void)lm_error_set(&c->queries->err, ESHUTDOWN, "the gateway is ending");
		finish(c, c->queries);
	}
	uv_mutex_unlock(&c->query_lock);
}

static void wait_for(struct lm_control *c, struct lm_query *q)
{
	struct lm_query **at = &c->queries;
	int rc = 0;

	q->next = c->queries;
	c->queries = q;
	(void)uv_async_send(&c->query_async);
	while (!q->done && rc == 0)
		rc = uv_cond_timedwait(&q->ready, &c->query_lock, TIMEOUT);
	if (q->done)
		return;
	while (*at != q)
		at = &(*at)->next;
	*at = q->next;
	(void)lm_error_set(&q->err, ETIMEDOUT, "the control thread does not answer");
}

char *lm_control_query(struct lm_control *c, const char *what, struct lm_error *err)
{
	struct lm_query q = {.what = what, .err.text = "no memory for the answer"};

	if (uv_cond_init(&q.ready) == 0) {
		uv_mutex_lock(&c->query_lock);
		if (c->queries_closed)
			(void)lm_error_set(&q.err, ESHUTDOWN, "the gateway is ending");
		else
			wait_for(c, &q);
		uv_mutex_unlock(&c->query_lock);
		uv_cond_destroy(&q.ready);
	}
	if (q.answer == NULL && err != NULL)
		*err = q.err;
	return q.answer;
}
