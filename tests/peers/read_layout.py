"""Reads a laid-out event table as other programs do, and compares it with its source.

    python tests/peers/read_layout.py <warehouse>/layout/<store>/<events> <folder of Parquet files> <key> <timestamp>

Prints what each reader finds: rows, keys, the first and last instant, a digest of all rows; exits with 1 if they disagree
with the source or a file is not in order, 2 if one cannot read the table.
"""

import glob
import sys

import duckdb
import polars
import pyarrow.parquet as pq
from deltalake import DeltaTable

PARTITIONS = ["event_month", "key_bucket"]


def facts(connection, relation, key, timestamp):
    columns = [c[0] for c in connection.execute(f"DESCRIBE SELECT * FROM {relation}").fetchall() if c[0] not in PARTITIONS]
    row = "row(" + ", ".join(f'"{c}"' for c in columns) + ")"
    return connection.execute(
        f'SELECT count(*), count(DISTINCT "{key}"), epoch_us(min("{timestamp}")), epoch_us(max("{timestamp}")), '
        f"sum(hash({row}::VARCHAR)::HUGEINT) FROM {relation}").fetchone()


def with_deltalake(folder, key, timestamp):
    connection = duckdb.connect()
    connection.register("rows_", DeltaTable(folder).to_pyarrow_dataset())
    return facts(connection, "rows_", key, timestamp)


def with_polars(folder, key, timestamp):
    connection = duckdb.connect()
    connection.register("rows_", polars.scan_delta(folder).drop(PARTITIONS).collect().to_arrow())
    return facts(connection, "rows_", key, timestamp)


def with_duckdb(folder, key, timestamp):
    """DuckDB's own Parquet reader, over the files that the log names."""
    files = DeltaTable(folder).file_uris()
    connection = duckdb.connect()
    return facts(connection, f"read_parquet({files!r}, hive_partitioning=false)", key, timestamp)


def in_order(folder, key, timestamp):
    connection = duckdb.connect()
    for path in DeltaTable(folder).file_uris():
        metadata = pq.ParquetFile(path).metadata
        names = [metadata.schema.column(by.column_index).path for by in metadata.row_group(0).sorting_columns]
        if names[:2] != [key, timestamp]:
            return f"{path} says it is sorted by {names}"
        wrong = connection.execute(
            f'SELECT count(*) FROM (SELECT "{key}" AS k, "{timestamp}" AS t, lag("{key}") OVER w AS k0, lag("{timestamp}") OVER w AS t0 '
            f"FROM read_parquet('{path}', file_row_number=true) WINDOW w AS (ORDER BY file_row_number)) "
            "WHERE k0 > k OR (k IS NULL AND k0 IS NOT NULL) OR (k0 = k AND t0 > t)").fetchone()[0]
        if wrong:
            return f"{path} has {wrong} rows out of order"
    return None


def main(folder, source, key, timestamp):
    expected = facts(duckdb.connect(), f"read_parquet({sorted(glob.glob(source + '/*.parquet'))!r})", key, timestamp)
    print("source", *expected)
    status = 0
    for name, read in {"deltalake": with_deltalake, "polars": with_polars, "duckdb": with_duckdb}.items():
        try:
            found = read(folder, key, timestamp)
        except Exception as error:
            print(f"{name} cannot read {folder}: {error}", file=sys.stderr)
            return 2
        print(name, *found)
        status = max(status, int(found != expected))
    wrong = in_order(folder, key, timestamp)
    if wrong:
        print(wrong, file=sys.stderr)
    return 1 if wrong else status


if __name__ == "__main__":
    if len(sys.argv) != 5:
        sys.exit(__doc__)
    sys.exit(main(*sys.argv[1:]))
