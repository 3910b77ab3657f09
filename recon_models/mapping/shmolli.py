"""ShMOLLI 5(1)1(1)1: T1 from nine beats, of which a pixel uses as many images as its own recovery allows.

One beat between inversions is too short for a long T1: what follows the second inversion then starts from a wrong
level. A short T1 has recovered, and needs those images because the first five hold little of its curve. So images
behind the second and the third inversion count only where T1 is short against the beat.

Source: Piechnik et al., J Cardiovasc Magn Reson 12:69 (2010): T1 below one RR interval for the sixth image, below 0.4
of it for the seventh.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Final

import numpy as np
import numpy.typing as npt

from recon_models.mapping.fit import Fit
from recon_models.mapping.recovery import Polarity, fit_look_locker

_FIRST: Final = 5
_ALL: Final = 7
_SHORT: Final = {6: 1.0, 7: 0.4}
"""RR intervals T1 must lie below for an image to count."""


def fit(
    images: npt.NDArray[Any],
    times_s: npt.NDArray[Any],
    rr_s: float,
    *,
    polarity: Polarity | None = None,
    efficiency: float = 1.0,
    noise: npt.NDArray[Any] | float | None = None,
) -> Fit:
    """Fit T1 to ShMOLLI images, conditionally.

    Parameters
    ----------
    images
        (7, ...) in the order of acquisition: five, one and one behind an inversion each.
    times_s
        (7,) inversion times.
    rr_s
        Mean RR interval during the scan.
    polarity, efficiency, noise
        As `recovery.fit_look_locker`.

    Returns
    -------
    Fit
        As `recovery.fit_look_locker`; residuals of images a pixel did not use are NaN.

    Raises
    ------
    ValueError
        If there are not seven images, or as `recovery.fit_look_locker`.
    """
    if len(images) != _ALL or len(times_s) != _ALL:
        raise ValueError(f"ShMOLLI has 7 images with a time each, not {len(images)} with {len(times_s)}")
    fits = {
        used: fit_look_locker(images[:used], times_s[:used], polarity=polarity, efficiency=efficiency, noise=noise)
        for used in (5, 6, 7)
    }
    chosen = fits[_FIRST]
    accepted = np.ones(images.shape[1:], bool)
    for used, part in _SHORT.items():
        longer = fits[used]
        accepted = accepted & longer.valid & (longer.values["T1"] < part * rr_s)
        chosen = _merged(accepted, longer, chosen)
    return replace(chosen, residual=_widened(chosen.residual))


def _widened(residual: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """Return residuals of all images, NaN for those that were left out."""
    missing = [(0, 0)] * (residual.ndim - 1) + [(0, _ALL - residual.shape[-1])]
    return np.pad(residual, missing, constant_values=np.nan)


def _merged(where: npt.NDArray[np.bool_], one: Fit, other: Fit) -> Fit:
    """Return one fit where it is wanted, the other elsewhere."""
    return Fit(
        {name: np.where(where, values, other.values[name]) for name, values in one.values.items()},
        {name: np.where(where, values, other.deviation[name]) for name, values in one.deviation.items()},
        np.where(where[..., None], _widened(one.residual), _widened(other.residual)),
        np.where(where, one.noise, other.noise),
        np.where(where, one.valid, other.valid),
        one.parameters,
    )
