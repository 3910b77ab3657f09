"""How the demo shows a map: some of its source images, the map, how exactly it is known, and the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from inline import console
from inline.mrd.messages import Image
from inline.mrd.meta import from_xml
from inline.report import Exhibit, Plate, Remark
from inline.scanner.client import Conversation
from inline.scanner.summary import Summary
from inline.stages.map_images import LOOKS

Pixels = npt.NDArray[np.float32]

MAPS: Final = ("T1", "T2", "T2star", "ECV")
_SOURCES: Final = 3
_TISSUE: Final = 0.1  # of the brightest source


def map_exhibit(
    name: str,
    description: str,
    path: Path,
    conversation: Conversation,
    summary: Summary,
    scan_s: float,
    remarks: Sequence[Remark],
) -> Exhibit | None:
    """Return a map as the page shows it; None if no map came back.

    Parameters are those of `inline.demo_ct.ct_exhibit`.
    """
    images = [(arrival.image, facts) for arrival, facts in zip(conversation.images, summary.images, strict=True)]
    found = [(image, facts) for image, facts in images if facts["quantity"] in MAPS]
    if not found:
        return None
    image, facts = found[-1]
    quantity = str(facts["quantity"])
    number = int(image.header["slice"])
    with h5py.File(path) as file:
        truth = np.asarray(file[f"truth/{quantity}"][number, 0], np.float32)
    return Exhibit(
        name,
        description,
        console.value(image)[0, 0],
        truth,
        quantity,
        str(facts["unit"]),
        str(facts["qc"] or "grey"),
        scan_s,
        float(facts["seconds_from_last_readout_due"]),
        remarks,
        _facts(image, facts, summary),
        _plates([one for one, _ in images if int(one.header["slice"]) == number], quantity, truth),
    )


def _facts(image: Image, facts: dict[str, Any], summary: Summary) -> dict[str, str]:
    meta = from_xml(image.attributes)
    found = {
        "Method": f"{facts['method']} ({facts['method_reason']})",
        "Route": summary.route,
        "Readouts": f"{summary.readouts}, {summary.bytes_sent / 1e6:.1f} MB",
    }
    if "Displacement_mm" in meta:
        left = f"{100 * float(str(meta['Motion_gain'])):.0f} %"
        found["Motion"] = f"up to {meta['Displacement_mm']} mm; {left} of the residual is left after correction"
    return found


def _plates(images: Sequence[Image], quantity: str, truth: Pixels) -> list[Plate]:
    """Lay out sources, map, uncertainty and truth."""
    by_name: dict[str, list[tuple[Pixels, dict[str, Any]]]] = {}
    for image in images:
        meta = dict(from_xml(image.attributes))
        by_name.setdefault(str(meta["Quantity"]), []).append((console.value(image)[0, 0], meta))
    sources = by_name.get("magnitude", [])
    white = max((float(np.quantile(pixels, 0.995)) for pixels, _ in sources), default=1.0)
    some = [sources[round(at)] for at in np.linspace(0, len(sources) - 1, min(_SOURCES, len(sources)))]
    plates = [Plate(pixels, "Source image", _time(meta), 0.0, white) for pixels, meta in some]
    tissue = np.max([pixels for pixels, _ in sources], axis=0) > _TISSUE * white if sources else np.ones_like(truth)
    for name, caption in ((quantity, f"{quantity} map"), (f"SD_{quantity}", "Standard deviation")):
        for pixels, _ in by_name.get(name, [])[-1:]:
            plates.append(_shown(pixels * tissue, name, caption))
    plates.append(_shown(truth, quantity, "Truth"))
    return plates


def _shown(pixels: Pixels, quantity: str, caption: str) -> Plate:
    look = LOOKS[quantity]
    dark, bright = max(look.center - look.width / 2, 0.0), look.center + look.width / 2
    return Plate(pixels, caption, f"{dark:.0f} to {bright:.0f} {look.unit}", dark, bright, glowing=True)


def _time(meta: dict[str, Any]) -> str:
    for name, words in (("InversionTime", "after inversion"), ("EchoTime", "echo time")):
        if name in meta:
            return f"{float(str(meta[name])):.0f} ms {words}"
    return ""
