/* SPDX-License-Identifier: BSD-3-Clause */
/* Armored files, and the care that files with secrets need. */
#include "armor.h"

#include <errno.h>
#include <fcntl.h>
#include <sodium.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define SEED_LEN 32

static bool is_secret(const char *label)
{
	return strcmp(label, LM_LABEL_KEY) == 0 || strcmp(label, LM_LABEL_AUTHORITY) == 0;
}

/* Takes the name, so that of two writers only one goes on. */
static int claim(const char *path, unsigned mode, struct lm_error *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, mode);

	if (fd < 0 && errno == EEXIST)
		return lm_error_set(err, EEXIST,
				    "%s: exists already and is not overwritten; choose another "
				    "name or move it away",
				    path);
	if (fd < 0)
		return lm_error_set(err, errno, "%s: cannot create: %s", path, strerror(errno));
	close(fd);
	return 0;
}

int lm_armor_write(const char *path, const char *label, const void *data, size_t len,
		   bool overwrite, struct lm_error *err)
{
	unsigned mode = is_secret(label) ? 0600 : 0644;
	size_t text_len;
	char *text;
	int rc = 0;

	if (!overwrite)
		rc = claim(path, mode, err);
	if (rc != 0)
		return rc;
	text = lm_armor_encode(label, data, len, &text_len);
	if (text == NULL)
		rc = lm_error_set(err, ENOMEM, "%s: out of memory", path);
	else
		rc = lm_file_replace(path, text, text_len, mode, err);
	if (rc != 0 && !overwrite)
		unlink(path);
	if (text != NULL)
		sodium_memzero(text, text_len);
	free(text);
	return rc;
}

int lm_armor_read(const char *path, const char *label, char *label_out, uint8_t **data, size_t *len,
		  struct lm_error *err)
{
	uint8_t *text;
	size_t text_len;
	int rc;

	*data = NULL;
	*len = 0;
	rc = lm_file_read(path, ARMOR_TEXT_MAX, &text, &text_len, err);
	if (rc != 0)
		return rc;
	rc = lm_armor_decode(path, (const char *)text, text_len, label, label_out, data, len, err);
	sodium_memzero(text, text_len);
	free(text);
	return rc;
}

int lm_identity_load(const char *path, const char *label, struct lm_identity **out,
		     struct lm_error *err)
{
	struct stat st;
	uint8_t *seed;
	size_t len;
	int rc;

	*out = NULL;
	if (stat(path, &st) != 0)
		return lm_error_set(err, errno, "%s: %s", path, strerror(errno));
	if ((st.st_mode & 077) != 0)
		return lm_error_set(err, EACCES,
				    "%s: others than its owner have access (mode %03o) to this "
				    "secret key; chmod 600 it, and make a new key if someone may "
				    "have read it",
				    path, (unsigned)st.st_mode & 0777);
	rc = lm_armor_read(path, label, NULL, &seed, &len, err);
	if (rc != 0)
		return rc;
	if (len != SEED_LEN) {
		rc = lm_error_set(err, EBADMSG,
				  "%s: a key has %u bytes, this one %zu; restore it "
				  "from a copy",
				  path, SEED_LEN, len);
	} else {
		*out = lm_identity_from_seed(seed);
		if (*out == NULL)
			rc = lm_error_set(err, ENOMEM,
					  "%s: no locked memory for the key; raise "
					  "LimitMEMLOCK or ulimit -l",
					  path);
	}
	sodium_memzero(seed, len);
	free(seed);
	return rc;
}
