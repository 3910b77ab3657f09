"""Measured heads through the pipeline, beside what BART and SigPy make of the same samples."""

from __future__ import annotations

import shutil

import brains
import numpy as np
import pytest
from streams import causes, nrmse, run

from hardware.fourier import to_image
from inline.pipelines.cartesian import cartesian
from recon_models.cartesian.combine import root_sum_of_squares

pytestmark = pytest.mark.real_data

WORSE = 1.02
"""How much larger than the better peer's our error may be."""


@pytest.mark.slow
@pytest.mark.parametrize(("load", "every"), [(brains.mprage, 3), (brains.eight_coils, 2)])
def test_sense_and_grappa_are_no_worse_than_peers(real_data, load, every):
    from sigpy.mri.app import SenseRecon

    kspace = load(real_data)
    full = root_sum_of_squares(to_image(kspace, (1, 2)))
    kept = brains.lines(kspace.shape[1], every)
    scan, readouts = brains.wrapped(kspace[:, None], kept[None], every)
    sparse = kspace * kept[:, None]
    maps = brains.sigpy_maps(sparse)
    peers = [SenseRecon(sparse, maps, lamda=weight, show_pbar=False).run() for weight in (0.0, 1e-2)]
    if shutil.which("bart"):
        peers += [brains.bart_sense(sparse, "-S", "-l2", f"-r{weight}")[0] for weight in (1e-3, 1e-2)]
    best = min(nrmse(np.abs(image), full) for image in peers)
    for method in ("grappa", "sense"):
        (image,), findings = run(cartesian, readouts, scan, parameters={"method": method})
        assert causes(findings) == []
        assert method.upper() in image.method_reason
        assert nrmse(image.pixels, full) <= WORSE * best


@pytest.mark.slow
def test_random_samples_are_recovered_no_worse_than_by_sigpy(real_data):
    from sigpy.mri.app import L1WaveletRecon

    kspace, reference = brains.poisson_with_reference(real_data)
    scan, readouts = brains.wrapped(kspace[..., None], np.any(kspace != 0, axis=0))
    (image,), findings = run(cartesian, readouts, scan)
    assert causes(findings) == []
    assert "L1-wavelet" in image.method_reason
    maps = brains.sigpy_maps(kspace)
    peers = [L1WaveletRecon(kspace, maps, lamda, max_iter=30, show_pbar=False).run() for lamda in (3e-5, 1e-4, 3e-4)]
    assert nrmse(image.pixels, reference) <= min(nrmse(np.abs(peer), reference) for peer in peers)
    assert nrmse(image.pixels, reference) < 0.07


def test_fully_sampled_head_is_its_own_transform(real_data):
    kspace = brains.mprage(real_data)
    scan, readouts = brains.wrapped(kspace[:, None], np.ones((1, 256), bool))
    (image,), findings = run(cartesian, readouts, scan)
    assert causes(findings) == []
    expected = np.linalg.norm(np.fft.fftshift(np.fft.ifft2(np.fft.ifftshift(kspace, (1, 2))), (1, 2)), axis=0)
    assert nrmse(image.pixels, expected) < 1e-5


@pytest.mark.skipif(shutil.which("bart") is None, reason="needs BART")
def test_transform_is_that_of_bart(real_data):
    kspace = brains.eight_coils(real_data)[:, :, :200]
    scan, readouts = brains.wrapped(kspace[:, None], np.ones((1, 256), bool))
    (image,), _ = run(cartesian, readouts, scan)
    theirs = brains.bart("fft", "-i", "-u", "3", "kspace", kspace=kspace[:, None])
    assert nrmse(image.pixels, np.linalg.norm(np.squeeze(theirs), axis=0)) < 1e-5
