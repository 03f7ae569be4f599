#!/usr/bin/env bash
# SPDX-License-Identifier: BSD-3-Clause
# Who is not a member stays out, at a start and while running: another authority's node, an expired
# one, one without certificate, a revoked one. Each is refused by the others, logged, counted.
# Gateway 3 is the offender: it knows the others from when it was a member, and trusts itself.
lab_sites="1 2 3"
. "$(dirname "$0")/lib.sh"
lab_coord_extra="revocation_list = \"$lab_run/revoked.coord\";"
lab_extra="revocation_list = \"$lab_run/revoked.gw\";"
faketime=$(e2e_faketime)

lanemesh()
{
	"$lab_build/app/lanemesh" "$@"
}

# Tries to start gateway N, which must end by itself with status 1 and this in its log.
refuses_start()
{
	local n=$1 text=$2 status=0
	timeout 60 ip netns exec "${lab_ns}gw$n" "$lab_build/app/lanemeshd" -i "${lab_inst}gw$n" \
		-c "$lab_run/gw$n.conf" >"$lab_run/start.txt" 2>&1 </dev/null || status=$?
	is $status = 1 "exit status of a gateway that must not start ($text): $(cat "$lab_run/start.txt")"
	grep -qF -- "$text" "$lab_run/start.txt" || fail "no '$text' in: $(cat "$lab_run/start.txt")"
}

# COUNTER: gateways 1 and 2 refuse gateway 3 for this reason, and log it
refused()
{
	local n
	wait_for 20 "gw1 or gw2 refuses gw3: $1" e2e_refused "$1"
	for n in 1 2; do
		has_peers $n 1 || fail "gw$n has $(peers_up $n) peers up, only the good one may be"
	done
	lab_in host3 ping -c2 -i0.1 -W1 10.1.0.10 >/dev/null && fail "gw3 got through: $1"
	return 0
}

e2e_refused()
{
	[ $(($(counter 1 "$1") + $(counter 2 "$1"))) -gt 0 ]
}

# Empty lists to begin with.
lab_authority
for to in coord gw; do
	lanemesh revoke --authority "$lab_run/keys/authority.key" --list "$lab_run/revoked.$to" \
		--mesh quickstart >/dev/null
done
cp "$lab_run/revoked.coord" "$lab_run/revoked.old"
for n in 1 2 3; do lab_identity $n --not-before 2020-01-01T00:00:00Z --not-after 2040-01-01T00:00:00Z; done
lab_network
lab_start
pings host3 10.1.0.10
lab_stop gw3
for n in 1 2; do wait_for 5 "gw$n sees gw3 leave" has_peers $n 1; done
cp "$lab_run/keys/gw3.crt" "$lab_run/good.crt"
cp "$lab_run/gw3.conf" "$lab_run/good.conf"

# -- no certificate, somebody else's
rm "$lab_run/keys/gw3.crt"
refuses_start 3 "keys/gw3.crt"
echo garbage >"$lab_run/keys/gw3.crt"
refuses_start 3 "keys/gw3.crt"
cp "$lab_run/keys/gw2.crt" "$lab_run/keys/gw3.crt"
refuses_start 3 "keys/gw3.crt"

# -- signed by another authority, which gateway 3 trusts too
lanemesh authority create -o "$lab_run/keys/other.key" >"$lab_run/keys/other.pub"
lanemesh sign --authority "$lab_run/keys/other.key" --mesh quickstart --name gw3 \
	--node "$(cat "$lab_run/keys/gw3.pub")" --overlay 10.255.0.3 --prefix 10.3.0.0/24 \
	-o "$lab_run/other.crt" >/dev/null
cp "$lab_run/other.crt" "$lab_run/keys/gw3.crt"
refuses_start 3 "authority"
sed "s/authorities = \\[ /&\"$(cat "$lab_run/keys/other.pub")\", /" "$lab_run/good.conf" >"$lab_run/gw3.conf"
lab_start_gateway 3
refused ctl_cert_unknown_authority
logged 1 "not signed by a configured authority" || logged 2 "not signed by a configured authority" ||
	logged 1 "authority" || fail "no refusal logged"
lab_stop gw3
cp "$lab_run/good.conf" "$lab_run/gw3.conf"

# -- expired; gateway 3 lives in the past, where it still is good
rm "$lab_run/keys/gw3.crt"
lanemesh sign --authority "$lab_run/keys/authority.key" --mesh quickstart --name gw3 \
	--node "$(cat "$lab_run/keys/gw3.pub")" --overlay 10.255.0.3 --prefix 10.3.0.0/24 \
	--not-before 2020-01-01T00:00:00Z --not-after 2020-12-31T00:00:00Z \
	-o "$lab_run/keys/gw3.crt" >/dev/null
# The lists on its disk and in its config tell the date: without them it believes its clock.
sed -i '/^revocation_list/d' "$lab_run/gw3.conf"
refuses_start 3 "expired"
if [ -n "$faketime" ]; then
	mv "$lab_run/gw3" "$lab_run/gw3.state"
	lab_env="LD_PRELOAD=$faketime FAKETIME=@2020-06-01_00:00:00 FAKETIME_FMT=%Y-%m-%d_%H:%M:%S FAKETIME_DONT_FAKE_MONOTONIC=1" \
		lab_start_gateway 3
	# The coordinator refuses it, so it learns of nobody; but gateways 1 and 2 call it, since they
	# know it from before.
	refused ctl_cert_expired
	lab_stop gw3
	rm -rf "$lab_run/gw3"
	mv "$lab_run/gw3.state" "$lab_run/gw3"
else
	say "expired nodes are not tried live: no libfaketime"
fi

# -- revoked, through the coordinator's list: a member again, then not
cp "$lab_run/good.crt" "$lab_run/keys/gw3.crt"
cp "$lab_run/good.conf" "$lab_run/gw3.conf"
lab_start_gateway 3
wait_for 20 "gw3 is back" has_peers 3 2
wait_for 5 "gw3 reaches host1" lab_ping host3 10.1.0.10
start=$(now_ms)
lanemesh revoke --authority "$lab_run/keys/authority.key" --list "$lab_run/revoked.coord" \
	--node "$(cat "$lab_run/keys/gw3.pub")" >/dev/null
for n in 1 2; do
	wait_for 60 "gw$n ends the sessions of the revoked gw3" has_peers $n 1
done
say "revoked at the coordinator: sessions ended within $(($(now_ms) - start)) ms"
lab_in host3 ping -c2 -i0.1 -W1 10.1.0.10 >/dev/null && fail "a revoked gateway still gets through"
# It cannot come back, whether it knows or not: an older list does not help, nor its own restart.
lab_stop gw3
rm -rf "$lab_run/gw3/"
cp "$lab_run/revoked.old" "$lab_run/revoked.gw"
lab_cli 1 reload >/dev/null
has_peers 1 1 || fail "an older revocation list brought gw3 back"

# -- revoked, through a gateway's own file, by serial: gateway 2's sessions with gateway 1 end
lab_stop coord
cp "$lab_run/revoked.coord" "$lab_run/revoked.gw"
start=$(now_ms)
lanemesh revoke --authority "$lab_run/keys/authority.key" --list "$lab_run/revoked.gw" \
	--cert "$lab_run/keys/gw2.crt" >/dev/null
lab_cli 1 reload >/dev/null
wait_for 5 "gw1 ends the session of gw2" has_peers 1 0
say "revoked by a gateway's own file: session ended within $(($(now_ms) - start)) ms"
lab_in host2 ping -c2 -i0.1 -W1 10.1.0.10 >/dev/null && fail "a revoked gateway still gets through"
wait_for 20 "gw2, revoked, is refused by gw1" at_least 1 ctl_cert_revoked 1
has_peers 1 0 || fail "gw2 came back"
# Also after a restart: the list is on gateway 1's disk.
rm "$lab_run/revoked.gw"
lab_stop gw1 KILL
lab_start_gateway 1
wait_for 10 "gw1 runs" ask 1 status
wait_for 20 "gw2, revoked, is refused by the restarted gw1" at_least 1 ctl_cert_revoked 1
has_peers 1 0 || fail "gw2 came back after a restart of gw1"
