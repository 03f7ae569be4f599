#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A WAN with IPv6 alone: coordinator, handshakes and tunnels run over it.
. "$(dirname "$0")/lib.sh"
need iperf3 tcpdump
lab_underlay=6
lab_rekey=2
lab_keys
lab_network
capture wan wan site1 ip
lab_start
is "$(ask 1 peers "r[0]['endpoint']")" = '[2001:db8:2::2]:4500' "gw2's endpoint"
pings host1 10.2.0.10
pings host2 fd00:1::10
say "TCP: $(iperf host1 host2 10.2.0.10 -t 2), over IPv6 $(iperf host2 host1 fd00:1::10 -t 2) Mbit/s"
# The tunnel's MTU is 20 less than over IPv4.
out=$(lab_in host1 ping -M "do" -c1 -W2 -s 1472 10.2.0.10 || true)
grep -q 'mtu = 1418' <<<"$out" || fail "no 'mtu = 1418': $out"
lab_in host1 ping -M "do" -c1 -W2 -s 1390 10.2.0.10 >/dev/null || fail "1418 bytes do not pass"
wait_for 10 "rekeys" at_least 1 rekeys 2
pings host1 fd00:2::10
capture_end wan
is "$(captured wan)" = 0 "IPv4 packets on the WAN"
