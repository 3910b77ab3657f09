"""Scans of real scanners, beside what the ismrmrd package reads in the same files and other programs make of it."""

from __future__ import annotations

import shutil

import brains
import ismrmrd
import numpy as np
import pytest
from streams import causes, nrmse, read, run

from hardware.fourier import to_image
from inline.pipelines.cartesian import cartesian
from inline.pipelines.epi import epi
from recon_models.cartesian.readout import to_image_line

pytestmark = pytest.mark.real_data

SCANS = (
    "gre_HEAD_3T",
    "gre_bodycoil_MID273_3T",
    "gre_2rep_bodycoil_3T",
    "localizer_7T_1ch",
    "trufi_R2_12ch_noise",
    "epi_bold_80_3T",
)


def images_of(real_data, name):
    scan, readouts = read(real_data / "ismrmrd" / f"{name}.h5")
    images, findings = run(epi if name.startswith("epi") else cartesian, readouts, scan)
    assert causes(findings) == []
    return images


def acquisitions(real_data, name):
    """Header and acquisitions as another reader sees them."""
    dataset = ismrmrd.Dataset(str(real_data / "ismrmrd" / f"{name}.h5"), "dataset", False)
    header = ismrmrd.xsd.CreateFromDocument(dataset.read_xml_header())
    number = dataset.number_of_acquisitions()
    return header.encoding[0], [dataset.read_acquisition(index) for index in range(number)]


def kspaces(encoding, read_by_another):
    """Lines on the encoded grid, (coils, y, x) of each repetition, and the noise scan if there is one."""
    size, centre = encoding.encodedSpace.matrixSize, encoding.encodingLimits.kspace_encoding_step_1.center
    kspace, noise = {}, None
    for line in read_by_another:
        if line.is_flag_set(ismrmrd.ACQ_IS_NOISE_MEASUREMENT):
            noise = line.data
            continue
        grid = kspace.setdefault(line.idx.repetition, np.zeros((line.active_channels, size.y, size.x), np.complex64))
        samples = line.data[:, line.discard_pre : line.number_of_samples - line.discard_post]
        first = size.x // 2 - (line.center_sample - line.discard_pre)
        grid[:, line.idx.kspace_encode_step_1 - centre + size.y // 2, first : first + samples.shape[1]] = samples
    return kspace, noise


def plain_image(kspace, rows, columns):
    """Root sum of squares of NumPy's transforms, k-space padded with zeros to (rows, columns)."""
    _, y, x = kspace.shape
    before = rows // 2 - y // 2, columns // 2 - x // 2
    pads = [(0, 0), (before[0], rows - y - before[0]), (before[1], columns - x - before[1])]
    shifted = np.fft.ifftshift(np.pad(kspace, pads), (1, 2))
    return np.linalg.norm(np.fft.fftshift(np.fft.ifft2(shifted), (1, 2)), axis=0)


@pytest.mark.parametrize("name", SCANS[:4])
def test_fully_sampled_scans_are_the_transform_of_what_another_reader_finds(real_data, name):
    """Flipped, shifted or stretched it would not be; whitening changes the weights of the coils a little."""
    images = images_of(real_data, name)
    encoding, read_by_another = acquisitions(real_data, name)
    kspace, _ = kspaces(encoding, read_by_another)
    wanted, field_of_view = encoding.reconSpace.matrixSize, encoding.reconSpace.fieldOfView_mm
    columns = round(wanted.x * encoding.encodedSpace.fieldOfView_mm.x / field_of_view.x)
    cut = slice(columns // 2 - wanted.x // 2, columns // 2 - wanted.x // 2 + wanted.x)
    assert len(images) == len(kspace)
    for image in images:
        expected = plain_image(kspace[image.counters.repetition], wanted.y, columns)[:, cut]
        assert nrmse(image.pixels, expected) < 0.02
        assert nrmse(image.pixels[..., ::-1], expected) > 0.05
        assert nrmse(np.roll(image.pixels, 1, axis=-2), expected) > 0.02


@pytest.mark.parametrize("name", SCANS)
def test_geometry_is_what_another_reader_finds(real_data, name):
    images = images_of(real_data, name)
    encoding, read_by_another = acquisitions(real_data, name)
    size = encoding.reconSpace.fieldOfView_mm
    for image in images:
        (last, *_) = [
            line
            for line in reversed(read_by_another)
            if line.idx.repetition == image.counters.repetition and line.idx.slice == image.counters.slice
        ]
        geometry = image.geometry
        np.testing.assert_allclose(np.array(geometry.position_m) * 1e3, last.position, rtol=1e-6)
        for ours, theirs in zip(
            (geometry.read, geometry.phase, geometry.slice),
            (last.read_dir, last.phase_dir, last.slice_dir),
            strict=True,
        ):
            np.testing.assert_allclose(ours, theirs, atol=1e-7)
        np.testing.assert_allclose(np.array(geometry.field_of_view_m) * 1e3, (size.x, size.y, size.z), rtol=1e-6)
        axes = np.array([geometry.read, geometry.phase, geometry.slice])
        np.testing.assert_allclose(axes @ axes.T, np.eye(3), atol=1e-4)
        assert image.time_stamp == last.acquisition_time_stamp


@pytest.mark.skipif(shutil.which("bart") is None, reason="needs BART")
def test_accelerated_scan_is_what_bart_unfolds(real_data):
    """Whitened by NumPy, unfolded by BART's SENSE from the same 24 lines."""
    (image,) = images_of(real_data, "trufi_R2_12ch_noise")
    encoding, read_by_another = acquisitions(real_data, "trufi_R2_12ch_noise")
    kspace, noise = kspaces(encoding, read_by_another)
    white = np.linalg.inv(np.linalg.cholesky(noise @ noise.conj().T / noise.shape[1])) @ kspace[0].reshape(12, -1)
    white = white.reshape(kspace[0].shape) / np.abs(white).max()
    theirs, _ = brains.bart_sense(white, "-S", "-l2", "-r0.001")
    ours, theirs = image.pixels[0, 0], np.abs(theirs)[:, 64:192]
    inside = ours > 0.1 * np.quantile(ours, 0.98)
    assert "GRAPPA" in image.method_reason
    assert "noise scan" in image.method_reason
    assert nrmse(ours[inside], theirs[inside]) < 0.05
    assert ours[: ours.shape[0] // 16].mean() < 0.1 * ours[inside].mean()


def test_ghost_is_at_least_five_times_lower(real_data):
    (image,) = images_of(real_data, "epi_bold_80_3T")
    assert image.meta["Ghost_before"] > 5 * image.meta["Ghost_after"]
    assert image.meta["Ghost_after"] < 0.1


def test_asymmetric_echo_is_placed_by_its_centre(real_data):
    """428 of 512 samples; counted from the wrong one, the image would have a phase that turns along x."""
    _, read_by_another = acquisitions(real_data, "localizer_7T_1ch")

    def turn(shift):
        """Mean phase from pixel to pixel along x, weighted by the signal, in rad."""
        lines = [to_image_line(line.data, line.center_sample + shift, 512, 512)[0] for line in read_by_another]
        image = to_image(np.array(lines), (0,))
        return abs(np.angle(np.sum(image[:, 1:] * image[:, :-1].conj())))

    assert {line.number_of_samples for line in read_by_another} == {428}
    assert turn(0) < 0.1
    assert turn(42) > 0.4
