#!/usr/bin/env python3
"""SQLAlchemy 1.4 with psycopg2, as Superset has it: sqlalchemy_1.py PORT

What reflection finds in each schema, and ranges of time in the shape of Superset's. Exits with 1 if any check failed.
"""
import datetime as dt
import os
import sys

import sqlalchemy as sa

from checks import check, finish

E = os.environ.get
URL = sa.engine.URL.create("postgresql+psycopg2", E("COTERIE_USER", "u"), E("COTERIE_PASSWORD", "p"), "127.0.0.1", int(sys.argv[1]),
                           "coterie", query={"sslmode": E("COTERIE_SSLMODE", "prefer")})
engine = sa.create_engine(URL)
assert sa.__version__.startswith("1.4."), sa.__version__


@check
def schemas_tables_and_views_are_found():
    inspector = sa.inspect(engine)
    assert {"public", "segment", "audience", "coterie"} <= set(inspector.get_schema_names())
    assert {"profiles", "events"} <= set(inspector.get_table_names())
    assert "win_back" in inspector.get_table_names(schema="audience")
    assert "win_back" in inspector.get_view_names(schema="segment") and not inspector.get_table_names(schema="segment")
    assert inspector.get_view_definition("win_back", schema="segment").startswith("CREATE SEGMENT")
    assert inspector.has_table("profiles") and not inspector.has_table("nothing")
    assert inspector.get_sequence_names() == [] and inspector.get_enums() == []


@check
def columns_keys_and_comments_are_found():
    inspector = sa.inspect(engine)
    columns = {column["name"]: column for column in inspector.get_columns("win_back", schema="audience")}
    assert isinstance(columns["profile_id"]["type"], sa.TEXT) and columns["profile_id"]["nullable"], columns
    assert isinstance(columns["entered_at"]["type"], sa.TIMESTAMP) and columns["entered_at"]["type"].timezone
    types = {column["name"]: type(column["type"]) for column in inspector.get_columns("profiles")}
    assert types["birth_date"] is sa.DATE and types["points"] is sa.INTEGER, types
    assert inspector.get_pk_constraint("profiles") == {"constrained_columns": ["profile_id"], "name": "profiles_pkey"}
    keys = {key["constrained_columns"][0]: key["referred_table"] for key in inspector.get_foreign_keys("events")}
    assert keys["profile_id"] == "profiles", keys
    assert inspector.get_table_comment("win_back", schema="audience")["text"].startswith("bought three times")
    for table in ("profiles", "events"):
        assert inspector.get_indexes(table) == [] and inspector.get_unique_constraints(table) == []
        assert inspector.get_check_constraints(table) == []


@check
def reflected_tables_can_be_asked():
    meta = sa.MetaData()
    meta.reflect(engine, schema="audience")
    meta.reflect(engine, schema="public", views=True)
    audience, profiles = meta.tables["audience.win_back"], meta.tables["public.profiles"]
    joined = audience.join(profiles, audience.c.profile_id == profiles.c.profile_id)
    by_country = sa.select(profiles.c.country, sa.func.count()).select_from(joined).group_by(profiles.c.country)
    with engine.connect() as connection:
        members = connection.execute(sa.select(sa.func.count()).select_from(audience)).scalar()
        assert members > 0 and sum(n for _, n in connection.execute(by_country)) == members
        since = dt.datetime(2026, 1, 1, tzinfo=dt.timezone.utc)
        assert connection.execute(sa.select(sa.func.count()).where(audience.c.entered_at >= since)).scalar() == members


@check
def times_have_postgresqls_patterns():
    with engine.connect() as connection:
        row = connection.execute(sa.text(
            "SELECT TO_TIMESTAMP('2025-01-31 23:59:58.123456', 'YYYY-MM-DD HH24:MI:SS.US')::text, "
            "TO_DATE('1970-01-31', 'YYYY-MM-DD'), to_char(DATE '2026-06-15', 'YYYY-MM'), "
            "to_char(TIMESTAMP '2026-06-15 14:05:06', 'Dy DD Mon YYYY, HH12:MI PM')")).fetchone()
        assert row[0].startswith("2025-01-31") and "23:59:58.123456" in row[0], row
        assert tuple(row[1:]) == (dt.date(1970, 1, 31), "2026-06", "Mon 15 Jun 2026, 02:05 PM"), row
        grain = connection.execute(sa.text(
            "SELECT DATE_TRUNC('month', entered_at) AS entered_at, COUNT(*) AS n FROM audience.win_back "
            "WHERE entered_at >= TO_TIMESTAMP('2025-01-01 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') "
            "AND entered_at < TO_TIMESTAMP('2026-12-31 00:00:00.000000', 'YYYY-MM-DD HH24:MI:SS.US') "
            "GROUP BY DATE_TRUNC('month', entered_at) LIMIT 100")).fetchall()
        assert len(grain) == 1 and grain[0][1] > 0, grain


finish()
