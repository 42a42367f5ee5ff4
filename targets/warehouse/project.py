"""What a project's meltano.yml says, and the files that it includes."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from warehouse.errors import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["documents", "environment_name", "loader_settings", "plugins"]

_LOADER: Final = "target-warehouse"
_VARIABLE: Final = re.compile(r"\$(?:\{(\w+)\}|(\w+))")


def documents(project: Path) -> Iterator[Mapping[str, Any]]:
    """Yield meltano.yml, and what its include_paths name.

    Raises:
        Refusal: The folder is no Meltano project, or a file cannot be read.
    """
    main = _document(project / "meltano.yml")
    yield main
    for pattern in main.get("include_paths") or ():
        for path in sorted(project.glob(pattern)):
            if path != project / "meltano.yml":
                yield _document(path)


def environment_name(project: Path, variables: Mapping[str, str]) -> str | None:
    """Return the Meltano environment in use, if one is.

    Raises:
        Refusal: See `documents`.
    """
    if name := variables.get("MELTANO_ENVIRONMENT"):
        return name
    found = next(documents(project)).get("default_environment")
    return str(found) if found else None


def plugins(
    project: Path, kind: str, name: str, environment: str | None
) -> Iterator[Mapping[str, Any]]:
    """Yield what meltano.yml says of a plugin, and then what one of its environments does.

    Raises:
        Refusal: See `documents`.
    """
    found = list(documents(project))
    places = [document.get("plugins") for document in found]
    places += [
        (one.get("config") or {}).get("plugins")
        for document in found
        for one in document.get("environments") or ()
        if one["name"] == environment
    ]
    for place in places:
        for plugin in (place or {}).get(kind) or ():
            if plugin["name"] == name:
                yield plugin


def loader_settings(project: Path, variables: Mapping[str, str]) -> dict[str, Any]:
    """Return the settings of target-warehouse in meltano.yml; none outside of a project.

    Args:
        project: The project's folder.
        variables: What the values' $NAME and ${NAME} stand for.

    Raises:
        Refusal: See `documents`.
    """
    if not (project / "meltano.yml").exists():
        return {}
    environment = environment_name(project, variables)
    settings: dict[str, Any] = {}
    for plugin in plugins(project, "loaders", _LOADER, environment):
        settings |= plugin.get("config") or {}

    def expanded(value: Any) -> Any:
        if not isinstance(value, str):
            return value
        return _VARIABLE.sub(lambda found: variables.get(found[1] or found[2], ""), value)

    values = {name: expanded(value) for name, value in settings.items()}
    return {name: value for name, value in values.items() if value is not None and value != ""}


def _document(path: Path) -> Mapping[str, Any]:
    try:
        return YAML(typ="safe", pure=True).load(path.read_text(encoding="utf-8")) or {}
    except FileNotFoundError:
        raise Refusal(
            f"{path.parent} is no Meltano project: it has no meltano.yml. Go to the project's"
            " folder, or name it in the variable MELTANO_PROJECT_ROOT."
        ) from None
    except (OSError, UnicodeError, YAMLError) as error:
        raise Refusal(f"{path} cannot be read: {type(error).__name__}.") from None
