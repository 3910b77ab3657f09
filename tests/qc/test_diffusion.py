"""Slices that lost their signal are found, tensors that cannot be are counted, measured scans are left in peace."""

from __future__ import annotations

import gzip

import numpy as np
import pytest

from qc.diffusion import anisotropy, impossible, judged, slice_scores
from qc.finding import Severity
from qc.limits import SHIPPED


def scan(random, volumes=80, slices=12):
    """Mean signals of two shells: a tensor's anisotropy and noise vary them by 3 %."""
    shells = np.repeat([1000, 2000], volumes // 2)
    profile = random.uniform(0.7, 1.0, slices)
    return np.exp(-shells / 1500)[:, None] * profile * (1 + 0.03 * random.standard_normal((volumes, slices))), shells


@pytest.mark.parametrize("seed", range(5))
def test_a_slice_that_lost_its_signal_is_found_and_no_other(seed):
    random = np.random.default_rng(seed)
    signals, shells = scan(random)
    assert all(one.severity < Severity.RED for one in judged(SHIPPED, scores=slice_scores(signals, shells)))
    signals[7, 4] *= 0.6
    signals[52, [1, 2]] *= 0.5
    red = [one for one in judged(SHIPPED, scores=slice_scores(signals, shells)) if one.severity is Severity.RED]
    assert [set(one.where.slices) >= wanted for one, wanted in zip(red, [{4}, {1, 2}], strict=True)] == [True, True]


def test_scores_are_those_of_the_definition_and_shells_do_not_mix():
    signals = np.array([[1.0], [2.0], [3.0], [4.0], [100.0], [5.0], [5.0], [5.0], [5.0], [5.0]])
    shells = np.array([1] * 5 + [2] * 5)
    scores = slice_scores(signals, shells)[:, 0]
    np.testing.assert_allclose(scores[:5], (signals[:5, 0] - 3) / 1.4826)
    np.testing.assert_allclose(scores[5:], 0)


def test_signal_in_excess_is_no_dropout_and_few_directions_are_grey():
    random = np.random.default_rng(9)
    signals, shells = scan(random)
    signals[3, 3] *= 2
    assert all(
        3 not in one.where.slices or "Volume 3:" not in one.message
        for one in judged(SHIPPED, scores=slice_scores(signals, shells))
    )
    (grey,) = judged(SHIPPED, scores=slice_scores(signals[:4], shells[:4]))
    assert grey.severity is Severity.GREY


def test_tensors_that_cannot_be_are_counted():
    assert impossible(np.array([[1.7e-3, 3e-4, 2e-4]] * 4)) == (0, 0)
    assert impossible(np.array([[1e-3, 1e-4, -1e-6], [1e-3, -8e-4, -8e-4], [1e-3, 1e-3, 1e-3], [np.nan, 1, 1]])) == (
        0.75,
        0.5,
    )
    assert np.isnan(impossible(np.zeros((0, 3)))).all()
    np.testing.assert_allclose(anisotropy(np.array([[1.0, 0, 0], [1, 1, 1], [0, 0, 0]])), [1, 0, 0], atol=1e-12)


def test_limits_make_findings_of_tensors():
    sound = np.tile([1.7e-3, 3e-4, 2e-4], (100, 1))
    assert judged(SHIPPED, eigenvalues=sound) == []
    sound[:10, 2] = -1e-5
    (found,) = judged(SHIPPED, eigenvalues=sound)
    assert (found.cause, found.score) == ("impossible tensors", 0.1)
    (grey,) = judged(SHIPPED, eigenvalues=np.zeros((0, 3)))
    assert grey.severity is Severity.GREY


@pytest.mark.real_data
def test_a_measured_scan_of_the_spinal_cord_is_assessed_and_a_slice_taken_out_of_it_is_found(real_data):
    folder = real_data / "diffusion"
    raw = gzip.decompress((folder / "sct_cord_dmri_b750.nii.gz").read_bytes())
    header = np.frombuffer(raw[:348], "<i2", offset=40, count=8), np.frombuffer(raw, "<i2", offset=70, count=1)[0]
    shape, kind = header[0][1:5], {4: "<i2", 16: "<f4", 512: "<u2", 8: "<i4", 64: "<f8", 2: "u1"}[int(header[1])]
    offset = int(np.frombuffer(raw, "<f4", offset=108, count=1)[0])
    volumes = np.frombuffer(raw, kind, offset=offset, count=int(np.prod(shape))).reshape(shape, order="F").astype(float)
    signals = volumes.mean((0, 1)).T
    shells = np.round(np.loadtxt(folder / "sct_cord_bvals.txt").ravel() / 100)
    before = slice_scores(signals, shells)
    spoilt = signals.copy()
    volume = int(np.flatnonzero(shells == 8)[10]) if np.any(shells == 8) else int(np.argmax(shells))
    spoilt[volume, 2] *= 0.3
    scores = slice_scores(spoilt, shells)
    assert scores[volume, 2] < -6.0
    assert scores[volume, 2] == np.nanmin(scores)
    assert np.mean(before < -6.0) < 0.02
