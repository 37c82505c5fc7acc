#!/usr/bin/env python3
"""The SQL that coterie shows runs in DuckDB too, and finds the same profiles.

    coterie demo shop --profiles 2000
    python3 tests/peers/translations.py path/to/coterie shop queries/segments/*

Needs the package duckdb. A rule that uses a function of coterie's own (sequences, ranks by key of `did_then`, …) is named and left
out: what it should be in DuckDB is not ours to say.
"""
import csv
import io
import pathlib
import subprocess
import sys

import duckdb

NOW = "2026-06-15T12:00:00Z"
coterie, shop, *files = sys.argv[1:]
warehouse = f"{shop}/warehouse"
lake = duckdb.connect()
lake.execute("SET TimeZone = 'UTC'")
for table in ["profiles", "events", "products"]:
    lake.execute(f"CREATE VIEW {table} AS SELECT * FROM read_parquet('{shop}/{table}/*.parquet')")


def run(*arguments):
    command = [coterie, *arguments, "--warehouse", warehouse, "--now", NOW]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


wrong = 0
for file in files:
    name = pathlib.Path(file).stem
    sql = run("translate", file)
    members = sorted(row["profile_id"] for row in csv.DictReader(io.StringIO(run("sql", "--format", "csv", "-c", sql))))
    try:
        found = sorted(row[0] for row in lake.execute(sql).fetchall())
    except duckdb.CatalogException as missing:
        print(f"{name}: left out, {str(missing).splitlines()[0]}")
        continue
    except duckdb.Error as error:
        print(f"{name}: {str(error).splitlines()[0]}")
        wrong += 1
        continue
    wrong += found != members
    print(f"{name}: {len(found)} in DuckDB, {len(members)} in coterie{'' if found == members else ', THEY DIFFER'}")
sys.exit(wrong > 0)
