"""The records of BATCH messages, one by one."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, cast

from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchFileFormat, StorageTarget

from target_warehouse import parquet_files
from target_warehouse.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["records"]


def records(
    message: Mapping[str, Any], properties: Mapping[str, Mapping[str, Any]]
) -> Iterator[bytes]:
    """Yield the JSON of each record in the files a BATCH message names.

    Args:
        message: The message.
        properties: Properties of its stream's schema.

    Raises:
        BadInputError: The files are neither JSON lines nor parquet.
    """
    encoding = BaseBatchFileEncoding.from_dict(message["encoding"])
    if encoding.format not in set(BatchFileFormat):
        raise BadInputError(f"BATCH files of format {encoding.format} cannot be read")
    for path in message["manifest"]:
        folder, name = StorageTarget.split_url(path)
        with ExitStack() as stack:
            file: IO[bytes] = stack.enter_context(StorageTarget.from_url(folder).open(name))
            if encoding.format == BatchFileFormat.PARQUET:
                yield from parquet_files.records(file, properties)
                continue
            if encoding.compression == "gzip":
                file = cast("IO[bytes]", stack.enter_context(gzip.open(file)))
            yield from (line for line in file if line.strip())
