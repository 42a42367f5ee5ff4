"""Where the database is, who may read, and which settings are refused before the first record."""

from __future__ import annotations

import pytest
from singer_sdk.exceptions import ConfigValidationError
from sqlalchemy.engine import make_url
from warehouse.address import database_address

PROPERTIES = {"id": {"type": "integer"}}


def test_host_and_its_companions_replace_the_url(wh, messages):
    url = make_url(wh.url)
    settings = {
        "sqlalchemy_url": None,
        "host": url.host or url.query["host"],
        "port": url.port or 5432,
        "user": url.username,
        "password": url.password,
        "database": url.database,
        "sslmode": "prefer",
    }
    wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1), **settings)
    assert wh.table("s") == [{"id": 1}]


def test_every_part_of_the_address_arrives(tmp_path):
    ca, cert, key = (tmp_path / name for name in ("ca.pem", "cert.pem", "key.pem"))
    for file in (ca, cert, key):
        file.touch()
    parts = {"host": "db", "port": 6543, "user": "me", "password": "p@:/ä", "database": "wh"}
    files = {"sslrootcert": str(ca), "sslcert": str(cert), "sslkey": str(key)}
    url = make_url(database_address({**parts, "sslmode": "verify-full", **files}) or "")
    assert (url.host, url.port, url.username, url.password, url.database) == (*parts.values(),)
    assert dict(url.query) == {"sslmode": "verify-full", **files}
    kept = database_address(
        {"sqlalchemy_url": "postgresql+psycopg2://h/d?sslmode=allow", "sslmode": "require"}
    )
    assert kept == "postgresql://h/d?sslmode=require"


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"host": "db"}, "Set sqlalchemy_url or host, not both"),
        ({"sqlalchemy_url": "mysql://db/x"}, "not the address of a Postgres"),
        ({"sqlalchemy_url": "postgresql://u:p/w@db:x/d"}, "in the password as %40"),
        ({"sqlalchemy_url": None, "user": "me"}, "user says nothing without host"),
        ({"sslrootcert": "/nowhere.pem"}, "file that sslrootcert names cannot be read: /nowhere"),
        ({"sslmode": "yes"}, "sslmode"),
        ({"load_method": "replace"}, "load_method"),
        ({"missing_fields": "drop"}, "missing_fields"),
        ({"missing_fields": "keep", "load_method": "overwrite"}, "needs load_method upsert"),
        ({"history_schema": "a%b"}, "history_schema"),
    ],
)
def test_wrong_settings_are_refused_before_anything_is_stored(wh, messages, settings, sentence):
    with pytest.raises(ConfigValidationError) as refused:
        wh.load(messages.schema("s", PROPERTIES), messages.record("s", id=1), **settings)
    assert sentence in "; ".join([str(refused.value), *refused.value.errors])
    assert "p/w" not in str(refused.value)
    assert wh.query("SELECT nspname FROM pg_namespace WHERE nspname = 'crm'") == []


def test_numbers_may_come_as_texts_as_meltano_passes_them_on(wh, messages):
    head = messages.schema("s", {"id": {"type": "integer"}})
    bad = [messages.record("s", id=None)] * 3
    wh.load(head, *bad[:2], max_rejects="2", lock_timeout="0", batch_max_age="0.5")
    with pytest.raises(Exception, match="more than max_rejects allows"):
        wh.load(head, *bad, max_rejects="2")
    with pytest.raises(ConfigValidationError):
        wh.load(head, *bad, max_rejects="two")
