#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Wireshark reads our ESP with the keys from `lanemesh sa --wireshark`: every ICV good, the inner
# packets visible. Keys come out only when the config allows it.
lab_sites="1 2"
. "$(dirname "$0")/lib.sh"
need tshark tcpdump
lab_keys
lab_network
capture wan wan site1 udp port 4500
lab_start

pings host1 10.2.0.10
pings host2 fd00:1::10 -s 1000
iperf host1 host2 10.2.0.10 -n 200K >/dev/null
capture_end wan

options=(-o esp.enable_encryption_decode:TRUE -o esp.enable_authentication_check:TRUE)
while read -r line; do
	options+=(-o "uat:esp_sa:$line")
done < <(lab_cli 1 sa --wireshark)
is "${#options[@]}" -ge 6 "options for tshark: SAs both ways in two families"

HOME=$lab_run tshark -r "$lab_run/wan.pcap" "${options[@]}" -Y esp -T fields -e esp.spi \
	-e esp.icv_good -e esp.icv_bad -e _ws.col.Protocol >"$lab_run/esp.txt" 2>"$lab_run/tshark.err" ||
	fail "tshark: $(cat "$lab_run/tshark.err")"
all=$(captured wan 'udp[8] & 0x80 != 0')
good=$(awk -F'\t' '$2 == 1 || $2 == "True"' "$lab_run/esp.txt" | wc -l)
bad=$(awk -F'\t' '$3 == 1 || $3 == "True"' "$lab_run/esp.txt" | wc -l)
say "$all ESP packets, $good with good ICV, $bad bad"
is "$all" -gt 100 "ESP packets in the capture"
is "$good" = "$all" "ESP packets with a good ICV"
is "$bad" = 0 "ESP packets with a bad ICV"
for inner in 'icmp && ip.src == 10.1.0.10 && ip.dst == 10.2.0.10' 'icmpv6 && ipv6.src == fd00:2::10' \
	'tcp.port == 5201'; do
	n=$(HOME=$lab_run tshark -r "$lab_run/wan.pcap" "${options[@]}" -Y "$inner" 2>/dev/null | wc -l)
	is "$n" -ge 3 "decrypted packets: $inner"
done

# Without permission: refused, with the cure. It can be taken away while running.
sed -i 's/allow_key_export = true/allow_key_export = false/' "$lab_run/gw1.conf"
lab_cli 1 reload || fail "reload"
out=$(lab_cli 1 sa --wireshark 2>&1) && fail "keys came out without permission: $out"
grep -q 'allow_key_export = true' <<<"$out" || fail "message without cure: $out"
lab_cli 1 sa >/dev/null || fail "sa without keys"
