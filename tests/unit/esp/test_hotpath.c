/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Sealing and opening never allocate and never enter the kernel, so they never
 * block on a lock either: this program's own malloc counts, and a child under
 * strict seccomp dies at the first system call.
 */
#include "esp_test.h"

#include <errno.h>
#include <linux/seccomp.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

static unsigned long allocations;

void *__libc_malloc(size_t n);
void *__libc_calloc(size_t n, size_t size);
void *__libc_realloc(void *p, size_t n);
void *__libc_memalign(size_t align, size_t n);
void __libc_free(void *p);

void *malloc(size_t n)
{
	allocations++;
	return __libc_malloc(n);
}

void *calloc(size_t n, size_t size)
{
	allocations++;
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t n)
{
	allocations++;
	return __libc_realloc(p, n);
}

void *aligned_alloc(size_t align, size_t n)
{
	allocations++;
	return __libc_memalign(align, n);
}

int posix_memalign(void **out, size_t align, size_t n)
{
	allocations++;
	*out = __libc_memalign(align, n);
	return *out == NULL ? ENOMEM : 0;
}

void free(void *p)
{
	allocations += p != NULL;
	__libc_free(p);
}

/* ---- the path under test ---- */

#define SAS 3

static struct lm_outer outers[2];
static uint8_t room[LM_ESP_BURST][2048];

/* Bursts of good, damaged, repeated and impossible packets. Returns how many came through. */
static unsigned exercise(struct lm_aead *aead, struct pair *p)
{
	struct lm_esp_tx t[LM_ESP_BURST];
	struct lm_esp_rx r[LM_ESP_BURST];
	unsigned good = 0;

	for (unsigned round = 0; round < 200; round++) {
		for (unsigned i = 0; i < LM_ESP_BURST; i++) {
			uint32_t len = 40 + (round * 31 + i * 97) % 1400;

			t[i] = (struct lm_esp_tx){.sa = &p[i % SAS].out,
						  .outer = &outers[i & 1],
						  .data = room[i] + LM_ESP_HEADROOM,
						  .len = len,
						  .headroom = i == 5 ? 3 : LM_ESP_HEADROOM,
						  .tailroom = LM_ESP_TAILROOM,
						  .next = LM_PROTO_IP4};
			inner4(t[i].data, len);
		}
		lm_esp_seal(aead, t, LM_ESP_BURST);
		for (unsigned i = 0; i < LM_ESP_BURST; i++) {
			r[i] = (struct lm_esp_rx){.sa = &p[i % SAS].in,
						  .data = t[i].data + t[i].outer->hdr_len,
						  .len = t[i].len - t[i].outer->hdr_len};
			if (i == 7)
				r[i].data[20] ^= 1;
			if (i == 5 || i == 9) /* 5 was not sealed */
				r[i].len = 12;
		}
		good += lm_esp_open(aead, r, LM_ESP_BURST);
		good += lm_esp_open(aead, r, LM_ESP_BURST);
	}
	return good;
}

static void set_up(struct lm_aead **aead, struct pair *p)
{
	struct lm_endpoint a, b;

	assert_int_equal(lm_endpoint_parse("192.0.2.1:4500", 0, &a), 0);
	assert_int_equal(lm_endpoint_parse("192.0.2.2:4500", 0, &b), 0);
	assert_int_equal(
	    lm_outer_build(&outers[0], &(struct lm_mac){{2}}, &(struct lm_mac){{4}}, &a, &b, true),
	    0);
	assert_int_equal(lm_endpoint_parse("[2001:db8::1]:4500", 0, &a), 0);
	assert_int_equal(lm_endpoint_parse("[2001:db8::2]:4500", 0, &b), 0);
	assert_int_equal(
	    lm_outer_build(&outers[1], &(struct lm_mac){{2}}, &(struct lm_mac){{4}}, &a, &b, true),
	    0);
	*aead = test_aead();
	for (uint32_t i = 0; i < SAS; i++)
		pair_init(&p[i], *aead, i);
}

static void tear_down(struct lm_aead *aead, struct pair *p)
{
	for (unsigned i = 0; i < SAS; i++)
		pair_free(&p[i]);
	lm_aead_free(aead);
}

static void no_allocation(void **state)
{
	struct lm_aead *aead;
	unsigned long before;
	struct pair p[SAS];
	unsigned good;

	(void)state;
	before = allocations;
	set_up(&aead, p);
	assert_true(allocations > before); /* the counter counts */
	before = allocations;
	good = exercise(aead, p);
	assert_int_equal(allocations, before);
	assert_int_equal(good, 200 * (LM_ESP_BURST - 3));
	tear_down(aead, p);
}

static int in_strict_child(unsigned (*run)(struct lm_aead *, struct pair *), struct lm_aead *aead,
			   struct pair *p)
{
	pid_t pid = fork();
	int status;

	assert_true(pid >= 0);
	if (pid == 0) {
		unsigned good;

		if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_STRICT) != 0)
			syscall(SYS_exit, 77);
		good = run(aead, p);
		syscall(SYS_exit, good == 200 * (LM_ESP_BURST - 3) ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	return status;
}

static unsigned calls_the_kernel(struct lm_aead *aead, struct pair *p)
{
	(void)aead;
	(void)p;
	return (unsigned)getppid();
}

static void no_system_call(void **state)
{
	struct lm_aead *aead;
	struct pair p[SAS];
	int status;

	(void)state;
	set_up(&aead, p);
	status = in_strict_child(calls_the_kernel, aead, p);
	if (WIFEXITED(status) && WEXITSTATUS(status) == 77) {
		print_message("skipped: this kernel has no seccomp\n");
		skip();
	}
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL); /* the trap works */
	status = in_strict_child(exercise, aead, p);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	tear_down(aead, p);
}

int main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_allocation),
	    cmocka_unit_test(no_system_call),
	};

	if (lm_crypto_init() != 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
