"""Journals become ISMRMRD files, whole or not."""

from __future__ import annotations

from pathlib import Path

import ismrmrd
import numpy as np
import pytest

from inline import mrd
from inline.errors import ConfigurationError
from inline.mrd import headers
from inline.mrd import messages as m
from inline.replay import export
from inline.scanner.recording import Recording
from inline.scanner.store import Store

XML = "<ismrmrdHeader><encoding/></ismrmrdHeader>"


def acquisition(line: int) -> m.Acquisition:
    header = np.zeros(1, headers.ACQUISITION)[0]
    header["active_channels"], header["number_of_samples"], header["trajectory_dimensions"] = 2, 8, 2
    header["idx"]["kspace_encode_step_1"] = line
    trajectory = np.linspace(-0.5, 0.5, 16, dtype=np.float32).reshape(8, 2) * line
    return m.Acquisition(header, trajectory, np.full((2, 8), line + 1j, np.complex64))


def waveform(stamp: int) -> m.Waveform:
    header = np.zeros(1, headers.WAVEFORM)[0]
    header["channels"], header["number_of_samples"], header["time_stamp"] = 2, 3, stamp
    return m.Waveform(header, np.arange(6, dtype=np.uint32).reshape(2, 3) + stamp)


def image() -> m.Image:
    header = np.zeros(1, headers.IMAGE)[0]
    header["data_type"], header["channels"], header["matrix_size"], header["image_series_index"] = 5, 1, (3, 2, 1), 7
    return m.Image(header, "", np.arange(6, dtype=np.float32).reshape(1, 1, 2, 3))


def journal(path: Path, *messages: m.Message, cut: int = 0) -> Path:
    content = b"".join(bytes(part) for message in messages for part in mrd.encode(message))
    path.write_bytes(content[: len(content) - cut])
    return path


START = m.ConfigFile("cartesian"), m.Header(XML)


def test_a_whole_journal_comes_out_as_the_ismrmrd_library_reads_it(tmp_path):
    scan = [item for line in range(300) for item in (acquisition(line), waveform(line))]
    said = list(export(journal(tmp_path / "j.mrd", *START, *scan, image(), m.Close()), tmp_path / "out.h5"))
    assert said == [f"{tmp_path}/out.h5: 300 acquisitions, 300 waveforms, 1 images"]
    with ismrmrd.Dataset(str(tmp_path / "out.h5"), mode="r") as dataset:
        assert dataset.read_xml_header().decode() == XML
        assert dataset.number_of_acquisitions() == dataset.number_of_waveforms() == 300
        for line in (0, 255, 256, 299):  # on both sides of the block that is written at once
            read = dataset.read_acquisition(line)
            np.testing.assert_array_equal(read.data, acquisition(line).data)
            np.testing.assert_array_equal(read.traj, acquisition(line).trajectory)
            np.testing.assert_array_equal(dataset.read_waveform(line).data, waveform(line).data)
        np.testing.assert_array_equal(dataset.read_image("image_7", 0).data, image().pixels)


def test_what_is_whole_is_kept_of_a_journal_that_was_cut(tmp_path):
    cut = journal(tmp_path / "j.mrd", *START, acquisition(0), acquisition(1), cut=5)
    said = list(export(cut, tmp_path / "out.h5"))
    assert "1 acquisitions" in said[0]
    assert said[1].startswith("missing:")
    with Recording(tmp_path / "out.h5") as recording:
        np.testing.assert_array_equal(next(recording.acquisitions()).data, acquisition(0).data)


def test_a_scan_without_close_is_said_to_be_unfinished(tmp_path):
    said = list(export(journal(tmp_path / "j.mrd", *START, acquisition(0)), tmp_path / "out.h5"))
    assert any("CLOSE" in line for line in said)


def test_garbage_ends_the_export_at_its_place(tmp_path):
    path = journal(tmp_path / "j.mrd", *START, acquisition(0))
    length = path.stat().st_size
    path.write_bytes(path.read_bytes() + b"\xff" * 100)
    said = list(export(path, tmp_path / "out.h5"))
    assert "1 acquisitions" in said[0]
    assert f"byte {length} " in said[1]


def test_a_journal_without_header_is_exported_and_named(tmp_path):
    said = list(export(journal(tmp_path / "j.mrd", START[0], acquisition(0), m.Close()), tmp_path / "out.h5"))
    assert said[1:] == ["missing: no MRD header"]


def test_samples_that_came_compressed_are_written_plain(tmp_path):
    packed = acquisition(3)
    packed.header["flags"] = m.Flag.COMPRESSION2 | m.Flag.REVERSE
    store_header = packed.header.copy()
    with Store(tmp_path / "out.h5") as store:
        store.header(XML)
        store.acquisitions([packed])
    with Recording(tmp_path / "out.h5") as recording:
        assert int(recording.acquisition_headers()["flags"][0]) == m.Flag.REVERSE
    assert packed.header == store_header


def test_a_missing_journal_is_said_in_words(tmp_path):
    with pytest.raises(ConfigurationError, match="cannot be read"):
        list(export(tmp_path / "none.mrd", tmp_path / "out.h5"))
    assert not (tmp_path / "out.h5").exists()
