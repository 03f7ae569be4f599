#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A member announces addresses inside the mesh, of a site and of a gateway, as where it can be
# reached (FAULTS row 32): nobody sends there, neither while the member is up nor when all the ways
# to it are dead and every address is tried. So nothing is sealed twice.
lab_sites="1 2 3"
. "$(dirname "$0")/lib.sh"
need tcpdump
lab_keys
lab_network
lab_gateway_config 2 | sed 's/role = "wan";/& public_endpoints = [ "10.3.0.10:4500", "10.255.0.3:4500", "10.1.0.10:4500" ];/' >"$lab_run/gw2.conf"
for n in 1 3; do
	capture loop$n host$n eth0 'udp port 4500'
done
# N: does gateway N keep no address of gw2 that is inside the mesh?
none_inside()
{
	[ "$(ask "$1" why gw2 "[p for p in r['paths'] + r['candidates_there'] if p['endpoint'].startswith('10.')]")" = "[]" ]
}
lab_start
for n in 1 3; do
	wait_for 10 "gw$n refuses what gw2 announces" logged $n "10.255.0.3:4500 is no endpoint"
	# Judged again when the directory has told whose address it is.
	wait_for 20 "gw$n has only addresses outside of the mesh" none_inside $n
done
pings host1 10.2.0.10
pings host3 10.1.0.10

kill -9 "$(gw_pid 2)"
for n in 1 3; do
	wait_for 30 "gw$n misses gw2" has_peers $n 1
done
before=$(counter 1 handshakes_started)
again()
{
	lab_in host1 ping -c1 -W0.2 10.2.0.10 >/dev/null 2>&1 || true
	[ "$(counter 1 handshakes_started)" -ge $((before + 3)) ]
}
wait_for 60 "gw1 calls gw2 at every address it has" again
pings host3 10.1.0.10
for n in 1 3; do
	capture_end loop$n
	is "$(captured loop$n)" = 0 "datagrams of the mesh inside site $n: $(tcpdump -nr "$lab_run/loop$n.pcap" 2>/dev/null | head -n 3)"
done
