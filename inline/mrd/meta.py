"""Meta attributes of images: names to values, as the XML consoles read.

Written by hand because the reference library costs 0.2 s to import and re-serialises on every access; the tests hold it
against that library. Source: ismrmrd/ismrmrd, include/ismrmrd/meta.h.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeAlias
from xml.sax.saxutils import escape

from inline.mrd.xml import parse

Value: TypeAlias = str | float | int
Meta: TypeAlias = Mapping[str, Value | Sequence[Value]]


def to_xml(meta: Meta) -> str:
    """Write attributes; a sequence becomes several values of one name."""
    parts = ['<?xml version="1.0"?>\n<ismrmrdMeta>\n']
    for name, value in meta.items():
        values = [value] if isinstance(value, str | float | int) else value
        written = "".join(f"<value>{_escaped(item)}</value>" for item in values)
        parts.append(f"<meta><name>{_escaped(name)}</name>{written}</meta>\n")
    parts.append("</ismrmrdMeta>\n")
    return "".join(parts)


def from_xml(xml: str) -> dict[str, str | list[str]]:
    """Read attributes; a name with several values becomes a list.

    Raises
    ------
    ValueError
        If it is not XML that can be taken.
    """
    if not xml.strip():
        return {}
    try:
        root = parse(xml.strip())
    except ValueError as error:
        raise ValueError(f"image meta is {error}") from error
    meta: dict[str, str | list[str]] = {}
    for element in root.iter("meta"):
        values = [value.text or "" for value in element.findall("value")]
        meta[element.findtext("name") or ""] = values[0] if len(values) == 1 else values
    return meta


def _escaped(value: Value) -> str:
    """Escape, and drop characters that XML cannot carry at all."""
    return escape("".join(letter for letter in str(value) if letter >= " " or letter in "\n\t"))
