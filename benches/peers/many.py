#!/usr/bin/env python3
"""The "N segments at once" workload.

    many.py --data /data/M --n 1,10,100,1000 --engines duckdb,clickhouse,datafusion,polars --out many_m.json
    many.py --data /data/M --n 100 --draw wide --seed 5 # another vocabulary, another seed
    many.py --print-segments --n 20 --seed 11          # look at what is generated, in PQL-like words

N segments are drawn from templates with a fixed seed: attribute, exists, count, sum, not-exists, lapse,
A-but-not-B, search text, ordered pair, active days, combinations, and (6%) "A then B within d days".
The narrow draw's vocabulary of event conditions saturates at about 180. The wide one's does not: it adds products,
brands, campaigns, URLs, ranges of price and quantity, windows of any number of days, more attributes, and events
compared to their profile ("bought in another country than the home country"). --print-segments counts both.
Each peer evaluates them the way a practised user would, in one of these modes:
    one       one statement: every distinct aggregate once in one GROUP BY, then all conditions
    batch:K   the same, K segments a statement, one after another in one process
    each      a statement a segment (batch:1), with the tightest filter that segment allows
Where an engine lacks a windowed-sequence aggregate, the sequence segments get a statement of their own
built on window functions (in modes one and batch).
The answer is the number of qualifying profiles for each segment; all engines must agree on all of them.
With --pairs the (segment_id, profile_id) pairs are written to Parquet instead, and counted afterwards.
"""
import argparse
import hashlib
import json
import os
import random
import resource
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time

HERE = os.path.dirname(os.path.abspath(__file__))
sys.path.insert(0, HERE)
import engines  # noqa: E402

MEM = int(os.environ.get("BENCH_MEM_GB", "12"))
DAYS = [1, 3, 7, 14, 30, 60, 90, 180, 365, None]
DAYS_W = [3, 4, 12, 12, 22, 10, 14, 8, 8, 7]
TYPES = ["page_view", "search", "product_view", "add_to_cart", "checkout", "purchase", "email_open", "email_click",
         "app_open", "refund", "support_ticket"]
TYPES_W = [6, 6, 22, 16, 8, 22, 6, 7, 5, 2, 3]
CATS = ["shoes", "apparel", "electronics", "beauty", "home", "sports", "toys", "books", "grocery", "garden",
        "automotive", "jewelry", "health", "pets", "office", "music", "outdoor", "baby", "travel", "kitchen",
        "gaming", "furniture", "lighting", "tools"]
TERMS = ["shoes", "running", "boots", "jacket", "laptop", "headphones", "wireless", "coffee", "yoga", "bike", "dog",
         "lego", "tent", "organic", "guitar", "monitor", "vegan", "on sale", "size 10", "2026"]
COUNTRIES = ["US", "GB", "DE", "FR", "IN", "BR", "JP", "CA", "AU", "ES", "IT", "NL", "SE", "PL", "MX", "KR"]
TIERS = ["bronze", "silver", "gold", "platinum"]
PRODUCT_TYPES = {"product_view", "add_to_cart", "checkout", "purchase", "refund"}


# ---------------------------------------------------------------- segments as condition trees
class Wide:
    """what the wide draw adds to an event condition: a list of further conjuncts, one on a column"""

    def __init__(self, r):
        import generate
        self.r, self.cat = r, generate.CAT
        self.brands, self.campaigns, self.cities = generate.BRANDS, generate.CAMPAIGNS, sum(generate.CITIES.values(), [])

    def sku(self):
        """an index; the first products of a category sell most"""
        c = self.r.randrange(len(CATS))
        return int(self.cat.cat_start[c] + int(self.cat.cat_size[c] * self.r.random() ** 2))

    def price(self):
        return round(10 ** self.r.uniform(.7, 2.6), self.r.choice([0, 0, 2]))

    def conjunct(self, t):
        r = self.r
        if t in PRODUCT_TYPES:
            k = r.choices(["sku", "brand", "campaign", "url", "price", "quantity", "away", None], [22, 22, 12, 12, 18, 8, 6, 6])[0]
        else:
            k = r.choices(["campaign", "url", "away", None], [34, 14, 12, 40])[0]
        if k == "sku":
            return "sku", sorted({self.cat.sku_names[self.sku()] for _ in range(r.choice([1, 1, 1, 2, 5, 20]))})
        if k == "brand":
            return "brand", sorted(r.sample(self.brands, r.choice([1, 1, 1, 2, 3])))
        if k == "campaign":
            x = r.random()
            return ("campaign", sorted(r.sample(self.campaigns, r.choice([1, 1, 2, 4])))) if x < .7 else ("campaign_like", r.choice(["spring", "summer", "autumn", "winter", "newsletter", "winback", "loyalty", "launch", "sale", "2025", "2026"]))
        if k == "url":
            i = self.sku()
            page = self.cat.urls[self.cat.u_sku + i]
            if t == "product_view":
                return r.choice([("url", page), ("url_starts", page[:page.rindex("/") + 1]), ("url_has", page.split("/")[3])])
            return ("url_starts", r.choice(["/c/" + r.choice(CATS), "/c/", "/search", "/acc"])) if t != "search" else ("url_has", r.choice(TERMS).replace(" ", "+"))
        if k == "price":
            lo = self.price()
            return ("price", lo, None) if r.random() < .5 else ("price", lo, round(lo * r.uniform(1.2, 4), 2))
        if k == "quantity":
            return "quantity", r.randint(2, 4), r.choice([None, None, 6])
        return (k,) if k else None

    def attr(self):
        r = self.r
        k = r.randrange(5)
        if k == 0:
            return "attr", "city", sorted(r.sample(self.cities, r.randint(1, 5)))
        if k == 1:
            return "attr", "ltv", round(10 ** r.uniform(1, 3), 2)
        if k == 2:
            return "attr", "signup", r.randint(7, 1500)
        if k == 3:
            return "attr", "visits", r.randint(1, 4)
        return "attr", "points", r.randint(50, 3000)


def draw(n, seed, vocabulary="narrow"):
    r = random.Random(seed)
    wide = Wide(r) if vocabulary == "wide" else None

    def any_days(choices, weights):
        if wide and r.random() < .4:
            return r.randint(2, 400)
        return r.choices(choices, weights)[0]

    days = lambda: any_days(DAYS, DAYS_W)
    wdays = lambda: any_days(DAYS[2:9], DAYS_W[2:9])

    def pred(types=None):
        t = r.choices(TYPES, TYPES_W)[0] if types is None else r.choice(types)
        p = dict(type=t, category=None, term=None, device=None)
        if wide and r.random() < .75:
            more = dict((c[0].split("_")[0], c) for c in [wide.conjunct(t) for _ in range(r.choice([1, 1, 2]))] if c)
            if "sku" in more:  # a product has one brand and page
                more = {k: c for k, c in more.items() if k not in ("brand", "url")}
            p["more"] = [more[k] for k in sorted(more)]
        named = {c[0].split("_")[0] for c in p.get("more", [])}
        if t in PRODUCT_TYPES and not named & {"sku", "url"} and r.random() < (.25 if named else .5):
            p["category"] = CATS[min(int(len(CATS) * r.random() ** 1.6), len(CATS) - 1)]
        elif t == "search" and r.random() < .7:
            p["term"] = r.choice(TERMS)
        elif r.random() < .12:
            p["device"] = r.choice(["mobile", "desktop", "tablet"])
        return p

    def attr():
        if wide and r.random() < .4:
            return wide.attr()
        k = r.randrange(6)
        if k == 0:
            return ("attr", "country", sorted(r.sample(COUNTRIES, r.randint(1, 4))))
        if k == 1:
            return ("attr", "tier", TIERS[r.randint(0, 2):])
        if k == 2:
            return ("attr", "points", r.choice([100, 250, 500, 1000, 2000]))
        if k == 3:
            return ("attr", "opt_in", True)
        if k == 4:
            a = r.randint(16, 55)
            return ("attr", "age", (a, a + r.randint(8, 25)))
        return ("attr", "interest", r.choice(["running", "cycling", "gaming", "cooking", "travel", "fashion", "yoga"]))

    def behaviour():
        k = r.choices(range(8), [20, 18, 10, 8, 12, 12, 6, 4])[0]
        if k == 0:
            return ("cnt", pred(), days(), 1)
        if k == 1:
            return ("cnt", pred(), days(), r.choice([2, 3, 5, 10]))
        if k == 2:
            return ("sum", pred(["purchase"]), days(), (r.randint(20, 2000) if wide else r.choice([50, 100, 250, 500, 1000])) + .005)
        if k == 3:
            return ("lapsed", pred(["purchase", "product_view", "email_open", "app_open"]), r.choice([14, 30, 60, 90, 180]))
        if k == 4:
            d = wdays()
            return ("and", [("cnt", pred(["product_view", "add_to_cart", "search", "email_click", "checkout"]), d, 1),
                            ("not", ("cnt", dict(type="purchase", category=None, term=None, device=None), d, 1))])
        if k == 5:
            return ("cnt", dict(type="search", category=None, term=r.choice(TERMS), device=None), days(), r.choice([1, 1, 2, 3]))
        if k == 6:
            return ("pair", pred(["product_view", "search", "email_click", "add_to_cart"]), pred(["purchase", "add_to_cart", "checkout"]), wdays())
        return ("active", wdays(), r.choice([2, 3, 5, 8]))

    out = []
    for i in range(n):
        x = r.random()
        if x < .08:
            c = ("and", [attr() for _ in range(r.randint(1, 3))])
        elif x < .14:
            c = ("seq", pred(["product_view", "search", "email_click", "add_to_cart", "email_open"]),
                 pred(["purchase", "checkout", "add_to_cart"]), r.choice([1, 3, 7, 14]), r.choice([30, 60, 90, 180]))
            if c[1]["type"] == c[2]["type"]:
                # one event must not be able to serve as both ends: peers' funnel functions differ on that
                c[2]["type"] = "purchase"
        elif x < .22:
            c = ("and", [attr(), ("not", ("cnt", pred(), wdays(), 1))])
        elif x < .60:
            c = behaviour()
        elif x < .88:
            c = ("and", [behaviour()] + [attr() for _ in range(r.randint(1, 2))])
        else:
            c = ("and", [("or", [behaviour(), behaviour()]), attr()])
        out.append(dict(id=i, cond=c))
    return out


def in_words(c):
    k = c[0]
    if k in ("and", "or"):
        return "(" + f" {k} ".join(in_words(x) for x in c[1]) + ")"
    if k == "not":
        return "not " + in_words(c[1])
    p = lambda q: " and ".join([f'event_type = "{q["type"]}"'] + [f'category = "{q["category"]}"'] * bool(q["category"])
                               + [f'lower(search_term) contains "{q["term"]}"'] * bool(q["term"])
                               + [f'device = "{q["device"]}"'] * bool(q["device"])
                               + [more_sql(x, "profile.country") for x in q.get("more", [])])
    w = lambda d: f" in last {d} days" if d else ""
    if k == "cnt":
        return f"count(events where {p(c[1])}{w(c[2])}) >= {c[3]}"
    if k == "sum":
        return f"sum(events where {p(c[1])}{w(c[2])}, price * quantity) > {c[3]}"
    if k == "lapsed":
        return f"last(events where {p(c[1])}).timestamp < {c[2]} days ago"
    if k == "pair":
        return f"chain(A - events where {p(c[1])}, B - events where {p(c[2])} and after A){w(c[3])}"
    if k == "seq":
        return f"chain(A - events where {p(c[1])}, B - events where {p(c[2])} and within {c[3]} days after A){w(c[4])}"
    if k == "active":
        return f"count_distinct(events{w(c[1])}, date(timestamp)) >= {c[2]}"
    _, name, v = c
    return {"country": lambda: f"profile.country in {json.dumps(v)}", "tier": lambda: f"profile.loyalty_tier in {json.dumps(v)}",
            "points": lambda: f"profile.points >= {v}", "opt_in": lambda: "profile.email_opt_in = true",
            "age": lambda: f"age(profile.birth_date) between {v[0]} and {v[1]}",
            "city": lambda: f"profile.city in {json.dumps(v, ensure_ascii=False)}", "ltv": lambda: f"profile.ltv >= {v}",
            "signup": lambda: f"profile.signup_ts in last {v} days", "visits": lambda: f"profile.store_visits >= {v}",
            "interest": lambda: f'profile.interests contains "{v}"'}[name]()


def in_list(column, values):
    text = ", ".join(f"'{v}'" for v in values)
    return f"{column} IN ({text})" if len(values) > 1 else f"{column} = {text}"


def more_sql(c, home, country="country"):
    """a conjunct of the wide draw as SQL that every dialect here reads"""
    k = c[0]
    if k in ("sku", "brand", "campaign"):
        return in_list(k, c[1])
    if k in ("price", "quantity"):
        return f"{k} >= {c[1]}" if c[2] is None else f"{k} BETWEEN {c[1]} AND {c[2]}"
    return {"campaign_like": lambda: f"campaign LIKE '%{c[1]}%'", "url": lambda: f"url = '{c[1]}'", "url_starts": lambda: f"url LIKE '{c[1]}%'",
            "url_has": lambda: f"url LIKE '%{c[1]}%'", "away": lambda: f"{country} <> {home}"}[k]()


def preds(leaf):
    """the event conditions of a leaf"""
    return [x for x in leaf if isinstance(x, dict)]


def atoms(segs):
    """how many different event conditions on one column, and how many different event conditions, windows aside"""
    whole = [p for s in segs for x in leaves(s["cond"]) for p in preds(x)]
    single = {(k, repr(v)) for p in whole for k, v in p.items() if k != "more" and v} | {repr(c) for p in whole for c in p.get("more", [])}
    return len(single), len({repr(p) for p in whole})


def leaves(c):
    if c[0] in ("and", "or"):
        for x in c[1]:
            yield from leaves(x)
    elif c[0] == "not":
        yield from leaves(c[1])
    else:
        yield c


def absent_true(c):
    """could a profile without a single event qualify?"""
    k = c[0]
    if k == "and":
        return all(absent_true(x) for x in c[1])
    if k == "or":
        return any(absent_true(x) for x in c[1])
    if k == "not":
        return not absent_true(c[1])
    return k == "attr"


# ---------------------------------------------------------------- SQL
def lit(days):
    return f"TIMESTAMP '{engines.days_ago(days):%Y-%m-%d %H:%M:%S}'"


class Sql:
    def __init__(self, dialect):
        self.d = dialect
        self.ch = dialect == "clickhouse"
        self.funnel = dialect in ("clickhouse", "duckdb_behavioral")

    def pred(self, p, days=None):
        s = [f"event_type = '{p['type']}'"]
        if p["category"]:
            s.append(f"category = '{p['category']}'")
        if p["term"]:
            s.append(f"st LIKE '%{p['term']}%'")
        if p["device"]:
            s.append(f"device = '{p['device']}'")
        s += [more_sql(c, "home", "ctry") for c in p.get("more", [])]
        if days:
            s.append(f"ts >= {lit(days)}")
        return " AND ".join(s)

    def agg(self, fn, arg, where):
        if self.ch:
            f = {"count": "countIf", "sum": "sumIf", "max": "maxOrNullIf", "min": "minOrNullIf", "uniq": "uniqExactIf"}[fn]
            return f"{f}({arg + ', ' if arg else ''}{where})"
        if fn == "uniq":
            return f"count(DISTINCT {arg}) FILTER (WHERE {where})"
        return f"{fn}({arg or '*'}) FILTER (WHERE {where})"

    def feature(self, feats, key, sql):
        return feats.setdefault(key, (f"f{len(feats)}", sql))[0]

    def cond(self, c, feats):
        k = c[0]
        if k in ("and", "or"):
            return "(" + f" {k.upper()} ".join(self.cond(x, feats) for x in c[1]) + ")"
        if k == "not":
            return f"NOT ({self.cond(c[1], feats)})"
        if k == "cnt":
            s = self.agg("count", "", self.pred(c[1], c[2]))
            return f"coalesce({self.feature(feats, s, s)}, 0) >= {c[3]}"
        if k == "sum":
            s = self.agg("sum", "amount", self.pred(c[1], c[2]))
            return f"coalesce({self.feature(feats, s, s)}, 0) > {c[3]}"
        if k == "lapsed":
            s = self.agg("max", "ts", self.pred(c[1]))
            return f"coalesce({self.feature(feats, s, s)} < {lit(c[2])}, false)"
        if k == "pair":
            a = self.agg("min", "ts", self.pred(c[1], c[3]))
            b = self.agg("max", "ts", self.pred(c[2], c[3]))
            return f"coalesce({self.feature(feats, a, a)} < {self.feature(feats, b, b)}, false)"
        if k == "active":
            s = self.agg("uniq", "d", f"ts >= {lit(c[1])}")
            return f"coalesce({self.feature(feats, s, s)}, 0) >= {c[2]}"
        if k == "seq":
            a, b = self.pred(c[1], c[4]), self.pred(c[2], c[4])
            if self.ch:
                s = f"windowFunnel({c[3] * 86_400_000_000})(us, {a}, {b})"
            else:
                s = f"window_funnel(INTERVAL '{c[3]} days', ts, {a}, {b})"
            return f"coalesce({self.feature(feats, s, s)}, 0) = 2"
        _, name, v = c
        lst = lambda v: ", ".join(f"'{x}'" for x in v)
        # ClickHouse's DATE literal starts at 1970; Date32 reaches further back
        date = lambda y, md: f"toDate32('{y:04d}-{md}')" if self.ch else f"DATE '{y:04d}-{md}'"
        has = {"clickhouse": "has", "datafusion": "array_has"}.get(self.d, "list_contains")
        s = {"country": lambda: f"p.country IN ({lst(v)})", "tier": lambda: f"p.loyalty_tier IN ({lst(v)})",
             "points": lambda: f"p.points >= {v}", "opt_in": lambda: "p.email_opt_in",
             "age": lambda: f"p.birth_date BETWEEN {date(2026 - v[1], '06-16')} AND {date(2026 - v[0], '06-15')}",
             "city": lambda: in_list("p.city", v), "ltv": lambda: f"p.ltv >= {v}", "signup": lambda: f"p.signup_ts >= {lit(v)}",
             "visits": lambda: f"p.store_visits >= {v}",
             "interest": lambda: f"{has}(p.interests, '{v}')"}[name]()
        return f"coalesce({s}, false)"

    def scan(self, segs):
        """derived columns over events, filtered to the union of what is asked"""
        uses = [u for s in segs for u in self.uses(s["cond"])]  # [(type|None, days)]
        days = None if any(d is None for _, d in uses) else max(d for _, d in uses)
        types = sorted({t for t, _ in uses if t}) if all(t for t, _ in uses) else None
        w = []
        if days:
            w.append(f"\"timestamp\" >= {lit(days)}")
        if types and len(types) < len(TYPES):
            w.append("event_type IN (" + ", ".join(f"'{t}'" for t in types) + ")")
        extra = ', toUInt64(toUnixTimestamp64Micro("timestamp")) AS us' if self.ch else ""
        day = 'toDate("timestamp")' if self.ch else 'CAST("timestamp" AS DATE)'
        kinds = {c[0] for s in segs for x in leaves(s["cond"]) for p in preds(x) for c in p.get("more", [])}
        columns = {"campaign_like": "campaign", "url_starts": "url", "url_has": "url"}
        extra += "".join(f", {c}" for c in sorted({columns.get(k, k) for k in kinds} - {"away"}))
        source = "{events}"
        if "away" in kinds:
            extra += ", country AS ctry, home"
            source += " ev JOIN (SELECT profile_id AS home_id, country AS home FROM {profiles}) h ON ev.profile_id = h.home_id"
        return (f"(SELECT profile_id, event_type, category, device, price * quantity AS amount, \"timestamp\" AS ts, "
                f"lower(search_term) AS st, {day} AS d{extra} FROM {source}" + (" WHERE " + " AND ".join(w) if w else "") + ") e")

    def uses(self, c):
        for x in leaves(c):
            k = x[0]
            if k in ("cnt", "sum"):
                yield x[1]["type"], x[2]
            elif k == "lapsed":
                yield x[1]["type"], None
            elif k == "pair":
                yield x[1]["type"], x[3]
                yield x[2]["type"], x[3]
            elif k == "active":
                yield None, x[1]
            elif k == "seq":
                yield x[1]["type"], x[4]
                yield x[2]["type"], x[4]

    def source(self, segs):
        """-> (FROM clause that yields the features joined to profiles, [condition])"""
        feats = {}
        conds = [self.cond(s["cond"], feats) for s in segs]
        attrs = any(x[0] == "attr" for s in segs for x in leaves(s["cond"]))
        absent = any(absent_true(s["cond"]) for s in segs)
        if not feats:
            return "{profiles} p", conds
        cols = ", ".join(f"{sql} AS {n}" for n, sql in feats.values())
        f = f"(SELECT profile_id, {cols} FROM {self.scan(segs)} GROUP BY profile_id) f"
        if not attrs and not absent:
            return f, conds
        if not absent:
            return f"{f} JOIN {{profiles}} p ON p.profile_id = f.profile_id", conds
        return f"{{profiles}} p LEFT JOIN {f} ON p.profile_id = f.profile_id", conds

    def source_windows(self, segs):
        """sequence segments by window functions: running latest A for each distinct A, one sort"""
        cols, out = {}, []
        for s in segs:
            _, a, b, within, days = s["cond"]
            key = self.pred(a, days)
            n = cols.setdefault(key, f"a{len(cols)}")
            out.append((n, self.pred(b, days), within))
        w = ", ".join(f"max(CASE WHEN {k} THEN ts END) OVER (PARTITION BY profile_id ORDER BY ts ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS {n}"
                      for k, n in cols.items())
        g = ", ".join(f"max(CASE WHEN {b} AND {n} >= ts - INTERVAL '{wi} days' THEN 1 ELSE 0 END) AS q{i}" for i, (n, b, wi) in enumerate(out))
        src = f"(SELECT profile_id, {g} FROM (SELECT *, {w} FROM {self.scan(segs)}) w GROUP BY profile_id) f"
        return src, [f"q{i} = 1" for i in range(len(segs))]

    def statements(self, segs):
        """-> [(ids, FROM, conditions)]"""
        if self.funnel:
            groups = [(segs, False)]
        else:
            groups = [([s for s in segs if s["cond"][0] != "seq"], False), ([s for s in segs if s["cond"][0] == "seq"], True)]
        for g, win in groups:
            if g:
                src, conds = self.source_windows(g) if win else self.source(g)
                yield [s["id"] for s in g], src, conds

    def counts_sql(self, src, conds):
        if self.ch:
            return "SELECT " + ", ".join(f"countIf({c}) AS s{i}" for i, c in enumerate(conds)) + f" FROM {src}"
        return "SELECT " + ", ".join(f"count(*) FILTER (WHERE {c}) AS s{i}" for i, c in enumerate(conds)) + f" FROM {src}"

    def pairs_sql(self, ids, src, conds):
        pid = "p.profile_id" if "{profiles} p" in src else "f.profile_id"
        if self.ch:
            arr = ", ".join(f"if({c}, {i}, -1)" for i, c in zip(ids, conds))
            return f"SELECT arrayJoin(arrayFilter(x -> x >= 0, [{arr}])) AS segment_id, {pid} AS profile_id FROM {src}"
        arr = ", ".join(f"CASE WHEN {c} THEN {i} END" for i, c in zip(ids, conds))
        if self.d == "datafusion":
            return f"SELECT segment_id, profile_id FROM (SELECT {pid} AS profile_id, unnest(make_array({arr})) AS segment_id FROM {src}) u WHERE segment_id IS NOT NULL"
        return f"SELECT segment_id, profile_id FROM (SELECT {pid} AS profile_id, unnest([{arr}]) AS segment_id FROM {src}) u WHERE segment_id IS NOT NULL"


# ---------------------------------------------------------------- Polars
class PolarsMany:
    def __init__(self, pl, e, p):
        self.pl, self.p = pl, p
        c = pl.col
        self.e = e.select("profile_id", "event_type", "category", "device", (c.price * c.quantity).alias("amount"),
                          c.timestamp.alias("ts"), c.search_term.str.to_lowercase().alias("st"), c.timestamp.dt.date().alias("d"),
                          "sku", "brand", "campaign", "url", "price", "quantity", c.country.alias("ctry"))
        self.at_home = self.e.join(p.select("profile_id", c.country.alias("home")), on="profile_id")
        self.sql = Sql("polars")

    def pred(self, p, days=None):
        c = self.pl.col
        x = c.event_type == p["type"]
        if p["category"]:
            x = x & (c.category == p["category"])
        if p["term"]:
            x = x & c.st.str.contains(p["term"], literal=True)
        if p["device"]:
            x = x & (c.device == p["device"])
        for m in p.get("more", []):
            k, col = m[0], self.pl.col(m[0].split("_")[0])
            x = x & {"sku": lambda: col.is_in(m[1]), "brand": lambda: col.is_in(m[1]), "campaign": lambda: col.is_in(m[1]),
                     "campaign_like": lambda: col.str.contains(m[1], literal=True), "url": lambda: col == m[1],
                     "url_starts": lambda: col.str.starts_with(m[1]), "url_has": lambda: col.str.contains(m[1], literal=True),
                     "price": lambda: col >= m[1] if m[2] is None else col.is_between(m[1], m[2]),
                     "quantity": lambda: col >= m[1] if m[2] is None else col.is_between(m[1], m[2]),
                     "away": lambda: c.ctry != c.home}[k]()
        if days:
            x = x & (c.ts >= engines.days_ago(days))
        return x.fill_null(False)

    def filtered(self, segs):
        c = self.pl.col
        uses = [u for s in segs for u in self.sql.uses(s["cond"])]
        away = any(m[0] == "away" for s in segs for x in leaves(s["cond"]) for p in preds(x) for m in p.get("more", []))
        e = self.at_home if away else self.e
        if all(d is not None for _, d in uses):
            e = e.filter(c.ts >= engines.days_ago(max(d for _, d in uses)))
        if all(t for t, _ in uses):
            e = e.filter(c.event_type.is_in(sorted({t for t, _ in uses})))
        return e

    def counts(self, segs):
        pl = self.pl
        plain = [s for s in segs if s["cond"][0] != "seq"]
        seq = [s for s in segs if s["cond"][0] == "seq"]
        out = {}
        if plain:
            feats = {}

            def feat(expr, key):
                if key not in feats:
                    feats[key] = (f"f{len(feats)}", expr)
                return pl.col(feats[key][0])

            def cond(c):
                k = c[0]
                if k in ("and", "or"):
                    xs = [cond(x) for x in c[1]]
                    r = xs[0]
                    for x in xs[1:]:
                        r = (r & x) if k == "and" else (r | x)
                    return r
                if k == "not":
                    return ~cond(c[1])
                if k == "cnt":
                    return feat(self.pred(c[1], c[2]).sum(), repr(c[:3])).fill_null(0) >= c[3]
                if k == "sum":
                    return feat(pl.when(self.pred(c[1], c[2])).then(pl.col.amount).otherwise(0).sum(), repr(c[:3])).fill_null(0) > c[3]
                if k == "lapsed":
                    return (feat(pl.when(self.pred(c[1])).then(pl.col.ts).max(), repr(c[:2])) < engines.days_ago(c[2])).fill_null(False)
                if k == "pair":
                    a = feat(pl.when(self.pred(c[1], c[3])).then(pl.col.ts).min(), repr(("min", c[1], c[3])))
                    b = feat(pl.when(self.pred(c[2], c[3])).then(pl.col.ts).max(), repr(("max", c[2], c[3])))
                    return (a < b).fill_null(False)
                if k == "active":
                    return feat(pl.when(pl.col.ts >= engines.days_ago(c[1])).then(pl.col.d).drop_nulls().n_unique(), repr(c[:2])).fill_null(0) >= c[2]
                _, name, v = c
                import datetime as dt
                col = pl.col
                x = {"country": lambda: col.country.is_in(v), "tier": lambda: col.loyalty_tier.is_in(v), "points": lambda: col.points >= v,
                     "opt_in": lambda: col.email_opt_in,
                     "age": lambda: col.birth_date.is_between(dt.date(2026 - v[1], 6, 16), dt.date(2026 - v[0], 6, 15)),
                     "city": lambda: col.city.is_in(v), "ltv": lambda: col.ltv >= v, "signup": lambda: col.signup_ts >= engines.days_ago(v),
                     "visits": lambda: col.store_visits >= v,
                     "interest": lambda: col.interests.list.contains(v)}[name]()
                return x.fill_null(False)

            conds = [cond(s["cond"]).sum().alias(str(s["id"])) for s in plain]
            frame = self.p
            if feats:
                f = self.filtered(plain).group_by("profile_id").agg(*[x.alias(n) for n, x in feats.values()])
                attrs = any(x[0] == "attr" for s in plain for x in leaves(s["cond"]))
                absent = any(absent_true(s["cond"]) for s in plain)
                frame = self.p.join(f, on="profile_id", how="left") if absent else (self.p.join(f, on="profile_id") if attrs else f)
            out.update(frame.select(*conds).collect(engine="streaming").to_dicts()[0])
        if seq:
            cols, q = {}, []
            for s in seq:
                _, a, b, within, days = s["cond"]
                n = cols.setdefault(repr((a, days)), (f"a{len(cols)}", pl.when(self.pred(a, days)).then(pl.col.ts)))[0]
                q.append((str(s["id"]), self.pred(b, days) & (pl.col(n) >= pl.col.ts - pl.duration(days=within)).fill_null(False)))
            f = (self.filtered(seq).sort("profile_id", "ts")
                 .with_columns(*[x.forward_fill().shift(1).over("profile_id").alias(n) for n, x in cols.values()])
                 .group_by("profile_id").agg(*[x.any().alias(n) for n, x in q]).select(*[pl.col(n).sum() for n, _ in q]))
            out.update(f.collect(engine="streaming").to_dicts()[0])
        return {int(k): int(v) for k, v in out.items()}


# ---------------------------------------------------------------- coterie
def coterie_rule(c):
    """A condition tree as a rule in coterie's SQL form."""
    k = c[0]
    if k in ("and", "or"):
        return "(" + f" {k.upper()} ".join(coterie_rule(x) for x in c[1]) + ")"
    if k == "not":
        return "NOT " + coterie_rule(c[1])
    since = lambda d: [f"\"timestamp\" >= now() - INTERVAL '{d} days'"] if d else []

    def p(q, d=None):
        return " AND ".join([f"event_type = '{q['type']}'"] + [f"category = '{q['category']}'"] * bool(q["category"])
                            + [f"lower(search_term) LIKE '%{q['term']}%'"] * bool(q["term"]) + [f"device = '{q['device']}'"] * bool(q["device"])
                            + [more_sql(x, "profiles.country") for x in q.get("more", [])] + since(d))
    if k == "cnt":
        w = f", INTERVAL '{c[2]} days'" if c[2] else ""
        return f"times({p(c[1])}{w}) >= {c[3]}"
    if k == "sum":
        return f"sum(price * quantity) FILTER (WHERE {p(c[1], c[2])}) > {c[3]}"
    if k == "lapsed":
        return f"last_time({p(c[1])}) < now() - INTERVAL '{c[2]} days'"
    if k == "pair":
        return f"did_then({p(c[1], c[3])}, {p(c[2])})"
    if k == "seq":
        return f"did_then({p(c[1], c[4])}, {p(c[2])}, INTERVAL '{c[3]} days')"
    if k == "active":
        return f"count(DISTINCT CAST(\"timestamp\" AS DATE)) FILTER (WHERE {since(c[1])[0]}) >= {c[2]}"
    _, name, v = c
    quoted = lambda xs: ", ".join(f"'{x}'" for x in xs)
    return {"country": lambda: f"profiles.country IN ({quoted(v)})", "tier": lambda: f"loyalty_tier IN ({quoted(v)})",
            "points": lambda: f"points >= {v}", "opt_in": lambda: "email_opt_in",
            "age": lambda: f"birth_date BETWEEN DATE '{2026 - v[1]}-06-16' AND DATE '{2026 - v[0]}-06-15'",
            "city": lambda: in_list("city", v), "ltv": lambda: f"ltv >= {v}", "signup": lambda: f"signup_ts >= now() - INTERVAL '{v} days'",
            "visits": lambda: f"store_visits >= {v}",
            "interest": lambda: f"array_has(interests, '{v}')"}[name]()


def coterie_worker(a, segs):
    """coterie processes, their whole life charged.

    On plain files one process declares the tables, creates every segment and evaluates all. With --warehouse (a prepared
    one, see prepare.py) the segments are created beforehand, in a throw-away copy of its catalog, and one process evaluates."""
    import csv
    import io
    work = tempfile.gettempdir()
    create = "".join(f"CREATE SEGMENT s{s['id']} AS {coterie_rule(s['cond'])};\n" for s in segs)
    evaluate = "EVALUATE ALL SEGMENTS" + ("" if a.pairs else " DRY RUN") + ";\n"
    where = []
    if a.warehouse or a.pairs:
        where = ["--warehouse", f"{work}/warehouse"]
    if a.warehouse:
        engines.coterie_borrow(a.warehouse, f"{work}/warehouse")
        engines.coterie_run(work, create.replace("CREATE SEGMENT s", "CREATE SEGMENT IF NOT EXISTS s"), where)
        script = evaluate
    else:
        script = engines.coterie_setup(a.profiles, a.events) + ";\n" + create + evaluate
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    t0 = time.perf_counter()
    out = engines.coterie_run(work, script, where)
    q = time.perf_counter() - t0
    use = resource.getrusage(resource.RUSAGE_CHILDREN)
    rows = list(csv.DictReader(io.StringIO(out)))
    wrong = [x for x in rows if x["status"] == "failed"]
    if wrong:
        raise SystemExit(f"coterie: {len(wrong)} segments failed, the first: {wrong[0]}")
    counts = {int(x["segment"][1:]): int(x["members"]) for x in rows}
    # The greatest of all children: creating segments takes less than evaluating them.
    result(segs, counts, q, use.ru_utime + use.ru_stime - before.ru_utime - before.ru_stime, use.ru_maxrss)


def result(segs, counts, q, cpu, rss):
    """what the driver reads; a segment without a count is a fault of the engine, not a zero"""
    lost = [s["id"] for s in segs if s["id"] not in counts]
    if lost:
        raise SystemExit(f"no count for the segments {lost[:10]}")
    d = hashlib.blake2b(json.dumps([[k, counts[k]] for k in sorted(counts)]).encode(), digest_size=8).hexdigest()
    print("RESULT " + json.dumps(dict(query=q, cpu=cpu, rss_kb=rss, digest=d, total=sum(counts.values()),
                                      nonempty=sum(v > 0 for v in counts.values()), counts=[counts[k] for k in sorted(counts)])), flush=True)


# ---------------------------------------------------------------- worker and driver
def worker(a):
    segs = draw(int(a.n), a.seed, a.draw)
    if a.no_sequences:
        segs = [s for s in segs if s["cond"][0] != "seq"]
    name = a.worker
    if name == "coterie":
        return coterie_worker(a, segs)
    __import__({"duckdb_behavioral": "duckdb", "clickhouse": "chdb"}.get(name, name))
    import pyarrow as pa  # noqa: F401
    size = len(segs) if a.modes == "one" else 1 if a.modes == "each" else int(a.modes.split(":")[1])
    t0, c0 = time.perf_counter(), time.process_time()
    eng = engines.make(name, a.profiles, a.events)
    if name.startswith("duckdb"):
        eng.con.execute(f"SET memory_limit='{MEM * 5 // 6}GB'")
        eng.con.execute(f"SET temp_directory='{tempfile.gettempdir()}/duck_spill'")
    if name == "clickhouse":
        eng.SETTINGS += f", join_use_nulls=1, max_bytes_before_external_group_by={MEM * 1_000_000_000 // 2}, max_memory_usage={MEM * 1_000_000_000 * 5 // 6}"
    counts = {}
    pm = PolarsMany(eng.pl, eng.e, eng.p) if name == "polars" else None
    if pm and a.pairs:
        raise SystemExit("pairs are not written for polars")
    for i in range(0, len(segs), size):
        part = segs[i:i + size]
        if pm:
            counts.update(pm.counts(part))
            continue
        g = Sql(name)
        for ids, src, conds in g.statements(part):
            if a.pairs:
                out = f"{a.pairs}/part-{i}-{ids[0]}.parquet"
                q = g.pairs_sql(ids, src, conds)
                if name.startswith("duckdb"):
                    eng.con.execute(f"COPY ({engines.expand(q)}) TO '{out}' (FORMAT parquet)")
                elif name == "clickhouse":
                    eng.chdb.query(engines.expand(q, eng.e, eng.p) + f" INTO OUTFILE '{out}' FORMAT Parquet SETTINGS {eng.SETTINGS}", "Null")
                else:
                    eng.ctx.sql(f"COPY ({engines.expand(q)}) TO '{out}' STORED AS PARQUET").collect()
            else:
                t = eng.rows(g.counts_sql(src, conds))
                counts.update({k: int(t.column(j)[0].as_py()) for j, k in enumerate(ids)})
    q = time.perf_counter() - t0
    cpu = time.process_time() - c0
    rss = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if a.pairs:
        import pyarrow.parquet as pq
        import pyarrow.compute as pc
        counts = {s["id"]: 0 for s in segs}
        for f in os.listdir(a.pairs):
            for r in pc.value_counts(pq.read_table(f"{a.pairs}/{f}", columns=["segment_id"])["segment_id"]).to_pylist():
                counts[int(r["values"])] += r["counts"]
    result(segs, counts, q, cpu, rss)
    os._exit(0)


def run_one(a, engine, n, mode, profiles, events):
    env = engines.limit_env(dict(os.environ))
    tmp = tempfile.mkdtemp(dir=a.kept)
    env["TMPDIR"] = tmp
    cmd = [sys.executable, os.path.abspath(__file__), "--worker", engine, "--n", str(n), "--modes", mode, "--seed", str(a.seed), "--draw", a.draw,
           "--profiles", profiles, "--events", events]
    if a.no_sequences:
        cmd.append("--no-sequences")
    if a.warehouse:
        cmd += ["--warehouse", a.warehouse]
    if a.pairs is not None:
        os.mkdir(f"{tmp}/pairs")
        cmd += ["--pairs", f"{tmp}/pairs"]
    cpus = set(sorted(os.sched_getaffinity(0))[:engines.THREADS])
    why = []
    t0 = time.perf_counter()
    with open(f"{tmp}/out", "w+") as fo, open(f"{tmp}/err", "w+") as fe:
        p = subprocess.Popen(cmd, stdout=fo, stderr=fe, env=env, preexec_fn=lambda: os.sched_setaffinity(0, cpus))

        def watch():
            while p.poll() is None:
                try:
                    rss = next(int(x.split()[1]) for x in open(f"/proc/{p.pid}/status") if x.startswith("VmRSS"))
                except (OSError, StopIteration):
                    break
                if rss > MEM * 1024 * 1024:
                    why.append(f"over {MEM} GiB of memory after {time.perf_counter() - t0:.0f} s")
                elif time.perf_counter() - t0 > a.timeout:
                    why.append(f"over {a.timeout:.0f} s")
                if why:
                    p.send_signal(signal.SIGKILL)
                    break
                time.sleep(.1)
        th = threading.Thread(target=watch)
        th.start()
        p.wait()
        th.join()
        fo.seek(0)
        fe.seek(0)
        wall = time.perf_counter() - t0
        for line in fo.read().splitlines():
            if line.startswith("RESULT "):
                return dict(json.loads(line[7:]), wall=wall)
        return dict(error=why[0] if why else f"exit {p.returncode}: " + fe.read().strip()[-300:])


def main():
    ap = argparse.ArgumentParser()
    ap.add_argument("--data")
    ap.add_argument("--profiles")
    ap.add_argument("--events")
    ap.add_argument("--layout", default="time", choices=["time", "clustered"])
    ap.add_argument("--engines", default="duckdb,clickhouse,datafusion,polars")
    ap.add_argument("--n", default="1,10,100,1000")
    ap.add_argument("--modes", default="one")
    ap.add_argument("--seed", type=int, default=11)
    ap.add_argument("--draw", default="narrow", choices=["narrow", "wide"])
    ap.add_argument("--warehouse", help="a warehouse made by prepare.py: coterie reads the laid-out events")
    ap.add_argument("--repeats", type=int, default=1)
    ap.add_argument("--timeout", type=float, default=900)
    ap.add_argument("--no-sequences", action="store_true")
    ap.add_argument("--pairs", nargs="?", const="", default=None)
    ap.add_argument("--tmp", default=tempfile.gettempdir())
    ap.add_argument("--out")
    ap.add_argument("--print-segments", action="store_true")
    ap.add_argument("--worker", help=argparse.SUPPRESS)
    a = ap.parse_args()
    if a.worker:
        return worker(a)
    if a.print_segments:
        segs = draw(int(a.n.split(",")[-1]), a.seed, a.draw)
        for s in segs:
            print(s["id"], in_words(s["cond"]))
        print("{} conditions on one column, {} event conditions".format(*atoms(segs)))
        return
    tail = "_clustered" if a.layout == "clustered" else ""
    profiles, events = a.profiles or f"{a.data}/profiles{tail}", a.events or f"{a.data}/events{tail}"
    # ext4 is slow in making files for a minute after others were deleted, so that all are deleted in the end.
    with tempfile.TemporaryDirectory(dir=a.tmp) as a.kept:
        rows, differ = measure(a, profiles, events)
    if a.out:
        json.dump(dict(data=a.data, layout=a.layout, warehouse=a.warehouse, draw=a.draw, pairs=a.pairs is not None, seed=a.seed, threads=engines.THREADS, mem_gb=MEM, rows=rows), open(a.out, "w"), indent=1)
    sys.exit(1 if differ else 0)


def measure(a, profiles, events):
    """a line for each engine and number of rules, and whether any counts differ"""
    rows, differ = [], False
    for n in [int(x) for x in a.n.split(",")]:
        seen = {}
        for rep in range(a.repeats):
            for mode in a.modes.split(","):
                for e in a.engines.split(","):
                    r = run_one(a, e, n, mode, profiles, events)
                    cell = seen.setdefault((e, mode), dict(engine=e, mode=mode, n=n, runs=[]))
                    if "error" in r:
                        cell["error"] = r["error"]
                        print(f"N={n:<5} {e:18s} {mode:10s} FAIL {r['error']}", flush=True)
                    else:
                        cell["runs"].append(r["query"])
                        cell.update(query=statistics.median(cell["runs"]), cpu=r["cpu"], rss_mb=round(r["rss_kb"] / 1024), digest=r["digest"],
                                    total=r["total"], nonempty=r["nonempty"], counts=r["counts"])
                        print(f"N={n:<5} {e:18s} {mode:10s} {r['query']:8.2f} s  cpu {r['cpu']:8.2f} s  {cell['rss_mb']:6d} MB  pairs {r['total']}  nonempty {r['nonempty']}  {r['digest']}", flush=True)
        ds = {c["digest"] for c in seen.values() if "digest" in c}
        if len(ds) > 1:
            differ = True
            vs = [c for c in seen.values() if "counts" in c]
            k = [i for i in range(len(vs[0]["counts"])) if len({v["counts"][i] for v in vs}) > 1]
            print(f"N={n}: DIFFERENT ANSWERS at segments {k[:10]}: " + str([(v['engine'], [v['counts'][i] for i in k[:5]]) for v in vs]))
        for c in seen.values():
            c.pop("counts", None)
            rows.append(c)
    return rows, differ


if __name__ == "__main__":
    main()
