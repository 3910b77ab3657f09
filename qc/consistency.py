"""Whether the views of a CT scan belong to one body that lay still: moments of parallel views, rays measured twice.

Two conditions that the views of any unmoving body meet. The moments of its parallel projections P(theta, s),

    M0(theta) = int P ds                 is the same under every angle,
    M1(theta) = int s P ds               goes as a cos(theta) + b sin(theta): M1 / M0 is the centre of mass, seen,

and a ray is measured twice in a turn, from either end: p(gamma, beta) = p(-gamma, beta + pi + 2 gamma).
Both are followed while views arrive. A fan view is spread over the parallel ones that its rays belong to,
theta = beta + gamma, so that moments need a few numbers per angle and no sinogram; the second ray of a pair meets the
first among the views of the last half turn, the only ones that are kept.

Sources: Helgason, "The Radon Transform" (1980); Ludwig, Comm Pure Appl Math 19:49 (1966); for motion in CT Yu and Wang,
Med Phys 34:1355 (2007).
"""

from __future__ import annotations

import math
from typing import Final, NamedTuple

import numpy as np
import numpy.typing as npt

from hardware.kernels.cpu import compiled
from recon_models.ct.geometry import Scanner, Shape

Real = npt.NDArray[np.float64]
Values = npt.NDArray[np.float32]
Whole = npt.NDArray[np.int64]

LEAST_SPREAD: Final = 0.5
"""Part of a turn, in parallel angles, from where on a centre of mass that moves can be told from one at rest."""


class Course(NamedTuple):
    """How the mass seen and its centre went, and where the centre jumped if it jumped once.

    Attributes
    ----------
    residual_m
        Root mean square of what a body at rest leaves unexplained, noise taken off twice: rays through much of the body
        have more than the photons tell.
    jump_m
        How far the two halves' centres of mass lie apart.
    view
        Number of the view at the jump.
    mass
        Relative deviation of the mass seen, root mean square, noise taken off.
    """

    residual_m: float
    jump_m: float
    view: int
    mass: float


class Moments:
    """Moments of the parallel views of the last full turn.

    Parameters
    ----------
    scanner
        Which rays there are.
    step_rad
        Angle from view to view, negative where the source turns backwards.
    """

    def __init__(self, scanner: Scanner, step_rad: float) -> None:
        gamma = scanner.fan_angles()
        s = scanner.source_to_axis_m * np.sin(gamma)
        places = gamma / step_rad
        self._first = math.floor(places.min())
        self._span = math.floor(places.max()) - self._first + 2
        self._column = np.floor(places).astype(np.int64) - self._first
        self._part = places - np.floor(places)
        width_m = scanner.source_to_axis_m * np.cos(gamma) * _fan_step_rad(scanner, gamma)
        self._weights = np.stack([width_m, s * width_m])
        self._step_rad = step_rad
        self._length = scanner.views_per_turn + self._span
        self._sums = np.zeros((self._length, 4))
        self._seen = np.zeros(self._length, np.int64)
        self._latest = -1

    def add(self, number: int, values: Values) -> None:
        """Add one view.

        Parameters
        ----------
        number
            Of the view, counted in steps of angle from the first; must grow.
        values
            (columns,) float32 line integrals in the plane of the axis' middle.
        """
        for row in range(max(self._latest + 1, number - self._length + 1), number + 1):
            at = (row + self._span - 1) % self._length  # the furthest angle this view reaches is new
            self._sums[at], self._seen[at] = 0, 0
        self._latest = number
        _spread(values, self._column, self._part, self._weights, self._sums, number % self._length)
        rows = (number + np.arange(self._span)) % self._length
        self._seen[rows] += 1

    def judge(self, photons: float) -> Course | None:
        """Compare the angles that are complete with a body at rest; None while they are too few.

        Parameters
        ----------
        photons
            Through air at an element: how much noise there is; infinite for none.
        """
        last = self._latest  # the angle of index n is complete once view n has come
        numbers = np.arange(max(last - (self._length - self._span) + 1, 0), last + 1)
        rows = numbers % self._length
        numbers, rows = (part[self._seen[rows] == self._span] for part in (numbers, rows))
        mass, moment, noise_mass, noise = self._sums[rows].T
        if len(rows) < LEAST_SPREAD * (self._length - self._span) or mass.min() <= 0:
            return None
        mean = float(mass.mean())
        theta = (numbers + self._first) * self._step_rad
        waves = np.stack([np.cos(theta), np.sin(theta)])
        centre = moment / mass
        found = _residual(waves, centre)
        expected = float(noise.mean()) / (photons * mean**2)
        jump, after = _split(waves, centre)
        return Course(
            residual_m=math.sqrt(max(found - 2 * expected, 0.0)),
            jump_m=jump,
            view=int(numbers[after] + self._first),
            mass=math.sqrt(max(float(mass.var()) / mean**2 - float(noise_mass.mean()) / (photons * mean**2), 0.0)),
        )


class Conjugates:
    """Pairs of rays that run along one line in opposite directions, the second of which has just come.

    Parameters
    ----------
    scanner
        Which rays there are.
    step_rad
        Angle from view to view.
    """

    def __init__(self, scanner: Scanner, step_rad: float) -> None:
        gamma = scanner.fan_angles()
        before = (2 * gamma - math.copysign(math.pi, step_rad)) / step_rad
        mirrored = scanner.columns(-gamma)
        paired = (mirrored >= 1) & (mirrored < len(gamma) - 2)
        self._columns = np.flatnonzero(paired)
        self._column, self._across = _floor(mirrored[paired])
        self._view, self._along = _floor(before[paired])
        self._kept = -int(self._view.min(initial=-1)) + 1
        self._views = np.zeros((self._kept, len(gamma)), np.float32)
        self._numbers = np.full(self._kept, -1, np.int64)

    def add(self, number: int, values: Values, photons: Real) -> float | None:
        """Add one view and compare it with those it meets.

        Parameters
        ----------
        number
            Of the view, counted in steps of angle from the first.
        values
            (columns,) float32 line integrals in the plane of the source.
        photons
            (columns,) float64 through air at each element.

        Returns
        -------
        float or None
            Mean square of the differences over their variance, that of the noise and of linear interpolation: 1 or less
            for a body at rest. None while there is no pair.
        """
        at = number % self._kept
        self._views[at], self._numbers[at] = values, number
        total, pairs = _compare(
            values, self._views, self._numbers, number, self._columns, self._column, self._across, self._view,
            self._along, photons,
        )  # fmt: skip
        return total / pairs if pairs else None


def _floor(places: Real) -> tuple[npt.NDArray[np.int64], Real]:
    whole = np.floor(places)
    return whole.astype(np.int64), np.asarray(places - whole)


def _fan_step_rad(scanner: Scanner, gamma: Real) -> Real:
    """Angle that a column covers."""
    step = scanner.detector.column_m / scanner.source_to_detector_m
    return np.asarray(
        np.full_like(gamma, step) if scanner.detector.shape is Shape.CURVED else step * np.cos(gamma) ** 2
    )


def _residual(waves: Real, centre: Real) -> float:
    """Mean square of what a cosine and a sine leave of the centre of mass."""
    fit = np.linalg.lstsq(waves.T, centre, rcond=None)[0]
    return float(np.mean((centre - fit @ waves) ** 2))


def _split(waves: Real, centre: Real) -> tuple[float, int]:
    """Fit one centre of mass up to some angle and another from there on, wherever that explains most.

    Returns
    -------
    tuple
        Distance of the two centres, index of the first angle of the second.
    """
    products = np.stack([waves[0] ** 2, waves[0] * waves[1], waves[1] ** 2, waves[0] * centre, waves[1] * centre])
    before = np.cumsum(products, 1)
    after = before[:, -1:] - before
    least = max(len(centre) // 8, 2)  # fewer do not fix a centre
    inner = slice(least, len(centre) - least)
    first, second = _solve(before[:, inner]), _solve(after[:, inner])
    explained = (first * before[3:, inner]).sum(0) + (second * after[3:, inner]).sum(0)
    best = int(np.argmax(explained))
    return float(np.hypot(*(second - first)[:, best])), best + least + 1


def _solve(sums: Real) -> Real:
    """Solve the normal equations of a cosine and a sine: (2, angles)."""
    cc, cs, ss, c, s = sums
    determinant = np.maximum(cc * ss - cs**2, np.finfo(float).tiny)
    return np.asarray(np.stack([ss * c - cs * s, cc * s - cs * c]) / determinant)


@compiled("void(float32[::1], int64[::1], float64[::1], float64[:, ::1], float64[:, ::1], int64)")
def _spread(
    values: Values, column: Whole, part: Real, weights: Real, sums: Real, start: int
) -> None:  # pragma: no cover
    """Add a fan view to the parallel ones on either side of each of its rays: mass, moment, and the noise of both."""
    length = sums.shape[0]
    for j in range(values.size):
        at = (start + column[j]) % length
        beyond = (at + 1) % length
        variance = math.exp(min(values[j], 30.0))
        for order in range(2):
            one = weights[order, j]
            near, far = one * (1 - part[j]), one * part[j]
            sums[at, order] += near * values[j]
            sums[beyond, order] += far * values[j]
            sums[at, 2 + order] += near * near * variance
            sums[beyond, 2 + order] += far * far * variance


@compiled(
    "Tuple((float64, int64))(float32[::1], float32[:, ::1], int64[::1], int64, int64[::1], int64[::1], float64[::1],"
    "int64[::1], float64[::1], float64[::1])"
)
def _compare(
    values: Values,
    views: Values,
    numbers: Whole,
    number: int,
    columns: Whole,
    column: Whole,
    across: Real,
    view: Whole,
    along: Real,
    photons: Real,
) -> tuple[float, int]:  # pragma: no cover
    """Sum squared differences of rays from those that run the other way, over their variance.

    A quarter of the second difference is what linear interpolation may be off by where a body begins.
    """
    total, pairs = 0.0, 0
    kept = views.shape[0]
    for k in range(columns.size):
        earlier = number + view[k]
        if earlier < 0 or numbers[earlier % kept] != earlier or numbers[(earlier + 1) % kept] != earlier + 1:
            continue
        mine = values[columns[k]]
        other, variance, bend = 0.0, math.exp(min(mine, 30.0)) / photons[columns[k]], 0.0
        for row in range(2):
            weight = along[k] if row else 1 - along[k]
            ray = views[(earlier + row) % kept]
            j = column[k]
            here, beyond = ray[j], ray[j + 1]
            other += weight * ((1 - across[k]) * here + across[k] * beyond)
            share = weight * weight * ((1 - across[k]) ** 2 + across[k] ** 2)
            variance += share * math.exp(min(0.5 * (here + beyond), 30.0)) / photons[j]
            bend = max(bend, abs(ray[j - 1] - 2 * here + beyond), abs(here - 2 * beyond + ray[j + 2]))
        total += (mine - other) ** 2 / (variance + bend**2 / 16)
        pairs += 1
    return total, pairs
