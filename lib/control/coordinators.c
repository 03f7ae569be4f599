/* SPDX-License-Identifier: BSD-3-Clause */
/* Links to the coordinators: what they say is judged by the mesh, then kept. */
#include "internal.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

static void on_now(void *user, struct lm_now *out)
{
	*out = lm_control_now(((struct lm_coord_slot *)user)->c);
}

static void on_record(void *user, const uint8_t *cert, size_t cert_len, const uint8_t *ann,
		      size_t ann_len)
{
	struct lm_coord_slot *s = user;
	struct lm_control *c = s->c;
	enum lm_verdict v =
	    lm_mesh_record(c->mesh, lm_control_now(c), cert, cert_len, ann, ann_len);
	int rc = 0;

	/* Clocks get set: what only ours speaks against is listed like the others, or the node
	 * would count as one that has left. */
	if (v == LM_TRUSTED || v == LM_EXPIRED || v == LM_NOT_YET_VALID)
		rc = lm_directory_put(c->directory, s->source, cert, cert_len, ann, ann_len);
	if (v == LM_TRUSTED && rc != 0)
		lm_log(&c->log, LM_LOG_WARN, "a record is not kept for the next start: full");
	lm_control_rearm(c);
}

static void gone(void *user, const uint8_t node[LM_KEY_LEN])
{
	struct lm_control *c = user;

	lm_mesh_record_removed(c->mesh, lm_control_now(c), node);
	lm_control_rearm(c);
}

static void on_removed(void *user, const uint8_t node[LM_KEY_LEN])
{
	struct lm_coord_slot *s = user;

	if (lm_directory_unlist(s->c->directory, s->source, node))
		gone(s->c, node);
}

void lm_control_revocation(struct lm_control *c, const uint8_t *data, size_t len, const char *from)
{
	/* When it is news, the mesh's operation stores it and passes it on. */
	enum lm_verdict v = lm_mesh_revocation(c->mesh, lm_control_now(c), data, len);

	if (v != LM_TRUSTED && v != LM_OLDER)
		lm_log(&c->log, LM_LOG_WARN, "revocation list from %s refused: %s", from,
		       lm_verdict_text(v));
	lm_control_rearm(c);
}

static void on_revocation(void *user, const uint8_t *data, size_t len)
{
	struct lm_coord_slot *s = user;
	char text[LM_ENDPOINT_STRLEN];

	lm_control_revocation(s->c, data, len, lm_endpoint_format(&s->cfg.address, text));
}

static void on_resync(void *user)
{
	struct lm_coord_slot *s = user;

	lm_directory_resync(s->c->directory, s->source);
}

static void on_synced(void *user, const uint8_t epoch[LM_EPOCH_LEN], uint64_t revision)
{
	struct lm_coord_slot *s = user;

	lm_directory_synced(s->c->directory, s->source, epoch, revision, gone, s->c);
}

static void on_signalled(void *user, const uint8_t node[LM_KEY_LEN], uint64_t token)
{
	struct lm_coord_slot *s = user;
	struct lm_control *c = s->c;

	(void)token;
	lm_mesh_signalled(c->mesh, lm_control_now(c), (unsigned)(s - c->coords), node);
	lm_control_rearm(c);
}

static void on_state(void *user, enum lm_coord_state state, const char *why)
{
	struct lm_coord_slot *s = user;
	struct lm_control *c = s->c;
	char text[LM_ENDPOINT_STRLEN];

	(void)lm_endpoint_format(&s->cfg.address, text);
	if (why != NULL) {
		/* The same reason again and again is not news. */
		lm_log(&c->log, strcmp(s->why, why) == 0 ? LM_LOG_DEBUG : LM_LOG_WARN,
		       "coordinator %s: %s", text, why);
		(void)snprintf(s->why, sizeof(s->why), "%s", why);
	} else if (state == LM_COORD_UP) {
		lm_log(&c->log, LM_LOG_INFO, "coordinator %s: in step, %u nodes known", text,
		       lm_directory_count(c->directory));
		s->why[0] = '\0';
	}
}

static const struct lm_coord_link_ops link_ops = {
    .now = on_now,
    .record = on_record,
    .removed = on_removed,
    .revocation = on_revocation,
    .resync = on_resync,
    .synced = on_synced,
    .signalled = on_signalled,
    .state = on_state,
};

/* A list or announcement that the client cannot take is one that it will not pass on. */
static void check_handed(struct lm_coord_slot *s, int rc)
{
	if (rc != 0)
		lm_log(&s->c->log, LM_LOG_ERROR,
		       "coordinator link does not take a record of ours: %s", strerror(-rc));
	lm_coord_link_kick(s->link);
}

static void hand_revocation(void *user, const uint8_t *data, size_t len)
{
	struct lm_coord_slot *s = user;

	check_handed(s, lm_coord_client_revocation(lm_coord_link_client(s->link),
						   lm_control_now(s->c).mono, data, len));
}

static void hand_announcement(struct lm_coord_slot *s, const uint8_t *ann, size_t len)
{
	check_handed(s, lm_coord_client_publish(lm_coord_link_client(s->link),
						lm_control_now(s->c).mono, ann, len));
}

static int start_one(struct lm_control *c, struct lm_coord_slot *s, struct lm_error *err)
{
	struct lm_coord_client_config cfg = {
	    .id = c->id, .cert = c->cert, .cert_len = c->cert_len, .log = &c->log};
	char text[LM_ENDPOINT_STRLEN];
	const uint8_t *ann;
	size_t len;

	s->source = lm_directory_source(c->directory, s->cfg.key);
	if (s->source < 0)
		return lm_error_set(err, -s->source, "too many coordinators");
	cfg.name = lm_endpoint_format(&s->cfg.address, text);
	memcpy(cfg.mesh, c->authorities.mesh, sizeof(cfg.mesh));
	memcpy(cfg.server_key, s->cfg.key, sizeof(cfg.server_key));
	lm_directory_position(c->directory, s->source, cfg.epoch, &cfg.revision);
	s->link = lm_coord_link_new(&c->loop, &s->cfg.address, &cfg, &link_ops, s, err);
	if (s->link == NULL)
		return -EINVAL;
	lm_directory_each_revocation(c->directory, hand_revocation, s);
	ann = lm_mesh_own_announcement(c->mesh, &len);
	if (ann != NULL && c->announce_due == 0)
		hand_announcement(s, ann, len);
	return 0;
}

static void stop_slots(struct lm_coord_slot *slots)
{
	for (unsigned i = 0; slots != NULL && i < LM_CONFIG_COORDS_MAX; i++)
		if (slots[i].link != NULL)
			lm_coord_link_close(slots[i].link);
	free(slots);
}

static void keep_sources(struct lm_control *c, const struct lm_config *cfg)
{
	uint8_t keys[LM_CONFIG_COORDS_MAX][LM_KEY_LEN];

	for (unsigned i = 0; i < cfg->n_coordinators; i++)
		memcpy(keys[i], cfg->coordinators[i].key, LM_KEY_LEN);
	lm_directory_keep_sources(c->directory, keys, cfg->n_coordinators);
}

int lm_coords_start(struct lm_control *c, const struct lm_config *cfg, struct lm_error *err)
{
	struct lm_coord_slot *slots = calloc(LM_CONFIG_COORDS_MAX, sizeof(*slots));
	int rc = 0;

	if (slots == NULL)
		return lm_error_set(err, ENOMEM, "no memory for coordinator links");
	/* The directory has room for as many again: the old ones are forgotten last. */
	keep_sources(c, c->cfg);
	for (unsigned i = 0; rc == 0 && i < cfg->n_coordinators; i++) {
		slots[i].c = c;
		slots[i].cfg = cfg->coordinators[i];
		rc = start_one(c, &slots[i], err);
	}
	if (rc != 0) {
		stop_slots(slots);
		keep_sources(c, c->cfg);
		return rc;
	}
	stop_slots(c->coords);
	c->coords = slots;
	keep_sources(c, cfg);
	return 0;
}

void lm_coords_stop(struct lm_control *c)
{
	stop_slots(c->coords);
	c->coords = NULL;
}

void lm_coords_publish(struct lm_control *c, const uint8_t *ann, size_t len)
{
	for (unsigned i = 0; c->coords != NULL && i < LM_CONFIG_COORDS_MAX; i++)
		if (c->coords[i].link != NULL)
			hand_announcement(&c->coords[i], ann, len);
}

void lm_coords_revocation(struct lm_control *c, const uint8_t *data, size_t len)
{
	for (unsigned i = 0; c->coords != NULL && i < LM_CONFIG_COORDS_MAX; i++)
		if (c->coords[i].link != NULL)
			hand_revocation(&c->coords[i], data, len);
}

void lm_coords_signal(struct lm_control *c, const uint8_t node[LM_KEY_LEN])
{
	for (unsigned i = 0; c->coords != NULL && i < LM_CONFIG_COORDS_MAX; i++) {
		struct lm_coord_slot *s = &c->coords[i];

		/* Not linked, or no room: the mesh asks again. */
		if (s->link != NULL &&
		    lm_coord_client_signal(lm_coord_link_client(s->link), node, 0) == 0)
			lm_coord_link_kick(s->link);
	}
}
