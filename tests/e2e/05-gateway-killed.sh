#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# kill -9 of a gateway at any moment: it comes back in seconds, the other side follows, no key or
# SPI is ever used again (FAULTS row 26). LM_KILLS says how often.
lab_sites="1 2"
. "$(dirname "$0")/lib.sh"
need tcpdump
kills=${LM_KILLS:-5}
lab_rekey=4
up
pings host1 10.2.0.10
capture wan wan site1 'udp port 4500 and udp[8] & 0x80 != 0'

worst=0
: >"$lab_run/keys.seen"
for ((i = 1; i <= kills; i++)); do
	keys_of 1 >"$lab_run/keys.before"
	# At any moment: also in the middle of start and rekey.
	sleep "0.$((RANDOM % 90 + 10))"
	kill -9 "$(gw_pid 1)"
	wait_for 5 "end of gw1" sh -c "! kill -0 $(gw_pid 1)"
	start=$(now_ms)
	lab_start_gateway 1
	wait_for 10 "ping through the mesh after kill $i" lab_ping host1 10.2.0.10
	took=$(($(now_ms) - start))
	[ $took -le $worst ] || worst=$took
	# The other side uses the new session too.
	pings host2 10.1.0.10
	keys_of 1 >"$lab_run/keys.after"
	sort -u "$lab_run/keys.before" >>"$lab_run/keys.seen"
	reused=$(sort -u "$lab_run/keys.seen" | comm -12 - "$lab_run/keys.after")
	is "$reused" = "" "keys used again after kill $i"
done
figure $worst -le 5000 "ms, the longest from start to first ping of $kills kills"
capture_end wan

# On the wire: a number is used once for each SPI.
twice=$(py wan PCAP="$lab_run/wan.pcap" <<'EOP'
import os, struct
from collections import Counter
from espkit import *
from scapy.all import RawPcapReader
seen = Counter()
for data, _ in RawPcapReader(os.environ["PCAP"]):
    seen[data[42:50]] += 1
print(sum(n - 1 for n in seen.values()))
EOP
)
is "$twice" = 0 "pairs of SPI and sequence number seen twice"

# The state on disk is whole: the gateway that only has its disk finds its peer.
lab_stop coord KILL
kill -9 "$(gw_pid 1)"
wait_for 5 "end of gw1" sh -c "! kill -0 $(gw_pid 1)"
lab_start_gateway 1
wait_for 10 "ping after a start from disk" lab_ping host1 10.2.0.10

# Politely ended, it tells the others: gw2 knows at once, not by a timeout.
silences()
{
	grep -c 'silent for' "$lab_run/gw2.log" || true
}
silent=$(silences)
lab_stop gw1
wait_for 3 "gw2 sees gw1 leave" has_peers 2 0
is "$(silences)" = "$silent" "times that gw2 found gw1 silent"
