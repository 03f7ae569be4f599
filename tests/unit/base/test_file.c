/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/lm-test-file-XXXXXX";
static char path[64], tmp[70];

static int setup(void **state)
{
	(void)state;
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/state", folder);
	snprintf(tmp, sizeof(tmp), "%s.tmp", path);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	unlink(tmp);
	return rmdir(folder);
}

static void expect_content(const char *want)
{
	uint8_t *data;
	size_t len;

	assert_int_equal(lm_file_read(path, 1000, &data, &len, NULL), 0);
	assert_int_equal(len, strlen(want));
	assert_string_equal((char *)data, want);
	free(data);
}

static void replace_and_read(void **state)
{
	struct lm_error err;
	struct stat st;
	uint8_t *data;
	size_t len;

	(void)state;
	assert_int_equal(lm_file_read(path, 10, &data, &len, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_null(data);
	assert_int_equal(lm_file_replace(path, "secret", 6, 0600, &err), 0);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	expect_content("secret");
	assert_int_equal(lm_file_replace(path, "", 0, 0644, &err), 0);
	expect_content("");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0644);
	assert_int_equal(access(tmp, F_OK), -1);
}

static void read_limits(void **state)
{
	struct lm_error err;
	uint8_t *data;
	size_t len;

	(void)state;
	assert_int_equal(lm_file_replace(path, "12345", 5, 0600, NULL), 0);
	assert_int_equal(lm_file_read(path, 5, &data, &len, &err), 0);
	assert_int_equal(len, 5);
	free(data);
	assert_int_equal(lm_file_read(path, 4, &data, &len, &err), -EFBIG);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(lm_file_read(folder, 100, &data, &len, &err), -EINVAL);
	/* a file whose size is not known beforehand */
	assert_int_equal(lm_file_read("/proc/self/status", 65536, &data, &len, &err), 0);
	assert_true(len > 100 && strlen((char *)data) == len);
	free(data);
	assert_int_equal(lm_file_read("/proc/self/status", 100, &data, &len, &err), -EFBIG);
	assert_null(data);
	unlink(path);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(lm_file_read(path, 100, &data, &len, &err), -EINVAL);
	unlink(path);
}

/* What a process that was killed in the middle leaves: used again, not piled up. */
static void leftover(void **state)
{
	FILE *f;

	(void)state;
	assert_int_equal(lm_file_replace(path, "old", 3, 0600, NULL), 0);
	f = fopen(tmp, "w");
	assert_non_null(f);
	fputs("half of something much longer", f);
	fclose(f);
	expect_content("old");
	assert_int_equal(lm_file_replace(path, "new", 3, 0600, NULL), 0);
	expect_content("new");
	assert_int_equal(access(tmp, F_OK), -1);
}

static void failures_keep_the_old(void **state)
{
	struct lm_error err;
	int fd;

	(void)state;
	assert_int_equal(lm_file_replace(path, "old", 3, 0600, NULL), 0);
	fd = open(tmp, O_RDWR | O_CREAT, 0600); /* another writer at work */
	assert_true(fd >= 0);
	assert_int_equal(flock(fd, LOCK_EX), 0);
	assert_int_equal(lm_file_replace(path, "new", 3, 0600, &err), -EBUSY);
	assert_non_null(strstr(err.text, path));
	close(fd);
	unlink(tmp);
	assert_int_equal(symlink(path, tmp), 0); /* a trap */
	assert_int_equal(lm_file_replace(path, "new", 3, 0600, &err), -ELOOP);
	unlink(tmp);
	assert_int_equal(link(path, tmp), 0);
	assert_int_equal(lm_file_replace(path, "new", 3, 0600, &err), -EPERM);
	unlink(tmp);
	expect_content("old");
	assert_int_equal(lm_file_replace("/nonexistent/x", "a", 1, 0600, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nonexistent/x"));
}

/* No room for all of it: an error, the old content, nothing left behind. */
static void no_room(void **state)
{
	struct rlimit was, tight;
	struct lm_error err;
	char big[5000];
	int rc;

	(void)state;
	memset(big, 'b', sizeof(big));
	assert_int_equal(lm_file_replace(path, "old", 3, 0600, NULL), 0);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &was), 0);
	tight = was;
	tight.rlim_cur = 4096;
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &tight), 0);
	rc = lm_file_replace(path, big, sizeof(big), 0600, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &was), 0);
	assert_int_equal(rc, -EFBIG);
	assert_non_null(strstr(err.text, path));
	expect_content("old");
	assert_int_equal(access(tmp, F_OK), -1);
}

static void write_for_ever(void)
{
	static char data[2][20000];

	memset(data[0], 'x', sizeof(data[0]));
	memset(data[1], 'y', sizeof(data[1]));
	for (unsigned i = 0;; i++)
		if (lm_file_replace(path, data[i & 1], sizeof(data[0]), 0600, NULL) != 0)
			_exit(1);
}

/* A writer killed at any moment leaves one whole version or the other, and no debris that stops
 * the next one (FAULTS row 26). */
static void killed_writers(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 30; i++) {
		int status;
		pid_t pid = fork();
		uint8_t *data;
		size_t len;

		assert_true(pid >= 0);
		if (pid == 0)
			write_for_ever();
		usleep(1000 * (i % 10) + 777 * i);
		assert_int_equal(kill(pid, SIGKILL), 0);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status)); /* it had not given up by itself */
		assert_int_equal(lm_file_read(path, 20000, &data, &len, NULL), 0);
		assert_true(len == 20000 || len == 3); /* 3: killed before its first */
		for (size_t k = 1; k < len && len == 20000; k++)
			assert_int_equal(data[k], data[0]);
		free(data);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(replace_and_read), cmocka_unit_test(read_limits),
	    cmocka_unit_test(leftover),		cmocka_unit_test(failures_keep_the_old),
	    cmocka_unit_test(no_room),		cmocka_unit_test(killed_writers),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
