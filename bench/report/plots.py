# SPDX-License-Identifier: BSD-3-Clause
"""Plots by gnuplot, where it is installed."""
import os
import shutil
import subprocess

from .gateway import NAMES, OTHER

HEAD = """set style data histograms
set style histogram clustered gap 1
set style fill solid 0.8 border -1
set boxwidth 0.9
set grid ytics
set key top left
set yrange [0:]
"""
READINGS = ("of the ceiling, Payload Data", "of the ceiling, with ESP trailer")


def _draw(folder, name, script, rows):
    data = os.path.join(folder, name + ".dat")
    with open(data, "w", encoding="utf-8") as f:
        f.write("\n".join("\t".join(str(c) for c in row) for row in rows) + "\n")
    drawn = []
    for kind, terminal in (("png", "pngcairo size 900,500"), ("svg", "svg size 900,500")):
        out = os.path.join(folder, f"{name}.{kind}")
        text = f"set terminal {terminal}\nset output '{out}'\n{HEAD}{script.replace('DATA', data)}\n"
        p = subprocess.run(["gnuplot"], input=text, text=True, capture_output=True, check=False)
        if p.returncode == 0:
            drawn.append(f"{name}.{kind}")
    return drawn


def _gateway(data, folder):
    rows = []
    for name in data.rounds:
        if name.startswith("gateway/"):
            s = dict(data.summary(name))
            if READINGS[0] in s:
                rows.append((name.split("/", 1)[1],
                             *(s[r][k] for r in READINGS for k in ("median", "best_to_best"))))
    if not rows:
        return []
    return _draw(folder, "gateway", "set ylabel 'share of the ceiling'\nset yrange [0:1]\nplot 'DATA' "
                 "using 2:xtic(1) title 'Payload Data: median', '' using 3 title 'best to best', "
                 "'' using 4 title 'with ESP trailer: median', '' using 5 title 'best to best'", rows)


def _cycles(data, folder):
    """Stacked: a bar for each case, of its stages."""
    drawn = []
    for suite in ("gateway", "scale"):
        rows = []
        for name in data.rounds:
            if name.startswith(suite + "/") and name.endswith("/cycles"):
                s = dict(data.summary(name))
                rows.append((name.split("/", 1)[1].rsplit("/", 1)[0],
                             *(s[x]["median"] if x in s else 0 for x in NAMES)))
        if rows:
            plot = ", ".join(f"{repr('DATA') if i == 0 else repr('')} using {i + 2}:xtic(1) title '{x}'"
                             + (" lc rgb 'gray'" if x == OTHER else "")
                             for i, x in enumerate(NAMES))
            drawn += _draw(folder, f"{suite}-cycles", "set ylabel 'TSC cycles a packet'\nset style histogram "
                           "rowstacked\nset key outside right top\nset xtics rotate by -45\n"
                           f"plot {plot}", rows)
    return drawn


def _overload(data, folder):
    """What comes out by what is offered, both to the most; a curve for each case."""
    curves, drawn = [], []
    for name in data.rounds:
        if name.startswith("overload/"):
            s = dict(data.summary(name))
            curves.append((name.split("/", 1)[1], [(v["median"], s[x.replace("offered", "delivered")]["median"])
                                                  for x, v in s.items() if x.endswith(" offered")]))
    if curves:
        rows = []  # a block for each curve
        for _, points in curves:
            rows += [*points, (), ()]
        plot = ", ".join(f"{repr('DATA') if i == 0 else repr('')} index {i} using 1:2 title '{label}'"
                         for i, (label, _) in enumerate(curves))
        drawn = _draw(folder, "overload", "set style data linespoints\nset xrange [0:]\n"
                      "set xlabel 'offered, of the most that goes through'\nset ylabel 'delivered'\n"
                      f"set key bottom right\nset yrange [0:1.2]\nplot {plot}", rows)
    return drawn


def _aead(data, folder):
    series = ["direct", "job", "burst", "sodium"]
    rows = []
    for name in data.rounds:
        if name.startswith("micro/aead/seal/"):
            s = dict(data.summary(name))
            rows.append((name.rsplit("/", 1)[1], *(s[x]["median"] for x in series)))
    if not rows:
        return []
    plot = ", ".join(f"{repr('DATA') if i == 0 else repr('')} using {i + 2}:xtic(1) title '{x}'"
                     for i, x in enumerate(series))
    return _draw(folder, "aead", f"set ylabel 'ns a packet, AES-256-GCM seal'\nplot {plot}", rows)


def _pair(data, folder):
    rates, delays = [], []
    for name in data.rounds:
        if name.startswith("pair/"):
            s, size = dict(data.summary(name)), name.split("/", 1)[1]
            rates.append((size, *(s[x]["median"] / 1e6 for x in (
                "zero_loss_pps", "peak_pps", "overload_pps"))))
            delays.append((size, *(s[f"latency_{p}_us"]["median"] for p in (
                "p50", "p90", "p99", "p99.9"))))
    if not rates:
        return []
    return _draw(folder, "pair-rate", "set ylabel 'million packets a second'\nplot 'DATA' using "
                 "2:xtic(1) title 'without loss', '' using 3 title 'most', '' using 4 title "
                 "'at twice the load of that'", rates) + _draw(
        folder, "pair-latency", "set ylabel 'us at half the rate without loss'\nset logscale y\n"
        "set yrange [10:]\nplot 'DATA' using 2:xtic(1) title 'median', '' using 3 title '90 %', "
        "'' using 4 title '99 %', '' using 5 title '99.9 %'", delays)


def _wire(data, folder):
    drawn = []
    for name in data.rounds:
        if name.startswith("wire/"):
            rows = [(series[:-5], v["median"]) for series, v in data.summary(name)
                    if series.endswith("_mbps")]
            drawn += _draw(folder, name.replace("/", "-"), "set ylabel 'Mb/s, one TCP flow'\n"
                           "set key off\nset xtics noenhanced\nplot 'DATA' using 2:xtic(1)", rows)
    return drawn


def draw(data, folder):
    """Returns the names of the files."""
    if shutil.which("gnuplot") is None:
        return []
    return [name for suite in (_gateway, _cycles, _overload, _aead, _pair, _wire) for name in suite(data, folder)]
