#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# A gateway with default settings and without hugepages: less than 512 MB, less than 15 % of a core
# when idle, and under traffic and rekeys it neither grows nor leaks descriptors.
# alone
. "$(dirname "$0")/lib.sh"
lab_extra='memory = { hugepages = "no"; };'
lab_rekey=2
up

# CPU time of gateway 1 in ms
cpu()
{
	local f
	read -ra f < <(sed 's/.*) //' "/proc/$(gw_pid 1)/stat")
	echo $(((f[11] + f[12]) * 1000 / $(getconf CLK_TCK)))
}
# resident memory in kB
rss()
{
	awk '/^VmRSS/ {print $2}' "/proc/$(gw_pid 1)/status"
}
fds()
{
	find "/proc/$(gw_pid 1)/fd" -mindepth 1 | wc -l
}

cpu0=$(cpu)
t0=$(now_ms)
wait_for 15 "5 s of idling" sh -c "read -r t _ </proc/uptime; [ \$((\${t%.*} * 1000)) -ge $((t0 + 5000)) ]"
percent=$((($(cpu) - cpu0) * 100 / ($(now_ms) - t0)))
say "idle: $(($(rss) / 1024)) MB"
figure $percent -lt 15 "percent of a core when idle, rekeys every 2 s"
is $percent -lt 50 "percent of a core when idle"

iperf host1 host2 10.2.0.10 -t 2 -P 4 >/dev/null
rss0=$(rss)
fds0=$(fds)
rekeys=$(counter 1 rekeys)
stream load host1 host2 10.2.0.10 1000 8 8
wait_for 20 "3 rekeys" at_least 1 rekeys $((rekeys + 3))
for ((i = 0; i < 100; i++)); do lab_cli 1 status >/dev/null; done
streamed load
rss1=$(rss)
say "after load and rekeys: $((rss0 / 1024)) to $((rss1 / 1024)) MB, $fds0 to $(fds) descriptors"
is $((rss1 / 1024)) -lt 512 "MB of memory"
is "$rss1" -le $((rss0 + 4096)) "kB of memory after rekeys and questions ($rss0 before)"
is "$(fds)" -le "$fds0" "open descriptors"
