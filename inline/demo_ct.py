"""How the demo shows a CT scan: its projections, the preview that grows, and what came back, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from inline import console
from inline.mrd.messages import Acquisition
from inline.report import Exhibit, Plate, Remark
from inline.scanner.client import Conversation
from inline.scanner.recording import Recording
from inline.scanner.summary import Summary
from inline.stages.ct_images import CLASSICAL, DEEP, PREVIEW, SOFT_TISSUE

Pixels = npt.NDArray[np.float32]

_DARK: Final = float(SOFT_TISSUE["WindowCenter"] - SOFT_TISSUE["WindowWidth"] / 2)
_BRIGHT: Final = float(SOFT_TISSUE["WindowCenter"] + SOFT_TISSUE["WindowWidth"] / 2)
_WINDOW: Final = f"{_DARK:.0f} to {_BRIGHT:.0f} HU"
_FULL_ERROR: Final = 200.0
_AIR: Final = 1000.0  # less than water; the page's error is relative to the attenuation, not to a number that may be 0
_QUARTERS: Final = ("a quarter", "half", "three quarters")


def ct_exhibit(
    name: str,
    description: str,
    path: Path,
    conversation: Conversation,
    summary: Summary,
    scan_s: float,
    remarks: Sequence[Remark],
) -> Exhibit:
    """Return a CT scan as the page shows it.

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
    kinds = [int(arrival.image.header["image_series_index"]) for arrival in conversation.images]
    shown = {kind: console.value(arrival.image)[0, 0] for kind, arrival in zip(kinds, conversation.images, strict=True)}
    facts = dict(zip(kinds, summary.images, strict=True))
    if CLASSICAL not in shown:
        return Exhibit(name, description, None, None, "", "", "red", scan_s, float("nan"), remarks)
    previews = [console.value(a.image)[0, 0] for k, a in zip(kinds, conversation.images, strict=True) if k == PREVIEW]
    with h5py.File(path) as file:
        truth = np.asarray(file["truth/CT"][0, 0], np.float32)
    classical = facts[CLASSICAL]
    return Exhibit(
        name,
        description,
        shown[CLASSICAL] + np.float32(_AIR),
        truth + np.float32(_AIR),
        "CT",
        "HU",
        classical["qc"] or "grey",
        scan_s,
        classical["seconds_from_last_readout_due"],
        remarks,
        _facts(facts, summary),
        _plates(_projections(path, truth.shape), previews, shown, facts, truth),
    )


def _facts(facts: dict[int, dict[str, Any]], summary: Summary) -> dict[str, str]:
    found = {
        "Method": f"{facts[CLASSICAL]['method']} ({facts[CLASSICAL]['method_reason']})",
        "Route": summary.route,
        "Readouts": f"{summary.readouts} views, {summary.bytes_sent / 1e6:.1f} MB",
    }
    if DEEP in facts:
        deep = facts[DEEP]
        wait_s = deep["seconds_from_last_readout_due"]
        found["Deep image"] = f"{deep['method']} ({deep['method_reason']}), {wait_s:.2f} s after the last view was due"
    return found


def _plates(
    sinogram: Pixels, previews: list[Pixels], shown: dict[int, Pixels], facts: dict[int, dict[str, Any]], truth: Pixels
) -> list[Plate]:
    """Lay out the way from projections to images, and below it truth and errors."""
    plates = [Plate(sinogram, "Projections", "a line for each view", 0.0, float(sinogram.max()))]
    plates += [
        Plate(preview, f"After {quarters} of a turn", _WINDOW, _DARK, _BRIGHT)
        for preview, quarters in zip(previews, _QUARTERS, strict=False)
    ]
    results = [(shown[CLASSICAL], "Filtered backprojection")]
    if DEEP in shown:
        results.append((shown[DEEP], f"Deep image: {facts[DEEP]['method']}"))
    plates += [Plate(pixels, caption, _WINDOW, _DARK, _BRIGHT) for pixels, caption in results]
    plates.append(Plate(truth, "Truth", _WINDOW, _DARK, _BRIGHT))
    for pixels, caption in results:
        error = np.abs(pixels - truth)
        rms = float(np.sqrt(np.mean(error[truth > -_AIR / 2] ** 2)))
        note = f"RMS over the body {rms:.0f} HU, brightest at {_FULL_ERROR:.0f} HU"
        plates.append(Plate(error, f"{caption.partition(':')[0]}, difference", note, 0.0, _FULL_ERROR, glowing=True))
    return plates


def _projections(path: Path, shape: tuple[int, ...]) -> Pixels:
    """Return the views of a scan as lines of a picture of some shape."""
    with Recording(path) as recording:
        rows = [item.data[0].real for item in recording.items() if isinstance(item, Acquisition)]
    views = np.stack(rows)
    across, down = (
        np.linspace(0, size - 1, wanted).astype(int) for size, wanted in zip(views.shape, shape, strict=True)
    )
    return np.asarray(views[np.ix_(across, down)], np.float32)
