#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Forged or replayed packets from another address move nothing (FAULTS row 9); an authentic newest
# one from a new address does not either, unless that address answers a probe.
. "$(dirname "$0")/lib.sh"
need tcpdump
up
one_session 2 gw1
pings host1 10.2.0.10
capture wan wan site2 'src host 198.18.1.2 and udp port 4500'
pings host1 10.2.0.10
captures wan 'udp[8] & 0x80 != 0' 3
capture_end wan
endpoint()
{
	ask 2 peers "r[0]['endpoint']"
}
is "$(endpoint)" = 198.18.1.2:4500 "gw1's endpoint as gw2 sees it"

start=$(now_ms)
capture victim wan site2 'dst host 198.18.1.77'
replay=$(counter 2 esp_replay)
n=$(py wan MAC="$(gw_mac 2 wan0)" PCAP="$lab_run/wan.pcap" SA="$(sa_of 2 gw1 in)" <<'EOP'
from espkit import *
seen = [p[IP] for p in rdpcap(os.environ["PCAP"])]
esp = [p for p in seen if bytes(p[UDP].payload)[0] & 0x80]
def moved(p, bit=None):
    data = bytearray(bytes(p[UDP].payload))
    if bit is not None:
        data[bit // 8] ^= 1 << bit % 8
    return IP(src="198.18.1.77", dst=p.dst) / UDP(sport=4500, dport=4500, chksum=0) / bytes(data)
wire("site2", [moved(p) for p in seen])                                        # replays, control included
wire("site2", [moved(p, bit) for p in esp for bit in (39, 63, 300, 500)])     # forged: another number, another byte
sa = Sa(os.environ["SA"], "198.18.1.77", "198.18.2.2")
wire("site2", [sa.seal(3000, IP(src="10.1.0.10", dst="10.2.0.10") / UDP(dport=7777))])  # authentic
print(len(esp))
EOP
)
counts_to 2 esp_replay $((replay + 3 * n)) # also those that were forged behind the number
counts_to 2 esp_icv $((2 * n))
# The probe to the stranger goes out, nothing else does, and bulk does not move.
captures victim 'udp port 4500' 1
pings host2 10.1.0.10
is "$(captured victim 'udp[8] & 0x80 != 0')" = 0 "ESP packets to the address that somebody claimed"
is "$(captured victim)" -le $((5 * ($(now_ms) - start) / 1000 + 5)) "probes to the address that somebody claimed, 5 a second"
is "$(counter 2 moves)" = 0 "gw2 moves"
is "$(endpoint)" = 198.18.1.2:4500 "gw1's endpoint as gw2 sees it"
is "$(counter 2 sessions_down)" = 0 "gw2 sessions_down"
