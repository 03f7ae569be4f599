#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Hosts of both sites send as much as their machine can: the gateways' workers have full bursts from
# the LAN and, from the other site, ESP. Rekeys, probes and keepalives go on all the same.
# alone
. "$(dirname "$0")/lib.sh"
# Without a successor a session ends after one and a half times this.
lab_rekey=6
rounds=2
[ -z "${LM_LONG:-}" ] || { lab_rekey=2 rounds=20; }
up
pings host1 10.2.0.10

# NAMESPACE ADDRESS: small UDP packets without a pause, until there is a file
flood()
{
	lab_in "$1" timeout 120 /usr/bin/python3 -c '
import os, socket, sys
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
s.connect((sys.argv[1], 9))
data = bytes(64)
while not os.path.exists(sys.argv[2]):
    for _ in range(1000):
        try:
            s.send(data)
        except OSError:  # no buffers left, or told that nobody listens
            pass' "$2" "$lab_run/enough" &
}

declare -A before
for name in rekeys sessions_down lan_rx_packets opened_packets; do
	before[$name]=$(in_all $name)
done
# NAME: by how much that counter of both together has grown
grown()
{
	echo $(($(in_all "$1") - before[$1]))
}
rekeyed()
{
	[ "$(grown rekeys)" -ge $((2 * rounds)) ]
}

flood host1 10.2.0.10
flood host2 10.1.0.10
start=$(now_ms)
wait_for $((rounds * lab_rekey + 60)) "$rounds rekeys of a session that is flooded" rekeyed
ms=$(($(now_ms) - start))
touch "$lab_run/enough"
wait
say "$(($(grown lan_rx_packets) / (ms / 1000 + 1))) packets a second from the LANs," \
	"$(($(grown opened_packets) / (ms / 1000 + 1))) through the tunnel, full bursts" \
	"$(ask 1 workers "r[0]['full_bursts']")"
is "$(grown lan_rx_packets)" -gt 10000 "packets from the LANs"
figure $((ms / rounds)) -le $((lab_rekey * 1200 + 500)) "ms from one rekey to the next"
figure "$(grown sessions_down)" -eq 0 "ends of sessions that went down"
is "$(grown sessions_down)" -le 2 "ends of sessions that went down, two of each"
pings host1 10.2.0.10
