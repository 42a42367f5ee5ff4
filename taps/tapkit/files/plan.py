"""Which files a run has to read, and whether it can tell which rows are gone."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tapkit.errors import FileProblem

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tapkit.files.places import FileInfo, Place

__all__ = ["Plan", "make_plan"]


@dataclass(frozen=True)
class Plan:
    """What a run has to read.

    Attributes:
        files: All that are there, in the order in which they count.
        read: Those of them to read now.
        gone: Names of those that were read before and are not there any more.
        whole: Whether rows that are not read are gone.
    """

    files: Sequence[tuple[Place, FileInfo]]
    read: Sequence[tuple[Place, FileInfo]]
    gone: Sequence[str]
    whole: bool


def make_plan(
    places: Sequence[Place],
    known: Mapping[str, str | None],
    *,
    may_be_empty: bool,
    deletes: bool,
    alone: bool,
    start: str,
) -> Plan:
    """Compare the files that are there with those that were read before.

    Args:
        places: Where they are.
        known: Name → version of what was read before.
        may_be_empty: Whether it is no error that there is no file.
        deletes: Whether rows are to be deleted that are gone.
        alone: Whether each file stands for itself, whatever others hold.
        start: Files that were changed before are left out, where that is known.

    Raises:
        FatalAPIError: A place cannot be reached, or holds no file.
    """
    found = [
        (file.modified or "", number, file.name, place, file)
        for number, place in enumerate(places)
        for file in place.find(known)
    ]
    if not found and not may_be_empty:
        raise FileProblem(f"No file matches {', '.join(place.shown for place in places)}")
    found.sort(key=lambda it: it[:3])
    all_files: dict[str, tuple[Place, FileInfo]] = {}
    for _, _, name, place, file in found:
        if name in all_files and all_files[name][0].variant != place.variant:
            what = "is named by paths that differ behind the question mark; they need streams"
            raise FileProblem(f"{name} {what} of their own")
        all_files[name] = place, file
    gone = [name for name in known if name not in all_files]
    files = [it for it in all_files.values() if not it[1].modified or it[1].modified >= start]
    changed = [
        it for it in files if it[1].version is None or known.get(it[1].name) != it[1].version
    ]
    if alone:
        read = changed
    elif deletes and (gone or any(file.name in known for _, file in changed)):
        read = files
    else:
        read = files[files.index(changed[0]) :] if changed else []
    return Plan(files, read, gone, deletes and len(read) == len(files) and bool(files or gone))
