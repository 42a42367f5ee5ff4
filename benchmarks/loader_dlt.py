"""dlt's loader for the benchmark: Singer messages from standard input, merged into Postgres.

python benchmarks/loader_dlt.py --config config.json < messages.jsonl

Runs in dlt's own environment and imports nothing of this project.
"""

from __future__ import annotations

import argparse
import sys
from collections import defaultdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import dlt
from dlt.common import json

if TYPE_CHECKING:
    from collections.abc import Iterator

PAGE = 1_000
TYPES = {"integer": "bigint", "number": "double", "boolean": "bool", "string": "text"}
FORMATS = {"date-time": "timestamp", "date": "date"}


def column_type(schema: dict[str, Any]) -> str:
    """Return dlt's type of a column."""
    names = schema["type"]
    name = names if isinstance(names, str) else names[0]
    return FORMATS.get(schema.get("format", "")) or TYPES.get(name, "json")


def hints(message: dict[str, Any]) -> Any:
    """Return what dlt needs to know of a stream."""
    properties = message["schema"]["properties"]
    return dlt.mark.make_hints(
        table_name=message["stream"],
        primary_key=message["key_properties"],
        write_disposition="merge",
        columns={name: {"data_type": column_type(schema)} for name, schema in properties.items()},
    )


@dlt.resource(name="messages", max_table_nesting=0)
def messages() -> Iterator[Any]:
    """Yield pages of records, each with the hints of its stream."""
    streams: dict[str, Any] = {}
    pages: defaultdict[str, list[Any]] = defaultdict(list)
    for line in sys.stdin.buffer:
        message = json.loadb(line)
        kind, name = message["type"], message.get("stream")
        if kind == "SCHEMA":
            streams[name] = hints(message)
        elif kind == "RECORD":
            pages[name].append(message["record"])
            if len(pages[name]) == PAGE:
                yield dlt.mark.with_hints(pages.pop(name), streams[name], create_table_variant=True)
    for name, page in pages.items():
        yield dlt.mark.with_hints(page, streams[name], create_table_variant=True)


def main() -> None:
    """Load standard input."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--config", type=Path, required=True)
    config = json.loadb(parser.parse_args().config.read_bytes())
    pipeline = dlt.pipeline(
        "loader",
        pipelines_dir=config["folder"],
        destination=dlt.destinations.postgres(config["url"]),
        dataset_name=config["schema"],
    )
    # csv files go in by COPY; the default is INSERT … VALUES.
    pipeline.run(messages(), loader_file_format="csv")
    pipeline.drop()


if __name__ == "__main__":
    main()
