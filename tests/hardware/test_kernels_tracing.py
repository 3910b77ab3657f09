"""Sums along rays as the CPU runs them: against their twins, each other, the truth, and with nonsense."""

from __future__ import annotations

import numpy as np
import pytest

from hardware.kernels import projection, spread, trace, tracing, twins

F = np.float32


def fan(views=9, columns=31, shape=(23, 17), fan_rad=0.5, seed=4):
    """Rays of a fan from all round, of which some miss the image, an image and sums of noise."""
    random = np.random.default_rng(seed)
    beta = np.concatenate([[0, np.pi / 2, np.pi / 4], random.uniform(-np.pi, np.pi, views)])[:views, None]
    gamma = np.linspace(-fan_rad, fan_rad, columns) + 0.01
    cosine, sine = np.cos(beta + gamma), np.sin(beta + gamma)
    distance = 60 * np.sin(gamma) + cosine * (shape[1] - 1) / 2 + sine * (shape[0] - 1) / 2
    rays = np.stack([cosine, sine, distance], axis=-1).astype(F)
    return random.standard_normal(shape).astype(F), random.standard_normal((views, columns)).astype(F), rays


SCENES = [{}, {"views": 1, "columns": 1}, {"shape": (1, 1)}, {"shape": (3, 40)}, {"columns": 300, "views": 3}]


@pytest.mark.parametrize("options", SCENES)
def test_sums_and_their_adjoint_are_their_twins(options):
    image, sums, rays = fan(**options)
    np.testing.assert_allclose(trace(image, rays), twins.trace(image, rays), atol=3e-4)
    np.testing.assert_allclose(spread(sums, rays, image.shape), twins.spread(sums, rays, image.shape), atol=1e-3)


@pytest.mark.parametrize("options", SCENES)
def test_one_is_the_adjoint_of_the_other(options):
    image, sums, rays = fan(**options)
    traced = trace(image, rays)
    scale = np.linalg.norm(traced) * np.linalg.norm(sums) + 1e-9
    assert abs(np.vdot(traced, sums) - np.vdot(image, spread(sums, rays, image.shape))) <= 1e-5 * scale


def test_a_disc_has_its_chords():
    _, _, rays = fan(views=20, columns=101, shape=(128, 128), fan_rad=0.6)
    y, x = np.mgrid[:128, :128] - 63.5
    disc = np.clip(40.5 - np.hypot(x, y), 0, 1).astype(F)
    distance = rays[..., 2] - 63.5 * (rays[..., 0] + rays[..., 1])
    inside = np.abs(distance) < 35
    chords = 2 * np.sqrt(np.maximum(40**2 - distance**2, 0))
    np.testing.assert_allclose(trace(disc, rays)[inside], chords[inside], atol=0.5)


def test_shared_work_gives_the_same_result(monkeypatch):
    image, sums, rays = fan()
    alone = trace(image, rays), spread(sums, rays, image.shape)
    monkeypatch.setattr(projection, "_WORTH_A_THREAD", 1)
    monkeypatch.setattr(projection, "cores", lambda: 3)
    np.testing.assert_array_equal(trace(image, rays), alone[0])
    np.testing.assert_allclose(spread(sums, rays, image.shape), alone[1], atol=1e-4)


@pytest.mark.parametrize("nonsense", [np.nan, np.inf, -np.inf, 3e38, 0])
def test_rays_that_make_no_sense_reach_no_memory_beyond(nonsense):
    """Compiled code does not look where it reads; the same code, interpreted, does."""
    image, sums, rays = fan(views=3, columns=9, shape=(4, 5))
    rays.reshape(-1, 3)[np.arange(27), np.arange(27) % 3] = nonsense
    rays[0] = nonsense
    down, across = np.pad(image, (1, 2)), np.pad(image, (1, 2)).T.copy()
    with np.errstate(all="ignore"):
        tracing._trace.py_func(sums, down, across, rays, 0, 3)
        tracing._spread.py_func(down, across, sums, rays, 0, 3)
    trace(image, rays)
    spread(sums, rays, image.shape)


@pytest.mark.parametrize(
    ("change", "name"),
    [
        (lambda s, r: (s.astype(float), r), "sums"),
        (lambda s, r: (s[:-1], r), "sums"),
        (lambda s, r: (s, r[..., :2].copy()), "rays"),
        (lambda s, r: (s, r[::2]), "rays"),
    ],
)
def test_arrays_that_do_not_fit_are_refused_by_name(change, name):
    image, sums, rays = fan()
    with pytest.raises(ValueError, match=name):
        spread(*change(sums, rays), image.shape)
