"""Which records of a batch are stored just as they came, told without sending them.

Beside each row stands a fingerprint: a hash of the record it was written from, mixed with the id
of the transaction that wrote it. Postgres keeps that id too (``xmin``), and changes it with the
row, so that a row somebody else has changed since is not taken for the record. The hash is one of
schema, settings and columns as well: where one of these changes, no record is known any more.
"""

from __future__ import annotations

from collections import Counter
from io import BytesIO
from typing import TYPE_CHECKING, Annotated, Any, Final

import msgspec
import xxhash
from psycopg2 import sql

from target_warehouse.column_text import UnusualError
from target_warehouse.csvtext import COPY_OPTIONS, csv_rows
from target_warehouse.names import FINGERPRINT
from target_warehouse.staging import SEQUENCE, equal, names

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from psycopg2.extensions import cursor as Cursor  # noqa: N812

    from target_warehouse.encoder import Item
    from target_warehouse.table import Table

__all__ = ["Fingerprints"]

_SIGNED: Final = 1 << 63
_BIGINT: Final = Annotated[int, msgspec.Meta(ge=-_SIGNED, le=_SIGNED - 1)]
_COLUMNS: Final = """
SELECT attname, attnum, atttypid::regtype::text FROM pg_attribute
WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""


class Fingerprints:
    """The fingerprints of one table's rows.

    Attributes:
        name: A temporary table of the keys of records that are stored as they came.
    """

    def __init__(self, cursor: Cursor, name: str, table: Table, meaning: Mapping[str, Any]) -> None:
        """Prepare for one schema.

        Args:
            cursor: In the transaction that has prepared the table.
            name: Of a temporary table, unique in the session.
            table: The table, after `Table.prepare`.
            meaning: All that decides, beside the table, what becomes of a record.
        """
        self.table = table
        self._bare, self.name = name, sql.Identifier("pg_temp", name)
        self._make(cursor)
        cursor.execute(_COLUMNS, (table.sql.as_string(cursor),))
        columns = [column for column in cursor.fetchall() if column[0] in table.columns_of.values()]
        self._seed = xxhash.xxh3_64_intdigest(
            msgspec.json.encode([meaning, columns, table.columns_of], order="sorted")
        )
        self._decode, self._key = self._reader()

    def _reader(self) -> tuple[Callable[[Any], Any], Callable[[Any], tuple[Any, ...]]]:
        columns = {column.field: column for column in self.table.columns}
        fields, renamed = [], {}
        for number, field in enumerate(self.table.key_fields):
            column = columns[field]
            renamed[f"k{number}"] = field
            fields.append((f"k{number}", str if column.storage == "text" else _BIGINT))
        record = msgspec.defstruct("Key", fields, rename=renamed, gc=False)
        return msgspec.json.Decoder(record).decode, msgspec.structs.astuple

    def of(self, items: Sequence[Item]) -> list[int | None]:
        """Return the hashes of records, None for those that a stream map has made."""
        hash_of, seed = xxhash.xxh3_64_intdigest, self._seed
        return [None if isinstance(item, dict) else hash_of(item, seed) - _SIGNED for item in items]

    def _make(self, cursor: Cursor) -> None:
        """Make the temporary table, which empties itself with every transaction."""
        types = {name: self.table.storage(name) for name in self.table.keys}
        types |= {SEQUENCE: "integer", FINGERPRINT: "bigint"}
        cursor.execute(
            sql.SQL(
                "DROP TABLE IF EXISTS {}; CREATE TEMP TABLE {} ({}) ON COMMIT DELETE ROWS"
            ).format(
                self.name,
                sql.Identifier(self._bare),
                sql.SQL(", ").join(
                    sql.SQL("{} {}").format(sql.Identifier(name), sql.SQL(storage))
                    for name, storage in types.items()
                ),
            )
        )

    def unknown(
        self, cursor: Cursor, items: Sequence[Item], hashes: Sequence[int | None]
    ) -> list[int]:
        """Return the places of the records that are not stored as they came, in their order.

        The keys of all others stay in the temporary table until the transaction ends.
        """
        rows, others = self._rows(items, hashes)
        try:
            text = csv_rows(rows)
        except UnusualError:
            return [*range(len(items))]
        copy = sql.SQL("COPY {} ({}) FROM STDIN WITH ({})").format(
            self.name, names([SEQUENCE, *self.table.keys, FINGERPRINT]), COPY_OPTIONS
        )
        cursor.copy_expert(copy, BytesIO(text + b"\n" if rows else b""))
        # OFFSET 0 makes it a look into the index for each key, rather than a walk through the table
        # for each batch.
        cursor.execute(
            sql.SQL(
                "DELETE FROM {sent} AS sent WHERE NOT EXISTS (SELECT FROM {table} AS stored"
                " WHERE {same} AND stored.{hash} # stored.xmin::text::bigint = sent.{hash}"
                " OFFSET 0) RETURNING {place}"
            ).format(
                sent=self.name,
                table=self.table.sql,
                same=equal(self.table.keys, "stored", "sent"),
                hash=sql.Identifier(FINGERPRINT),
                place=sql.Identifier(SEQUENCE),
            )
        )
        return sorted([*others, *(place for (place,) in cursor.fetchall())])

    def _rows(
        self, items: Sequence[Item], hashes: Sequence[int | None]
    ) -> tuple[list[tuple[Any, ...]], list[int]]:
        """Return place, key and hash of each record, and the places that have to be looked at.

        Of records with one key the last one counts, which only a closer look finds out.
        """
        rows, others = [], []
        for place, item in enumerate(items):
            try:
                rows.append((place, *self._key(self._decode(item)), hashes[place]))
            except (msgspec.MsgspecError, UnicodeDecodeError, TypeError):  # noqa: PERF203
                others.append(place)
        keys = Counter(row[1:-1] for row in rows)
        if len(keys) < len(rows):
            others += [row[0] for row in rows if keys[row[1:-1]] > 1]
            rows = [row for row in rows if keys[row[1:-1]] == 1]
        return rows, others
