"""The network's maps stand where nothing speaks against them; whatever it does, the classical ones are there."""

from __future__ import annotations

from dataclasses import replace

import h5py
import numpy as np
import pytest
from streams import read, run

from hardware.errors import HardwareError
from inline.errors import ConfigurationError
from inline.pipelines.dti import dti
from inline.scanner.simulate import simulate
from inline.stages import diffusion_network
from recon_models.diffusion import learnt

QUANTITIES = ("MD", "FA", "HA", "E2A")


@pytest.fixture(scope="module")
def scanned(tmp_path_factory):
    """A scan of one repetition, as a network is there for, with pixels it knows."""
    path = tmp_path_factory.mktemp("dti") / "dti.h5"
    simulate("dti", path, matrix=112, coils=2, averages=1, snr=15.0, healthy=True, seed=7)
    with h5py.File(path) as file:
        truth = {name: item[:] for name, item in file["truth"].items()}
    return (*read(path), truth)


def maps(scanned, **parameters):
    scan, readouts, _ = scanned
    images, _ = run(dti, readouts, scan, parameters={"sources": "false", **parameters})
    return {image.quantity: image for image in images}


@pytest.fixture(scope="module")
def classical(scanned):
    return maps(scanned, deep="false")


def test_network_is_better_where_it_is_sent_and_says_so(scanned, classical):
    found, truth = maps(scanned), scanned[2]
    wall = truth["labels"][0, 0] == 1
    assert found["FA"].method.startswith("tensornet")
    assert found["colour FA"].method == found["FA"].method
    assert len(found["FA"].meta["Model_sha256"]) == 64
    wrong = [np.abs(one["FA"].pixels[0, 0] - truth["FA"][0, 0])[wall].mean() for one in (found, classical)]
    assert wrong[0] < 0.8 * wrong[1]


def test_outside_the_wall_the_classical_tensor_stands(scanned, classical):
    found = maps(scanned)
    apart = found["FA"].pixels[0, 0] != classical["FA"].pixels[0, 0]
    assert apart.any()
    assert not apart[classical["HA"].pixels[0, 0] == 0].any()
    assert found["SD_FA"].method == "classical"


def test_nobody_asks_it_where_it_is_not_wanted(classical):
    assert {classical[quantity].method for quantity in QUANTITIES} == {"classical"}
    assert "tensornet" not in classical["FA"].method_reason


def test_network_that_cannot_be_run_leaves_the_classical_maps(scanned, classical, monkeypatch):
    def broken(name="tensornet"):
        raise HardwareError("it does not match its manifest")

    monkeypatch.setattr(diffusion_network, "network", broken)
    found = maps(scanned)
    for quantity in QUANTITIES:
        np.testing.assert_array_equal(found[quantity].pixels, classical[quantity].pixels)
        assert "does not match its manifest" in found[quantity].method_reason


@pytest.mark.parametrize("value", [np.nan, 3e-9], ids=["no numbers", "another tensor"])
def test_tensors_that_are_wrong_are_not_sent(scanned, classical, monkeypatch, value):
    real = learnt.refined
    monkeypatch.setattr(learnt, "refined", lambda *a: np.full_like(real(*a), value))
    found = maps(scanned)
    np.testing.assert_array_equal(found["FA"].pixels, classical["FA"].pixels)
    assert found["FA"].method == "classical"
    assert ("no numbers" if np.isnan(value) else "the misfit is") in found["FA"].method_reason


def test_scan_unlike_those_it_was_trained_on_is_not_its(scanned, classical):
    scan, readouts, _ = scanned
    weak = replace(scan, xml=scan.xml.replace("<bvalue>450.000000", "<bvalue>900.000000"))
    found = maps((weak, readouts, None))
    assert found["FA"].method == "classical"
    assert "b in s/mm^2 is 900" in found["FA"].method_reason


def test_deadline_must_be_a_number(scanned):
    with pytest.raises(ConfigurationError, match="deadline"):
        maps(scanned, deadline="soon")
