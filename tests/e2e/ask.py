# SPDX-License-Identifier: BSD-3-Clause
"""Asks a gateway on its control socket: INSTANCE COMMAND [ARGUMENT] [EXPRESSION of r].

COMMAND "counter" with a name as argument finds that counter in whichever table has it.
A single further word is the argument for `ping` and `rekey`, the expression otherwise.
"""
import json
import socket
import sys


def ask(instance, command, argument=None):
    with socket.socket(socket.AF_UNIX) as s:
        s.settimeout(30)
        s.connect(f"/run/lanemesh/{instance}/control.sock")
        s.sendall(json.dumps({"command": command, "argument": argument}).encode() + b"\n")
        data = b""
        while part := s.recv(65536):
            data += part
    answer = json.loads(data)
    if not answer["ok"]:
        raise SystemExit(f"{instance}: {answer['error']}")
    return answer["result"]


def counter(instance, name):
    for table in ("drops", "traffic", "events"):
        r = ask(instance, table)
        if name in r:
            return r[name]
    raise SystemExit(f"{instance}: no counter {name}")


def main():
    instance, command, *rest = sys.argv[1:]
    if command == "counter":
        print(counter(instance, rest[0]))
        return
    argument = rest.pop(0) if command in ("ping", "rekey", "why") else None
    r = ask(instance, command, argument)
    print(eval(rest[0], {"r": r}) if rest else json.dumps(r))


if __name__ == "__main__":
    main()
