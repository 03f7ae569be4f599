# SPDX-License-Identifier: BSD-3-Clause
"""Several workers: lanes, and packets that arrive at another worker's queue."""
import os

from .case import Case

PROGRAMS = ["bench/bench-cores"]


class Cores(Case):
    def ratios(self, best):
        if "busy_ns" not in best:
            return {}
        return {"of the raw cipher": lambda r: r["cipher_ns"] / r["busy_ns"]}


def _case(workers, way, size, label, rounds):
    name = f"cores/{workers}/{way}/{label}"
    command = ["{folder}/bench/bench-cores", "-n", name, "-w", str(workers), "-s", str(size),
               "-t", rounds]
    if way != "out":
        command.append("-i")
    if way == "in-steered":
        command.append("-S")
    return Cores(name, command)


def cases(quick):
    """More workers than there are cores: only that every packet arrives or is counted."""
    rounds = "2" if quick else "10"
    sizes = [("imix", 0)] if quick else [("64", 64), ("imix", 0), ("1400", 1400)]
    have = os.cpu_count() or 1
    timed = [n for n in (1, 2, 4, 8) if n <= have] or [1]
    found = []
    for label, size in sizes:
        for n in timed:
            ways = ["out", "in"] if n == 1 else ["out", "in-steered", "in-ring"]
            found += [_case(n, way, size, label, rounds) for way in ways]
    more = next((n for n in (2, 4, 8) if n > have), None)
    if more:
        found += [_case(more, way, 0, "imix", rounds) for way in ("out", "in-steered", "in-ring")]
    return found
