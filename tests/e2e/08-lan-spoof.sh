#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A LAN host that sends from another site's prefix, or anybody's: dropped before it is sealed,
# counted (FAULTS row 30, LAN ingress).
. "$(dirname "$0")/lib.sh"
need tcpdump
up
pings host1 10.2.0.10
pings host1 fd00:2::10
capture lan host2 eth0 port 7777
sealed=$(counter 1 sealed_packets)

py host1 MAC="$(gw_mac 1 lan0)" <<'EOP'
from espkit import *
udp = UDP(sport=1, dport=7777) / b"spoofed"
v6 = IPv6(dst="fd00:2::10")
bad = [IP(src=s, dst="10.2.0.10") / udp for s in
       ("10.2.0.11", "10.3.0.10", "192.0.2.1", "198.18.2.2", "10.255.0.2", "127.0.0.1")]
bad += [IPv6(src=s, dst="fd00:2::10") / udp for s in
        ("fd00:2::11", "fd00:3::10", "2001:db8:2::2", "::ffff:10.1.0.10", "::10.1.0.10", "::1")]
bad += [IP(src="10.3.0.10", dst="10.2.0.10", flags="MF") / udp,
        IP(src="10.3.0.10", dst="10.2.0.10", frag=100) / udp]
wire("eth0", bad)
wire("eth0", [IP(src="10.1.0.99", dst="10.2.0.10") / udp, IPv6(src="fd00:1::99", dst="fd00:2::10") / udp])
EOP
captures lan 'src host 10.1.0.99 or src host fd00:1::99' 2
counts_to 1 lan_source_not_ours 14
is "$(captured lan)" = 2 "packets that came out at site 2"
is $(($(counter 1 sealed_packets) - sealed)) = 2 "packets that gw1 sealed"
