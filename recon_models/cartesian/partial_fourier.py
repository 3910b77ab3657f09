"""Partial Fourier: the samples of one side of k-space stand in for those of the other.

An image whose phase is smooth is, apart from that phase, real, and the spectrum of a real image is its own mirror. The
phase comes from the band that is sampled on both sides of the centre. Projection onto convex sets gives the image that
phase and k-space its samples in turn.

Where the phase is not smooth (fat, vessels, air) or noise rules, the mirror is wrong and its samples do harm; on a
measured brain they doubled the error of zero filling. How far it can be believed is therefore measured in the scan
itself: samples of the short side are hidden, predicted, and compared with what was measured. Their regression weighs
the estimate, so that the result passes from the full projection to zero filling as the symmetry fails.

Sources: Haacke, Lindskog and Lin, JMR 92:126 (1991); for the weight, the regression that makes the error of an estimate
least, Wiener, "Extrapolation, interpolation and smoothing of stationary time series" (1949).
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt
from array_api_compat import device

from hardware.device import Array, namespace
from hardware.fourier import filtered, to_image, to_kspace

Flags = npt.NDArray[np.bool_]
Profile = npt.NDArray[np.float32]

ITERATIONS = 2
"""Later projections mostly fit the noise of the phase: two were as good as four to eight, or better, on real heads."""

_MERGE = 4
"""Samples over which measured values fade into estimated ones; a step there would ring."""


def fill(kspace: Array, sampled: Sequence[Flags], axes: Sequence[int] = (-2,)) -> Array:
    """Reconstruct an image, believing in the symmetry of k-space as far as this scan shows it.

    Parameters and result as those of `pocs`.
    """
    return pocs(kspace, sampled, axes, belief=symmetry(kspace, sampled, axes))


def pocs(
    kspace: Array,
    sampled: Sequence[Flags],
    axes: Sequence[int] = (-2,),
    iterations: int = ITERATIONS,
    *,
    belief: float = 1,
) -> Array:
    """Reconstruct an image by projections onto the images of known phase and those of known samples.

    Parameters
    ----------
    kspace
        (..., y, x) complex64: k-space along ``axes``, image along the others, zero where nothing was sampled; one
        image, or one per coil.
    sampled
        For each of ``axes``, bool, the extent that was reached (parallel imaging has filled the gaps inside it).
    axes
        Negative axes that are partially sampled.
    iterations
        Projections onto both sets.
    belief
        Factor on the estimated samples in the end, from 0, zero filling, to 1.

    Returns
    -------
    Array
        (..., y, x) complex64 image.

    Raises
    ------
    ValueError
        If the centre of k-space was not sampled: nothing tells the phase.
    """
    if not all(flags[flags.size // 2] for flags in sampled):
        raise ValueError("partial Fourier needs the centre of k-space, which was not sampled")
    phase = _unit(to_image(kspace * _along(axes, [_phase_window(flags) for flags in sampled], kspace), axes))
    reach = _along(axes, [_mirrored(flags) for flags in sampled], kspace)
    open_to_estimate = reach * (1 - _along(axes, [_trust(flags) for flags in sampled], kspace))
    measured = image = to_image(kspace, axes)
    for left in reversed(range(iterations)):
        weight = open_to_estimate if left else belief * open_to_estimate
        image = measured + filtered(abs(image) * phase - measured, weight, axes)
    return image


def symmetry(kspace: Array, sampled: Sequence[Flags], axes: Sequence[int] = (-2,)) -> float:
    """Return how well one side of k-space predicts the other, 0 to 1, from samples that were measured on both.

    Parameters as those of `pocs`. The outer half of the short side is hidden, predicted, and regressed on.
    """
    fewer = [_hide(flags) for flags in sampled]
    known = _along(axes, [flags.astype(np.float32) for flags in fewer], kspace)
    estimate = to_kspace(pocs(kspace * known, fewer, axes), axes)
    estimate *= _along(axes, [flags.astype(np.float32) for flags in sampled], kspace) - known
    power = _inner(estimate, estimate)
    return min(max(_inner(estimate, kspace) / power, 0.0), 1.0) if power else 0.0


def _inner(first: Array, second: Array) -> float:
    """Return the real part of the inner product, on the host."""
    xp = namespace(first, second)
    return float(xp.real(xp.vecdot(xp.reshape(first, (-1,)), xp.reshape(second, (-1,)))))


def _along(axes: Sequence[int], profiles: Sequence[Profile], like: Array) -> Array:
    """Return the product of one profile per axis, in the shape that multiplies ``like``."""
    shaped = [profile.reshape(-1, *[1] * (-1 - axis)) for axis, profile in zip(axes, profiles, strict=True)]
    product = math.prod(shaped[1:], start=shaped[0])
    shaped_product = product.reshape([1] * (like.ndim - product.ndim) + list(product.shape))
    return namespace(like).asarray(shaped_product, device=device(like))  # type: ignore[no-any-return]


def _unit(array: Array) -> Array:
    magnitude = abs(array)
    return array / namespace(array).where(magnitude > 0, magnitude, 1)  # type: ignore[no-any-return]


def _reach(flags: Flags) -> tuple[int, int]:
    """Return how many samples were reached before and after the centre."""
    reached = np.flatnonzero(flags)
    return flags.size // 2 - int(reached[0]), int(reached[-1]) - flags.size // 2


def _steps(flags: Flags) -> npt.NDArray[np.int64]:
    """Return distances from the centre, positive towards the long side."""
    before, after = _reach(flags)
    steps = np.arange(flags.size) - flags.size // 2
    return steps if after > before else -steps


def _is_symmetric(flags: Flags) -> bool:
    before, after = _reach(flags)
    return abs(before - after) <= 1  # an even matrix has one sample more before its centre


def _phase_window(flags: Flags) -> Profile:
    """Return a Hann window over the band sampled on both sides, one where an axis has no short side."""
    if _is_symmetric(flags):
        return np.ones(flags.size, np.float32)
    band, steps = min(_reach(flags)), _steps(flags)
    window = np.where(abs(steps) <= band, 0.5 + 0.5 * np.cos(np.pi * steps / (band + 1)), 0)
    return window.astype(np.float32)


def _mirrored(flags: Flags) -> Profile:
    """Return one up to the reach of the long side: beyond it there is nothing to mirror."""
    return (abs(_steps(flags)) <= max(_reach(flags))).astype(np.float32)


def _trust(flags: Flags) -> Profile:
    """Return one where samples are taken as measured, falling to zero towards the short side."""
    if _is_symmetric(flags):
        return np.ones(flags.size, np.float32)
    return np.clip((_steps(flags) + min(_reach(flags)) + 1) / (_MERGE + 1), 0, 1).astype(np.float32)


def _hide(flags: Flags) -> Flags:
    """Return the extent without the outer half of the short side."""
    if _is_symmetric(flags):
        return flags
    return flags & (_steps(flags) >= -(min(_reach(flags)) // 2))
