"""HubSpot's error answers: the bodies of section 3 and 4 of the API sheet."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any
from uuid import uuid4

from crm_sandbox.crm import ApiError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from crm_sandbox.faults import Fault

PERIODS = {
    "SECONDLY": "secondly",
    "TEN_SECONDLY_ROLLING": "ten_secondly_rolling",
    "DAILY": "daily",
}
_HTML = (
    "<html>\r\n<head><title>{0}</title></head>\r\n"
    "<body>\r\n<center><h1>{0}</h1></center>\r\n</body>\r\n</html>\r\n"
)
_MESSAGES = {
    423: "The resource is locked.",
    477: "This account is being migrated between data centers.",
    500: "Internal error.",
    502: "Bad gateway.",
    503: "Service unavailable.",
    504: "Gateway timeout.",
}


def error(
    status: int,
    category: str,
    message: str,
    headers: Mapping[str, str] | None = None,
    **more: Any,
) -> ApiError:
    """Return an error in HubSpot's general form."""
    body = {
        "status": "error",
        "message": message,
        "correlationId": str(uuid4()),
        "category": category,
        **more,
    }
    return ApiError(status, body, headers)


def invalid(message: str, code: str | None = None, **context: str) -> ApiError:
    """Return the error of a request that breaks a rule."""
    if code is None:
        return error(400, "VALIDATION_ERROR", message)
    detail = {"message": message, "code": code, "context": {k: [v] for k, v in context.items()}}
    return error(400, "VALIDATION_ERROR", message, errors=[detail])


def not_found(message: str = "resource not found") -> ApiError:
    """Return the error of a record or type that does not exist."""
    return error(404, "OBJECT_NOT_FOUND", message)


def unauthenticated() -> ApiError:
    """Return the error of a missing, unknown or revoked token."""
    return error(
        401,
        "INVALID_AUTHENTICATION",
        "Authentication credentials not found. This API supports OAuth 2.0 authentication and you "
        "can find more details at https://developers.hubspot.com/docs/methods/auth/oauth-overview",
    )


def expired(category: str) -> ApiError:
    """Return the error of a token that has run out."""
    return error(401, category, "The OAuth token used to make this call expired.")


def missing_scopes(scopes: Iterable[str]) -> ApiError:
    """Return the error of a token that lacks the scopes."""
    detail = {
        "message": "One or more of the following scopes are required.",
        "context": {"requiredGranularScopes": list(scopes)},
    }
    return error(
        403,
        "MISSING_SCOPES",
        "This app hasn't been granted all required scopes to make this call. Read more about "
        "required scopes here: https://developers.hubspot.com/scopes.",
        errors=[detail],
        links={"scopes": "https://developers.hubspot.com/scopes"},
    )


def rate_limited(policy: str, headers: Mapping[str, str] | None = None) -> ApiError:
    """Return the 429 of a policy."""
    body = {
        "status": "error",
        "message": f"You have reached your {PERIODS[policy]} limit.",
        "errorType": "RATE_LIMIT",
        "correlationId": str(uuid4()),
        "policyName": policy,
        "requestId": str(uuid4()),
    }
    return ApiError(429, body, headers)


def uri_too_long() -> ApiError:
    """Return the answer to an address of more than 16,000 characters: HTML from the front end."""
    return _html(414, "414 Request-URI Too Large")


def of_fault(fault: Fault, expired_category: str) -> ApiError:
    """Return the error a fault asks for by status and variant."""
    headers = {} if fault.retry_after is None else {"Retry-After": fault.retry_after}
    if fault.status == 429:  # noqa: PLR2004 - statuses say what they are
        policy = fault.variant if fault.variant in PERIODS else "TEN_SECONDLY_ROLLING"
        answer = rate_limited(policy, headers)
    elif fault.status == 401:  # noqa: PLR2004
        answer = expired(expired_category) if fault.variant == "expired" else unauthenticated()
    elif fault.status == 403:  # noqa: PLR2004
        answer = missing_scopes([fault.variant or "crm.objects.contacts.read"])
    elif fault.status == 404:  # noqa: PLR2004
        answer = not_found()
    elif fault.status == 414:  # noqa: PLR2004
        answer = uri_too_long()
    elif fault.status >= 520 or fault.variant == "html":  # noqa: PLR2004 - the front end's own
        answer = front_end(fault.status)
    else:
        message = _MESSAGES.get(fault.status, "Something went wrong.")
        answer = error(fault.status, fault.variant or "INTERNAL_ERROR", message)
    answer.headers.update(headers)
    return answer


def front_end(status: int) -> ApiError:
    """Return an error of the front end, which is HTML."""
    return _html(status, f"{status} Error")


def _html(status: int, title: str) -> ApiError:
    return ApiError(status, _HTML.format(title).encode(), media_type="text/html")
