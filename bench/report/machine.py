# SPDX-License-Identifier: BSD-3-Clause
"""What was measured on, and with which libraries and flags."""
import json
import os
import re
import subprocess


def _first(pattern, path):
    try:
        with open(path, encoding="utf-8") as f:
            m = re.search(pattern, f.read(), re.M)
    except OSError:
        return ""
    return m.group(1).strip() if m else ""


def _output(*command):
    try:
        return subprocess.run(command, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def _versions():
    found = {}
    for package in ("libdpdk-dev", "libipsec-mb-dev", "libsodium-dev", "gcc"):
        found[package] = _output("dpkg-query", "-W", "-f=${Version}", package) or "?"
    return found


def _flags(folder):
    """How the hot path was compiled: the command of lan_to_wan.c."""
    wanted = re.compile(r"^-(O|march|mtune|flto|f(no-)?(strict-aliasing|stack-protector))")
    path = os.path.join(folder, "compile_commands.json")
    try:
        with open(path, encoding="utf-8") as f:
            commands = json.load(f)
    except OSError:
        return "?"
    for c in commands:
        if c["file"].endswith("lib/worker/lan_to_wan.c"):
            return " ".join(w for w in c["command"].split() if wanted.match(w))
    return "?"


def describe(folder, cpu):
    cpu_flags = _first(r"^flags\s*:(.*)$", "/proc/cpuinfo").split()
    interesting = ("aes", "vaes", "pclmulqdq", "vpclmulqdq", "avx2", "avx512f", "gfni")
    return {
        "cpu": _first(r"^model name\s*:(.*)$", "/proc/cpuinfo"),
        "cpu_flags": [f for f in interesting if f in cpu_flags],
        "cores": os.cpu_count(),
        "worker_cpu": cpu,
        "kernel": os.uname().release,
        "system": _first(r'^PRETTY_NAME="(.*)"$', "/etc/os-release"),
        "packages": _versions(),
        "cipher": _output(os.path.join(folder, "bench", "bench-micro"), "--cipher") or "?",
        "flags": _flags(folder),
        "load_average": os.getloadavg()[0],
        "commit": _output("git", "-C", os.path.dirname(os.path.abspath(__file__)), "describe",
                          "--always", "--dirty"),
    }


def text(about):
    packages = ", ".join(f"{k} {v}" for k, v in about["packages"].items())
    lines = [f"{about['cpu']} ({' '.join(about['cpu_flags'])}), {about['cores']} cores, worker on "
             f"{about['worker_cpu']}; {about['system']}, Linux {about['kernel']}",
             f"cipher code: {about['cipher']}; {packages}; {about['flags']}; commit {about['commit'] or '?'}"]
    if about["load_average"] > 0.5 * about["cores"]:
        lines.append(f"NOTE: load average {about['load_average']:.1f}: other work shares the caches; "
                     "only ratios mean anything, and those are too low")
    return "\n".join(lines) + "\n"
