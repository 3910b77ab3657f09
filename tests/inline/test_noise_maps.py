"""Units of noise: what the pipeline says about the noise of its images is what their noise is."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from streams import causes, read, run

from inline.mrd.messages import Flag
from inline.pipelines.cartesian import cartesian
from inline.scanner.simulate import simulate
from inline.stages import calibrated
from inline.stages.calibration import calibrate

REPLICAS = 24


def scan_of(tmp_path, **protocol):
    path = tmp_path / "scan.h5"
    simulate("cartesian", path, **{"coils": 8, "matrix": 96, "snr": 60.0} | protocol)
    return read(path)


def replicas(readouts, scan, **options):
    """Pixels of each image, over scans that differ in their noise only: the noise of the readouts, drawn again."""
    measured = [readout for readout in readouts if readout.has(Flag.NOISE)]
    noise = np.concatenate([readout.samples for readout in measured], axis=1)
    wider = measured[0].dwell_s / readouts[-1].dwell_s / scan.relative_noise_bandwidth
    root = np.linalg.cholesky(noise @ noise.conj().T / noise.shape[1] * wider)
    random, all_images = np.random.default_rng(7), []
    for _ in range(REPLICAS):
        repeated = []
        for readout in readouts:
            shape = readout.samples.shape
            white = random.standard_normal((*shape, 2)).astype(np.float32).view(np.complex64)[..., 0] / np.sqrt(2)
            again = readout.samples if readout.has(Flag.NOISE) else readout.samples + root.astype(np.complex64) @ white
            repeated.append(replace(readout, samples=again))
        images, findings = run(cartesian, repeated, scan, **options)
        assert set(causes(findings)) <= {"motion"}  # there is twice the noise that the noise scan promised
        all_images.append([image.pixels for image in images])
    return images, [np.array(pixels) for pixels in zip(*all_images, strict=True)]


def spread(pixels, where):
    return np.sqrt(np.mean(pixels.var(axis=0, ddof=1)[where]))


@pytest.mark.parametrize(
    "protocol",
    [
        {},
        {"averages": 2},
        {"asymmetric_echo": 0.2},
        {"partitions": 4, "coils": 4, "matrix": 32},
        {"order": "interleaved"},
    ],
)
def test_fully_sampled_images_have_noise_of_one(tmp_path, protocol):
    scan, readouts = scan_of(tmp_path, **protocol)
    (image,), (pixels,) = replicas(readouts, scan)
    assert image.unit == "SNR"
    assert spread(pixels, pixels.mean(axis=0) > 20) == pytest.approx(1, rel=0.06)


@pytest.mark.parametrize("rows", [128, 64])
def test_another_pixel_size_leaves_the_noise_at_one(tmp_path, rows):
    scan, readouts = scan_of(tmp_path)
    encoding = scan.encodings[0]
    recon = replace(encoding.recon, matrix=(rows, rows, 1))
    (_,), (pixels,) = replicas(readouts, replace(scan, encodings=(replace(encoding, recon=recon),)))
    assert pixels.shape[-2:] == (rows, rows)
    assert spread(pixels, pixels.mean(axis=0) > 20) == pytest.approx(1, rel=0.06)


@pytest.mark.parametrize("protocol", [{"acceleration": 2}, {"acceleration": 3}, {"acceleration": 2, "averages": 2}])
def test_snr_map_is_the_image_over_its_noise(tmp_path, protocol, monkeypatch):
    """Pseudo-replicas in the sense of Robson et al., MRM 60:895 (2008): the weights are those of one scan."""
    scan, readouts = scan_of(tmp_path, **protocol)
    fitted = []
    monkeypatch.setattr(
        calibrated, "calibrate", lambda kspace: fitted[0] if fitted else fitted.append(calibrate(kspace))
    )
    run(cartesian, readouts, scan)
    images, (image, snr, g) = replicas(readouts, scan, parameters={"snr": "true"})
    assert [(i.quantity, i.unit) for i in images] == [("magnitude", "a.u."), ("SNR", "1"), ("g_factor", "1")]
    assert len({i.series for i in images}) == 3
    bright = snr.mean(axis=0) > 15
    assert spread(snr, bright) == pytest.approx(1, rel=0.04)
    assert g[0][bright].min() > 0.85
    measured = image.std(axis=0, ddof=1)
    predicted = image.mean(axis=0) / np.maximum(snr.mean(axis=0), 1e-3)
    halves = [bright & (g[0] < np.median(g[0][bright])), bright & (g[0] >= np.median(g[0][bright]))]
    for half in halves:  # noisier where the map says so
        assert np.sqrt(np.mean(measured[half] ** 2)) == pytest.approx(np.sqrt(np.mean(predicted[half] ** 2)), rel=0.05)


def test_no_noise_maps_of_estimated_lines(tmp_path):
    scan, readouts = scan_of(tmp_path, acceleration=2, partial_fourier=0.75)
    images, _ = run(cartesian, readouts, scan, parameters={"snr": "true"})
    assert [image.quantity for image in images] == ["magnitude"]
