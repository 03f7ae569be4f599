# SPDX-License-Identifier: BSD-3-Clause
"""Watches sites find each other: SECONDS NS INSTANCE FAMILY SITE... < pairs "A B direct|relay".

From each site's host to each other's a ping goes 20 times a second, from before the
gateways are there. For each pair it is measured, from when both gateways answered on
their control sockets: the first answer (so packets passed both ways), and when both
gateways used a direct path. Prints one JSON object a pair; ends when all is as it
should be, or after SECONDS.
"""
import json
import subprocess
import sys
import time

from ask import ask


def peers(instance):
    """None: not up."""
    try:
        return {p["name"]: p for p in ask(instance, "peers")}
    except (OSError, SystemExit, ValueError):
        return None


class Pair:
    def __init__(self, a, b, want, ns, family):
        self.a, self.b, self.want = a, b, want
        address = f"10.{b}.0.10" if family == "4" else f"fd00:{b}::10"
        self.ping = subprocess.Popen(
            ["ip", "netns", "exec", f"{ns}host{a}", "stdbuf", "-oL", "ping", "-n", "-D", "-i0.05", "-W1",
             address], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        subprocess.os.set_blocking(self.ping.stdout.fileno(), False)
        self.first = self.direct = None
        self.path = ["?", "?"]
        self.lost_after = 0

    def read(self):
        while self.first is None and (line := self.ping.stdout.readline()):
            if "bytes from" in line:
                self.first = float(line[1:].split("]")[0])

    def look(self, seen):
        sides = []
        for here, there in ((self.a, self.b), (self.b, self.a)):
            p = (seen.get(here) or {}).get(f"gw{there}")
            sides.append(p["path"] if p and p["state"] == "up" else "-")
        self.path = sides
        if self.direct is None and all(s not in ("-", "relay") for s in sides):
            self.direct = time.time()
        self.read()

    def done(self):
        return self.first is not None and (self.want != "direct" or self.direct is not None)


def main():
    limit, ns, instance, family, *sites = sys.argv[1:]
    pairs = [Pair(*line.split(), ns, family) for line in sys.stdin]
    up, end = {}, time.time() + float(limit)
    try:
        while time.time() < end and not all(p.done() for p in pairs):
            seen = {s: peers(f"{instance}gw{s}") for s in sites}
            for s in sites:
                if seen[s] is not None:
                    up.setdefault(s, time.time())
            for p in pairs:
                p.look(seen)
            time.sleep(0.03)
    finally:
        for p in pairs:
            p.ping.kill()
            p.ping.wait()
    for p in pairs:
        both = max(up.get(p.a, end), up.get(p.b, end))
        ms = [None if t is None else max(0, round((t - both) * 1000)) for t in (p.first, p.direct)]
        print(json.dumps({"pair": f"{p.a}-{p.b}", "want": p.want, "path": p.path,
                          "first_ms": ms[0], "direct_ms": ms[1]}))


main()
