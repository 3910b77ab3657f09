"""Iterative SENSE: the image that, seen by every coil, explains the samples.

The coils see S_c x, the scan keeps the samples M of its transform, so E = M F S. The least-squares image solves
(E^H E + lambda) x = E^H y, by conjugate gradients. As in the source, the unknown is scaled by the joint sensitivity of
the coils, so that every pixel of the object starts with the same weight, and regularisation means the same everywhere.

Cartesian scans sample x fully. Once x is transformed, each column is a problem of its own with the same F along y (and
z) only; a transform, its mask and the inverse are then one filter along the accelerated axes.

Source: Pruessmann et al., "Advances in sensitivity encoding with arbitrary k-space trajectories", MRM 46:638 (2001).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from hardware.device import Array, namespace
from hardware.fourier import filtered, to_image, to_kspace

REGULARISATION = 1e-2
"""Of the mean eigenvalue of the unaccelerated problem, which is one."""

_CONVERGED = 1e-12
"""Squared residual, relative to the first, below which single precision has nothing left to add."""

_INVISIBLE = 1e-3
"""Joint sensitivity, relative to its maximum, below which a pixel counts as outside the object."""


@dataclass(frozen=True, slots=True, eq=False)
class Encoding:
    """E = M F S, from an image to the weighted samples of all coils.

    Attributes
    ----------
    sensitivities
        (coils, [z], y, x) complex64.
    weights
        Weight of each sample of one coil, zero where there is none, e.g. one over its standard deviation; float32,
        broadcastable to ([z], y, x).
    axes
        Negative axes along which the samples are in k-space.
    """

    sensitivities: Array
    weights: Array
    axes: tuple[int, ...]

    def forward(self, image: Array) -> Array:
        """E: ([z], y, x) to (coils, [z], y, x)."""
        return self.weights * to_kspace(self.sensitivities * image, self.axes)

    def adjoint(self, kspace: Array) -> Array:
        """E^H: (coils, [z], y, x) to ([z], y, x)."""
        return self._combined(to_image(self.weights * kspace, self.axes))

    def normal(self, image: Array) -> Array:
        """E^H E: ([z], y, x) to ([z], y, x)."""
        return self._combined(filtered(self.sensitivities * image, self.weights**2, self.axes))

    def _combined(self, coil_images: Array) -> Array:
        xp = namespace(coil_images)
        # the conjugate is taken of the one sum instead of all the sensitivities
        coil_images = xp.conj(coil_images)
        coil_images *= self.sensitivities
        return xp.conj(xp.sum(coil_images, axis=0))  # type: ignore[no-any-return]


def cg_sense(
    kspace: Array,
    mask: Array,
    sensitivities: Array,
    iterations: int = 10,
    regularisation: float = REGULARISATION,
    *,
    start: Array | None = None,
) -> Array:
    """Reconstruct an image from undersampled k-space.

    Parameters
    ----------
    kspace
        (coils, [z], y, x) complex64, whitened, zero where nothing was sampled.
    mask
        ([z], y), where x is sampled fully, or ([z], y, x); bool, or the weights of the samples in the least squares.
    sensitivities
        (coils, [z], y, x) complex64, zero outside the object.
    iterations
        Steps of conjugate gradients; few of them regularise as well.
    regularisation
        Tikhonov weight on the image of sensitivity one; one is the weight of a fully sampled scan.
    start
        ([z], y, x) first guess, e.g. the frame before; zero if absent.

    Returns
    -------
    Array
        ([z], y, x) complex64.
    """
    if mask.ndim == kspace.ndim - 2:
        return cg_sense_hybrid(to_image(kspace, (-1,)), mask, sensitivities, iterations, regularisation, start=start)
    encoding = Encoding(sensitivities, mask, tuple(range(1 - kspace.ndim, 0)))
    return _solve(encoding, kspace, iterations, regularisation, start)


def cg_sense_hybrid(
    kspace: Array,
    mask: Array,
    sensitivities: Array,
    iterations: int = 10,
    regularisation: float = REGULARISATION,
    *,
    start: Array | None = None,
) -> Array:
    """Reconstruct an image from samples that have been transformed along x as they came.

    Parameters as those of `cg_sense`, but ``kspace`` is in image space along its last axis and ``mask`` is ([z], y).
    """
    encoding = Encoding(sensitivities, mask[..., None], tuple(range(1 - kspace.ndim, -1)))
    return _solve(encoding, kspace, iterations, regularisation, start)


def _solve(encoding: Encoding, kspace: Array, iterations: int, regularisation: float, start: Array | None) -> Array:
    xp = namespace(kspace, encoding.weights, encoding.sensitivities)
    sensitivities, joint = levelled(encoding.sensitivities)
    weights = xp.astype(encoding.weights, xp.real(kspace).dtype)
    level = Encoding(sensitivities, weights, encoding.axes)

    def normal(image: Array) -> Array:
        return level.normal(image) + regularisation * image

    first = None if start is None else start * joint
    solution = conjugate_gradients(normal, level.adjoint(weights * kspace), iterations, first)
    return solution / xp.where(joint > 0, joint, 1)  # type: ignore[no-any-return]


def levelled(sensitivities: Array) -> tuple[Array, Array]:
    """Split maps into maps of joint sensitivity one and that joint sensitivity, both zero where the coils see nothing.

    Parameters
    ----------
    sensitivities
        (coils, [z], y, x) complex64.

    Returns
    -------
    tuple
        (coils, [z], y, x) complex64 and ([z], y, x) float32: their product is the argument.
    """
    xp = namespace(sensitivities)
    joint = xp.sqrt(xp.sum(xp.real(sensitivities) ** 2 + xp.imag(sensitivities) ** 2, axis=0))
    joint = xp.where(joint > _INVISIBLE * xp.max(joint), joint, 0)
    visible = joint > 0
    return sensitivities * xp.where(visible, 1 / xp.where(visible, joint, 1), 0), joint


def conjugate_gradients(
    operator: Callable[[Array], Array], right: Array, iterations: int, start: Array | None = None
) -> Array:
    """Solve A x = b for a positive definite A (Hestenes and Stiefel, J. Res. NBS 49:409, 1952).

    Parameters
    ----------
    operator
        A, from an array to a new array of the same shape.
    right
        b.
    iterations
        Most steps taken; it stops early when the residual is down to rounding.
    start
        First guess, zero if absent.
    """
    xp = namespace(right)
    solution = xp.zeros_like(right) if start is None else xp.asarray(start, copy=True)
    residual = xp.asarray(right, copy=True) if start is None else right - operator(start)
    direction = xp.asarray(residual, copy=True)
    power, enough = _inner(residual, residual), _CONVERGED * _inner(right, right)
    for _ in range(iterations):
        if power <= enough:
            break
        image = operator(direction)
        step = power / _inner(direction, image)
        solution += step * direction
        residual -= step * image
        power, before = _inner(residual, residual), power
        direction = residual + (power / before) * direction
    return solution  # type: ignore[no-any-return]


def _inner(first: Array, second: Array) -> Array:
    """Return the real part of the inner product."""
    xp = namespace(first, second)
    return xp.real(xp.vecdot(xp.reshape(first, (-1,)), xp.reshape(second, (-1,))))  # type: ignore[no-any-return]
