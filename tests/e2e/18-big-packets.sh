#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Packets larger than the tunnel takes: the sender is told (RFC 1191, RFC 8201), may fragment
# itself, or has it done if it allows; TCP does not come that far, its MSS is clamped.
. "$(dirname "$0")/lib.sh"
need tcpdump iperf3
up

# 1500 - IPv4 20 - UDP 8 - ESP 34, in steps of 4
out=$(lab_in host1 ping -M "do" -c1 -W2 -s 1472 10.2.0.10 || true)
grep -q 'From 10.1.0.1 .*Frag needed and DF set (mtu = 1438)' <<<"$out" || fail "IPv4, DF: $out"
lab_in host1 ping -M "do" -c1 -W2 -s 1410 10.2.0.10 >/dev/null || fail "IPv4 with 1438 bytes does not pass"
out=$(lab_in host1 ping -M "do" -c1 -W2 -s 1411 10.2.0.10 2>&1 || true)
grep -q '1438' <<<"$out" || fail "IPv4 with 1439 bytes: $out"
out=$(lab_in host1 ping -6 -M "do" -c1 -W2 -s 1452 fd00:2::10 || true)
grep -q 'From fd00:1::1 .*Packet too big: mtu=1438' <<<"$out" || fail "IPv6: $out"
lab_in host1 ping -6 -M "do" -c1 -W2 -s 1390 fd00:2::10 >/dev/null || fail "IPv6 with 1438 bytes does not pass"

# Fragments: made by the host from what it has learnt, or by the gateway from whole packets
for size in 1500 3000 8000 30000; do
	lab_in host1 ping -c2 -i0.1 -W2 -s $size 10.2.0.10 >/dev/null || fail "ping with $size bytes"
	lab_in host1 ping -6 -c2 -i0.1 -W2 -s $size fd00:2::10 >/dev/null || fail "ping -6 with $size bytes"
done
lab_in host1 ip route flush cache
lab_in host2 ip route flush cache
too_big=$(counter 1 lan_too_big)
capture lan host2 eth0 'icmp[icmptype] == icmp-echo or ip[6:2] & 0x1fff != 0'
lab_in host1 ping -M dont -c1 -W2 -s 1472 10.2.0.10 >/dev/null || fail "ping that may be fragmented"
# first fragment 1436 bytes: data in steps of 8
captures lan 'ip[6:2] & 0x2000 != 0 and ip[2:2] == 1436' 1
captures lan 'ip[6:2] & 0x1fff == 177 and ip[2:2] == 84' 1
lab_in host1 ping -M dont -c1 -W2 -s 4000 10.2.0.10 >/dev/null || fail "4000 bytes that may be fragmented"
is "$(counter 1 lan_too_big)" = "$too_big" "gw1 lan_too_big"
capture_end lan

# TCP: 1438 - 40 and 1438 - 60, both ways
capture syn host2 eth0 'tcp[tcpflags] & tcp-syn != 0 or (ip6[6] == 6 and ip6[53] & 2 != 0)'
iperf host1 host2 10.2.0.10 -n 100K >/dev/null
iperf host1 host2 fd00:2::10 -n 100K >/dev/null
capture_end syn
syn=$(tcpdump -nr "$lab_run/syn.pcap" 2>/dev/null)
for want in 'IP 10.1.0.10.*mss 1398' 'IP6 fd00:1::10.*mss 1378'; do
	grep -q "$want" <<<"$syn" || fail "no '$want' in: $syn"
done
