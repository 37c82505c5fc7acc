#!/usr/bin/env python3
"""The tables of benches/README.md out of what run.py and many.py have written.

    tables.py single plain.json [laid_out.json]
    tables.py many narrow.json [wide.json ...]

single: coterie ÷ the best peer of the same run, a line a workload, and the geometric means.
many:   the best peer ÷ coterie, a line a number of rules.
"""
import json
import math
import sys


def peers(cells):
    good = {e: c for e, c in cells.items() if e != "coterie" and "query" in c}
    return min(good, key=lambda e: good[e]["query"]) if good else None


def single(paths):
    docs = [json.load(open(p)) for p in paths]
    names = ["on the files", "laid out"][:len(docs)]
    print("| workload | profiles | best peer | s | " + " | ".join(f"coterie, {n} | ÷ | MB" for n in names) + " |")
    print("| --- | ---: | --- | ---: | " + "---: | ---: | ---: | " * len(docs))
    ratios = [[] for _ in docs]
    for w, first in docs[0]["results"].items():
        best = peers(first["engines"])
        n = next((c["n"] for c in first["engines"].values() if "n" in c), "-")
        cells = [w if first["agree"] else w + " (answers differ)", str(n), best, f"{first['engines'][best]['query']:.3f}"]
        for at, doc in enumerate(docs):
            row = doc["results"].get(w, {}).get("engines", {})
            ours, peer = row.get("coterie", {}), row.get(peers(row) or "", {})
            if "query" in ours and "query" in peer:
                ratios[at].append(ours["query"] / peer["query"])
                cells += [f"{ours['query']:.3f}", f"{ratios[at][-1]:.2f}", str(ours["rss_mb"])]
            else:
                cells += ["fails" if ours else "-", "-", "-"]
        print("| " + " | ".join(cells) + " |")
    for name, r in zip(names, ratios):
        if r:
            mean = math.exp(sum(map(math.log, r)) / len(r))
            print(f"\nCoterie {name} ÷ best peer: geometric mean {mean:.2f}, worst {max(r):.2f}, {len(r)} workloads.")


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
