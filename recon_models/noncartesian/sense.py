"""Iterative SENSE from samples anywhere in k-space.

The samples are E x = F S x, with the coils' sensitivities S and the non-uniform transform F. With the samples' density
compensation W as weights, (E^H W E + lambda) x = E^H W y is nearly a unit matrix from the start where k-space is fully
sampled, so that few steps of conjugate gradients suffice. F^H W F is a convolution, see `nufft`.

Source: Pruessmann et al., MRM 46:638 (2001), eq. 16 to 24.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from hardware.device import Array, namespace
from recon_models.cartesian.sense import REGULARISATION, conjugate_gradients, levelled
from recon_models.noncartesian.nufft import Transform

ITERATIONS: Final = 6
"""Weighted by density the problem is well conditioned; what further steps add is mostly noise."""


def combined(images: Array, sensitivities: Array) -> Array:
    """Combine coil images, (coils, [z], y, x), by their sensitivities, which have a sum of squares of one."""
    xp = namespace(images, sensitivities)
    return xp.sum(xp.conj(sensitivities) * images, axis=0)  # type: ignore[no-any-return]


def cg_sense(
    samples: Array,
    transform: Transform,
    weights: Array,
    sensitivities: Array,
    iterations: int = ITERATIONS,
    regularisation: float = REGULARISATION,
    *,
    start: Array | None = None,
    pull: float = 0.0,
    normal: Callable[[Array], Array] | None = None,
) -> Array:
    """Reconstruct an image from undersampled samples.

    Parameters
    ----------
    samples
        (coils, *samples) complex64, whitened.
    transform
        From one coil's image to its samples: a `Nufft`, or one that knows of off-resonance.
    weights
        (*samples) float32 density compensation.
    sensitivities
        (coils, [z], y, x) complex64, zero outside the object.
    iterations
        Steps of conjugate gradients; few of them regularise as well.
    regularisation
        Tikhonov weight on the image of sensitivity one; one is the weight of a fully sampled scan.
    start
        ([z], y, x) first guess, e.g. the frame before; zero if absent.
    pull
        Tikhonov weight on the difference from ``start``, which regularises a series of frames in time.
    normal
        ``transform.normal(weights)``, where the caller has kept it.

    Returns
    -------
    Array
        ([z], y, x) complex64.
    """
    xp = namespace(samples, sensitivities)
    level, joint = levelled(sensitivities)
    there_and_back = transform.normal(weights) if normal is None else normal

    def operator(image: Array) -> Array:
        return combined(there_and_back(level * image), level) + (regularisation + pull) * image

    first = None if start is None else start * joint
    right = combined(transform.adjoint(weights * samples), level)
    if first is not None:
        right += pull * first
    solution = conjugate_gradients(operator, right, iterations, first)
    return solution / xp.where(joint > 0, joint, 1)  # type: ignore[no-any-return]
