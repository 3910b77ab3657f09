"""The guard on a network's image: whether it agrees with what was measured, and whether the network knows such scans.

A network that fills in what was not measured can look right and be wrong. Four questions, each a pure function: do the
acquired lines come back (data consistency); are lines predicted that the network never saw (consistency alone cannot
see what lies in the null space of the sampling); how far is it from the classical image, in units of the noise; and
does the scan lie in the range of its training. What cannot be answered is grey, never green.

Sources: Antun et al., PNAS 117:30088 (2020), for what networks may add or lose; Yaman et al., MRM 84:3172 (2020), for
holding lines out.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity
from qc.limits import Limit, Limits

Complex = npt.NDArray[np.complex64]
Mask = npt.NDArray[np.bool_]
Forward: TypeAlias = Callable[[Complex], Complex]
"""Image to the k-space of all coils, whitened: F S x."""

NOISE_POWER: Final = 2.0  # of a whitened complex sample

_ACTION: Final = "The classical image is sent instead"


def residual(image: Complex, kspace: Complex, mask: Mask, forward: Forward) -> float:
    """Return the mean squared difference at the acquired samples in units of the noise power: about 1 if all is well.

    Parameters
    ----------
    image
        What the network returned, as ``forward`` takes it.
    kspace
        (coils, ...) whitened samples.
    mask
        (...) true where a sample was acquired.
    forward
        From image to (coils, ...) k-space.

    Raises
    ------
    ValueError
        If nothing was acquired.
    """
    if not mask.any():
        raise ValueError("no sample was acquired: there is nothing that the image could be consistent with")
    difference = (forward(image) - kspace)[:, mask]
    return float(np.mean(np.abs(difference) ** 2)) / NOISE_POWER


def hold_out(mask: Mask, fraction: float, random: np.random.Generator, spare: Mask | None = None) -> tuple[Mask, Mask]:
    """Divide acquired lines into those a network may see and those it is tested on.

    Parameters
    ----------
    mask
        (lines,) true where acquired.
    fraction
        Of the acquired lines that is held out, 0.02 to 0.05; at least one.
    random
        Which ones.
    spare
        (lines,) true for lines that are always shown, such as those of the calibration.

    Returns
    -------
    tuple
        (shown, held out).

    Raises
    ------
    ValueError
        If there is no line that may be held out.
    """
    candidates = np.flatnonzero(mask if spare is None else mask & ~spare)
    if not candidates.size:
        raise ValueError("no line may be held out: all acquired ones are spared")
    chosen = random.choice(candidates, max(1, round(fraction * int(mask.sum()))), replace=False)
    held = np.zeros_like(mask)
    held[chosen] = True
    return mask & ~held, held


def disagreement(image: Complex, classical: Complex, noise: npt.NDArray[Any] | float) -> float:
    """Return the 99th percentile of the difference from the classical image, in units of that image's noise.

    Parameters
    ----------
    image, classical
        Same shape and scale.
    noise
        Standard deviation of the classical image's noise, g-factor included; one number or one for each pixel.
    """
    return float(np.quantile(np.abs(np.abs(image) - np.abs(classical)) / noise, 0.99))


def outside(values: Mapping[str, float], trained: Mapping[str, tuple[float, float]]) -> tuple[str, ...]:
    """Return in words what about a scan lies outside the range a network was trained on, or is not known."""
    found = []
    for name, (low, high) in trained.items():
        value = values.get(name)
        if value is None:
            found.append(f"{name} is unknown")
        elif not low <= value <= high:
            found.append(f"{name} is {value:g}, trained from {low:g} to {high:g}")
    return tuple(found)


def judge(
    limits: Limits,
    *,
    finite: bool,
    residual: float | None = None,
    held_out: float | None = None,
    disagreement: float | None = None,
    outside: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Return what speaks against sending a network's image; nothing if every question was answered well.

    Parameters
    ----------
    finite
        Whether all its pixels are.
    residual, held_out
        As from `residual`, for the lines it saw and for those it did not; None where it could not be worked out.
    disagreement
        As from `disagreement`.
    outside
        As from `outside`.
    """
    if not finite:
        message = "The network's image holds pixels that are no numbers"
        return (Finding(Severity.RED, "network failed", message, _ACTION),)
    unknown = "The network was not trained for this: "
    found = [Finding(Severity.GREY, "network out of range", unknown + why, _ACTION) for why in outside]
    for name, value in (("residual", residual), ("held out", held_out), ("disagreement", disagreement)):
        limit = limits[f"network {name}"]
        if value is None or not np.isfinite(value):
            reason = f"The network's image was not assessed: its {limit.measure} is unknown"
            found.append(Finding(Severity.GREY, f"network {name} not assessed", reason, _ACTION))
        elif limit.colour(value) > Severity.GREEN:
            found.append(_over(name, value, limit))
    return tuple(found)


def passes(findings: Sequence[Finding]) -> bool:
    """Whether a network's image may replace the classical one: grey and red do not pass."""
    return all(finding.severity in (Severity.GREEN, Severity.AMBER) for finding in findings)


def _over(name: str, value: float, limit: Limit) -> Finding:
    colour = limit.colour(value)
    return Finding(
        colour,
        f"network {name}",
        f"The network's image does not fit the data: {limit.measure} is {value:.2f}",
        _ACTION if colour is Severity.RED else "Compare with the classical image",
        score=value,
        threshold=limit.red if colour is Severity.RED else limit.amber,
        measure=limit.measure,
    )
