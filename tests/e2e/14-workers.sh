#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Two and four workers: lanes, packets handed over to the lane's worker, flows spread and each in
# order; gateways with different numbers of workers understand each other.
# alone
. "$(dirname "$0")/lib.sh"
need iperf3
lab_keys
lab_network
lab_workers=2 lab_gateway_config 1 >"$lab_run/gw1.conf"
lab_workers=4 lab_gateway_config 2 >"$lab_run/gw2.conf"
lab_start
is "$(ask 1 workers 'len(r)')" = 2 "workers of gw1"
is "$(ask 1 sa-keys "len({k['lane'] for k in r if k['direction'] == 'in'})")" = 4 "lanes that gw1 receives"
is "$(ask 1 sa-keys "len({k['lane'] for k in r if k['direction'] == 'out'})")" = 2 "lanes that gw1 sends"
is "$(ask 1 sa-keys "len({k['key'] for k in r}) == len(r)")" = True "a key of its own for each SA"

for _ in 1 2; do
	pings host1 10.2.0.10
	pings host2 fd00:1::10
done
say "TCP: $(iperf host1 host2 10.2.0.10 -t 2 -P 8) and $(iperf host2 host1 fd00:1::10 -t 2 -P 8) Mbit/s with 8 flows"
# TCP at full speed may fill a ring whose worker waits for one of the machine's few cores: counted
# drops. The paced streams do not.
declare -A full
for n in 1 2; do
	full[$n]=$(counter $n handover_full)
done
stream there host1 host2 10.2.0.10 500 8 32
stream back host2 host1 10.1.0.10 500 8 32
for s in there back; do
	streamed $s
	is "$(result $s lost)" = 0 "packets lost $s"
	is "$(result $s duplicates)" = 0 "packets that came twice $s"
	is "$(result $s reordered)" = 0 "packets out of order in their flow $s"
done
for n in 1 2; do
	is "$(counter $n handed_over)" -gt 100 "packets that gw$n's workers handed over"
	figure $(($(counter $n handover_full) - full[n])) -eq 0 "gw$n handover_full"
	is "$(ask $n workers "len([w for w in r if w['rx_packets'] > 100])")" -ge 2 "workers of gw$n with traffic"
	is "$(counter $n esp_replay)" = 0 "gw$n esp_replay"
done
# What the workers' load looks like, under traffic, in the table and as JSON.
iperf host1 host2 10.2.0.10 -t 4 -P 8 >/dev/null &
lab_cli 1 workers >"$lab_run/table"
lab_cli 1 --json workers -n 2 >"$lab_run/workers.json"
lab_cli 1 ports >"$lab_run/ports"
wait $!
is "$(wc -l <"$lab_run/table")" = 3 "lines of lanemesh workers"
/usr/bin/python3 - "$lab_run/workers.json" <<'EOP' || fail "workers: $(cat "$lab_run/workers.json")"
import json, sys
rows = json.load(open(sys.argv[1]))
assert [w["worker"] for w in rows] == [0, 1], rows
for w in rows:
    assert 0 < w["busy_share"] <= 1 and abs(w["busy_share"] + w["idle_share"] - 1) < 1e-6, w
    assert 0 < w["busy_ns"] <= w["running_ns"], w
    assert 1 <= w["mean_burst"] <= 64 and 0 <= w["full_burst_share"] <= 1, w
assert sum(w["handed_out"] for w in rows) > 0
assert any(w["packets_per_second"] > 100 for w in rows), rows
EOP
is "$(awk '$1 == "wan0" {print $6}' "$lab_run/ports")" = ring "steering of an af_packet port"
is "$(awk '$1 == "wan0" {print $5}' "$lab_run/ports")" = 2 "queues of an af_packet port"

# Every lane carries something: the outer SPIs differ.
capture wan wan site1 'src host 198.18.2.2 and udp[8] & 0x80 != 0'
iperf host2 host1 10.1.0.10 -t 1 -P 16 -b 500K >/dev/null
capture_end wan
lanes=$(tcpdump -nr "$lab_run/wan.pcap" -x 2>/dev/null | awk '/0x0010:/ {print $8 $9}' | sort -u | wc -l)
is "$lanes" -ge 2 "lanes on the wire with 16 flows"
say "$lanes lanes on the wire"
