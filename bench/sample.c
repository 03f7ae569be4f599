/* SPDX-License-Identifier: BSD-3-Clause */
#include "sample.h"

#include "slice.h"

#include <dlfcn.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <ucontext.h>
#include <unistd.h>

#define PERIOD_NS 97000 /* no divisor of what else has a period */
#define MOST	  (1u << 18)

/* A signal handler finds its state here or nowhere. */
static struct {
	timer_t timer;
	volatile unsigned n;
	uintptr_t at[MOST];
} sampler;

static void note(int signal, siginfo_t *info, void *context)
{
	const ucontext_t *u = context;
	unsigned n = sampler.n;

	(void)signal, (void)info;
	if (n < MOST) {
		sampler.at[n] = (uintptr_t)u->uc_mcontext.gregs[REG_RIP];
		sampler.n = n + 1;
	}
}

static void set(long period_ns)
{
	const struct itimerspec every = {.it_interval.tv_nsec = period_ns,
					 .it_value.tv_nsec = period_ns};

	timer_settime(sampler.timer, 0, &every, NULL);
}

int sample_create(void)
{
	struct sigaction action = {.sa_sigaction = note, .sa_flags = SA_SIGINFO | SA_RESTART};
	/* glibc 2.36 has no name for the thread's field. */
	struct sigevent event = {
	    .sigev_notify = SIGEV_THREAD_ID, .sigev_signo = SIGPROF, ._sigev_un._tid = gettid()};

	memset(sampler.at, 0, sizeof(sampler.at)); /* no page fault in the handler */
	if (sigaction(SIGPROF, &action, NULL) != 0 ||
	    timer_create(CLOCK_MONOTONIC, &event, &sampler.timer) != 0)
		return -errno;
	return 0;
}

void sample_start(void)
{
	set(PERIOD_NS);
}

void sample_stop(void)
{
	set(0);
}

static int by_address(const void *a, const void *b)
{
	uintptr_t x = *(const uintptr_t *)a, y = *(const uintptr_t *)b;

	return x < y ? -1 : x > y;
}

void sample_print(const char *which)
{
	unsigned n = sampler.n, same;

	qsort(sampler.at, n, sizeof(sampler.at[0]), by_address);
	for (unsigned i = 0; i < n; i += same) {
		uintptr_t at = sampler.at[i];
		char series[256];
		Dl_info in = {.dli_fname = "?"};

		for (same = 1; i + same < n && sampler.at[i + same] == at;)
			same++;
		(void)dladdr((void *)at, &in);
		snprintf(series, sizeof(series), "sample:%s+%lx", in.dli_fname,
			 (unsigned long)(at - (uintptr_t)in.dli_fbase));
		bench_print(which, series, 0, same);
	}
	bench_print(which, "tsc_mhz", 0, (double)rte_get_tsc_hz() / 1e6);
}
