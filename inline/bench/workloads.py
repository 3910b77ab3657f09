"""What is scanned. A later pipeline is measured by one more line in `WORKLOADS`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Workload:
    """One kind of scan.

    Attributes
    ----------
    name, description
        For the reader of the page.
    kind, options
        What `inline.scanner.simulate.simulate` is asked for.
    shapes
        Options that change the shape of the arrays: each is sent once to a node that has not met it, then again.
    parameters
        Of the route.
    """

    name: str
    description: str
    kind: str
    options: Mapping[str, Any] = field(default_factory=dict)
    shapes: tuple[Mapping[str, Any], ...] = ()
    parameters: Mapping[str, str] = field(default_factory=dict)


WORKLOADS: Final = (
    Workload(
        "Cartesian, every line measured",
        "One slice of 256 × 256, 16 coils, a line every 3 ms.",
        "cartesian",
        {},
        ({"matrix": 192}, {"matrix": 224}),
    ),
    Workload(
        "Cartesian, every second line measured",
        "As above with half of the lines outside the centre: GRAPPA fills the others.",
        "cartesian",
        {"acceleration": 2},
        ({"matrix": 192}, {"matrix": 224}),
    ),
    Workload(
        "Echo-planar imaging",
        "80 × 80, 16 coils, a line every half millisecond, four images at ten per second.",
        "epi",
        {"repetitions": 4, "tr_s": 0.1},
        ({"matrix": 64}, {"matrix": 96}),
    ),
    Workload(
        "Cine",
        "A beating heart, every line measured, sorted into phases by its trigger.",
        "cine",
        {},
        ({"matrix": 96}, {"matrix": 128}),
    ),
    Workload(
        "Live view, spokes",
        "A beating heart, 128 × 128, 8 coils, a spoke every 3 ms; an image of the latest 34 for every 17 that come.",
        "radial",
        {"coils": 8, "acceleration": 12, "repetitions": 12},
        ({"matrix": 96, "acceleration": 9}, {"matrix": 144, "acceleration": 14}),
        {"late": "wait"},
    ),
    Workload(
        "Live view, spirals",
        "A beating heart, 128 × 128, 8 coils, an arm every 6 ms; an image of the latest 16 for every 8 that come.",
        "spiral",
        {"coils": 8, "acceleration": 2, "repetitions": 12},
        ({"matrix": 96}, {"matrix": 112}),
        {"late": "wait"},
    ),
    Workload(
        "MR fingerprinting",
        "750 spiral arms of 16 coils in fifteen heart beats, 192 × 192: T1, T2, proton density and the residual.",
        "mrf",
        {"rhythm": "variable"},
        ({"matrix": 128}, {"matrix": 160}),
        {"preview": "false", "lowrank": "false"},
    ),
    Workload(
        "T1 map",
        "MOLLI 5(3)3, 128 × 106, 16 coils, every second line, motion corrected; the last image is the residual map.",
        "molli",
        {"acceleration": 2},
        ({"matrix": 96}, {"matrix": 144}),
    ),
    Workload(
        "T1 map by saturation",
        "SASHA, 11 images, otherwise as above.",
        "sasha",
        {"acceleration": 2},
        ({"matrix": 96}, {"matrix": 144}),
    ),
    Workload(
        "T2 map",
        "Four T2-prepared images, otherwise as above.",
        "t2prep",
        {"acceleration": 2},
        ({"matrix": 96}, {"matrix": 144}),
    ),
    Workload(
        "T2* map",
        "Eight gradient echoes, otherwise as above.",
        "t2star",
        {"acceleration": 2},
        ({"matrix": 96}, {"matrix": 144}),
    ),
    Workload(
        "Diffusion tensors",
        "128 × 128, 16 coils, 6 directions and one unweighted image in two breath-holds: maps behind the last shot.",
        "dti",
        {"directions": 6, "averages": 2, "rr_s": 0.4},
        ({"matrix": 96}, {"matrix": 112}),
        {"preview": "false"},
    ),
    Workload(
        "Computed tomography, one row",
        "1152 views of 736 columns in a turn, 512 × 512, a quarter of the dose; the classical image alone.",
        "ct",
        {"dose": 0.25},
        ({"matrix": 256}, {"views": 900}),
        {"preview": "false", "deep": "false"},
    ),
)
