# SPDX-License-Identifier: BSD-3-Clause
"""The gateway beside its limits, and its time by stage."""
import bisect
import os
import re
import statistics
import shutil
import subprocess
import tempfile

from .case import Case, Failed, Skipped

# Stage, shared object, functions. Each stage of the data plane is a function of its own, so that the
# one that an address is in tells; the first line that fits holds.
STAGES = [
    ("receive", r"librte_net_pcap.*", r".*"),
    ("parse", r"bench-gateway", r"parse|take_\w+"),
    ("lookup", r"bench-gateway", r"lm_(fwd|batch)_lookup\w*"),
    ("route, headers", r"bench-gateway", r"route_\w+|to_\w+"),
    ("cipher", r"libIPSec_MB.*", r".*"),
    ("cipher", r"bench-gateway", r"(seal|open)_(burst|run)|lm_aead_\w+"),
    ("unwrap", r"bench-gateway", r"unwrap"),
    ("send", r"librte_(net_null|mbuf|mempool\w*)\..*", r".*"),
    ("send", r"bench-gateway", r"lm_tx_\w+|send_\w+|lm_(lan_to_wan|wan_to_lan)"),
    ("loop", r"bench-gateway", r"lm_worker_main|run_once|receive|lend"),
    ("loop", r"linux-vdso.*|libc\..*", r".*clock_gettime.*"),
]
OTHER = "other"
NAMES = [*dict.fromkeys(s[0] for s in STAGES), OTHER]
SAMPLE = "sample:"


class Symbols:
    """Functions of a program, by address."""

    def __init__(self, text):
        """text: as nm prints it."""
        found = sorted((int(w[0], 16), w[2]) for w in map(str.split, text.splitlines())
                       if len(w) == 3 and w[1] in "tTwW")
        self.starts, self.names = [f[0] for f in found], [f[1] for f in found]

    @classmethod
    def of(cls, path):
        try:
            p = subprocess.run(["nm", "--defined-only", path], capture_output=True, text=True, check=False)
        except OSError as e:
            raise Failed(str(e)) from e
        return cls(p.stdout)

    def at(self, offset):
        i = bisect.bisect_right(self.starts, offset) - 1
        # What compilers add to the name of a copy.
        return re.sub(r"\.(lto_priv|part|isra|constprop|cold).*", "", self.names[i]) if i >= 0 else ""


def stage_of(path, offset, symbols):
    library = os.path.basename(path)
    function = symbols.at(offset) if library == "bench-gateway" else ""
    for stage, where, what in STAGES:
        if re.fullmatch(where, library) and (what == ".*" or re.fullmatch(what, function)):
            return stage
    return OTHER


def cycles(samples, packet_cycles, symbols):
    """{stage: cycles of a packet}, of {"path+offset": how often}."""
    count = dict.fromkeys(NAMES, 0)
    for where, n in samples.items():
        path, offset = where.rsplit("+", 1)
        count[stage_of(path, int(offset, 16), symbols)] += n
    total = sum(count.values())
    return {stage: packet_cycles * n / total for stage, n in count.items() if n} if total else {}


class Gateway(Case):
    def run(self, folder, cpu):
        found = super().run(folder, cpu)
        rounds = found[self.name]
        samples = {s[len(SAMPLE):]: v for s, v in rounds[0].items() if s.startswith(SAMPLE)}
        ghz = rounds[0].pop("tsc_mhz") / 1000
        rounds[0] = {s: v for s, v in rounds[0].items() if not s.startswith(SAMPLE)}
        # The slices that were measured are others than those that were sampled.
        packet = statistics.median(r["gateway_ns"] for r in rounds) * ghz
        symbols = Symbols.of(os.path.join(folder, "bench", "bench-gateway"))
        stages = cycles(samples, packet, symbols)
        if stages:
            found[self.name + "/cycles"] = [{**stages, "all": packet}]
        else:
            self.notes = ["no cycles by stage: the timer gave no samples"]
        return found

    def ratios(self, best):
        """By both readings of what the raw cipher has to encrypt, in the terms of RFC 4303: the
        Payload Data, which is the inner packet, or with the ESP trailer that goes with it."""
        if "floor_ns" not in best:
            return {}
        found = {}
        for reading, cipher in (("Payload Data", "cipher_payload_ns"), ("with ESP trailer", "cipher_esp_ns")):
            found[f"of the ceiling, {reading}"] = (
                lambda r, c=cipher: (r["floor_ns"] + r[c]) / r["gateway_ns"])
            found[f"of the cipher, {reading}"] = lambda r, c=cipher: r[c] / r["gateway_ns"]
        return found


class Misses(Case):
    """Instructions and cache misses of a packet by callgrind, which simulates Zen 3's first and second
    level: the counters of a virtual machine's CPU seldom are to be had."""
    CACHES = ["--cache-sim=yes", "--D1=32768,8,64", "--LL=524288,8,64"]

    def __init__(self, name, arguments):
        super().__init__(name, arguments)

    def run(self, folder, cpu):
        if shutil.which("valgrind") is None:
            raise Skipped("takes valgrind")
        with tempfile.TemporaryDirectory() as scratch:
            out = os.path.join(scratch, "callgrind")
            try:
                p = subprocess.run(
                    ["valgrind", "--tool=callgrind", "--instr-atstart=no", *self.CACHES,
                     f"--callgrind-out-file={out}", f"{folder}/bench/bench-gateway", "-g", "-c", str(cpu),
                     "-t", "1", "-m", "1000", "-n", self.name, *self.command],
                    capture_output=True, text=True, timeout=self.timeout, check=False)
            except subprocess.TimeoutExpired as e:
                raise Failed(str(e)) from e
            if p.returncode != 0:
                raise Failed(p.stderr.strip())
            with open(out, encoding="utf-8") as f:
                said = dict(line.split(": ", 1) for line in f if line.startswith(("events: ", "totals: ")))
        packets = next(float(line.split("\t")[3]) for line in p.stdout.splitlines()
                       if line.split("\t")[1] == "packets")
        n = dict(zip(said["events"].split(), map(int, said["totals"].split())))
        if not n.get("Ir"):
            raise Failed("callgrind counted nothing: built without its header (package valgrind)")
        return {self.name: [{"instructions": n["Ir"] / packets,
                             "level1_misses": (n["D1mr"] + n["D1mw"]) / packets,
                             "level2_misses": (n["DLmr"] + n["DLmw"]) / packets}]}
