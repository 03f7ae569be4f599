# SPDX-License-Identifier: BSD-3-Clause
"""What handshakes on one core cost the data path of another."""
import os
import signal
import subprocess

from .case import Case, Skipped


class Beside(Case):
    """The gateway alone, and while another core does nothing but handshakes, in turn."""

    def __init__(self, name, slices, turns):
        super().__init__(name, ["{folder}/bench/bench-gateway", "-g", "-s", "0", "-c", "{cpu}", "-m", "2",
                                "-t", slices, "-n", name])
        self.turns = turns

    def run(self, folder, cpu):
        others = os.sched_getaffinity(0) - {cpu}
        if not others:
            raise Skipped("takes two cores")
        found = []
        # Its figures are not wanted, and it has no end of its own before ours.
        with subprocess.Popen([f"{folder}/bench/bench-micro", "handshake", "1000000", "5"],
                              stdout=subprocess.DEVNULL,
                              preexec_fn=lambda: os.sched_setaffinity(0, others)) as busy:
            try:
                for _ in range(self.turns):
                    busy.send_signal(signal.SIGSTOP)
                    alone = super().run(folder, cpu)[self.name]
                    busy.send_signal(signal.SIGCONT)
                    beside = super().run(folder, cpu)[self.name]
                    found += [{"alone_ns": a["gateway_ns"], "beside_ns": b["gateway_ns"]}
                              for a, b in zip(alone, beside)]
            finally:
                busy.kill()
        return {self.name: found}

    def ratios(self, best):
        return {"beside / alone": lambda r: r["beside_ns"] / r["alone_ns"]}
