"""Files in S3 and what speaks like it, and wherever else fsspec reaches."""

from __future__ import annotations

import glob
import io
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import fsspec

from tapkit import dates
from tapkit.errors import AccessDenied, ConfigValidationError, FileProblem, RetriableAPIError
from tapkit.files.places import BUFFER, FileInfo, Place, scheme

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tapkit.files.places import Files

__all__ = ["StorePlace"]


class StorePlace(Place):
    """Files wherever fsspec reaches: S3 and what speaks like it, Azure, Google, SFTP and others."""

    def __init__(self, path: str, files: Files) -> None:
        super().__init__(path, files)
        protocol = scheme(path)
        options = files.options.storage_options.get(protocol, {})
        try:
            self._fs, self._pattern = fsspec.core.url_to_fs(
                path, skip_instance_cache=True, use_listings_cache=False, **options
            )
        except (ImportError, ValueError, TypeError) as error:
            needs = (
                "install crm-warehouse[s3]" if protocol == "s3" else "see fsspec for what it needs"
            )
            what = f"Paths of {protocol}:// cannot be read ({type(error).__name__}); {needs}."
            raise ConfigValidationError(what, errors=[what]) from error
        self._protocol = protocol

    def find(self, known: Mapping[str, str | None]) -> list[FileInfo]:  # noqa: ARG002
        self.files.listings += 1
        try:
            if not glob.has_magic(self._pattern) or self._fs.isfile(self._pattern):
                return [self._info(self._fs.info(self._pattern))]
            found = self._fs.glob(self._pattern, detail=True)
        except Exception as error:
            raise _refused(self.shown, error) from error
        return [self._info(info) for info in found.values() if info["type"] == "file"]

    def open(self, file: FileInfo) -> tuple[BinaryIO, FileInfo]:
        self.files.listings += 1
        try:
            stream = self._fs.open(file.address, "rb", cache_type="readahead", block_size=1 << 22)
        except Exception as error:
            raise _refused(file.name, error) from error
        return cast("BinaryIO", io.BufferedReader(_Stored(file.name, stream), BUFFER)), file

    def is_current(self, file: FileInfo) -> bool:
        self.files.listings += 1
        try:
            return self._info(self._fs.info(file.address)).version == file.version
        except FileNotFoundError:
            return False
        except Exception as error:
            raise _refused(file.name, error) from error

    def _info(self, info: Mapping[str, Any]) -> FileInfo:
        moment = info.get("LastModified") or info.get("last_modified") or info.get("mtime")
        modified = dates.text(dates.parse_datetime(moment)) if moment else None
        version = info.get("ETag") or info.get("etag") or info.get("md5Hash")
        if version is None and modified is not None:
            version = f"{modified}-{info.get('size')}"
        name = f"{self._protocol}://{info['name'].lstrip('/')}"
        return FileInfo(name, version, modified, info.get("size"), info["name"])


class _Stored(io.RawIOBase):
    """A file of a store, whose library's errors are turned into ours."""

    def __init__(self, name: str, stream: Any) -> None:
        self._name, self._stream = name, stream

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        try:
            count: int = self._stream.readinto(buffer)
        except Exception as error:
            raise _refused(self._name, error) from error
        return count

    def close(self) -> None:
        self._stream.close()
        super().close()


def _refused(name: str, error: Exception) -> Exception:
    """What an error of a store means; each library has its own.

    Its text may quote what was sent, and stays out.
    """
    if isinstance(error, PermissionError) or "Credential" in type(error).__name__:
        return AccessDenied(f"The credentials may not read {name}")
    if isinstance(error, FileNotFoundError):
        return FileProblem(f"There is no file {name}")
    return RetriableAPIError(f"{name} cannot be reached ({type(error).__name__})")
