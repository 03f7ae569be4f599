#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The networks of a site that cannot be reached go to another site that announces them too, or a
# network around them; they come back with it. Without such a site packets are dropped, and never
# leave in the clear.
lab_sites="1 2 3"
. "$(dirname "$0")/lib.sh"
need tcpdump
lab_keys
# Site 3 stands in for site 1: by a wider network for IPv4, by the same one for IPv6.
lab_sign 3 --prefix 10.1.0.0/16 --prefix fd00:1::/64
lab_network
lab_start

# The stand-in for host1, behind a router of site 3.
stand_in()
{
	local dev=lan0
	lab_in gw3 ip route "$1" 10.1.0.0/16 via 10.3.0.10 dev $dev
	lab_in gw3 ip -6 route "$1" fd00:1::/64 via fd00:3::10 dev $dev
}
lab_in host3 ip addr add 10.1.0.10/32 dev lo
lab_in host3 ip addr add fd00:1::10/128 dev lo nodad

# PEER PREFIX: where gw2 sends packets for the prefix
goes_to()
{
	[ "$(ask 2 routes "[x['peer'] for x in r if x['prefix'] == '$2' and x['active']]")" = "['$1']" ]
}
goes_to gw1 10.1.0.0/24 || fail "10.1.0.0/24 does not go to gw1: $(ask 2 routes)"
pings host2 10.1.0.10

capture clear wan site2 'net 10.0.0.0/8 or net fd00::/16'
kill -9 "$(gw_pid 1)"
stand_in add
wait_for 30 "10.1.0.0/24 goes to gw3, by 10.1.0.0/16" goes_to gw3 10.1.0.0/24
wait_for 10 "fd00:1::/64 goes to gw3, which announces it too" goes_to gw3 fd00:1::/64
# gw3 had no traffic with gw1 and notices later than gw2 that it is gone.
wait_for 15 "host3 answers for 10.1.0.10" lab_ping host2 10.1.0.10
pings host2 10.1.0.10
pings host2 fd00:1::10
stand_in del
lab_start_gateway 1
wait_for 20 "10.1.0.0/24 is back at gw1" goes_to gw1 10.1.0.0/24
wait_for 5 "host1 answers again" lab_ping host2 10.1.0.10

# Nobody stands in for site 3: dropped.
kill -9 "$(gw_pid 3)"
no_session()
{
	lab_in host2 ping -c1 -W0.2 10.3.0.10 >/dev/null 2>&1 && return 1
	[ "$(counter 2 no_session)" -gt 0 ]
}
wait_for 30 "packets for site 3 are dropped" no_session
sleep 4 # the time after which a way round would be taken
lab_in host2 ping -c3 -i0.1 -W0.2 10.3.0.10 >/dev/null 2>&1 && fail "somebody answers for 10.3.0.10"
capture_end clear
is "$(tcpdump -r "$lab_run/clear.pcap" 2>/dev/null | wc -l)" = 0 "packets in the clear on gw2's WAN"
say "ways changed without a packet in the clear"
