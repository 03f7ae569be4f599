# SPDX-License-Identifier: BSD-3-Clause
"""Suites, their cases, and what to run for each."""
from .case import Case
from .beside import Beside
from . import cores, crowd, pair, wire
from .gateway import Gateway, Misses

PROGRAMS = ["bench/bench-gateway", "bench/bench-overload", "bench/bench-micro", "bench/bench-memory", *crowd.PROGRAMS,
            *cores.PROGRAMS, *pair.PROGRAMS, *wire.PROGRAMS]
SIZES = [("64", 64), ("imix", 0), ("512", 512), ("1400", 1400)]
WAYS = [("out", []), ("in", ["-i"])]


class Relay(Case):
    """What it passes on beside what it decrypts. The frames are made on the way: a part of both
    relay_fed_ns and floor_fed_ns, and none of the relay's work."""
    def ratios(self, best):
        def work(r):
            return r["relay_fed_ns"] - r["floor_fed_ns"]
        return {
            "relay / gateway": lambda r: r["gateway_ns"] / (work(r) + r["floor_ns"]),
            "less floor": lambda r: (r["gateway_ns"] - r["floor_ns"]) / work(r),
        }


class Suite:
    def __init__(self, name, what, cases, default=True):
        self.name, self.what, self.cases, self.default = name, what, cases, default


def _gateway(name, size, way, quick, *more, kind=Gateway):
    rounds, ms = ("8", "1") if quick else ("300", "2")
    return kind(name, ["{folder}/bench/bench-gateway", "-n", name, "-s", str(size), "-c", "{cpu}",
                       "-t", rounds, "-m", ms, *way, *more])


def micro(quick):
    rounds, ms = ("2", "1") if quick else ("10", "5")
    groups = ["aead", "esp", "replay", "sa", "ring", "handshake", "routes"]
    found = [Case(f"micro/{g}", ["{folder}/bench/bench-micro", g, rounds, ms]) for g in groups]
    return found + [Beside("micro/handshake/beside", "8" if quick else "50", 1 if quick else 4)]


def gateway(quick):
    return [_gateway(f"gateway/{way}/{label}", size, args, quick)
            for label, size in SIZES for way, args in WAYS] + [
                _gateway(f"gateway/relay/{label}", size, ["-R"], quick, kind=Relay)
                for label, size in SIZES]


class Overload(Case):
    more_is_better = True


def overload(quick):
    rounds, ms = ("1", "4") if quick else ("5", "10")
    cases = [("imix", 0)] if quick else SIZES
    return [Overload(f"overload/{way}/{label}",
                     ["{folder}/bench/bench-overload", "-n", f"overload/{way}/{label}", "-s", str(size),
                      "-c", "{cpu}", "-t", rounds, "-m", ms, *args])
            for label, size in cases for way, args in WAYS]


def scale(quick):
    """IMIX; as many packets before they repeat as make the tables' size felt."""
    peers = [1, 16] if quick else [1, 16, 256, 4096]
    routes = [10, 1000] if quick else [10, 1000, 100000, 1000000]
    packets = "768" if quick else "16384"
    sizes = [(f"peers/{n}", ["-p", str(n)]) for n in peers]
    sizes += [(f"routes/{n}", ["-p", "10", "-r", str(n)]) for n in routes]
    sizes.append(("both", ["-p", str(peers[-1]), "-r", str(routes[-1])]))
    found = [_gateway(f"scale/{way}/{label}", 0, args, quick, *more, "-l", packets)
             for label, more in sizes for way, args in WAYS]
    found += [Misses(f"scale/{way}/{label}/misses", [*args, "-s", "0", *more, "-l", packets])
              for label, more in sizes for way, args in WAYS]
    found += [crowd.Memory(n, 1 if quick else 5) for n in ([16] if quick else [256, 1024, 4096])]
    n = 1000 if quick else 1000000
    return found + [Case(f"scale/memory/routes/{n}", ["{folder}/bench/bench-memory", str(n)])]


ALL = [
    Suite("gateway", "the data plane, one worker, between its I/O floor and the raw cipher", gateway),
    Suite("overload", "what a worker delivers of up to three times what it can do", overload,
          default=False),
    Suite("micro", "its parts, and the handshake's", micro),
    Suite("scale", "the gateway with many peers and many routes", scale, default=False),
    Suite("cores", "several workers: lanes, hand-over by the card or by ring", cores.cases,
          default=False),
    Suite("pair", "two gateways joined by memif: zero-loss rate, latency, overload; takes root",
          pair.cases, default=False),
    Suite("wire", "one TCP flow through veth, beside wireguard-go, nebula, openvpn; takes root",
          wire.cases, default=False),
]
