"""Registration of a map's images undoes known motion of a simulated heart, and refuses what cannot be."""

from __future__ import annotations

import numpy as np
import pytest
import scipy.io

from recon_models.mapping.motion import groupwise, kernels
from recon_models.mapping.motion.curves import SATURATED, decay, recovery
from recon_models.mapping.motion.doubt import refusal
from recon_models.mapping.motion.fields import character, warp
from recon_models.mapping.motion.groupwise import ONWARDS, register
from recon_models.mapping.recovery import fit_look_locker
from recon_models.physics.breathing import Breath
from recon_models.physics.heart import displacement, septum, short_axis
from recon_models.physics.tissues import NATIVE

PIXEL_M = 2e-3
SHAPE = (88, 114)
X_M, Y_M = ((np.arange(n) - n // 2) * PIXEL_M for n in SHAPE[::-1])
TIMES_S = np.array([0.12, 1.05, 1.98, 2.91, 3.84, 0.20, 1.13, 2.06])
DEPTHS = {"breathing": [0, 0.5, 1, 0.8, 0.2, 0.1, 0.6, 1], "drift": np.arange(8) / 7, "gasp": [0, 0, 0, 0, 1, 0, 0, 0]}
"""Share of a breath at each image."""


def image(values, breath):
    kx, ky = ((np.arange(n) - n // 2) / (n * PIXEL_M) for n in SHAPE[::-1])
    kspace = short_axis(breath=breath).spectrum([kx, ky[:, None]], values)
    return np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace))) / PIXEL_M**2


def hold(kind="breathing", depth_m=6e-3, snr=50.0, seed=0):
    """Inversion recovery of a breathing heart, (8, y, x) complex; tissues recover by curves that no template knows."""
    random = np.random.default_rng(seed)
    signals = {}
    for tissue, one in NATIVE[1.5].items():
        lost, faster = random.uniform(1.85, 2.15), random.uniform(0.75, 0.95)
        signals[tissue] = one.density * (1 - lost * np.exp(-TIMES_S / (faster * one.t1_s)))
    breaths = [Breath.of_depth(depth_m * part) for part in DEPTHS[kind]]
    images = np.stack([image({t: s[n] for t, s in signals.items()}, b) for n, b in enumerate(breaths)])
    noise = random.standard_normal((2, *images.shape)) / snr
    return images + noise[0] + 1j * noise[1], breaths


def apart_mm(fields, breaths):
    """Mean distance, over the heart and the images, of what an image shows from the mean place of that tissue."""
    x, y = np.meshgrid(X_M, Y_M)
    heart = short_axis().regions[2]
    inside, middle = heart.holds([x, y]), np.array(heart.centre_m)[:, None]
    rest = []
    for field, breath in zip(fields, breaths, strict=True):
        at = np.stack([x, y])[:, inside] + PIXEL_M * field[:, inside] - middle - np.array(breath.shift_m)[:, None]
        rest.append(np.linalg.solve(np.eye(2) + np.array(breath.gradient), at))
    away = np.array(rest) - np.mean(rest, axis=0)
    return 1e3 * np.mean(np.hypot(away[:, 0], away[:, 1]))


def still(count=8):
    return np.zeros((count, 2, *SHAPE), np.float32)


@pytest.mark.parametrize("kind", DEPTHS)
def test_most_of_a_breath_is_undone_and_the_residual_falls(kind):
    images, breaths = hold(kind)
    found = register(images, recovery(TIMES_S), PIXEL_M)
    assert apart_mm(found.fields, breaths) < 0.65 * apart_mm(still(), breaths)
    assert found.gain < 0.97
    assert not found.character.fault()
    assert not refusal(found)


def test_a_heart_at_rest_stays_there():
    images, breaths = hold(depth_m=0.0)
    found = register(images, recovery(TIMES_S), PIXEL_M)
    assert apart_mm(found.fields, breaths) < 0.3
    assert found.character.farthest_m < 2e-3


def test_the_septum_of_the_map_becomes_more_even():
    images, _ = hold("breathing", 8e-3)
    mean = Breath.of_depth(8e-3 * float(np.mean(DEPTHS["breathing"])))
    inside = septum(breath=mean).holds([X_M, Y_M[:, None]])

    def spread(series, where):
        return np.std(fit_look_locker(series[:, where], TIMES_S).values["T1"])

    found = warp(images, register(images, recovery(TIMES_S), PIXEL_M).fields)
    assert spread(found, inside) < 0.75 * spread(images, inside)


def test_images_are_registered_as_they_come():
    """Little is left to do behind the last one."""
    images, breaths = hold("drift")
    fields = None
    for count in range(3, 9):
        so_far, times = images[:count], TIMES_S[:count]
        levels = groupwise.FROM_REST if count == 3 else ONWARDS
        fields = register(so_far, recovery(times), PIXEL_M, start=fields, levels=levels).fields
    assert apart_mm(fields, breaths) < 0.5 * apart_mm(still(), breaths)
    assert sum(level.rounds * level.steps for level in ONWARDS) < sum(
        level.rounds * level.steps for level in groupwise.FROM_REST
    )


def test_the_order_of_the_images_does_not_matter():
    images, _ = hold()
    order = np.random.default_rng(1).permutation(8)
    one = register(images, recovery(TIMES_S), PIXEL_M).fields
    other = register(images[order], recovery(TIMES_S[order]), PIXEL_M).fields
    np.testing.assert_allclose(other, one[order], atol=0.02)


def test_brightness_does_not_matter_and_residuals_have_its_unit():
    images, _ = hold()
    one, other = (register(scale * images, recovery(TIMES_S), PIXEL_M) for scale in (1.0, 1e-9))
    np.testing.assert_allclose(other.fields, one.fields, atol=1e-3)
    np.testing.assert_allclose(other.residual_after, 1e-9 * one.residual_after, rtol=1e-2)


def test_fields_say_where_the_tissue_lies():
    """Warped by the true displacement of one breath, its image is the one at rest."""
    breath, values = Breath.of_depth(5e-3), {t: p.density for t, p in NATIVE[1.5].items()}
    rest, moved = (image(values, b).real for b in (Breath(), breath))
    truth = displacement(np.meshgrid(X_M, Y_M), breath)[None] / PIXEL_M
    heart = short_axis().regions[2].holds([X_M, Y_M[:, None]])
    back = warp(moved[None], truth.astype(np.float32))[0]
    assert np.abs(back - rest)[heart].mean() < 0.2 * np.abs(moved - rest)[heart].mean()


def test_warping_keeps_phase_and_a_shift_by_whole_pixels_is_exact():
    images, _ = hold()
    fields = np.zeros((8, 2, *SHAPE), np.float32)
    fields[:, 0], fields[:, 1] = 3.0, -2.0
    found = warp(images, fields)
    np.testing.assert_allclose(found[:, 2:, :-3], images[:, :-2, 3:], rtol=1e-5, atol=1e-6)


def test_a_shift_is_found_whatever_gain_and_offset_the_target_has():
    """The least squares of one step: a small shift of a textured image, brightened by 30 % and lifted."""
    random = np.random.default_rng(2)
    y, x = np.mgrid[:48, :56].astype(float)
    waves = [(random.uniform(0.1, 0.5, 2), random.uniform(0, 6)) for _ in range(12)]

    def texture(dx, dy):
        return sum(np.sin(k[0] * (x + dx) + k[1] * (y + dy) + p) for k, p in waves)[None].astype(np.float32)

    image, target = texture(0, 0), 1.3 * texture(0.2, -0.1) + 2
    products = np.empty((13, 1, 48, 56), np.float32)
    kernels.moments(image, target, 1, products)
    kernels.smooth(products.reshape(13, 48, 56), groupwise.gaussian(6.0))
    fields = np.zeros((1, 2, 48, 56), np.float32)
    kernels.step(products, np.float32(1e-6), np.float32(1e-6), np.float32(1.5), fields)
    middle = fields[0, :, 12:-12, 12:-12].mean((1, 2))
    np.testing.assert_allclose(middle, [0.2, -0.1], rtol=0.2)  # of the mean of two gradients, 1 and 1.3


def test_the_likest_curve_is_the_one_of_least_squares():
    random = np.random.default_rng(3)
    images, templates = random.random((8, 5, 6), np.float32), recovery(TIMES_S)
    synthetic, misfit = groupwise.likest(images, templates)
    series = images.reshape(8, -1)
    amplitudes = templates @ series
    left = np.linalg.norm(series[None] - amplitudes[:, None] * templates[..., None], axis=1)
    np.testing.assert_allclose(misfit.ravel(), left.min(0) / np.sqrt(8), rtol=1e-4)
    np.testing.assert_allclose(np.linalg.norm((images - synthetic).reshape(8, -1), axis=0), left.min(0), rtol=1e-4)


@pytest.mark.parametrize(
    ("curve", "templates"),
    [
        (np.abs(1 - 1.95 * np.exp(-TIMES_S / 0.9)), recovery(TIMES_S)),
        (1 - 0.97 * np.exp(-np.append(TIMES_S[:7], np.inf) / 0.9), recovery(np.append(TIMES_S[:7], np.inf), SATURATED)),
        (np.exp(-np.array([0, 0.025, 0.055]) / 0.047), decay([0, 0.025, 0.055])),
        (np.exp(-np.arange(1, 9) * 2e-3 / 0.02), decay(np.arange(1, 9) * 2e-3, (0.002, 0.15))),
    ],
)
def test_curves_of_every_kind_of_map_are_found_among_the_templates(curve, templates):
    _, misfit = groupwise.likest(np.reshape(curve, (-1, 1, 1)).astype(np.float32), templates)
    assert misfit[0, 0] < 0.05 * np.sqrt(np.mean(curve**2))


def bad_fields():
    x = np.arange(SHAPE[1])
    fold, tear, far, nan = (still() for _ in range(4))
    fold[3, 0] = 4 * np.sin(x / 3)
    tear[2, 1] = np.where(x > 50, 2.0, 0.0)
    far[1, 0] = 9.0
    nan[0, 0, 5, 5] = np.nan
    return {"area": fold, "tears": tear, "displaces": far, "finite": nan}


@pytest.mark.parametrize("name", bad_fields())
def test_impossible_motion_is_refused_and_images_stay_as_they_are(name):
    images, _ = hold()
    magnitudes = np.abs(images).astype(np.float32)
    found = groupwise.judged(magnitudes, bad_fields()[name], recovery(TIMES_S), PIXEL_M)
    assert name in found.character.fault()
    assert name in refusal(found)


def test_the_motion_of_a_deep_breath_is_possible():
    x, y = np.meshgrid(X_M, Y_M)
    near = np.exp(-(((x - 0.007) / 0.05) ** 2) - (y / 0.05) ** 2)
    fields = [near * np.stack(Breath.of_depth(d).displacement([x, y], (0.007, 0.0))) / PIXEL_M for d in (-8e-3, 8e-3)]
    assert not character(np.stack(fields).astype(np.float32), PIXEL_M).fault()


def test_a_registration_that_makes_the_series_worse_is_not_used():
    images, _ = hold(depth_m=0.0)
    wrong = still()
    wrong[::2, 1] = 2.5
    found = groupwise.judged(np.abs(images).astype(np.float32), wrong, recovery(TIMES_S), PIXEL_M)
    assert found.gain > 1
    assert "of the residual" in refusal(found)


@pytest.mark.parametrize("broken", ["nan", "infinite", "dark", "one image", "tiny", "huge"])
def test_no_series_breaks_it(broken):
    images = np.abs(hold()[0])[:, :37, :29]
    times = TIMES_S
    if broken == "nan":
        images[2, 3:9] = np.nan
    elif broken == "infinite":
        images[0, 0, 0] = np.inf
    elif broken == "dark":
        images[:] = 0
    elif broken == "one image":
        images, times = images[:1], times[:1]
    elif broken == "tiny":
        images = images[:, :1, :2]
    else:
        images = images * 1e30
    found = register(images, recovery(times), PIXEL_M)
    assert np.isfinite(found.fields).all()
    assert found.fields.shape == (len(images), 2, *images.shape[1:])


def test_a_field_that_is_no_number_reads_no_memory_beyond_the_image():
    fields = np.full((1, 2, 9, 11), np.nan, np.float32)
    assert np.isfinite(warp(np.ones((1, 9, 11), np.float32), fields)).all()


def test_a_pixel_that_is_no_number_has_no_curve_and_its_neighbours_keep_theirs():
    images = np.abs(hold()[0]).astype(np.float32)
    synthetic, misfit = groupwise.likest(images, recovery(TIMES_S))
    images[3, 10, 20] = np.nan
    broken, left = groupwise.likest(images, recovery(TIMES_S))
    assert np.isnan(left[10, 20])
    elsewhere = np.ones(SHAPE, bool)
    elsewhere[10, 20] = False
    np.testing.assert_array_equal(broken[:, elsewhere], synthetic[:, elsewhere])
    np.testing.assert_array_equal(left[elsewhere], misfit[elsewhere])


@pytest.mark.real_data
@pytest.mark.parametrize("subject", [0, 1, 2])
def test_curves_explain_measured_series_no_worse_after_registration(real_data, subject):
    """Evaluation only: no setting was chosen on these. Pixels are about 2.1 mm."""
    data = scipy.io.loadmat(real_data / "t1_molli_cardiac" / "t1net_precontrast_3subjects.mat")["test"][0, 0]
    images = np.moveaxis(data["input"][subject, 0].astype(np.float32), -1, 0)
    times, muscle = data["TI"][subject].ravel() * 1e-3, data["myoMask"][subject, 0] > 0
    found = register(images, recovery(times), 2.1e-3)
    assert not refusal(found)
    assert found.residual_after[muscle].mean() < 1.02 * found.residual_before[muscle].mean()
