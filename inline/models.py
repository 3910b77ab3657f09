"""`boreside models`: which networks there are, and whether they are what their manifests say."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from hardware.catalog import Model, find
from hardware.errors import HardwareError

NONE = "no networks are installed: every pipeline uses its classical method"


def folders() -> list[Path]:
    """Return the folders of the package that hold networks."""
    roots = [Path(root) for package in ("recon_models", "qc") for root in _places(package)]
    return [folder for root in roots for folder in sorted(root.rglob("models")) if folder.is_dir()]


def run(what: str, *, as_json: bool, say: Callable[[str], None], where: Iterable[Path] | None = None) -> int:
    """Say what is known about every network.

    Parameters
    ----------
    what
        ``list`` reads the manifests; ``verify`` compares every hash and runs every network once.
    as_json
        Whether to say it as one JSON object.
    say
        Takes one line at a time.
    where
        Folders to look in; those of the package unless given.

    Returns
    -------
    int
        0, or 1 if a network is refused.
    """
    entries = [_entry(one, verify=what == "verify") for one in find(folders() if where is None else where)]
    sound = all(not entry["error"] for entry in entries)
    if as_json:
        say(json.dumps({"ok": sound, "models": entries}))
    else:
        for line in [_line(entry, what) for entry in entries] or [NONE]:
            say(line)
    return 0 if sound else 1


def _entry(found: Model | HardwareError, *, verify: bool) -> dict[str, Any]:
    if isinstance(found, HardwareError):
        return {"error": str(found)}
    manifest = found.manifest.model_dump(mode="json")
    return manifest | {"path": str(found.path), "error": _verify(found) if verify else ""}


def _verify(model: Model) -> str:
    from hardware.engines import load

    try:
        load(model).run(model.manifest.golden())
    except HardwareError as error:
        return str(error)
    return ""


def _line(entry: dict[str, Any], what: str) -> str:
    if entry["error"]:
        return f"refused  {entry['error']}"
    shapes = ", ".join(f"{one['name']} {one['dtype']} {tuple(one['shape'])}" for one in entry["inputs"])
    first = "verified" if what == "verify" else "listed"
    return f"{first:<8}  {entry['id']} {entry['version']}  {entry['precision']}  {shapes}  {entry['sha256'][:12]}"


def _places(package: str) -> list[str]:
    spec = find_spec(package)
    return list(spec.submodule_search_locations or []) if spec else []
