"""Indexes, grants and dependent views."""

from __future__ import annotations

import pytest
from psycopg2 import sql
from sqlalchemy.engine import make_url

STRING = {"type": ["string", "null"]}
INTEGER = {"type": ["integer", "null"]}
PROPERTIES = {"id": {"type": "integer"}, "v": INTEGER, "at": {"type": "string"}}


def test_indexes(wh, messages):
    for _ in range(2):
        wh.load(
            messages.schema("s", PROPERTIES, bookmark_properties=["at"]),
            messages.record("s", id=1, v=2, at="x"),
            index_bookmarks=True,
            indexes={"s": [["v", "at"], ["v"], ["id"]]},
        )
    assert wh.table("s") == [{"id": 1, "v": 2, "at": "x"}]
    indexes = wh.query("SELECT indexdef FROM pg_indexes WHERE schemaname = 'crm' ORDER BY 1")
    assert [r["indexdef"].partition("USING ")[2] for r in indexes] == [
        "btree (at)", "btree (v, at)", "btree (id)",
    ]  # fmt: skip
    with pytest.raises(Exception, match="indexes names the property w, which stream s has not"):
        wh.load(messages.schema("s", PROPERTIES), indexes={"s": [["w"]]})


def test_readers(wh, messages):
    role = f"reader_{make_url(wh.url).database}"
    lines = messages.schema("s", PROPERTIES), messages.record("s", id=1, v=2, at="x")
    with pytest.raises(Exception, match=f"names the role {role}, which does not exist"):
        wh.load(*lines, grant_select_to=[role])
    wh.query(f"CREATE ROLE {role}")
    for _ in range(2):
        wh.load(*lines, grant_select_to=[role])
    try:
        row = wh.query(
            sql.SQL("SET ROLE {}; SELECT id, v, at FROM crm.s").format(sql.Identifier(role))
        )[0]
        assert row == {"id": 1, "v": 2, "at": "x"}
    finally:
        wh.query(f"DROP OWNED BY {role}; DROP ROLE {role}")


def test_views_are_rebuilt(wh, messages):
    role = f"viewer_{make_url(wh.url).database}"
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, v=2, at="x"))
    wh.query(
        """
        CREATE ROLE viewer;
        CREATE VIEW low AS SELECT id, v FROM crm.s;
        CREATE VIEW "High %s" WITH (security_barrier = true)
            AS SELECT low.v, s.at FROM low JOIN crm.s USING (id);
        COMMENT ON VIEW low IS 'it''s';
        GRANT SELECT ON low TO viewer WITH GRANT OPTION;
        ALTER VIEW "High %s" OWNER TO viewer;
        GRANT SELECT ON "High %s" TO PUBLIC
    """.replace("viewer", role)
    )
    wider = messages.schema("s", PROPERTIES | {"v": STRING})
    wh.load(wider, messages.record("s", id=3, v="three", at="y"), rebuild_views=True)
    wh.query(f"GRANT USAGE ON SCHEMA crm TO {role}; GRANT SELECT ON crm.s TO {role}")
    assert wh.query('SELECT * FROM "High %s" ORDER BY at') == [
        {"v": "2", "at": "x"}, {"v": "three", "at": "y"},
    ]  # fmt: skip
    about = wh.query("""
        SELECT relname, pg_get_userbyid(relowner) AS owner, obj_description(oid) AS comment,
            reloptions, relacl::text FROM pg_class
        WHERE relkind = 'v' AND relnamespace = 'public'::regnamespace ORDER BY relname DESC
    """)
    assert [(r["owner"], r["comment"], r["reloptions"]) for r in about] == [
        ("postgres", "it's", None), (role, None, ["security_barrier=true"]),
    ]  # fmt: skip
    assert f"{role}=r*/postgres" in about[0]["relacl"]
    assert "=r/" in about[1]["relacl"]
    wh.query(f"DROP OWNED BY {role} CASCADE; DROP ROLE {role}")


def test_a_materialized_view_is_left_to_its_owner(wh, messages):
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1, v=2, at="x"))
    wh.query("CREATE MATERIALIZED VIEW m AS SELECT v FROM crm.s")
    with pytest.raises(Exception, match=r"public\.m depends on a column .* no plain view"):
        wh.load(messages.schema("s", PROPERTIES | {"v": STRING}), rebuild_views=True)
    assert wh.query("SELECT * FROM m") == [{"v": 2}]
