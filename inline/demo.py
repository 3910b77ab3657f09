"""`boreside demo`: a node, a simulated scanner and what comes back, without any hardware.

A later pipeline shows itself by one more line in `SCENES`.
"""

from __future__ import annotations

import platform
import tempfile
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import h5py
import numpy as np
import numpy.typing as npt

from hardware.threads import cores
from inline import console
from inline.demo_ct import ct_exhibit
from inline.demo_dti import dti_exhibit
from inline.demo_maps import map_exhibit
from inline.mrd.messages import Acquisition, Close, Image, Message
from inline.own_node import own_node
from inline.report import Exhibit, Remark, render
from inline.scanner.client import Address, Conversation, converse, natural_route, scan_messages, send
from inline.scanner.recording import Recording, due_times
from inline.scanner.simulate import simulate
from inline.scanner.summary import Summary, summarise
from recon_models.physics.motion import Motion


@dataclass(frozen=True, slots=True)
class Scene:
    """One simulated scan.

    Attributes
    ----------
    name, description
        For the reader of the report.
    kind, options
        What `simulate` is asked for.
    ends_after
        Fraction of the readouts after which the scanner is stopped.
    """

    name: str
    description: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    ends_after: float = 1.0


SCENES: Final = (
    Scene(
        "Head, every line measured",
        "One slice of 256 × 256, 16 coils, a line every 3 ms; the noise of the coils is measured first.",
        "cartesian",
    ),
    Scene(
        "Head, every second line measured",
        "As above in 60 % of the time: the missing lines are filled from what the coils know of each other (GRAPPA).",
        "cartesian",
        {"acceleration": 2},
    ),
    Scene(
        "Head, three coils",
        "Few coils, every line measured.",
        "cartesian",
        {"coils": 3},
    ),
    Scene(
        "Echo-planar imaging",
        "A whole slice of 96 × 96 after each excitation, read back and forth, repeated.",
        "epi",
        {"repetitions": 4, "tr_s": 0.5},
    ),
    Scene(
        "Live view of the heart",
        "Spokes at golden angles, one every 3 ms; each image is made of the latest 34, a new one comes every 17.",
        "radial",
        {"coils": 8, "acceleration": 12, "repetitions": 24},
    ),
    Scene(
        "Head that moves",
        "The head shifts by 3 mm when 60 % of the lines are measured; the console hears of it while the scan runs.",
        "cartesian",
        {"motion": (Motion("step", 3e-3, 0.6),), "order": "interleaved", "prescan": 24},
    ),
    Scene(
        "Low-dose CT of the chest",
        "A quarter of the dose, 1152 views of one row of 736 columns in a second. Each view is worked into the image "
        "as it arrives; a preview comes every quarter turn, after the last view the image, then the network's.",
        "ct",
        {"dose": 0.25, "turn_s": 1.0},
    ),
    Scene(
        "MR fingerprinting of a fibrillating heart",
        "750 spiral arms in fifteen beats of any length, one slice of 192 × 192, 16 coils. Every arm goes into the "
        "images of 24 time courses as it comes; the dictionary is that of these very beats. The maps come again, "
        "solved for with images of locally low rank.",
        "mrf",
        {"rhythm": "af"},
    ),
    Scene(
        "T1 of a heart that breathes",
        "MOLLI 5(3)3, every second line: eight images in eleven heart beats while the heart moves by up to 5 mm. Each "
        "is aligned to the others as it comes; behind the last one there remain its own alignment and the fit. MOLLI "
        "reads lower than the truth, by its inversion and by T2.",
        "molli",
        {"acceleration": 2, "motion": (Motion("breathing", 5e-3, 0.0),), "snr": 50.0},
    ),
    Scene(
        "T2* of the heart",
        "Eight gradient echoes of every line.",
        "t2star",
        {"acceleration": 2, "snr": 60.0},
    ),
    Scene(
        "Diffusion tensors of the heart",
        "Twelve directions, two breath-holds; one shot was spoilt by motion. After each breath-hold the console hears "
        "how well the tensors are known, and which direction to repeat.",
        "dti",
        {"averages": 2, "spoilt": ((3, 1),), "shift": 3.0, "rr_s": 0.5},
    ),
    Scene(
        "Head, scan stopped early",
        "The scanner is stopped after three quarters of the lines.",
        "cartesian",
        {"seed": 1},
        ends_after=0.75,
    ),
)


def demo(report: Path, say: Callable[[str], None], scenes: tuple[Scene, ...] = SCENES) -> int:
    """Stream every scene to a node of its own and write the report.

    Parameters
    ----------
    report
        HTML file to write.
    say
        Takes the lines for the terminal.
    scenes
        What to scan.

    Returns
    -------
    int
        1 if a scan brought no image or was not brought to its end, otherwise 0.
    """
    exhibits, failures = [], 0
    with tempfile.TemporaryDirectory(prefix="boreside-") as folder, own_node() as node:
        paths = [Path(folder) / f"{number}.h5" for number in range(len(scenes))]
        for path, scene in zip(paths, scenes, strict=True):  # all of them first: meanwhile the node warms up
            simulate(scene.kind, path, **scene.options)
        send(paths[0], node.address)  # on a new machine workers compile for half a minute, and only then
        for path, scene in zip(paths, scenes, strict=True):
            conversation, scan_s = _scan(path, scene, node.address)
            summary = summarise(conversation)
            failures += not (summary.closed and summary.images)
            exhibits.append(_exhibit(scene, path, conversation, summary, scan_s))
            say(_line(exhibits[-1]))
            for remark in exhibits[-1].remarks:
                say(f"  {remark.text}")
    report.write_text(_page(exhibits), encoding="utf-8")
    say(f"the report is {report.resolve().as_uri()}")
    return 1 if failures else 0


def _scan(path: Path, scene: Scene, address: Address) -> tuple[Conversation, float]:
    """Send a scan at a scanner's pace; return what came back and how long the scan took."""
    with Recording(path) as recording:
        due_s = due_times(recording)
        count = round(recording.readouts * scene.ends_after)
        messages = list(_cut(scan_messages(recording, natural_route(recording.xml), {"report": "false"}), count))
    return converse(address, messages, due_s), float(due_s[count - 1])


def _cut(messages: Iterator[Message], readouts: int) -> Iterator[Message]:
    """Pass on a scan as far as a number of readouts, and its end."""
    for message in messages:
        readouts -= isinstance(message, Acquisition)
        if readouts >= 0 or isinstance(message, Close):
            yield message


def _exhibit(scene: Scene, path: Path, conversation: Conversation, summary: Summary, scan_s: float) -> Exhibit:
    remarks = [Remark(_COLOUR_OF.get(line["level"], "grey"), line["text"]) for line in summary.findings]
    remarks += [Remark("red", summary.broken)] if summary.broken else []
    if not conversation.images:
        return Exhibit(scene.name, scene.description, None, None, "", "", "red", scan_s, float("nan"), remarks)
    if scene.kind in _OWN:
        return _OWN[scene.kind](scene.name, scene.description, path, conversation, summary, scan_s, remarks)
    mapped = map_exhibit(scene.name, scene.description, path, conversation, summary, scan_s, remarks)
    if mapped is not None:
        return mapped
    image, facts = conversation.images[-1].image, summary.images[-1]
    return Exhibit(
        name=scene.name,
        description=scene.description,
        image=_plane(console.value(image)),
        truth=_truth(path, image, facts["quantity"]),
        quantity=facts["quantity"] or "image",
        unit=facts["unit"] or "a.u.",
        colour=facts["qc"] or "grey",
        scan_s=scan_s,
        latency_s=facts["seconds_from_last_readout_due"],
        remarks=remarks,
        facts=_facts(conversation, summary),
    )


_OWN: Final = {"ct": ct_exhibit, "dti": dti_exhibit}
"""Kinds of scans that are shown in a way of their own."""

_COLOUR_OF: Final = {"error": "red", "warning": "amber"}


def _facts(conversation: Conversation, summary: Summary) -> dict[str, str]:
    last = summary.images[-1]
    reason = f" ({last['method_reason']})" if last["method_reason"] else ""
    waits = [image["seconds_from_own_last_readout_due"] for image in summary.images]
    own = [wait for wait in waits if wait is not None]
    facts = {
        "Method": f"{last['method'] or 'not stated'}{reason}",
        "Route": summary.route,
        "Readouts": f"{summary.readouts}, {summary.bytes_sent / 1e6:.1f} MB",
    }
    if len(own) > 1:
        facts["Images"] = (
            f"{len(summary.images)}; each {np.median(own) * 1e3:.1f} ms (median) after its own last readout"
        )
    return facts


def _plane(pixels: npt.NDArray[Any]) -> npt.NDArray[np.float32]:
    """Return the middle plane of (channels, z, y, x) as real numbers."""
    return np.asarray(np.abs(pixels[0, pixels.shape[1] // 2]), np.float32)


def _truth(path: Path, image: Image, quantity: str | None) -> npt.NDArray[np.float32] | None:
    with h5py.File(path) as file:
        truth = file.get(f"truth/{quantity}")
        if truth is None:
            return None
        at = [
            int(image.header[axis]) if axis in ("contrast", "slice", "repetition") else slice(None)
            for axis in truth.attrs["axes"]
        ]
        return _plane(truth[tuple(at)][np.newaxis])


def _page(exhibits: list[Exhibit]) -> str:
    return render(
        exhibits,
        title="Images while the patient is still in the bore",
        lead=f"{len(exhibits)} simulated scans were streamed to a node on this machine, readout by readout, at the "
        "pace of a scanner. This is what came back, and how far it is from the truth.",
        origin=f"boreside {console.version()} on {cores()} cores ({platform.machine()}), Python "
        f"{platform.python_version()}.",
    )


def _line(exhibit: Exhibit) -> str:
    wait = "no image" if np.isnan(exhibit.latency_s) else f"{exhibit.latency_s * 1e3:.1f} ms after the last readout"
    return f"{exhibit.name:<34} {exhibit.colour:<6} {wait}"
