"""How much of k-space each sample stands for.

Gridding is the sum over samples of what each of them contributes, a Riemann sum for the integral over k-space, so every
sample is weighted by the area (volume) around it. The unit is the area of a sample of the fully sampled Cartesian grid:
weights of a disc that reaches the edge of k-space sum to pi / 4 of the image's pixels, and with these weights
``nufft.adjoint(weights * nufft.forward(image))`` is the image again, however it was sampled.

Sources: Rasche et al., IEEE Trans Med Imaging 18:385 (1999): Voronoi cells; Pipe and Menon, MRM 41:179 (1999), with the
kernel of Johnson and Pipe, MRM 61:439 (2009): iteration.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
import numpy.typing as npt
import scipy.fft
from scipy.spatial import ConvexHull, QhullError, Voronoi

from recon_models.noncartesian.nufft import Nufft

Real = npt.NDArray[np.float32]

_ITERATIONS: Final = 20
_APART: Final = 1e-6  # cycles per pixel: samples closer than this are the same position
_GUARD: Final = 64  # points around the samples that close the outermost cells


def radial(trajectory: Real, shape: tuple[int, int]) -> Real:
    """Return the weights of spokes through the centre: the ramp, in closed form.

    A sample's cell reaches half the way to the spokes on either side and to its neighbours on the spoke. Its area is
    proportional to the distance from the centre and has a kink there. What the sum misses of the integral at a kink
    (Euler and Maclaurin: the second Bernoulli polynomial of where between two samples it lies) goes to the samples
    beside it: a sixth of a cell where one of them is the centre itself. A cell's whole area there would make large
    smooth objects up to 4 % too bright. This holds for objects up to half the field of view of a spoke, as readout
    oversampling makes it.

    Parameters
    ----------
    trajectory
        (spokes, samples, 2) cycles per pixel, evenly sampled straight lines; they may miss the centre a little.
    shape
        (y, x) of the image.

    Returns
    -------
    ndarray
        (spokes, samples) float32.
    """
    along = trajectory[:, -1] - trajectory[:, 0]
    length = np.maximum(np.hypot(*along.T), _APART)
    step = (length / max(trajectory.shape[1] - 1, 1))[:, None]
    wide = _sectors(np.arctan2(along[:, 1], along[:, 0]))[:, None]
    place = np.abs(np.einsum("nsk,nk->ns", trajectory, along)) / length[:, None] / step
    between = place % 1
    kink = (between**2 - between + 1 / 6) * np.maximum(1 - place, 0)
    return np.asarray(wide * step**2 * (place + kink) * math.prod(shape), np.float32)


def _sectors(angles: npt.NDArray[np.floating]) -> npt.NDArray[np.float64]:
    """Return the angle that each spoke, a whole line, has to itself; those in one direction share it."""
    folded = np.mod(angles, np.pi)
    folded[np.pi - folded < _APART] = 0.0
    order = np.argsort(folded)
    turned = np.diff(folded[order], append=folded[order[0]] + np.pi)
    wide = np.empty(len(angles))
    wide[order] = (turned + np.roll(turned, 1)) / 2
    _, which, number = np.unique(np.round(folded / _APART), return_inverse=True, return_counts=True)
    return np.asarray(np.bincount(which, wide)[which] / number[which])


def arms(trajectory: Real, shape: tuple[int, int]) -> Real:
    """Return the weights of arms that wind outwards from the centre, alike and turned evenly about it.

    Whatever their form, together they cover rings: the area between the radii half the way to the neighbours on an arm
    is shared by as many samples as there are arms.

    Parameters
    ----------
    trajectory
        (arms, samples, 2) cycles per pixel; radii do not fall along an arm.
    shape
        (y, x) of the image.

    Returns
    -------
    ndarray
        (arms, samples) float32.
    """
    radius = np.hypot(trajectory[..., 0], trajectory[..., 1]).astype(np.float64)
    between = (radius[:, 1:] + radius[:, :-1]) / 2
    last = 2 * radius[:, -1:] - between[:, -1:]
    inner = np.concatenate([np.zeros_like(last), between], axis=1)
    outer = np.concatenate([between, last], axis=1)
    area = np.pi * (outer**2 - inner**2) / len(trajectory)
    return np.asarray(area * math.prod(shape), np.float32)


def voronoi(trajectory: Real, shape: tuple[int, int]) -> Real:
    """Return the areas of the samples' Voronoi cells; those at the edge are as large as their neighbours inside.

    Parameters
    ----------
    trajectory
        (..., 2) cycles per pixel.
    shape
        (y, x) of the image.

    Raises
    ------
    ValueError
        If the samples enclose no area.
    """
    points, which, number = np.unique(
        np.round(trajectory.reshape(-1, 2) / _APART), axis=0, return_inverse=True, return_counts=True
    )
    points *= _APART
    try:
        cells = Voronoi(np.concatenate([points, _ring(points)]))
    except (QhullError, ValueError) as error:
        raise ValueError(f"{len(points)} different positions enclose no area of k-space") from error
    weights = (_areas(cells, len(points)) / number)[which.reshape(-1)]
    return np.asarray(weights.reshape(trajectory.shape[:-1]) * math.prod(shape), np.float32)


def _ring(points: npt.NDArray[np.float64]) -> npt.NDArray[np.float64]:
    """Return points around all others, as far outside as the outermost are from each other on average."""
    hull = points[ConvexHull(points).vertices]
    centre = hull.mean(axis=0)
    outward = hull - centre
    reach = np.hypot(*outward.T)
    gap = math.sqrt(math.pi * reach.max() ** 2 / len(points))
    turn = np.linspace(-np.pi, np.pi, max(_GUARD, round(2 * np.pi * reach.max() / gap)), endpoint=False)
    angles = np.arctan2(outward[:, 1], outward[:, 0])
    radius = np.interp(turn, np.sort(angles), reach[np.argsort(angles)], period=2 * np.pi) + gap
    return np.asarray(centre + radius[:, None] * np.stack([np.cos(turn), np.sin(turn)], axis=-1))


def _areas(cells: Voronoi, number: int) -> npt.NDArray[np.float64]:
    """Return the areas of the first cells, convex polygons whose corners are in order."""
    polygons = [cells.regions[region] for region in cells.point_region[:number]]
    lengths = np.array([len(polygon) for polygon in polygons])
    ends = np.cumsum(lengths)
    corner = cells.vertices[np.concatenate(polygons)]
    following = np.arange(1, ends[-1] + 1)
    following[ends - 1] = ends - lengths
    cross = corner[:, 0] * corner[following, 1] - corner[:, 1] * corner[following, 0]
    return np.asarray(np.abs(np.add.reduceat(cross, ends - lengths)) / 2)


def pipe_menon(trajectory: Real, shape: tuple[int, ...], iterations: int = _ITERATIONS) -> Real:
    """Return weights w with which samples convolved with a kernel C are one everywhere: w <- w / (C w).

    C is positive and as wide as the image's field of view makes it: the transform of the autocorrelation of a disc
    (ball) that fills the image. Any trajectory will do, also where cells of samples are hard to tell.

    Parameters
    ----------
    trajectory
        (..., dimensions) cycles per pixel.
    shape
        ([z], y, x) of the image.
    iterations
        Steps; the weights change little after ten.

    Returns
    -------
    ndarray
        (...) float32.
    """
    nufft = Nufft(trajectory, tuple(2 * n for n in shape))
    window = _autocorrelation(shape)
    weights = np.ones(trajectory.shape[:-1], np.float32)
    for _ in range(iterations):
        spread = nufft.forward(window * nufft.adjoint(weights.astype(np.complex64)))
        weights /= np.maximum(spread.real, np.finfo(np.float32).tiny)
    return weights / np.float32(2 ** len(shape))  # of the doubled grid's cells into those of the image's


def _autocorrelation(shape: tuple[int, ...]) -> Real:
    """Return that of a disc (ball) that fills the image, on a grid twice as large, one at its centre."""
    axes = np.meshgrid(*((np.arange(2 * n) - n) / (n / 2) for n in shape), indexing="ij")
    inside = np.asarray(sum(axis**2 for axis in axes) <= 1, np.float32)
    spectrum = scipy.fft.rfftn(inside)
    power = scipy.fft.fftshift(scipy.fft.irfftn(np.abs(spectrum) ** 2, tuple(2 * n for n in shape)))
    return np.asarray(power / power.max(), np.float32)
