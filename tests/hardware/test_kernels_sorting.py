"""Sorting rays from fan to parallel beam: against its definition in NumPy, view by view and ray by ray."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.interpolate import lagrange

from hardware.kernels.sorting import TICKS, deposit, enter

COLUMNS, WIDTH, HALF = 40, 60, 16


def test_a_view_enters_weighted_and_falls_to_nothing_beyond_its_ends() -> None:
    random = np.random.default_rng(0)
    values, weight = random.random((2, COLUMNS), np.float32), random.random(COLUMNS, np.float32)
    place = np.linspace(-1, COLUMNS, WIDTH)
    column = np.floor(place).astype(np.int32)
    angle = random.integers(-999, 999, WIDTH).astype(np.int32)
    rays, nodes = np.empty((3, WIDTH), np.float32), np.empty(WIDTH, np.int32)
    part = (place - column).astype(np.float32)
    enter(rays, nodes, values[:, ::1], np.pad(weight, (1, 2)), column, part, angle, 5)
    channels = [weight, weight * values[0], weight * values[1]]
    wanted = [np.interp(place, np.arange(-1, COLUMNS + 1), np.pad(channel, 1)) for channel in channels]
    np.testing.assert_allclose(rays, wanted, atol=1e-6)
    np.testing.assert_array_equal(nodes, angle + 5)


@pytest.mark.parametrize("cubic", [True, False])
@pytest.mark.parametrize("apart", [700, TICKS, 3 * TICKS])
def test_rows_between_two_views_are_interpolated_through_four(apart: int, cubic: bool) -> None:
    random = np.random.default_rng(1)
    start = random.integers(0, 2 * HALF * TICKS, WIDTH) // 8 + 8 * TICKS  # rows on either side of half a turn
    steps = apart + random.integers(-apart // 4, apart // 4, 4)
    nodes = (start + np.cumsum(steps)[:, None]).astype(np.int32)
    ring = random.standard_normal((4, 2, WIDTH)).astype(np.float32)
    rows, wanted = np.zeros((HALF, 2, WIDTH), np.float32), np.zeros((HALF, 2, WIDTH))
    oldest = 2
    order = [(oldest + n) % 4 for n in range(4)]
    deposit(rows, ring[np.argsort(order)], np.ascontiguousarray(nodes[np.argsort(order)]), oldest, cubic)
    used = slice(0, 4) if cubic else slice(1, 3)
    for j in range(WIDTH):
        for row in range(-(-int(nodes[1, j]) // TICKS), -(-int(nodes[2, j]) // TICKS)):
            at = WIDTH - 1 - j if (row // HALF) % 2 else j
            for channel in range(2):
                places = nodes[used, j] / TICKS - row
                wanted[row % HALF, channel, at] += lagrange(places, ring[used, channel, j])(0.0)
    assert np.abs(wanted).max() > 0.5
    np.testing.assert_allclose(rows, wanted, atol=2e-5)
