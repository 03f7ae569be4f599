# SPDX-License-Identifier: BSD-3-Clause
"""A real gateway among thousands of members (bench-crowd): what an idle peer costs."""
import os
import subprocess
import tempfile
import time

from .case import Case, Failed, Skipped

PROGRAMS = ["app/lanemeshd", "bench/bench-crowd"]
# Ends with us, however we end.
BOUND = ["setpriv", "--pdeathsig", "KILL"]
GATEWAY, CROWD = "10.255.0.1", "10.255.0.2"


def _must(*command):
    p = subprocess.run(command, capture_output=True, text=True, check=False)
    if p.returncode != 0:
        raise Failed(f"{' '.join(command)}: {p.stderr.strip()}")


class Place:
    """Two network namespaces and a link: the gateway's WAN port in one, the crowd in the other."""

    def __init__(self, label):
        if os.geteuid() != 0:
            raise Skipped("takes root")
        self.gateway, self.crowd = (f"lm-bench-{label}-{os.getpid()}-{w}" for w in ("gw", "crowd"))
        self.folder = tempfile.mkdtemp(prefix="lm-crowd-")
        try:
            self._begin()
        except BaseException:  # an interrupt too leaves nothing behind
            self.end()
            raise

    def _begin(self):
        for ns in (self.gateway, self.crowd):
            _must("ip", "netns", "add", ns)
            _must("ip", "-n", ns, "link", "set", "lo", "up")
        _must("ip", "-n", self.gateway, "link", "add", "wan-dev", "type", "veth", "peer", "name",
              "wan-end", "netns", self.crowd)
        _must("ip", "-n", self.gateway, "link", "add", "lan-dev", "type", "veth", "peer", "name",
              "lan-end")
        _must("ip", "netns", "exec", self.crowd, "ethtool", "-K", "wan-end", "tx", "off")
        _must("ip", "-n", self.crowd, "addr", "add", f"{CROWD}/24", "dev", "wan-end")
        _must("ip", "-n", self.crowd, "link", "set", "wan-end", "up")
        for dev in ("wan-dev", "lan-dev", "lan-end"):
            _must("ip", "-n", self.gateway, "link", "set", dev, "up")

    def end(self):
        for ns in (self.gateway, self.crowd):
            subprocess.run(["ip", "netns", "del", ns], check=False, capture_output=True)
        subprocess.run(["rm", "-r", self.folder], check=False)


class Daemon:
    def __init__(self, place, folder, authority, peers, cpu):
        config = os.path.join(place.folder, "gw.conf")
        with open(config, "w", encoding="utf-8") as f:
            f.write(f"""mesh = "bench";
identity = "{place.folder}/gw.key";
certificate = "{place.folder}/gw.crt";
authorities = [ "{authority}" ];
state_dir = "{place.folder}/state";
ports = (
  {{ name = "lan0"; role = "lan"; device = "net_af_packet0,iface=lan-dev";
    addresses = [ "10.0.0.1/24" ]; }},
  {{ name = "wan0"; role = "wan"; device = "net_af_packet1,iface=wan-dev";
    addresses = [ "{GATEWAY}/24" ]; }}
);
max_peers = {max(peers, 1)};
workers = {{ count = 1; cpus = [ {cpu} ]; }};
memory = {{ hugepages = "no"; }};
""")
        self.log = open(os.path.join(place.folder, "gw.log"), "w+", encoding="utf-8")
        self.process = subprocess.Popen(
            [*BOUND, "ip", "netns", "exec", place.gateway, f"{folder}/app/lanemeshd", "-i",
             f"crowd{os.getpid()}", "-c", config],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)

    def resident(self):
        """Bytes in memory."""
        with open(f"/proc/{self.process.pid}/smaps_rollup", encoding="ascii") as f:
            return sum(int(line.split()[1]) << 10 for line in f if line.startswith("Rss:"))

    def stop(self):
        self.process.terminate()
        try:
            self.process.wait(30)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.log.close()


def _wait(crowd, done, seconds):
    """Reads what the crowd says each second until done(sessions, handshakes)."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        line = crowd.stdout.readline()
        if line == "":
            raise Failed("the crowd ended: " + crowd.stderr.read().strip())
        if done(*(int(n) for n in line.split())):
            return
    raise Failed(f"not after {seconds} s")


class Memory(Case):
    """Memory of a gateway with `peers` idle members that all have a session, less that of one
    which knows nobody, on the same number of peers to be kept."""

    def __init__(self, peers, settle):
        super().__init__(f"scale/memory/peers/{peers}", [])
        self.peers, self.settle = peers, settle

    def _resident(self, place, folder, authority, cpu, ready):
        daemon = Daemon(place, folder, authority, self.peers, cpu)
        try:
            ready()
            return daemon.resident()
        finally:
            daemon.stop()

    def run(self, folder, cpu):
        place = Place("memory")
        crowd = None
        try:
            crowd = subprocess.Popen(
                [*BOUND, "ip", "netns", "exec", place.crowd, f"{folder}/bench/bench-crowd", place.folder,
                 str(self.peers), CROWD],
                stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
            said = crowd.stdout.readline().split()
            if len(said) != 2:
                raise Failed("the crowd did not start: " + crowd.stderr.read().strip())
            directory = os.path.join(place.folder, "state", "directory")
            os.rename(directory, directory + ".kept")
            none = self._resident(place, folder, said[1], cpu, lambda: time.sleep(self.settle))
            os.rename(directory + ".kept", directory)
            found = self._resident(
                place, folder, said[1], cpu,
                lambda: (_wait(crowd, lambda up, _: up == self.peers, 120),
                         time.sleep(self.settle)))
            each = (found - none) / self.peers
            return {self.name: [{"bytes_per_peer": each, "mb_without_peers": none / 2**20}]}
        finally:
            if crowd is not None:
                crowd.stdin.close()
                crowd.wait()
            place.end()
