#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# On the WAN is nothing but ESP in UDP, control messages, ARP and ND, and the link to the
# coordinator; not a byte of plaintext.
lab_sites="1 2"
. "$(dirname "$0")/lib.sh"
need tcpdump
lab_keys
lab_network
for i in site1 site2 coord; do
	capture $i wan $i
done
capture lan host2 eth0
lab_start

marker=PLAINTEXT-MARKER-OF-THIS-TEST
pattern=$(printf 'PLAINTEXT-MARK' | od -An -tx1 | tr -d ' \n')
pings host1 10.2.0.10 -p "$pattern" -s 200
pings host2 fd00:1::10 -p "$pattern" -s 200
lab_in host1 /usr/bin/python3 -c "
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for i in range(20):
    s.sendto(b'$marker' * 20, ('10.2.0.10', 9999))"
captures lan 'udp port 9999' 20
for i in site1 site2 coord lan; do
	capture_end $i
done

grep -qa "$marker" "$lab_run/lan.pcap" || fail "the marker is not even on the LAN"
grep -qa "PLAINTEXT-MARK" "$lab_run/lan.pcap" || fail "the ping's marker is not even on the LAN"
for i in site1 site2; do
	# ND and MLD are ICMPv6 133-137, 143 (behind a hop-by-hop header).
	other='not (udp port 4500 or arp or (tcp port 4600 and host 198.18.100.10)
		or (icmp6 and ip6[40] >= 133 and ip6[40] <= 137) or ip6 proto 0)'
	is "$(captured $i "$other")" = 0 "foreign packets on $i: $(tcpdump -nr "$lab_run/$i.pcap" "$other" 2>/dev/null | head -n 3)"
	is "$(captured $i 'udp port 4500 and udp[8] & 0x80 != 0')" -ge 30 "ESP packets on $i"
	is "$(captured $i 'udp port 4500 and udp[8:4] == 0')" -gt 1 "control messages on $i"
	is "$(captured $i 'tcp port 4600')" -gt 4 "coordinator segments on $i"
	# Neither ESP, control, STUN (its magic cookie), nor keepalive: nothing else shares the port.
	is "$(captured $i 'udp port 4500 and udp[8] & 0x80 == 0 and udp[8:4] != 0 and udp[8] != 0xff
		and udp[12:4] != 0x2112a442')" = 0 \
		"datagrams of no known kind on $i"
done
for i in site1 site2 coord; do
	! grep -qaE 'PLAINTEXT|quickstart|gw[12]' "$lab_run/$i.pcap" ||
		fail "plaintext on $i: $(grep -oaE 'PLAINTEXT|quickstart|gw[12]' "$lab_run/$i.pcap" | sort | uniq -c)"
done
