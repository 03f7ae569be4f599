# SPDX-License-Identifier: BSD-3-Clause
"""A case: what is measured as one, several times."""
import subprocess


class Failed(Exception):
    pass


class Skipped(Exception):
    """What it takes is not here."""


class Case:
    """One program run, which prints lines of: case, series, round, value."""
    more_is_better = False
    notes = ()  # lines that belong to the figures

    def __init__(self, name, command, timeout=600):
        self.name, self.command, self.timeout = name, command, timeout

    def run(self, folder, cpu):
        command = [c.format(folder=folder, cpu=cpu) for c in self.command]
        try:
            p = subprocess.run(command, capture_output=True, text=True, timeout=self.timeout,
                               check=False)
        except (OSError, subprocess.TimeoutExpired) as e:
            raise Failed(str(e)) from e
        if p.returncode != 0:
            raise Failed(p.stderr.strip() or f"exit status {p.returncode}")
        found = {}
        for line in p.stdout.splitlines():
            name, series, number, value = line.split("\t")
            rounds = found.setdefault(name, {})
            rounds.setdefault(int(number), {})[series] = float(value)
        return {name: list(rounds.values()) for name, rounds in found.items()}

    def ratios(self, best):
        """Ratios of values of one round: how often the first series goes into the others."""
        if "raw" in best:
            return {f"raw / {s}": (lambda r, s=s: r["raw"] / r[s]) for s in best if s != "raw"}
        if "direct" in best:
            return {f"direct / {s}": (lambda r, s=s: r["direct"] / r[s])
                    for s in best if s != "direct"}
        return {}

    def close(self):
        """Takes back what runs have left for the next one."""
