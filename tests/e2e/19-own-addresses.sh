#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The gateways as hosts: their own addresses answer, they reach the mesh themselves, its routes are
# in the kernel; neighbours that change and routes behind another router on the LAN are followed.
. "$(dirname "$0")/lib.sh"
need tcpdump
up
for a in 10.1.0.1 fd00:1::1 10.2.0.1 fd00:2::1 10.255.0.1 10.255.0.2 fd00:ffff::2; do
	pings host1 $a
done
for a in 10.2.0.10 fd00:2::10 10.2.0.1 10.255.0.2 fd00:ffff::2; do
	pings gw1 $a
done
pings host2 fd00:ffff::1

# Routes of the mesh, for routing daemons
for r in 10.2.0.0/24 10.255.0.2; do
	[ "$(lab_in gw1 ip -4 route show proto 76 dev lm0 "$r" | wc -l)" = 1 ] ||
		fail "no route $r on lm0: $(lab_in gw1 ip -4 route)"
done
for r in fd00:2::/64 fd00:ffff::2; do
	[ "$(lab_in gw1 ip -6 route show proto 76 dev lm0 "$r" | wc -l)" = 1 ] ||
		fail "no route $r on lm0: $(lab_in gw1 ip -6 route)"
done
# The box forwards nothing around the data plane.
is "$(lab_in gw1 cat /proc/sys/net/ipv4/conf/wan0/forwarding)" = 0 "forwarding on wan0"

# Host 2 gets another MAC address and says so.
lab_in host2 sysctl -qw net.ipv4.conf.eth0.arp_notify=1 net.ipv6.conf.eth0.ndisc_notify=1
lab_in host2 ip link set eth0 address 02:00:00:00:02:10
start=$(now_ms)
wait_for 20 "host2 with another MAC address, IPv4" lab_ping host1 10.2.0.10
wait_for 20 "host2 with another MAC address, IPv6" lab_ping host1 fd00:2::10
say "host with another MAC address reached after $(($(now_ms) - start)) ms"

# A network behind a router on the LAN: a kernel route on lan0, inside the certificate's prefix
lab_in host2 ip addr add 10.2.0.200/32 dev lo
lab_in host2 ip addr add fd00:2::c8/128 dev lo
lab_in host2 sysctl -qw net.ipv4.conf.all.arp_ignore=1 net.ipv4.conf.all.arp_announce=2
lab_in host1 ping -c1 -W1 10.2.0.200 >/dev/null && fail "10.2.0.200 is reached without a route"
lab_in gw2 ip route add 10.2.0.192/26 via 10.2.0.10 dev lan0
lab_in gw2 ip -6 route add fd00:2::c0/122 via fd00:2::10 dev lan0
wait_for 10 "network behind a router of LAN 2, IPv4" lab_ping host1 10.2.0.200
wait_for 10 "network behind a router of LAN 2, IPv6" lab_ping host1 fd00:2::c8
lab_in host2 ip link set eth0 address 02:00:00:00:02:11
wait_for 20 "the same, the router with another MAC address" lab_ping host1 10.2.0.200
lab_in gw2 ip route del 10.2.0.192/26
unreachable()
{
	! lab_ping host1 10.2.0.200
}
wait_for 10 "the route is gone" unreachable

# The LAN's link is gone for a moment; a host that does not answer is told about.
out=$(lab_in host1 ping -c1 -W5 10.2.0.77 || true)
is "$(counter 2 neighbour_unresolved)" -ge 0 "gw2 neighbour_unresolved"
wait_for 8 "an unresolved neighbour is counted" at_least 2 neighbour_unresolved 1
pings host1 10.2.0.10
