#!/usr/bin/env python3
"""Many clients of Flight SQL at once, cancellation, slow readers: flight_load.py PORT

Prints a line a check, and exits with 1 if any failed.
"""
import concurrent.futures
import sys
import threading
import time

import adbc_driver_flightsql.dbapi as flightsql
import pyarrow as pa

from checks import check, finish

URL = "grpc://127.0.0.1:" + sys.argv[1]
ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000000000) t (v) WHERE v % 7 = 3"



def connect():
    return flightsql.connect(URL, autocommit=True)


def value(connection, sql, parameters=None):
    with connection.cursor() as cursor:
        cursor.execute(sql, parameters=parameters)
        return cursor.fetchone()[0]


def running(connection):
    return value(connection, "SELECT count(*) FROM coterie.queries WHERE statement LIKE '%1000000000000%' "
                             "AND statement NOT LIKE '%coterie.queries%'")


def wait_until_idle(connection):
    for _ in range(100):
        if running(connection) == 0:
            return
        time.sleep(0.05)
    raise AssertionError("the statement still runs")


@check
def sixteen_clients_at_once():
    def work(n):
        with connect() as connection:
            for m in range(5):
                found = value(connection, "SELECT count(*) * 0 + $1 FROM events WHERE event_type = 'purchase'", (n * m,))
                assert found == n * m, (found, n * m)
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))


@check
def cancelling_frees_the_server():
    with connect() as connection, connect() as other:
        cursor = connection.cursor()
        begun = threading.Event()

        def stop():
            begun.wait()
            while running(other) == 0:
                time.sleep(0.02)
            cursor.adbc_cancel()

        thread = threading.Thread(target=stop)
        thread.start()
        begun.set()
        try:
            cursor.execute(ENDLESS)
            cursor.fetchone()
            raise AssertionError("it ended")
        except flightsql.Error:
            pass
        thread.join()
        wait_until_idle(other)


@check
def abandoned_readers_leave_nothing():
    with connect() as other:
        for _ in range(8):
            connection = connect()
            cursor = connection.cursor()
            cursor.execute("SELECT * FROM generate_series(1, 1000000000000)")
            cursor.fetchone()
            cursor.close()
            connection.close()
        wait_until_idle(other)


@check
def slow_readers_do_not_stop_others():
    slow = [connect() for _ in range(8)]
    cursors = [connection.cursor() for connection in slow]
    for cursor in cursors:
        cursor.execute("SELECT * FROM generate_series(1, 1000000000000)")
        cursor.fetchone()
    with connect() as other:
        for n in range(20):
            assert value(other, "SELECT %d" % n) == n
        for cursor, connection in zip(cursors, slow):
            cursor.close()
            connection.close()
        wait_until_idle(other)


@check
def large_parameters_and_statements():
    with connect() as connection:
        assert value(connection, "SELECT length($1)", ("x" * (4 << 20),)) == 4 << 20
        assert value(connection, "SELECT length('%s')" % ("x" * (1 << 20))) == 1 << 20
        wide = ", ".join("%d AS c%d" % (n, n) for n in range(1000))
        with connection.cursor() as cursor:
            cursor.execute("SELECT " + wide)
            assert len(cursor.fetchone()) == 1000
        try:
            value(connection, "SELECT " + "(" * 30000 + "1" + ")" * 30000)
            raise AssertionError("30,000 parentheses")
        except flightsql.Error:
            pass
        assert value(connection, "SELECT 1") == 1


@check
def table_functions_take_parameters():
    with connect() as connection, connection.cursor() as cursor:
        for last in (3, 5):
            assert value(connection, "SELECT sum(v) FROM generate_series(1, $1) t (v)", (last,)) == last * (last + 1) // 2
        want = value(connection, "SELECT count(*) FROM profiles WHERE loyalty_tier = 'gold'")
        sql = "SELECT count(*) FROM matching('shop', $1)"
        assert value(connection, sql, ("loyalty_tier = 'gold'",)) == want
        assert cursor.adbc_prepare(sql).field(0).type == pa.string()
        cursor.executemany(sql, [("loyalty_tier = 'gold'",), ("true",)])
        try:
            value(connection, sql, ("loyalty_teir = 'gold'",))
            raise AssertionError("an unknown column")
        except flightsql.Error as error:
            assert "loyalty_teir" in str(error)


@check
def keys_are_shown():
    with connect() as connection:
        objects = connection.adbc_get_objects(depth="all", db_schema_filter="public").read_all().to_pylist()
        tables = {t["table_name"]: t for c in objects for s in c["catalog_db_schemas"] for t in s["db_schema_tables"]}
        assert "profiles" in tables and tables["profiles"]["table_columns"], list(tables)


@check
def nested_rows_are_stored_and_come_back():
    rows = pa.table({
        "id": pa.array([1, 2, 3], pa.int64()),
        "tags": pa.array([["a"], [], None], pa.list_(pa.string())),
        "point": pa.array([{"x": 1.0, "y": None}, None, {"x": 2.0, "y": 3.0}]),
        "word": pa.array(["u", "v", "u"]).dictionary_encode(),
    })
    with connect() as connection:
        with connection.cursor() as cursor:
            cursor.adbc_ingest("nested_rows", rows, mode="replace")
            cursor.execute("SELECT * FROM nested_rows ORDER BY id")
            found = cursor.fetch_arrow_table()
            assert found.to_pylist() == rows.to_pylist(), found.to_pylist()
            cursor.execute("DROP TABLE nested_rows")


finish()
