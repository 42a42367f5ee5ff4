"""The database: Athena, or whatever SQLAlchemy reaches; its tables, and what its errors mean."""

from __future__ import annotations

import logging
import re
from contextlib import contextmanager
from datetime import datetime
from functools import cached_property
from importlib import import_module
from typing import TYPE_CHECKING, Any

from sqlalchemy import URL, inspect, types
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, NoSuchModuleError, SQLAlchemyError
from sqlalchemy.pool import NullPool, Pool, StaticPool
from tapkit.errors import (
    AccessDenied,
    ConfigValidationError,
    FatalAPIError,
    RetriableAPIError,
    Unauthorized,
)
from tapkit.sources import open_source

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from sqlalchemy import Engine, Select

__all__ = ["Database", "Row", "TypeMismatch"]

Row = dict[str, Any]

TRIES = 4
CHUNK = 1000
"""Rows in memory at once; Athena gives no more in one answer."""
REFUSED = r"UnrecognizedClient|InvalidSignature|InvalidClientToken|ExpiredToken|security token|"
REFUSED += r"Unable to locate credentials|NoCredentials|password authentication"
FORBIDDEN = r"AccessDenied|not authorized|permission denied|Insufficient permissions"
PASSING = r"Throttling|TooManyRequests|EndpointConnection|ConnectTimeout|ReadTimeout|"
PASSING += r"InternalServer|ServiceUnavailable|GENERIC_INTERNAL_ERROR|could not connect"

logger = logging.getLogger(__name__)
logging.getLogger("pyathena").setLevel(logging.CRITICAL)  # what it meets is raised, and said here


class TypeMismatch(FatalAPIError):
    """The database does not compare a column with a value of another type."""


class Database:
    """A database with SalesPro's tables.

    Args:
        config: The tap's settings.

    Attributes:
        calls: Queries sent so far.
    """

    def __init__(self, config: Mapping[str, Any]) -> None:
        self.calls = 0
        try:
            if config.get("sqlalchemy_url"):
                self._engine = _engine(make_url(config["sqlalchemy_url"]), NullPool)
            else:
                # There is no connection to lose, and the AWS library takes long to make its client.
                self._engine = _engine(athena_url(config), StaticPool, **_patience())
        except (ArgumentError, NoSuchModuleError, ImportError) as error:
            what = (
                f"The database cannot be opened ({type(error).__name__}). Check sqlalchemy_url; "
                "Athena needs the extra: install crm-warehouse[athena]."
            )
            raise ConfigValidationError(what, errors=[what]) from None
        self._schema = config.get("schema")
        self.is_athena = self._engine.dialect.name == "awsathena"
        self.keeps_moments_as_text = self._engine.dialect.name == "sqlite"

    @property
    def schema(self) -> str | None:
        """The tables' schema, where it is not the connection's own."""
        return self._schema

    @cached_property
    def tables(self) -> dict[str, dict[str, types.TypeEngine[Any]]] | None:
        """Table → column → type, lower case; None where the database does not tell."""
        try:
            with self._translated():
                inspector = inspect(self._engine)
                names = [
                    *inspector.get_table_names(self._schema),
                    *inspector.get_view_names(self._schema),
                ]
                return {
                    name.lower(): {
                        column["name"].lower(): column["type"]
                        for column in inspector.get_columns(name, self._schema)
                    }
                    for name in names
                }
        except FatalAPIError as error:
            if isinstance(error, Unauthorized) or not self.is_athena:
                raise
            logger.info("The catalog cannot be read, so tables are taken as documented: %s", error)
            return None

    def stream(self, statement: Select[Any]) -> Iterator[list[Row]]:
        """The rows of a query, some at a time; names are lower case.

        Raises:
            FatalAPIError: The database refuses the query.
            RetriableAPIError: It cannot be reached.
        """
        self.calls += 1
        with self._translated(), self._engine.connect() as connection:
            options = {"stream_results": True, "max_row_buffer": CHUNK}
            with connection.execute(statement, execution_options=options) as result:
                names = list(map(str.lower, result.keys()))
                for rows in result.partitions(CHUNK):
                    yield [dict(zip(names, row, strict=True)) for row in rows]

    @contextmanager
    def _translated(self) -> Iterator[None]:
        """Turn the driver's errors into ours; the statement and its values stay out."""
        try:
            yield
        except (SQLAlchemyError, OSError) as error:
            raise self._meaning(error) from None
        except Exception as error:
            if not type(error).__module__.startswith(("pyathena", "botocore")):
                raise
            raise self._meaning(error) from None

    def _meaning(self, error: Exception) -> Exception:
        orig = error.orig if isinstance(error, DBAPIError) and error.orig else error
        said = str(orig).strip().partition("\n")[0][:300]
        what = f"The database says: {said}"
        if re.search(REFUSED, said):
            return Unauthorized(f"{what}. Check the credentials in the settings.")
        if re.search(FORBIDDEN, said):
            needs = ". Athena needs rights on Athena, Glue (glue:GetDatabase, …) and the S3 place"
            return AccessDenied(what + needs * self.is_athena)
        if "TYPE_MISMATCH" in said:
            return TypeMismatch(what)
        if re.search(PASSING, said) or isinstance(error, OSError):
            return RetriableAPIError(what)
        return FatalAPIError(what)


def _engine(url: URL, pool: type[Pool], **connect_args: Any) -> Engine:
    engine: Engine = open_source(
        "database", url, poolclass=pool, hide_parameters=True, connect_args=connect_args
    )
    return engine


def _patience() -> dict[str, Any]:
    """How often the AWS library tries a call that fails for a passing reason."""
    config = import_module("botocore.config").Config
    return {"config": config(retries={"mode": "standard", "total_max_attempts": TRIES})}


def athena_url(config: Mapping[str, Any]) -> URL:
    """The address of Athena, of the settings.

    Raises:
        ConfigValidationError: A setting that is needed is missing or wrong.
    """
    place = config.get("s3_output_location") or ""
    if not config.get("database"):
        what = "Settings database and s3_output_location are needed, or sqlalchemy_url."
        raise ConfigValidationError(what, errors=[what])
    if not (place.startswith("s3://") and place.endswith("/")):
        what = f"Setting s3_output_location is '{place}'; it must begin with s3:// and end in /."
        raise ConfigValidationError(what, errors=[what])
    query = {
        "s3_staging_dir": place,
        "work_group": config["workgroup"],
        "poll_interval": str(config["poll_interval"]),
        "endpoint_url": config.get("aws_endpoint_url"),
        "aws_session_token": config.get("aws_session_token"),
    }
    return URL.create(
        "awsathena+rest",
        username=config.get("aws_access_key_id") or None,
        password=config.get("aws_secret_access_key") or None,
        host=f"athena.{config['aws_region']}.amazonaws.com",
        port=443,
        database=config["database"],
        query={name: value for name, value in query.items() if value},
    )


def is_text(kind: types.TypeEngine[Any] | None) -> bool:
    """Whether a column of a type compares as text."""
    return kind is None or isinstance(kind, (types.String, types.NullType))


def is_moment(kind: types.TypeEngine[Any] | None) -> bool:
    """Whether a column of a type holds moments."""
    return kind is not None and kind.python_type is datetime if _has_python_type(kind) else False


def _has_python_type(kind: types.TypeEngine[Any] | None) -> bool:
    try:
        return kind is not None and kind.python_type is not None
    except NotImplementedError:
        return False
