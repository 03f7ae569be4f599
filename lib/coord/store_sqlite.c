/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A coordinator's store in one SQLite file. Write-ahead log with synchronous=FULL:
 * a commit that returned is on the disk, one that did not is absent as a whole,
 * whenever the process or the machine stops. Locked for this process.
 */
#include <errno.h>
#include <sodium.h>
#include <sqlite3.h>
#include <stdio.h>
#include <stdlib.h>

#include <lanemesh/coord.h>

#define APPLICATION_ID 0x6c6d6364 /* "lmcd" */
#define SCHEMA_VERSION 1

enum statement { ST_PUT, ST_REVISION, ST_LOAD, ST_META_GET, ST_META_PUT, ST_FORGET, ST_COUNT };

static const char *const sql_of[ST_COUNT] = {
    [ST_PUT] = ("INSERT OR REPLACE INTO item (list, key, kind, revision, cert, ann) "
		"VALUES (?1, ?2, ?3, ?4, ?5, ?6)"),
    [ST_REVISION] = "UPDATE meta SET value = ?1 WHERE name = 'revision' AND value < ?1",
    [ST_LOAD] = "SELECT kind, key, revision, cert, ann FROM item ORDER BY revision",
    [ST_META_GET] = "SELECT value FROM meta WHERE name = ?1",
    [ST_META_PUT] = "INSERT OR REPLACE INTO meta (name, value) VALUES (?1, ?2)",
    [ST_FORGET] = "DELETE FROM item WHERE kind = 2", /* LM_COORD_ITEM_GONE */
};

struct store {
	sqlite3 *db;
	char *path;
	sqlite3_stmt *st[ST_COUNT];
};

/* ---------------------------------------------------------------- errors -- */

static int code_of(const struct store *s)
{
	switch (sqlite3_errcode(s->db) & 0xff) {
	case SQLITE_FULL:
		return ENOSPC;
	case SQLITE_READONLY:
		return EROFS;
	case SQLITE_NOMEM:
		return ENOMEM;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return EBUSY;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return EUCLEAN;
	default:
		return EIO;
	}
}

static const char *cure_of(int code)
{
	switch (code) {
	case ENOSPC:
		return "; free some space";
	case EROFS:
	case EACCES:
		return "; the file and its folder must be writable for this user";
	case EBUSY:
		return "; is another lanemesh-coord using it?";
	case EUCLEAN:
		return "; move the file away and start again: nodes register anew by themselves";
	default:
		return "";
	}
}

static int db_error(const struct store *s, struct lm_error *err)
{
	int code = code_of(s);

	return lm_error_set(err, code, "%s: %s%s", s->path, sqlite3_errmsg(s->db), cure_of(code));
}

static int unclean(const struct store *s, struct lm_error *err, const char *what)
{
	return lm_error_set(err, EUCLEAN, "%s: %s%s", s->path, what, cure_of(EUCLEAN));
}

static bool run(struct store *s, const char *sql)
{
	return sqlite3_exec(s->db, sql, NULL, NULL, NULL) == SQLITE_OK;
}

/* ------------------------------------------------------------------ meta -- */

/* Value of a query with one row and column; def when there is none. */
static int query_int(struct store *s, const char *sql, int def)
{
	sqlite3_stmt *st = NULL;

	if (sqlite3_prepare_v2(s->db, sql, -1, &st, NULL) != SQLITE_OK)
		return def;
	if (sqlite3_step(st) == SQLITE_ROW)
		def = sqlite3_column_int(st, 0);
	sqlite3_finalize(st);
	return def;
}

static bool put_epoch(struct store *s, const uint8_t epoch[LM_EPOCH_LEN])
{
	sqlite3_stmt *st = s->st[ST_META_PUT];
	bool ok;

	sqlite3_bind_text(st, 1, "epoch", -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 2, epoch, LM_EPOCH_LEN, SQLITE_STATIC);
	ok = sqlite3_step(st) == SQLITE_DONE;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return ok;
}

/* --------------------------------------------------------------- opening -- */

static int create(struct store *s, struct lm_error *err)
{
	uint8_t epoch[LM_EPOCH_LEN];
	char sql[200], hex[2 * LM_EPOCH_LEN + 1];

	randombytes_buf(epoch, sizeof(epoch));
	snprintf(sql, sizeof(sql),
		 "INSERT INTO meta VALUES ('epoch', x'%s'), ('revision', 0);"
		 "PRAGMA application_id = %d; PRAGMA user_version = %d; COMMIT",
		 lm_hex(epoch, sizeof(epoch), hex), APPLICATION_ID, SCHEMA_VERSION);
	if (!run(s, "BEGIN IMMEDIATE;"
		    "CREATE TABLE meta (name TEXT PRIMARY KEY, value NOT NULL) WITHOUT ROWID;"
		    "CREATE TABLE item (list INTEGER NOT NULL, key BLOB NOT NULL, "
		    "kind INTEGER NOT NULL, revision INTEGER NOT NULL, cert BLOB NOT NULL, "
		    "ann BLOB NOT NULL, PRIMARY KEY (list, key)) WITHOUT ROWID;") ||
	    !run(s, sql))
		return db_error(s, err);
	return 0;
}

static int check(struct store *s, struct lm_error *err)
{
	sqlite3_stmt *st = NULL;
	const char *text = NULL;
	bool ok;

	if (query_int(s, "PRAGMA application_id", 0) != APPLICATION_ID)
		return unclean(s, err, "is not a coordinator's store");
	if (query_int(s, "PRAGMA user_version", 0) != SCHEMA_VERSION)
		return unclean(s, err, "was made by another version of lanemesh-coord");
	if (sqlite3_prepare_v2(s->db, "PRAGMA integrity_check(1)", -1, &st, NULL) != SQLITE_OK)
		return db_error(s, err);
	if (sqlite3_step(st) == SQLITE_ROW)
		text = (const char *)sqlite3_column_text(st, 0);
	ok = text != NULL && strcmp(text, "ok") == 0;
	sqlite3_finalize(st);
	return ok ? 0 : unclean(s, err, "is damaged");
}

static int prepare(struct store *s, struct lm_error *err)
{
	for (int i = 0; i < ST_COUNT; i++)
		if (sqlite3_prepare_v3(s->db, sql_of[i], -1, SQLITE_PREPARE_PERSISTENT, &s->st[i],
				       NULL) != SQLITE_OK)
			return db_error(s, err);
	return 0;
}

static int set_up(struct store *s, struct lm_error *err)
{
	int tables, rc;

	/* Exclusive: a second process is refused, and no shared-memory file is needed. */
	if (!run(s, "PRAGMA locking_mode = EXCLUSIVE") || !run(s, "PRAGMA journal_mode = WAL") ||
	    !run(s, "PRAGMA synchronous = FULL") || !run(s, "BEGIN IMMEDIATE; ROLLBACK"))
		return db_error(s, err);
	tables = query_int(s, "SELECT count(*) FROM sqlite_master", -1);
	if (tables < 0)
		return db_error(s, err);
	rc = tables == 0 ? create(s, err) : 0;
	if (rc == 0)
		rc = check(s, err);
	return rc < 0 ? rc : prepare(s, err);
}

/* --------------------------------------------------------------- reading -- */

static bool get_meta(struct store *s, uint8_t epoch[LM_EPOCH_LEN], uint64_t *revision)
{
	sqlite3_stmt *st = s->st[ST_META_GET];
	bool ok;

	sqlite3_bind_text(st, 1, "epoch", -1, SQLITE_STATIC);
	ok = sqlite3_step(st) == SQLITE_ROW && sqlite3_column_bytes(st, 0) == LM_EPOCH_LEN;
	if (ok)
		memcpy(epoch, sqlite3_column_blob(st, 0), LM_EPOCH_LEN);
	sqlite3_reset(st);
	sqlite3_bind_text(st, 1, "revision", -1, SQLITE_STATIC);
	ok = ok && sqlite3_step(st) == SQLITE_ROW && sqlite3_column_int64(st, 0) >= 0;
	if (ok)
		*revision = (uint64_t)sqlite3_column_int64(st, 0);
	sqlite3_reset(st);
	return ok;
}

static bool row(sqlite3_stmt *st, struct lm_coord_item *it)
{
	if (sqlite3_column_bytes(st, 1) != LM_KEY_LEN || sqlite3_column_int64(st, 2) <= 0)
		return false;
	it->kind = (uint8_t)sqlite3_column_int(st, 0);
	memcpy(it->key, sqlite3_column_blob(st, 1), LM_KEY_LEN);
	it->revision = (uint64_t)sqlite3_column_int64(st, 2);
	it->cert = sqlite3_column_blob(st, 3);
	it->cert_len = (size_t)sqlite3_column_bytes(st, 3);
	it->ann = sqlite3_column_blob(st, 4);
	it->ann_len = (size_t)sqlite3_column_bytes(st, 4);
	return it->cert_len <= LM_CERT_MAX && it->ann_len <= LM_REVOCATION_MAX;
}

static int store_load(void *self, int (*each)(void *user, const struct lm_coord_item *it),
		      void *user, uint8_t epoch[LM_EPOCH_LEN], uint64_t *revision,
		      struct lm_error *err)
{
	struct store *s = self;
	sqlite3_stmt *st = s->st[ST_LOAD];
	struct lm_coord_item it;
	int step, rc = 0;

	if (!get_meta(s, epoch, revision))
		return unclean(s, err, "lacks its epoch or revision");
	while (rc == 0 && (step = sqlite3_step(st)) != SQLITE_DONE) {
		if (step != SQLITE_ROW)
			rc = db_error(s, err);
		else if (!row(st, &it))
			rc = unclean(s, err, "holds a record of an impossible shape");
		else if ((rc = each(user, &it)) < 0)
			lm_error_set(err, -rc, "%s: no memory for its records", s->path);
	}
	sqlite3_reset(st);
	return rc;
}

/* --------------------------------------------------------------- writing -- */

static bool put(struct store *s, const struct lm_coord_item *it)
{
	sqlite3_stmt *st = s->st[ST_PUT];
	bool ok;

	sqlite3_bind_int(st, 1, it->kind == LM_COORD_ITEM_REVOCATION);
	sqlite3_bind_blob(st, 2, it->key, LM_KEY_LEN, SQLITE_STATIC);
	sqlite3_bind_int(st, 3, it->kind);
	sqlite3_bind_int64(st, 4, (sqlite3_int64)it->revision);
	/* a NULL pointer would store NULL, not an empty blob */
	sqlite3_bind_blob(st, 5, it->cert_len ? it->cert : (const uint8_t *)"", (int)it->cert_len,
			  SQLITE_STATIC);
	sqlite3_bind_blob(st, 6, it->ann_len ? it->ann : (const uint8_t *)"", (int)it->ann_len,
			  SQLITE_STATIC);
	ok = sqlite3_step(st) == SQLITE_DONE;
	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return ok;
}

static bool put_revision(struct store *s, uint64_t revision)
{
	sqlite3_stmt *st = s->st[ST_REVISION];
	bool ok;

	sqlite3_bind_int64(st, 1, (sqlite3_int64)revision);
	ok = sqlite3_step(st) == SQLITE_DONE;
	sqlite3_reset(st);
	return ok;
}

/* The error is read before the rollback, which would overwrite it. */
static int undo(struct store *s, struct lm_error *err)
{
	int rc = db_error(s, err);

	if (sqlite3_get_autocommit(s->db) == 0)
		run(s, "ROLLBACK");
	return rc;
}

static int store_commit(void *self, const struct lm_coord_item *items, size_t n,
			struct lm_error *err)
{
	struct store *s = self;
	uint64_t highest = 0;

	if (!run(s, "BEGIN IMMEDIATE"))
		return undo(s, err);
	for (size_t i = 0; i < n; i++) {
		if (!put(s, &items[i]))
			return undo(s, err);
		if (items[i].revision > highest)
			highest = items[i].revision;
	}
	if (!put_revision(s, highest) || !run(s, "COMMIT"))
		return undo(s, err);
	return 0;
}

static int store_new_epoch(void *self, const uint8_t epoch[LM_EPOCH_LEN], struct lm_error *err)
{
	struct store *s = self;
	sqlite3_stmt *st = s->st[ST_FORGET];
	bool ok;

	if (!run(s, "BEGIN IMMEDIATE"))
		return undo(s, err);
	ok = sqlite3_step(st) == SQLITE_DONE;
	sqlite3_reset(st);
	if (!ok || !put_epoch(s, epoch) || !run(s, "COMMIT"))
		return undo(s, err);
	return 0;
}

/* --------------------------------------------------------------- opening -- */

static void store_free(struct store *s)
{
	for (int i = 0; i < ST_COUNT; i++)
		sqlite3_finalize(s->st[i]);
	sqlite3_close(s->db);
	free(s->path);
	free(s);
}

int lm_coord_store_sqlite_open(const char *path, struct lm_coord_store *out, struct lm_error *err)
{
	int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX;
	struct store *s = calloc(1, sizeof(*s));
	int rc;

	if (s == NULL || (s->path = strdup(path)) == NULL) {
		free(s);
		return lm_error_set(err, ENOMEM, "%s: no memory", path);
	}
	if (sodium_init() < 0 || sqlite3_open_v2(path, &s->db, flags, NULL) != SQLITE_OK)
		rc = s->db ? db_error(s, err) : lm_error_set(err, ENOMEM, "%s: no memory", path);
	else
		rc = set_up(s, err);
	if (rc < 0) {
		store_free(s);
		return rc;
	}
	*out = (struct lm_coord_store){
	    .self = s, .load = store_load, .commit = store_commit, .new_epoch = store_new_epoch};
	return 0;
}

void lm_coord_store_sqlite_close(struct lm_coord_store *st)
{
	if (st->self != NULL)
		store_free(st->self);
	memset(st, 0, sizeof(*st));
}
