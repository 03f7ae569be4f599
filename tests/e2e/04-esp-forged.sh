#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# ESP by scapy with a peer's keys is taken; a replay of it, a flipped bit, a wrong length, an
# inner source that is not the peer's (FAULTS row 30), a way on to a third site are not, each
# counted by name. A wild sequence number does not move the window unless it is authentic (row 8).
lab_sites="1 2 3"
. "$(dirname "$0")/lib.sh"
need tcpdump
lab_workers=1
up
one_session 2 gw1
pings host1 10.2.0.10 # gw1 has used the first numbers
capture lan host2 eth0 ip or ip6

py wan MAC="$(gw_mac 2 wan0)" SA="$(sa_of 2 gw1 in)" <<'EOP'
import os
from espkit import *

sa = Sa(os.environ["SA"], "198.18.1.2", "198.18.2.2")
udp = UDP(sport=1, dport=7777) / b"forged"
good = IP(src="10.1.0.10", dst="10.2.0.10") / udp
p = sa.seal(1000, good)
wire("site2", [p])                       # taken
wire("site2", [p, p, p])                 # replays
wire("site2", [flipped(sa.seal(1001, good), b) for b in (0, 77, 200)])
wire("site2", [flipped(sa.seal(4000000000, good), 5)])  # far ahead, not authentic
wire("site2", [sa.seal(1002, IPv6(src="fd00:1::10", dst="fd00:2::10") / udp)])  # taken
wire("site2", [sa.seal(1, good)])        # a number that gw1 itself has used
cut = sa.seal(1003, good)
data = raw(cut[UDP].payload)
for n in (5, 8, 16, 31, 33, len(data) - 1):
    wire("site2", [IP(src="198.18.1.2", dst="198.18.2.2") / UDP(sport=4500, dport=4500, chksum=0) / data[:n]])
zero = bytearray(data)
zero[4:8] = bytes(4)
wire("site2", [IP(src="198.18.1.2", dst="198.18.2.2") / UDP(sport=4500, dport=4500, chksum=0) / bytes(zero)])
denied = [IP(src="10.3.0.10", dst="10.2.0.10") / udp,        # another site's
          IP(src="10.2.0.11", dst="10.2.0.10") / udp,        # the receiver's own
          IP(src="192.0.2.1", dst="10.2.0.10") / udp,        # nobody's
          IP(src="0.0.0.0", dst="10.2.0.10") / udp,
          IPv6(src="fd00:3::10", dst="fd00:2::10") / udp,
          IPv6(src="::ffff:10.1.0.10", dst="fd00:2::10") / udp,
          IPv6(src="::10.1.0.10", dst="fd00:2::10") / udp,
          IPv6(src="::", dst="fd00:2::10") / udp,
          IPv6(src="::1", dst="fd00:2::10") / udp,
          IP(src="10.3.0.10", dst="10.2.0.10", flags="MF", frag=0) / udp,
          IP(src="10.3.0.10", dst="10.2.0.10", frag=64) / udp]
wire("site2", [sa.seal(2000 + i, d) for i, d in enumerate(denied)])
wire("site2", [sa.seal(2100, IP(src="10.1.0.10", dst="10.3.0.10") / udp),       # on to site 3
               sa.seal(2101, IPv6(src="fd00:1::10", dst="fd00:3::10") / udp)])
wire("site2", [sa.seal(2200, IP(src="10.1.0.10", dst="198.18.100.10") / udp),   # out to the WAN
               sa.seal(2201, IP(src="10.1.0.10", dst="255.255.255.255") / udp),
               sa.seal(2202, IPv6(src="fd00:1::10", dst="ff02::1") / udp)])
wire("site2", [sa.seal(3000, good)])     # taken: the window is where it should be
EOP

captures lan 'dst port 7777' 3
counts_to 2 inner_source_denied 11
counts_to 2 inner_to_mesh 2
counts_to 2 inner_no_route 3
counts_to 2 esp_icv 4
counts_to 2 esp_replay 4
counts_to 2 esp_seq_zero 1
is $(($(counter 2 esp_short) + $(counter 2 demux_bad))) -ge 6 "gw2 esp_short and demux_bad"
capture_end lan
is "$(captured lan 'port 7777')" = 3 "forged packets on the LAN of site 2"

# The real peer goes on over the same SA, and nothing of it came to site 3.
pings host1 10.2.0.10
pings host1 fd00:2::10
is "$(counter 3 opened_packets)" = 0 "packets opened by gw3"
