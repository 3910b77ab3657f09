"""Measured brains and a cord: MD and FA are dipy's, by the same method in the same pixels."""

from __future__ import annotations

import numpy as np
import pytest
from diffusion_data import cord, crop, philips_brain, shells

from recon_models.diffusion.btable import SECONDS_PER_MM2
from recon_models.diffusion.invariants import eigensystem, fractional_anisotropy, mean_diffusivity
from recon_models.diffusion.maps import maps_of
from recon_models.diffusion.mppca import mppca
from recon_models.diffusion.running import RunningTensor
from recon_models.diffusion.tensor import fit_ols, fit_robust, fit_wls, noise_of
from recon_models.diffusion.uncertainty import sd_mean_diffusivity

pytestmark = pytest.mark.real_data

SERIES = {
    "Philips brain": philips_brain,
    "cord": cord,
    "64 directions": lambda data: crop(data, "small_64D"),
    "101 directions": lambda data: crop(data, "small_101D", 1500),
    "MRtrix shells": shells,
}


@pytest.fixture(scope="module", params=SERIES, ids=str)
def series(request, real_data):
    """Images (n, slices, y, x), their table, and the pixels bright enough to be tissue."""
    images, table = SERIES[request.param](real_data)
    b0 = images[table.unweighted].mean(axis=0)
    return images, table, (b0 > 0.3 * np.percentile(b0, 95)) & (images.min(axis=0) > 0)


def dipy_fit(images, table, mask, method):
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    gradients = gradient_table(table.b / SECONDS_PER_MM2, bvecs=table.directions, b0_threshold=50)
    fit = TensorModel(gradients, fit_method=method).fit(images[:, mask].T)
    return fit.md * 1e-6, fit.fa


@pytest.mark.parametrize(("fit", "method"), [(fit_ols, "OLS"), (fit_wls, "WLS")], ids=["OLS", "WLS"])
def test_md_and_fa_agree_with_dipy_in_every_pixel(series, fit, method):
    images, table, mask = series
    md, fa = dipy_fit(images, table, mask, method)
    tensor = fit(images[:, mask][:, None], table).tensor[:, 0]
    possible = eigensystem(tensor)[0][2] > 0  # dipy sets negative eigenvalues to zero: those cannot be compared
    assert possible.mean() > 0.7  # of the cord's surroundings a quarter is noise
    np.testing.assert_allclose(mean_diffusivity(tensor)[possible], md[possible], rtol=0.01)
    np.testing.assert_allclose(fractional_anisotropy(tensor)[possible], fa[possible], rtol=0.01)
    assert 0.3e-9 < np.median(md) < 3.2e-9  # water at 37 degrees has 3.0


@pytest.mark.parametrize("name", ["Philips brain", "MRtrix shells"])
def test_the_running_tensor_of_a_measured_series_is_its_fit(real_data, name):
    images, table = SERIES[name](real_data)
    b0 = images[table.unweighted].mean(axis=0)
    mask = (b0 > 0.3 * np.percentile(b0, 95)) & (images.min(axis=0) > 0)
    pixels = images[:, mask][:, None]
    running = RunningTensor(table, pixels.shape[1:])
    for entry, image in enumerate(pixels):
        running.replace(entry, image, 1)
    running.fit()  # from now on weights are those a fit predicts
    for entry, image in enumerate(pixels):
        running.replace(entry, image, 1)
    whole = fit_wls(pixels, table)
    whole = fit_wls(pixels, table, noise=noise_of(pixels, table, whole))
    apart = np.abs(mean_diffusivity(running.fit().tensor) - mean_diffusivity(whole.tensor))
    assert np.median(apart / sd_mean_diffusivity(whole.covariance)) < 0.25


def test_a_brain_has_white_matter_that_runs_where_it_should(real_data):
    """The corpus callosum, which crosses from side to side, is the most anisotropic of what is red."""
    images, table = philips_brain(real_data, (12,))
    maps = maps_of(fit_wls(images[:, 0], table))
    b0 = images[table.unweighted].mean(axis=0)[0]
    tissue = b0 > 0.3 * np.percentile(b0, 95)
    middle = np.zeros_like(tissue)
    middle[30:45, 45:65] = middle[62:78, 45:65] = True  # genu and splenium
    strong = tissue & middle & (maps.fa > 0.5) & (maps.fa < 1)
    assert strong.sum() > 60
    assert np.mean(np.argmax(maps.colours, axis=0)[strong] == 0) > 0.75
    assert 0.6e-9 < np.median(maps.md[tissue]) < 1.1e-9
    assert maps.fa[tissue & (maps.fa < 1)].max() > 0.7


def test_robust_and_denoised_fits_change_a_clean_brain_little(real_data):
    images, table = philips_brain(real_data, (17,))
    b0 = images[table.unweighted].mean(axis=0)[0]
    tissue = b0 > 0.3 * np.percentile(b0, 95)
    plain = fractional_anisotropy(fit_wls(images[:, 0], table).tensor)[tissue]
    robust = fractional_anisotropy(fit_robust(images[:, 0], table).tensor)[tissue]
    denoised, noise = mppca(images[:, 0], where=tissue)
    assert np.median(np.abs(robust - plain)) < 0.03
    assert np.median(np.abs(fractional_anisotropy(fit_wls(denoised, table).tensor)[tissue] - plain)) < 0.05
    assert 0.005 < np.median(noise[tissue] / b0[tissue]) < 0.1
