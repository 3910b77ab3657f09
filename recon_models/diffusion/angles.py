"""How heart muscle is arranged: helix angle, sheetlet angle E2A, and how the helix turns through the wall.

The helix angle is that of the first eigenvector, seen in the tangent plane of the wall, from the circumferential
direction; positive where myocytes are a right-handed helix, as at a healthy endocardium. E2A is that of the second
eigenvector, seen in the plane across the myocytes, from the wall's tangent plane.

Sources: Streeter et al., Circ Res 24:339 (1969); Ferreira et al., J Cardiovasc Magn Reson 16:87 (2014) and
Nielles-Vallespin et al., J Am Coll Cardiol 69:661 (2017) for E2A.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Real = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]

_STEEPEST = 4.0  # degrees per percent of depth that a wall is searched for
_FEWEST = 20  # pixels


def helix_angle(first: Real, frame: Real) -> Real:
    """Return the helix angle, -pi/2 to pi/2.

    Parameters
    ----------
    first
        (3, ...) first eigenvectors.
    frame
        (3, 3, ...) radial, circumferential, longitudinal, as from `recon_models.diffusion.frame.wall_frame`.
    """
    return axial(np.arctan2(_along(first, frame[2]), _along(first, frame[1])))


def sheetlet_angle(first: Real, second: Real, frame: Real) -> Real:
    """Return E2A, -pi/2 to pi/2, of (3, ...) first and second eigenvectors; what is reported is mostly its size."""
    helix = helix_angle(first, frame)
    across = np.cos(helix) * frame[2] - np.sin(helix) * frame[1]
    return axial(np.arctan2(_along(second, frame[0]), _along(second, across)))


def axial(angle: npt.NDArray[np.floating]) -> Real:
    """Bring the angle of an axis, which has no sign, to -pi/2 ... pi/2."""
    return np.asarray(np.mod(angle + np.pi / 2, np.pi) - np.pi / 2, np.float64)


def between(one: npt.NDArray[np.floating], other: npt.NDArray[np.floating]) -> Real:
    """Return how far two axes of given angles lie apart, 0 to pi/2."""
    return np.abs(axial(np.asarray(one) - np.asarray(other)))


def transmurality(helix: Real, depth: Real, where: Mask) -> float:
    """Return by how much the helix angle falls from endocardium to epicardium, degrees per percent of the wall.

    Parameters
    ----------
    helix
        (y, x) helix angle, rad.
    depth
        (y, x) 0 at the endocardium, 1 at the epicardium.
    where
        (y, x) pixels to use; those without a depth are left out.

    Returns
    -------
    float
        Positive in health; NaN for fewer than 20 pixels.

    Notes
    -----
    Angles of axes wrap at 90 degrees, so no straight line is fitted to them: the slope is that at which the axes of all
    pixels, turned back by slope times depth, agree best (the likeliest under von Mises' distribution).
    """
    use = where & np.isfinite(depth) & np.isfinite(helix)
    if np.count_nonzero(use) < _FEWEST:
        return float("nan")
    turn, place = 2 * helix[use], 100 * (depth[use] - 0.5)
    step = 0.02
    slopes = np.arange(-_STEEPEST, _STEEPEST + step / 2, step)
    agreement = np.abs(np.exp(1j * (turn + 2 * np.radians(slopes)[:, None] * place)).mean(axis=1))
    best = int(np.clip(np.argmax(agreement), 1, len(slopes) - 2))
    left, middle, right = agreement[best - 1 : best + 2]
    bend = left - 2 * middle + right
    return float(slopes[best] + (0.5 * step * (left - right) / bend if bend < 0 else 0.0))


def _along(vector: Real, direction: Real) -> Real:
    return np.asarray(np.sum(vector * direction, axis=0))
