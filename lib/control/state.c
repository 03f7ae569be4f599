/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What outlives the process, in state_dir: the last directory with the revocation
 * lists, and the number of our last announcement. Keys and send counters are
 * never stored.
 *
 * A disk may take long to sync, or hang. So files are written by libuv's threads, one write of each
 * at a time; what has changed meanwhile is written after it.
 */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#define SEQUENCE_FILE_MAX 64
#define SEQUENCE_MAX	  (UINT64_MAX / 2)

static void path_of(const struct lm_control *c, const char *name, char out[LM_CONFIG_PATH_MAX + 32])
{
	(void)snprintf(out, LM_CONFIG_PATH_MAX + 32, "%s/%s", c->cfg->state_dir, name);
}

static int make_dir(const char *dir, struct lm_error *err)
{
	char part[LM_CONFIG_PATH_MAX];
	size_t len = strlen(dir);
	struct stat st;

	if (len >= sizeof(part))
		return lm_error_set(err, ENAMETOOLONG, "%s: path is too long", dir);
	for (size_t i = 1; i <= len; i++) {
		if (dir[i] != '/' && dir[i] != '\0')
			continue;
		memcpy(part, dir, i);
		part[i] = '\0';
		if (mkdir(part, 0755) != 0 && errno != EEXIST)
			return lm_error_set(err, errno, "%s: cannot create the state directory: %s",
					    part, strerror(errno));
	}
	if (stat(dir, &st) != 0 || !S_ISDIR(st.st_mode))
		return lm_error_set(err, ENOTDIR,
				    "%s: not a directory; state_dir must name one, or nothing yet",
				    dir);
	return 0;
}

int lm_state_load(struct lm_control *c, struct lm_error *err)
{
	char path[LM_CONFIG_PATH_MAX + 32];
	struct lm_error why;
	int rc = make_dir(c->cfg->state_dir, err);

	if (rc != 0)
		return rc;
	c->directory = lm_directory_new(c->cfg->max_peers);
	if (c->directory == NULL)
		return lm_error_set(err, ENOMEM, "no memory for the directory");
	path_of(c, "directory", path);
	rc = lm_directory_load(c->directory, path, &why);
	if (rc != 0 && rc != -ENOENT)
		/* Coordinators and peers bring it back; starting without it is better than not
		 * starting. */
		lm_log(&c->log, LM_LOG_WARN, "%s; starting with an empty directory", why.text);
	c->directory_saved = lm_directory_version(c->directory);
	return 0;
}

/* A file that is being written. Its thread uses this alone. */
struct lm_state_write {
	uv_work_t req;
	struct lm_control *c;
	struct lm_state_write **slot; /* where it is known */
	uint64_t version;	      /* of what is written */
	uint8_t *data;
	size_t len;
	int rc;
	struct lm_error err;
	char path[LM_CONFIG_PATH_MAX + 32];
};

/* A full or dead disk is said once, not every second. Forwarding goes on, and the next save tries
 * again. */
static void note(struct lm_control *c, int rc, const char *what, const struct lm_error *why)
{
	if (rc != 0 && !c->state_failing)
		lm_log(&c->log, LM_LOG_ERROR, "%s: %s; tried again until it succeeds", what,
		       why->text);
	else if (rc == 0 && c->state_failing)
		lm_log(&c->log, LM_LOG_INFO, "the state directory can be written again");
	c->state_failing = rc != 0;
}

static void write_file(uv_work_t *req)
{
	struct lm_state_write *w = LM_CONTAINER_OF(req, struct lm_state_write, req);

	w->rc = lm_file_replace(w->path, w->data, w->len, 0644, &w->err);
}

static void forget(struct lm_state_write *w)
{
	*w->slot = NULL;
	free(w->data);
	free(w);
}

/* Takes over data. */
static int begin(struct lm_control *c, struct lm_state_write **slot, const char *name,
		 uint64_t version, uint8_t *data, size_t len, uv_after_work_cb done)
{
	struct lm_state_write *w = calloc(1, sizeof(*w));

	if (w == NULL) {
		free(data);
		return -ENOMEM;
	}
	*w = (struct lm_state_write){
	    .c = c, .slot = slot, .version = version, .data = data, .len = len};
	path_of(c, name, w->path);
	*slot = w;
	if (uv_queue_work(&c->loop, &w->req, write_file, done) != 0) {
		forget(w);
		return -ENOMEM;
	}
	return 0;
}

static void on_directory_saved(uv_work_t *req, int status)
{
	struct lm_state_write *w = LM_CONTAINER_OF(req, struct lm_state_write, req);
	struct lm_control *c = w->c;
	bool again = c->save_again;

	if (status == 0) {
		note(c, w->rc, "directory not saved", &w->err);
		if (w->rc == 0)
			c->directory_saved = w->version;
	}
	forget(w);
	c->save_again = false;
	if (again)
		lm_state_save(c);
}

void lm_state_save(struct lm_control *c)
{
	uint64_t version = lm_directory_version(c->directory);
	struct lm_error why;
	uint8_t *data;
	size_t len;

	if (version == c->directory_saved || c->directory_write != NULL)
		return;
	if (lm_directory_encode(c->directory, &data, &len) != 0 ||
	    begin(c, &c->directory_write, "directory", version, data, len, on_directory_saved) != 0)
		note(c, lm_error_set(&why, ENOMEM, "no memory"), "directory not saved", &why);
}

/* Whoever is revoked must be so also after a crash (FAULTS rows 11, 26). */
void lm_state_save_now(struct lm_control *c)
{
	c->save_again = c->directory_write != NULL;
	lm_state_save(c);
}

uint64_t lm_state_sequence(struct lm_control *c)
{
	char path[LM_CONFIG_PATH_MAX + 32];
	struct lm_error why;
	uint8_t *data;
	size_t len;
	uint64_t value;
	char *end;

	path_of(c, "announcement-sequence", path);
	if (lm_file_read(path, SEQUENCE_FILE_MAX, &data, &len, &why) != 0)
		return 0;
	errno = 0;
	value = strtoull((char *)data, &end, 10);
	/* strtoull takes signs and spaces, and "-1" for the largest number. What damage made huge
	 * would leave nothing to go on with. */
	if (errno != 0 || data[0] < '0' || data[0] > '9' || *end != '\n' ||
	    end + 1 != (char *)data + len || value > SEQUENCE_MAX) {
		/* The coordinators return our last announcement, and the mesh goes on from it. */
		lm_log(&c->log, LM_LOG_WARN, "%s: not a number; starting over", path);
		value = 0;
	}
	free(data);
	return value;
}

void lm_state_save_last(struct lm_control *c)
{
	char path[LM_CONFIG_PATH_MAX + 32];
	struct lm_error why;

	if (lm_directory_version(c->directory) == c->directory_saved || c->state_failing)
		return;
	path_of(c, "directory", path);
	if (lm_directory_save(c->directory, path, &why) != 0)
		lm_log(&c->log, LM_LOG_ERROR, "directory not saved: %s", why.text);
}

static void on_sequence_saved(uv_work_t *req, int status)
{
	struct lm_state_write *w = LM_CONTAINER_OF(req, struct lm_state_write, req);
	struct lm_control *c = w->c;
	uint64_t stored = w->version;
	bool ok = status == 0 && w->rc == 0;

	if (status == 0)
		note(c, w->rc, "announcement held back", &w->err);
	forget(w);
	if (ok)
		lm_control_announce_stored(c, stored);
}

void lm_state_sequence_set(struct lm_control *c, uint64_t sequence)
{
	struct lm_error why;
	char text[24];
	int n = snprintf(text, sizeof(text), "%" PRIu64 "\n", sequence);
	uint8_t *data;

	if (c->sequence_write != NULL)
		return;
	data = malloc((size_t)n);
	if (data != NULL)
		memcpy(data, text, (size_t)n);
	if (data == NULL || begin(c, &c->sequence_write, "announcement-sequence", sequence, data,
				  (size_t)n, on_sequence_saved) != 0)
		note(c, lm_error_set(&why, ENOMEM, "no memory"), "announcement held back", &why);
}
