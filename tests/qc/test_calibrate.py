"""Limits from clean scans keep to the false-alarm rates that are stated, whatever the scores are distributed like."""

from __future__ import annotations

import tomllib

import numpy as np
import pytest

from qc.calibrate import content, fewest, proposed, threshold, toml
from qc.limits import NEVER, SHIPPED, limits
from qc.signature import fault


@pytest.mark.parametrize("name", ["lognormal", "uniform", "heavy tail"])
@pytest.mark.parametrize("rate", [0.1, 0.02])
def test_the_share_of_further_clean_scans_above_a_limit_is_the_one_stated(name, rate):
    random = np.random.default_rng(5)
    draw = {
        "lognormal": lambda n: random.lognormal(size=n),
        "uniform": random.random,
        "heavy tail": lambda n: random.pareto(1.2, n),
    }[name]
    shares = [np.mean(draw(2000) >= threshold(draw(49).tolist(), rate)) for _ in range(400)]
    stated = np.floor(rate * 50) / 50
    # the share of one calibration is a beta variable; the mean of 400 is known to about a twentieth of its spread
    spread = np.sqrt(stated * (1 - stated) / 51 / 400)
    assert abs(np.mean(shares) - stated) < 4 * spread


def test_too_few_scans_are_refused_with_the_number_it_takes():
    assert (fewest(0.02), fewest(0.1)) == (49, 9)
    threshold([1.0] * 49, 0.02)
    with pytest.raises(ValueError, match="takes 49 clean scans, 48 were given"):
        threshold([1.0] * 48, 0.02)


def test_equal_scores_raise_no_alarm_and_a_measure_that_never_spoke_keeps_its_limits():
    found = proposed({"motion": [12.34] * 50, "spikes": [0.0] * 50})
    assert set(found) == {"motion"}
    assert 12.34 < found["motion"].amber < 12.36


def test_red_goes_up_and_never_down():
    low = proposed({"motion": np.linspace(1, 2, 50).tolist()})["motion"]
    high = proposed({"motion": np.linspace(1, 90, 50).tolist()})["motion"]
    assert low.red == SHIPPED["motion"].red
    assert low.amber < 2.1 < SHIPPED["motion"].amber
    assert high.red > SHIPPED["motion"].red


def test_what_is_written_can_be_read_and_holds_its_signature():
    scores = {"motion": np.linspace(1, 9, 50).tolist(), "echo shift": [1.0] * 50}
    found = proposed(scores)
    text = toml(content(scores, found, {"node_version": "1", "scans": ["ab", 'c"\\d']}, 'T1 "x" *'))
    own = tomllib.loads(text)
    assert fault(own) == ""
    assert own["calibration"]["scans"] == ["ab", 'c"\\d']
    mine, other = limits(own, 'T1 "x" 3D'), limits(own, "T2")
    assert mine["motion"].amber == found["motion"].amber
    assert mine["echo shift"].red == NEVER
    assert other["motion"] == SHIPPED["motion"]
    with pytest.raises(ValueError, match="cannot stand"):
        toml(content(scores, found, {"node_version": "1\n2"}))
