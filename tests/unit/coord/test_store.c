/* SPDX-License-Identifier: BSD-3-Clause */
/* The SQLite store: what it keeps, kill -9, a full disk, foreign and damaged files. */
#include <lanemesh/coord.h>

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#define ITEMS 24

struct dir {
	char dir[64], path[96];
};

static void dir_make(struct dir *d)
{
	strcpy(d->dir, "/tmp/lmt-coord-XXXXXX");
	assert_non_null(mkdtemp(d->dir));
	snprintf(d->path, sizeof(d->path), "%s/store.db", d->dir);
}

static void dir_remove(struct dir *d)
{
	static const char *const names[] = {"store.db", "store.db-wal", "store.db-journal",
					    "store.db-shm", "filler"};
	char path[96];

	for (size_t i = 0; i < LM_ARRAY_SIZE(names); i++) {
		snprintf(path, sizeof(path), "%s/%s", d->dir, names[i]);
		unlink(path);
	}
	rmdir(d->dir);
}

/* ITEMS items, each of which tells by its bytes which batch it is of. */
struct batch {
	struct lm_coord_item items[ITEMS];
	uint8_t bytes[ITEMS][LM_CERT_MAX + LM_ANNOUNCE_MAX];
};

static void batch_make(struct batch *b, uint32_t number)
{
	memset(b, 0, sizeof(*b));
	for (unsigned i = 0; i < ITEMS; i++) {
		struct lm_coord_item *it = &b->items[i];

		memset(b->bytes[i], (int)(number * 7 + i), sizeof(b->bytes[i]));
		memcpy(b->bytes[i], &number, sizeof(number));
		it->kind = i % 5 == 4 ? LM_COORD_ITEM_GONE
				      : (i == 0 ? LM_COORD_ITEM_REVOCATION : LM_COORD_ITEM_NODE);
		it->key[0] = (uint8_t)i;
		it->revision = (uint64_t)number * ITEMS + i + 1;
		if (it->kind == LM_COORD_ITEM_GONE)
			continue;
		it->ann = b->bytes[i];
		it->ann_len = 700 + (number + i) % 300;
		if (it->kind == LM_COORD_ITEM_NODE) {
			it->cert = b->bytes[i];
			it->cert_len = 500 + (number + i) % 500;
		}
	}
}

struct seen {
	uint32_t batch;
	unsigned n;
};

/* Every item whole, all of one batch. */
static int see(void *user, const struct lm_coord_item *it)
{
	struct seen *s = user;
	uint32_t number = (uint32_t)((it->revision - 1) / ITEMS);
	struct batch *b = malloc(sizeof(*b));
	const struct lm_coord_item *want;

	assert_non_null(b);
	batch_make(b, number);
	want = &b->items[(it->revision - 1) % ITEMS];
	if (s->n++ > 0)
		assert_int_equal(number, s->batch);
	s->batch = number;
	assert_int_equal(it->kind, want->kind);
	assert_memory_equal(it->key, want->key, LM_KEY_LEN);
	assert_int_equal(it->cert_len, want->cert_len);
	assert_int_equal(it->ann_len, want->ann_len);
	if (it->cert_len > 0)
		assert_memory_equal(it->cert, want->cert, it->cert_len);
	if (it->ann_len > 0)
		assert_memory_equal(it->ann, want->ann, it->ann_len);
	free(b);
	return 0;
}

static void open_ok(const struct dir *d, struct lm_coord_store *st)
{
	struct lm_error err = {.text = ""};
	int rc = lm_coord_store_sqlite_open(d->path, st, &err);

	if (rc != 0)
		print_error("%s\n", err.text);
	assert_int_equal(rc, 0);
}

static struct seen load_all(struct lm_coord_store *st, uint8_t epoch[LM_EPOCH_LEN])
{
	struct seen s = {0};
	struct lm_error err;
	uint64_t revision;

	assert_int_equal(st->load(st->self, see, &s, epoch, &revision, &err), 0);
	if (s.n > 0)
		assert_int_equal(revision, (uint64_t)(s.batch + 1) * ITEMS);
	return s;
}

static void test_keeps(void **state)
{
	static const uint8_t other[LM_EPOCH_LEN] = "0123456789abcdef";
	uint8_t e1[LM_EPOCH_LEN], e2[LM_EPOCH_LEN];
	struct batch *b = malloc(sizeof(*b));
	struct lm_coord_store st;
	struct lm_error err;
	struct dir d;

	(void)state;
	dir_make(&d);
	open_ok(&d, &st);
	assert_int_equal(load_all(&st, e1).n, 0);
	for (uint32_t n = 1; n <= 3; n++) {
		batch_make(b, n);
		assert_int_equal(st.commit(st.self, b->items, ITEMS, &err), 0);
	}
	lm_coord_store_sqlite_close(&st);
	open_ok(&d, &st);
	assert_int_equal(load_all(&st, e2).n, ITEMS);
	assert_memory_equal(e1, e2, LM_EPOCH_LEN);
	assert_int_equal(st.new_epoch(st.self, other, &err), 0);
	lm_coord_store_sqlite_close(&st);
	open_ok(&d, &st);
	assert_int_equal(load_all(&st, e2).n, ITEMS - 4); /* the departed are forgotten */
	assert_memory_equal(e2, other, LM_EPOCH_LEN);
	lm_coord_store_sqlite_close(&st);
	dir_remove(&d);
	free(b);
}

/* ---------------------------------------------------------------- kill -9 */

/* Commits batches until it is killed; tells the number of each one that is durable. */
static void writer(const struct dir *d, uint32_t first, int tell)
{
	struct batch *b = malloc(sizeof(*b));
	struct lm_coord_store st;
	struct lm_error err;

	if (b == NULL || lm_coord_store_sqlite_open(d->path, &st, &err) < 0)
		_exit(1);
	for (uint32_t n = first;; n++) {
		batch_make(b, n);
		if (st.commit(st.self, b->items, ITEMS, &err) < 0 ||
		    write(tell, &n, sizeof(n)) != sizeof(n))
			_exit(1);
	}
}

static void test_kill(void **state)
{
	const char *env = getenv("LM_KILLS");
	unsigned kills = env ? (unsigned)atoi(env) : 100;
	uint32_t acknowledged = 0, next = 1;
	uint8_t epoch[LM_EPOCH_LEN], first_epoch[LM_EPOCH_LEN];
	struct lm_coord_store st;
	struct dir d;

	(void)state;
	srandom(1);
	dir_make(&d);
	open_ok(&d, &st);
	load_all(&st, first_epoch);
	lm_coord_store_sqlite_close(&st);
	for (unsigned i = 0; i < kills; i++) {
		struct seen s;
		int fd[2], status;
		uint32_t n;
		pid_t pid;

		assert_int_equal(pipe(fd), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (pid == 0) {
			close(fd[0]);
			writer(&d, next, fd[1]);
		}
		close(fd[1]);
		if (i % 4 != 0) { /* mostly while it commits, sometimes while it opens */
			assert_int_equal(read(fd[0], &n, sizeof(n)), sizeof(n));
			acknowledged = n;
		}
		usleep((useconds_t)(random() % 20000));
		kill(pid, SIGKILL);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status)); /* it did not fail by itself */
		while (read(fd[0], &n, sizeof(n)) == sizeof(n))
			acknowledged = n;
		close(fd[0]);
		open_ok(&d, &st); /* with integrity_check */
		s = load_all(&st, epoch);
		lm_coord_store_sqlite_close(&st);
		assert_memory_equal(epoch, first_epoch, LM_EPOCH_LEN);
		assert_true(s.n == ITEMS || (s.n == 0 && acknowledged == 0));
		assert_true(s.n == 0 || s.batch >= acknowledged);
		if (s.n > 0)
			next = s.batch + 1;
	}
	print_message("%u kills, %u batches of %u acknowledged, none lost\n", kills, acknowledged,
		      ITEMS);
	assert_true(acknowledged > 0);
	dir_remove(&d);
}

/* -------------------------------------------------------------- full disk */

/* Runs in a process of its own: what it changes (mounts, limits) ends with it. */
static int full_disk(struct dir *d, int (*fill)(struct dir *d), int (*clear)(struct dir *d))
{
	uint8_t epoch[LM_EPOCH_LEN];
	struct batch *b = malloc(sizeof(*b));
	struct lm_coord_store st;
	struct lm_error err;
	uint32_t n = 1;

	open_ok(d, &st);
	batch_make(b, n++);
	assert_int_equal(st.commit(st.self, b->items, ITEMS, &err), 0);
	for (unsigned round = 0; round < 3; round++) {
		uint32_t before = n - 1;
		int rc = 0;

		assert_int_equal(fill(d), 0);
		/* the log may have room for a while */
		for (unsigned i = 0; rc == 0 && i < 2000; i++) {
			batch_make(b, n);
			rc = st.commit(st.self, b->items, ITEMS, &err);
			if (rc == 0)
				before = n++;
		}
		assert_true(rc < 0);
		print_message("refused: %s\n", err.text);
		assert_non_null(strstr(err.text, d->path));
		assert_int_equal(load_all(&st, epoch).batch, before); /* reads go on, no halves */
		assert_int_equal(clear(d), 0);
		batch_make(b, n);
		assert_int_equal(st.commit(st.self, b->items, ITEMS, &err), 0); /* no restart */
		assert_int_equal(load_all(&st, epoch).batch, n++);
	}
	lm_coord_store_sqlite_close(&st);
	open_ok(d, &st);
	assert_int_equal(load_all(&st, epoch).batch, n - 1);
	lm_coord_store_sqlite_close(&st);
	free(b);
	return 0;
}

static int limit_set(rlim_t to)
{
	struct rlimit l = {.rlim_cur = to, .rlim_max = RLIM_INFINITY};

	return setrlimit(RLIMIT_FSIZE, &l);
}

static int limit_fill(struct dir *d)
{
	char wal[128];
	struct stat sb;

	snprintf(wal, sizeof(wal), "%s-wal", d->path);
	if (stat(wal, &sb) < 0)
		return -1;
	return limit_set((rlim_t)sb.st_size + 10000);
}

static int limit_clear(struct dir *d)
{
	(void)d;
	return limit_set(RLIM_INFINITY);
}

static int tmpfs_fill(struct dir *d)
{
	static const uint8_t block[4096];
	char path[96];
	int fd;

	snprintf(path, sizeof(path), "%s/filler", d->dir);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);
	if (fd < 0)
		return -1;
	for (unsigned i = 0; i < 10000 && write(fd, block, sizeof(block)) == sizeof(block); i++)
		;
	close(fd);
	return 0;
}

static int tmpfs_clear(struct dir *d)
{
	char path[96];

	snprintf(path, sizeof(path), "%s/filler", d->dir);
	return unlink(path);
}

static void in_child(void (*f)(struct dir *d))
{
	struct dir d;
	int status;
	pid_t pid;

	dir_make(&d);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		f(&d);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	dir_remove(&d);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77)
		skip();
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void with_limit(struct dir *d)
{
	signal(SIGXFSZ, SIG_IGN);
	full_disk(d, limit_fill, limit_clear);
}

static void with_tmpfs(struct dir *d)
{
	if (unshare(CLONE_NEWNS) < 0 || mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) < 0 ||
	    mount("tmpfs", d->dir, "tmpfs", 0, "size=2m") < 0) {
		print_message("no tmpfs of our own without root: skipped\n");
		_exit(77);
	}
	full_disk(d, tmpfs_fill, tmpfs_clear);
}

static void test_file_limit(void **state)
{
	(void)state;
	in_child(with_limit);
}

static void test_disk_full(void **state)
{
	(void)state;
	in_child(with_tmpfs);
}

/* ----------------------------------------------------------- bad files -- */

static void refuse_open(const struct dir *d, int want, const char *text)
{
	struct lm_coord_store st;
	struct lm_error err;
	int rc = lm_coord_store_sqlite_open(d->path, &st, &err);

	assert_int_equal(rc, -want);
	print_message("%s\n", err.text);
	assert_non_null(strstr(err.text, d->path));
	assert_non_null(strstr(err.text, text));
}

static void write_file(const struct dir *d, const void *data, size_t len, off_t at, int flags)
{
	int fd = open(d->path, O_WRONLY | flags, 0600);

	assert_true(fd >= 0);
	assert_int_equal(pwrite(fd, data, len, at), (ssize_t)len);
	close(fd);
}

static void test_bad_files(void **state)
{
	static const char text[] = "mesh = \"x\";\n# this is a config file, not a database at all, "
				   "and long enough to be looked at as one ...............\n";
	static const uint8_t zeros[4096];
	struct batch *b = malloc(sizeof(*b));
	struct lm_coord_store st, second;
	struct lm_error err;
	struct dir d;

	(void)state;
	dir_make(&d);
	write_file(&d, text, sizeof(text), 0, O_CREAT);
	refuse_open(&d, EUCLEAN, "move the file away");
	unlink(d.path);
	open_ok(&d, &st);
	assert_int_equal(lm_coord_store_sqlite_open(d.path, &second, &err), -EBUSY);
	batch_make(b, 1);
	assert_int_equal(st.commit(st.self, b->items, ITEMS, &err), 0);
	lm_coord_store_sqlite_close(&st);
	/* application_id in the header: a database of something else */
	write_file(&d, "\0\0\0\1", 4, 68, 0);
	refuse_open(&d, EUCLEAN, "not a coordinator's store");
	write_file(&d, "lmcd", 4, 68, 0);
	write_file(&d, "\0\0\0\7", 4, 60, 0);
	refuse_open(&d, EUCLEAN, "another version");
	write_file(&d, "\0\0\0\1", 4, 60, 0);
	open_ok(&d, &st);
	lm_coord_store_sqlite_close(&st);
	write_file(&d, zeros, sizeof(zeros), 4096 * 2, 0);
	refuse_open(&d, EUCLEAN, "move the file away");
	dir_remove(&d);
	free(b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_keeps),      cmocka_unit_test(test_kill),
	    cmocka_unit_test(test_file_limit), cmocka_unit_test(test_disk_full),
	    cmocka_unit_test(test_bad_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
