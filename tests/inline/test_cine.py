"""A cine scan of a beating heart, triggered as it should be and at T waves."""

from __future__ import annotations

import h5py
import numpy as np
import pytest
from streams import causes, nrmse

from inline.errors import ConfigurationError
from inline.header import Scan
from inline.mrd.messages import Acquisition
from inline.pipelines.cartesian import cartesian
from inline.scan import Context, Readout
from inline.scanner import cine
from inline.scanner.recording import Recording
from inline.scanner.simulate import simulate
from recon_models.physics.heart import REGION_M


def measured(path, *, deaf=False, **options):
    """Images, findings and truth of a cine scan sent through the pipeline; ``deaf`` without its ECG."""
    simulate("cine", path, **({"coils": 4, "matrix": 64, "seed": 5} | options))
    with Recording(path) as recording:
        scan = Scan.from_xml(recording.xml)
        items = [Readout.from_acquisition(i) if isinstance(i, Acquisition) else i for i in recording.items()]
    findings = []
    kept = [item for item in items if isinstance(item, Readout)] if deaf else items
    images = list(cartesian(iter(kept), scan, Context(report=findings.append, parameters={"report": "false"})))
    with h5py.File(path) as file:
        return images, findings, file["truth/magnitude"][:, 0], np.flatnonzero(file["truth/corrupted"][:])


def heart_of(image):
    """Cut out the heart, through whose motion alone the frames differ."""
    size = image.shape[-1]
    x, y, half = (value / 0.24 * size for value in REGION_M)
    return image[
        int(size / 2 + y - half) : int(size / 2 + y + half), int(size / 2 + x - half) : int(size / 2 + x + half)
    ]


def test_each_frame_shows_the_heart_at_its_phase(tmp_path):
    images, findings, truth, corrupted = measured(tmp_path / "scan.h5", snr=60.0)
    assert causes(findings) == []
    assert corrupted.size == 0
    frames = {image.counters.phase: heart_of(image.pixels[0, 0]) for image in images}
    assert sorted(frames) == list(range(cine.FRAMES))
    wanted = [heart_of(one) for one in truth]
    for frame, image in frames.items():
        errors = [nrmse(image, one) for one in wanted]
        assert int(np.argmin(errors)) == frame
        assert errors[frame] < 0.05


def test_triggers_at_the_t_wave_spoil_the_frames_and_are_told_from_missed_ones_and_from_motion(tmp_path):
    wrong = (cine.mistrigger("mistrigger:2@0.6"),)
    images, findings, truth, corrupted = measured(tmp_path / "scan.h5", faults=wrong, snr=60.0)
    assert set(causes(findings)) == {"mistriggers"}
    told = np.concatenate([np.arange(one.where.readouts[0], one.where.readouts[1] + 1) for one in findings])
    assert sorted(set(told - 1)) == corrupted.tolist()  # the scanner counts readouts from one
    assert corrupted.size == 2 * cine.FRAMES * cine.SEGMENT
    spoilt = [nrmse(heart_of(image.pixels[0, 0]), heart_of(truth[image.counters.phase])) for image in images]
    assert max(spoilt) > 0.1
    assert all("mistriggers" in causes(image.findings) for image in images)


def test_without_the_ecg_it_is_known_that_something_was_wrong_but_not_what(tmp_path):
    wrong = (cine.mistrigger("mistrigger:2@0.5"),)
    _, findings, _, _ = measured(tmp_path / "scan.h5", faults=wrong, deaf=True, matrix=96)
    assert set(causes(findings)) == {"double triggers"}


def test_what_cannot_be_simulated_is_said(tmp_path):
    wrong = (cine.mistrigger("mistrigger"),)
    for kind, options, word in (
        ("cartesian", {"faults": wrong}, "follows the heart"),
        ("cine", {"acceleration": 2}, "acceleration"),
        ("cine", {"matrix": 60}, "multiple of 8"),
        ("cine", {"tr_s": 0.02}, "shorten TR"),
    ):
        with pytest.raises(ConfigurationError, match=word):
            simulate(kind, tmp_path / "scan.h5", **options)
    for text, word in (("mistrigger:x", "BEATS"), ("mistrigger@2", "fraction")):
        with pytest.raises(ConfigurationError, match=word):
            cine.mistrigger(text)
