# SPDX-License-Identifier: BSD-3-Clause
"""One TCP flow between two sites through veth, beside what a user would otherwise install."""
import json
import os
import shutil
import subprocess
import sys
import tempfile

from .case import Case, Failed, Skipped

PROGRAMS = ["app/lanemeshd", "app/lanemesh", "app/lanemesh-coord"]
PORTS = ["af_packet", "af_packet-512", "af_xdp"]  # as wire.sh names them
SCRIPT = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "lab", "wire.sh")


class Lab:
    """Both laboratories; the cases of a run share them."""
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
            raise Skipped("takes root: network namespaces and packet sockets")
        if shutil.which("iperf3") is None:
            raise Skipped("iperf3 is not installed")
        self.folder = folder
        self.path = tempfile.mkdtemp(prefix="lanemesh-wire.", dir="/run")
        self.name = f"lmw{os.getpid()}"
        self.port = PORTS[0]
        self.products = []
        try:
            for line in self.script("up").splitlines():
                word, _, rest = line.partition(" ")
                if word == "skip":
                    sys.stderr.write(f"\nbench/run: wire: skipped: {rest}\n")
                else:
                    self.products.append(word)
        except Exception:
            self.close()
            raise

    def script(self, *args):
        env = dict(os.environ, WIRE_RUN=self.path, WIRE_ID=self.name, WIRE_BUILD=self.folder)
        # Into files: daemons that the script starts would hold a pipe open.
        with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err:
            p = subprocess.run([SCRIPT, *args], env=env, stdin=subprocess.DEVNULL, stdout=out,
                               stderr=err, check=False)
            out.seek(0)
            err.seek(0)
            if p.returncode != 0:
                raise Failed(f"wire.sh {' '.join(args)}: {err.read().strip()}")
            return out.read()

    def close(self):
        self.script("down")
        shutil.rmtree(self.path, ignore_errors=True)

    def use(self, port):
        if port != self.port:
            self.script("port", port)
            self.port = port

    def cpu(self):
        """Seconds of both gateways in user mode and in the kernel, in which sending a packet goes
        as far as the receiver's socket."""
        used = [0, 0]
        for n in (1, 2):
            with open(f"{self.path}/gw{n}.pid", encoding="ascii") as f:
                pid = f.read().strip()
            with open(f"/proc/{pid}/stat", encoding="utf-8") as f:
                fields = f.read().rsplit(")", 1)[1].split()
            used = [used[0] + int(fields[11]), used[1] + int(fields[12])]
        return used

    def tcp(self, product, seconds):
        """Mb/s, retransmissions."""
        try:
            end = json.loads(self.script("tcp", product, str(seconds)))["end"]
            return end["sum_received"]["bits_per_second"] / 1e6, end["sum_sent"]["retransmits"]
        except (ValueError, KeyError) as e:
            raise Failed(f"{product}: no answer of iperf3: {e}") from e


class Wire(Case):
    more_is_better = True

    def __init__(self, name, quick):
        super().__init__(name, [])
        self.seconds = 1 if quick else 4

    def close(self):
        Lab.down()


class Products(Wire):
    """In turn: lanemesh, the others, and the kernel's routing without any tunnel."""

    def run(self, folder, cpu):
        lab = Lab.get(folder)
        values = {}
        lab.use(PORTS[0])
        for product in lab.products:
            before = lab.cpu()
            values[f"{product}_mbps"], lost = lab.tcp(product, self.seconds)
            if product == "lanemesh":
                user, kernel = (a - b for a, b in zip(lab.cpu(), before))
                values["lanemesh_retransmits"] = lost
                values["kernel's share of CPU"] = kernel / max(user + kernel, 1)
        return {self.name: [values]}

    def ratios(self, best):
        return {f"lanemesh / {s[:-5]}": (lambda r, s=s: r["lanemesh_mbps"] / r[s])
                for s in best if s.endswith("_mbps") and s != "lanemesh_mbps"}


class Ports(Wire):
    """lanemesh through the software ports, in turn."""

    def run(self, folder, cpu):
        lab = Lab.get(folder)
        values = {}
        for port in PORTS:
            lab.use(port)
            values[f"{port}_mbps"], values[f"{port}_retransmits"] = lab.tcp("lanemesh",
                                                                          self.seconds)
        return {self.name: [values]}

    def ratios(self, best):
        return {f"{s[:-5]} / {PORTS[0]}": (lambda r, s=s: r[s] / r[f"{PORTS[0]}_mbps"])
                for s in best if s.endswith("_mbps") and s != f"{PORTS[0]}_mbps"}


def cases(quick):
    return [Products("wire/tcp", quick), Ports("wire/ports", quick)]
