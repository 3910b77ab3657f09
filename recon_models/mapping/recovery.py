"""T1 from inversion recovery: MOLLI and its kin with their Look-Locker correction, and recovery read out once.

Reading out disturbs the recovery: the curve goes to A < M0 with T1* < T1. Look and Locker's correction takes T1 from
how far it came: S(t) = A - B exp(-t / T1*), with A = M0 T1* / T1 and S(0) = A - B = -efficiency M0, so that
T1 = T1* (B / A - 1) / efficiency. The efficiency is the part of the magnetisation that the inversion turned over; an
adiabatic pulse in the heart reaches 0.96, and maps that leave it out read 3.6 % low.

Sources: Look and Locker, Rev Sci Instrum 41:250 (1970); Deichmann and Haase, J Magn Reson 96:608 (1992); Messroghli et
al., Magn Reson Med 52:141 (2004), MOLLI; Kellman and Hansen, J Cardiovasc Magn Reson 16:2 (2014), the efficiency.
"""

from __future__ import annotations

from typing import Any, Final, Literal

import numpy as np
import numpy.typing as npt

from recon_models.mapping.exponential import Model, Solution, solve
from recon_models.mapping.fit import Fit, assembled
from recon_models.mapping.psir import signed as phase_sensitive

Real = npt.NDArray[np.float64]
Polarity = Literal["phase", "signed", "search"]

RECOVERY: Final = Model(offset=True, constant=0.0, decaying=1.0, shortest_s=0.03, longest_s=8.0)
FULL_INVERSION: Final = Model(offset=False, constant=1.0, decaying=-2.0, shortest_s=0.03, longest_s=8.0)


def fit_look_locker(
    images: npt.NDArray[Any],
    times_s: npt.NDArray[Any],
    *,
    polarity: Polarity | None = None,
    efficiency: float = 1.0,
    noise: npt.NDArray[Any] | float | None = None,
) -> Fit:
    """Fit T1 to a Look-Locker series such as MOLLI 5(3)3, of any list of inversion times.

    Parameters
    ----------
    images
        (measurements, ...) complex, or real with sign, or magnitude; in any order.
    times_s
        (measurements,) from the inversion to the centre of k-space of each image.
    polarity
        Where the sign comes from: ``phase`` against the longest inversion time, ``signed`` images as they are, or
        ``search`` for the number of inverted measurements that fits best. Taken from the images unless given: complex,
        clearly negative somewhere, or neither.
    efficiency
        Part of the magnetisation that the inversion turned over, 1 if all.
    noise
        Standard deviation of a measurement, one number or (...); from the residual of each pixel unless given.

    Returns
    -------
    Fit
        With ``T1``, ``T1star`` in seconds, ``A`` and ``B``.

    Raises
    ------
    ValueError
        If times and images do not match, fewer than three times differ, or the efficiency is not between 0 and 1.
    """
    if not 0 < efficiency <= 1:
        raise ValueError(f"an inversion efficiency lies between 0 and 1, not at {efficiency}")
    solution = _solved(images, times_s, polarity, RECOVERY)
    a, c, star = solution.offset, solution.amplitude, solution.time_s
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        t1 = star * (-c / a - 1) / efficiency
        variances = {
            "T1": solution.variance(star * c / a**2 / efficiency, -star / a / efficiency, t1),
            "T1star": solution.variance(0.0, 0.0, star),
            "A": solution.variance(1.0, 0.0, 0.0),
            "B": solution.variance(0.0, 1.0, 0.0),
        }
    values = {"T1": t1, "T1star": star, "A": a, "B": -c}
    valid = solution.valid & (a > 0) & (t1 > 0) & np.isfinite(t1)
    return assembled(solution, values, variances, images.shape[1:], RECOVERY.parameters, noise, valid)


def fit_inversion_recovery(
    images: npt.NDArray[Any],
    times_s: npt.NDArray[Any],
    *,
    polarity: Polarity | None = None,
    full_inversion: bool = False,
    noise: npt.NDArray[Any] | float | None = None,
) -> Fit:
    """Fit T1 to images that each had an inversion of their own: S = A - B exp(-t / T1), no Look-Locker correction.

    Parameters
    ----------
    images, times_s, polarity, noise
        As `fit_look_locker`.
    full_inversion
        True sets B = 2 A: one parameter fewer, right only after a perfect inversion and full recovery.

    Returns
    -------
    Fit
        With ``T1`` in seconds, ``A`` and ``B``.

    Raises
    ------
    ValueError
        If times and images do not match, or too few times differ.
    """
    model = FULL_INVERSION if full_inversion else RECOVERY
    solution = _solved(images, times_s, polarity, model)
    c, t1 = solution.amplitude, solution.time_s
    a, b = (c, 2 * c) if full_inversion else (solution.offset, -c)
    of_c = solution.variance(0.0, 1.0, 0.0)
    variances = {
        "T1": solution.variance(0.0, 0.0, t1),
        "A": of_c if full_inversion else solution.variance(1.0, 0.0, 0.0),
        "B": 4 * of_c if full_inversion else of_c,
    }
    valid = solution.valid & (b > 0)
    return assembled(solution, {"T1": t1, "A": a, "B": b}, variances, images.shape[1:], model.parameters, noise, valid)


def _solved(images: npt.NDArray[Any], times_s: npt.NDArray[Any], polarity: Polarity | None, model: Model) -> Solution:
    """Give the images their signs and fit them."""
    times = np.asarray(times_s, np.float64)
    if len(images) != len(times):
        raise ValueError(f"{len(images)} images have {len(times)} inversion times")
    if polarity is None:
        polarity = "phase" if np.iscomplexobj(images) else "signed" if _has_signs(images) else "search"
    if polarity == "phase":
        images = phase_sensitive(images, images[int(np.argmax(times))])
    elif np.iscomplexobj(images):
        raise ValueError(f"complex images have their polarity in their phase; {polarity!r} is for real ones")
    return solve(images.reshape(len(times), -1).T, times, model, signed=polarity != "search")


def _has_signs(images: npt.NDArray[Any]) -> bool:
    """Return whether real images are more than magnitudes; interpolation leaves these a little below zero."""
    return bool(np.nanmin(images) < -0.01 * np.nanmax(images))
