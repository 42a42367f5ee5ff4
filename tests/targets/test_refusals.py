"""A run that cannot begin: exit code 1, one sentence that names the setting, nothing secret."""

from __future__ import annotations

import subprocess
from contextlib import closing
from pathlib import Path

import psycopg2
import pytest
from sqlalchemy.engine import make_url

PROPERTIES = {"id": {"type": "integer"}}


@pytest.fixture
def guarded(own_server):
    """Return the URL of a server that asks the role `somebody` for a password."""
    with closing(psycopg2.connect(own_server.get_uri())) as connection:
        connection.autocommit = True
        cursor = connection.cursor()
        cursor.execute("CREATE ROLE somebody LOGIN PASSWORD 'right'")
        cursor.execute("CREATE DATABASE closed")
        cursor.execute("REVOKE ALL ON DATABASE closed FROM PUBLIC")
        cursor.execute("SHOW hba_file")
        rules = Path(cursor.fetchone()[0])
        rules.write_text(f"local all somebody scram-sha-256\n{rules.read_text()}")
        cursor.execute("SELECT pg_reload_conf()")
    return make_url(own_server.get_uri()).set(username="somebody")


def test_the_server_refuses(wh, messages, guarded, tmp_path):
    lines = messages.schema("s", PROPERTIES), messages.record("s", id=1)

    def said(**changes) -> str:
        url = guarded.set(**{"password": "right", **changes})
        with pytest.raises(Exception, match="Postgres: ") as refused:
            wh.load(*lines, sqlalchemy_url=url.render_as_string(hide_password=False))
        assert "hidden" not in str(refused.value)
        return str(refused.value)

    assert "Check user and password, in sqlalchemy_url" in said(password="hidden")
    assert "Check user and password, in sqlalchemy_url" in said(username="nobody")
    assert "Check database and user" in said(database="none")
    assert "Check database and user" in said(database="closed")
    assert "Check host and port" in said(query={}, host="no-such-host.invalid")
    assert "Check host and port" in said(query={"host": str(tmp_path)})
    assert "permission denied" in (right := said())
    assert "history_schema and default_target_schema" in right


def test_it_is_said_in_a_sentence(wh, messages, guarded):
    url = guarded.set(password="hidden").render_as_string(hide_password=False)
    process = wh.process(sqlalchemy_url=url)
    out, errors = process.communicate(wh.lines(messages.schema("s", PROPERTIES)), timeout=60)
    assert (process.returncode, out) == (1, b"")
    assert errors.count(b"ERROR") == errors.count(b"password authentication failed") == 1
    assert b"Traceback" not in errors
    assert b"hidden" not in errors


def test_input_that_is_closed_or_cut_off(wh, messages):
    lines = wh.lines(messages.schema("s", PROPERTIES), messages.record("s", id=1))
    process = wh.process()
    process.stdin.write(lines[:-5])
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 1
    assert b"A line of the input is not JSON" in errors
    assert b"Traceback" not in errors
    assert wh.counts() == [("s", "failed", 0, 0, 0, 0, 0, 0)]

    command = [*process.args, "<&-"]
    done = subprocess.run(
        ["sh", "-c", " ".join(map(str, command))], check=False, capture_output=True
    )
    assert done.returncode == 1
    assert b"There is no input: standard input is closed" in done.stderr
    assert b"Traceback" not in done.stderr


def test_input_from_a_file(wh, messages, tmp_path):
    file = tmp_path / "in.jsonl"
    file.write_bytes(wh.lines(messages.schema("s", PROPERTIES), messages.record("s", id=1)))
    process = wh.process()
    process.communicate(timeout=60)
    subprocess.run([*process.args, "--input", file], check=True, capture_output=True)
    assert wh.table("s") == [{"id": 1}]
