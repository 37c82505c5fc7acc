"""One small adapter per engine: open the tables, run one statement, hand back the profile ids.

Every adapter is constructed inside a fresh worker process that may use THREADS threads.
    Engine(profiles_dir, events_dir)          open (counts as query time)
    .ids(statement) -> pyarrow string array   run one single-segment statement
    .rows(sql) -> pyarrow Table               run any SQL (used by many.py)
"""
import datetime as dt
import os
import re
import shutil
import subprocess

THREADS = int(os.environ.get("BENCH_THREADS", "2"))
NOW = dt.datetime(2026, 6, 15, 12, 0, 0)
PEERS = ["duckdb", "duckdb_behavioral", "clickhouse", "datafusion", "polars"]


def limit_env(env):
    """environment for a worker: as many threads as THREADS in each runtime"""
    n = str(THREADS)
    for k in ("POLARS_MAX_THREADS", "RAYON_NUM_THREADS", "OMP_NUM_THREADS", "TOKIO_WORKER_THREADS",
              "OPENBLAS_NUM_THREADS", "ARROW_NUM_THREADS", "ARROW_IO_THREADS"):
        env[k] = n
    env["TZ"] = "UTC"
    return env


def days_ago(n):
    return NOW - dt.timedelta(days=n)


def expand(sql, events="events", profiles="profiles"):
    sql = re.sub(r"\{d(\d+)\}", lambda m: f"TIMESTAMP '{days_ago(int(m.group(1))):%Y-%m-%d %H:%M:%S}'", sql)
    return sql.replace("{events}", events).replace("{profiles}", profiles)


class DuckDB:
    def __init__(self, profiles, events, behavioral=False):
        import duckdb
        if behavioral:
            self.con = duckdb.connect(config={"allow_unsigned_extensions": "true"})
            self.con.execute(f"LOAD '{os.environ['DUCKDB_BEHAVIORAL']}'")
        else:
            self.con = duckdb.connect()
        self.con.execute(f"SET threads={THREADS}")
        self.con.execute("SET preserve_insertion_order=false")
        self.con.execute("SET TimeZone='UTC'")
        self.con.execute(f"CREATE VIEW events AS SELECT * FROM read_parquet('{events}/*.parquet')")
        self.con.execute(f"CREATE VIEW profiles AS SELECT * FROM read_parquet('{profiles}/*.parquet')")

    def rows(self, sql):
        t = self.con.sql(expand(sql)).to_arrow_table()
        return t

    def ids(self, sql):
        return self.rows(sql).column(0)


class DuckDBBehavioral(DuckDB):
    def __init__(self, profiles, events):
        super().__init__(profiles, events, behavioral=True)


class ClickHouse:
    # max_bytes_before_external_*: left at the default; memory is bounded by the machine
    SETTINGS = f"max_threads={THREADS}, session_timezone='UTC', output_format_arrow_string_as_string=1, max_query_size=100000000, max_ast_elements=10000000, max_expanded_ast_elements=10000000"

    def __init__(self, profiles, events):
        import chdb
        self.chdb = chdb
        self.e = f"file('{events}/*.parquet', Parquet)"
        self.p = f"file('{profiles}/*.parquet', Parquet)"

    def rows(self, sql):
        import pyarrow as pa
        q = expand(sql, self.e, self.p) + " SETTINGS " + self.SETTINGS
        buf = self.chdb.query(q, "Arrow").bytes()
        if not buf:
            return pa.table({"profile_id": pa.array([], pa.string())})
        return pa.ipc.open_file(pa.py_buffer(buf)).read_all()

    def ids(self, sql):
        return self.rows(sql).column(0)


class DataFusion:
    def __init__(self, profiles, events):
        import datafusion as df
        cfg = (df.SessionConfig().with_target_partitions(THREADS)
               .set("datafusion.execution.parquet.pushdown_filters", os.environ.get("DF_PUSHDOWN", "false"))
               .set("datafusion.execution.parquet.reorder_filters", os.environ.get("DF_PUSHDOWN", "false")))
        self.ctx = df.SessionContext(cfg)
        self.ctx.register_parquet("events", events + "/")
        self.ctx.register_parquet("profiles", profiles + "/")

    def rows(self, sql):
        return self.ctx.sql(expand(sql)).to_arrow_table()

    def ids(self, sql):
        return self.rows(sql).column(0)


class Polars:
    def __init__(self, profiles, events):
        import polars as pl
        self.pl = pl
        self.e = pl.scan_parquet(f"{events}/*.parquet")
        self.p = pl.scan_parquet(f"{profiles}/*.parquet")

    def frame(self, expr):
        env = dict(pl=self.pl, e=self.e, p=self.p, D=days_ago, date=dt.date)
        return eval(expr.strip(), env)

    def ids(self, expr):
        return self.frame(expr).collect(engine="streaming").to_arrow().column(0)


def make(name, profiles, events):
    return {"duckdb": DuckDB, "duckdb_behavioral": DuckDBBehavioral, "clickhouse": ClickHouse,
            "datafusion": DataFusion, "polars": Polars}[name](profiles, events)


def statement(seg, name, known=False):
    """the text of a workload for an engine, or None where that engine has no way to state it; with `known` ids that
    come from events alone are looked for among the profiles, as coterie does"""
    if name in ("polars", "duckdb_behavioral"):
        text = seg.get(name)
    else:
        text = seg.get(name, seg.get("sql"))
    if text is None or not known or "{profiles}" in seg.get("sql", seg.get("duckdb")):
        return text
    if name == "polars":
        return f"({text.strip()}).join(p.select('profile_id'), on='profile_id', how='semi')"
    return f"SELECT profile_id FROM ({text}) AS found WHERE profile_id IN (SELECT profile_id FROM {{profiles}})"


# ------------------------------------------------------------------------------------------------
# coterie: an external process, its whole life charged. COTERIE_BIN names the binary.
def coterie_setup(profiles, events):
    return (f"CREATE EXTERNAL TABLE profiles STORED AS PARQUET LOCATION '{os.path.abspath(profiles)}/'; "
            f"CREATE EXTERNAL TABLE events STORED AS PARQUET LOCATION '{os.path.abspath(events)}/'; "
            "CREATE PROFILE STORE bench PROFILES profiles KEY (profile_id) EVENTS events KEY (profile_id) TIMESTAMP (\"timestamp\")")


def coterie_flags():
    memory = ["--memory-limit", os.environ["COTERIE_MEMORY"]] if "COTERIE_MEMORY" in os.environ else []
    return ["--now", NOW.strftime("%Y-%m-%dT%H:%M:%SZ"), "--threads", str(THREADS)] + memory


def coterie_command(seg, profiles, events, warehouse=None):
    """one rule on plain files, or on the laid-out events of a warehouse (see coterie_borrow)"""
    start = [os.environ["COTERIE_BIN"], "sql", "--format", "csv"] + coterie_flags()
    start += ["--warehouse", warehouse] if warehouse else ["-c", coterie_setup(profiles, events)]
    return start + ["-c", f"CREATE OR REPLACE SEGMENT c AS {seg['coterie']}", "-c", "SELECT profile_id FROM segment.c"]


def coterie_ids(path):
    with open(path, encoding="utf-8") as f:
        lines = f.read().splitlines()
    return [x.strip('"') for x in lines[1:]]


def coterie_run(work, script, where=()):
    """runs a script -> what it printed"""
    path = f"{work}/script.sql"
    with open(path, "w", encoding="utf-8") as f:
        f.write(script)
    r = subprocess.run([os.environ["COTERIE_BIN"], "sql", "--format", "csv", *coterie_flags(), *where, "-f", path], capture_output=True, text=True)
    if r.returncode:
        raise SystemExit(f"coterie: {r.stderr.strip()[-300:]}")
    return r.stdout


def coterie_borrow(prepared, own):
    """a warehouse with a catalog of its own and the laid-out events of another"""
    shutil.copytree(f"{prepared}/catalog", f"{own}/catalog")
    shutil.copy(f"{prepared}/coterie.json", own)
    if os.path.isdir(f"{prepared}/layout"):
        os.symlink(os.path.abspath(f"{prepared}/layout"), f"{own}/layout")
# ------------------------------------------------------------------------------------------------
