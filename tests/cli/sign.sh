#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# sign and inspect: certificates as asked for, and every option's bad values.
. "$(dirname "$0")/lib.sh"

run 0 authority create -o auth
authority=$(cat out)
run 0 authority create -o auth2
authority2=$(cat out)
run 0 keygen -o key
node=$(cat out)

sign() {
	local want=$1
	shift
	run "$want" sign --authority auth --node "$node" --mesh test --name gw1 -o cert "$@"
}

# Everything that a certificate can hold.
sign 0 --overlay 10.255.0.1 --overlay fd00:ff::1 --prefix 10.1.0.0/24 --prefix fd00:1::/64 \
	--segment 7 --segment 4294967295 --role relay --tag prod --tag eu-1 --serial 42 \
	--not-before 2026-01-31T12:00:00Z --not-after 2126-01-31T13:00:00+01:00
same "$(stat -c %a cert)" 644
run 0 inspect cert --json
same "$(json kind)" certificate
same "$(json node)" "$node"
same "$(json issuer)" "$authority"
same "$(json mesh)" test
same "$(json name)" gw1
same "$(json serial)" 42
same "$(json not_before)" 2026-01-31T12:00:00Z
same "$(json not_after)" 2126-01-31T12:00:00Z
same "$(json overlays)" "10.255.0.1 fd00:ff::1"
same "$(json prefixes)" "10.1.0.0/24 fd00:1::/64"
same "$(json segments)" "7 4294967295"
same "$(json roles)" relay
same "$(json tags)" "prod eu-1"
same "$(json validity)" ok
same "$(json signature_good)" True

# Defaults: a year from now, a serial of its own each time.
sign 0
run 0 inspect cert --json
# The second may have changed in between.
[[ $(json days_left) =~ ^36[45]$ ]] || die "days left: $(json days_left)"
serial=$(json serial)
sign 0 --days 10
run 0 inspect cert --json
[[ $(json days_left) =~ ^(9|10)$ ]] || die "days left: $(json days_left)"
[ "$(json serial)" != "$serial" ] || die "the same serial twice"
same "$(json prefixes)$(json overlays)$(json tags)$(json roles)" ""
sign 0 --not-before 2020-02-29T00:00:00Z --days 1
run 0 inspect cert --json
same "$(json not_after)" 2020-03-01T00:00:00Z
same "$(json validity)" expired
sign 0 --not-before 2999-01-01T00:00:00Z
run 0 inspect cert
out_has "not yet valid"

# Who signed it.
run 0 inspect cert --authority-key "$authority"
out_has "good, by the authority given"
run_bad inspect cert --authority-key "$authority2" --json
same "$(json signature_good)" False
# One changed character of the base64 text is seen.
for line in 2 3 4; do
	for at in 1 30; do
		awk -v l=$line -v a=$at 'NR == l {
			c = substr($0, a, 1); c = c == "A" ? "B" : "A"
			$0 = substr($0, 1, a - 1) c substr($0, a + 1) } 1' cert >bad
		cmp -s cert bad && die "nothing changed"
		got=0
		"$lanemesh" inspect bad >out 2>err || got=$?
		same $got 1
	done
done

# The table fits 100 columns, however much there is.
args=()
for i in $(seq 0 31); do args+=(--prefix "10.$i.0.0/16"); done
sign 0 "${args[@]}"
run 0 inspect cert
[ "$(wc -L <out)" -le 100 ] || die "a line is $(wc -L <out) columns wide"
run 0 inspect cert --json
same "$(json prefixes | wc -w)" 32

# Bad values, option by option: usage errors that name the option, and no file.
cp cert before
bad() { # OPTION VALUE [TEXT]
	sign 2 "$1" "$2"
	err_has "${3:-$1}"
	cmp -s cert before || die "the certificate changed"
}
for value in "" x 10.0.0.1/32 10.0.0 224.0.0.1 127.0.0.1 fe80::1 ::; do bad --overlay "$value"; done
for value in "" x 10.0.0.1/24 10.0.0.0/33 10.0.0.0/-1 fd00::/129 ::ffff:10.0.0.0/120; do
	bad --prefix "$value"
done
for value in "" x -1 4294967296 1.5 0x10; do bad --segment "$value"; done
for value in "" Relay admin; do bad --role "$value"; done
for value in "" UPPER "two words" -x seventeen-letters "ä"; do bad --tag "$value"; done
for value in "" 0 -1 36501 x 1d; do bad --days "$value"; done
for value in "" 0 -1 9223372036854775808 99999999999999999999 x; do bad --serial "$value"; done
for value in "" tomorrow 2026-01-31 2026-02-30T00:00:00Z 2026-13-01T00:00:00Z \
	2026-01-31T24:00:00Z 2026-01-31T00:00:00 1969-12-31T23:59:59Z 2026-01-31T00:00:00+1:00; do
	bad --not-before "$value"
	bad --not-after "$value"
done
bad --not-after 2020-01-01T00:00:00Z "end before"
for o in --overlay=10.0.0.1 --prefix=10.0.0.0/8 --segment=1 --tag=a; do
	sign 2 $o $o
	err_has "given twice"
done
for o in --serial=1 --days=1 --not-before=2026-01-01T00:00:00Z --mesh=test --name=a --node=$node; do
	sign 2 $o $o
	err_has "given twice"
done
sign 2 --overlay 10.0.0.1 --overlay 10.0.0.2 --overlay 10.0.0.3
err_has "at most 2"
sign 2 --days 1 --not-after 2126-01-01T00:00:00Z
err_has "--days and --not-after"
sign 2 "${args[@]}" --prefix fd00::/8
err_has "at most 32"
# shellcheck disable=SC2046 # each word is an argument
sign 2 $(printf -- '--tag t%d ' $(seq 9))
err_has "at most 8"
# shellcheck disable=SC2046 # each word is an argument
sign 2 $(printf -- '--segment %d ' $(seq 9))
err_has "at most 8"

# Required options, and what they refuse.
full=(--authority auth --node "$node" --mesh test --name gw1 -o new)
for skip in 0 2 4 6 8; do
	less=("${full[@]}")
	unset "less[$skip]" "less[$((skip + 1))]"
	run 2 sign "${less[@]}"
	err_has "is missing"
done
for value in "" "${node%?}" "${node}0" "g${node#?}" $(printf '0%.0s' $(seq 64)); do
	run 2 sign --authority auth --node "$value" --mesh test --name gw1 -o new
	err_has "--node"
done
for value in "" "a b" UP ../x -a $(printf 'x%.0s' $(seq 64)); do
	run 2 sign --authority auth --node "$node" --mesh test --name "$value" -o new
	err_has "--name"
	run 2 sign --authority auth --node "$node" --mesh "$value" --name gw1 -o new
	err_has "--mesh"
done
run 1 sign --authority nothing --node "$node" --mesh test --name gw1 -o new
err_has "nothing"
run 1 sign --authority key --node "$node" --mesh test --name gw1 -o new
err_has "key:1: this is a LANEMESH PRIVATE KEY"
run 1 sign --authority auth --node "$node" --mesh test --name gw1 -o no/new
err_has "no/new"
[ ! -e new ] || die "a certificate despite an error"

# inspect: bad files name the line.
run 1 inspect nothing
err_has "nothing"
for text in "" "hello" "-----BEGIN LANEMESH CERTIFICATE-----"; do
	echo "$text" >bad
	run 1 inspect bad
	err_has "bad:"
done
printf -- '-----BEGIN LANEMESH CERTIFICATE-----\nQUJD\n-----END LANEMESH CERTIFICATE-----\n' >bad
run 1 inspect bad
err_has "damaged"
sed 's/CERTIFICATE/REVOCATION LIST/' cert >bad
run 1 inspect bad
err_has "revocation list in it is damaged"
sed 's/LANEMESH CERTIFICATE/CERTIFICATE/' cert >bad
run 1 inspect bad
err_has "no file of lanemesh"
(cat cert; cat cert) >bad
run 1 inspect bad
err_has "one block to a file"
sed '3s/./!/' cert >bad
run 1 inspect bad
err_has "bad:3:"
head -c 300000 /dev/zero >bad
run 1 inspect bad
run 1 inspect .
run 2 inspect
run 2 inspect cert cert
run 2 inspect cert --authority-key 12
err_has "--authority-key"
