#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# DPDK's telemetry socket answers /lanemesh/...; metrics are in Prometheus' format. What a port's
# ring had no room for is in all of them.
. "$(dirname "$0")/lib.sh"
lab_extra='metrics = "127.0.0.1:9469";'
up
pings host1 10.2.0.10

/usr/bin/python3 - "/run/dpdk/lanemesh-${lab_inst}gw1/dpdk_telemetry.v2" <<'EOP' || fail "telemetry socket"
import json, socket, sys

s = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
s.settimeout(30)
s.connect(sys.argv[1])
limit = json.loads(s.recv(1024))["max_output_len"]

def ask(command):
    s.send(command.encode())
    return json.loads(s.recv(limit))

commands = ask("/")["/"]
own = [c for c in commands if c.startswith("/lanemesh/")]
assert len(own) >= 9, commands
for c in own:
    answer = ask(c)[c]
    assert isinstance(answer, dict) and answer, (c, answer)
    assert "help" in ask(f"/help,{c}")["/help"].__str__() or ask(f"/help,{c}")["/help"][c], c
assert ask("/lanemesh/peers")["/lanemesh/peers"]["rows"] == 1
peer = ask("/lanemesh/peers,0")["/lanemesh/peers"]
assert peer["name"] == "gw2" and peer["state"] == "up", peer
assert ask("/lanemesh/peers,1")["/lanemesh/peers"] is None
assert ask("/lanemesh/peers,x")["/lanemesh/peers"] is None
assert ask("/lanemesh/traffic")["/lanemesh/traffic"]["sealed_packets"] >= 3
assert "key" not in ask("/lanemesh/sa,0")["/lanemesh/sa"]
assert ask("/ethdev/list")["/ethdev/list"] == [0, 1]
EOP

# Nobody takes packets from the LAN port while more come than the kernel's ring holds.
kill -STOP "$(gw_pid 1)"
py host1 <<'EOP' || { kill -CONT "$(gw_pid 1)"; fail "flood"; }
import socket
s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
for _ in range(5000):
    s.sendto(b"more than there is room for", ("10.2.0.10", 9))
EOP
kill -CONT "$(gw_pid 1)"
wait_for 5 "a missed packet" at_least 1 rx_missed 1
is "$(ask 1 drops "r['rx_missed']")" = "$(ask 1 ports "sum(p['rx_missed'] for p in r)")" \
	"missed: in drops, and in ports"

lab_in gw1 /usr/bin/python3 -c "
import urllib.request
print(urllib.request.urlopen('http://127.0.0.1:9469/metrics', timeout=30).read().decode(), end='')" \
	>"$lab_run/metrics" || fail "GET /metrics"
if command -v promtool >/dev/null; then
	promtool check metrics <"$lab_run/metrics" || fail "promtool"
fi
/usr/bin/python3 - "$lab_run/metrics" <<'EOP' || fail "format of the metrics"
import re, sys
seen, typed = set(), set()
for line in open(sys.argv[1]):
    if line.startswith("# TYPE "):
        name = line.split()[2]
        assert name not in typed, line
        typed.add(name)
    elif not line.startswith("#"):
        m = re.fullmatch(r'(lanemesh_[a-z0-9_]+)(\{[a-z_]+="[^"\\]*"\})? ([0-9.e+-]+)\n', line)
        assert m and m[1] in typed, line
        assert (m[1], m[2]) not in seen, line
        seen.add((m[1], m[2]))
names = {n for n, _ in seen}
assert {"lanemesh_worker_busy_seconds_total", "lanemesh_worker_handed_in_total"} <= names, names
assert {"lanemesh_peers_up", "lanemesh_drops_total", "lanemesh_sealed_packets_total"} <= names, names
EOP
grep -q '^lanemesh_peers_up 1$' "$lab_run/metrics" || fail "peers_up: $(grep peers_up "$lab_run/metrics")"
grep -q '^lanemesh_drops_total{reason="rx_missed"} [1-9]' "$lab_run/metrics" ||
	fail "missed: $(grep rx_missed "$lab_run/metrics")"
