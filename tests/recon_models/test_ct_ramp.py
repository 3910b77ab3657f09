"""The ramp filter: its kernels in space, what it does to a disc and to a constant, and its windows."""

from __future__ import annotations

import numpy as np
import pytest

from recon_models.ct.ramp import WINDOWS, filtered, padded, response, window


@pytest.mark.parametrize("angular", [False, True])
def test_filtering_is_the_sum_over_the_kernel_in_space(angular: bool) -> None:
    """Kak and Slaney, eq. 61 and eq. 100, written out as a matrix."""
    columns, spacing = 41, 2e-3
    n = np.subtract.outer(np.arange(columns), np.arange(columns))
    distance = np.sin(n * spacing) if angular else n * spacing
    with np.errstate(divide="ignore"):
        kernel = np.where(n % 2 == 1, -1 / (np.pi * distance) ** 2, 0) + np.eye(columns) / (4 * spacing**2)
    views = np.random.default_rng(0).standard_normal((3, 2, columns)).astype(np.float32)
    wanted = views @ kernel.T * spacing
    found = filtered(views, response(columns, spacing, angular=angular))
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, wanted, atol=1e-5 * np.abs(wanted).max())


def test_a_disc_is_filtered_to_a_plateau_of_its_attenuation() -> None:
    """A view of a disc is 2 mu sqrt(r^2 - s^2); half a turn of its filtered views is mu within, so each is mu / pi."""
    columns, spacing, mu, radius = 736, 0.5e-3, 19.2, 0.1
    s = (np.arange(columns) - (columns - 1) / 2) * spacing
    view = (2 * mu * np.sqrt(np.maximum(radius**2 - s**2, 0))).astype(np.float32)
    plateau = filtered(view, response(columns, spacing))[np.abs(s) < 0.9 * radius]
    assert plateau.mean() * np.pi == pytest.approx(mu, rel=1e-3)


@pytest.mark.parametrize("kernel", WINDOWS)
def test_no_kernel_changes_the_number_of_a_wide_object(kernel: str) -> None:
    assert window(kernel, np.array(0.0)) == pytest.approx(1)
    assert window(kernel, np.array(1.1)) == 0
    assert response(100, 1e-3, kernel)[0] == pytest.approx(response(100, 1e-3)[0])


def test_kernels_rank_from_soft_to_sharp() -> None:
    """By the white noise they let through."""
    power = {kernel: float(np.sum(response(736, 1e-3, kernel) ** 2)) for kernel in WINDOWS}
    assert sorted(power, key=power.__getitem__) == ["soft", "hann", "shepp-logan", "ram-lak", "sharp"]


def test_the_ends_of_a_view_do_not_meet() -> None:
    view = np.zeros(90, np.float32)
    view[0] = 1
    far = filtered(view, response(90, 1.0))[89]
    assert padded(90) >= 2 * 90 - 1
    assert far == pytest.approx(-1 / (np.pi * 89) ** 2, rel=1e-3)


def test_an_unknown_kernel_is_named() -> None:
    with pytest.raises(ValueError, match="bone"):
        response(10, 1.0, "bone")
