#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Under load a worker makes no system calls but those of its idle sleeps and of the af_packet ports
# (send, poll), and the wake-up of the control thread when there is something for it.
# alone
. "$(dirname "$0")/lib.sh"
need strace iperf3
up
pid=$(gw_pid 1)
tid=
for t in "/proc/$pid/task"/*; do
	grep -q '^lcore-worker\|^dpdk-worker\|^rte-worker' "$t/comm" && tid=${t##*/}
done
[ -n "$tid" ] || fail "no worker thread: $(cat "/proc/$pid/task"/*/comm)"
before=$(counter 1 sealed_packets)
lab_in host2 iperf3 -s -1 >/dev/null 2>&1 &
disown
wait_for 5 "iperf3 server" sh -c "ip netns exec ${lab_ns}host2 ss -ltnH | grep -q :5201"
lab_in host1 iperf3 -c 10.2.0.10 -t 4 >/dev/null &
client=$!
wait_for 5 "load" at_least 1 sealed_packets $((before + 200))

strace -c -p "$tid" -o "$lab_run/calls" 2>"$lab_run/attached" &
strace=$!
attached()
{
	grep -q attached "$lab_run/attached" || ! kill -0 $strace
}
wait_for 5 "strace" attached
kill -0 $strace 2>/dev/null || skip "strace cannot attach here: $(cat "$lab_run/attached")"
before=$(($(counter 1 sealed_packets) + $(counter 1 opened_packets)))
wait $client || fail "iperf3"
packets=$(($(counter 1 sealed_packets) + $(counter 1 opened_packets) - before))
kill -TERM $strace
wait $strace || true
cat "$lab_run/calls"
awk '/^ *[0-9]/ && $NF != "total" {print $NF}' "$lab_run/calls" | sort >"$lab_run/names"
other=$(grep -vxE 'clock_nanosleep|sendto|poll|write|restart_syscall' "$lab_run/names" || true)
is $packets -gt 1000 "packets under strace"
is "$other" = "" "other system calls of a worker under load"
say "$packets packets"
