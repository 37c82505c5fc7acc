#!/usr/bin/env python3
"""A warehouse with the benchmark's tables, store and laid-out events, made once and kept.

    prepare.py --data data/M                      # writes data/M/warehouse; needs COTERIE_BIN
    prepare.py --data data/M --buckets 64 --out elsewhere

Prints how long laying out took, its peak memory and the bytes before and after.
"""
import argparse
import glob
import json
import os
import resource
import shutil
import sys
import tempfile
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import engines  # noqa: E402


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data", required=True)
    ap.add_argument("--out")
    ap.add_argument("--buckets", type=int)
    a = ap.parse_args()
    out = a.out or f"{a.data}/warehouse"
    shutil.rmtree(out, ignore_errors=True)
    where = ["--warehouse", out]
    into = f" INTO {a.buckets} BUCKETS" if a.buckets else ""
    with tempfile.TemporaryDirectory() as work:
        engines.coterie_run(work, engines.coterie_setup(f"{a.data}/profiles", f"{a.data}/events") + ";", where)
        t0 = time.perf_counter()
        said = engines.coterie_run(work, f"OPTIMIZE EVENTS OF bench{into};", where)
        seconds = time.perf_counter() - t0
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    size = lambda pattern: sum(os.path.getsize(f) for f in glob.glob(pattern, recursive=True))
    print(said)
    print(json.dumps(dict(seconds=round(seconds, 2), cpu=round(use.ru_utime + use.ru_stime, 2), rss_mb=round(use.ru_maxrss / 1024),
                          source_bytes=size(f"{a.data}/events/*.parquet"), laid_out_bytes=size(f"{out}/layout/**/*.parquet"))))


if __name__ == "__main__":
    main()
