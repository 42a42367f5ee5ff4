"""From a file's bytes to lines of text: decompression and encodings, without holding the file."""

from __future__ import annotations

import bz2
import codecs
import gzip
import io
import lzma
import shutil
import tempfile
import zipfile
import zlib
from contextlib import ExitStack, closing, contextmanager, suppress
from importlib import import_module
from itertools import chain
from typing import TYPE_CHECKING, Any, BinaryIO, Final, cast

from tapkit.errors import ConfigValidationError, FatalAPIError, FileProblem

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["COMPRESSIONS", "decompressed", "lines", "readable"]

CHUNK: Final = 1 << 18
"""Bytes decoded at once."""
LONGEST: Final = 1 << 26
"""Characters of a line at most; more means that it is no text, or that a quote is missing."""

ENCRYPTED: Final = 1
"""The bit by which a zip archive tells that a file in it is encrypted."""

BOMS: Final = (
    (codecs.BOM_UTF8, "utf-8"),
    (codecs.BOM_UTF32_LE, "utf-32-le"),
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
"""Byte order marks; that of UTF-32 begins as that of UTF-16 does, and is asked for first."""


def _zstd() -> Any:
    """The module that Python has from 3.14 on, or the one that the extra `zstd` brings."""
    for name in ("compression.zstd", "backports.zstd"):
        with suppress(ImportError):
            return import_module(name)
    return None


zstd: Final = _zstd()

DAMAGES: tuple[type[Exception], ...] = (
    EOFError,
    OSError,
    lzma.LZMAError,
    zipfile.BadZipFile,
    zlib.error,
    *((zstd.ZstdError,) if zstd else ()),
)
"""What the libraries raise for a file that is damaged, cut off or encrypted."""


class _Member(io.BufferedReader):
    """The one file in an archive; the archive's directory is at its end, so all of it is needed."""

    def __init__(self, stream: BinaryIO) -> None:
        with ExitStack() as stack:
            if not stream.seekable():
                stream = _on_disk(stack.enter_context(closing(stream)))
                stack.enter_context(stream)
            archive = stack.enter_context(zipfile.ZipFile(stream))
            names = [
                info
                for info in archive.infolist()
                if not info.is_dir() and not info.filename.startswith("__MACOSX/")
            ]
            if len(names) != 1:
                raise FileProblem(f"The archive holds {len(names)} files; it must be one")
            if names[0].flag_bits & ENCRYPTED:
                raise FileProblem("The archive is encrypted")
            super().__init__(cast("io.RawIOBase", archive.open(names[0])), CHUNK)
            self._stack = stack.pop_all()

    def close(self) -> None:
        super().close()
        self._stack.close()


def _on_disk(stream: BinaryIO) -> BinaryIO:
    copy = cast("BinaryIO", tempfile.TemporaryFile())  # noqa: SIM115  # the caller closes it
    shutil.copyfileobj(stream, copy, CHUNK)
    return copy


def _unzstd(stream: BinaryIO) -> BinaryIO:
    if zstd is None:
        what = "Files compressed by zstd need an extra: install crm-warehouse[zstd]."
        raise ConfigValidationError(what, errors=[what])
    return cast("BinaryIO", zstd.open(stream, "rb"))


COMPRESSIONS: Final[dict[str, tuple[bytes, Callable[[Any], Any]]]] = {
    "gzip": (b"\x1f\x8b", gzip.open),
    "bz2": (b"BZh", bz2.open),
    "xz": (b"\xfd7zXZ\x00", lzma.open),
    "zstd": (b"\x28\xb5\x2f\xfd", _unzstd),
    "zip": (b"PK\x03\x04", _Member),
}
"""Name → first bytes, and what takes the compression off a stream."""


def decompressed(stream: BinaryIO, compression: str) -> BinaryIO:
    """Take the compression off a stream.

    Args:
        stream: The file.
        compression: A name from `COMPRESSIONS`, `none`, or `auto` to go by the first bytes.
    """
    if compression == "none":
        return stream
    if compression != "auto":
        return cast("BinaryIO", COMPRESSIONS[compression][1](stream))
    start = cast("io.BufferedReader", stream).peek(8)
    for magic, opened in COMPRESSIONS.values():
        if start.startswith(magic):
            return cast("BinaryIO", opened(stream))
    return stream


@contextmanager
def readable(name: str) -> Iterator[None]:
    """Turn what the libraries raise for damaged files into an error that names the file."""
    try:
        yield
    except FatalAPIError as error:
        if name in str(error):
            raise
        raise type(error)(f"{name}: {error}") from error
    except DAMAGES as error:
        msg = f"{name} is damaged or was cut off ({type(error).__name__})"
        raise FileProblem(msg) from error


def lines(stream: BinaryIO, name: str, encoding: str, errors: str) -> Iterator[str]:
    """Decode a file into its lines, which keep their ends.

    Args:
        stream: The file, decompressed.
        name: What errors call it.
        encoding: Python's name of it, or `auto`: UTF-8, unless a byte order mark tells another. A
            byte order mark wins over any setting.
        errors: `strict` or `replace`, as Python means them.

    Raises:
        FileProblem: Bytes that are not of the encoding, with the line that they are in.
    """
    return chain.from_iterable(_closing(stream, _blocks(stream, name, encoding, errors)))


def _closing(stream: BinaryIO, blocks: Iterator[Any]) -> Iterator[Any]:
    with closing(stream):
        yield from blocks


def _blocks(stream: BinaryIO, name: str, encoding: str, errors: str) -> Iterator[Iterator[str]]:
    chunk = stream.read(CHUNK)
    mark, found = next(((m, e) for m, e in BOMS if chunk.startswith(m)), (b"", ""))
    encoding = found or ("utf-8" if encoding == "auto" else encoding)
    decoder = codecs.getincrementaldecoder(encoding)(errors)
    chunk = chunk[len(mark) :]
    rest, number = "", 1
    while True:
        try:
            text = rest + decoder.decode(chunk, final=not chunk)
        except UnicodeDecodeError as error:
            before = rest + error.object[: error.start].decode(encoding, "replace")
            line = number + before.count("\n")
            hint = "Set encoding, or undecodable to replace"
            msg = f"{name}, line {line}: bytes that are not {encoding}. {hint}."
            raise FileProblem(msg) from error
        if not chunk:
            break
        # A carriage return at the end may be the first half of a line's end.
        end = max(text.rfind("\n"), text.rfind("\r", 0, len(text) - 1)) + 1
        whole, rest = text[:end], text[end:]
        if len(rest) > LONGEST:
            raise FileProblem(
                f"{name}, line {number + whole.count(chr(10))}: longer than a line is"
            )
        number += whole.count("\n")
        if whole:
            yield io.StringIO(whole, newline="")
        chunk = stream.read(CHUNK)
    if text:
        yield io.StringIO(text, newline="")
