"""Charts as SVG that stands in the page itself: its colours and sizes are the style sheet's."""

from __future__ import annotations

import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final
from xml.etree import ElementTree as ET

import pygal
from markupsafe import Markup
from pygal.style import Style

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

__all__ = ["COLOURS", "bars", "lines"]

COLOURS: Final = 8
"""How many series the style sheet tells apart."""
# For its plugins, of which none is used; Python warns of finders of this old kind at every import.
sys.meta_path[:] = [finder for finder in sys.meta_path if type(finder).__module__ != "pygal"]

_LABELS: Final = 5  # along the time axis, as many as a phone has room for


_ROOM: Final = Style(label_font_size=15, major_label_font_size=15)
"""For labels as large as phones show them; the style sheet has their real size."""


def bars(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    written: Callable[[float | None], str],
) -> Markup:
    """Return bars that stand on each other.

    Args:
        title: What the chart shows, for those who do not see it; its table says the rest.
        labels: Of the points of time.
        series: Name → value at each of them.
        written: Writes a value at the axis.
    """
    values = tuple((name, tuple(points)) for name, points in series.items())
    return _drawn("StackedBar", title, tuple(labels), values, written)


def lines(
    title: str,
    labels: Sequence[str],
    series: Mapping[str, Sequence[float | None]],
    written: Callable[[float | None], str],
) -> Markup:
    """Return lines; a None interrupts its line. See `bars`."""
    values = tuple((name, tuple(points)) for name, points in series.items())
    return _drawn("Line", title, tuple(labels), values, written)


@lru_cache(maxsize=512)  # the same is drawn again and again, and drawing is what costs most
def _drawn(
    kind: str,
    title: str,
    labels: tuple[str, ...],
    series: tuple[tuple[str, tuple[float | None, ...]], ...],
    written: Callable[[float | None], str],
) -> Markup:
    # pygal takes points of the same label for one; these are told apart by what nobody sees.
    unlike = [label + "\u200b" * labels[:at].count(label) for at, label in enumerate(labels)]
    chart = getattr(pygal, kind)(
        width=420,
        height=220,
        margin=6,
        spacing=8,
        css=[],
        js=[],
        no_prefix=True,
        allow_interruptions=True,
        show_legend=False,  # the page has one that wraps
        include_x_axis=True,
        value_formatter=written,
        x_labels=unlike,
        x_labels_major_every=-(-len(labels) // _LABELS) or 1,
        show_minor_x_labels=False,
        y_labels_major_count=3,
        truncate_label=-1,
        min_scale=3,
        max_scale=6,
        no_data_text="No data",
        style=_ROOM,
    )
    for name, points in series:
        chart.add(name, points)
    root = chart.render_tree()
    _clean(root)
    root.attrib.pop("id", None)
    root.attrib |= {"role": "img", "aria-label": title}
    # pygal escapes by ElementTree what it is given; see the tests with hostile names.
    return Markup(ET.tostring(root, encoding="unicode"))  # noqa: S704


def _clean(parent: ET.Element) -> None:
    """Take out styles, scripts and what they need; each point keeps its value as a title."""
    for node in list(parent):
        if not isinstance(node.tag, str) or node.tag in {"defs", "title", "desc"}:
            parent.remove(node)  # comments too
        elif "tooltip-overlay" in node.get("class", ""):
            parent.remove(node)
        else:
            notes = {child.get("class"): child.text for child in node if child.tag == "desc"}
            _clean(node)
            for name in ("id", "style"):
                node.attrib.pop(name, None)
            if notes.get("value"):
                title = ET.SubElement(node, "title")
                title.text = f"{notes.get('x_label') or ''}: {notes['value']}"
