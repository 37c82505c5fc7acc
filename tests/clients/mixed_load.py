#!/usr/bin/env python3
"""Many connections that do nothing, and many clients of both protocols at once: mixed_load.py FLIGHT POSTGRES PID [SECONDS [CLIENTS [IDLE]]]

Half of the clients speak Flight SQL, half Postgres; each asks one question after another, connects anew now and then, and
looks at every answer. Prints how many statements ran, how long they took, and the server's memory while they did. Fails if a
statement does, or if memory grows in the second half of the run.
"""
import os
import random
import sys
import threading
import time

import adbc_driver_flightsql.dbapi as flightsql
import psycopg

from checks import check, finish

FLIGHT, POSTGRES, PID = int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
SECONDS = float(sys.argv[4]) if len(sys.argv) > 4 else 60
CLIENTS = int(sys.argv[5]) if len(sys.argv) > 5 else 64
IDLE = int(sys.argv[6]) if len(sys.argv) > 6 else 1000


def memory():
    """Resident bytes of the server."""
    with open("/proc/%d/status" % PID) as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("VmRSS"))


def postgres():
    return psycopg.connect(host="127.0.0.1", port=POSTGRES, user="u", dbname="coterie", autocommit=True, connect_timeout=60)


def flight():
    return flightsql.connect("grpc://127.0.0.1:%d" % FLIGHT, autocommit=True)


class Clients:
    """What the clients saw."""

    def __init__(self):
        with postgres() as c:
            self.tiers = dict(c.execute("SELECT coalesce(loyalty_tier, '-'), count(*) FROM profiles GROUP BY 1").fetchall())
            self.members = c.execute("SELECT count(*) FROM audience.win_back").fetchone()[0]
        self.end = time.monotonic() + SECONDS
        self.took, self.errors, self.lock = [], [], threading.Lock()

    def questions(self, rng, mark):
        """A question, its parameters, and what its answer is to be."""
        n = rng.randrange(1, 3000)
        tier = rng.choice(list(self.tiers))
        return rng.choice([
            ("SELECT %s + 1" % mark, (n,), lambda rows: rows == [(n + 1,)]),
            ("SELECT count(*) FROM profiles WHERE coalesce(loyalty_tier, '-') = %s" % mark, (tier,),
             lambda rows: rows == [(self.tiers[tier],)]),
            ("SELECT count(*) FROM audience.win_back", None, lambda rows: rows == [(self.members,)]),
            ("SELECT * FROM generate_series(1, %d)" % n, None, lambda rows: len(rows) == n and rows[-1] == (n,)),
            ("SELECT p.country, count(*) FROM audience.win_back a JOIN profiles p USING (profile_id) GROUP BY p.country", None,
             lambda rows: sum(row[1] for row in rows) == self.members),
            ("SELECT table_schema, table_name FROM information_schema.tables", None, lambda rows: len(rows) > 10),
            ("SELECT profile_id, email, points FROM profiles LIMIT %d" % n, None,
             lambda rows: len(rows) == min(n, sum(self.tiers.values()))),
        ])

    def work(self, seed):
        rng = random.Random(seed)
        connect, mark = (flight, "$1") if seed % 2 else (postgres, "%s")
        try:
            while time.monotonic() < self.end:
                with connect() as connection:
                    for _ in range(rng.randrange(20, 200)):
                        sql, parameters, right = self.questions(rng, mark)
                        if mark == "%s" and sql.startswith("SELECT %s"):
                            sql = "SELECT %s::bigint + 1"
                        began = time.monotonic()
                        with connection.cursor() as cursor:
                            cursor.execute(sql, parameters)
                            rows = [tuple(row) for row in cursor.fetchall()]
                        took = time.monotonic() - began
                        assert right(rows), (sql, parameters, rows[:3])
                        with self.lock:
                            self.took.append((took, seed % 2))
                        if time.monotonic() >= self.end:
                            return
        except Exception as error:
            with self.lock:
                self.errors.append("%s: %s" % (type(error).__name__, str(error)[:300]))


@check
def idle_connections_cost_little():
    if IDLE == 0:
        return "(none asked for)"
    time.sleep(1)
    before = memory()
    idle = []
    try:
        for n in range(IDLE):
            connection = postgres()
            if n % 2:
                connection.execute("SELECT 1")
            idle.append(connection)
        grown = (memory() - before) / (1 << 20)
        assert all(connection.execute("SELECT 1").fetchone() == (1,) for connection in idle[:: max(1, IDLE // 10)])
    finally:
        for connection in idle:
            connection.close()
    assert grown < 0.2 * IDLE, "%.0f MB for %d connections" % (grown, IDLE)
    return "%.0f MB for %d of them" % (grown, IDLE)


@check
def many_clients_of_both_protocols():
    clients = Clients()
    threads = [threading.Thread(target=clients.work, args=(seed,)) for seed in range(CLIENTS)]
    for thread in threads:
        thread.start()
    seen = []
    while any(thread.is_alive() for thread in threads):
        time.sleep(0.25)
        seen.append(memory())
    assert not clients.errors, "%d errors: %s" % (len(clients.errors), clients.errors[0])
    mega = [size / (1 << 20) for size in seen]
    middle, last = mega[len(mega) // 2], max(mega[len(mega) * 3 // 4:])
    lines = []
    for protocol, name in [(1, "Flight SQL"), (0, "Postgres")]:
        took = sorted(took for took, kind in clients.took if kind == protocol)
        at = lambda part: took[min(len(took) - 1, int(len(took) * part))] * 1000
        lines.append("%s: %d statements, p50 %.0f ms, p99 %.0f ms, longest %.0f ms" % (name, len(took), at(0.5), at(0.99), took[-1] * 1000))
    lines.append("memory along the way: " + ", ".join("%.0f" % mega[len(mega) * n // 12] for n in range(12)) + " MB")
    # Short runs still warm up.
    assert SECONDS < 30 or last < middle * 1.15 + 20, "memory grows: %.0f MB at half, %.0f MB at the end" % (middle, last)
    return "%d clients; memory %.0f MB at first, %.0f at half, %.0f at most, %.0f at the end\n       %s" % (
        CLIENTS, mega[0], middle, max(mega), mega[-1], "\n       ".join(lines))


finish()
