"""A b-table that cannot be right is refused in words; one that can is made so that a fit can use it."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.diffusion.btable import BTableError, btable
from recon_models.physics.diffusion import directions, spin_echo_table, steam_table

AXES = np.concatenate((np.zeros((1, 3)), directions(6)))
B = np.array([0.0] + [450e6] * 6)


def test_rows_and_columns_are_both_read():
    for axes in (AXES, AXES.T):
        table = btable(B, axes, images=7)
        np.testing.assert_allclose(table.directions, AXES)
        assert list(table.unweighted) == [True] + [False] * 6


def test_lengths_that_printing_rounded_are_set_right():
    table = btable(B, np.round(AXES, 2))
    np.testing.assert_allclose(np.linalg.norm(table.directions[1:], axis=1), 1, atol=1e-12)


def test_the_direction_of_an_unweighted_image_does_not_matter():
    axes = AXES.copy()
    axes[0] = np.nan
    assert not np.any(btable(B, axes).directions[0])


@pytest.mark.parametrize(
    ("b", "axes", "images", "words"),
    [
        ([], np.zeros((0, 3)), None, "empty"),
        (B, AXES[:-1], None, "7 b-values but directions"),
        (B, AXES, 9, "7 entries, the scan has 9"),
        (B, 0.7 * AXES, None, "direction of image 1 has length 0.7"),
        (B, np.where(np.arange(7)[:, None] == 3, np.nan, AXES), None, "direction of image 3"),
        (B + 450e6, AXES[[1, 1, 2, 3, 4, 5, 6]], None, "no image is unweighted"),
        (np.where(np.arange(7) == 2, np.nan, B), AXES, None, "b-value of image 2"),
        (-B, AXES, None, "b-value of image 1"),
        (B, AXES[[0, 1, 1, 2, 3, 4, 5]], None, "5 of a tensor's 6"),
        (B, np.concatenate((AXES[:1], np.eye(3), -np.eye(3))), None, "3 of a tensor's 6"),
    ],
)
def test_what_cannot_be_right_is_refused(b, axes, images, words):
    with pytest.raises(BTableError, match=words):
        btable(b, axes, images)


@pytest.mark.parametrize("number", [6, 12, 30])
def test_directions_keep_their_distance(number):
    axes = directions(number)
    cosines = np.abs(axes @ axes.T) - np.eye(number)
    assert np.degrees(np.arccos(cosines.max())) > {6: 62, 12: 35, 30: 22}[number]


def test_turning_the_table_turns_the_directions():
    turn = np.array([[0.0, -1, 0], [1, 0, 0], [0, 0, 1]])
    np.testing.assert_allclose(spin_echo_table().rotated(turn).directions, spin_echo_table().directions @ turn.T)


def test_the_usual_tables_can_be_fitted():
    for table in (spin_echo_table(6), spin_echo_table(12, unweighted=3), steam_table()):
        assert len(btable(table.b, table.directions)) == len(table)
