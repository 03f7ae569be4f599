# SPDX-License-Identifier: BSD-3-Clause
"""Two gateways joined by memif between the two ports of a tester: RFC 2544 in small."""
import json
import os
import shutil
import socket
import statistics
import subprocess
import tempfile

from .case import Case, Failed, Skipped

PROGRAMS = ["app/lanemeshd", "app/lanemesh", "app/lanemesh-coord", "bench/bench-tester"]
SIZES = [("64", 64), ("imix", 0), ("512", 512), ("1400", 1400)]
RING = 1024  # memif's default, and what a NIC's queue has here
SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab", "pair.sh")

# How the tester looks at its ports: seldom, so that it leaves the CPU to the gateways, or always.
RESTING_US, POLLING = 100, 0


class Times:
    """Seconds per trial, and how exact the search is."""

    def __init__(self, quick):
        self.trial, self.confirm, self.latency = (0.05, 0.1, 0.2) if quick else (0.5, 2.0, 3.0)
        self.precision = 1.0 if quick else 0.05
        self.tries = 1 if quick else 3  # a rate loses when each of so many trials does
        self.overloads = 1 if quick else 5


def search(lossless, low, high, precision):
    """RFC 2544 section 26.1, by bisection: the highest rate found at which lossless(rate).
    0 when `low` loses already."""
    if not lossless(low):
        return 0.0
    while not high / low < 1 + precision:
        middle = (low * high) ** 0.5
        if lossless(middle):
            low = middle
        else:
            high = middle
    return low


class Tester:
    """bench-tester, which runs one trial at a time."""

    def __init__(self, folder, run):
        ports = [f"10.{n}.0.10,02:00:00:00:0{n}:01,net_memif{n},role=client,id=0,"
                 f"socket={run}/lan{n}.sock,socket-abstract=no" for n in (1, 2)]
        self.log = open(os.path.join(run, "tester.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen([f"{folder}/bench/bench-tester", *ports], text=True,
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                                        stderr=self.log)
        self._answer()

    def _answer(self):
        line = self.process.stdout.readline()
        if line == "":
            self.log.seek(0)
            raise Failed("the tester ended: " + self.log.read().strip())
        return json.loads(line)

    def trial(self, size, pps, seconds, interval):
        self.process.stdin.write(f"{size} {pps:.0f} {seconds} {interval}\n")
        self.process.stdin.flush()
        return self._answer()

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


class Lab:
    """The gateways and the tester; all cases of a run use the same."""
    one = None

    @classmethod
    def get(cls, folder):
        if cls.one is None:
            cls.one = Lab(folder)
        return cls.one

    @classmethod
    def down(cls):
        if cls.one is not None:
            cls.one.close()
        cls.one = None

    def __init__(self, folder):
        if os.geteuid() != 0:
            raise Skipped("takes root: network namespaces and TAP devices")
        self.folder, self.tester = folder, None
        self.path = tempfile.mkdtemp(prefix="lanemesh-pair.", dir="/run")
        self.name = f"lmp{os.getpid()}"
        try:
            self._script("up")
            self.tester = Tester(folder, self.path)
            self._warm_up()
        except Exception:
            self.close()
            raise

    def _script(self, what):
        env = dict(os.environ, PAIR_RUN=self.path, PAIR_ID=self.name, PAIR_BUILD=self.folder)
        p = subprocess.run([SCRIPT, what], env=env, capture_output=True, text=True, check=False)
        if p.returncode != 0:
            raise Failed(f"pair.sh {what}: {p.stderr.strip()}")

    def _warm_up(self):
        """Until the second gateway knows the tester's address."""
        for _ in range(100):
            if self.tester.trial(64, 100, 0.1, RESTING_US)["received"] > 0:
                return
        raise Failed("no packet came through")

    def close(self):
        if self.tester is not None:
            self.tester.stop()
        self._script("down")
        shutil.rmtree(self.path, ignore_errors=True)

    def _ask(self, n, command):
        with socket.socket(socket.AF_UNIX) as s:
            s.settimeout(10)
            try:
                s.connect(f"/run/lanemesh/{self.name}gw{n}/control.sock")
                s.sendall(json.dumps({"command": command}).encode() + b"\n")
                data = b"".join(iter(lambda: s.recv(65536), b""))
            except OSError as e:
                raise Failed(f"gw{n}: {e}") from e
        return json.loads(data)["result"]

    def counters(self):
        """Packets that the data paths dropped, by gateway and reason, and `injected`: how many
        the gateways have sent of their own accord."""
        found = {"injected": 0}
        for n in (1, 2):
            for reason, count in self._ask(n, "drops").items():
                # neighbour_unresolved: what waited for an address in vain, seconds ago. Here it
                # is gw2 asking the coordinator on its own machine from the WAN port.
                if not reason.startswith(("ctl_", "stun_", "neighbour_unresolved")):
                    found[f"gw{n} {reason}"] = count
            found["injected"] += self._ask(n, "traffic")["injected"]
        return found

    def cpu(self):
        """CPU seconds so far: of each gateway, and what another guest or the host took."""
        tick = os.sysconf("SC_CLK_TCK")
        used = []
        for n in (1, 2):
            with open(f"{self.path}/gw{n}.pid", encoding="ascii") as f:
                pid = f.read().strip()
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            used.append((int(fields[11]) + int(fields[12])) / tick)
        with open("/proc/stat", encoding="ascii") as f:
            used.append(int(f.readline().split()[8]) / tick)
        return used

    def trial(self, size, pps, seconds, interval=RESTING_US):
        """The tester's result, with what the gateways used and dropped meanwhile. Once more when
        packets are in no counter: a busy machine can hold a gateway up for longer than the tester
        waits for the last packets."""
        for _ in range(3):
            r, missing = self._trial(size, pps, seconds, interval)
            if missing == 0:
                return r
        raise Failed(f"of {r['offered']} packets {missing} are in no counter: {r}")

    def _trial(self, size, pps, seconds, interval):
        cpu, counters = self.cpu(), self.counters()
        r = self.tester.trial(size, pps, seconds, interval)
        r["cpu"] = [after - before for before, after in zip(cpu, self.cpu())]
        now = self.counters()
        injected = now.pop("injected") - counters["injected"]
        r["drops"] = {k: n - counters[k] for k, n in now.items() if n != counters[k]}
        r["pps"] = r["received"] / r["lasted_s"]
        # Of what is dropped a few may be the gateways' own: ARP, probes, what is for the
        # coordinator.
        more = r["received"] + r["refused"] + sum(r["drops"].values()) - r["offered"]
        return r, 0 if 0 <= more <= injected else -more


class Pair(Case):
    more_is_better = True

    def __init__(self, name, size, quick):
        super().__init__(name, [])
        self.size, self.times = size, Times(quick)
        self.notes = []

    def close(self):
        Lab.down()

    def run(self, folder, cpu):
        lab = Lab.get(folder)
        rate = self._zero_loss(lab)
        values = {"zero_loss_pps": rate["pps"],
                  "zero_loss_mbps": rate["bytes"] * 8e-6 / rate["lasted_s"]}
        at_half = lab.trial(self.size, rate["pps"] / 2, self.times.latency, POLLING)
        for which in ("p50", "p90", "p99", "p99.9"):
            values[f"latency_{which}_us"] = at_half["latency_us"][which]
        values.update(self._overload(lab, rate["pps"]))
        self._note(rate, values)
        return {self.name: [values]}

    def _zero_loss(self, lab):
        """The trial that confirms the rate."""
        def lossless(pps, seconds=self.times.trial):
            for _ in range(self.times.tries):
                found = lab.trial(self.size, pps, seconds)
                if found["received"] == found["offered"]:
                    return found
            return None

        most = lab.trial(self.size, 4e6, self.times.trial)["pps"]
        rate = search(lossless, most / 256, most, self.times.precision)
        while rate > most / 1024:
            found = lossless(rate, self.times.confirm)
            if found is not None:
                return found
            rate /= 1 + max(self.times.precision, 0.1)
        raise Failed("there is no rate without loss")

    def _overload(self, lab, zero_loss):
        """In turn: at twice the zero-loss rate; at the rate at which most comes out; at twice
        that. What comes out of the latter two is compared."""
        double, best, peak, over = [], 0.0, [], []
        rate = zero_loss
        while True:  # doubles at most until the tester cannot any more
            found = lab.trial(self.size, rate, self.times.trial)
            if found["pps"] <= best * 1.05:
                break
            best, rate = found["pps"], rate * 2
        for _ in range(self.times.overloads):
            double.append(lab.trial(self.size, 2 * zero_loss, self.times.trial))
            peak.append(lab.trial(self.size, best, self.times.trial))
            over.append(lab.trial(self.size, 2 * best, self.times.trial))
        self.overloaded = over[-1]
        return {
            "double_delivered_share": statistics.median(
                r["received"] / r["offered"] for r in double),
            "peak_pps": statistics.median(r["pps"] for r in peak),
            "overload_pps": statistics.median(r["pps"] for r in over),
            "overload_offered_pps": statistics.median(
                r["offered"] / r["lasted_s"] for r in over),
            "overload / peak": statistics.median(o["pps"] / p["pps"] for o, p in zip(over, peak)),
        }

    def _note(self, rate, values):
        cores = len(os.sched_getaffinity(0))

        def cpu(r):
            shares = [c / r["lasted_s"] for c in (*r["cpu"], r["cpu_s"])]
            return (f"gateways {shares[0]:.2f} and {shares[1]:.2f}, tester {shares[3]:.2f} of "
                    f"{cores} cores, {shares[2]:.2f} taken by the host")

        drops = ", ".join(f"{k} {n}" for k, n in sorted(self.overloaded["drops"].items()))
        self.notes.append(
            f"no loss at {values['zero_loss_pps']:.0f} packets/s: {cpu(rate)}; a gateway that "
            f"stands still for {RING / values['zero_loss_pps'] * 1e3:.1f} ms overflows its ring. "
            f"Overload: {cpu(self.overloaded)}; gw1's ring refused {self.overloaded['refused']}"
            f"{', ' + drops if drops else ''}, of {self.overloaded['offered']}")


def cases(quick):
    return [Pair(f"pair/{label}", size, quick) for label, size in SIZES]
