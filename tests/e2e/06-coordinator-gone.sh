#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Without the coordinator traffic and rekeys go on, and a gateway starts from its disk. When it is
# back, all connect again; a new site becomes known then.
lab_sites="1 2 3"
. "$(dirname "$0")/lib.sh"
lab_rekey=2
lab_keys
lab_network
lab_start_coord
lab_start_gateway 1
lab_start_gateway 2
for n in 1 2; do
	wait_for 20 "session of gw$n" has_peers $n 1
	wait_for 10 "coordinator link of gw$n" logged $n "in step"
done
pings host1 10.2.0.10

stream one host1 host2 10.2.0.10 200 8
lab_stop coord KILL
before=$(counter 1 rekeys)
wait_for 15 "two rekeys without a coordinator" at_least 1 rekeys $((before + 2))
streamed one
is "$(result one lost)" = 0 "packets lost while the coordinator was killed"

# A gateway restarts without it, from the directory on its disk.
lab_stop gw1
lab_start_gateway 1
wait_for 10 "gw1 back without a coordinator" lab_ping host1 10.2.0.10
coordinator()
{
	[ "$(ask "$1" status "r['coordinators'][0]['state']")" = "$2" ]
}
! coordinator 1 up || fail "gw1 says that the dead coordinator is up"

# A new site cannot join now, but as soon as the coordinator is back.
lab_start_gateway 3
wait_for 20 "gw3 runs" ask 3 status
start=$(now_ms)
lab_start_coord
for n in 1 2 3; do
	wait_for 30 "gw$n reconnects" coordinator $n up
done
figure $(($(now_ms) - start)) -le 10000 "ms until all are connected again"
wait_for 10 "gw3 joins" has_peers 3 2
pings host3 10.1.0.10
pings host1 fd00:3::10
