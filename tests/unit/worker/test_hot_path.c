/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The hot path neither allocates nor locks nor calls the kernel. malloc and its kin,
 * mutexes, read and write are replaced by ones that count what workers do, and each
 * worker's thread gets a seccomp filter under which every other system call traps and
 * is counted too. Workers that poll must show zeros over many packets both ways, lanes
 * of both workers on both queues, drops of all sorts, and tables that change meanwhile.
 */
#include "rig.h"

#include <dlfcn.h>
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <pthread.h>
#include <rte_launch.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#define PACKETS 20000

/* glibc's own, by the names that it keeps for replacements like these. */
extern void *__libc_malloc(size_t size);
extern void *__libc_calloc(size_t n, size_t size);
extern void *__libc_realloc(void *p, size_t size);
extern void *__libc_memalign(size_t align, size_t size);
extern void __libc_free(void *p);

extern int lm_worker_main(void *worker);

static __thread bool is_worker;
static unsigned allocations, locks, syscalls, ready;

static void count(unsigned *what)
{
	if (is_worker)
		__atomic_fetch_add(what, 1, __ATOMIC_RELAXED);
}

void *malloc(size_t size)
{
	count(&allocations);
	return __libc_malloc(size);
}

void *calloc(size_t n, size_t size)
{
	count(&allocations);
	return __libc_calloc(n, size);
}

void *realloc(void *p, size_t size)
{
	count(&allocations);
	return __libc_realloc(p, size);
}

void *aligned_alloc(size_t align, size_t size)
{
	count(&allocations);
	return __libc_memalign(align, size);
}

int posix_memalign(void **p, size_t align, size_t size)
{
	count(&allocations);
	*p = __libc_memalign(align, size);
	return *p == NULL ? ENOMEM : 0;
}

void free(void *p)
{
	count(&allocations);
	__libc_free(p);
}

int pthread_mutex_lock(pthread_mutex_t *m)
{
	static int (*real)(pthread_mutex_t *);

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "pthread_mutex_lock");
	count(&locks);
	return real(m);
}

/* Both let through by the filter: DPDK's thread needs them before and after the worker. */
ssize_t read(int fd, void *buf, size_t n)
{
	count(&syscalls);
	return syscall(SYS_read, fd, buf, n);
}

ssize_t write(int fd, const void *buf, size_t n)
{
	count(&syscalls);
	return syscall(SYS_write, fd, buf, n);
}

static void on_sigsys(int sig)
{
	(void)sig;
	count(&syscalls);
}

static void filter_this_thread(void)
{
	struct sock_filter code[] = {
	    BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_read, 3, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_write, 2, 0),
	    BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_rt_sigreturn, 1, 0),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_TRAP),
	    BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog prog = {.len = LM_ARRAY_SIZE(code), .filter = code};

	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) != 0 ||
	    prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog) != 0)
		abort();
}

struct launch {
	lcore_function_t *f;
	void *arg;
};

static int run_filtered(void *arg)
{
	struct launch l = *(struct launch *)arg;
	pthread_mutex_t m = PTHREAD_MUTEX_INITIALIZER;
	unsigned before[3];
	void *volatile p;

	is_worker = true;
	/* Would we notice? */
	before[0] = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
	before[1] = __atomic_load_n(&locks, __ATOMIC_RELAXED);
	before[2] = __atomic_load_n(&syscalls, __ATOMIC_RELAXED);
	p = malloc(1);
	free(p);
	pthread_mutex_lock(&m);
	pthread_mutex_unlock(&m);
	filter_this_thread();
	(void)getppid();
	if (__atomic_load_n(&allocations, __ATOMIC_RELAXED) >= before[0] + 2 &&
	    __atomic_load_n(&locks, __ATOMIC_RELAXED) >= before[1] + 1 &&
	    __atomic_load_n(&syscalls, __ATOMIC_RELAXED) >= before[2] + 1)
		__atomic_fetch_add(&ready, 1, __ATOMIC_RELEASE);
	l.f(l.arg);
	is_worker = false;
	return 0;
}

/* In place of DPDK's: the workers start through the filter. */
int rte_eal_remote_launch(lcore_function_t *f, void *arg, unsigned worker_id)
{
	static int (*real)(lcore_function_t *, void *, unsigned);
	static struct launch launches[4];
	static unsigned n;

	if (real == NULL)
		*(void **)&real = dlsym(RTLD_NEXT, "rte_eal_remote_launch");
	if (f != lm_worker_main) /* EAL tries its threads out */
		return real(f, arg, worker_id);
	if (n == LM_ARRAY_SIZE(launches))
		return -EBUSY;
	launches[n] = (struct launch){f, arg};
	return real(run_filtered, &launches[n++], worker_id);
}

#define RELAY_ID 0x1234567890abcdef

static size_t relayed(uint32_t number, uint8_t *frame)
{
	uint8_t data[LM_RELAY_HDR_LEN + 100] = {0}, ip[RIG_FRAME_MAX];

	lm_msg_relay_header(data, RELAY_ID);
	data[LM_RELAY_HDR_LEN] = 0x80;
	memcpy(data + LM_RELAY_HDR_LEN + 4, &number, 4);
	return rig_eth(RIG_WAN, LM_ETHERTYPE_IP4, ip,
		       rig_udp("198.51.100.2", 4500, "192.0.2.1", 4500, data, sizeof(data), ip),
		       frame);
}

static void relay(struct rig *r)
{
	struct lm_dp_relay d = {.port = RIG_WAN, .from = {rig_addr("198.51.100.2"), 4500}};
	struct lm_endpoint us = {rig_addr("192.0.2.1"), 4500};
	struct lm_endpoint to = {rig_addr("198.51.100.3"), 4500};
	struct lm_mac ours = rig_mac(RIG_WAN), router = rig_host_mac(RIG_WAN);
	struct lm_outer o;

	assert_int_equal(lm_outer_build(&o, &ours, &router, &us, &to, true), 0);
	o.port = RIG_WAN;
	lm_outer_relay(&o, 1);
	d.outer = &o;
	assert_int_equal(lm_dp_relay_set(r->dp, RELAY_ID, &d), 0);
	lm_dp_relay_quota(r->dp, 100000000);
}

static void drain(struct rig *r)
{
	uint8_t frame[RIG_FRAME_MAX];

	for (unsigned port = 0; port < RIG_PORTS; port++)
		while (rig_read(r, port, frame) > 0)
			continue;
}

static void settle(struct rig *r)
{
	while (!rig_balanced(r))
		drain(r);
	drain(r);
}

/* Good packets both ways, and a few bad ones of every sort that is not punted. */
static void traffic(struct rig *r, unsigned i)
{
	static const char *const from_lan[] = {"10.1.0.10", "10.2.0.9", "10.1.0.10", "10.1.0.10"};
	static const char *const to[] = {"10.2.0.5", "10.2.0.5", "10.1.1.10", "239.1.1.1"};
	const struct rig_ip lan = {from_lan[i % 4], to[i % 4], .proto = 17, .ttl = 64,
				   .payload = 40 + i % 1000};
	const struct rig_ip peer = {i % 5 == 0 ? "fd00:2::5" : "10.2.0.5",
				    i % 5 == 0 ? "fd00:1::10" : "10.1.0.10", .proto = 17, .ttl = 64,
				    .payload = 40 + i % 1000};
	uint8_t ip[RIG_FRAME_MAX], frame[RIG_FRAME_MAX];
	size_t len = rig_ip(&peer, ip);

	len = rig_seal(r, 0, i / 2 % 4, i % 5 == 0 ? 41 : 4, ip, len, 0, frame);
	if (i % 7 == 0)
		frame[len - 1] ^= 1;
	rig_feed(r, RIG_WAN, i % 2, frame, len);
	if (i % 11 == 0)
		rig_feed(r, RIG_WAN, i % 2, frame, len);
	rig_feed(r, RIG_LAN, i % 2, frame, rig_frame(RIG_LAN, &lan, frame));
	if (i % 4 == 0) /* one of eight is a copy */
		rig_feed(r, RIG_WAN, i % 2, frame, relayed(i / 32 * 32 == i ? i + 4 : i, frame));
}

static void no_malloc_no_lock_no_system_call(void **state)
{
	static struct rig r;
	unsigned before[3], after[3];

	(void)state;
	signal(SIGSYS, on_sigsys);
	rig_start(&r, &(struct rig_config){.workers = 2, .poll = true});
	while (__atomic_load_n(&ready, __ATOMIC_ACQUIRE) < 2)
		usleep(1000);
	relay(&r);
	/* The first packets of each lane make notes; packet caches fill. */
	for (unsigned i = 0; i < 256; i++) {
		traffic(&r, i);
		if (i % 128 == 0)
			settle(&r);
	}
	rig_settle(&r);
	before[0] = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
	before[1] = __atomic_load_n(&locks, __ATOMIC_RELAXED);
	before[2] = __atomic_load_n(&syscalls, __ATOMIC_RELAXED);
	for (unsigned i = 0; i < PACKETS / 2; i++) {
		traffic(&r, i);
		if (i % 128 == 0)
			settle(&r);
		if (i % 1000 == 0)
			rig_rekey_out(&r, 0, 0x90020000 + i * 64);
	}
	settle(&r);
	after[0] = __atomic_load_n(&allocations, __ATOMIC_RELAXED);
	after[1] = __atomic_load_n(&locks, __ATOMIC_RELAXED);
	after[2] = __atomic_load_n(&syscalls, __ATOMIC_RELAXED);
	assert_int_equal(after[0] - before[0], 0);
	assert_int_equal(after[1] - before[1], 0);
	assert_int_equal(after[2] - before[2], 0);
	/* It was not idling: nearly half opened, a quarter sealed, a quarter from LAN to LAN. */
	assert_true(rig_count(&r, LM_C_OPENED_PACKETS) > PACKETS / 3);
	assert_true(rig_count(&r, LM_C_SEALED_PACKETS) > PACKETS / 9);
	assert_true(rig_count(&r, LM_C_HANDED_OVER) > PACKETS / 9);
	assert_true(rig_count(&r, LM_C_RELAYED_PACKETS) > PACKETS / 20);
	assert_true(rig_count(&r, LM_C_RELAY_DUPLICATE) > PACKETS / 100);
	assert_true(rig_drops(&r) > PACKETS / 9);
	rig_stop(&r);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(no_malloc_no_lock_no_system_call),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
