/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * /lanemesh/... on DPDK's telemetry socket (dpdk-telemetry.py -f lanemesh-NAME):
 * reads only, the same answers as the control socket's.
 */
#ifndef LANEMESHD_TELEMETRY_H
#define LANEMESHD_TELEMETRY_H

#include <lanemesh/control.h>

/* Control thread. DPDK's telemetry thread asks c from then on. */
void lm_telemetry_start(struct lm_control *c);
/* After this no question reaches c any more. */
void lm_telemetry_stop(void);

#endif
