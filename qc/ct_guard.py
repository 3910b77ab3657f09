"""The guard on a network's CT image: whether it is the classical image with less noise, and not another image.

A denoiser may take away noise and nothing else. So it may not differ from the classical image by more than noise does,
it may not shift CT numbers, and it may not be asked about images unlike those it was trained on. The classical image
is sent whatever comes out.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import numpy.typing as npt

from qc.finding import Finding, Severity
from qc.limits import Limit, Limits

Pixels = npt.NDArray[np.float32]

_BODY_HU: Final = -500.0
_ACTION: Final = "Use the classical image"
_MOST: Final = 0.99  # metal and noise reach beyond any range
_LEAST_NOISE_HU: Final = 2.0  # below, what a network changes is not worth a warning


def disagreement(image_hu: Pixels, classical_hu: Pixels, noise_hu: Pixels) -> float:
    """Return the 99th percentile of the difference from the classical image over that image's noise."""
    return float(np.quantile(np.abs(image_hu - classical_hu) / np.maximum(noise_hu, _LEAST_NOISE_HU), 0.99))


def bias(image_hu: Pixels, classical_hu: Pixels) -> float:
    """Return the median difference over the body in HU, which edges do not sway; 0 where there is no body."""
    body = classical_hu > _BODY_HU
    return float(np.median((image_hu - classical_hu)[body])) if body.any() else 0.0


def judge(
    limits: Limits,
    image_hu: Pixels,
    classical_hu: Pixels,
    noise_hu: Pixels,
    trained_hu: tuple[float, float],
    unlike: Sequence[str] = (),
) -> tuple[Finding, ...]:
    """Return what speaks against a network's image; red and grey mean that it is not to be sent.

    Parameters
    ----------
    limits
        Thresholds.
    image_hu, classical_hu
        (y, x) float32 in HU.
    noise_hu
        (y, x) float32: noise of the classical image, from `qc.ct_noise.noise_map`.
    trained_hu
        Range of CT numbers the network was trained on.
    unlike
        What else lies outside its training, in words, from `qc.guard.outside`.
    """
    if not np.isfinite(image_hu).all():
        message = "The network's image holds pixels that are no numbers"
        return (Finding(Severity.RED, "network failed", message, _ACTION),)
    found = [Finding(Severity.GREY, "network out of range", what[0].upper() + what[1:], _ACTION) for what in unlike]
    body, (low, high) = classical_hu[classical_hu > _BODY_HU], trained_hu
    inside = float(np.mean((body >= low) & (body <= high))) if body.size else 0.0
    if inside < _MOST:
        message = f"{inside:.0%} of the body lie within the CT numbers the network was trained on, {low:g} to {high:g}"
        found.append(Finding(Severity.GREY, "network out of range", message, _ACTION))
    for name, value in (
        ("ct network disagreement", disagreement(image_hu, classical_hu, noise_hu)),
        ("ct network bias", abs(bias(image_hu, classical_hu))),
    ):
        if limits[name].colour(value) > Severity.GREEN:
            found.append(_over(name.removeprefix("ct "), value, limits[name]))
    return tuple(found)


def passes(findings: tuple[Finding, ...]) -> bool:
    """Whether a network's image may be sent: grey and red do not pass."""
    return all(finding.severity in (Severity.GREEN, Severity.AMBER) for finding in findings)


def _over(cause: str, value: float, limit: Limit) -> Finding:
    colour = limit.colour(value)
    return Finding(
        colour,
        cause,
        f"The network's image is not the classical one with less noise: {limit.measure} is {value:.2f}",
        _ACTION if colour is Severity.RED else "Compare with the classical image",
        score=value,
        threshold=limit.red if colour is Severity.RED else limit.amber,
        measure=limit.measure,
    )
