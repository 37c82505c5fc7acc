#!/usr/bin/env python3
"""The tables of benches/README.md out of what run.py and many.py have written.

    tables.py single run.json
    tables.py many narrow.json [wide.json ...]

single: coterie ÷ the best peer, a line a workload, and the geometric means; with --warehouse laid out, too, and beside itself on
        the files.
many:   the best peer ÷ coterie, a line a number of rules.
"""
import json
import math
import sys

from run import OURS


def peers(cells):
    good = {e: c for e, c in cells.items() if e not in OURS and "query" in c}
    return min(good, key=lambda e: good[e]["query"]) if good else None


def single(paths):
    (path,) = paths
    workloads = json.load(open(path))["results"]
    names = [e for e in OURS if any(e in r["engines"] for r in workloads.values())]
    shown = {"coterie": "on the files", "coterie_laid_out": "laid out"}
    print("| workload | profiles | best peer | s | " + " | ".join(f"{shown[e]} | ÷ | MB" for e in names) + " |")
    print("| --- | ---: | --- | ---: | " + "---: | ---: | ---: | " * len(names))
    ratios = {e: [] for e in names}
    for w, r in workloads.items():
        row, best = r["engines"], peers(r["engines"])
        peer = row[best]["query"]
        n = next((c["n"] for c in row.values() if "n" in c), "-")
        cells = [w if r["agree"] else w + " (answers differ)", str(n), best, f"{peer:.3f}"]
        for e in names:
            ours = row[e]
            if "query" not in ours:
                cells += ["fails", "-", "-"]
                continue
            ratios[e].append((ours["query"] / peer, w))
            cells += [f"{ours['query']:.3f}", f"{ratios[e][-1][0]:.2f}", str(ours["rss_mb"])]
        print("| " + " | ".join(cells) + " |")
    print()
    for e in names:
        told(f"Coterie {shown[e]} ÷ best peer", ratios[e])
    if len(names) == 2:
        files, laid = (dict((w, x) for x, w in ratios[e]) for e in names)
        told("Laid out ÷ on the files", [(laid[w] / files[w], w) for w in laid if w in files])


def told(what, ratios):
    if ratios:
        mean = math.exp(sum(math.log(x) for x, _ in ratios) / len(ratios))
        (worst, w), few = max(ratios), sum(x <= 1.2 for x, _ in ratios)
        print(f"{what}: geometric mean {mean:.2f}, worst {worst:.2f} ({w}), {few} of {len(ratios)} at most 1.2.")


def many(paths):
    print("| rules | vocabulary | best peer | s | MB | coterie | s | MB | best peer ÷ coterie |")
    print("| ---: | --- | --- | ---: | ---: | --- | ---: | ---: | ---: |")
    for path in paths:
        doc = json.load(open(path))
        for n in sorted({r["n"] for r in doc["rows"]}):
            rows = [r for r in doc["rows"] if r["n"] == n and "query" in r]
            best = min((r for r in rows if r["engine"] != "coterie"), key=lambda r: r["query"], default=None)
            ours = next((r for r in rows if r["engine"] == "coterie"), None)
            cells = [str(n), doc.get("draw", "narrow")]
            cells += [best["engine"], f"{best['query']:.2f}", str(best["rss_mb"])] if best else ["none ended", "-", "-"]
            where = "laid out" if doc.get("warehouse") else "on the files"
            cells += [where, f"{ours['query']:.2f}", str(ours["rss_mb"])] if ours else [where, "fails", "-"]
            if best and ours:
                same = "" if best["digest"] == ours["digest"] else " (answers differ)"
                cells.append(f"{best['query'] / ours['query']:.1f}{same}")
            else:
                cells.append("-")
            print("| " + " | ".join(cells) + " |")


if __name__ == "__main__":
    if len(sys.argv) < 3 or sys.argv[1] not in ("single", "many"):
        sys.exit(__doc__)
    {"single": single, "many": many}[sys.argv[1]](sys.argv[2:])
