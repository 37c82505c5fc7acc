"""Random events through ClickHouse and DuckDB; their answers are what the functions must give.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install chdb duckdb
    /tmp/peers/bin/python tests/peers/functions.py                      # rewrites the kept answers
    /tmp/peers/bin/python tests/peers/functions.py --seed 7 --out /tmp/seven.json
    PEERS=/tmp/seven.json cargo nextest run --workspace -E 'test(peers)'

The Rust side is udfs/tests/it/peers.rs. `events` has at most one row of a group at one time, so that
nothing depends on an order that a peer leaves open; `ties` has many.
"""

import argparse
import json
import pathlib
import random

import chdb
import duckdb

KEPT = pathlib.Path(__file__).parents[2] / "udfs/tests/fixtures/peers.json"
GROUPS = 24
CONDITIONS = 4
START = 1_767_225_600  # 2026-01-01


def table(rng, ties):
    rows = []
    for group in range(GROUPS):
        n = rng.choice([0, 1, 2, 3, 8, 15, 30])
        span = rng.choice([20, 60]) if ties else rng.choice([60, 400])
        times = [rng.randrange(span) for _ in range(n)] if ties else rng.sample(range(span), n)
        for time in times:
            mask = rng.choice([0, 1, 2, 4, 8, 1, 2, 4, 3, 6, 5, 15])
            # Minutes apart in one column, days apart in another.
            rows.append([group, START + time, START + time * 53_777, mask, rng.choice("abcde"), rng.randrange(1000) / 4])
    rng.shuffle(rows)
    return rows


def pattern(rng, timed):
    parts = []
    for _ in range(rng.randrange(1, 5)):
        kind = rng.random()
        if kind < 0.6:
            parts.append(f"(?{rng.randrange(1, CONDITIONS + 1)})")
        elif kind < 0.75:
            parts.append(".")
        else:
            parts.append(".*")
        if timed and rng.random() < 0.6:
            parts.append(f"(?t{rng.choice(['<=', '<', '>=', '>', '=='])}{rng.choice([0, 1, 2, 5, 10, 40])})")
    # A pattern that ends in `.*` or a time makes ClickHouse 26.9 read past the end of its own pattern
    # once the events run out: the same call gives 0 or 1 with what else is in the query.
    return "".join(parts) + rng.choice(["(?1)", "(?2)", "."])


def clickhouse_calls(rng):
    """(table, our call, ClickHouse's call)"""
    conditions = ", ".join(f"c{i + 1}" for i in range(CONDITIONS))
    calls = []
    modes = ["strict_order", "strict_deduplication", "strict_increase", "strict_once"]
    for name in ["events", "ties"]:
        for _ in range(30):
            window = rng.choice([0, 1, 3, 10, 30, 1000])
            n = rng.randrange(1, CONDITIONS + 1)
            some = ", ".join(f"c{i + 1}" for i in range(n))
            chosen = [mode for mode in modes if rng.random() < 0.3]
            if "strict_order" in chosen and rng.random() < 0.3:
                chosen.append("allow_reentry")
            texts = "".join(f", '{mode}'" for mode in chosen)
            calls.append((name, f"window_funnel({window}, ts, {some}{texts})",
                          f"windowFunnel({window}{texts})(ts, {some})"))
        for n in range(2, CONDITIONS + 1):  # ClickHouse wants two
            some = ", ".join(f"c{i + 1}" for i in range(n))
            calls.append((name, f"retention({some})", f"retention({some})"))
    for i in range(60):
        text = pattern(rng, i % 2 == 0)
        for ours, theirs in [("sequence_match", "sequenceMatch"), ("sequence_count", "sequenceCount"),
                             ("sequence_match_events", "sequenceMatchEvents")]:
            calls.append(("events", f"{ours}('{text}', ts, {conditions})", f"{theirs}('{text}')(ts, {conditions})"))
    for direction, bases in [("forward", ["head", "first_match", "last_match"]),
                             ("backward", ["tail", "first_match", "last_match"])]:
        for base in bases:
            for n in range(0 if base in ["head", "tail"] else 1, 4):
                events = "".join(f", c{i + 1}" for i in range(n))
                for condition in ["true", "c2"]:
                    calls.append(("events", f"sequence_next_node('{direction}', '{base}', ts, value, {condition}{events})",
                                  f"sequenceNextNode('{direction}', '{base}')(ts, value, {condition}::UInt8{events})"))
    calls.append(("events", "first_touch(value, ts)", "argMinOrNull(value, ts)"))
    calls.append(("events", "last_touch(value, ts)", "argMaxOrNull(value, ts)"))
    return calls


def duckdb_calls(rng):
    """(table, our call, a DuckDB query of g and the answer)"""
    calls = []
    for name in ["events", "ties"]:
        for n in [1, 2, 5, -1, -2, -5]:
            place = f"{n}" if n > 0 else f"len(s) + 1 - {-n}"
            calls.append((name, f"nth_time(ts, {n})",
                          f"SELECT g, CASE WHEN len(s) >= {abs(n)} THEN s[{place}] END FROM "
                          f"(SELECT g, list_sort(list(ts)) s FROM {name} GROUP BY g)"))
        for k in [1, 3, 100]:
            calls.append((name, f"top_k_latest(ts, {k})",
                          f"SELECT g, list_reverse_sort(list(ts))[:{k}] FROM {name} GROUP BY g"))
        for gap in [0, 1, 2, 5, 20]:
            numbered = (f"SELECT g, ts, sum(b) OVER (PARTITION BY g ORDER BY ts RANGE UNBOUNDED PRECEDING) AS s FROM "
                        f"(SELECT g, ts, CASE WHEN ts - lag(ts) OVER (PARTITION BY g ORDER BY ts) <= {gap} THEN 0 ELSE 1 END AS b FROM {name})")
            calls.append((name, f"session_count(ts, {gap})", f"SELECT g, count(DISTINCT s) FROM ({numbered}) GROUP BY g"))
            calls.append((name, f"session_durations(ts, {gap})",
                          f"SELECT g, list(d ORDER BY s) FROM (SELECT g, s, max(ts) - min(ts) AS d FROM ({numbered}) GROUP BY g, s) GROUP BY g"))
        for within in [0, 1, 4, 15, None]:
            limit = "" if within is None else f" AND b.ts <= a.ts + {within}"
            argument = "" if within is None else f", {within}"
            calls.append((name, f"did_then(ts, c1, c2{argument})",
                          f"SELECT g, count(*) FILTER (WHERE c1 AND EXISTS (SELECT 1 FROM {name} b WHERE b.g = a.g AND b.c2 AND b.ts > a.ts{limit})) > 0 "
                          f"FROM {name} a GROUP BY g"))
        for within in [0, 1, 4, 15]:
            as_of = START + rng.choice([10, 30, 500])
            calls.append((name, f"did_without(ts, c1, c2, {within}, arrow_cast({as_of}, 'Timestamp(Second, None)'))",
                          f"SELECT g, count(*) FILTER (WHERE c1 AND a.ts + {within} <= {as_of} AND NOT EXISTS (SELECT 1 FROM {name} b "
                          f"WHERE b.g = a.g AND b.c2 AND b.ts > a.ts AND b.ts <= a.ts + {within})) > 0 FROM {name} a GROUP BY g"))
        calls.append((name, "most_frequent(value)",
                      f"SELECT g, CASE WHEN count(*) = 1 THEN min(value) END FROM (SELECT g, value, n, max(n) OVER (PARTITION BY g) AS m "
                      f"FROM (SELECT g, value, count(*) AS n FROM {name} GROUP BY g, value)) WHERE n = m GROUP BY g"))
        calls.append((name, "trend(day_ts, x)",
                      f"SELECT g, CASE WHEN count(DISTINCT day_ts) > 1 THEN regr_slope(x, day_ts / 86400.0) END FROM {name} GROUP BY g"))
        gaps = f"SELECT g, ts - lag(ts) OVER (PARTITION BY g ORDER BY ts) AS d FROM {name}"
        calls.append((name, "inter_event_time(ts)",
                      f"SELECT g, CASE WHEN count(d) > 0 THEN [count(d), avg(d), stddev_samp(d), min(d), quantile_cont(d, 0.25), "
                      f"median(d), quantile_cont(d, 0.75), max(d)] END FROM ({gaps}) GROUP BY g"))
        for unit in ["day", "week", "month", "quarter", "year"]:
            # DuckDB's own difference of weeks counts Thursdays; between Mondays it is the number of weeks.
            day = lambda at: f"date_trunc('{unit}', to_timestamp({at})::TIMESTAMP)::DATE"
            since = f"date_diff('{unit}', {day(START)}, {day('day_ts')})"
            calls.append((name, f"cohort_retention(day_ts, arrow_cast({START}, 'Timestamp(Second, None)'), '{unit}', 6)",
                          f"SELECT g, list_transform(range(6), lambda i: list_contains(list({since}), i)) FROM {name} GROUP BY g"))
        calls.append((name, "days_since(min(day_ts), max(day_ts))",
                      f"SELECT g, date_diff('day', to_timestamp(min(day_ts))::TIMESTAMP::DATE, to_timestamp(max(day_ts))::TIMESTAMP::DATE) FROM {name} GROUP BY g"))
    return calls


def plain(value):
    """Answers as the Rust side writes its own: booleans are 0 and 1."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    return value


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--seed", type=int, default=20260101)
    parser.add_argument("--out", type=pathlib.Path, default=KEPT)
    args = parser.parse_args()
    rng = random.Random(args.seed)
    tables = {"events": table(rng, False), "ties": table(rng, True)}

    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    for name, rows in tables.items():
        duck.execute(f"CREATE TABLE {name} (g BIGINT, ts BIGINT, day_ts BIGINT, mask INT, value TEXT, x DOUBLE)")
        duck.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?)", rows)
        for bit in range(CONDITIONS):
            duck.execute(f"ALTER TABLE {name} ADD COLUMN c{bit + 1} BOOLEAN")
            duck.execute(f"UPDATE {name} SET c{bit + 1} = mask & {1 << bit} <> 0")

    def clickhouse(name, calls):
        """The answers to each of many calls; a query of many is much faster than many queries."""
        values = ", ".join(f"({g}, {ts}, {mask}, '{value}')" for g, ts, _, mask, value, _ in tables[name])
        bits = ", ".join(f"bitAnd(mask, {1 << bit}) != 0 AS c{bit + 1}" for bit in range(CONDITIONS))
        query = (f"SELECT g, {', '.join(f'{call} AS a{i}' for i, call in enumerate(calls))} FROM (SELECT *, {bits} "
                 f"FROM values('g Int64, ts UInt32, mask UInt8, value String', {values})) GROUP BY g ORDER BY g "
                 f"SETTINGS allow_experimental_funnel_functions = 1, output_format_json_quote_64bit_integers = 0")
        rows = json.loads(str(chdb.query(query, "JSONCompact")))["data"]
        return [[[int(row[0]), row[i + 1]] for row in rows] for i in range(len(calls))]

    answers = []
    calls = clickhouse_calls(rng)
    for name in tables:
        of_table = [(ours, theirs) for table, ours, theirs in calls if table == name]
        for start in range(0, len(of_table), 40):
            some = of_table[start : start + 40]
            for (ours, _), rows in zip(some, clickhouse(name, [theirs for _, theirs in some])):
                answers.append({"table": name, "call": ours, "peer": "ClickHouse", "answers": plain(rows)})
    for name, ours, query in duckdb_calls(rng):
        rows = duck.execute(f"SELECT * FROM ({query}) ORDER BY 1").fetchall()
        answers.append({"table": name, "call": ours, "peer": "DuckDB", "answers": plain(rows)})

    versions = {"ClickHouse": str(chdb.query("SELECT version()")).strip().strip('"'), "DuckDB": duckdb.__version__}
    lines = [json.dumps(answer, separators=(",", ":")) for answer in answers]
    args.out.write_text(
        '{"seed":%d,"versions":%s,\n"tables":%s,\n"answers":[\n%s\n]}\n'
        % (args.seed, json.dumps(versions), json.dumps(tables, separators=(",", ":")), ",\n".join(lines))
    )
    print(f"{len(answers)} calls, {args.out}")


main()
