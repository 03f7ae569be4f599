/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What every program of bench/ measures with. The unit of measurement is a slice: some
 * milliseconds of one kind of work. Slices of the things to be compared follow each other in
 * turn (a round), so that a ratio always is of neighbours; bench/run makes medians of many.
 *
 * Time is the thread's CPU time: what other processes take of the core does not count. On an
 * idle machine it is wall-clock time.
 */
#ifndef BENCH_SLICE_H
#define BENCH_SLICE_H

#include <rte_cycles.h>
#include <stdint.h>
#include <stdio.h>
#include <time.h>

static inline uint64_t bench_cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

struct bench_slice {
	uint64_t began, wanted; /* CPU ns */
	uint64_t deadline;	/* TSC: not over before, which is cheap to ask */
	uint64_t done;		/* operations so far */
};

static inline struct bench_slice bench_begin(unsigned ms)
{
	struct bench_slice s = {.wanted = (uint64_t)ms * 1000000};

	s.deadline = rte_rdtsc() + rte_get_tsc_hz() / 1000 * ms;
	s.began = bench_cpu_ns();
	return s;
}

static inline int bench_over(struct bench_slice *s)
{
	if (rte_rdtsc() < s->deadline)
		return 0;
	if (bench_cpu_ns() - s->began >= s->wanted)
		return 1;
	/* Others had the core for a part of it. */
	s->deadline = rte_rdtsc() + rte_get_tsc_hz() / 10000;
	return 0;
}

/* Nanoseconds for each operation. */
static inline double bench_end(const struct bench_slice *s)
{
	return (double)(bench_cpu_ns() - s->began) / (double)s->done;
}

/* One line for bench/run: which case, what was measured in it, in which round, the value. */
static inline void bench_print(const char *which, const char *series, unsigned round, double value)
{
	printf("%s\t%s\t%u\t%.4f\n", which, series, round, value);
}

#endif
