from __future__ import annotations

import numpy as np
import pytest

from inline.errors import StorageError
from inline.noise_store import FileNoiseStore
from recon_models.cartesian.noise import NoiseCovariance

NOISE = NoiseCovariance(np.diag([1.0, 2.0, 3.0]) + 0j, 1e-5, 512)


@pytest.mark.parametrize("name", ["45385_4050353_286", "../../etc/passwd", "ü/ß", "x" * 500, ""])
def test_a_measurement_survives_a_restart(tmp_path, name):
    FileNoiseStore(tmp_path / "noise").save(name, NOISE)
    found = FileNoiseStore(tmp_path / "noise").load(name)
    np.testing.assert_array_equal(found.matrix, NOISE.matrix)
    assert (found.dwell_s, found.samples, found.source) == (1e-5, 512, "stored noise scan")
    assert FileNoiseStore(tmp_path / "noise").known() == [name]
    assert [path.parent for path in tmp_path.rglob("*.npz")] == [tmp_path / "noise"]


def test_unknown_and_broken_measurements_are_none(tmp_path):
    store = FileNoiseStore(tmp_path)
    assert store.load("never seen") is None
    assert store.known() == []
    store.save("one", NOISE)
    (path,) = tmp_path.glob("*.npz")
    path.write_bytes(path.read_bytes()[:100])
    assert store.load("one") is None
    assert store.known() == []


def test_a_folder_that_cannot_be_written_is_said_and_leaves_nothing(tmp_path):
    (tmp_path / "noise").write_text("a file stands in the way")
    with pytest.raises(StorageError, match="cannot be kept"):
        FileNoiseStore(tmp_path / "noise").save("one", NOISE)
