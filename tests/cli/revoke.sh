#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# revoke: lists grow, are renewed, and are never mixed up.
. "$(dirname "$0")/lib.sh"

run 0 authority create -o auth
authority=$(cat out)
run 0 authority create -o auth2
nodes=()
for i in 1 2 3; do
	run 0 keygen -o key$i
	nodes+=("$(cat out)")
	run 0 sign --authority auth --node "${nodes[-1]}" --mesh test --name gw$i --serial 10$i -o cert$i
done
run 0 sign --authority auth2 --node "${nodes[0]}" --mesh test --name gw1 -o foreign
run 0 sign --authority auth --node "${nodes[0]}" --mesh other --name gw1 -o othermesh

revoke() {
	local want=$1
	shift
	run "$want" revoke --authority auth --list list "$@"
}

# A new list needs its mesh, from --mesh or a certificate.
revoke 1 --node "${nodes[0]}"
err_has "--mesh"
[ ! -e list ] || die "a list despite an error"
revoke 0 --mesh test --json
same "$(json number)" 1
same "$(json revoked_nodes)$(json revoked_serials)" ""
same "$(stat -c %a list)" 644
rm list
revoke 0 --cert cert1 --json
same "$(json mesh)" test
same "$(json revoked_serials)" 101

# It grows, sorted, each entry once, and its number with it.
revoke 0 --serial 5 --serial 5 --serial 300 --cert cert2 --cert cert1 --json
same "$(json number)" 2
same "$(json revoked_serials)" "5 101 102 300"
revoke 0 --node "${nodes[2]}" --node "${nodes[1]}" --node "${nodes[2]}" --json
same "$(json number)" 3
same "$(json revoked_nodes | tr ' ' '\n' | sort)" "$(printf '%s\n' "${nodes[1]}" "${nodes[2]}" | sort)"
same "$(json revoked_serials)" "5 101 102 300"
revoke 0 --json --next-update-days 1
same "$(json number)" 4
same "$(json validity)" ok
run 0 inspect list --authority-key "$authority" --json
same "$(json kind)" "revocation list"
same "$(json number)" 4
same "$(json signature_good)" True
same "$(json revoked_serials)" "5 101 102 300"
run 0 inspect list
[ "$(wc -L <out)" -le 100 ] || die "too wide"

# What does not belong together is refused, and the list stays.
cp list before
unchanged() {
	cmp -s list before || die "the list changed"
	[ ! -e list.tmp ] || die "a temporary file stays"
}
revoke 1 --mesh other
err_has "is of the mesh"
unchanged
revoke 1 --cert foreign
err_has "another authority"
unchanged
revoke 1 --cert othermesh
err_has "mesh"
unchanged
revoke 1 --cert nothing
err_has "nothing"
revoke 1 --cert key1
err_has "key1:1: this is a LANEMESH PRIVATE KEY"
revoke 1 --cert list
err_has "list:1: this is a LANEMESH REVOCATION LIST"
run 1 revoke --authority auth2 --list list
err_has "another authority"
run 1 revoke --authority key1 --list list
err_has "key1:1:"
run 1 revoke --authority auth --list cert1
err_has "cert1:1:"
unchanged
awk 'NR == 3 { $0 = ($0 ~ /^A/ ? "B" : "A") substr($0, 2) } 1' list >bad
run 1 revoke --authority auth --list bad
err_has "damaged"
run 1 revoke --authority auth --list no/list --mesh test
err_has "no/list"

# Bad values, option by option.
for value in "" x "${nodes[0]%?}" "z${nodes[0]#?}"; do
	revoke 2 --node "$value"
	err_has "--node"
done
for value in "" x -1 9223372036854775808; do
	revoke 2 --serial "$value"
	err_has "--serial"
done
for value in "" 0 3651 x; do
	revoke 2 --next-update-days "$value"
	err_has "--next-update-days"
done
for value in "" "a b" UP; do
	revoke 2 --mesh "$value"
	err_has "--mesh"
done
run 2 revoke --list list
err_has "--authority FILE is missing"
run 2 revoke --authority auth
err_has "--list FILE is missing"
revoke 2 extra
err_has "extra"
unchanged

# The most that a list can hold, and one more.
# shellcheck disable=SC2046 # each word is an argument
revoke 0 $(printf -- '--serial %d ' $(seq 1001 3044))
revoke 1 --serial 9999
err_has "at most 2048"
run 0 inspect list --json
same "$(json revoked_serials | wc -w)" 2048
