"""What can go wrong while reading a CRM, grouped by what the caller does about it.

SingerSDKError
├── FatalAPIError              ends the stream; the other streams go on
│   ├── AccessDenied           a scope or subscription is missing
│   ├── FileProblem            a file is missing, damaged, or not as described
│   ├── PageLoop               paging repeats itself
│   └── RunEnded               ends the whole run; state is kept
│       ├── Unauthorized       the credentials are wrong
│       └── QuotaExhausted     no more calls today
├── RetriableAPIError          tried again by the client
│   └── RateLimited            tried again when the API says so
└── SkippableAPIError
    └── NotFound               the caller decides whether that is normal
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from singer_sdk.exceptions import (
    ConfigValidationError,
    FatalAPIError,
    FatalSyncError,
    RetriableAPIError,
    SkippableAPIError,
)

if TYPE_CHECKING:
    import requests

__all__ = [
    "AccessDenied",
    "BadRequest",
    "ConfigValidationError",
    "FatalAPIError",
    "FileProblem",
    "NotFound",
    "PageLoop",
    "QuotaExhausted",
    "RateLimited",
    "RetriableAPIError",
    "RunEnded",
    "SkippableAPIError",
    "StreamsFailed",
    "Unauthorized",
]


class AccessDenied(FatalAPIError):
    """The credentials may not read this: a scope, permission or subscription is missing."""


class BadRequest(FatalAPIError):
    """The API does not understand the request, or does not have what it asks for."""


class FileProblem(FatalAPIError):
    """A file is missing, damaged, or not as it was described."""


class PageLoop(FatalAPIError):
    """The API hands out the same page again and again."""


class RunEnded(FatalAPIError):
    """Nothing more can be read in this run, by no stream."""


class Unauthorized(RunEnded):
    """The credentials are not accepted."""


class QuotaExhausted(RunEnded):
    """The API's daily quota is used up; waiting seconds is useless."""


class NotFound(SkippableAPIError):
    """The thing asked for does not exist."""


class RateLimited(RetriableAPIError):
    """The API asks to slow down.

    Attributes:
        wait: Seconds the API asks to wait, or None where it does not say.
    """

    def __init__(
        self, message: str, response: requests.Response | None = None, *, wait: float | None = None
    ) -> None:
        super().__init__(message, response)
        self.wait = wait


class StreamsFailed(FatalSyncError):
    """Some streams could not be read; the others were."""
