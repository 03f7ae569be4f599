# SPDX-License-Identifier: BSD-3-Clause
"""Values by case, series and round; medians and ratios of them."""
import json
import statistics


class Results:
    def __init__(self):
        self.rounds = {}  # case name -> list of {series: value}, a dict for each round
        self.cases = {}

    def add(self, rounds, case):
        for name, values in rounds.items():
            self.rounds.setdefault(name, []).extend(values)
            self.cases[name] = case

    def summary(self, name):
        """[(series, {min, median, max, best})]: measured ones, then ratios of the same round."""
        rounds = self.rounds[name]
        case = self.cases[name]
        out = []
        for series in dict.fromkeys(s for r in rounds for s in r):
            v = [r[series] for r in rounds if series in r]
            out.append((series, {"min": min(v), "median": statistics.median(v), "max": max(v)}))
        best = {s: x["max" if case.more_is_better else "min"] for s, x in out}
        for label, ratio in case.ratios(best).items():
            v = [ratio(r) for r in rounds]
            out.append((label, {"min": min(v), "median": statistics.median(v), "max": max(v),
                                "best_to_best": ratio(best)}))
        return out

    def notes(self, name):
        return list(self.cases[name].notes)

    def table(self):
        lines = [f"{'':37}{'rounds':>7}{'min':>11}{'median':>11}{'max':>11}{'best:best':>11}"]
        for name in self.rounds:
            lines.append(name)
            for series, v in self.summary(name):
                cells = "".join(f"{self._number(v[k]):>11}" for k in ("min", "median", "max"))
                best = f"{v['best_to_best']:>11.3f}" if "best_to_best" in v else ""
                lines.append(f"    {series:33}{len(self.rounds[name]):>7}{cells}{best}")
            lines += [f"    {note}" for note in self.notes(name)[-1:]]
        return "\n".join(lines)

    @staticmethod
    def _number(x):
        if x >= 1000:
            return f"{x:.0f}"
        return f"{x:.1f}" if x >= 10 else f"{x:.3f}"

    def write_json(self, path, about, quick):
        everything = {
            "machine": about,
            "quick": quick,
            "cases": {name: {"summary": dict(self.summary(name)), "rounds": rounds,
                             "notes": self.notes(name)}
                      for name, rounds in self.rounds.items()},
        }
        with open(path, "w", encoding="utf-8") as f:
            json.dump(everything, f, indent=1)
            f.write("\n")
