"""Reads the statements that genius_drivers.py gives it with one driver, and tells what that cost.

It runs in the driver's own environment, which has nothing else.
"""
# ruff: noqa: PLC0415 - each environment has one of the drivers only

from __future__ import annotations

import asyncio
import json
import os
import sys
import time
from pathlib import Path
from typing import Any

ROWS_AT_ONCE = 1000


def pymysql(address: dict[str, Any], statement: str) -> None:
    """Read with PyMySQL."""
    import pymysql
    from pymysql.cursors import SSCursor

    _drain(pymysql.connect(**address, charset="utf8mb4").cursor(SSCursor), statement)


def mysqlclient(address: dict[str, Any], statement: str) -> None:
    """Read with mysqlclient, which gives every column as it came."""
    import MySQLdb
    from MySQLdb.cursors import SSCursor

    connection = MySQLdb.connect(**address, charset="utf8mb4", conv={})
    _drain(connection.cursor(SSCursor), statement)


def mysql_connector_python(address: dict[str, Any], statement: str) -> None:
    """Read with the C extension of MySQL's own driver, which gives every column as it came."""
    import mysql.connector

    _drain(mysql.connector.connect(**address, use_pure=False).cursor(raw=True), statement)


def mariadb(address: dict[str, Any], statement: str) -> None:
    """Read with MariaDB's own driver."""
    import mariadb

    _drain(mariadb.connect(**address).cursor(buffered=False), statement)


def asyncmy(address: dict[str, Any], statement: str) -> None:
    """Read with asyncmy."""
    import asyncmy
    from asyncmy.cursors import SSCursor

    async def read() -> None:
        connection = await asyncmy.connect(**address, charset="utf8mb4")
        async with connection.cursor(SSCursor) as cursor:
            await cursor.execute(statement)
            while await cursor.fetchmany(ROWS_AT_ONCE):
                pass
        connection.close()

    asyncio.run(read())


DRIVERS = {
    "pymysql": pymysql,
    "mysqlclient": mysqlclient,
    "mysql-connector-python": mysql_connector_python,
    "mariadb": mariadb,
    "asyncmy": asyncmy,
}


def _drain(cursor: Any, statement: str) -> None:
    cursor.execute(statement)
    while cursor.fetchmany(ROWS_AT_ONCE):
        pass


def _server_seconds(pid: str) -> float:
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def main(pid: str) -> None:
    """Measure every form."""
    task = json.load(sys.stdin)
    address = {"host": "127.0.0.1", "port": task["port"], "user": "root"}
    address["database"] = task["database"]
    costs = {}
    for form, statement in task["forms"].items():
        server, client, wall = _server_seconds(pid), time.process_time(), time.perf_counter()
        DRIVERS[task["driver"]](address, statement)
        costs[form] = {
            "wall": time.perf_counter() - wall,
            "client": time.process_time() - client,
            "server": _server_seconds(pid) - server,
        }
    json.dump(costs, sys.stdout)


if __name__ == "__main__":
    main(*sys.argv[1:])
