"""What the groups of endpoints share: the account, the caller's token, ways to read a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, TypeVar

import msgspec

from crm_sandbox.hubspot.errors import invalid, missing_scopes, unauthenticated

if TYPE_CHECKING:
    from starlette.requests import Request

    from crm_sandbox.auth import Token
    from crm_sandbox.hubspot import HubSpot
    from crm_sandbox.hubspot.account import Account
    from crm_sandbox.hubspot.model import ObjectType

Body = TypeVar("Body")


class Endpoints:
    """A group of endpoints of the HubSpot sandbox."""

    def __init__(self, hubspot: HubSpot) -> None:
        self.hubspot = hubspot

    @property
    def account(self) -> Account:
        """The account as it is now; a reset replaces it."""
        return self.hubspot.account

    def type_of(self, request: Request, name: str = "type") -> ObjectType:
        """Return the object type a path parameter names.

        Raises:
            ApiError: there is no such type, or the token may not read it.
        """
        given = request.path_params[name]
        kind = self.account.find_type(given)
        if kind is None or kind.archived_at is not None:
            raise invalid(
                f"Unable to infer object type from: {given}", "INVALID_OBJECT_TYPE", type=given
            )
        require(request, kind.scope)
        return kind


def token_of(request: Request) -> Token:
    """Return the token the request was admitted with."""
    token: Token = request.state.token
    return token


def require(request: Request, *scopes: str) -> None:
    """Check that the token has one of the scopes.

    Raises:
        ApiError: it has none.
    """
    if not token_of(request).allows(scopes):
        raise missing_scopes(scopes)


def bearer(request: Request) -> str:
    """Return the bearer token of a request.

    Raises:
        ApiError: it has none.
    """
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise unauthenticated()
    return token


async def read_body(request: Request, form: type[Body]) -> Body:
    """Return the JSON body in its form.

    Raises:
        ApiError: it is no JSON or lacks a field.
    """
    try:
        return msgspec.json.decode(await request.body(), type=form)
    except (msgspec.ValidationError, msgspec.DecodeError) as problem:
        raise invalid(f"Invalid input JSON: {problem}", "INVALID_JSON") from problem


def read_limit(request: Request, default: int, most: int) -> int:
    """Return the `limit` parameter.

    Raises:
        ApiError: it is no number or above what the endpoint takes.
    """
    text = request.query_params.get("limit", str(default))
    if not text.isdecimal() or not 1 <= int(text) <= most:
        raise invalid(
            f"limit must be between 1 and {most}, not {text}", "INVALID_LIMIT", limit=text
        )
    return int(text)


def read_after(request: Request) -> int:
    """Return the `after` cursor, 0 for the first page.

    Raises:
        ApiError: it is none the sandbox gave out.
    """
    text = request.query_params.get("after") or "0"
    if not text.isdecimal():
        raise invalid(f"Invalid paging cursor: {text}", "INVALID_AFTER", after=text)
    return int(text)


def flag(request: Request, name: str) -> bool:
    """Return a boolean parameter, false where it is absent."""
    return request.query_params.get(name, "false").lower() == "true"


def names_in(request: Request, name: str) -> tuple[str, ...]:
    """Return a comma list."""
    joined = ",".join(request.query_params.getlist(name))
    return tuple(one for one in joined.split(",") if one)


def next_page(request: Request, after: Any) -> dict[str, Any]:
    """Return the `paging` of an answer that has a further page."""
    link = request.url.include_query_params(after=str(after))
    return {"next": {"after": str(after), "link": str(link)}}
