"""How the demo shows a diffusion scan: what came back beside the truth, and how FA became better while it ran."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import h5py
import numpy as np
import numpy.typing as npt

from inline import console
from inline.mrd.meta import from_xml
from inline.report import Exhibit, Plate, Remark
from inline.scanner.client import Conversation
from inline.scanner.summary import Summary

Pixels = npt.NDArray[np.float32]

_WINDOWS: Final = {"MD": (0.0, 3.0), "FA": (0.0, 1.0), "HA": (-90.0, 90.0), "E2A": (-90.0, 90.0)}
_SPREADS: Final = {"SD_FA": (0.0, 0.2)}


def dti_exhibit(
    name: str,
    description: str,
    path: Path,
    conversation: Conversation,
    summary: Summary,
    scan_s: float,
    remarks: Sequence[Remark],
) -> Exhibit:
    """Return a diffusion scan as the page shows it.

    Parameters
    ----------
    name, description
        For the reader.
    path
        The scan that was sent, with its truth.
    conversation, summary
        What came back.
    scan_s
        How long the scan took.
    remarks
        What the console heard.
    """
    shown = {
        facts["quantity"]: (arrival, facts) for arrival, facts in zip(conversation.images, summary.images, strict=True)
    }
    if "FA" not in shown:
        return Exhibit(name, description, None, None, "", "", "red", scan_s, float("nan"), remarks)
    pixels = {quantity: console.value(arrival.image)[0, 0] for quantity, (arrival, _) in shown.items()}
    with h5py.File(path) as file:
        truth = {quantity: np.asarray(file[f"truth/{quantity}"][0, 0], np.float32) for quantity in _WINDOWS}
    arrival, facts = shown["FA"]
    meta = from_xml(arrival.image.attributes)
    return Exhibit(
        name,
        description,
        pixels["FA"],
        truth["FA"],
        "FA",
        "1",
        facts["qc"] or "grey",
        scan_s,
        max(one["seconds_from_last_readout_due"] for one in summary.images),
        remarks,
        {
            "Method": f"{facts['method']} ({facts['method_reason']})",
            "Route": summary.route,
            "Readouts": f"{summary.readouts}, {summary.bytes_sent / 1e6:.1f} MB",
            "Error of the tensors": " → ".join(_percent(meta.get("Tensor_error_by_repetition", []))),
        },
        _plates(pixels, truth),
    )


def _percent(errors: str | list[str]) -> list[str]:
    return [f"{float(error):.1%}" for error in ([errors] if isinstance(errors, str) else errors)]


def _plates(pixels: dict[str, Pixels], truth: dict[str, Pixels]) -> list[Plate]:
    """Lay out maps above their truths."""
    found = [quantity for quantity in _WINDOWS if quantity in pixels]
    plates = [Plate(pixels[one], one, _note(_WINDOWS[one]), *_WINDOWS[one]) for one in found]
    plates += [Plate(truth[one], f"Truth, {one}", _note(_WINDOWS[one]), *_WINDOWS[one]) for one in found]
    spreads = {one: window for one, window in _SPREADS.items() if one in pixels}
    return plates + [
        Plate(pixels[one], f"Standard deviation of {one.removeprefix('SD_')}", _note(window), *window, glowing=True)
        for one, window in spreads.items()
    ]


def _note(window: tuple[float, float]) -> str:
    return f"{window[0]:g} to {window[1]:g}"
