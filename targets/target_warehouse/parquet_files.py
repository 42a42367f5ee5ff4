"""The records of a parquet file as JSON, exact: batch by batch, so that memory is bounded."""

from __future__ import annotations

import gzip
import math
import shutil
import tempfile
from decimal import Decimal
from typing import IO, TYPE_CHECKING, Any, Final

import msgspec

from target_warehouse.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["records"]

_ROWS: Final = 1000
_BUFFER: Final = 1 << 20
_GZIP: Final = b"\x1f\x8b"
_MISSING: Final = (
    "BATCH files of format parquet need the library pyarrow; install crm-warehouse[parquet]"
)
# Digits of a decimal are kept, bytes become base64.
_encode: Final = msgspec.json.Encoder(decimal_format="number").encode


def records(file: IO[bytes], properties: Mapping[str, Mapping[str, Any]]) -> Iterator[bytes]:
    """Yield the JSON of each record.

    Decimals keep their digits, moments their offset or the lack of it, down to the microsecond.
    Bytes become what the property's contentEncoding says, and else the text that they are.

    Args:
        file: The parquet file, which may be gzipped as a whole.
        properties: Properties of the stream's schema.

    Raises:
        BadInputError: pyarrow is not installed, or the file is not parquet, or has a type that JSON
            has nothing for.
    """
    try:
        import pyarrow as pa  # noqa: PLC0415 - an extra
        from pyarrow.parquet import ParquetFile  # noqa: PLC0415 - an extra
    except ImportError:
        raise BadInputError(_MISSING) from None
    try:
        with _unzipped(file) as plain, ParquetFile(plain, buffer_size=_BUFFER) as parquet:
            for batch in parquet.iter_batches(_ROWS):
                columns = [
                    _values(column, properties.get(name, {}).get("contentEncoding"))
                    for name, column in zip(batch.schema.names, batch.columns, strict=True)
                ]
                for row in zip(*columns, strict=True):
                    yield _encode(dict(zip(batch.schema.names, row, strict=True)))
    except (pa.ArrowException, TypeError) as error:
        raise BadInputError(f"A parquet file cannot be read: {type(error).__name__}") from error


def _unzipped(file: IO[bytes]) -> IO[bytes]:
    start = file.read(len(_GZIP))
    file.seek(0)
    if start != _GZIP:
        return file
    plain = tempfile.TemporaryFile()  # noqa: SIM115 - the caller closes it
    with gzip.open(file) as packed:
        shutil.copyfileobj(packed, plain)
    plain.seek(0)
    return plain


def _values(column: Any, encoding: str | None) -> list[Any]:
    """Return the values of a column of a record batch."""
    import pyarrow as pa  # noqa: PLC0415 - an extra
    from pyarrow import types  # noqa: PLC0415 - an extra

    kind = column.type
    if types.is_dictionary(kind):
        return _values(column.dictionary_decode(), encoding)
    if types.is_timestamp(kind):
        # Postgres has microseconds, too.
        column = column.cast(pa.timestamp("us", kind.tz), safe=False)
    elif types.is_time64(kind):
        column = column.cast(pa.time64("us"), safe=False)
    try:
        values: list[Any] = column.to_pylist(maps_as_pydicts="strict")
    except (ValueError, OverflowError):  # a year that Python does not know
        return column.cast(pa.string()).to_pylist()  # type: ignore[no-any-return]
    if types.is_floating(kind):
        return [v if v is None or math.isfinite(v) else Decimal(v) for v in values]
    if types.is_binary(kind) or types.is_large_binary(kind) or types.is_fixed_size_binary(kind):
        return [None if value is None else _text(value, encoding) for value in values]
    return values


def _text(value: bytes, encoding: str | None) -> Any:
    if encoding == "base16":
        return value.hex()
    return value if encoding == "base64" else value.decode(errors="backslashreplace")
