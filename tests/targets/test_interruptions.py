"""Whatever ends a run, nothing is lost, nothing is claimed, and the next run makes it right."""

from __future__ import annotations

import json
import signal
import socket
import threading
from contextlib import closing, suppress
from typing import Any

import psycopg2
import pytest
from sqlalchemy.engine import make_url
from target_warehouse.session import Session

PROPERTIES: dict[str, Any] = {"id": {"type": "integer"}, "v": {"type": ["string", "null"]}}
TOTAL = 10_000
CUT = """
SELECT pg_terminate_backend(pid) FROM pg_stat_activity
WHERE application_name = 'target-warehouse' AND datname = current_database()
"""
BLOCKED = """
SELECT pid FROM pg_stat_activity WHERE application_name = 'target-warehouse'
AND datname = current_database() AND wait_event_type = 'Lock'
"""


def stream(messages) -> list[Any]:
    lines: list[Any] = [messages.schema("s", PROPERTIES)]
    for i in range(TOTAL):
        lines.append(messages.record("s", id=i, v=f"value {i}"))
        if i % 500 == 499:
            lines.append(messages.state(s=i))
    return lines


def stored(wh) -> int:
    if wh.query("SELECT to_regclass('crm.s') AS s")[0]["s"] is None:
        return 0
    return wh.query("SELECT count(*) AS n FROM crm.s")[0]["n"]


def check_states(wh, out: bytes) -> None:
    """Check that each state sent is of committed records."""
    ids = {row["id"] for row in wh.table("s")}
    for line in out.splitlines():
        assert ids >= set(range(json.loads(line)["bookmarks"]["s"] + 1))


def check_second_run(wh, messages) -> None:
    wh.load(*stream(messages))
    assert wh.table("s") == [{"id": i, "v": f"value {i}"} for i in range(TOTAL)]
    first, second = wh.history()
    assert second["records_created"] == TOTAL - first["records_created"]
    assert second["records_updated"] == 0
    assert second["status"] == "success"


@pytest.mark.parametrize("number", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
@pytest.mark.parametrize("after", [1, 2_000])
def test_killed(wh, messages, number, after):
    process = wh.process(batch_size_rows=400)
    lines = wh.lines(*stream(messages))
    feeder = threading.Thread(target=feed, args=(process.stdin, lines[: len(lines) * 2 // 3]))
    feeder.start()
    wh.wait_for(lambda: stored(wh) >= after)
    process.send_signal(number)
    process.wait(timeout=30)
    feeder.join()
    out, errors = process.communicate()

    assert process.returncode == (-number if number == signal.SIGKILL else 128 + number), errors
    check_states(wh, out)
    (run,) = wh.history()
    assert run["records_created"] == stored(wh)
    if number == signal.SIGKILL:
        assert run["status"] == "running"
    else:
        assert (run["status"], run["error_message"]) == (
            "failed",
            f"Terminated by signal {int(number)}",
        )
    check_second_run(wh, messages)
    assert wh.history()[0]["status"] == "failed"


@pytest.mark.parametrize("waiting", [1, 2])
def test_terminated_while_the_server_is_at_work(wh, messages, waiting):
    head = messages.schema("s", PROPERTIES)
    wh.load(head, messages.record("s", id=0, v="before"))
    with closing(psycopg2.connect(wh.url)) as other, other.cursor() as cursor:
        cursor.execute("LOCK TABLE crm.s IN ACCESS EXCLUSIVE MODE")
        process = wh.process(batch_size_rows=1)
        records = [messages.record("s", id=i, v="after") for i in range(waiting)]
        process.stdin.write(wh.lines(head, *records, messages.state(s=1)))
        wh.wait_for(lambda: wh.query(BLOCKED))
        process.send_signal(signal.SIGTERM)
        process.wait(timeout=30)
    out, errors = process.communicate()
    assert (process.returncode, out) == (128 + signal.SIGTERM, b""), errors
    assert wh.table("s") == [{"id": 0, "v": "before"}]
    assert wh.counts()[1] == ("s", "failed", 0, 0, 0, 0, 0, 0)


def check_terminated(process) -> None:
    process.send_signal(signal.SIGTERM)
    process.wait(timeout=20)  # a busy machine is slow, but libpq would try for longer
    out, errors = process.communicate()
    assert (process.returncode, out) == (128 + signal.SIGTERM, b""), errors
    assert b"Traceback" not in errors


@pytest.mark.parametrize("lock", ["load of crm.s", "runs in public", "crm.s"])
def test_terminated_while_it_waits_for_another_run(wh, messages, lock):
    if lock == "crm.s":  # whose turn it is to create a table comes after the history
        wh.load(messages.schema("other", PROPERTIES))
    with closing(psycopg2.connect(wh.url)) as other, other.cursor() as cursor:
        cursor.execute("SELECT pg_advisory_xact_lock(hashtextextended(%s, 0))", (lock,))
        process = wh.process(batch_size_rows=1)
        process.stdin.write(wh.lines(messages.schema("s", PROPERTIES), messages.record("s", id=1)))
        if lock == "load of crm.s":
            wait_for_line(process, b"Waiting for another run that loads crm.s")
        else:
            wh.wait_for(lambda: wh.query(BLOCKED))
        check_terminated(process)
    if lock != "runs in public":
        assert wh.history()[-1]["error_message"] == "Terminated by signal 15"


def wait_for_line(process, text: bytes) -> None:
    for line in process.stderr:
        if text in line:
            return
    pytest.fail("The target has ended")


class Proxy(threading.Thread):
    """Stands before a server until it is told to go silent: it listens, and answers nobody."""

    def __init__(self, url: str) -> None:
        super().__init__(daemon=True)
        self.server = make_url(url)
        self.door = socket.create_server(("127.0.0.1", 0))
        self.silent = False
        self.sockets: list[socket.socket] = []
        self.unanswered = 0
        host, port = self.door.getsockname()
        self.url = self.server.set(host=host, port=port, query={}).render_as_string(
            hide_password=False
        )
        self.start()

    def run(self) -> None:
        while True:
            with suppress(OSError):
                client, _ = self.door.accept()
                self.sockets.append(client)
                if self.silent:
                    self.unanswered += 1
                    continue
                server = self.connect()
                self.sockets.append(server)
                for pair in ((client, server), (server, client)):
                    threading.Thread(target=self.carry, args=pair, daemon=True).start()
                continue
            return

    def connect(self) -> socket.socket:
        port = self.server.port or 5432
        if self.server.host:
            return socket.create_connection((self.server.host, port))
        server = socket.socket(socket.AF_UNIX)
        server.connect(f"{self.server.query['host']}/.s.PGSQL.{port}")
        return server

    @staticmethod
    def carry(source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)

    def hang_up(self) -> None:
        for each in self.sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()
        self.sockets.clear()


@pytest.fixture
def proxy(wh):
    proxy = Proxy(wh.url)
    yield proxy
    proxy.hang_up()
    proxy.door.shutdown(socket.SHUT_RDWR)
    proxy.door.close()
    proxy.join()


def test_terminated_while_it_connects_to_a_server_that_is_silent(wh, messages, proxy):
    process = wh.process(sqlalchemy_url=proxy.url, batch_size_rows=1)
    head = messages.schema("s", PROPERTIES)
    process.stdin.write(wh.lines(head, messages.record("s", id=0, v="value 0")))
    wh.wait_for(lambda: stored(wh) == 1)
    proxy.silent = True
    proxy.hang_up()
    process.stdin.write(wh.lines(messages.record("s", id=1)))
    wh.wait_for(lambda: proxy.unanswered)
    check_terminated(process)
    check_second_run(wh, messages)
    assert wh.history()[0]["status"] == "failed"


def feed(pipe, data: bytes) -> None:
    """Write to the target and leave the pipe open, as a slow tap does."""
    with suppress(BrokenPipeError):
        while data:
            data = data[pipe.write(data) :]


def test_nobody_reads_the_states(wh, messages):
    process = wh.process(batch_size_rows=400)
    process.stdout.close()
    feed(process.stdin, wh.lines(*stream(messages)))
    process.stdin.close()
    process.wait(timeout=60)
    process.stderr.close()
    assert process.returncode != 0
    (run,) = wh.history()
    assert run["status"] == "failed"
    assert run["records_created"] == stored(wh)
    check_second_run(wh, messages)


def test_a_lost_connection_is_made_again(wh, messages):
    process = wh.process(batch_size_rows=400)
    lines = wh.lines(*stream(messages))
    feeder = threading.Thread(target=feed, args=(process.stdin, lines))
    feeder.start()
    for rows in (1, 2_000, 4_000, 6_000):
        wh.wait_for(lambda rows=rows: stored(wh) >= rows)
        wh.query(CUT)
    feeder.join()
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert wh.table("s") == [{"id": i, "v": f"value {i}"} for i in range(TOTAL)]
    assert wh.counts() == [("s", "success", TOTAL, 0, 0, 0, 0, 0)]
    assert json.loads(out.splitlines()[-1]) == {"bookmarks": {"s": TOTAL - 1}}
    assert b"trying again" in errors


def test_appended_rows_are_not_doubled_by_a_lost_answer(wh, messages, monkeypatch):
    tries = []
    real = Session._try

    def commit_and_lose(self, work, *, again):
        result = real(self, work, again=again)
        tries.append(again)
        if len(tries) == 3:  # begin, open, and now the batch
            self._connection.close()
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        return result

    monkeypatch.setattr(Session, "_try", commit_and_lose)
    wh.load(
        messages.schema("events", PROPERTIES, keys=()),
        *(messages.record("events", id=i) for i in range(10)),
    )
    assert tries[3]
    assert [row["id"] for row in wh.table("events")] == list(range(10))
    assert wh.counts() == [("events", "success", 10, 0, 0, 0, 0, 0)]


def test_deletes_are_left_out_when_what_was_received_is_forgotten(wh, messages, caplog):
    head = messages.schema("s", PROPERTIES)
    versioned = [messages.record("s", id=i) | {"version": 1} for i in range(4)]
    wh.load(head, *versioned)
    process = wh.process(batch_size_rows=1)
    process.stdin.write(wh.lines(head, versioned[0]))
    process.stdin.flush()
    wh.wait_for(lambda: len(wh.history()) == 2 and wh.history()[1]["records_processed"] == 1)
    wh.query(CUT)
    activate = {"type": "ACTIVATE_VERSION", "stream": "s", "version": 1}
    _, errors = process.communicate(wh.lines(versioned[1], activate), timeout=60)
    assert process.returncode == 0
    assert b"The connection was lost during the full read of s" in errors
    assert len(wh.table("s")) == 4
    assert wh.counts()[1] == ("s", "success", 0, 0, 2, 0, 0, 0)


@pytest.mark.parametrize("keys", [("id",), ()])
def test_rows_of_a_batch_whose_answer_was_lost_are_not_deleted(
    wh, messages, monkeypatch, caplog, keys
):
    real = Session._try
    lost = []

    def commit_and_lose(self, work, *, again):
        result = real(self, work, again=again)
        if "Loader.load" in work.__qualname__ and not lost:
            lost.append(work)
            self._connection.close()
            raise psycopg2.OperationalError("server closed the connection unexpectedly")
        return result

    monkeypatch.setattr(Session, "_try", commit_and_lose)
    wh.load(
        messages.schema("s", PROPERTIES, keys=keys),
        *(messages.record("s", id=i) | {"version": 1} for i in range(6)),
        {"type": "ACTIVATE_VERSION", "stream": "s", "version": 1},
        batch_size_rows=2,
        hard_delete=True,
    )
    assert [row["id"] for row in wh.table("s")] == [*range(6)]
    assert wh.counts() == [("s", "success", 6, 0, 0, 0, 0, 0)]
    assert "The connection was lost during the full read of s" in caplog.text


def test_the_server_is_restarted(wh, messages, own_server):
    wh.url = own_server.get_uri()
    process = wh.process(batch_size_rows=400)
    feeder = threading.Thread(target=feed, args=(process.stdin, wh.lines(*stream(messages))))
    feeder.start()
    wh.wait_for(lambda: stored(wh) >= 2_000)
    own_server.stop()
    own_server.ensure_postgres_running()
    feeder.join()
    _, errors = process.communicate(timeout=60)
    assert process.returncode == 0, errors
    assert wh.table("s") == [{"id": i, "v": f"value {i}"} for i in range(TOTAL)]
    assert wh.counts() == [("s", "success", TOTAL, 0, 0, 0, 0, 0)]


def test_the_server_stays_away(wh, messages, own_server):
    wh.url = own_server.get_uri()
    process = wh.process(batch_size_rows=400, connection_retries=1)
    feeder = threading.Thread(target=feed, args=(process.stdin, wh.lines(*stream(messages))))
    feeder.start()
    wh.wait_for(lambda: stored(wh) >= 2_000)
    own_server.stop()
    feeder.join()
    out, errors = process.communicate(timeout=60)
    own_server.ensure_postgres_running()
    assert process.returncode == 1, errors
    assert b"The history stays open until the next run" in errors
    check_states(wh, out)
    check_second_run(wh, messages)
    assert wh.history()[0]["status"] == "failed"
