/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/trust.h>

#include <errno.h>
#include <setjmp.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

static char folder[] = "/tmp/lm-test-armor-XXXXXX";
static char path[64];

static int setup(void **state)
{
	(void)state;
	if (lm_crypto_init() != 0 || mkdtemp(folder) == NULL)
		return -1;
	snprintf(path, sizeof(path), "%s/file", folder);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink(path);
	return rmdir(folder);
}

static int clean(void **state)
{
	(void)state;
	unlink(path);
	return 0;
}

/* Text in memory of its exact length, so that ASan sees a byte read too far. */
static int decode(const char *text, const char *label, struct lm_error *err)
{
	size_t text_len = strlen(text), len;
	char *copy = malloc(text_len + 1), found[LM_LABEL_MAX + 1];
	uint8_t *data;
	int rc;

	assert_non_null(copy);
	memmove(copy + 1, text, text_len);
	rc = lm_armor_decode("f", copy + 1, text_len, label, found, &data, &len, err);
	if (rc == 0) {
		assert_true(len > 0);
		free(data);
	} else {
		assert_null(data);
		assert_int_equal(len, 0);
	}
	free(copy);
	return rc;
}

#define BEGIN "-----BEGIN LANEMESH CERTIFICATE-----\n"
#define END   "-----END LANEMESH CERTIFICATE-----\n"
#define FULL  "AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n"
#define SHORT "QUJD\n"

static void test_good_text(void **state)
{
	static const char *const good[] = {
	    BEGIN SHORT END,
	    BEGIN FULL END,
	    BEGIN FULL FULL SHORT END,
	    BEGIN "QQ==\n" END,
	    BEGIN "QUI=\n" END,
	    "\n \t\n" BEGIN SHORT END "\n\n",
	    "-----BEGIN LANEMESH CERTIFICATE-----\r\nQUJD\r\n-----END LANEMESH "
	    "CERTIFICATE-----\r\n",
	    BEGIN SHORT "-----END LANEMESH CERTIFICATE-----",
	};
	struct lm_error err;

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(good); i++) {
		if (decode(good[i], LM_LABEL_CERT, &err) != 0)
			fail_msg("%zu: %s", i, err.text);
		assert_int_equal(decode(good[i], NULL, NULL), 0);
	}
}

/* Each is refused, and the message names the file and the line. */
static void test_bad_text(void **state)
{
	static const struct {
		const char *text, *where;
	} bad[] = {
	    {"", "f: the file is empty"},
	    {"\n\n", "f: the file is empty"},
	    {"hello\n" BEGIN SHORT END, "f:1: expected"},
	    {"\n-----BEGIN LANEMESH CERTIFICATE----\n" SHORT END, "f:2: expected"},
	    {"-----BEGIN lanemesh certificate-----\n" SHORT END, "f:1: expected"},
	    {"-----BEGIN -----\n" SHORT END, "f:1: expected"},
	    {"-----BEGIN AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-----\n",
	     "f:1: expected"},
	    {"-----BEGIN LANEMESH PRIVATE KEY-----\n" SHORT END, "f:1: this is a LANEMESH PRIVATE"},
	    {BEGIN SHORT "-----END LANEMESH PRIVATE KEY-----\n", "f:3: expected"},
	    {BEGIN END, "f:2: the block is empty"},
	    {BEGIN, "f:1: the file ends before"},
	    {BEGIN FULL, "f:2: the file ends before"},
	    {BEGIN SHORT SHORT END, "f:3: expected"},
	    {BEGIN "QQ==\n" SHORT END, "f:3: expected"},
	    {BEGIN "\n" SHORT END, "f:2: not a line of base64"},
	    {BEGIN " QUJD\n" END, "f:2: not a line of base64"},
	    {BEGIN "QUJ\n" END, "f:2: not a line of base64"},
	    {BEGIN "QUI\n" END, "f:2: not a line of base64"},
	    {BEGIN "QR==\n" END, "f:2: not a line of base64"}, /* unused bits are set */
	    {BEGIN "QU-_\n" END, "f:2: not a line of base64"},
	    {BEGIN "Proc-Type: 4,ENCRYPTED\n" SHORT END, "f:2: not a line of base64"},
	    {BEGIN "AAAA" FULL END, "f:2: not a line of base64"},
	    {BEGIN SHORT END "x\n", "f:4: text after"},
	    {BEGIN SHORT END BEGIN SHORT END, "f:4: text after"},
	};
	struct lm_error err;

	(void)state;
	for (size_t i = 0; i < LM_ARRAY_SIZE(bad); i++) {
		assert_int_equal(decode(bad[i].text, LM_LABEL_CERT, &err), -EBADMSG);
		if (strncmp(err.text, bad[i].where, strlen(bad[i].where)) != 0)
			fail_msg("%zu: got \"%s\", want \"%s...\"", i, err.text, bad[i].where);
	}
}

static void test_huge_text(void **state)
{
	size_t n = 1024 * 1024, len;
	char *text = malloc(n);
	struct lm_error err;
	uint8_t *data;

	(void)state;
	assert_non_null(text);
	memset(text, '\n', n);
	assert_int_equal(lm_armor_decode("f", text, n, NULL, NULL, &data, &len, &err), -EBADMSG);
	assert_non_null(strstr(err.text, "longer"));
	free(text);
}

static void test_round_trip(void **state)
{
	static uint8_t in[LM_REVOCATION_MAX];
	static const size_t sizes[] = {1, 2, 3, 47, 48, 49, 95, 96, 97, 1000, LM_REVOCATION_MAX};
	char label[LM_LABEL_MAX + 1];
	struct lm_error err;
	struct stat st;
	uint8_t *data;
	size_t len;

	(void)state;
	for (size_t i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i * 7 + i / 256);
	for (size_t i = 0; i < LM_ARRAY_SIZE(sizes); i++) {
		assert_int_equal(
		    lm_armor_write(path, LM_LABEL_REVOCATION, in, sizes[i], true, &err), 0);
		assert_int_equal(lm_armor_read(path, NULL, label, &data, &len, &err), 0);
		assert_string_equal(label, LM_LABEL_REVOCATION);
		assert_int_equal(len, sizes[i]);
		assert_memory_equal(data, in, len);
		free(data);
	}
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0644);
	assert_int_equal(lm_armor_read(path, LM_LABEL_CERT, NULL, &data, &len, &err), -EBADMSG);
	assert_null(data);
	assert_non_null(strstr(err.text, LM_LABEL_REVOCATION));
}

static void test_no_overwrite(void **state)
{
	struct lm_error err;
	char missing[96];
	struct stat st;
	uint8_t *data;
	size_t len;

	(void)state;
	assert_int_equal(lm_armor_write(path, LM_LABEL_KEY, "first", 5, false, &err), 0);
	assert_int_equal(lm_armor_write(path, LM_LABEL_KEY, "other", 5, false, &err), -EEXIST);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(lm_armor_read(path, LM_LABEL_KEY, NULL, &data, &len, &err), 0);
	assert_memory_equal(data, "first", 5);
	free(data);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	unlink(path);
	/* Not even what a dangling link names. */
	assert_int_equal(symlink("/nonexistent/x", path), 0);
	assert_int_equal(lm_armor_write(path, LM_LABEL_KEY, "other", 5, false, &err), -EEXIST);
	snprintf(missing, sizeof(missing), "%s/no/such", folder);
	assert_int_equal(lm_armor_write(missing, LM_LABEL_KEY, "other", 5, false, &err), -ENOENT);
	assert_int_equal(lm_armor_read(missing, NULL, NULL, &data, &len, &err), -ENOENT);
	assert_non_null(strstr(err.text, missing));
}

static void test_identity_load(void **state)
{
	struct lm_identity *id = lm_identity_generate(), *got;
	struct lm_error err;

	(void)state;
	assert_non_null(id);
	assert_int_equal(lm_armor_write(path, LM_LABEL_KEY, id->ed_secret, 32, false, &err), 0);
	assert_int_equal(lm_identity_load(path, LM_LABEL_KEY, &got, &err), 0);
	assert_memory_equal(got->ed_public, id->ed_public, 32);
	assert_memory_equal(got->x_public, id->x_public, 32);
	lm_identity_free(got);
	/* A node's key is not an authority's. */
	assert_int_equal(lm_identity_load(path, LM_LABEL_AUTHORITY, &got, &err), -EBADMSG);
	assert_null(got);
	for (unsigned bit = 1; bit <= 040; bit <<= 1) {
		assert_int_equal(chmod(path, 0600 | bit), 0);
		assert_int_equal(lm_identity_load(path, LM_LABEL_KEY, &got, &err), -EACCES);
		assert_non_null(strstr(err.text, "chmod 600"));
	}
	assert_int_equal(lm_armor_write(path, LM_LABEL_KEY, id->ed_secret, 31, true, &err), 0);
	assert_int_equal(lm_identity_load(path, LM_LABEL_KEY, &got, &err), -EBADMSG);
	unlink(path);
	assert_int_equal(lm_identity_load(path, LM_LABEL_KEY, &got, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	lm_identity_free(id);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_good_text),
	    cmocka_unit_test(test_bad_text),
	    cmocka_unit_test(test_huge_text),
	    cmocka_unit_test_setup_teardown(test_round_trip, clean, clean),
	    cmocka_unit_test_setup_teardown(test_no_overwrite, clean, clean),
	    cmocka_unit_test_setup_teardown(test_identity_load, clean, clean),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
