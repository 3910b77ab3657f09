"""Images formed line by line are those transformed at once."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streams import causes, nrmse, read, run

from inline.header import Encoding, Limit, Space
from inline.pipelines.cartesian import cartesian
from inline.scanner.simulate import simulate
from inline.stages.grid import Grid
from inline.stages.transform import Forming, on_grid, shown
from recon_models.cartesian.combine import root_sum_of_squares


def grid_of(lines, field_of_view_m, rows, shown_m):
    encoded = Space(matrix=(12, lines, 1), field_of_view_m=(0.2, field_of_view_m, 0.005))
    recon = Space(matrix=(12, rows, 1), field_of_view_m=(0.2, shown_m, 0.005))
    return Grid.of(
        Encoding(encoded=encoded, recon=recon, limits={"kspace_encoding_step_1": Limit(0, lines - 1, lines // 2)})
    )


@pytest.mark.parametrize(
    ("lines", "field_of_view_m", "rows", "shown_m"),
    [
        (32, 0.2, 32, 0.2),
        (33, 0.2, 33, 0.2),
        (32, 0.2, 48, 0.2),
        (48, 0.2, 31, 0.2),
        (40, 0.25, 32, 0.2),
        (130, 0.26, 128, 0.2),
    ],
)
@pytest.mark.parametrize("first", [0, 20])
def test_formed_images_are_those_transformed_at_once(lines, field_of_view_m, rows, shown_m, first):
    grid = grid_of(lines, field_of_view_m, rows, shown_m)
    random = np.random.default_rng(lines)
    whole = random.standard_normal((3, 1, lines, 12, 2)).astype(np.float32).view(np.complex64)[..., 0]
    order = random.permutation(lines)
    there = np.zeros(lines, bool)
    there[order[:first]] = True
    forming = Forming(whole * there[:, None], there, grid)
    there[:] = True
    expected = root_sum_of_squares(shown(on_grid(whole, grid), grid))
    np.testing.assert_allclose(forming.magnitude(whole, there), expected[0], rtol=1e-4, atol=1e-4)


def test_a_line_that_comes_again_while_the_image_is_formed_is_averaged(tmp_path):
    path = tmp_path / "scan.h5"
    simulate("cartesian", path, coils=4, matrix=48, snr=200.0)
    scan, readouts = read(path)
    (expected,), _ = run(cartesian, readouts, scan)
    line = readouts[-6]
    readouts[-6] = replace(line, samples=-line.samples)
    readouts.insert(-2, replace(line, samples=3 * line.samples))
    (image,), findings = run(cartesian, readouts, scan)
    assert causes(findings) == []
    assert nrmse(image.pixels, expected.pixels) < 1e-5
