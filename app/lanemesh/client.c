/* SPDX-License-Identifier: BSD-3-Clause */
#include "client.h"

#include <lanemesh/control.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <sys/un.h>
#include <unistd.h>

#define ANSWER_MAX (256u << 20)

static int open_socket(const char *instance, struct lm_error *err)
{
	struct sockaddr_un sa = {.sun_family = AF_UNIX};
	struct timeval limit = {.tv_sec = 10};
	int fd, code;

	(void)snprintf(sa.sun_path, sizeof(sa.sun_path), LM_RUN_DIR "/%s/control.sock", instance);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return lm_error_set(err, errno, "cannot open a socket: %s", strerror(errno));
	(void)setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	if (connect(fd, (struct sockaddr *)&sa, sizeof(sa)) == 0)
		return fd;
	code = errno;
	close(fd);
	if (code == ENOENT || code == ECONNREFUSED)
		return lm_error_set(err, code,
				    "no gateway '%s' is running here; `ls " LM_RUN_DIR
				    "` shows the names for -i",
				    instance);
	return lm_error_set(err, code, "%s: %s%s", sa.sun_path, strerror(code),
			    code == EACCES ? "; run as root" : "");
}

static int send_all(int fd, const char *text, struct lm_error *err)
{
	size_t left = strlen(text);

	while (left > 0) {
		ssize_t n = send(fd, text, left, MSG_NOSIGNAL);

		if (n < 0)
			return lm_error_set(err, errno, "cannot ask the gateway: %s",
					    strerror(errno));
		text += n;
		left -= (size_t)n;
	}
	return 0;
}

/* Until the other side closes. */
static char *read_all(int fd, size_t *len, struct lm_error *err)
{
	size_t cap = 65536;
	char *buf = malloc(cap), *more;
	ssize_t n;

	for (*len = 0; buf != NULL; *len += (size_t)n) {
		if (*len == cap) {
			cap *= 2;
			more = cap <= ANSWER_MAX ? realloc(buf, cap) : NULL;
			if (more == NULL)
				break;
			buf = more;
		}
		n = recv(fd, buf + *len, cap - *len, 0);
		if (n == 0)
			return buf;
		if (n < 0) {
			(void)lm_error_set(err, errno, "the gateway does not answer: %s",
					   strerror(errno));
			free(buf);
			return NULL;
		}
	}
	free(buf);
	(void)lm_error_set(err, ENOMEM, "the answer is too large");
	return NULL;
}

json_t *client_request(const char *instance, const char *command, const char *argument,
		       struct lm_error *err)
{
	json_t *o = json_pack("{ssss*}", "command", command, "argument", argument), *result = NULL;
	char *text = o != NULL ? json_dumps(o, JSON_COMPACT) : NULL, *answer = NULL;
	int fd = open_socket(instance, err);
	size_t len;

	json_decref(o);
	o = NULL;
	if (fd >= 0 && text != NULL && send_all(fd, text, err) == 0 && send_all(fd, "\n", err) == 0)
		answer = read_all(fd, &len, err);
	if (answer != NULL) {
		o = json_loadb(answer, len, 0, NULL);
		result = json_incref(json_object_get(o, "result"));
		if (result == NULL)
			(void)lm_error_set(err, EPROTO, "%s",
					   json_string_value(json_object_get(o, "error"))
					       ? json_string_value(json_object_get(o, "error"))
					       : "the gateway's answer makes no sense");
	}
	json_decref(o);
	if (fd >= 0)
		close(fd);
	free(answer);
	free(text);
	return result;
}
