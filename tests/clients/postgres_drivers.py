#!/usr/bin/env python3
"""Drivers of PostgreSQL beside psycopg's common path: postgres_drivers.py PORT

asyncpg (binary), ADBC (COPY BINARY), SQLAlchemy's reflection, psql, psycopg's cursors, pipelines, copies, transactions.
Prints a line a check, and exits with 1 if any failed. COTERIE_USER, COTERIE_PASSWORD and COTERIE_SSLMODE as libpq has them.
"""
import asyncio
import datetime as dt
import decimal
import json
import os
import subprocess
import sys

import adbc_driver_postgresql.dbapi as adbc
import asyncpg
import psycopg
import sqlalchemy as sa

from checks import check, finish

PORT = int(sys.argv[1])
E = os.environ.get
USER, PASSWORD, SSL = E("COTERIE_USER", "u"), E("COTERIE_PASSWORD", "p"), E("COTERIE_SSLMODE", "prefer")



def connect(**more):
    return psycopg.connect(host="127.0.0.1", port=PORT, user=USER, password=PASSWORD, dbname="coterie", sslmode=SSL,
                           **{"autocommit": True, **more})


def state(connection, sql, parameters=None):
    """The SQLSTATE of a statement that fails."""
    try:
        connection.execute(sql, parameters)
    except psycopg.Error as error:
        return error.sqlstate
    return None


# What psycopg reads as the same in both formats, with the value that it should be.
VALUES = [
    ("CAST(-7 AS SMALLINT)", -7),
    ("CAST(2147483647 AS INT)", 2147483647),
    ("CAST(-9223372036854775808 AS BIGINT)", -(2 ** 63)),
    ("CAST(18446744073709551615 AS BIGINT UNSIGNED)", decimal.Decimal(2 ** 64 - 1)),
    ("CAST(1.5 AS REAL)", 1.5),
    ("CAST(1e300 AS DOUBLE)", 1e300),
    ("CAST(0.1 AS DOUBLE)", 0.1),
    ("CAST('NaN' AS DOUBLE)", "nan"),
    ("TRUE", True),
    ("'Ünïcödé €'", "Ünïcödé €"),
    ("''", ""),
    ("X'00ff41'", b"\x00\xffA"),
    ("DATE '0001-01-01'", dt.date(1, 1, 1)),
    ("DATE '2024-02-29'", dt.date(2024, 2, 29)),
    ("TIMESTAMP '1969-12-31 23:59:59.999999'", dt.datetime(1969, 12, 31, 23, 59, 59, 999999)),
    ("TIMESTAMP '2024-06-15T12:00:00Z' AT TIME ZONE 'UTC'", None),
    ("arrow_cast('2024-06-15T12:00:00Z', 'Timestamp(Microsecond, Some(\"UTC\"))')",
     dt.datetime(2024, 6, 15, 12, tzinfo=dt.timezone.utc)),
    ("TIME '12:34:56.789'", dt.time(12, 34, 56, 789000)),
    ("INTERVAL '3 days 4 hours 5 minutes'", dt.timedelta(days=3, hours=4, minutes=5)),
    ("CAST(-12345.67 AS DECIMAL(18,2))", decimal.Decimal("-12345.67")),
    ("CAST('99999999999999999999999999999999999999' AS DECIMAL(38,0))", decimal.Decimal("9" * 38)),
    ("CAST(0.00 AS DECIMAL(5,2))", decimal.Decimal("0.00")),
    ("CAST(0.0001 AS DECIMAL(9,4))", decimal.Decimal("0.0001")),
    ("[1, 2, NULL]", [1, 2, None]),
    ("['a', 'b,\"c', NULL, '']", ["a", 'b,"c', None, ""]),
    ("[DATE '2024-01-01']", [dt.date(2024, 1, 1)]),
    ("[TRUE, FALSE]", [True, False]),
    ("make_array(1.5, NULL)", [1.5, None]),
    ("struct(1 AS a, 'x' AS b)", {"a": 1, "b": "x"}),
    ("MAP {'k': 1, 'l': NULL}", {"k": 1, "l": None}),
    ("[[1, 2], [3]]", [[1, 2], [3]]),
    ("[struct(1 AS a)]", [{"a": 1}]),
    ("NULL", None),
]


@check
def every_type_in_both_formats():
    with connect() as c:
        for sql, want in VALUES:
            got = [c.execute("SELECT " + sql, binary=binary).fetchone()[0] for binary in (False, True)]
            if want == "nan":
                assert all(value != value for value in got), (sql, got)
            elif want is None and sql != "NULL":
                assert got[0] == got[1], (sql, got)
            else:
                assert got == [want, want], (sql, got)
    return "%d types" % len(VALUES)


@check
def every_type_through_asyncpg():
    async def go():
        c = await asyncpg.connect(host="127.0.0.1", port=PORT, user=USER, password=PASSWORD, database="coterie", ssl=SSL)
        for sql, want in VALUES:
            got = await c.fetchval("SELECT " + sql)
            if isinstance(want, dict) or "struct" in sql or sql == "[[1, 2], [3]]":
                got = json.loads(got)
            if want == "nan":
                assert got != got
            elif want is not None:
                assert got == want, (sql, got, want)
        for value, kind in [(7, "BIGINT"), (1.25, "DOUBLE"), ("é", "VARCHAR"), (True, "BOOLEAN"), (b"\x00a", "BYTEA"),
                            (dt.date(2024, 2, 29), "DATE"), (dt.datetime(2024, 2, 29, 1, 2, 3, 4), "TIMESTAMP"),
                            (decimal.Decimal("12.50"), "DECIMAL(10,2)"), (dt.time(1, 2, 3), "TIME")]:
            got = await c.fetchval("SELECT CAST($1 AS %s)" % kind, value)
            assert got == value, (kind, got, value)
        # Strings of any length, several parameters, a wrong number of them.
        assert await c.fetchval("SELECT length($1) + length($2)", "a" * 100_000, "é") == 100_001
        try:
            await c.fetchval("SELECT CAST($1 AS BIGINT)", 1, 2)
            raise AssertionError("two values for one parameter")
        except asyncpg.InterfaceError:
            pass
        assert await c.fetch("SELECT v FROM (VALUES (1), (2)) t (v) WHERE v = ANY($1::bigint[])", [2, 3]) == [(2,)]
        await c.execute("SET application_name = 'x'; SELECT 1")
        await c.reset()
        async with c.transaction():
            cursor = await c.cursor("SELECT * FROM generate_series(1, 1000)")
            assert [r[0] for r in await cursor.fetch(3)] == [1, 2, 3]
            assert (await cursor.fetchrow())[0] == 4
        try:
            async with c.transaction():
                await c.execute("SELECT nothing")
        except asyncpg.UndefinedColumnError:
            pass
        await c.copy_from_query("SELECT * FROM generate_series(1, 10)", output=os.devnull, format="csv")
        try:
            await asyncio.wait_for(c.fetchval("SELECT count(*) FROM generate_series(1, 1000000000000) t (v) WHERE v % 7 = 3"), 0.5)
            raise AssertionError("an endless query ended")
        except asyncio.TimeoutError:
            pass
        assert await c.fetchval("SELECT 1") == 1
        await c.close()
    asyncio.run(go())


@check
def adbc_reads_binary_copies():
    uri = "postgresql://%s:%s@127.0.0.1:%d/coterie?sslmode=%s" % (USER, PASSWORD.replace(" ", "%20"), PORT, SSL)
    with adbc.connect(uri, autocommit=True) as c, c.cursor() as cursor:
        cursor.execute("SELECT CAST(v AS BIGINT) AS v, 'r' || v AS t, v / 2.0 AS d, DATE '2024-01-01' AS day, "
                       "TIMESTAMP '2024-01-01 01:02:03' AS at, [v, NULL] AS l FROM generate_series(1, 50000) s (v) ORDER BY v")
        table = cursor.fetch_arrow_table()
        assert table.num_rows == 50000 and table["v"][49999].as_py() == 50000, table.schema
        assert table["t"][0].as_py() == "r1" and table["d"][1].as_py() == 1
        assert table["day"][0].as_py() == dt.date(2024, 1, 1)
        assert table["at"][0].as_py() == dt.datetime(2024, 1, 1, 1, 2, 3)
        assert table["l"][0].as_py() == [1, None]
        cursor.execute("SELECT * FROM public.profiles LIMIT 10")
        assert cursor.fetch_arrow_table().num_rows == 10
        cursor.execute("SELECT CAST($1 AS BIGINT) + 1", parameters=(41,))
        assert cursor.fetchone() == (42,)
        assert "profile_id" in c.adbc_get_table_schema("profiles", db_schema_filter="public").names
        objects = c.adbc_get_objects(depth="all", db_schema_filter="public").read_all().to_pylist()
        tables = {t["table_name"]: t for o in objects for s in o["catalog_db_schemas"] for t in s["db_schema_tables"]}
        assert "profile_id" in [column["column_name"] for column in tables["profiles"]["table_columns"]], tables["profiles"]
        keys = {key["constraint_type"]: key["constraint_column_names"] for key in tables["profiles"]["table_constraints"]}
        assert keys == {"PRIMARY KEY": ["profile_id"]}, keys
        assert ["profile_id"] in [key["constraint_column_names"] for key in tables["events"]["table_constraints"]]


@check
def sqlalchemy_reflects_keys_and_columns():
    url = sa.engine.URL.create("postgresql+psycopg", USER, PASSWORD, "127.0.0.1", PORT, "coterie", query={"sslmode": SSL})
    engine = sa.create_engine(url)
    inspector = sa.inspect(engine)
    assert {"public", "segment", "audience", "coterie"} <= set(inspector.get_schema_names())
    assert "profiles" in inspector.get_table_names(schema="public")
    assert inspector.get_pk_constraint("profiles", schema="public")["constrained_columns"] == ["profile_id"]
    segments = inspector.get_view_names(schema="segment")
    assert "win_back" in segments, segments
    assert inspector.get_table_names(schema="audience")
    assert inspector.get_view_definition("win_back", schema="segment").startswith("CREATE SEGMENT")
    meta = sa.MetaData()
    meta.reflect(engine, schema="public", views=True)
    keys = [key for table in meta.tables.values() for key in table.foreign_keys]
    assert keys, "no foreign keys"
    meta = sa.MetaData()
    meta.reflect(engine, schema="audience")
    with engine.connect() as c:
        audience = meta.tables["audience.win_back"]
        assert c.execute(sa.select(sa.func.count()).select_from(audience)).scalar() > 0
        c.rollback()
        with c.begin_nested():
            assert c.execute(sa.text("SELECT 1")).scalar() == 1
    engine.dispose()
    return "%d foreign keys" % len(keys)


@check
def sqlalchemy_through_asyncpg():
    from sqlalchemy.ext.asyncio import create_async_engine

    async def go():
        url = sa.engine.URL.create("postgresql+asyncpg", USER, PASSWORD, "127.0.0.1", PORT, "coterie", query={"ssl": SSL})
        engine = create_async_engine(url)
        async with engine.connect() as c:
            assert (await c.execute(sa.text("SELECT CAST(:a AS BIGINT) + 1"), {"a": 41})).scalar() == 42
            assert "profiles" in await c.run_sync(lambda sync: sa.inspect(sync).get_table_names())
        await engine.dispose()
    asyncio.run(go())


@check
def table_functions_take_parameters():
    gold = "SELECT count(*) FROM matching('shop', %s)"
    with connect() as c:
        want = c.execute("SELECT count(*) FROM profiles WHERE loyalty_tier = 'gold'").fetchone()
        assert c.execute(gold, ("loyalty_tier = 'gold'",)).fetchone() == want
        for prepare in (None, True):
            for last in (3, 5):
                rows = c.execute("SELECT * FROM generate_series(1, %s) t (v) WHERE v > %s", (last, 1), prepare=prepare).fetchall()
                assert rows == [(v,) for v in range(2, last + 1)], rows
        days = "SELECT * FROM generate_series(%s::timestamp, %s, INTERVAL '1 day')"
        rows = c.execute(days, (dt.datetime(2026, 1, 1), dt.datetime(2026, 1, 3)), binary=True).fetchall()
        assert [row[0].day for row in rows] == [1, 2, 3], rows
        assert c.execute("SELECT count(*) FROM generate_series(1, %s::bigint)", (None,)).fetchone() == (0,)
        assert state(c, gold, ("loyalty_teir = 'gold'",)) == "42703"
        assert state(c, "SELECT * FROM matching(%s, 'true')", ("shop",)) == "0A000"

    async def go():
        a = await asyncpg.connect(host="127.0.0.1", port=PORT, user=USER, password=PASSWORD, database="coterie", ssl=SSL)
        statement = await a.prepare(gold.replace("%s", "$1"))
        assert [p.name for p in statement.get_parameters()] == ["text"]
        assert [p.type.name for p in statement.get_attributes()] == ["int8"]
        assert (await statement.fetchval("loyalty_tier = 'gold'"),) == want
        assert await a.fetch("SELECT v FROM generate_series($1, $2) t (v)", 2, 4) == [(2,), (3,), (4,)]
        # What fails while it is prepared is told at once.
        for sql, error in [("SELECT * FROM matching($1, $2)", asyncpg.FeatureNotSupportedError),
                           ("SELECT nothing FROM generate_series(1, $1)", asyncpg.UndefinedColumnError)]:
            try:
                await asyncio.wait_for(a.prepare(sql), 10)
                raise AssertionError(sql)
            except error:
                pass
        assert await a.fetchval("SELECT 1") == 1
        await a.close()

        from sqlalchemy.ext.asyncio import create_async_engine
        url = sa.engine.URL.create("postgresql+asyncpg", USER, PASSWORD, "127.0.0.1", PORT, "coterie", query={"ssl": SSL})
        engine = create_async_engine(url)
        async with engine.connect() as c:
            rows = await c.execute(sa.text(gold.replace("%s", ":rule")), {"rule": "loyalty_tier = 'gold'"})
            assert (rows.scalar(),) == want
            series = sa.func.generate_series(1, 4).table_valued("value")
            assert len((await c.execute(sa.select(series))).all()) == 4
        await engine.dispose()
    asyncio.run(go())
    url = "postgresql://%s:%s@127.0.0.1:%d/coterie?sslmode=%s" % (USER, PASSWORD.replace(" ", "%20"), PORT, SSL)
    with adbc.connect(url, autocommit=True) as c, c.cursor() as cursor:
        cursor.execute("SELECT sum(v) FROM generate_series(1, $1) t (v)", parameters=(4,))
        assert cursor.fetchone() == (10,)


@check
def transactions_stay_failed_until_they_end():
    with connect() as c:
        c.execute("BEGIN")
        assert state(c, "SELECT nothing") == "42703"
        assert state(c, "SELECT 1") == "25P02"
        assert state(c, "SELECT CAST(%s AS BIGINT)", (1,)) == "25P02"
        assert c.execute("COMMIT").statusmessage == "ROLLBACK"
        c.execute("BEGIN; SAVEPOINT a")
        assert state(c, "SELECT 1 / 0 FROM generate_series(1, 2)") == "22012"
        c.execute("ROLLBACK TO a")
        assert c.execute("SELECT 1").fetchone() == (1,)
        assert state(c, "CREATE TABLE in_a_block (a BIGINT)") == "0A000"
        c.execute("ROLLBACK")
        assert state(c, "SELECT * FROM in_a_block") == "42P01"
        assert state(c, "SAVEPOINT b") == "25P01"
        # Settings go back with the transaction.
        c.execute("SET search_path = audience; BEGIN; SET search_path = segment")
        assert c.execute("SHOW search_path").fetchone() == ("segment",)
        c.execute("ROLLBACK")
        assert c.execute("SHOW search_path").fetchone() == ("audience",)
        assert c.execute("SELECT count(*) > 0 FROM win_back").fetchone() == (True,)
        c.execute("RESET search_path")


@check
def errors_have_their_states():
    with connect() as c:
        for sql, want in [("SELEC 1", "42601"), ("SELECT * FROM nothing", "42P01"), ("SELECT nothing", "42703"),
                          ("SELECT nothing(1)", "42883"), ("SELECT 1/0", "22012"), ("SELECT CAST('x' AS INT)", "22P02"),
                          ("SET nothing = 1", "42704"), ("SHOW nothing", "42704"), ("SET server_version = '1'", "55P02"),
                          ("SET TimeZone = 'Nowhere'", "22023"), ("SET client_encoding = LATIN1", "22023"),
                          ("FETCH nothing", "34000"), ("CLOSE nothing", "34000"), ("DEALLOCATE nothing", "26000"),
                          ("LISTEN x", "0A000"), ("CANCEL QUERY 'x'", "42704"), ("SELECT * FROM audience.nothing", "42P01"),
                          ("DECLARE c CURSOR FOR SELECT 1", "25P01"), ("EXECUTE nothing", "26000"),
                          ("SELECT " + "(" * 30000 + "1" + ")" * 30000, "54001")]:
            got = state(c, sql)
            assert got == want, (sql[:60], got, want)
        assert c.execute("SELECT 1").fetchone() == (1,)


@check
def cursors_go_forward():
    with connect() as c:
        c.execute("BEGIN; DECLARE a CURSOR FOR SELECT * FROM generate_series(1, 10)")
        assert [r[0] for r in c.execute("FETCH 3 FROM a")] == [1, 2, 3]
        assert c.execute("MOVE 2 FROM a").statusmessage == "MOVE 2"
        assert [r[0] for r in c.execute("FETCH ALL a")] == [6, 7, 8, 9, 10]
        assert c.execute("FETCH a").fetchall() == []
        c.execute("COMMIT")
        assert state(c, "FETCH a") == "34000"
        c.execute("DECLARE b CURSOR WITH HOLD FOR SELECT 1 AS x")
        assert c.execute("FETCH b").fetchone() == (1,)
        c.execute("CLOSE b")
    with connect(autocommit=False) as c:
        with c.cursor("named", binary=True) as cursor:
            cursor.itersize = 100
            cursor.execute("SELECT v, [v] FROM generate_series(1, 5000) t (v) WHERE v <= %s", (1000,))
            assert sum(v for v, _ in cursor) == 500500


@check
def copies_out_in_every_format():
    with connect() as c, c.cursor() as cursor:
        query = "SELECT CAST(v AS BIGINT) AS n, CASE WHEN v % 2 = 0 THEN 'a\tb\\' END AS t FROM generate_series(1, 20000) s (v) ORDER BY n"
        for form, types in [("TEXT", ["int8", "text"]), ("BINARY", ["int8", "text"])]:
            with cursor.copy("COPY (%s) TO STDOUT (FORMAT %s)" % (query, form)) as copy:
                copy.set_types(types)
                rows = list(copy.rows())
            assert len(rows) == 20000 and rows[1] == (2, "a\tb\\") and rows[0] == (1, None), rows[:2]
        with cursor.copy("COPY (SELECT 1 AS a, 'x,\"y\"' AS b) TO STDOUT WITH (FORMAT csv, HEADER)") as copy:
            assert b"".join(copy) == b'a,b\n1,"x,""y"""\n'
        with cursor.copy("COPY public.profiles (profile_id) TO STDOUT") as copy:
            assert sum(1 for _ in copy.rows()) > 0


@check
def copies_in_all_or_nothing():
    with connect() as c, c.cursor() as cursor:
        cursor.execute("DROP TABLE IF EXISTS copied")
        cursor.execute("CREATE TABLE copied (id BIGINT, name VARCHAR, at TIMESTAMP, ok BOOLEAN)")
        try:
            with cursor.copy("COPY copied (id, name, ok) FROM STDIN (FORMAT BINARY)") as copy:
                copy.set_types(["int8", "text", "bool"])
                for i in range(20000):
                    copy.write_row((i, "n%d" % i, None if i % 3 else True))
            with cursor.copy("COPY copied FROM STDIN (FORMAT csv, HEADER)") as copy:
                copy.write('id,name,at,ok\n1,"a\n""b""",2024-01-01 00:00:00,t\n')
            assert cursor.execute("SELECT count(*), count(ok), count(at) FROM copied").fetchone() == (20001, 6668, 1)
            for wrong in ["x\ty\t\\N\tt\n", "1\n", "1\ta\tnever\tt\n"]:
                try:
                    with cursor.copy("COPY copied FROM STDIN") as copy:
                        copy.write(wrong)
                    raise AssertionError("stored: %r" % wrong)
                except psycopg.DataError:
                    pass
                except psycopg.ProgrammingError:
                    pass
            try:
                with cursor.copy("COPY copied (id) FROM STDIN") as copy:
                    copy.write("1\n")
                    raise KeyError("the client changes its mind")
            except KeyError:
                pass
            assert cursor.execute("SELECT count(*) FROM copied").fetchone() == (20001,)
        finally:
            cursor.execute("DROP TABLE copied")


@check
def pipelines_keep_their_order():
    with connect() as c:
        with c.pipeline():
            cursors = [c.execute("SELECT CAST(%s AS BIGINT) * 2", (i,)) for i in range(200)]
            assert [cursor.fetchone()[0] for cursor in cursors] == [i * 2 for i in range(200)]
        try:
            with c.pipeline() as pipeline:
                c.execute("SELECT nothing")
                c.execute("SELECT 1")
                pipeline.sync()
        except psycopg.Error as error:
            assert error.sqlstate in ("42703", None), error
        assert c.execute("SELECT 1").fetchone() == (1,)


@check
def settings_belong_to_a_session():
    with connect(options="-c statement_timeout=300 -c TimeZone=Europe/Berlin", application_name="mine") as c, connect() as d:
        assert c.execute("SHOW application_name").fetchone() == ("mine",)
        assert c.info.parameter_status("TimeZone") == "Europe/Berlin"
        assert c.execute("SELECT arrow_cast('2024-06-15T12:00:00Z', 'Timestamp(Second, Some(\"UTC\"))')::text").fetchone()
        assert state(c, "SELECT count(*) FROM generate_series(1, 1000000000000) t (v) WHERE v % 7 = 3") == "57014"
        assert d.execute("SHOW statement_timeout").fetchone() == ("0",)
        d.execute("SET datafusion.execution.batch_size = 100" if USER == "u" else "SET datafusion.sql_parser.recursion_limit = 60")
        assert c.execute("SHOW TimeZone").fetchone() == ("Europe/Berlin",)
        c.execute("SET TIME ZONE 'UTC'")
        assert c.info.parameter_status("TimeZone") == "UTC"
        c.execute("DISCARD ALL")
        assert c.execute("SHOW TimeZone").fetchone() == ("Europe/Berlin",)
        c.execute("PREPARE p AS SELECT $1 + 1")
        assert c.execute("EXECUTE p(41)").fetchone() == (42,)
        c.execute("DEALLOCATE ALL")
        assert state(c, "EXECUTE p(41)") == "26000"


@check
def coterie_statements_work():
    with connect() as c:
        assert c.execute("SHOW SEGMENTS").fetchall()
        assert c.execute("CREATE OR REPLACE SEGMENT pg_check AS loyalty_tier = 'gold'").statusmessage == "CREATE SEGMENT"
        assert c.execute("SELECT count(*) > 0 FROM segment.pg_check").fetchone() == (True,)
        assert c.execute("EVALUATE SEGMENT pg_check").fetchall()
        assert c.execute("SELECT count(*) > 0 FROM audience.pg_check").fetchone() == (True,)
        assert c.execute("EXPLAIN SELECT 1").statusmessage == "EXPLAIN"
        assert c.execute("DROP SEGMENT pg_check").statusmessage == "DROP SEGMENT"


@check
def psql_describes_what_there_is():
    def psql(command):
        env = dict(os.environ, PGPASSWORD=PASSWORD, PGSSLMODE=SSL)
        run = subprocess.run(["psql", "-X", "-h", "127.0.0.1", "-p", str(PORT), "-U", USER, "-d", "coterie",
                              "-v", "ON_ERROR_STOP=1", "-c", command], env=env, capture_output=True, text=True, timeout=60)
        assert run.returncode == 0, "%s: %s" % (command, run.stderr.strip()[:400])
        return run.stdout
    try:
        out = psql("\\d public.profiles")
    except FileNotFoundError:
        return "(skipped: no psql)"
    assert "profile_id" in out and "profiles_pkey" in out, out
    out = psql("\\d segment.*")
    assert "win_back" in out
    assert "profiles" in psql("\\dt public.*") and "win_back" in psql("\\dv segment.*")
    for command in ["\\dS", "\\dn+", "\\l+", "\\du+", "\\df *.*", "\\dT", "\\dT+", "\\di *.*", "\\dC", "\\dx", "\\db",
                    "\\dD", "\\dy", "\\d+ public.profiles", "\\d+ segment.win_back", "\\d profiles_pkey", "\\dp", "\\dp audience.*",
                    "\\dL", "\\dAp", "\\dconfig+ *", "\\dC+", "\\dD+", "\\dn+", "\\dv+ segment.*", "\\dE", "\\di+ *.*",
                    "\\x \\\\ SELECT 1", "\\dt+ *.*", "\\dd", "\\dd *.*", "\\dO", "\\dOS+", "\\dAf", "\\dAf+ * int4",
                    "\\dAc", "\\dAo", "\\dP+", "\\dPn+", "\\dPi+ *.*", "\\sf int4abs", "\\sf+ abs(integer)", "\\sv segment.win_back", "\\dconfig"]:
        psql(command)
    assert "AS $function$int4abs$function$" in psql("\\sf int4abs") and "integer_ops" in psql("\\dAf btree")
    with connect() as c:
        # What \\password sends.
        try:
            c.execute("ALTER USER %s PASSWORD 'SCRAM-SHA-256$4096:c2FsdA==$c3RvcmVk:c2VydmVy'" % USER)
            raise AssertionError("the password is changed")
        except psycopg.errors.FeatureNotSupported as error:
            assert "coterie user passwd" in error.diag.message_hint, error
    assert psql("\\copy (SELECT 1 AS a, 2 AS b) TO STDOUT CSV HEADER") == "a,b\n1,2\n"


finish()
