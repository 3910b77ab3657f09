"""Maps of measured data: a phantom whose T1 are published, and tissues whose relaxation times are known roughly."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage

from recon_models.mapping import echoes, t2, t2star
from recon_models.mapping.psir import signed
from recon_models.mapping.recovery import fit_inversion_recovery

pytestmark = pytest.mark.real_data

PUBLISHED_S = np.array([1.88397, 1.33016, 0.98727, 0.69008, 0.48497, 0.34158, 0.24086])
"""T1 of the spheres of the NIST/ISMRM system phantom, version 2 (serial numbers from 42), at 3 T and 20 degrees: Stupic
et al., Magn Reson Med 86:1194 (2021), describe the phantom; Boudreau et al., Magn Reson Med 92:1115 (2024), table 1,
give the values of both versions."""


def philips(folder: Path, pattern: str):
    """Images (measurements, y, x, ...) in the scanner's own unit, and what is written about each.

    The stored values are scaled for display, each file for itself; the factors that undo it stand beside them.
    """
    import nibabel

    files = sorted(folder.glob(pattern))
    notes = [json.loads(file.with_name(file.name.replace(".nii.gz", ".json")).read_text()) for file in files]
    scales = [note["PhilipsRescaleSlope"] * note["PhilipsScaleSlope"] for note in notes]
    images = [np.squeeze(nibabel.load(file).get_fdata()) / scale for file, scale in zip(files, scales, strict=True)]
    return np.stack(images), notes


def spheres(image, least=4):
    """Centres of bright discs of the size of a vial."""
    labels, count = ndimage.label(image > 0.15 * np.percentile(image, 99.5))
    sizes = ndimage.sum_labels(np.ones_like(image), labels, range(1, count + 1))
    return [
        ndimage.center_of_mass(image, labels, number + 1) for number in range(count) if least * 4 < sizes[number] < 45
    ]


def test_vials_of_the_system_phantom_have_their_published_t1(real_data):
    """The seven whose T1 lies within the range of the inversion times, each within 3 %."""
    images, notes = philips(real_data / "t1_ir_nist_phantom_philips3T", "*.nii.gz")
    alike = [note["EchoTime"] == notes[0]["EchoTime"] for note in notes]  # the image at 2 s has another echo time
    times = np.array([note["InversionTime"] for note in notes])
    images, times = images[alike], times[alike]
    t1 = fit_inversion_recovery(images, times).values["T1"]
    rows, columns = np.indices(t1.shape)
    found = np.array(
        [np.median(t1[np.hypot(rows - y, columns - x) <= 1.6]) for y, x in spheres(images[-1]) if 20 < x < 100]
    )
    found = found[found > 0]  # of the shortest T1 nothing is left at the first inversion time
    nearest = np.abs(np.log(found[:, None] / PUBLISHED_S)).argmin(axis=0)
    assert len(set(nearest)) == len(PUBLISHED_S)
    np.testing.assert_allclose(found[nearest], PUBLISHED_S, rtol=0.03)


def test_kidney_and_liver_at_3_tesla_have_the_t2_that_is_known_of_them(real_data):
    """GraSE with refocusing far from 180 degrees: an exponential reads longer than the phase graph everywhere."""
    images, notes = philips(real_data / "t2_kidney_philips3T", "*.nii.gz")
    times = np.array([note["EchoTime"] for note in notes])
    order = np.argsort(times)
    images, times = images[order][..., 2], times[order]
    exponential, graph = (fit(images, times).values["T2"] for fit in (t2.fit_two, echoes.fit))
    kidney, liver = np.s_[19:27, 40:56], np.s_[8:16, 65:75]
    assert 0.085 < np.median(graph[kidney]) < 0.125
    assert 0.030 < np.median(graph[liver]) < 0.048
    for region in (kidney, liver):
        assert np.mean(graph[region] < exponential[region]) > 0.95


def test_liver_and_spleen_at_3_tesla_have_the_t1_that_is_known_of_them(real_data):
    import nibabel

    folder = real_data / "t1_ir_kidney_philips3T"
    magnitude, phase = (
        np.moveaxis(nibabel.load(folder / name).get_fdata()[:, :, 2], -1, 0)
        for name in ("00901__.nii.gz", "00901___ph.nii.gz")
    )
    times = 0.1 * np.arange(1, 19)
    by_search = fit_inversion_recovery(magnitude, times).values["T1"]
    by_phase = fit_inversion_recovery(magnitude * np.exp(1j * phase / 1000), times).values["T1"]
    liver, spleen = np.s_[30:42, 80:92], np.s_[88:96, 78:88]
    for t1 in (by_search, by_phase):
        assert 0.7 < np.median(t1[liver]) < 1.0
        assert 1.2 < np.median(t1[spleen]) < 1.6


def test_liver_and_kidney_at_3_tesla_have_the_t2star_that_is_known_of_them(real_data):
    import nibabel

    files = sorted((real_data / "t2star_kidney_siemens3T").glob("*.nii.gz"))
    times = np.array(
        [json.loads(Path(str(file).replace(".nii.gz", ".json")).read_text())["EchoTime"] for file in files]
    )
    images = np.stack([nibabel.load(file).get_fdata()[..., 2] for file in files])
    noise = np.sqrt(np.mean(images[-3:, :12, :12] ** 2) / 2)
    t2_star = t2star.fit(images[np.argsort(times)], np.sort(times), noise=noise).values["T2star"]
    assert 0.014 < np.median(t2_star[26:36, 70:84]) < 0.024
    assert 0.035 < np.median(t2_star[38:48, 50:75]) < 0.065


def test_a_brain_has_white_matter_grey_matter_and_fluid(real_data):
    import nibabel

    folder = real_data / "t1_ir_brain"
    images = np.moveaxis(nibabel.load(folder / "qmrlab_ir_brain_2slices.nii").get_fdata()[:, :, 0], -1, 0)
    fit = fit_inversion_recovery(images, np.loadtxt(folder / "TI.txt") / 1e3)
    brain = (images[-1] > 0.3 * np.percentile(images[-1], 99)) & fit.valid
    t1 = fit.values["T1"][brain]
    white, middle, grey = np.percentile(t1, [25, 50, 75])
    assert 0.55 < white < middle < grey < 1.05
    assert 0.002 < np.mean(t1 > 2.0) < 0.05


def test_a_spinal_cord_in_its_bath_has_three_t2(real_data):
    import nibabel

    folder = real_data / "t2_mese"
    images = np.moveaxis(nibabel.load(folder / "qmrlab_met2_32echo.nii").get_fdata()[:, :, 0], -1, 0)
    fit = echoes.fit(images, 0.01 * np.arange(1, 33))
    inside = (images[0] > 0.3 * np.percentile(images[0], 99)) & fit.valid
    values, _ = np.histogram(fit.values["T2"][inside], np.array([0.05, 0.085, 0.12, 0.35, 0.55]))
    white, grey, between, bath = values / inside.sum()
    assert white > 0.2
    assert grey > 0.05
    assert bath > 0.2
    assert between < 0.1


def test_the_sign_of_a_measured_kidney_turns_once_as_it_recovers(real_data):
    """Phase against the longest inversion time: in liver the first image is inverted, the last is not."""
    import nibabel

    folder = real_data / "t1_ir_kidney_philips3T"
    magnitude, phase = (
        np.moveaxis(nibabel.load(folder / name).get_fdata()[30:42, 80:92, 2], -1, 0)
        for name in ("00901__.nii.gz", "00901___ph.nii.gz")
    )
    images = magnitude * np.exp(1j * phase / 1000)
    found = np.median(signed(images, images[-1]), axis=(1, 2))
    assert found[0] < 0 < found[-1]
    assert np.sum(np.diff(np.sign(found)) != 0) == 1
