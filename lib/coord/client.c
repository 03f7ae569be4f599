/* SPDX-License-Identifier: BSD-3-Clause */
/* A node's link to one coordinator: tries, handshake, timeouts. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "client.h"

#define MSG2_PAYLOAD (LM_EPOCH_LEN + 8)
#define MSG2_LEN     (LM_NOISE_MSG2_OVERHEAD + MSG2_PAYLOAD)
/* A link that lived this long was a good one: the next tries start early again. */
#define LASTING (30 * LM_SEC)

const char *lm_coord_state_name(enum lm_coord_state s)
{
	static const char *const names[] = {"waiting", "connecting", "handshake", "syncing", "up"};

	return (unsigned)s < LM_ARRAY_SIZE(names) ? names[s] : "?";
}

struct lm_coord_client *lm_coord_client_new(const struct lm_coord_client_config *cfg,
					    const struct lm_coord_client_ops *ops, void *user,
					    struct lm_error *err)
{
	struct lm_coord_client *c;

	if (cfg->cert_len == 0 || cfg->cert_len > LM_CERT_MAX) {
		lm_error_set(err, EINVAL, "own certificate is %zu bytes, 1 to %d are possible",
			     cfg->cert_len, LM_CERT_MAX);
		return NULL;
	}
	c = calloc(1, sizeof(*c));
	if (c == NULL) {
		lm_error_set(err, ENOMEM, "no memory for a coordinator link");
		return NULL;
	}
	if (lm_identity_x_public(cfg->server_key, c->server_x) < 0) {
		lm_error_set(err, EINVAL, "the key of coordinator %s is not a valid public key",
			     cfg->name ? cfg->name : "?");
		free(c);
		return NULL;
	}
	c->id = cfg->id;
	memcpy(c->cert, cfg->cert, cfg->cert_len);
	c->cert_len = cfg->cert_len;
	memcpy(c->mesh, cfg->mesh, sizeof(c->mesh));
	c->mesh[LM_MESH_ID_MAX] = '\0';
	snprintf(c->name, sizeof(c->name), "%s", cfg->name ? cfg->name : "coordinator");
	memcpy(c->epoch, cfg->epoch, LM_EPOCH_LEN);
	c->revision = cfg->revision;
	c->log = cfg->log;
	c->ops = ops;
	c->user = user;
	c->state = LM_COORD_WAITING;
	c->pinged = LM_TIME_NEVER;
	return c;
}

void lm_coord_client_free(struct lm_coord_client *c)
{
	if (c == NULL)
		return;
	for (size_t i = 0; i < LM_ARRAY_SIZE(c->lists); i++)
		free(c->lists[i].data);
	lm_noise_wipe(&c->ns);
	lm_pipe_free(&c->pipe);
	free(c);
}

void client_set_state(struct lm_coord_client *c, enum lm_coord_state s, const char *why)
{
	if (c->state == s)
		return;
	c->state = s;
	if (c->ops->state != NULL)
		c->ops->state(c->user, s, why);
}

/* Even between min and max. */
static lm_time jitter(struct lm_coord_client *c, lm_time min, lm_time max)
{
	uint64_t r = 0;

	c->ops->random(c->user, &r, sizeof(r));
	return min + r % (max - min + 1);
}

/* Measured from the start of the try that failed, so that a slow failure does not add up. */
static void arm_retry(struct lm_coord_client *c, lm_time now)
{
	lm_time gap = LM_COORD_RETRY_MIN;
	lm_time at;

	if (client_linked(c) && now - c->up_since >= LASTING) {
		/* Spread: a coordinator that restarts loses all its nodes at once. */
		c->fails = 0;
		c->retry_at = now + jitter(c, LM_COORD_RETRY_MIN, LM_SEC);
		return;
	}
	for (unsigned i = 0; i < c->fails && gap < LM_COORD_RETRY_MAX; i++)
		gap *= 2;
	if (gap > LM_COORD_RETRY_MAX)
		gap = LM_COORD_RETRY_MAX;
	if (c->fails < 16)
		c->fails++;
	at = (client_linked(c) ? now : c->started) + jitter(c, gap / 2, gap);
	c->retry_at = at > now + LM_COORD_RETRY_MIN / 2 ? at : now + LM_COORD_RETRY_MIN / 2;
}

static void drop_link(struct lm_coord_client *c, lm_time now, const char *why)
{
	if (!client_linked(c))
		c->n.failures++;
	lm_log(c->log, client_linked(c) ? LM_LOG_WARN : LM_LOG_INFO, "coordinator %s: %s", c->name,
	       why);
	arm_retry(c, now);
	lm_noise_wipe(&c->ns);
	lm_pipe_free(&c->pipe);
	c->pinged = LM_TIME_NEVER;
	client_set_state(c, LM_COORD_WAITING, why);
}

void client_fail(struct lm_coord_client *c, lm_time now, const char *why)
{
	if (c->state == LM_COORD_WAITING)
		return;
	c->ops->close(c->user);
	drop_link(c, now, why);
}

void lm_coord_client_closed(struct lm_coord_client *c, lm_time now, const char *why)
{
	if (c->state != LM_COORD_WAITING)
		drop_link(c, now, why ? why : "connection closed");
}

static void start_try(struct lm_coord_client *c, lm_time now)
{
	c->started = now;
	c->deadline = now + LM_COORD_HANDSHAKE_TIMEOUT;
	c->n.tries++;
	client_set_state(c, LM_COORD_CONNECTING, NULL);
	c->ops->connect(c->user);
}

void lm_coord_client_connected(struct lm_coord_client *c, lm_time now)
{
	uint8_t prologue[LM_COORD_PROLOGUE_MAX], e[32];
	uint8_t msg[LM_NOISE_MSG1_OVERHEAD + LM_CERT_MAX];
	size_t n = lm_coord_prologue(c->mesh, prologue);
	int rc;

	if (c->state != LM_COORD_CONNECTING)
		return;
	c->n.connects++;
	c->deadline = now + LM_COORD_HANDSHAKE_TIMEOUT;
	client_set_state(c, LM_COORD_HANDSHAKE, NULL);
	c->ops->random(c->user, e, sizeof(e));
	lm_noise_init(&c->ns, true, c->id->x_secret, c->id->x_public, e, c->server_x, NULL,
		      prologue, n);
	explicit_bzero(e, sizeof(e));
	rc = lm_noise_write(&c->ns, c->cert, c->cert_len, msg);
	if (rc == 0)
		rc = lm_pipe_put_raw(&c->pipe, msg, LM_NOISE_MSG1_OVERHEAD + c->cert_len);
	if (rc < 0)
		client_fail(c, now, "cannot start the handshake");
	else
		c->ops->output(c->user);
}

static bool handshake(struct lm_coord_client *c, lm_time now, const uint8_t *rec, size_t len)
{
	uint8_t payload[MSG2_PAYLOAD], epoch[LM_EPOCH_LEN];
	struct lm_noise_keys keys;
	struct lm_reader r;

	if (len != MSG2_LEN || lm_noise_read(&c->ns, rec, len, payload) < 0 ||
	    lm_noise_split(&c->ns, &keys) < 0) {
		c->n.malformed++;
		client_fail(c, now,
			    "handshake refused: is the configured key the coordinator's, "
			    "and is it of the same mesh?");
		return false;
	}
	lm_pipe_seal(&c->pipe, &keys);
	lm_pipe_next(&c->pipe);
	r = lm_reader(payload, sizeof(payload));
	lm_r_copy(&r, epoch, sizeof(epoch));
	client_start_sync(c, now, epoch, lm_r_u64(&r));
	return client_linked(c);
}

static bool input_record(struct lm_coord_client *c, lm_time now)
{
	uint8_t *rec;
	size_t len;

	if (lm_pipe_record(&c->pipe, &rec, &len) < 0) {
		c->n.malformed++;
		client_fail(c, now, "a record is not authentic");
		return false;
	}
	c->last_in = now;
	c->pinged = LM_TIME_NEVER;
	if (c->state == LM_COORD_HANDSHAKE)
		return handshake(c, now, rec, len);
	if (!client_message(c, now, rec, len))
		return false;
	lm_pipe_next(&c->pipe);
	return true;
}

void lm_coord_client_input(struct lm_coord_client *c, lm_time now, const uint8_t *data, size_t len)
{
	c->n.bytes_in += len;
	c->busy = true;
	while (c->state == LM_COORD_HANDSHAKE || client_linked(c)) {
		size_t max = c->state == LM_COORD_HANDSHAKE ? MSG2_LEN : LM_COORD_RECORD_MAX;
		int rc = lm_pipe_gather(&c->pipe, &data, &len, max);

		if (rc == -EMSGSIZE)
			c->n.malformed++;
		if (rc < 0)
			client_fail(c, now, rc == -ENOMEM ? "no memory" : "a record is too long");
		if (rc <= 0 || !input_record(c, now))
			break;
	}
	/* Pushed changes of one read are one step. */
	if (c->state == LM_COORD_UP && c->seen != c->revision) {
		c->revision = c->seen;
		c->ops->synced(c->user, c->epoch, c->revision);
	}
	c->busy = false;
	if (client_linked(c) && c->pipe.out_len > 0) /* signals that callbacks asked for */
		c->ops->output(c->user);
	client_publish_due(c, now);
	client_lists_due(c, now);
}

const uint8_t *lm_coord_client_output(const struct lm_coord_client *c, size_t *len)
{
	*len = c->pipe.out_len;
	return c->pipe.out_len > 0 ? c->pipe.out + c->pipe.out_head : NULL;
}

void lm_coord_client_sent(struct lm_coord_client *c, size_t n)
{
	c->n.bytes_out += n;
	lm_pipe_sent(&c->pipe, n);
}

static lm_time min_time(lm_time a, lm_time b)
{
	return a < b ? a : b;
}

lm_time lm_coord_client_next(const struct lm_coord_client *c)
{
	switch (c->state) {
	case LM_COORD_WAITING:
		return c->retry_at;
	case LM_COORD_CONNECTING:
	case LM_COORD_HANDSHAKE:
		return c->deadline;
	default:
		return min_time(c->pinged != LM_TIME_NEVER ? c->pinged + LM_COORD_PING_TIMEOUT
							   : c->last_in + LM_COORD_PING_EVERY,
				c->ann_len > 0 && !c->stored ? c->publish_at : LM_TIME_NEVER);
	}
}

static void tick_linked(struct lm_coord_client *c, lm_time now)
{
	if (c->pinged != LM_TIME_NEVER && now - c->pinged >= LM_COORD_PING_TIMEOUT) {
		c->n.timeouts++;
		client_fail(c, now, "does not answer");
		return;
	}
	if (c->pinged == LM_TIME_NEVER && now - c->last_in >= LM_COORD_PING_EVERY) {
		c->pinged = now;
		client_put(
		    c, now,
		    &(struct lm_coord_msg){.type = LM_COORD_PING, .number = ++c->ping_token});
	}
	client_publish_due(c, now);
}

void lm_coord_client_tick(struct lm_coord_client *c, lm_time now)
{
	if (now < lm_coord_client_next(c))
		return;
	switch (c->state) {
	case LM_COORD_WAITING:
		start_try(c, now);
		return;
	case LM_COORD_CONNECTING:
	case LM_COORD_HANDSHAKE:
		c->n.timeouts++;
		client_fail(c, now,
			    c->state == LM_COORD_CONNECTING ? "cannot be reached"
							    : "does not answer the handshake");
		return;
	default:
		tick_linked(c, now);
	}
}

enum lm_coord_state lm_coord_client_state(const struct lm_coord_client *c)
{
	return c->state;
}

const struct lm_coord_client_counters *lm_coord_client_counters(const struct lm_coord_client *c)
{
	return &c->n;
}
