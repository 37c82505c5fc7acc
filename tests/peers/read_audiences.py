"""Reads an audiences table as other programs do: counts per segment and status with deltalake, Polars and DuckDB.

    python tests/peers/read_audiences.py <warehouse>/audiences/<store>

Prints the counts; exits with 1 if the readers disagree, 2 if one cannot read the table.
"""

import sys

import duckdb
import polars
import pyarrow
from deltalake import DeltaTable

# Instants as microseconds since 1970: DuckDB needs yet another package for Python's own.
COUNT = "SELECT segment, status, count(*), epoch_us(max(last_qualified_at)) FROM rows GROUP BY 1, 2"


def with_deltalake(folder):
    rows = DeltaTable(folder).to_pyarrow_table()
    counts = rows.group_by(["segment", "status"]).aggregate([([], "count_all"), ("last_qualified_at", "max")])
    instants = counts["last_qualified_at_max"].cast(pyarrow.timestamp("us")).cast(pyarrow.int64())
    keys = zip(counts["segment"].to_pylist(), counts["status"].to_pylist())
    return dict(zip(keys, zip(counts["count_all"].to_pylist(), instants.to_pylist())))


def with_duckdb(folder):
    rows = DeltaTable(folder).to_pyarrow_dataset()
    connection = duckdb.connect().register("rows", rows)
    return {(segment, status): tuple(rest) for segment, status, *rest in connection.execute(COUNT).fetchall()}


def with_polars(folder):
    rows = polars.scan_delta(folder)
    last = polars.col("last_qualified_at").max().dt.epoch("us")
    counts = rows.group_by("segment", "status").agg(polars.len(), last).collect()
    return {(segment, status): tuple(rest) for segment, status, *rest in counts.rows()}


def main(folder):
    readers = {"deltalake": with_deltalake, "duckdb": with_duckdb, "polars": with_polars}
    found = {}
    for name, read in readers.items():
        try:
            found[name] = read(folder)
        except Exception as error:
            print(f"{name} cannot read {folder}: {error}", file=sys.stderr)
            return 2
    expected = found["deltalake"]
    for (segment, status), (count, last) in sorted(expected.items()):
        print(f"{segment}\t{status}\t{count}\t{last}")
    wrong = [name for name, counts in found.items() if counts != expected]
    for name in wrong:
        for key in sorted(found[name].keys() | expected.keys()):
            if found[name].get(key) != expected.get(key):
                print(f"{name} finds {found[name].get(key)} for {key}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    sys.exit(main(sys.argv[1]))
