"""A stand-in for Athena that really runs the queries, on Postgres, and speaks Athena's protocol.

Source: the actions StartQueryExecution, GetQueryExecution, GetQueryResults and ListTableMetadata of
the Athena API reference. What Postgres and Athena share of SQL is enough for windows and filters.
"""

from __future__ import annotations

import json
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import psycopg2
from tapkit_fake_api import Answer, Request, serving

if TYPE_CHECKING:
    from collections.abc import Iterator

Row = dict[str, Any]

PAGE = 1000
TYPES = {16: "boolean", 20: "bigint", 23: "integer", 1114: "timestamp", 1700: "decimal"}
GLUE = {"text": "string", "timestamp without time zone": "timestamp", "numeric": "decimal(12,2)"}


class Athena:
    """Answers the API; `queries` are those that were sent.

    Attributes:
        has_catalog: Whether tables may be listed; else that is refused.
        failing: What queries fail with, if with anything.
    """

    def __init__(self, url: str, database: str) -> None:
        self.url = url
        self.queries: list[str] = []
        self.has_catalog = True
        self.failing: str | None = None
        self.pages = 0
        self._database = database
        self._states: list[list[str]] = []

    def __call__(self, request: Request) -> Answer:
        action = request.headers["X-Amz-Target"].rpartition(".")[2]
        answer: Answer = getattr(self, action)(json.loads(request.body))
        answer.headers["Content-Type"] = "application/x-amz-json-1.1"
        return answer

    def StartQueryExecution(self, asked: Row) -> Answer:  # noqa: N802
        self.queries.append(" ".join(asked["QueryString"].split()))
        end = "FAILED" if self.failing else "SUCCEEDED"
        self._states.append([end, "RUNNING", "QUEUED"])
        return Answer({"QueryExecutionId": str(len(self.queries) - 1)})

    def GetQueryExecution(self, asked: Row) -> Answer:  # noqa: N802
        number = int(asked["QueryExecutionId"])
        states = self._states[number]
        state = states.pop() if len(states) > 1 else states[0]
        status = {"State": state, "SubmissionDateTime": 1.0, "StateChangeReason": self.failing}
        execution = {
            "QueryExecutionId": str(number),
            "Query": self.queries[number],
            "StatementType": "DML",
            "ResultConfiguration": {"OutputLocation": f"s3://results/{number}.csv"},
            "Status": {name: value for name, value in status.items() if value is not None},
            "WorkGroup": "primary",
        }
        return Answer({"QueryExecution": execution})

    def GetQueryResults(self, asked: Row) -> Answer:  # noqa: N802
        self.pages += 1
        number, start = int(asked["QueryExecutionId"]), int(asked.get("NextToken") or 0)
        names, kinds, rows = self._run(self.queries[number])
        lines = [names, *([None if v is None else _text(v) for v in row] for row in rows)]
        part = lines[start : start + min(PAGE, asked.get("MaxResults") or PAGE)]
        info = [
            {"Name": name, "Type": kind, "Precision": 0, "Scale": 0, "Nullable": "UNKNOWN"}
            for name, kind in zip(names, kinds, strict=True)
        ]
        data = [{"Data": [{} if v is None else {"VarCharValue": v} for v in row]} for row in part]
        end = start + len(part)
        more = {"NextToken": str(end)} if end < len(lines) else {}
        return Answer(
            {"ResultSet": {"Rows": data, "ResultSetMetadata": {"ColumnInfo": info}}, **more}
        )

    def ListTableMetadata(self, asked: Row) -> Answer:  # noqa: ARG002, N802
        if not self.has_catalog:
            return Answer({"__type": "AccessDeniedException", "Message": "no"}, status=400)
        _, _, rows = self._run(
            "SELECT table_name, column_name, data_type FROM information_schema.columns"
            " WHERE table_schema = 'public' ORDER BY ordinal_position"
        )
        tables: dict[str, list[Row]] = {}
        for table, column, kind in rows:
            columns = tables.setdefault(table, [])
            columns.append({"Name": column, "Type": GLUE.get(kind, kind)})
        listed = [
            {"Name": name, "TableType": "EXTERNAL_TABLE", "Columns": columns}
            for name, columns in tables.items()
        ]
        return Answer({"TableMetadataList": listed})

    def _run(self, query: str) -> tuple[list[str], list[str], list[tuple[Any, ...]]]:
        connection = psycopg2.connect(self._database)
        try:
            cursor = connection.cursor()
            cursor.execute(query)
            described = cursor.description or ()
            kinds = [TYPES.get(column.type_code, "varchar") for column in described]
            return [column.name for column in described], kinds, cursor.fetchall()
        finally:
            connection.close()


def _text(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return value.strftime("%Y-%m-%d %H:%M:%S.%f")[:-3] if hasattr(value, "hour") else str(value)


@contextmanager
def athena(database: str) -> Iterator[Athena]:
    """Serve a database as Athena does."""
    with serving() as api:
        made = Athena(api.url, database)
        api.answer = made
        yield made
