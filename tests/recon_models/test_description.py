"""Sequences read from JSON: what is shipped is what was published, and what is broken is named."""

import json

import numpy as np
import pytest

from recon_models.fingerprint.description import Description, SequenceError, shipped
from recon_models.physics.schedules import cardiac_fingerprint, inversion_train
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received

RR = np.array([0.8, 1.1, 0.7, 0.95, 1.6, 0.6, 0.9, 1.0, 0.85, 1.2, 0.75, 0.9, 0.8, 1.0, 0.9])
TISSUE = Tissue(np.array([1.2, 0.3]), np.array([0.045, 0.08]))


def described(events, **more):
    return json.dumps({"format": "boreside sequence 1", "name": "a test", "events": events, **more})


TRAIN = {"event": "train", "flips_deg": [10, 20], "tr_s": 0.005, "te_s": 0.001, "spoiling": "gradient"}


def test_the_cardiac_file_plays_the_published_schedule():
    read = received(shipped("cardiac").sequence(RR), TISSUE)
    np.testing.assert_allclose(read, received(cardiac_fingerprint(RR), TISSUE), atol=1e-6)


def test_an_inversion_train_needs_no_code():
    description = shipped("inversion_train")
    assert (description.beats, description.readouts) == (0, 256)
    flips = description.sequence()[-1].flips_rad
    assert len(np.unique(flips)) > 100
    expected = received(inversion_train(flips), TISSUE)
    np.testing.assert_allclose(received(description.sequence(), TISSUE), expected, atol=1e-6)


@pytest.mark.parametrize("name", ["cardiac", "inversion_train"])
def test_written_and_read_again_it_is_the_same(name):
    assert Description.read(shipped(name).write()) == shipped(name)


def test_every_kind_of_event_is_played():
    events = [
        {"event": "trigger", "delay_s": 0.1},
        {"event": "saturation"},
        {"event": "wait", "duration_s": 0.2},
        {**TRAIN, "spoiling": "balanced", "phases_deg": [0, 180]},
        {"event": "trigger", "delay_s": 0.1},
        {"event": "t2_preparation", "echo_time_s": 0.04},
        {**TRAIN, "spoiling": "ideal", "phases_deg": 90, "flips_deg": [5, {"from": 5, "to": 7, "pulses": 3}]},
    ]
    description = Description.read(described(events))
    sequence = description.sequence([1.0, 1.0])
    assert description.readouts == 6
    assert np.rad2deg(sequence[-1].flips_rad) == pytest.approx([5, 5, 6, 7])
    signal = received(sequence, TISSUE)
    start = (1 - np.exp(-0.2 / TISSUE.t1_s)) * np.sin(np.deg2rad(10)) * np.exp(-0.001 / TISSUE.t2_s)
    np.testing.assert_allclose(signal[:, 0].real, start, rtol=1e-5)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "no description"),
        ("[]", "no description"),
        (b"\xff\xfe", "no description"),
        (described([]), "events"),
        (described([{"event": "wait", "duration_s": 1}]), "0 pulses"),
        (described([{"event": "dance"}]), "dance"),
        (described([{**TRAIN, "tr_s": 0}]), "tr_s"),
        (described([{**TRAIN, "te_s": 0.006}]), "longer than its TR"),
        (described([{**TRAIN, "flips_deg": [10, 500]}]), "flips_deg"),
        (described([{**TRAIN, "flips_deg": [{"from": 1, "to": 2, "pulses": 10**9}]}]), "pulses"),
        (described([{**TRAIN, "flips_deg": [{"from": 1, "to": 2, "pulses": 20000}] * 100}]), "can be played"),
        (described([{**TRAIN, "phases_deg": [0, 0, 0]}]), "3 phases"),
        (described([{**TRAIN, "tr": 1}]), "tr"),
        (described([TRAIN], format="other 2"), "format"),
        (described([TRAIN]).replace("0.005", "NaN"), "no description"),
    ],
)
def test_what_cannot_be_played_is_named(text, message):
    with pytest.raises(SequenceError, match=message):
        Description.read(text)


def test_wrong_heart_beats_are_named():
    cardiac = shipped("cardiac")
    with pytest.raises(SequenceError, match="15 heart beats, but 14"):
        cardiac.sequence(RR[:14])
    with pytest.raises(SequenceError, match="0 heart beats, but 15"):
        shipped("inversion_train").sequence(RR)
    with pytest.raises(SequenceError, match="too short"):
        cardiac.sequence(np.full(15, 0.3))
    with pytest.raises(SequenceError, match="positive"):
        cardiac.sequence(np.full(15, np.nan))


def test_an_unknown_sequence_names_those_there_are():
    with pytest.raises(SequenceError, match="cardiac, inversion_train"):
        shipped("../cardiac")
