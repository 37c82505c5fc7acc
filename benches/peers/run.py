#!/usr/bin/env python3
"""Side-by-side runs of single-segment workloads.

    run.py --data /data/M --engines duckdb,clickhouse,datafusion,polars --repeats 3 --out m.json --md m.md
    run.py --data /data/M --engines duckdb,coterie --workloads w04,w11 ...      # needs COTERIE_BIN
    run.py --data /data/M --engines duckdb,coterie --warehouse /data/M/warehouse # coterie on its laid-out copy, too
    run.py --data /data/M --engines duckdb,coterie --known                       # the peers look for profiles, too

Every measurement is a fresh process held to BENCH_THREADS (2) threads and CPUs. The engines take turns
(A B C A B C ...), so drift of the machine falls on all of them alike. Reported for each engine and workload:
    query   median seconds from opening the tables to having the ids in memory (imports excluded)
    wall    median seconds of the whole process (for an external binary, query = wall)
    rss     peak resident memory of the process, at the end of the query
    digest  order-independent hash of the ids; all engines must agree
"""
import argparse
import hashlib
import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time

OURS = ("coterie", "coterie_laid_out")
HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import engines  # noqa: E402


def digest(ids):
    h = hashlib.blake2b(digest_size=8)
    ids = sorted(ids)
    h.update("\n".join(ids).encode())
    return len(ids), len(set(ids)) == len(ids), h.hexdigest()


def load_segments(path):
    import yaml
    with open(path, encoding="utf-8") as f:
        return yaml.safe_load(f)


def worker(a):
    seg = next(s for s in load_segments(a.segments) if s["id"] == a.workloads)
    text = engines.statement(seg, a.worker, a.known)
    __import__({"duckdb_behavioral": "duckdb", "clickhouse": "chdb"}.get(a.worker, a.worker))
    import pyarrow  # noqa: F401
    t0 = time.perf_counter()
    c0 = time.process_time()
    eng = engines.make(a.worker, a.profiles, a.events)
    ids = eng.ids(text)
    q = time.perf_counter() - t0
    cpu = time.process_time() - c0
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    n, uniq, d = digest(ids.to_pylist())
    print("RESULT " + json.dumps(dict(query=q, cpu=cpu, rss_kb=rss, n=n, unique=uniq, digest=d)), flush=True)
    os._exit(0)


def cpus():
    have = sorted(os.sched_getaffinity(0))
    return set(have[:engines.THREADS])


def run_one(a, engine, seg, profiles, events):
    env = engines.limit_env(dict(os.environ))
    pre = lambda: os.sched_setaffinity(0, cpus())
    if engine in OURS:
        with tempfile.NamedTemporaryFile(suffix=".csv") as out, tempfile.NamedTemporaryFile() as err, tempfile.TemporaryDirectory() as own:
            laid_out = engine == "coterie_laid_out"
            if laid_out:
                engines.coterie_borrow(a.warehouse, own)
            command = engines.coterie_command(seg, profiles, events, laid_out and own)
            t0 = time.perf_counter()
            p = subprocess.Popen(command, stdout=out, stderr=err, env=env, preexec_fn=pre)
            _, status, ru = os.wait4(p.pid, 0)
            wall = time.perf_counter() - t0
            if status != 0:
                return dict(error=open(err.name).read()[-400:] or f"status {status}")
            n, uniq, d = digest(engines.coterie_ids(out.name))
            return dict(query=wall, wall=wall, cpu=ru.ru_utime + ru.ru_stime, rss_kb=ru.ru_maxrss, n=n, unique=uniq, digest=d)
    if engines.statement(seg, engine) is None:
        return dict(error="not stated")
    cmd = [sys.executable, os.path.abspath(__file__), "--worker", engine, "--segments", a.segments,
           "--workloads", seg["id"], "--profiles", profiles, "--events", events] + ["--known"] * a.known
    t0 = time.perf_counter()
    try:
        r = subprocess.run(cmd, env=env, capture_output=True, text=True, timeout=a.timeout, preexec_fn=pre)
    except subprocess.TimeoutExpired:
        return dict(error=f"over {a.timeout} s")
    wall = time.perf_counter() - t0
    for line in r.stdout.splitlines():
        if line.startswith("RESULT "):
            return dict(json.loads(line[7:]), wall=wall)
    return dict(error=(r.stderr.strip()[-400:] or f"exit {r.returncode}"))


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", help="a directory made by generate.py")
    ap.add_argument("--profiles")
    ap.add_argument("--events")
    ap.add_argument("--layout", default="time", choices=["time", "clustered"])
    ap.add_argument("--warehouse", help="a warehouse made by prepare.py: coterie_laid_out, which reads its events, takes turns with the others")
    ap.add_argument("--segments", default=os.path.join(HERE, "segments.yaml"))
    ap.add_argument("--engines", default="duckdb,clickhouse,datafusion,polars")
    ap.add_argument("--workloads", default="all")
    ap.add_argument("--known", action="store_true", help="the peers, too, leave out ids that no profile has")
    ap.add_argument("--repeats", type=int, default=3)
    ap.add_argument("--timeout", type=float, default=600)
    ap.add_argument("--out")
    ap.add_argument("--md")
    ap.add_argument("--worker", help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.worker:
        return worker(a)
    tail = "_clustered" if a.layout == "clustered" else ""
    profiles = a.profiles or f"{a.data}/profiles{tail}"
    events = a.events or f"{a.data}/events{tail}"
    segs = load_segments(a.segments)
    if a.workloads != "all":
        pick = a.workloads.split(",")
        segs = [s for s in segs if any(s["id"] == p or s["id"].startswith(p + "_") for p in pick)]
    names = a.engines.split(",") + ["coterie_laid_out"] * bool(a.warehouse)
    results, bad = {}, []
    for seg in segs:
        runs = {e: [] for e in names}
        errors = {}
        for rep in range(a.repeats):
            for e in names:
                if e in errors:
                    continue
                r = run_one(a, e, seg, profiles, events)
                if "error" in r:
                    errors[e] = r["error"]
                else:
                    runs[e].append(r)
        row = {}
        for e in names:
            if e in errors and not runs[e]:
                row[e] = dict(error=errors[e])
                continue
            rs = runs[e]
            row[e] = dict(query=statistics.median(r["query"] for r in rs), wall=statistics.median(r["wall"] for r in rs),
                          query_min=min(r["query"] for r in rs), cpu=statistics.median(r["cpu"] for r in rs),
                          rss_mb=round(max(r["rss_kb"] for r in rs) / 1024), n=rs[0]["n"],
                          digest=rs[0]["digest"], unique=rs[0]["unique"], runs=[round(r["query"], 4) for r in rs])
        ok = {(v["n"], v["digest"], v["unique"]) for v in row.values() if "digest" in v}
        agree = len(ok) == 1 and next(iter(ok))[2] if ok else False
        failed = any(v.get("error", "not stated") != "not stated" for v in row.values())
        if not agree or failed:
            bad.append(seg["id"])
        peers = [v["query"] for e, v in row.items() if e not in OURS and "query" in v]
        best = min(peers) if peers else None
        for v in row.values():
            if "query" in v and best:
                v["ratio_to_best_peer"] = round(v["query"] / best, 3)
        results[seg["id"]] = dict(kind=seg["kind"], agree=agree, engines=row)
        cells = "  ".join(f"{e}={v['query']:.3f}s/{v['rss_mb']}MB" if "query" in v else f"{e}=FAIL({v['error'][-60:]!r})" for e, v in row.items() if v.get("error") != "not stated")
        n = next((v["n"] for v in row.values() if "n" in v), "-")
        doc = dict(data=a.data, layout=a.layout, warehouse=a.warehouse, threads=engines.THREADS, repeats=a.repeats, results=results, load=os.getloadavg())
        if a.out:  # after each workload, so that a stopped run keeps what it has
            json.dump(doc, open(a.out, "w"), indent=1)
        print(f"{seg['id']:24s} n={n:<8} {'same' if agree else 'DIFFERENT'}  {cells}", flush=True)
    if a.md:
        with open(a.md, "w") as f:
            f.write("Seconds from opening the tables to having the ids (peak memory).\n\n" + table(doc, names))
            f.write("\nCPU seconds, all threads (steadier than wall seconds on a busy machine).\n\n" + table(doc, names, "cpu"))
    if bad:
        print("NOT THE SAME ANSWER, OR AN ENGINE FAILED:", ", ".join(bad))
        sys.exit(1)


def table(doc, names, metric="query"):
    out = ["| workload | kind | ids | " + " | ".join(names) + " | best |",
           "|---|---|---:|" + "---:|" * len(names) + "---|"]
    for wid, r in doc["results"].items():
        es = r["engines"]
        good = {e: v for e, v in es.items() if "query" in v}
        peers = {e: v for e, v in good.items() if e not in OURS} or good
        best = min(peers, key=lambda e: peers[e][metric]) if peers else "-"
        cells = [f"{es[e][metric]:.3f}" + (f" ({es[e]['rss_mb']} MB)" if metric == "query" else "") if e in good else "-" if es[e]["error"] == "not stated" else "fails" for e in names]
        n = next((v["n"] for v in good.values()), "-")
        out.append(f"| {wid} | {r['kind']}{'' if r['agree'] else ' (ANSWERS DIFFER)'} | {n} | " + " | ".join(cells) + f" | {best} |")
    return "\n".join(out) + "\n"


if __name__ == "__main__":
    main()
