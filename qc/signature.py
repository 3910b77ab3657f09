"""The signature of a limits file: a digest of what it says, written beside it.

It shows that a calibrated limit was changed afterwards, by whatever accident. It keeps nobody out: whoever means to
deceive can sign anew. A file without a signature was written by hand and is taken as it is.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from typing import Any, Final

SECTION: Final = "signature"


def digest(content: Mapping[str, Any]) -> str:
    """Return the SHA-256 of everything but the signature itself: as JSON with sorted keys and no spaces.

    Comments, white space and the order of a TOML file make no difference; values and names do.
    """
    own = {name: value for name, value in content.items() if name != SECTION}
    return hashlib.sha256(json.dumps(own, sort_keys=True, separators=(",", ":"), default=str).encode()).hexdigest()


def fault(content: Mapping[str, Any]) -> str:
    """Return what is wrong with the signature of a limits file; nothing if it holds or there is none."""
    if SECTION not in content:
        return ""
    signature = content[SECTION]
    said = signature.get("sha256") if isinstance(signature, Mapping) else None
    found = digest(content)
    if said == found:
        return ""
    return (
        f"it was changed after it was signed: its content has the SHA-256 {found}, the signature says {said}. Restore "
        f"the file, calibrate again, or take the section [{SECTION}] out if the limits are now set by hand"
    )
