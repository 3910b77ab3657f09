"""Backprojection of the views of a helical cone beam into a stack of slices.

The rays of every row have been sorted into parallel ones (`rebinning`): seen along the axis a view is parallel, and its
source is not a point but the piece of helix that its rays come from. A point is seen several times under one direction
or the opposite one, half turns apart. Each sighting counts for W(q) over the sum of W of all of them, q being its
height on the detector, -1 and 1 at the ends: W is 1 in the middle and falls to 0 at the ends. So each direction counts
once, no view is wasted, and none ends abruptly. The other sightings need not have come yet: the helix says where they
will lie.

Layout and blending are those of `cone`.

Source: Stierstorfer et al., "Weighted FBP - a simple approximate 3D FBP algorithm for multislice spiral CT with good
dose usage for arbitrary pitch", Phys Med Biol 49:2209 (2004), eqs. 8-13. There W falls as a squared cosine; the cubic
used here differs from it by less than 0.011 and needs no cosine.
"""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from hardware.device import Array
from hardware.kernels import cuda
from hardware.kernels.cone import blend, check, split
from hardware.kernels.cpu import compiled, inlined
from hardware.kernels.projection import shared

Real = npt.NDArray[np.float32]

NUMBERS = 11
"""That describe a view of a helix."""

FAR = np.float32(64)
"""Half turns, at most, from a sighting to another of the same point; a pitch so small is none."""


def backproject_helix(
    stack: Array,
    views: Array,
    geometry: Array,
    heights: Array,
    *,
    radius: float,
    feed: float,
    full: float,
    curved: bool,
) -> None:
    """Add parallel views of a helical scan to a stack of slices, in place.

    Parameters
    ----------
    stack
        (y, x, slices) float32, contiguous.
    views
        (n, columns, rows) float32, filtered.
    geometry
        (n, 11) float32. Of each view, lengths in one unit: 0-2 how far pixel (x, y) lies from the axis across the rays,
        3-5 how far along them, as origin and steps along x and y; 6 the column through the axis; 7 columns for each
        unit; 8 height of the source whose ray meets the axis; 9 row at that height; 10 rows for each unit of height
        over distance.
    heights
        (slices,) float32, growing.
    radius, feed
        Of the source's orbit, and along the axis in a turn; 0 for a circle.
    full
        |q| up to which W is 1; below 1.
    curved
        Whether columns lie on a cylinder about the source; on a flat detector rows rise over the distance along the
        central ray.

    Raises
    ------
    ValueError
        If a shape or type is another.
    """
    check(stack, views, geometry, heights, NUMBERS)
    (height, width, slices), (count, columns, rows) = stack.shape, views.shape
    scalars = np.float32(radius), np.float32(feed), np.float32(full), np.int32(curved)
    arrays = (stack, views, geometry, heights)
    if cuda.on_gpu(stack):
        arguments = (*arrays, *scalars, *map(np.int32, (count, columns, rows, height, width, slices)))
        return cuda.launch("backproject_helix", (height, width * slices), arguments)
    return shared(
        lambda begin, end: _backproject(*arrays, *scalars, begin, end),
        height,
        count * stack.size,
    )


@inlined
def _turns(low: np.float32, high: np.float32, step: np.float32) -> tuple[int, int]:
    """Return the first and last m for which some q + m step, q from low to high, lies within the detector."""
    if not step > 0:
        return 0, 0
    first = np.ceil((np.float32(-1) - high) / step)
    last = np.floor((np.float32(1) - low) / step)
    first = first if first > -FAR else -FAR
    last = last if last < FAR else FAR
    return int(first), int(last)


@inlined
def _weigh(
    sums: Real, heights: Real, low: int, high: int, origin: np.float32, slope: np.float32, steep: np.float32
) -> None:
    """Add W of one sighting at each height."""
    for z in range(low, high):
        weight = (np.float32(1) - abs(origin + slope * heights[z])) * steep
        weight = weight if weight > 0 else np.float32(0)
        weight = weight if weight < 1 else np.float32(1)
        sums[z] += weight * weight * (np.float32(3) - np.float32(2) * weight)


@inlined
def _weigh_all(
    sums: Real,
    heights: Real,
    low: int,
    high: int,
    origin: np.float32,
    slope: np.float32,
    feed: np.float32,
    steep: np.float32,
) -> None:
    """Add W of a sighting and of all those whole turns away."""
    step, first, last = abs(slope * feed), origin + slope * heights[low], origin + slope * heights[high - 1]
    begun, ended = _turns(min(first, last), max(first, last), step)
    for m in range(begun, ended + 1):
        _weigh(sums, heights, low, high, origin + np.float32(m) * step, slope, steep)


@inlined
def _within(heights: Real, low: int, high: int, bottom: np.float32, top: np.float32) -> tuple[int, int]:
    """Return the slices between two heights, from those of the pixel before, which are never far."""
    while low > 0 and heights[low - 1] > bottom:
        low -= 1
    while low < heights.size and heights[low] <= bottom:
        low += 1
    while high < heights.size and heights[high] < top:
        high += 1
    while high > low and heights[high - 1] >= top:
        high -= 1
    return low, high


@compiled("void(f4[:,:,::1], f4[:,:,::1], f4[:,::1], f4[::1], f4, f4, f4, i4, i8, i8)")
def _backproject(
    stack: Real,
    views: Real,
    geometry: Real,
    heights: Real,
    radius: np.float32,
    feed: np.float32,
    full: np.float32,
    curved: np.int32,
    begin: int,
    end: int,
) -> None:
    (_, width, slices), (_, columns, rows) = stack.shape, views.shape
    profile, own, sums = np.empty(rows + 1, np.float32), np.empty(slices, np.float32), np.empty(slices, np.float32)
    at, part = np.empty(slices, np.int32), np.empty(slices, np.float32)
    one, middle, half, top = np.float32(1), np.float32(0.5 * (rows - 1)), np.float32(0.5 * rows), np.float32(rows - 1)
    steep = one / (one - full)
    low = high = 0
    for y in range(begin, end):
        for x in range(width):
            pixel = stack[y, x]
            for n in range(len(views)):
                g = geometry[n]
                across = g[0] + g[1] * np.float32(x) + g[2] * np.float32(y)
                along = g[3] + g[4] * np.float32(x) + g[5] * np.float32(y)
                place, chord = g[6] + g[7] * across, np.sqrt(radius * radius - across * across)
                if not (chord > abs(along) and -1 < place < columns):
                    continue
                lag = np.float32(feed * math.asin(across / radius) / (2 * math.pi))
                scale = g[10] if curved else g[10] * radius / chord
                rise, other = scale / (chord + along), scale / (chord - along)
                slope = rise / half
                first = g[9] - rise * (g[8] - lag)
                origin, reach = (first - middle) / half, one / abs(slope)
                low, high = _within(heights, low, high, -origin / slope - reach, -origin / slope + reach)
                if low >= high:
                    continue
                opposite = (g[9] - other * (g[8] + lag + np.float32(0.5) * feed) - middle) / half
                own[low:high] = 0
                _weigh(own, heights, low, high, origin, slope, steep)
                sums[low:high] = 0
                _weigh_all(sums, heights, low, high, origin, slope, feed, steep)
                _weigh_all(sums, heights, low, high, opposite, other / half, feed, steep)
                blend(profile, views[n], place, one)
                for z in range(low, high):
                    split(at, part, z, first + rise * heights[z], top)
                for z in range(low, high):
                    row = np.uintp(at[z])
                    value = profile[row] + part[z] * (profile[row + np.uintp(1)] - profile[row])
                    if sums[z] > 0:
                        pixel[z] += value * (own[z] / sums[z])
