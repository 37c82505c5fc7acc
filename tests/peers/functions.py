"""Random events through ClickHouse, DuckDB and DataSketches; their answers are what the functions must give.

    python3 -m venv /tmp/peers && /tmp/peers/bin/pip install -r tests/peers/requirements.txt
    /tmp/peers/bin/python tests/peers/functions.py                      # rewrites the kept answers
    /tmp/peers/bin/python tests/peers/functions.py --seed 7 --out /tmp/seven.json
    PEERS=/tmp/seven.json cargo nextest run --workspace -E 'test(peers)'

The Rust side is udfs/tests/it/peers.rs. `events` has at most one row of a group at one time, so that
nothing depends on an order that a peer leaves open; `ties` has many. `many` has a few large groups, so
that sketches have to sample.
"""

import argparse
import importlib.metadata
import json
import pathlib
import random

import chdb
import datasketches
import duckdb

KEPT = pathlib.Path(__file__).parents[2] / "udfs/tests/fixtures/peers.json"
GROUPS = 24
CONDITIONS = 4
START = 1_767_225_600  # 2026-01-01


def table(rng, name):
    ties = name != "events"
    rows = []
    for group in range(4 if name == "many" else GROUPS):
        n = rng.choice([50, 300, 600]) if name == "many" else rng.choice([0, 1, 2, 3, 8, 15, 30])
        span = rng.choice([20, 60]) if ties else rng.choice([60, 400])
        times = [rng.randrange(span) for _ in range(n)] if ties else rng.sample(range(span), n)
        for time in times:
            mask = rng.choice([0, 1, 2, 4, 8, 1, 2, 4, 3, 6, 5, 15])
            # Minutes apart in one column, days apart in another.
            # Ids are near, far, and on both sides of the 32-bit and 16-bit borders of bitmaps.
            id = rng.choice([0, 65_530, 2**32 - 5, 2**40]) + rng.randrange(rng.choice([10, 5_000]))
            rows.append([group, START + time, START + time * 53_777, mask, rng.choice("abcde"), rng.randrange(1000) / 4, id])
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
            # Which of two rows of one time takes a step decides whether the other repeats it, and for
            # ClickHouse that is the one that came first.
            if name == "ties" and "strict_once" in chosen and "strict_deduplication" in chosen:
                chosen.remove("strict_deduplication")
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
    for name in ["ties", "many"]:
        bitmap = lambda condition: (f"bitmap_build(id) FILTER (WHERE {condition})", f"groupBitmapStateIf(id, {condition})")
        for a, b in [("c1", "c2"), ("c3", "c1 OR c4"), ("c4", "false")]:
            (our_a, their_a), (our_b, their_b) = bitmap(a), bitmap(b)
            for ours, theirs in [("bitmap_and", "bitmapAnd"), ("bitmap_or", "bitmapOr"), ("bitmap_xor", "bitmapXor"),
                                 ("bitmap_and_not", "bitmapAndnot")]:
                calls.append((name, f"bitmap_to_array({ours}({our_a}, {our_b}))", f"arraySort(bitmapToArray({theirs}({their_a}, {their_b})))"))
                calls.append((name, f"bitmap_count({ours}({our_a}, {our_b}))", f"bitmapCardinality({theirs}({their_a}, {their_b}))"))
            calls.append((name, f"bitmap_contains({our_a}, max(id))", f"bitmapContains({their_a}, max(id))"))
        pair = ("bitmap_from_array([id, id + 1])", "bitmapBuild([id, id + 1])")
        calls.append((name, f"bitmap_to_array(bitmap_union_agg({pair[0]}))", f"arraySort(bitmapToArray(groupBitmapOrState({pair[1]})))"))
        calls.append((name, f"bitmap_count(bitmap_union_agg({pair[0]}) FILTER (WHERE c2))", f"groupBitmapOrIf({pair[1]}, c2)"))
    calls.append(("ties", "bitmap_count(bitmap_intersect_agg(bitmap_from_array([id, ts_number % 3])))",
                  "groupBitmapAnd(bitmapBuild([id, (ts % 3)::UInt64]))"))
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


def sketch_calls(tables):
    """(table, our call, the answer of the C++ library for each group)"""
    calls = []

    def add(name, call, answer):
        groups = {}
        for row in tables[name]:
            groups.setdefault(row[0], []).append(row)
        calls.append((name, call, [[g, answer(rows)] for g, rows in sorted(groups.items())]))

    def theta(rows, lg_k=12, mask=None):
        sketch = datasketches.update_theta_sketch(lg_k)
        for row in rows:
            if mask is None or row[3] & mask:
                sketch.update(row[6])
        # As ours, with the least hashes that say all: what C++ leaves in its table depends on the order.
        sketch.trim()
        return sketch.compact()

    def hll(rows, lg_k, mask=None):
        sketch = datasketches.hll_sketch(lg_k, datasketches.tgt_hll_type.HLL_8)
        for row in rows:
            if mask is None or row[3] & mask:
                sketch.update(row[6])
        return unordered(sketch)

    def unordered(sketch):
        """What C++ makes of a union does not depend on the order of rows; ours never does."""
        union = datasketches.hll_union(sketch.lg_config_k)
        union.update(sketch)
        union.update(sketch)
        return union.get_result(datasketches.tgt_hll_type.HLL_8)

    def kll(rows, k=200):
        sketch = datasketches.kll_doubles_sketch(k)
        for row in rows:
            sketch.update(row[5])
        return sketch

    def operation(operation, a, b):
        if operation == "theta_a_not_b":
            return datasketches.theta_a_not_b().compute(a, b)
        both = datasketches.theta_union(12) if operation == "theta_union" else datasketches.theta_intersection()
        both.update(a)
        both.update(b)
        return both.get_result()

    for name in tables:
        for lg_k in [5, 8, 12]:
            sketch = f"theta_sketch(id, {lg_k})"
            add(name, f"encode({sketch}, 'hex')", lambda rows: theta(rows, lg_k).serialize().hex())
            add(name, f"theta_estimate({sketch})", lambda rows: theta(rows, lg_k).get_estimate())
            for deviations in [1, 2, 3]:
                add(name, f"theta_lower_bound({sketch}, {deviations})", lambda rows: theta(rows, lg_k).get_lower_bound(deviations))
                add(name, f"theta_upper_bound({sketch}, {deviations})", lambda rows: theta(rows, lg_k).get_upper_bound(deviations))
            of = lambda condition: f"theta_sketch(id, {lg_k}) FILTER (WHERE {condition})"
            for call in ["theta_union", "theta_intersect", "theta_a_not_b"]:
                add(name, f"theta_estimate({call}({of('c1')}, {of('c2')}))",
                    lambda rows: operation(call, theta(rows, lg_k, 1), theta(rows, lg_k, 2)).get_estimate())
        for lg_k in [4, 7, 12]:
            sketch = f"hll_sketch(id, {lg_k})"
            add(name, f"hll_estimate({sketch})", lambda rows: hll(rows, lg_k).get_estimate())
            for deviations in [1, 2, 3]:
                add(name, f"hll_lower_bound({sketch}, {deviations})", lambda rows: hll(rows, lg_k).get_lower_bound(deviations))
                add(name, f"hll_upper_bound({sketch}, {deviations})", lambda rows: hll(rows, lg_k).get_upper_bound(deviations))

            def both(rows):
                union = datasketches.hll_union(lg_k)
                union.update(hll(rows, lg_k, 1))
                union.update(hll(rows, lg_k, 2))
                return unordered(union.get_result()).get_estimate()

            of = lambda condition: f"hll_sketch(id, {lg_k}) FILTER (WHERE {condition})"
            add(name, f"hll_estimate(hll_union({of('c1')}, {of('c2')}))", both)
        # Larger sketches are drawn by lot.
        if name != "many":
            add(name, "kll_count(kll_sketch(x))", lambda rows: kll(rows).n)
            for share in [0, 0.1, 0.25, 0.5, 0.99, 1]:
                add(name, f"kll_quantile(kll_sketch(x), {share})", lambda rows: kll(rows).get_quantile(share, True))
            for value in [0, 10.25, 125, 1000]:
                add(name, f"kll_rank(kll_sketch(x), {value})", lambda rows: kll(rows).get_rank(value, True))
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
    tables = {name: table(rng, name) for name in ["events", "ties", "many"]}

    duck = duckdb.connect()
    duck.execute("SET TimeZone = 'UTC'")
    for name, rows in tables.items():
        duck.execute(f"CREATE TABLE {name} (g BIGINT, ts BIGINT, day_ts BIGINT, mask INT, value TEXT, x DOUBLE, id BIGINT)")
        duck.executemany(f"INSERT INTO {name} VALUES (?, ?, ?, ?, ?, ?, ?)", rows)
        for bit in range(CONDITIONS):
            duck.execute(f"ALTER TABLE {name} ADD COLUMN c{bit + 1} BOOLEAN")
            duck.execute(f"UPDATE {name} SET c{bit + 1} = mask & {1 << bit} <> 0")

    def clickhouse(name, calls):
        """The answers to each of many calls; a query of many is much faster than many queries."""
        values = ", ".join(f"({g}, {ts}, {mask}, '{value}', {id})" for g, ts, _, mask, value, _, id in tables[name])
        bits = ", ".join(f"bitAnd(mask, {1 << bit}) != 0 AS c{bit + 1}" for bit in range(CONDITIONS))
        query = (f"SELECT g, {', '.join(f'{call} AS a{i}' for i, call in enumerate(calls))} FROM (SELECT *, {bits} "
                 f"FROM values('g Int64, ts UInt32, mask UInt8, value String, id UInt64', {values})) GROUP BY g ORDER BY g "
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

    for name, ours, rows in sketch_calls(tables):
        answers.append({"table": name, "call": ours, "peer": "DataSketches", "answers": plain(rows)})

    versions = {"ClickHouse": str(chdb.query("SELECT version()")).strip().strip('"'), "DuckDB": duckdb.__version__,
                "DataSketches": importlib.metadata.version("datasketches")}
    lines = [json.dumps(answer, separators=(",", ":")) for answer in answers]
    args.out.write_text(
        '{"seed":%d,"versions":%s,\n"tables":%s,\n"answers":[\n%s\n]}\n'
        % (args.seed, json.dumps(versions), json.dumps(tables, separators=(",", ":")), ",\n".join(lines))
    )
    print(f"{len(answers)} calls, {args.out}")


main()
