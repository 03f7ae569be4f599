/* SPDX-License-Identifier: BSD-3-Clause */
#include <lanemesh/base.h>

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

static int fail(struct lm_error *err, int code, const char *what, const char *path)
{
	return lm_error_set(err, code, "%s: %s: %s", path, what, strerror(code));
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		p += n;
		len -= (size_t)n;
	}
	return 0;
}

/*
 * The temporary file has a fixed name, so that what a killed process leaves
 * behind is reused and never piles up. Its lock keeps two writers apart; a
 * writer that finds the name gone or renamed under it after locking has lost a
 * race with one that just finished, and starts again.
 */
static int open_temporary(const char *tmp, int *out)
{
	for (unsigned attempt = 0; attempt < 16; attempt++) {
		int fd = open(tmp, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
		struct stat mine, named;

		if (fd < 0)
			return errno;
		if (flock(fd, LOCK_EX | LOCK_NB) != 0) {
			int code = errno == EWOULDBLOCK ? EBUSY : errno;

			close(fd);
			return code;
		}
		if (fstat(fd, &mine) == 0 && lstat(tmp, &named) == 0 &&
		    mine.st_dev == named.st_dev && mine.st_ino == named.st_ino) {
			/* In a folder that others can write to, it could be a trap. */
			if (S_ISREG(mine.st_mode) && mine.st_uid == geteuid() &&
			    mine.st_nlink == 1) {
				*out = fd;
				return 0;
			}
			close(fd);
			return EPERM;
		}
		close(fd);
	}
	return EBUSY;
}

static int sync_folder(const char *path)
{
	char folder[PATH_MAX];
	const char *slash = strrchr(path, '/');
	size_t n = slash == NULL ? 0 : (size_t)(slash - path);
	int fd, code = 0;

	if (slash == path)
		n = 1;
	if (n >= sizeof(folder))
		return ENAMETOOLONG;
	memcpy(folder, n == 0 ? "." : path, n == 0 ? 1 : n);
	folder[n == 0 ? 1 : n] = '\0';
	fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return errno;
	if (fsync(fd) != 0)
		code = errno;
	close(fd);
	return code;
}

int lm_file_replace(const char *path, const void *data, size_t len, unsigned mode,
		    struct lm_error *err)
{
	char tmp[PATH_MAX];
	const char *what = NULL;
	int fd = -1, code;

	if ((size_t)snprintf(tmp, sizeof(tmp), "%s.tmp", path) >= sizeof(tmp))
		return fail(err, ENAMETOOLONG, "cannot write", path);
	code = open_temporary(tmp, &fd);
	if (code != 0)
		return fail(err, code, "cannot create", tmp);
	if (ftruncate(fd, 0) != 0) {
		code = errno;
		what = "cannot truncate";
	} else if ((code = write_all(fd, data, len)) != 0) {
		what = "cannot write";
	} else if (fchmod(fd, mode) != 0) {
		code = errno;
		what = "cannot set permissions";
	} else if (fsync(fd) != 0) {
		code = errno;
		what = "cannot sync";
	} else if (rename(tmp, path) != 0) {
		code = errno;
		what = "cannot rename the new file";
	}
	if (code != 0)
		unlink(tmp);
	close(fd);
	if (code != 0)
		return fail(err, code, what, path);
	code = sync_folder(path);
	if (code != 0)
		return fail(err, code, "cannot sync its folder", path);
	return 0;
}

/* Reads to the end of fd; *buf has room for *cap bytes and grows to at most max + 1. */
static int read_all(int fd, size_t max, uint8_t **buf, size_t cap, size_t *len)
{
	*len = 0;
	for (;;) {
		ssize_t n;

		if (*len == cap) {
			uint8_t *bigger;

			if (cap > max)
				return EFBIG;
			cap = cap > max / 2 ? max + 1 : cap * 2;
			bigger = realloc(*buf, cap + 1);
			if (bigger == NULL)
				return ENOMEM;
			*buf = bigger;
		}
		n = read(fd, *buf + *len, cap - *len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno;
		if (n == 0)
			return *len > max ? EFBIG : 0;
		*len += (size_t)n;
	}
}

int lm_file_read(const char *path, size_t max, uint8_t **out, size_t *len, struct lm_error *err)
{
	/* O_NONBLOCK: a FIFO in the file's place must not hang us. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	uint8_t *buf;
	size_t cap;
	int code;

	*out = NULL;
	*len = 0;
	if (fd < 0)
		return fail(err, errno, "cannot open", path);
	if (fstat(fd, &st) != 0) {
		code = errno;
		close(fd);
		return fail(err, code, "cannot read", path);
	}
	if (!S_ISREG(st.st_mode)) {
		close(fd);
		return lm_error_set(err, EINVAL, "%s: not a regular file", path);
	}
	if ((uint64_t)st.st_size > max) {
		close(fd);
		return lm_error_set(err, EFBIG, "%s: %lld bytes, but at most %zu are allowed", path,
				    (long long)st.st_size, max);
	}
	/* One more than the size, so that the usual case sees the end without growing. */
	cap = (size_t)st.st_size + 1;
	buf = malloc(cap + 1);
	code = buf == NULL ? ENOMEM : read_all(fd, max, &buf, cap, len);
	close(fd);
	if (code != 0) {
		free(buf);
		*len = 0;
		return code == EFBIG
			   ? lm_error_set(err, EFBIG, "%s: more than the allowed %zu bytes", path,
					  max)
			   : fail(err, code, "cannot read", path);
	}
	buf[*len] = '\0';
	*out = buf;
	return 0;
}
