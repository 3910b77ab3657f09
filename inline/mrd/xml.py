"""XML as it comes off the wire: headers and meta, from whoever is connected.

The standard library's parser expands what a document defines, and one short definition can stand for gigabytes.
Neither MRD headers nor meta define anything, so a document that does is not read at all.
"""

from __future__ import annotations

from typing import Final
from xml.etree import ElementTree as ET

_LONGEST: Final = 2 << 20
"""Characters: ten times what scanners write, and a second of work at most."""


def parse(xml: str) -> ET.Element:
    """Return the root of a document.

    Raises
    ------
    ValueError
        If it is not well-formed, defines entities, or is longer than a header can be; worded to follow "it is".
    """
    if len(xml) > _LONGEST:
        raise ValueError(f"XML of {len(xml)} characters, more than the limit of {_LONGEST}")
    if "<!ENTITY" in xml:
        raise ValueError("XML that defines entities, which is not accepted: write out what they stand for")
    try:
        return ET.fromstring(xml)
    except ET.ParseError as error:
        raise ValueError(f"not well-formed XML: {error}") from error
