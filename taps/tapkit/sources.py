"""Opens what a tap reads from by its kind: an API, a database, files.

The modules are imported when they are asked for: a tap of an API needs no database driver.
"""

from __future__ import annotations

from pkgutil import resolve_name
from typing import Any, Final

from tapkit.errors import ConfigValidationError

__all__ = ["KINDS", "open_source"]

KINDS: Final = {
    "api": "tapkit.client:Client",
    "database": "sqlalchemy:create_engine",
    "file": "tapkit.files.places:Files",
}
"""Kind → what opens a source of it; a further kind is a further line."""


def open_source(kind: str, *args: Any, **kwargs: Any) -> Any:
    """Open a source.

    Args:
        kind: One of `KINDS`.
        args: What that kind needs to know.
        kwargs: Likewise.

    Raises:
        ConfigValidationError: There is no such kind.
    """
    if kind not in KINDS:
        what = f"'{kind}' is no kind of source; known are {', '.join(KINDS)}."
        raise ConfigValidationError(what, errors=[what])
    return resolve_name(KINDS[kind])(*args, **kwargs)
