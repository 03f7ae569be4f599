#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# The WAN port takes the tunnel's UDP port, ARP and ND, and some ICMP; no plaintext gets through to
# the LAN, whatever it is wrapped in, and every frame is counted (FAULTS row 31).
. "$(dirname "$0")/lib.sh"
need tcpdump
up
pings host1 10.2.0.10
# Everything but what the gateway's kernel says on the LAN by itself.
capture lan host2 eth0 'not arp and not (icmp6 and ip6[40] >= 133 and ip6[40] <= 143) and not ip6 proto 0'

# All that gw2 drops on the WAN side; the start of sessions may have left some too.
drops()
{
	ask 2 drops "sum(r[c] for c in '''wan_filtered wan_malformed wan_not_for_us wan_fragment demux_bad
		stun_unexpected esp_unknown_spi esp_short ctl_malformed ctl_unknown_session ctl_mac1_bad
		ctl_transport_bad'''.split())"
}
before=$(drops)
rx=$(counter 2 wan_rx_packets)
sent=$(py wan MAC="$(gw_mac 2 wan0)" <<'EOP'
from espkit import *
from scapy.all import GRE, VXLAN, ARP
udp = UDP(sport=1, dport=7777) / b"in the clear"
inner4 = IP(src="10.1.0.10", dst="10.2.0.10") / udp
inner6 = IPv6(src="fd00:1::10", dst="fd00:2::10") / udp
o4 = dict(src="198.18.1.2", dst="198.18.2.2")
plain = [inner4, inner6, IP(src="198.18.2.1", dst="10.2.0.10") / udp, IP(src="10.1.0.10", dst="10.2.0.10") / ICMP(),
         IP(src="10.1.0.10", dst="10.2.0.10") / TCP(dport=22, flags="A"),
         IP(src="10.1.0.10", dst="10.255.0.2") / ICMP(), IP(src="10.1.0.10", dst="10.2.0.1") / ICMP()]
for to in ("198.18.2.2", "10.2.0.10", "10.255.0.2"):
    for proto in range(256):
        if proto in (1, 6, 17):
            continue
        plain.append(IP(src="198.18.1.2", dst=to, proto=proto) / raw(inner4))
        plain.append(IPv6(src="fd00:1::10", dst="fd00:2::10", nh=proto) / raw(inner4))
plain += [IP(**o4) / inner4, IP(**o4) / inner6, IP(**o4) / GRE() / inner4,
          IP(**o4) / UDP(dport=4789) / VXLAN(vni=1) / Ether() / inner4,
          IP(**o4) / ESP(spi=0x80000000, seq=1, data=raw(inner4))]
plain += [IP(**o4) / UDP(sport=4500, dport=p) / raw(inner4) for p in list(range(1, 4500, 37)) + [4501, 22, 53, 67, 546, 65535]]
plain += [IP(**o4) / TCP(dport=p, flags="S") for p in (22, 80, 179, 443, 4500, 4600)]
plain += [IP(**o4) / ICMP(type=t) for t in (5, 9, 10, 13, 15, 17, 37)]
plain += [IP(**o4, flags="MF") / UDP(sport=4500, dport=4500) / bytes(64), IP(**o4, frag=8) / bytes(64)]
wire("site2", plain)
# To the tunnel's port, but neither ESP of ours nor control, and to it at another address
bad = [IP(**o4) / UDP(sport=4500, dport=4500) / d for d in
       (b"", b"\x00", b"\x00" * 8, b"\x7f" * 40, b"\x80" * 7, b"\xff" * 9, b"\x80\x00\x01\x00" + bytes(60), b"\x21\x12\xa4\x42" * 8)]
bad += [IP(src="198.18.1.2", dst=to) / UDP(sport=4500, dport=4500) / (b"\x80" + bytes(63)) for to in ("198.18.2.3", "10.2.0.1", "10.255.0.2")]
wire("site2", bad)
wire("site2", [inner4], mac="02:11:22:33:44:55")
print(len(plain) + len(bad) + 1)
EOP
)
wait_for 10 "all frames arrive at gw2" at_least 2 wan_rx_packets $((rx + sent))

# What was sent above is the sum of the drops.
is "$(counter 2 wan_fragment)" = 5 "outer fragments that gw2 dropped"
total=$(($(drops) - before))
is $total = "$sent" "frames dropped by name: $(lab_cli 2 drops)"

# A ping to the WAN address is for the kernel twin, which answers.
lab_in wan ping -c2 -i0.1 -W2 198.18.2.2 >/dev/null || fail "no answer to a ping to the WAN address"
# Not so one to the LAN address through the WAN.
lab_in wan ip route add 10.2.0.0/24 via 198.18.2.2
lab_in wan ping -c1 -W1 10.2.0.1 >/dev/null && fail "the LAN address answers on the WAN"
lab_in wan ping -c1 -W1 10.2.0.10 >/dev/null && fail "a LAN host answers on the WAN"
capture_end lan
is "$(captured lan)" = 0 "frames on the LAN: $(tcpdump -nr "$lab_run/lan.pcap" 2>/dev/null | head -n 3)"
pings host1 10.2.0.10
