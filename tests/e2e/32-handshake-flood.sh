#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A stranger floods a gateway with datagrams that look like the start of handshakes (FAULTS row 1):
# traffic, rekeys and answers to the operator go on, and memory does not grow.
# alone
. "$(dirname "$0")/lib.sh"
# Without a successor a session ends after one and a half times this: a machine that stands still for
# a second must not end one.
lab_rekey=6
[ -z "${LM_LONG:-}" ] || lab_rekey=2
up
pings host1 10.2.0.10

rss()
{
	awk '/^VmRSS/ {print $2}' "/proc/$(gw_pid 2)/status"
}
flood()
{
	py wan MAC="$(gw_mac 2 wan0)" SECONDS_="$1" <<'EOP'
import os, socket, struct, time
from espkit import *
out = socket.socket(socket.AF_PACKET, socket.SOCK_RAW)
out.bind(("site2", 0))
frames = []
for i in range(256):  # every sort of control message, from many sources, with garbage in it
    kind = (1, 1, 1, 1, 2, 3, 4, 5)[i % 8]
    data = struct.pack(">IB3xI", 0, kind, 0x80000000 | i << 6) + os.urandom(1188)
    frames.append(raw(Ether(dst=os.environ["MAC"], src="02:00:00:00:00:99") /
                      IP(src="198.51.100.%d" % (i % 250 + 1), dst="198.18.2.2") /
                      UDP(sport=1024 + i, dport=4500) / data))
end, n = time.monotonic() + float(os.environ["SECONDS_"]), 0
while time.monotonic() < end:
    for _ in range(16):
        out.send(frames[n % len(frames)])
        n += 1
    time.sleep(0.001)
print(n)
EOP
}

flood 1 >/dev/null # what is needed once
rss0=$(rss)
down=$(counter 2 sessions_down)
bad=$(counter 2 ctl_mac1_bad)
rekeys=$(counter 2 rekeys)
# Longer than from one rekey to the next
stream users host1 host2 10.2.0.10 200 9
sent=$(flood 8)
lab_cli 2 status >/dev/null || fail "the gateway does not answer"
at_least 2 rekeys $((rekeys + 1)) || wait_for 20 "a rekey" at_least 2 rekeys $((rekeys + 1))
streamed users
rss1=$(rss)
say "$sent datagrams; $(($(counter 2 ctl_mac1_bad) - bad)) looked at, memory $rss0 to $rss1 kB"
is $(($(counter 2 ctl_mac1_bad) - bad)) -ge 1000 "made-up handshakes refused by their mac1"
is "$rss1" -le $((rss0 + 2048)) "kB of memory after the flood ($rss0 before)"
is "$(counter 2 sessions_down)" = "$down" "sessions that ended"
# The flood shares the WAN port's ring with them: it is full when a worker is off its core for long.
figure "$(result users lost)" -eq 0 "users' packets lost under the flood, of $(result users sent)"
is "$(result users received)" -ge 1 "users' packets that came under the flood"
pings host1 10.2.0.10
