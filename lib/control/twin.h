/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Kernel interfaces of the daemon: a TAP twin for each port, and the TUN lm0 that
 * carries the overlay addresses. Both vanish with the process.
 */
#ifndef LM_CONTROL_TWIN_H
#define LM_CONTROL_TWIN_H

#include <lanemesh/base.h>

/* Creates the interface; *fd is non-blocking. 0 or -errno with err. */
int lm_twin_open(const char *name, bool tap, int *fd, unsigned *ifindex,
		 struct lm_error *err) LM_MUST_CHECK;
/* What the kernel takes the interface's link to be. */
void lm_twin_carrier(int fd, bool up);
/* Writes a value to /proc/sys/net/<family>/conf/<name>/<key>; a missing key is no error. */
int lm_twin_sysctl(const char *family, const char *name, const char *key, const char *value);
/* The number that is there; -errno when there is none. */
int lm_twin_sysctl_get(const char *family, const char *name, const char *key);

#endif
