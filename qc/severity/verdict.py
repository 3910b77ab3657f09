"""What the network says about an image, if it may be asked at all; it is an opinion beside the monitors' findings.

It is never red: a network alone is no reason to repeat a scan. What it was not trained for, and what goes wrong, is
grey.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from hardware.catalog import Model
from hardware.engine import Engine
from hardware.errors import HardwareError
from qc import guard
from qc.finding import Finding, Severity, Where
from qc.images import Frame
from qc.limits import Limits
from qc.severity.measure import probability, properties, scaled, trained_range

CAUSE: Final = "motion in image"
PATIENCE_S: Final = 1.0


def verdict(frame: Frame, model: Model, engine: Engine, limits: Limits) -> tuple[float | None, list[Finding]]:
    """Return the probability that motion has spoilt an image, None where it is not assessed, and what there is to say.

    Parameters
    ----------
    frame
        A fully sampled image.
    model, engine
        The network, as its manifest describes it, and what runs it.
    limits
        Thresholds.
    """
    image = np.asarray(frame.pixels, np.float32)
    strange = guard.outside(properties(image), trained_range(model.manifest.guard))
    if strange:
        return None, [unknown(f"the network was not trained for this: {'; '.join(strange)}")]
    try:
        odds = float(engine.run({"image": scaled(image)}, PATIENCE_S)["log_odds"][0, 0])
    except HardwareError as error:
        return None, [unknown(str(error))]
    constants = model.manifest.constants
    chance = probability(odds, constants["scale"], constants["offset"])
    limit = limits[CAUSE]
    colour = min(limit.colour(chance), Severity.AMBER)
    if colour is Severity.GREEN:
        return chance, []
    found = Finding(
        colour,
        CAUSE,
        f"Slice {frame.place[0]}: to a network the image looks spoilt by motion ({chance:.0%})",
        "Look at the image; repeat the slice if it is",
        score=chance,
        threshold=limit.amber,
        measure=f"{limit.measure}, {model.name}",
        confidence=chance,
        where=Where(series=frame.series, slices=(frame.place[0],)),
    )
    return chance, [found]


def unknown(reason: str) -> Finding:
    """Return that the network was not asked, or did not answer."""
    return Finding(Severity.GREY, f"{CAUSE} not assessed", f"Motion in the image is not assessed: {reason}")
