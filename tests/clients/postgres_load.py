#!/usr/bin/env python3
"""PostgreSQL's protocol under strain: postgres_load.py PORT [PID]

Many clients at once, cancellation, clients that vanish or never read, large statements and parameters, garbage.
With the server's PID, its memory and its processor time are watched. Prints a line a check; exits with 1 if any failed.
"""
import concurrent.futures
import os
import random
import socket
import struct
import sys
import threading
import time

import psycopg

from checks import check, finish

PORT = int(sys.argv[1])
PID = int(sys.argv[2]) if len(sys.argv) > 2 else None
E = os.environ.get
USER, PASSWORD, SSL = E("COTERIE_USER", "u"), E("COTERIE_PASSWORD", "p"), E("COTERIE_SSLMODE", "prefer")
ENDLESS = "SELECT count(*) FROM generate_series(1, 1000000000000) t (v) WHERE v % 7 = 3"
MANY = "SELECT v, v * 2, 'row ' || v FROM generate_series(1, 50000000) t (v)"



def connect():
    return psycopg.connect(host="127.0.0.1", port=PORT, user=USER, password=PASSWORD, dbname="coterie", sslmode=SSL,
                           autocommit=True, connect_timeout=20)


def running(connection, part="1000000000000"):
    return connection.execute("SELECT count(*) FROM coterie.queries WHERE statement LIKE %s AND statement NOT LIKE '%%coterie.queries%%'",
                              ("%" + part + "%",)).fetchone()[0]


def until(condition, seconds=10):
    began = time.time()
    while not condition():
        if time.time() - began > seconds:
            raise AssertionError("not within %d seconds" % seconds)
        time.sleep(0.02)
    return time.time() - began


def memory():
    """Resident bytes of the server."""
    if PID is None:
        return 0
    with open("/proc/%d/status" % PID) as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def processor():
    with open("/proc/%d/stat" % PID) as stat:
        fields = stat.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def greeting(user=USER):
    body = struct.pack("!i", 196608) + b"user\0" + user.encode() + b"\0database\0coterie\0\0"
    return struct.pack("!i", len(body) + 4) + body


@check
def sixteen_clients_at_once():
    def work(seed):
        rng = random.Random(seed)
        with connect() as c:
            for _ in range(15):
                n = rng.randrange(1, 5000)
                kind = rng.randrange(3)
                if kind == 0:
                    assert c.execute("SELECT CAST(%s AS BIGINT)", (n,)).fetchone() == (n,)
                elif kind == 1:
                    assert len(c.execute("SELECT * FROM generate_series(1, %d)" % n).fetchall()) == n
                else:
                    with c.cursor() as cursor, cursor.copy("COPY (SELECT * FROM generate_series(1, %d)) TO STDOUT" % n) as copy:
                        assert sum(1 for _ in copy.rows()) == n
    with concurrent.futures.ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))


@check
def a_cancel_frees_the_processor():
    with connect() as c, connect() as watch:
        def ask():
            try:
                c.execute(ENDLESS)
            except psycopg.errors.QueryCanceled:
                return "cancelled"
        with concurrent.futures.ThreadPoolExecutor(1) as pool:
            asked = pool.submit(ask)
            until(lambda: running(watch) == 1)
            began = time.time()
            c.cancel()
            assert asked.result(5) == "cancelled"
            took = time.time() - began
        assert took < 1, took
        until(lambda: running(watch) == 0, 1)
        if PID:
            time.sleep(0.3)
            before = processor()
            time.sleep(1)
            used = processor() - before
            assert used < 0.5, "%.2f s of processor in a second after the cancel" % used
        assert c.execute("SELECT 1").fetchone() == (1,)
        return "%.0f ms" % (took * 1000)


def swallow(connection):
    try:
        connection.execute(ENDLESS)
    except psycopg.Error:
        pass


@check
def a_client_that_vanishes_stops_its_statement():
    with connect() as watch:
        for _ in range(3):
            c = connect()
            threading.Thread(target=lambda c=c: swallow(c), daemon=True).start()
            until(lambda: running(watch) == 1)
            socket.socket(fileno=os.dup(c.fileno())).shutdown(socket.SHUT_RDWR)
            until(lambda: running(watch) == 0, 3)


def raw_client():
    """A socket after the login of a server without users."""
    raw = socket.create_connection(("127.0.0.1", PORT))
    raw.sendall(greeting())
    seen = b""
    while b"Z\0\0\0\x05I" not in seen:
        piece = raw.recv(65536)
        if not piece:
            raise AssertionError("no login: %r" % seen)
        seen += piece
    return raw


def query(sql):
    return b"Q" + struct.pack("!i", len(sql) + 5) + sql.encode() + b"\0"


@check
def clients_that_do_not_read_cost_little():
    if USER != "u":
        return "(only without users)"
    before = memory()
    lazy = [raw_client() for _ in range(8)]
    for raw in lazy:
        raw.sendall(query(MANY))
    time.sleep(3)
    grown = (memory() - before) >> 20
    with connect() as c:
        assert c.execute("SELECT 1").fetchone() == (1,)
        assert running(c, "50000000") == 8
        for raw in lazy:
            raw.close()
        until(lambda: running(c, "50000000") == 0)
    assert grown < 200, "%d MB for 8 clients that do not read" % grown
    return "%d MB for 8 of them" % grown


@check
def many_rows_take_no_memory():
    before = memory()
    with connect() as c, c.cursor() as cursor:
        with cursor.copy("COPY (SELECT v, v * 2 FROM generate_series(1, 5000000) t (v)) TO STDOUT (FORMAT BINARY)") as copy:
            size = sum(len(piece) for piece in copy)
    grown = (memory() - before) >> 20
    assert grown < 150, "%d MB" % grown
    return "%d MB sent, %d MB more memory" % (size >> 20, grown)


@check
def large_parameters_and_statements():
    with connect() as c:
        text = "é" * (2 << 20)
        assert c.execute("SELECT length(CAST(%s AS VARCHAR))", (text,)).fetchone() == (len(text),)
        assert c.execute("SELECT CAST(%s AS VARCHAR)", (text,), binary=True).fetchone() == (text,)
        long = "SELECT 1 AS a" + " " * (1 << 20)
        assert c.execute(long).fetchone() == (1,)
        words = ", ".join("'%d'" % i for i in range(100_000))
        assert c.execute("SELECT count(*) FROM (VALUES ('5')) t (v) WHERE v IN (%s)" % words).fetchone() == (1,)
        columns = ", ".join("%d AS c%d" % (i, i) for i in range(1000))
        for binary in (False, True):
            assert c.execute("SELECT " + columns, binary=binary).fetchone() == tuple(range(1000))
        try:
            c.execute("SELECT " + "(" * 30_000 + "1" + ")" * 30_000)
            raise AssertionError("30,000 parentheses")
        except psycopg.Error as error:
            assert error.sqlstate == "54001", error
        assert c.execute("SELECT 1").fetchone() == (1,)


@check
def garbage_is_refused_and_nobody_else_notices():
    rng = random.Random(7)
    heads = [b"", greeting(), b"\x16\x03\x01\x02\x00\x01\x00\x01", struct.pack("!ii", 8, 80877103)]
    with connect() as c:
        for round in range(60):
            raw = socket.create_connection(("127.0.0.1", PORT))
            raw.settimeout(20)
            try:
                raw.sendall(heads[round % 4] + rng.randbytes(rng.randrange(1, 3000)))
                raw.shutdown(socket.SHUT_WR)
                while raw.recv(65536):
                    pass
            except OSError:
                pass
            finally:
                raw.close()
        if USER == "u":
            for bytes in [b"Q\x7f\xff\xff\xff", b"Q\0\0\0\x03", b"?\0\0\0\x04", b"P\0\0\0\x08abcd", b"B\0\0\0\x0c\0\0\xff\xff\0\0\0\0",
                          b"D\0\0\0\x06Xa", b"E\0\0\0\x05\0", b"\0" * 100]:
                raw = raw_client()
                raw.settimeout(20)
                raw.sendall(bytes)
                answer = b""
                while piece := raw.recv(65536):
                    answer += piece
                assert answer.startswith(b"E") and b"08P01" in answer, (bytes, answer)
                raw.close()
        assert c.execute("SELECT 1").fetchone() == (1,)


@check
def connections_come_and_go():
    before = memory()
    for _ in range(100):
        connect().close()
    with connect() as c:
        assert c.execute("SELECT 1").fetchone() == (1,)
    return "%d MB more memory" % ((memory() - before) >> 20)


finish()
