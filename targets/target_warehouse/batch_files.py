"""The records of BATCH messages, line by line."""

from __future__ import annotations

import gzip
from contextlib import ExitStack
from typing import IO, TYPE_CHECKING, Any, cast

from singer_sdk.helpers._batch import BaseBatchFileEncoding, BatchFileFormat, StorageTarget

from target_warehouse.errors import BadInputError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["records"]


def records(message: Mapping[str, Any]) -> Iterator[bytes]:
    """Yield the JSON of each record in the files a BATCH message names.

    Raises:
        BadInputError: The files are not JSON lines.
    """
    encoding = BaseBatchFileEncoding.from_dict(message["encoding"])
    if encoding.format != BatchFileFormat.JSONL:
        raise BadInputError(f"BATCH files of format {encoding.format} cannot be read")
    for path in message["manifest"]:
        folder, name = StorageTarget.split_url(path)
        with ExitStack() as stack:
            file: IO[bytes] = stack.enter_context(StorageTarget.from_url(folder).open(name))
            if encoding.compression == "gzip":
                file = cast("IO[bytes]", stack.enter_context(gzip.open(file)))
            yield from (line for line in file if line.strip())
