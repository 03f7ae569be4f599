#!/bin/bash
# SPDX-License-Identifier: BSD-3-Clause
# keygen and authority create: files, modes, and what they refuse.
. "$(dirname "$0")/lib.sh"

run 0 keygen -o node.key
public=$(cat out)
[[ $public =~ ^[0-9a-f]{64}$ ]] || die "no public key: $public"
same "$(stat -c %a node.key)" 600
same "$(head -1 node.key)" "-----BEGIN LANEMESH PRIVATE KEY-----"
run 0 keygen --show node.key
same "$(cat out)" "$public"
run 0 keygen --show node.key --json
same "$(json public_key)" "$public"
run 0 inspect node.key
out_has "$public"
secret=$(sed -n 2p node.key)
out_lacks "$secret"
run 0 --json inspect node.key
same "$(json kind)" "private key"
same "$(json public_key)" "$public"
out_lacks "$secret"

# Two keys differ; the umask does not matter.
(umask 0; run 0 keygen -o other.key; same "$(stat -c %a other.key)" 600)
run 0 keygen --show other.key
[ "$(cat out)" != "$public" ] || die "the same key twice"

# Nothing is overwritten, and no trace of the attempt stays.
cp node.key before
run 1 keygen -o node.key
err_has "node.key"
err_has "not overwritten"
cmp node.key before
run 1 keygen -o no/such/folder/key
err_has "no/such/folder/key"
ln -s nowhere link
run 1 keygen -o link
[ ! -e nowhere ] || die "wrote through a link"
same "$(ls | tr '\n' ' ')" "before err link node.key other.key out "

# Others must not be able to read it.
for mode in 640 604 620 602 610 601 777; do
	chmod $mode node.key
	run 1 keygen --show node.key
	err_has "chmod 600"
	run 1 inspect node.key
	err_has "chmod 600"
done
chmod 400 node.key
run 0 keygen --show node.key

# Authority keys are a kind of their own.
run 0 authority create -o auth.key
same "$(stat -c %a auth.key)" 600
authority=$(cat out)
[[ $authority =~ ^[0-9a-f]{64}$ ]] || die "no public key: $authority"
run 0 inspect auth.key --json
same "$(json kind)" "authority private key"
same "$(json public_key)" "$authority"
run 1 authority create -o auth.key
run 1 keygen --show auth.key
err_has "auth.key:1: this is a LANEMESH AUTHORITY PRIVATE KEY"

# Usage.
run 2 keygen
err_has "-o FILE and --show FILE"
run 2 keygen -o a --show b
run 2 keygen -o a -o b
err_has "given twice"
run 2 keygen -o
err_has "FILE is missing"
run 2 keygen -o ""
err_has "empty"
run 2 keygen -o a extra
err_has "extra"
[ ! -e a ] || die "made a key despite wrong usage"
run 2 keygen --force -o a
err_has "no option --force"
run 2 authority create
err_has "--output FILE is missing"

# A full disk, as it shows up at the terminal's end of the pipe.
got=0
"$lanemesh" keygen --show node.key >/dev/full 2>err || got=$?
same $got 1
err_has "standard output"
