#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Three sites reach each other over IPv4 and IPv6; the gateways are proper routers.
lab_sites="1 2 3"
. "$(dirname "$0")/lib.sh"
need iperf3 tcpdump
up

for a in 1 2 3; do
	for b in 1 2 3; do
		[ $a != $b ] || continue
		pings host$a 10.$b.0.10
		pings host$a fd00:$b::10
		tcp=$(iperf host$a host$b 10.$b.0.10 -t 1)
		figure "$tcp" -gt 5 "Mbit/s of TCP from site $a to $b"
		udp=$(iperf host$a host$b fd00:$b::10 -t 1 -u -b 20M -l 1200)
		figure "$udp" -ge 10 "Mbit/s of UDP over IPv6 from site $a to $b, 20 offered"
		is $((tcp + udp)) -gt 0 "Mbit/s from site $a to $b"
	done
done

# lanemesh ping, through the tunnel
out=$(lab_cli 1 ping -c 2 gw2) || fail "lanemesh ping gw2: $out"
grep -q 'rtt .* path host, wan0 to 198.18.2.2:4500' <<<"$out" || fail "lanemesh ping gw2: $out"
say "$out"

# DSCP and ECN arrive unchanged, and show outside too (RFC 2983, RFC 6040). TTL: each gateway takes 1.
capture inner host2 eth0 'icmp[icmptype] == icmp-echo'
capture outer wan site2 'udp port 4500 and dst host 198.18.2.2 and udp[8] & 0x80 != 0'
lab_in host1 ping -c1 -W2 -Q 0xba 10.2.0.10 >/dev/null || fail "no answer to ping with TOS 0xba"
captures inner 'ip[1] == 0xba and ip[8] == 62' 1
captures outer 'ip[1] == 0xba' 1
capture_end inner
capture_end outer

# TTL runs out: each gateway says so, and the sender can hear it.
out=$(lab_in host1 ping -c1 -W2 -t1 10.2.0.10 || true)
grep -q 'From 10.1.0.1 .*Time to live exceeded' <<<"$out" || fail "TTL 1: $out"
out=$(lab_in host1 ping -c1 -W2 -t2 10.2.0.10 || true)
grep -q 'From 10.255.0.2 .*Time to live exceeded' <<<"$out" || fail "TTL 2: $out"
out=$(lab_in host1 ping -6 -c1 -W2 -t1 fd00:2::10 || true)
grep -q 'From fd00:1::1 .*Hop limit' <<<"$out" || fail "hop limit 1: $out"
out=$(lab_in host1 ping -6 -c1 -W2 -t2 fd00:2::10 || true)
grep -q 'From fd00:ffff::2 .*Hop limit' <<<"$out" || fail "hop limit 2: $out"
is "$(counter 1 lan_ttl_expired)" -ge 2 "gw1 lan_ttl_expired"
is "$(counter 2 inner_ttl_expired)" -ge 2 "gw2 inner_ttl_expired"

# No such site: the host is told.
out=$(lab_in host1 ping -c1 -W2 10.77.0.1 || true)
grep -q 'From 10.1.0.1 .*Unreachable' <<<"$out" || fail "no route: $out"
is "$(counter 1 lan_no_route)" -ge 1 "gw1 lan_no_route"
