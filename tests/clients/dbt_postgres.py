#!/usr/bin/env python3
"""dbt on an audience, with its adapter for PostgreSQL: dbt_postgres.py PORT

Builds the project in dbt/ twice: sources and their tests, a view, a table made of it, and their tests. Exits with 1 if any
of it failed.
"""
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile

import psycopg2

from checks import check, finish

PORT = int(sys.argv[1])
E = os.environ.get
HERE = os.path.dirname(os.path.abspath(__file__))
scratch = tempfile.TemporaryDirectory()
PROJECT = os.path.join(scratch.name, "dbt")
shutil.copytree(os.path.join(HERE, "dbt"), PROJECT)


def dbt(*arguments):
    env = dict(os.environ, COTERIE_PORT=str(PORT), DBT_SEND_ANONYMOUS_USAGE_STATS="false", DO_NOT_TRACK="1")
    command = [os.path.join(os.path.dirname(sys.executable), "dbt"), "--no-use-colors", *arguments, "--project-dir", PROJECT, "--profiles-dir", PROJECT]
    run = subprocess.run(command, env=env, capture_output=True, text=True, timeout=120)
    assert run.returncode == 0, run.stdout[-1500:] + run.stderr[-500:]
    return run.stdout


def connect():
    connection = psycopg2.connect(host="127.0.0.1", port=PORT, user=E("COTERIE_USER", "u"), password=E("COTERIE_PASSWORD", "p"),
                                  dbname="coterie", sslmode=E("COTERIE_SSLMODE", "prefer"))
    connection.autocommit = True
    return connection


@check
def models_are_built_and_tested():
    cursor = connect().cursor()
    try:
        for _ in range(2):
            dbt("build")
            with open(os.path.join(PROJECT, "target", "run_results.json")) as results:
                states = [result["status"] for result in json.load(results)["results"]]
            assert len(states) == 6 and states.count("pass") == 4, states
        cursor.execute("SELECT sum(members) FROM win_back_by_country")
        members = cursor.fetchone()[0]
        cursor.execute("SELECT count(*) FROM audience.win_back")
        assert cursor.fetchone() == (members,)
        cursor.execute("SELECT count(*) > 0, min(members) > 1 FROM win_back_countries")
        assert cursor.fetchone() == (True, True)
        cursor.execute("SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'win_back%'")
        assert cursor.fetchall() == [("win_back_countries",)]
    finally:
        cursor.execute("DROP VIEW IF EXISTS win_back_by_country")
        cursor.execute("DROP TABLE IF EXISTS win_back_countries")


@check
def rows_are_shown_and_the_catalog_is_read():
    shown = dbt("show", "--inline", "select count(*) as n from {{ source('audience', 'win_back') }}")
    assert re.search(r"\|\s+n \|\s", shown), shown
    dbt("docs", "generate")
    with open(os.path.join(PROJECT, "target", "catalog.json")) as catalog:
        sources = json.load(catalog)["sources"]
    columns = sources["source.check.audience.win_back"]["columns"]
    assert columns["profile_id"]["type"] == "text", columns


finish()
