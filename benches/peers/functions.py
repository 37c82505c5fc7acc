"""Functions of sequences by group, end to end: coterie and ClickHouse on the same Parquet files, in turns.

    python functions.py --data data/L --repeats 5

Each measurement is a fresh process of THREADS threads, its start included for coterie, left out for ClickHouse
(`query`) and shown besides (`process`). Both must give the same distribution of answers.
"""
import argparse
import json
import os
import statistics
import subprocess
import sys
import time

import engines

# ClickHouse's functions take seconds or plain numbers. As microseconds they see the same order of events as coterie does.
MICROS = "toUInt64(toUnixTimestamp64Micro(timestamp))"
KINDS = ["product_view", "add_to_cart", "checkout", "purchase"]
OURS = ", ".join(f"event_type = '{kind}'" for kind in KINDS)
CALLS = [
    # name, coterie's call, ClickHouse's
    ("window_funnel", f"window_funnel(INTERVAL '3 days', \"timestamp\", {OURS})",
     f"windowFunnel(259200000000)({MICROS}, {OURS})"),
    ("sequence_match", f"sequence_match('(?1)(?t<=259200)(?4)', \"timestamp\", {OURS})",
     f"sequenceMatch('(?1)(?t<=259200000000)(?4)')({MICROS}, {OURS})"),
    ("sequence_count", f"sequence_count('(?1).*(?2)', \"timestamp\", {OURS})",
     f"sequenceCount('(?1).*(?2)')({MICROS}, {OURS})"),
    ("retention", f"retention({OURS})[4]", f"retention({OURS})[4]"),
]


def query(call, events):
    return f"SELECT answer, count(*) AS n FROM (SELECT profile_id, {call} AS answer FROM {events} GROUP BY profile_id) GROUP BY answer ORDER BY answer"


def plain(rows):
    value = {"true": 1, "false": 0, "True": 1, "False": 0}
    return [[value.get(str(cell), cell) if not str(cell).isdigit() else int(cell) for cell in row] for row in rows]


def coterie(call, events):
    start = time.perf_counter()
    command = [os.environ["COTERIE_BIN"], "sql", "--format", "csv", *engines.coterie_flags(),
               "-c", f"CREATE EXTERNAL TABLE events STORED AS PARQUET LOCATION '{events}/'", "-c", query(call, "events")]
    run = subprocess.run(command, capture_output=True, text=True, env=engines.limit_env(dict(os.environ)))
    seconds = time.perf_counter() - start
    if run.returncode:
        raise SystemExit(f"coterie: {run.stderr.strip()[-300:]}")
    rows = [line.split(",") for line in run.stdout.splitlines() if line and line[0] in "0123456789tf"]
    return {"query": seconds, "process": seconds, "rows": plain(rows)}


def clickhouse(call, events):
    start = time.perf_counter()
    run = subprocess.run([sys.executable, __file__, "--worker", call, events], capture_output=True, text=True,
                         env=engines.limit_env(dict(os.environ)))
    seconds = time.perf_counter() - start
    if run.returncode:
        raise SystemExit(f"ClickHouse: {run.stderr.strip()[-300:]}")
    return {**json.loads(run.stdout), "process": seconds}


def worker(call, events):
    engine = engines.ClickHouse("", events)
    start = time.perf_counter()
    table = engine.rows(query(call, "{events}"))
    seconds = time.perf_counter() - start
    print(json.dumps({"query": seconds, "rows": plain(zip(*(column.to_pylist() for column in table.columns)))}))


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--data", required=True)
    parser.add_argument("--events", default="events")
    parser.add_argument("--repeats", type=int, default=5)
    args = parser.parse_args()
    events = os.path.abspath(os.path.join(args.data, args.events))
    print("| function | coterie | ClickHouse query | ClickHouse process | ratio |\n| --- | ---: | ---: | ---: | ---: |")
    for name, ours, theirs in CALLS:
        runs = {"coterie": [], "clickhouse": []}
        for _ in range(args.repeats):
            runs["coterie"].append(coterie(ours, events))
            runs["clickhouse"].append(clickhouse(theirs, events))
        answers = [run["rows"] for both in runs.values() for run in both]
        if any(answer != answers[0] for answer in answers):
            raise SystemExit(f"{name}: answers differ: {answers[0]} {answers[-1]}")
        middle = lambda engine, what: statistics.median(run[what] for run in runs[engine])
        mine, query_, process = middle("coterie", "query"), middle("clickhouse", "query"), middle("clickhouse", "process")
        print(f"| {name} | {mine:.2f} s | {query_:.2f} s | {process:.2f} s | {query_ / mine:.2f} |", flush=True)


if sys.argv[1:2] == ["--worker"]:
    worker(*sys.argv[2:])
else:
    main()
