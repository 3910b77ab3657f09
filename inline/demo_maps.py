"""How the demo shows a map: some of its source images, the map, how exactly it is known, and the truth."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
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
    image, facts = min(found, key=lambda one: _series(one[0]))
    quantity = str(facts["quantity"])
    number = int(image.header["slice"])
    with h5py.File(path) as file:
        mapped = [name for name in MAPS if any(one["quantity"] == name for _, one in found)]
        truths = {name: np.asarray(file[f"truth/{name}"][number, 0], np.float32) for name in mapped}
    return Exhibit(
        name,
        description,
        console.value(image)[0, 0],
        truths[quantity],
        quantity,
        str(facts["unit"]),
        str(facts["qc"] or "grey"),
        scan_s,
        float(facts["seconds_from_last_readout_due"]),
        remarks,
        _facts(image, facts, summary),
        _plates([one for one in images if int(one[0].header["slice"]) == number], truths),
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


def _plates(images: Sequence[tuple[Image, dict[str, Any]]], truths: Mapping[str, Pixels]) -> list[Plate]:
    """Lay out sources, then of each quantity its maps as they came, its uncertainty and the truth."""
    pixels = [console.value(image)[0, 0] for image, _ in images]
    taken = [n for n, (_, facts) in enumerate(images) if facts["quantity"] == "magnitude"]
    first = min((_series(images[n][0]) for n in taken), default=0)  # those that were moved are a series of their own
    sources = [n for n in taken if _series(images[n][0]) == first]
    white = max((float(np.quantile(pixels[n], 0.995)) for n in sources), default=1.0)
    some = [sources[round(at)] for at in np.linspace(0, len(sources) - 1, min(_SOURCES, len(sources)))]
    plates = [
        Plate(pixels[n], "Source image", _time(dict(from_xml(images[n][0].attributes))), 0.0, white) for n in some
    ]
    tissue: Any = np.max([pixels[n] for n in sources], axis=0) > _TISSUE * white if sources else 1
    for quantity, truth in truths.items():
        for name, caption in ((quantity, f"{quantity} map"), (f"SD_{quantity}", "Standard deviation")):
            for values, (_, facts) in zip(pixels, images, strict=True):
                if facts["quantity"] == name:
                    plates.append(_shown(values * tissue, name, caption, _arrived(facts)))
        plates.append(_shown(truth, quantity, f"{quantity}, truth"))
    return plates


def _series(image: Image) -> int:
    return int(image.header["image_series_index"])


def _arrived(facts: Mapping[str, Any]) -> str:
    seconds = float(facts["seconds_from_last_readout_due"])
    return f"; {seconds:.2f} s after the last readout" if seconds >= 0 else "; while the scan ran"


def _shown(pixels: Pixels, quantity: str, caption: str, further: str = "") -> Plate:
    look = LOOKS[quantity]
    dark, bright = max(look.center - look.width / 2, 0.0), look.center + look.width / 2
    return Plate(pixels, caption, f"{dark:.0f} to {bright:.0f} {look.unit}{further}", dark, bright, glowing=True)


def _time(meta: Mapping[str, Any]) -> str:
    for name, words in (("InversionTime", "after inversion"), ("EchoTime", "echo time")):
        if name in meta:
            return f"{float(str(meta[name])):.0f} ms {words}"
    return ""
