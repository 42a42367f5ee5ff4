"""The CRMs of a Meltano project: its extractors, their settings, and their streams."""

from __future__ import annotations

from importlib.metadata import entry_points
from typing import TYPE_CHECKING, Any

from ruamel.yaml import YAML
from ruamel.yaml.error import YAMLError

from warehouse.command import Refusal

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["crm_source", "crms", "known_streams", "tap_of", "tap_settings", "written"]


def crm_source(tap: str) -> str:
    """Return a CRM's name as sync_history has it, from its tap's: `tap-hub-spot` is hubspot."""
    return "".join(filter(str.isalnum, tap.lower().removeprefix("tap-")))[:50]


def crms(project: Path) -> dict[str, str]:
    """Return crm_source → tap name, for the extractors of the project's meltano.yml, by name.

    Raises:
        Refusal: The folder is no Meltano project, or its meltano.yml cannot be read.
    """
    names = (
        one["name"]
        for document in _documents(project)
        for one in ((document.get("plugins") or {}).get("extractors") or ())
    )
    return {crm_source(name): name for name in sorted(names)}


def tap_of(project: Path, crm: str) -> str:
    """Return the tap that reads a CRM.

    Raises:
        Refusal: The project has none.
    """
    found = crms(project)
    if crm not in found:
        raise Refusal(f"There is no CRM {crm} in meltano.yml; there are: {', '.join(found)}.")
    return found[crm]


def tap_settings(tap: str) -> Mapping[str, Mapping[str, Any]]:
    """Return setting → its JSON schema; none for taps that are not of this distribution."""
    schema: Mapping[str, Any] = getattr(_class(tap), "config_jsonschema", {})
    return dict(schema.get("properties", {}))


def known_streams(tap: str) -> list[str]:
    """Return the streams a tap says it has without asking the CRM, which may have more."""
    found = _class(tap)
    names = {*getattr(found, "default_streams", ()), *getattr(found, "field_tables", ())}
    return sorted(name for name in names if name.isidentifier())  # others stand for several


def written(project: Path, tap: str, environment: str | None = None) -> dict[str, Any]:
    """Return a tap's settings in meltano.yml, those of the environment above the others.

    Raises:
        Refusal: See `crms`.
    """
    documents = list(_documents(project))
    places = [document.get("plugins") for document in documents]
    places += [
        (one.get("config") or {}).get("plugins")
        for document in documents
        for one in document.get("environments") or ()
        if one["name"] == environment
    ]
    return {
        name: value
        for place in places
        for plugin in (place or {}).get("extractors") or ()
        if plugin["name"] == tap
        for name, value in (plugin.get("config") or {}).items()
    }


def _class(tap: str) -> Any:
    found = entry_points(group="crm_warehouse.taps", name=tap)
    return next(iter(found)).load() if found else None


def _documents(project: Path) -> Iterator[Mapping[str, Any]]:
    """Yield meltano.yml, and what its include_paths name."""
    main = _document(project / "meltano.yml")
    yield main
    for pattern in main.get("include_paths") or ():
        for path in sorted(project.glob(pattern)):
            if path.name != "meltano.yml" or path.parent != project:
                yield _document(path)


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
