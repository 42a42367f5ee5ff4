"""What can go wrong, grouped by what follows from it.

    TargetError             the run fails, with a sentence for the user
    ├── TableConflictError  something in the database must be changed by hand first
    ├── TableBusyError      another run loads the table
    ├── TooManyRejectsError more refused records than `max_rejects`
    ├── BadInputError       the input is not a Singer stream
    └── DatabaseError       Postgres refused for a reason that is no record's fault

`is_record_fault`: the record goes to ``sync_rejects``, the run goes on.
`is_passing`: the batch is tried again.
"""

from __future__ import annotations

import re
from typing import Final

import psycopg2
import psycopg2.errors

__all__ = [
    "BadInputError",
    "DatabaseError",
    "TableBusyError",
    "TableConflictError",
    "TargetError",
    "TerminatedError",
    "TooManyRejectsError",
    "is_passing",
    "is_record_fault",
]

_DATA_EXCEPTION: Final = "22"
_INTEGRITY: Final = "23"
_TOO_LARGE: Final = "54"  # a value too long for an index or too deep
_RAISED: Final = "P0"  # by somebody's trigger
_CONNECTION: Final = "08"
_NO_RIGHT: Final = "42501"
_MISSING_RIGHT: Final = (
    ". The role that sqlalchemy_url or the setting user names needs this right, or a schema of its"
    " own in history_schema and default_target_schema; the README says what it needs."
)
# The server's messages are not always in English; then its own words have to do.
_SIGNS: Final = (
    (r"SSL|certificate|private key|TLS", "sslmode, sslrootcert, sslcert and sslkey"),
    (r"pg_hba\.conf", "user, database and sslmode"),
    (r"database \S+ does not exist|for database|too many connections", "database and user"),
    (r"assword|authentication|role \S+ |no PostgreSQL user name", "user and password"),
    (r"translate host|refused|timeout|No route|unreachable|No such file", "host and port"),
)
_PASSING: Final = frozenset(
    {
        "40001",  # serialization failure
        "40P01",  # deadlock
        "55P03",  # lock not available
        "57P01",  # admin shutdown
        "57P02",  # crash shutdown
        "57P03",  # cannot connect now
        "57P05",  # idle session timeout
        "25P03",  # idle in transaction timeout
    }
)


class TargetError(Exception):
    """The run fails; the message is for the user and has no record in it."""


class TableConflictError(TargetError):
    """Something in the database must be changed by hand first."""


class TableBusyError(TargetError):
    """Another run loads the table."""


class TooManyRejectsError(TargetError):
    """More records were refused than `max_rejects` allows."""


class BadInputError(TargetError):
    """The input is not a Singer stream."""


class DatabaseError(TargetError):
    """Postgres refused for a reason that is no record's fault."""

    @classmethod
    def from_driver(cls, error: psycopg2.Error) -> DatabaseError:
        """Wrap an error of the driver without the values its message may quote."""
        if not error.pgcode:
            reason = " ".join(str(error).strip().split("\n")[0].split())
            return cls(f"Postgres: {reason}{_advice(reason)}")
        reason = type(error).__name__
        if not is_record_fault(error):
            reason = error.diag.message_primary or reason
        right = _MISSING_RIGHT if error.pgcode == _NO_RIGHT else ""
        return cls(f"Postgres: {reason} ({error.pgcode}){right}")


def _advice(reason: str) -> str:
    """Return which settings to look at, where a server refuses the connection."""
    named = next((names for sign, names in _SIGNS if re.search(sign, reason)), "")
    return f". Check {named}, in sqlalchemy_url or as settings of their own." if named else ""


class TerminatedError(SystemExit):
    """SIGTERM or SIGINT; leaves the process with the signal's exit code."""

    def __init__(self, signum: int) -> None:
        """Take the signal's number."""
        super().__init__(128 + signum)
        self.signum = signum

    def __str__(self) -> str:
        return f"Terminated by signal {self.signum}"


def is_record_fault(error: psycopg2.Error) -> bool:
    """Tell whether one record's value is the reason."""
    return (error.pgcode or "")[:2] in {_DATA_EXCEPTION, _INTEGRITY, _TOO_LARGE, _RAISED}


def is_passing(error: BaseException) -> bool:
    """Tell whether trying the same again can help."""
    if not isinstance(error, (psycopg2.OperationalError, psycopg2.InterfaceError)):
        return isinstance(error, psycopg2.Error) and error.pgcode in _PASSING
    return not error.pgcode or error.pgcode[:2] == _CONNECTION or error.pgcode in _PASSING
