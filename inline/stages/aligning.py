"""The images of a series aligned to each other while they come: each one that arrives moves the fields a little.

What is known of the motion when the last image comes is nearly all of it, so behind the last readout there is one short
round left instead of a registration from the beginning.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from inline.errors import ConfigurationError
from inline.stages.map_kinds import Kind, Parameters
from recon_models.mapping.motion.curves import Templates
from recon_models.mapping.motion.doubt import refusal
from recon_models.mapping.motion.fields import Fields, warp
from recon_models.mapping.motion.groupwise import FROM_REST, ONWARDS, Registration, register

Images = npt.NDArray[Any]
Mask = npt.NDArray[np.bool_]
MakeTemplates: TypeAlias = Callable[[npt.NDArray[np.float64]], Templates]

CLASSICAL: Final = "classical"
"""Registration to synthetic images."""
_FEWEST: Final = 3
_PIXELS: Final = 1500
"""Of the tissue, that tell whether a fit became better."""
_WORTH_IT: Final = 0.9
"""Of the residual that may remain: measured breath-holds gain less, and their maps come no closer to the reference."""


@dataclass(frozen=True, slots=True, eq=False)
class Aligned:
    """A series after registration.

    Attributes
    ----------
    images
        (measurements, z, y, x), warped if it was of use.
    used
        Whether they are.
    gain
        Residual of the fit after over that before, 1 if they were not moved.
    displacement_m
        (measurements,) 99th percentile over the tissue, of what was corrected.
    how
        What was done, or why nothing was.
    """

    images: Images
    used: bool
    gain: float
    displacement_m: npt.NDArray[np.float64]
    how: str


def wanted(parameters: Parameters) -> bool:
    """Whether motion is to be corrected.

    Raises
    ------
    ConfigurationError
        If it is to be in a way nobody knows.
    """
    method = parameters.get("motion", CLASSICAL).lower()
    if method not in (CLASSICAL, "none"):
        raise ConfigurationError(f"motion={method!r} is unknown; choose {CLASSICAL} or none")
    return method == CLASSICAL


class Alignment:
    """The motion of one series so far.

    Parameters
    ----------
    kind
        What is mapped, which tells what relaxation may do to a pixel.
    pixel_m
        Side of a pixel.
    """

    def __init__(self, kind: Kind, pixel_m: float) -> None:
        self._kind, self._pixel_m = kind, pixel_m
        self._fields: dict[int, Fields] = {}

    def follow(self, numbers: list[int], images: Images, times_s: npt.NDArray[np.float64]) -> None:
        """Take account of the images so far, (measurements, z, y, x), of which ``numbers`` are the names."""
        if self._kind.templates is not None and len(images) >= _FEWEST and images.shape[1] == 1:
            self._register(self._kind.templates, numbers, images, times_s)

    def aligned(
        self, numbers: list[int], images: Images, times_s: npt.NDArray[np.float64], noise: Images | None, tissue: Mask
    ) -> Aligned:
        """Return all images of a series aligned to each other, where the map's own fit is the better for it.

        Parameters
        ----------
        numbers
            As for `follow`.
        images
            (measurements, z, y, x) real.
        times_s
            (measurements,).
        noise
            Of an image, where it is known.
        tissue
            (z, y, x) where residuals and displacements count.
        """
        templates = self._kind.templates
        if templates is None:
            return unmoved(images, "all images measured together")
        if len(images) < _FEWEST or images.shape[1] != 1 or not tissue.any():
            return unmoved(images, "motion not corrected: fewer than three images, or a volume")
        found = self._register(templates, numbers, images, times_s)
        if doubt := refusal(found):
            return unmoved(images, f"motion not corrected: the registration {doubt}")
        fields = found.fields
        moved = warp(images[:, 0], fields)[:, None]
        before, after = (self._residual(one, times_s, noise, tissue) for one in (images, moved))
        gain = after / max(before, np.finfo(np.float64).tiny)
        if not gain < _WORTH_IT:
            return unmoved(images, "no motion to correct")
        far = np.hypot(*fields.swapaxes(0, 1))[:, tissue[0]] * self._pixel_m
        how = "motion corrected by registration to synthetic images"
        return Aligned(moved, True, gain, np.quantile(far, 0.99, axis=1), how)

    def _residual(self, images: Images, times_s: npt.NDArray[np.float64], noise: Images | None, tissue: Mask) -> float:
        """Return the root mean square residual of the fit over some of the tissue, its worst hundredth left out."""
        some = np.flatnonzero(tissue)
        some = some[:: max(1, len(some) // _PIXELS)]
        flat = images.reshape(len(images), -1)[:, some]
        fit = self._kind.fit(flat, times_s, None if noise is None else noise.ravel()[some])
        power = np.nansum(fit.residual**2, axis=-1)
        return float(np.sqrt(np.mean(power[power <= np.quantile(power, 0.99)])))

    def _register(
        self, templates: MakeTemplates, numbers: list[int], images: Images, times_s: npt.NDArray[np.float64]
    ) -> Registration:
        """Register, and remember the fields."""
        rest = np.zeros((2, *images.shape[2:]), np.float32)
        start = np.stack([self._fields.get(number, rest) for number in numbers]) if self._fields else None
        levels = FROM_REST if start is None else ONWARDS
        found = register(images[:, 0], templates(times_s), self._pixel_m, start=start, levels=levels)
        self._fields = dict(zip(numbers, found.fields, strict=True))
        return found


def unmoved(images: Images, how: str) -> Aligned:
    """Return a series as it is."""
    return Aligned(images, False, 1.0, np.zeros(len(images)), how)
