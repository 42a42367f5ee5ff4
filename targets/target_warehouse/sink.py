"""The records of one stream that wait for their commit."""

from __future__ import annotations

import time
from functools import cached_property
from typing import TYPE_CHECKING, Any

import jsonschema
from singer_sdk.exceptions import InvalidJSONSchema
from singer_sdk.sql import SQLSink
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR
from warehouse.rejects import Origin

from target_warehouse.batch_load import Batch
from target_warehouse.connector import WarehouseConnector
from target_warehouse.errors import BadInputError
from target_warehouse.jsontext import dumps, loads
from target_warehouse.loader import Loader
from target_warehouse.moments import parse_datetime
from target_warehouse.names import EXTRA, column_name, identifier
from target_warehouse.prepared import StreamPlan
from target_warehouse.replay import REPLAYED, ReplayLoader
from target_warehouse.settings import table_schema
from target_warehouse.table import METADATA, Table

if TYPE_CHECKING:
    from collections.abc import Sequence

    from singer_sdk.sinks.core import BaseJSONSchemaValidator

    from target_warehouse.encoder import Item
    from target_warehouse.reader import RecordMessage
    from target_warehouse.run import Run, StreamRun
    from target_warehouse.target import TargetWarehouse

__all__ = ["WarehouseSink"]


class WarehouseSink(SQLSink[WarehouseConnector]):
    """Buffers records as they came and hands them to the loader batch by batch."""

    connector_class = WarehouseConnector
    loader: Loader
    """What takes the batches; there after `open`."""

    def __init__(
        self,
        target: TargetWarehouse,
        stream_name: str,
        schema: dict[str, Any],
        key_properties: Sequence[str] | None,
        connector: WarehouseConnector | None = None,
    ) -> None:
        """Plan the stream; the arguments are the SDK's."""
        super().__init__(target, stream_name, schema, key_properties, connector)
        self._target = target
        self.batch = Batch()
        self._under_way: int | None = None
        self._opened = False
        self._places: list[int] = []
        self._rows: int = target.config["batch_size_rows"]
        self._keeps_extracted = bool(target.config["add_record_metadata"])

    def open(self) -> None:
        """Open the stream in SyncHistory; one that a stream map removes is never opened."""
        if not self._opened:
            stream = self._target.open_stream(self.stream_name)
            if not self._target.run.dry:
                self._target.run.claims.take(self.schema_name, self.table_name)
            self.loader = self._loader(self._target.run, stream, self._plan())
            self._opened = True

    def _loader(self, run: Run, stream: StreamRun, plan: StreamPlan) -> Loader:
        if self.stream_name in run.replays:
            return ReplayLoader(run, stream, plan, self._target.write_line)
        return Loader(run, stream, plan)

    def _plan(self) -> StreamPlan:
        properties = {k: v for k, v in self.schema["properties"].items() if k not in METADATA}
        if self.config["undeclared_fields"] == "keep":
            properties.setdefault(EXTRA, {"type": ["object", "null"]})
        keys = list(self.key_properties)
        scope = self.schema.get("x-replace-by") or ()
        if not {*keys, *scope} <= properties.keys():
            raise BadInputError(f"The key of stream {self.stream_name} is not in its schema")
        if (window := self.schema.get("x-window")) and window not in properties:
            raise BadInputError(f"x-window of {self.stream_name} is not in its schema")
        if scope and not {*scope} < {*keys}:
            raise BadInputError(f"x-replace-by of {self.stream_name} is not a part of its key")
        append = self.config["load_method"] == "append-only"
        # Refused records that are sent again are no complete set of anything.
        apart = append or self.stream_name in self._target.run.replays
        bookmark = self._target.bookmark_properties(self.stream_name)
        indexes = list((self.config.get("indexes") or {}).get(self.stream_name, ()))
        if self.config["index_bookmarks"] and {*bookmark} <= properties.keys():
            indexes += [bookmark] if bookmark else []
        return StreamPlan(
            schema=self.schema | {"properties": properties},
            key_fields=keys,
            bookmark=bookmark,
            scope=() if apart else scope,
            window="" if apart or not keys else self.schema.get("x-window") or "",
            origin=self._origin,
            table=Table(
                schema=self.schema_name,
                name=self.table_name,
                stream=self.stream_name,
                key_fields=() if append else tuple(keys),
                naming=self.config["naming"],
                indexes=indexes,
                readers=self.config["grant_select_to"],
                rebuild_views=self.config["rebuild_views"],
                fingerprints=self._keeps_fingerprints,
                metadata=tuple(METADATA) if self.include_sdc_metadata_properties else (),
            ),
        )

    def _origin(self) -> Origin:
        """Return what refused records are kept with."""
        message = {
            "type": "SCHEMA",
            "stream": self.stream_name,
            "schema": self.schema,
            "key_properties": self.key_properties,
            "bookmark_properties": list(self._target.bookmark_properties(self.stream_name)),
        }
        settings = {name: self.config.get(name) for name in REPLAYED}
        settings["default_target_schema"] = self.schema_name
        return Origin(dumps(message), dumps(settings))

    @property
    def _keeps_fingerprints(self) -> bool:
        upserts = self.config["load_method"] == "upsert" and not self.schema.get("x-replace-by")
        return self.config["fingerprints"] and upserts

    # What the SDK asks for

    @property
    def schema_name(self) -> str:
        return table_schema(self.config, self.stream_name, self._target.run.crm_source)

    @property
    def table_name(self) -> str:
        return identifier(self.stream_name, self.config["naming"])

    @property
    def key_properties(self) -> Sequence[str]:
        return list(self._key_properties)

    def conform_name(self, name: str, object_type: str | None = None) -> str:
        naming = self.config["naming"]
        return (column_name if object_type == "column" else identifier)(name, naming)

    def get_validator(self) -> BaseJSONSchemaValidator | None:
        """Check the schema; records are validated batch by batch (see `encoder`)."""
        try:
            DEFAULT_JSONSCHEMA_VALIDATOR.check_schema(self.schema)
        except jsonschema.SchemaError as error:
            raise InvalidJSONSchema(f"Stream {self.stream_name}: {error.message}") from error
        return None

    def _add_sdc_metadata_to_schema(self) -> None:
        """The columns are the table's (see `METADATA`), not the stream's."""

    def _remove_sdc_metadata_from_schema(self) -> None:
        """Only ``_sdc_deleted_at`` may come from a stream (see `_plan`)."""

    def setup(self) -> None:
        """Nothing: the table is prepared with the first batch, after those of an older schema."""

    # The buffer

    @property
    def current_size(self) -> int:
        return len(self.batch.items)

    @property
    def is_full(self) -> bool:
        return len(self.batch.items) >= self._rows

    @property
    def oldest(self) -> int | None:
        """Number of the first record that is not committed."""
        if self._under_way is not None:
            return self._under_way
        return self.batch.first if self.batch.items else None

    @property
    def takes_many(self) -> bool:
        """Whether records may be added together (see `add_many`)."""
        return not (self.scoped or self._keeps_extracted)

    def add_many(self, messages: Sequence[RecordMessage], size: int, number: int) -> int:
        """Buffer as many of these records, of one version, as there is room for.

        Args:
            messages: The records.
            size: Bytes of each.
            number: The first one's place in the input.

        Returns:
            How many there was room for.
        """
        batch = self.batch
        if not batch.items:
            self._begin(messages[0].version, number)
        taken = messages[: self._rows - len(batch.items)]
        batch.items.extend([message.record for message in taken])
        batch.size += size * len(taken)
        return len(taken)

    def add(self, item: Item, message: RecordMessage, size: int, number: int) -> None:
        """Buffer a record of this many bytes; `number` is its place in the input."""
        batch = self.batch
        if not batch.items:
            self._begin(message.version, number)
        batch.items.append(item)
        batch.size += size
        if self.scoped:
            self._places.append(number)
        if self._keeps_extracted:
            extracted = message.time_extracted
            batch.extracted.append(parse_datetime(extracted) if extracted else None)

    def _begin(self, version: int | None, number: int) -> None:
        self.batch.started = time.time()
        self.batch.first = number
        self.batch.version = version

    @cached_property
    def scoped(self) -> bool:
        """Whether records belong to scopes that no two batches may share."""
        return bool(self.loader.plan.scope)

    def starts_scope(self, item: Item) -> bool:
        """Tell whether a record belongs to another scope than the last one."""
        return not self.batch.items or self._scope(item) != self._scope(self.batch.items[-1])

    def _scope(self, item: Item) -> tuple[Any, ...]:
        record = item if isinstance(item, dict) else loads(bytes(item))
        return tuple(record.get(name) for name in self.schema["x-replace-by"])

    def hold_back_last_scope(self) -> Batch:
        """Take the records of the last scope, which may not be complete, out of the buffer."""
        batch = self.batch
        start = len(batch.items)
        last = self._scope(batch.items[-1]) if batch.items else ()
        while start and self._scope(batch.items[start - 1]) == last:
            start -= 1
        held = Batch(
            items=batch.items[start:],
            extracted=batch.extracted[start:],
            version=batch.version,
            started=time.time(),
            first=self._places[start] if start < len(self._places) else 0,
        )
        del batch.items[start:], batch.extracted[start:]
        self._places = self._places[start:]
        return held

    # The drain

    def start_drain(self) -> dict[str, Any]:
        return {"batch": self.batch}

    def process_batch(self, context: dict[str, Any]) -> None:
        batch: Batch = context["batch"]
        self.tally_record_read(len(batch.items))
        self.loader.load(batch, self._stored)
        self._under_way = batch.first
        self.record_counter_metric.increment(len(batch.items))

    def _stored(self) -> None:
        self._under_way = None
        self._target.advance()

    def mark_drained(self) -> None:
        self.batch = Batch()
        super().mark_drained()
