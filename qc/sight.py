"""What a check of a CT scan sees of one view; checks are generators, as monitors are.

One is sent sights and answers with findings; its local variables are its state. It is sent None when the scan is over.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import numpy.typing as npt

from qc.finding import Finding
from qc.limits import Limits
from recon_models.ct.geometry import Scanner, View

Values = npt.NDArray[np.float32]


@dataclass(frozen=True, slots=True, eq=False)
class Sight:
    """One view of line integrals.

    Attributes
    ----------
    values
        (rows, columns) float32; valid during this sight's turn only.
    middle
        (columns,) float32: the row in the plane of the source, made of two rows where it lies between them.
    view
        Where the source stood.
    number
        Of the view.
    promised
        Photons through air at an element as the scanner gives them; 0 if it does not.
    """

    values: Values
    middle: Values
    view: View
    number: int
    promised: float = 0.0


@dataclass(slots=True)
class Known:
    """What is known of a CT scan while it runs; checks keep it up to date.

    Attributes
    ----------
    scanner
        As the header describes it.
    photons
        (columns,) through air at an element, as the noise of the last quarter turn tells; NaN where unknown.
    spoilt
        Whether the views are not those of a whole body on a sound detector: then they say nothing about motion.
    measures
        Figures for the meta of images, by name.
    """

    scanner: Scanner
    photons: npt.NDArray[np.float64] = field(init=False)
    spoilt: bool = False
    measures: dict[str, float] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.photons = np.full(self.scanner.detector.columns, np.nan)

    @property
    def quarter(self) -> int:
        """Views in a quarter turn, after each of which checks judge."""
        return max(self.scanner.views_per_turn // 4, 1)


Check: TypeAlias = Generator[list[Finding], Sight | None, None]
Maker: TypeAlias = Callable[[Limits, Known], Check]


def middle_row(values: Values, central_row: float) -> Values:
    """Return the row of a view at a fractional index, (columns,) float32."""
    low = min(max(math.floor(central_row), 0), max(len(values) - 2, 0))
    part = np.float32(min(max(central_row - low, 0.0), 1.0))
    if len(values) == 1 or part == 0:
        return np.asarray(values[low])
    return np.asarray((1 - part) * values[low] + part * values[low + 1])
