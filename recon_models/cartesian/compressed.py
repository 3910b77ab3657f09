"""Compressed sensing: the sparsest image, in wavelets, among those that explain randomly sampled k-space.

Random samples fold an image into something like noise, and soft thresholding of wavelets takes away noise. The image
minimises |E x - y|^2 / 2 + lambda |W x|_1, by accelerated proximal gradients. A step of one is safe without a search,
because maps of joint sensitivity one make the largest eigenvalue of E^H E at most one.

Wavelets see edges differently in different places, so thresholding leaves blocks behind. Each step moves the grid of
the wavelets, by the same moves in every run: on a measured brain that took 12 % off the error of a fixed grid.

Sources: Lustig, Donoho and Pauly, MRM 58:1182 (2007); Beck and Teboulle, SIAM J Imaging Sci 2:183 (2009); for the
moving grid Figueiredo and Nowak, IEEE TIP 12:906 (2003). Wavelets from SigPy (Ong and Lustig, ISMRM 2019, 4819).
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from hardware.device import Array, namespace
from hardware.fourier import to_image
from recon_models.cartesian.sense import Encoding, levelled

WEIGHT = 3e-3
"""Of the brightness of the image; between 0.002 and 0.004 the error on a measured brain is flat."""

ITERATIONS = 30

_BRIGHT = 99
"""Percentile of the zero-filled image that stands for its brightness: the maximum would follow single vessels."""

_GRID = 16
"""Moves of the grid, in pixels: those of the first four scales, which hold nearly all coefficients."""

_TINY = 1e-30


def l1_wavelet(kspace: Array, sensitivities: Array, weight: float = WEIGHT, iterations: int = ITERATIONS) -> Array:
    """Reconstruct an image from k-space that was sampled at random.

    Parameters
    ----------
    kspace
        (coils, [z], y, x) complex64, whitened, exactly zero where nothing was sampled. A volume whose x is sampled
        fully is solved plane by plane, a volume sampled at random along x as well, as a whole.
    sensitivities
        (coils, [z], y, x) complex64, zero outside the object.
    weight
        Lambda, as a part of the brightness of the zero-filled image.
    iterations
        Steps of gradient and threshold.

    Returns
    -------
    Array
        ([z], y, x) complex64.
    """
    xp = namespace(kspace, sensitivities)
    maps, joint = levelled(sensitivities)
    sampled, axes = xp.any(kspace != 0, axis=0), tuple(range(1 - kspace.ndim, 0))
    if kspace.ndim == 4 and bool(xp.all(sampled == xp.any(sampled, axis=-1, keepdims=True))):
        kspace, sampled, axes = to_image(kspace, (-1,)), sampled[..., :1], axes[:-1]
    encoding = Encoding(maps, xp.astype(sampled, kspace.real.dtype), axes)
    right = encoding.adjoint(kspace)
    threshold = weight * float(xp.percentile(abs(right), _BRIGHT))
    if -1 in axes:
        image = _sparsest(encoding, right, threshold, iterations)
    else:
        planes = (_plane(encoding, right, x) for x in range(right.shape[-1]))
        image = xp.stack([_sparsest(*plane, threshold, iterations) for plane in planes], axis=-1)
    return image / xp.where(joint > 0, joint, 1)  # type: ignore[no-any-return]


def _plane(encoding: Encoding, right: Array, x: int) -> tuple[Encoding, Array]:
    """Return the problem of one x, whose memory is its own."""
    maps = encoding.sensitivities[..., x].copy()
    return Encoding(maps, encoding.weights[..., 0], (-2, -1)), right[..., x].copy()


def _sparsest(encoding: Encoding, right: Array, threshold: float, iterations: int) -> Array:
    return fista(encoding.normal, right, _shrink(right.shape, threshold), iterations)


def _shrink(shape: tuple[int, ...], threshold: float) -> Callable[[Array], Array]:
    """Return soft thresholding in wavelets whose grid moves from call to call."""
    import sigpy

    wavelet = sigpy.linop.Wavelet(shape, wave_name="db4")
    moves = np.random.default_rng(0)

    def shrink(image: Array) -> Array:
        xp, axes = namespace(image), tuple(range(image.ndim))
        move = tuple(int(step) for step in moves.integers(_GRID, size=image.ndim))
        coefficients = wavelet(xp.roll(image, move, axes))
        coefficients *= 1 - threshold / xp.clip(abs(coefficients), max(threshold, _TINY), None)
        back = tuple(-step for step in move)
        return xp.astype(xp.roll(wavelet.H(coefficients), back, axes), image.dtype)  # type: ignore[no-any-return]

    return shrink


def fista(normal: Callable[[Array], Array], right: Array, prox: Callable[[Array], Array], iterations: int) -> Array:
    """Minimise <x, A x> / 2 - Re <b, x> + g(x) for A with eigenvalues up to one.

    Parameters
    ----------
    normal
        A, from an image to a new image.
    right
        b.
    prox
        Proximal operator of g.
    iterations
        Number of steps.
    """
    image = ahead = right * 0
    momentum = 1.0
    for _ in range(iterations):
        before, image = image, prox(ahead - normal(ahead) + right)
        last, momentum = momentum, (1 + (1 + 4 * momentum**2) ** 0.5) / 2
        ahead = image + ((last - 1) / momentum) * (image - before)
    return image
