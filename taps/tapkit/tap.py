"""The base of every tap."""

from __future__ import annotations

import logging
import os
from collections import Counter
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Tap as SDKTap
from singer_sdk.exceptions import ConfigurationError, DiscoveryError, SyncError

from tapkit import dates
from tapkit.errors import ConfigValidationError, StreamsFailed
from tapkit.status import Status, StatusWriter
from tapkit.writer import Writer

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping
    from datetime import datetime
    from types import FrameType

    from singer_sdk.singerlib import Catalog
    from singer_sdk.streams import Stream as SDKStream

    from tapkit.client import Client
    from tapkit.fields import Field

__all__ = ["Tap"]


WIRE = ("aiobotocore", "boto3", "botocore", "fsspec", "s3fs", "urllib3")
"""Libraries whose debugging tells what goes over the wire: signed headers, queries, bodies."""


class Tap(SDKTap):
    """A tap: `name`, `config_jsonschema`, and in `discover_streams` its streams.

    Streams are read in the order in which they are discovered. One that fails does not stop the
    others; the process then ends with exit code 1.

    Attributes:
        field_tables: Stream, or what a group of streams has in common → its fields, for the README.
        default_streams: Those that Meltano selects where the user does not say, which it would do
            with all, whatever the catalog says of `selected-by-default`; none stands for all.
        client: Sends the requests, for CRMs with an HTTP API.
        statuses: How each stream that was begun is doing.
    """

    package_name = "crm-warehouse"
    message_writer_class = Writer
    dynamic_catalog = True
    field_tables: ClassVar[Mapping[str, Iterable[Field]]] = {}
    default_streams: ClassVar[tuple[str, ...]] = ()
    client: Client | None = None

    def __init__(self, **kwargs: Any) -> None:
        self.statuses: dict[str, Status] = {}
        for library in WIRE:
            logging.getLogger(library).setLevel(logging.INFO)
        super().__init__(**kwargs)
        self._state_writer = StatusWriter(self.message_writer, self.statuses)

    @property
    def crm_source(self) -> str:
        """The CRM's name without separators, as sync_history has it."""
        return self.name.removeprefix("tap-").replace("-", "")

    @property
    def start_date(self) -> datetime | None:
        """The setting start_date, in UTC.

        Raises:
            ConfigValidationError: It is not a date.
        """
        value = self.config.get("start_date")
        if not value:
            return None
        try:
            return dates.parse_datetime(value)
        except ValueError:
            raise ConfigValidationError(
                f"Setting start_date is '{value}'; it must be a date, YYYY-MM-DD (UTC).",
                errors=[f"start_date: '{value}' is not a date of the form YYYY-MM-DD"],
            ) from None

    @property
    def look_back(self) -> timedelta:
        """The setting look_back."""
        return timedelta(seconds=self.config.get("look_back") or 0)

    @property
    def api_calls(self) -> int:
        """Requests sent so far."""
        return self.client.calls if self.client else 0

    @property
    def streams(self) -> dict[str, SDKStream]:
        if self._streams is None:
            _ = self.start_date  # refused before the first request
            discovered = list(self.discover_streams())
            self._streams = {stream.name: stream for stream in discovered}
            if len(self._streams) < len(discovered):
                names = Counter(stream.name for stream in discovered)
                raise DiscoveryError(f"Two streams have one name: {names.most_common(1)[0][0]}")
            if self.input_catalog is not None:
                for stream in discovered:
                    stream.apply_catalog(self.input_catalog)
            for name in (self.config.get("field_mappings") or {}).keys() - self._streams.keys():
                self.logger.warning("Setting field_mappings names no stream: %s", name)
        return self._streams

    @property
    def catalog(self) -> Catalog:
        # The schema is what the CRM has now; a given catalog only selects from it. Meltano keeps
        # catalogs, so that one may lack fields that were added since.
        if self._catalog is None:
            self._catalog = self._singer_catalog
        return self._catalog

    def sync_all(self) -> None:  # type: ignore[misc]  # the SDK has no hook after the last stream
        """Read all selected streams.

        Raises:
            StreamsFailed: Some streams could not be read.
        """
        self._miss_streams()
        super().sync_all()
        self._raise_if_failed()

    def run_connection_test(self) -> bool:  # type: ignore[misc]  # it would hide failed streams
        """Read one record of each stream.

        Raises:
            StreamsFailed: Some streams could not be read.
        """
        super().run_connection_test()
        self._raise_if_failed()
        return True

    def _miss_streams(self) -> None:
        """Count as failed what a catalog selects and the CRM does not have, or does not show."""
        for name, entry in (self.input_catalog or {}).items():
            if name not in self.streams and entry.metadata.root.selected:
                error = "it is selected, but not in the account; deselect it or discover again"
                self.statuses[name] = Status(status="failed", error=error)
                self.logger.error("%s %s failed: %s", self.crm_source, name, error)

    def _raise_if_failed(self) -> None:
        failed = [name for name, status in self.statuses.items() if status.status == "failed"]
        if failed:
            raise StreamsFailed(f"{len(failed)} of {len(self.statuses)} streams failed: {failed}")

    @classmethod
    def invoke(cls, **kwargs: Any) -> None:
        with _said_plainly(cls.logger):
            super().invoke(**kwargs)

    @classmethod
    def cb_discover(cls, ctx: click.Context, param: click.Option, value: bool) -> None:  # noqa: FBT001
        with _said_plainly(cls.logger):
            super().cb_discover(ctx, param, value)

    @classmethod
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        with _said_plainly(cls.logger):
            super().cb_test(ctx, param, value)

    def _validate_config(self, **kwargs: Any) -> list[str]:
        """Check the settings; the SDK quotes wrong ones, so secrets among them are masked."""
        try:
            return super()._validate_config(**kwargs)
        except ConfigValidationError as error:
            schema = self.config_jsonschema["properties"]
            secrets = [
                str(value)
                for name, value in self._config.items()
                if schema.get(name, {}).get("secret")
            ]
            message, *errors = (_masked(text, secrets) for text in (str(error), *error.errors))
            raise ConfigValidationError(message, errors=errors, schema=error.schema) from None

    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:  # noqa: ARG002
        # Whatever is half written stays so: the streams under way are still `running` in the last
        # state, which the target takes for failed. Threads that wait for the API end with us.
        self.logger.warning("Stopped by signal %d", signum)
        logging.shutdown()
        os._exit(128 + signum)


@contextmanager
def _said_plainly(logger: logging.Logger) -> Iterator[None]:
    """End with exit code 1 and the sentence of an error that is meant for the user, not a trace."""
    try:
        yield
    except (ConfigurationError, DiscoveryError, SyncError) as error:
        for text in getattr(error, "errors", None) or [error]:
            logger.critical("%s", text)
        raise click.exceptions.Exit(1) from error


def _masked(text: str, secrets: Iterable[str]) -> str:
    for secret in filter(None, secrets):
        text = text.replace(secret, "***")
    return text
