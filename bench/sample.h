/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Where a thread is, some thousand times a second: a timer's signal notes the address that it
 * interrupts. It needs neither counters of the CPU, which virtual machines seldom have, nor rights,
 * nor marks in the code that is looked at.
 */
#ifndef BENCH_SAMPLE_H
#define BENCH_SAMPLE_H

/* Of the calling thread, switched off. One in a process. 0 or -errno. */
int sample_create(void);
void sample_start(void);
void sample_stop(void);
/* One line for bench/run for each address that was met: the series is "sample:OBJECT+OFFSET" in
 * hex, the value how often. Also the time stamp counter's rate, as "tsc_mhz". Any thread, when
 * stopped. */
void sample_print(const char *which);

#endif
