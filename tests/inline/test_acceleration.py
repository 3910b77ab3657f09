"""Skipped lines in one and two directions, calibration lines among them or in a scan of their own; all counters."""

from __future__ import annotations

from dataclasses import replace

import brains
import numpy as np
import pytest
from streams import causes, nrmse, read, run

from hardware.fourier import to_kspace
from inline.header import Limit
from inline.mrd.messages import Flag
from inline.pipelines.cartesian import cartesian
from inline.scanner.simulate import simulate
from recon_models.physics.coils import array


def volume(coils=16, shape=(24, 40, 32)):
    """k-space of a ball with structure seen by two rings of coils, (coils, z, y, x), and its root sum of squares."""
    z, y, x = np.meshgrid(*[(np.arange(n) - n // 2) * 0.2 / n for n in shape], indexing="ij")
    maps = array(coils, (0.4, 0.2, 0.2)).at((x, y, z))
    image = (x**2 + y**2 + z**2 < 0.075**2) * (1 + 0.4 * np.cos(90 * x) * np.cos(70 * y + 60 * z))
    seen = (maps * image).astype(np.complex64)
    return brains.scaled(to_kspace(seen, (1, 2, 3))), np.linalg.norm(seen, axis=0)


@pytest.mark.parametrize(("acceleration", "limit"), [((2, 1), 0.04), ((1, 2), 0.04), ((2, 2), 0.04), ((3, 1), 0.06)])
def test_volume_with_lines_and_partitions_skipped(acceleration, limit):
    kspace, expected = volume()
    (nz, ny), (ry, rz) = kspace.shape[1:3], acceleration
    sampled = np.zeros((nz, ny), bool)
    sampled[nz // 2 % rz :: rz, ny // 2 % ry :: ry] = True
    sampled[nz // 2 - 8 : nz // 2 + 8, ny // 2 - 10 : ny // 2 + 10] = True
    scan, readouts = brains.wrapped(kspace, sampled)
    encoding = replace(scan.encodings[0], acceleration=acceleration)
    (image,), findings = run(cartesian, readouts, replace(scan, encodings=(encoding,)))
    assert causes(findings) == []
    assert f"GRAPPA {ry}x{rz}" in image.method_reason
    assert image.pixels.shape == (1, *kspace.shape[1:])
    folded = np.linalg.norm(np.fft.fftshift(np.fft.ifftn(kspace * sampled[..., None], axes=(1, 2, 3))), axis=0)
    assert nrmse(image.pixels, expected) < limit
    assert nrmse(image.pixels, expected) < 0.4 * nrmse(folded, expected)


@pytest.mark.parametrize("first", [True, False])
@pytest.mark.parametrize("mode", ["separate", "external"])
def test_separate_reference_lines_calibrate_and_stay_out_of_the_image(mode, first):
    """Reference lines of another contrast, twice as bright: mixed into the image they would be edges in k-space."""
    kspace, expected = volume(shape=(1, 64, 48))
    every = np.zeros((1, 64), bool)
    every[0, ::2] = True
    scan, lines = brains.wrapped(kspace, every)
    central = np.zeros((1, 64), bool)
    central[0, 20:44] = True
    _, reference = brains.wrapped(2 * kspace, central)
    reference = [replace(line, flags=int(Flag.PARALLEL_CALIBRATION)) for line in reference]
    encoding = replace(scan.encodings[0], acceleration=(2, 1), calibration_mode=mode)
    stream = [*reference, *lines] if first else [*lines[:10], *reference, *lines[10:]]
    (image,), findings = run(cartesian, stream, replace(scan, encodings=(encoding,)))
    assert causes(findings) == []
    assert "GRAPPA" in image.method_reason
    assert nrmse(image.pixels, expected) < 0.05


def test_every_loop_counter_is_kept_apart(tmp_path):
    """Copies of one slice of different brightness, under every counter an image can have."""
    path = tmp_path / "scan.h5"
    simulate("cartesian", path, coils=2, matrix=32, snr=500.0)
    scan, readouts = read(path)
    noise = [one for one in readouts if one.has(Flag.NOISE)]
    lines = readouts[len(noise) :]
    (plain,), _ = run(cartesian, readouts, scan)
    names = ("slice", "contrast", "phase", "repetition", "set")
    places = [{name: 1} for name in names] + [{}, {"set": 1, "phase": 1, "contrast": 1}]
    copies = [
        [replace(one, samples=(n + 1) * one.samples, counters=one.counters._replace(**place)) for one in lines]
        for n, place in enumerate(places)
    ]
    limits = {**scan.encodings[0].limits, **{name: Limit(0, 1, 0) for name in names}}
    scan = replace(scan, encodings=(replace(scan.encodings[0], limits=limits),))
    interleaved = [one for group in zip(*copies, strict=True) for one in group]
    # a repetition ends the same slice of the one before, so that it comes last
    interleaved.sort(key=lambda one: one.counters.repetition)
    images, findings = run(cartesian, noise + interleaved, scan)
    assert causes(findings) == ["SNR drop"]  # the second repetition is less bright than the first, in one place
    assert len(images) == len(places)
    for image in images:
        found = {name: 1 for name in names if getattr(image.counters, name)}
        brightness = places.index(found) + 1
        np.testing.assert_allclose(image.pixels, brightness * plain.pixels, rtol=1e-3, atol=1e-3 * plain.pixels.max())


def test_averages_of_accelerated_scans_lower_the_noise(tmp_path):
    spreads = []
    for averages in (1, 4):
        path = tmp_path / f"{averages}.h5"
        simulate("cartesian", path, coils=6, matrix=64, snr=30.0, acceleration=2, averages=averages, repetitions=2)
        (first, second), findings = run(cartesian, *reversed(read(path)))
        assert causes(findings) == []
        bright = first.pixels > np.quantile(first.pixels, 0.8)
        spreads.append(np.std((first.pixels - second.pixels)[bright]) / first.pixels[bright].mean())
    assert spreads[1] == pytest.approx(spreads[0] / 2, rel=0.15)
