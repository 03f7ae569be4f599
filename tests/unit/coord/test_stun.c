/* SPDX-License-Identifier: BSD-3-Clause */
/* Who asks is told what it looks like; nobody gets more than was sent in its name. */
#include "ends.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/socket.h>

#include <cmocka.h>

static const uint8_t key[16] = {1};
static const uint8_t id[LM_STUN_ID_LEN] = {9, 8, 7, 6, 5, 4, 3, 2, 1};

static struct lm_endpoint endpoint(const char *text)
{
	struct lm_endpoint ep;

	assert_int_equal(lm_endpoint_parse(text, 0, &ep), 0);
	return ep;
}

static void answers_own_requests(void **state)
{
	static const char *const texts[] = {"192.0.2.7:1024", "[2001:db8::7]:65535"};
	struct lm_coord_stun *s = lm_coord_stun_new(key);
	uint8_t request[LM_STUN_REQUEST_LEN], out[LM_STUN_ANSWER_MAX];
	struct lm_stun_msg m;

	(void)state;
	lm_stun_request(request, id);
	for (unsigned i = 0; i < LM_ARRAY_SIZE(texts); i++) {
		struct lm_endpoint from = endpoint(texts[i]);
		size_t n = lm_coord_stun_answer(s, LM_SEC, &from, request, sizeof(request), out);

		assert_int_equal(lm_stun_decode(out, n, &m), 0);
		assert_int_equal(m.kind, LM_STUN_SUCCESS);
		assert_memory_equal(m.id, id, sizeof(id));
		assert_true(lm_endpoint_equal(&m.mapped, &from));
	}
	assert_int_equal(lm_coord_stun_counters(s)->answered, 2);
	lm_coord_stun_free(s);
}

/* FAULTS row 20, for whatever may come, beginning with the bare request of RFC 8489. */
static void never_longer(void **state)
{
	struct lm_coord_stun *s = lm_coord_stun_new(key);
	const struct lm_coord_stun_counters *c = lm_coord_stun_counters(s);
	uint8_t msg[128], out[LM_STUN_ANSWER_MAX];
	uint64_t got = 0, sent = 0;
	lm_time now = LM_SEC;

	(void)state;
	srandom(1);
	for (unsigned i = 0; i < 200000; i++) {
		struct lm_endpoint from = endpoint(i % 2 ? "192.0.2.7:1" : "[2001:db8::7]:1");
		struct lm_writer w = lm_writer(msg, sizeof(msg));
		size_t attrs = (size_t)random() % 5, n;

		from.ip.b[3] = (uint8_t)i;
		lm_w_u32(&w, 0x00010000);
		lm_w_u32(&w, LM_STUN_COOKIE);
		lm_w_copy(&w, id, sizeof(id));
		for (size_t k = 0; k < attrs; k++) {
			size_t len = (size_t)random() % 4 * 4;

			lm_w_u16(&w, random() % 2 ? 0x8022 : (uint16_t)(random() % 0x40));
			lm_w_u16(&w, (uint16_t)len);
			lm_w_zero(&w, len);
		}
		msg[3] = (uint8_t)(lm_w_len(&w) - LM_STUN_HDR_LEN);
		now += LM_SEC / 50;
		n = lm_coord_stun_answer(s, now, &from, msg, lm_w_len(&w), out);
		assert_true(n <= lm_w_len(&w));
		got += lm_w_len(&w);
		sent += n;
	}
	assert_true(sent < got);
	assert_true(c->answered > 1000 && c->refused > 1000 && c->no_room > 1000);
	assert_int_equal(c->answered + c->refused + c->no_room + c->malformed + c->limited, 200000);
	lm_coord_stun_free(s);
}

/* Not to answers, so two servers cannot be set on each other. */
static void silent(void **state)
{
	struct lm_coord_stun *s = lm_coord_stun_new(key);
	struct lm_endpoint from = endpoint("192.0.2.7:3478");
	uint8_t msg[LM_STUN_REQUEST_LEN], out[LM_STUN_ANSWER_MAX], back[LM_STUN_ANSWER_MAX];
	size_t n;

	(void)state;
	lm_stun_request(msg, id);
	n = lm_coord_stun_answer(s, LM_SEC, &from, msg, sizeof(msg), out);
	assert_int_equal(lm_coord_stun_answer(s, LM_SEC, &from, out, n, back), 0);
	for (size_t k = 0; k < sizeof(msg); k++)
		assert_int_equal(lm_coord_stun_answer(s, LM_SEC, &from, msg, k, out), 0);
	assert_int_equal(lm_coord_stun_counters(s)->malformed, sizeof(msg) + 1);
	lm_coord_stun_free(s);
}

static void limited(void **state)
{
	struct lm_coord_stun *s = lm_coord_stun_new(key);
	struct lm_endpoint from = endpoint("192.0.2.7:3478"), other = endpoint("192.0.2.8:3478");
	uint8_t msg[LM_STUN_REQUEST_LEN], out[LM_STUN_ANSWER_MAX];
	unsigned answered = 0;

	(void)state;
	lm_stun_request(msg, id);
	for (unsigned i = 0; i < 1000; i++) {
		from.port++; /* one address, whatever port */
		answered += lm_coord_stun_answer(s, LM_SEC, &from, msg, sizeof(msg), out) > 0;
	}
	assert_int_equal(answered, 200);
	assert_int_equal(lm_coord_stun_counters(s)->limited, 800);
	assert_true(lm_coord_stun_answer(s, LM_SEC, &other, msg, sizeof(msg), out) > 0);
	for (unsigned i = 0; i < 1000; i++)
		answered += lm_coord_stun_answer(s, 2 * LM_SEC, &from, msg, sizeof(msg), out) > 0;
	assert_int_equal(answered, 250);
	lm_coord_stun_free(s);
}

/* ----------------------------------------------------------------- sockets -- */

static int client(const char *bind_to, const struct lm_endpoint *server)
{
	struct lm_endpoint ep = {.port = 0};
	struct sockaddr_storage sa;
	socklen_t len;
	int fd;

	assert_int_equal(lm_ip_parse(bind_to, &ep.ip), 0);
	len = lm_endpoint_to_sockaddr(&ep, &sa);
	fd = socket(sa.ss_family, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&sa, len), 0);
	/* connected: an answer from another address than the one asked is not taken */
	len = lm_endpoint_to_sockaddr(server, &sa);
	assert_int_equal(connect(fd, (struct sockaddr *)&sa, len), 0);
	return fd;
}

static void ask(uv_loop_t *loop, const char *from, struct lm_endpoint server)
{
	uint8_t msg[LM_STUN_REQUEST_LEN], out[1500];
	struct sockaddr_storage sa;
	socklen_t len = sizeof(sa);
	struct lm_endpoint me;
	struct lm_stun_msg m;
	ssize_t n = -1;
	int fd = client(from, &server);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&sa, &len), 0);
	assert_int_equal(lm_endpoint_from_sockaddr((struct sockaddr *)&sa, &me), 0);
	lm_stun_request(msg, id);
	assert_int_equal(send(fd, msg, sizeof(msg), 0), sizeof(msg));
	END_WAIT(loop, n >= 0 || (n = recv(fd, out, sizeof(out), 0)) >= 0);
	assert_int_equal(lm_stun_decode(out, (size_t)n, &m), 0);
	assert_true(lm_endpoint_equal(&m.mapped, &me));
	close(fd);
}

static void sockets(void **state)
{
	struct lm_endpoint at[2] = {endpoint("0.0.0.0:1"), endpoint("[::1]:1")};
	struct lm_coord_stun_listener *l;
	struct lm_error err = {.text = ""};
	uv_loop_t loop;
	size_t n = 1;

	(void)state;
	at[0].port = end_free_port("127.0.0.1");
	at[1].port = end_free_port("::1");
	if (at[1].port != 0)
		n = 2;
	else
		print_message("no IPv6 on loopback: IPv4 only\n");
	assert_int_equal(uv_loop_init(&loop), 0);
	l = lm_coord_stun_listener_new(&loop, at, n, &err);
	assert_non_null(l);
	/* the address is taken now */
	assert_null(lm_coord_stun_listener_new(&loop, at, 1, &err));
	assert_non_null(strstr(err.text, "0.0.0.0"));
	/* through a wildcard, the answer comes from the address that was asked */
	at[0].ip = endpoint("127.0.0.2:1").ip;
	ask(&loop, "127.0.0.1", at[0]);
	at[0].ip = endpoint("127.0.0.1:1").ip;
	ask(&loop, "127.0.0.3", at[0]);
	if (n == 2)
		ask(&loop, "::1", at[1]);
	assert_int_equal(lm_coord_stun_listener_counters(l)->answered, n + 1);
	lm_coord_stun_listener_close(l);
	for (unsigned i = 0; i < 5000 && uv_run(&loop, UV_RUN_NOWAIT) != 0; i++)
		usleep(1000);
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(answers_own_requests),
	    cmocka_unit_test(never_longer),
	    cmocka_unit_test(silent),
	    cmocka_unit_test(limited),
	    cmocka_unit_test(sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
