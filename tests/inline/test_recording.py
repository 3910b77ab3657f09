"""Files are read and written as the ISMRMRD libraries do."""

from __future__ import annotations

from pathlib import Path

import h5py
import ismrmrd
import numpy as np
import pytest

from inline.errors import ConfigurationError, ScanError
from inline.mrd import headers
from inline.mrd.messages import Acquisition, Image, Waveform
from inline.scanner.recording import Recording, due_times
from inline.scanner.store import Store

XML = (
    "<ismrmrdHeader><encoding><encodedSpace><matrixSize><x>8</x><y>8</y><z>1</z></matrixSize></encodedSpace>"
    "</encoding>{}</ismrmrdHeader>"
)
TR_4_MS = "<sequenceParameters><TR>4.0</TR></sequenceParameters>"


def acquisition(line: int, stamp: int = 0, channels: int = 2, samples: int = 8) -> Acquisition:
    header = np.zeros(1, headers.ACQUISITION)[0]
    header["active_channels"], header["number_of_samples"] = channels, samples
    header["acquisition_time_stamp"] = stamp
    header["idx"]["kspace_encode_step_1"] = line
    data = (np.arange(channels * samples) + 1j * line).astype(np.complex64).reshape(channels, samples)
    return Acquisition(header, np.empty((samples, 0), np.float32), data)


def waveform(stamp: int) -> Waveform:
    header = np.zeros(1, headers.WAVEFORM)[0]
    header["channels"], header["number_of_samples"], header["time_stamp"] = 1, 4, stamp
    return Waveform(header, np.arange(4, dtype=np.uint32)[None] + stamp)


def image(series: int, pixels: np.ndarray, kind: int, attributes: str = "") -> Image:
    header = np.zeros(1, headers.IMAGE)[0]
    header["version"], header["data_type"], header["image_series_index"] = 1, kind, series
    header["channels"], header["matrix_size"] = pixels.shape[0], pixels.shape[:0:-1]
    header["attribute_string_len"] = len(attributes)
    return Image(header, attributes, pixels)


def recording(path: Path, acquisitions: list[Acquisition], waveforms: list[Waveform] = (), more: str = "") -> Path:
    with Store(path) as store:
        store.header(XML.format(more))
        store.acquisitions(acquisitions)
        if waveforms:
            store.waveforms(waveforms)
    return path


def test_written_acquisitions_are_what_the_ismrmrd_library_reads(tmp_path):
    path = recording(tmp_path / "scan.h5", [acquisition(line) for line in range(3)], [waveform(7)])
    with ismrmrd.Dataset(str(path), mode="r") as dataset:
        assert dataset.number_of_acquisitions() == 3
        read = dataset.read_acquisition(2)
        assert read.idx.kspace_encode_step_1 == 2
        np.testing.assert_array_equal(read.data, acquisition(2).data)
        np.testing.assert_array_equal(dataset.read_waveform(0).data, waveform(7).data)


def test_a_second_block_is_appended_to_the_first(tmp_path):
    with Store(tmp_path / "scan.h5") as store:
        store.header(XML.format(""))
        store.acquisitions([acquisition(0), acquisition(1)])
        store.acquisitions([acquisition(2)])
    with Recording(tmp_path / "scan.h5") as read:
        lines = [int(item.header["idx"]["kspace_encode_step_1"]) for item in read.acquisitions()]
    assert lines == [0, 1, 2]


@pytest.mark.parametrize(
    ("kind", "pixels"),
    [
        (1, np.arange(6, dtype=np.uint16).reshape(1, 1, 2, 3)),
        (5, np.linspace(0, 1, 12, dtype=np.float32).reshape(1, 2, 2, 3)),
        (7, (np.arange(12) * (1 + 2j)).astype(np.complex64).reshape(2, 1, 2, 3)),
    ],
)
def test_images_survive_the_ismrmrd_library_and_our_own_reading(tmp_path, kind, pixels):
    meta = "<ismrmrdMeta><meta><name>Unit</name><value>µs</value></meta></ismrmrdMeta>"
    with Store(tmp_path / "out.h5") as store:
        store.header(XML.format(""))
        store.images([image(3, pixels, kind, meta), image(3, pixels * 2, kind, meta)])
    with ismrmrd.Dataset(str(tmp_path / "out.h5"), mode="r") as dataset:
        read = dataset.read_image("image_3", 1)
        np.testing.assert_array_equal(read.data, pixels * 2)
        assert ismrmrd.Meta.deserialize(read.attribute_string)["Unit"] == "µs"
    if kind != 7:  # the library's File cannot read the complex images its own Dataset writes
        file = ismrmrd.File(str(tmp_path / "out.h5"), "r")
        np.testing.assert_array_equal(file["dataset/image_3"].images[0].data, pixels)
        file.close()
    with Recording(tmp_path / "out.h5") as own:
        np.testing.assert_array_equal([item.pixels for item in own.images()], [pixels, pixels * 2])


def test_images_of_another_matrix_go_to_a_numbered_group(tmp_path):
    small, large = np.ones((1, 1, 2, 2), np.uint16), np.ones((1, 1, 4, 4), np.uint16)
    with Store(tmp_path / "out.h5") as store:
        store.images([image(1, small, 1), image(1, large, 1), image(1, small, 1), image(1, large, 1)])
    with h5py.File(tmp_path / "out.h5") as file:
        assert {name: group["data"].shape[0] for name, group in file["dataset"].items()} == {
            "image_1": 2,
            "image_1_2": 2,
        }


def test_raw_data_are_never_overwritten(tmp_path):
    path = recording(tmp_path / "scan.h5", [acquisition(0)])
    before = path.read_bytes()
    with pytest.raises(ConfigurationError, match="raw data"):
        Store(path)
    assert path.read_bytes() == before


def test_a_file_that_could_not_be_finished_is_removed(tmp_path):
    with pytest.raises(RuntimeError), Store(tmp_path / "out.h5"):
        raise RuntimeError
    assert not (tmp_path / "out.h5").exists()


def test_waveforms_come_before_the_first_later_readout(tmp_path):
    path = recording(
        tmp_path / "scan.h5", [acquisition(line, stamp=10 * line) for line in range(3)], [waveform(25), waveform(5)]
    )
    with Recording(path) as read:
        order = [type(item).__name__[0] for item in read.items()]
    assert order == ["A", "W", "A", "A", "W"]


def test_readouts_are_due_at_their_time_stamps_of_2_5_ms(tmp_path):
    path = recording(tmp_path / "scan.h5", [acquisition(0, 100), acquisition(1, 104), acquisition(2, 102)])
    with Recording(path) as read:
        np.testing.assert_allclose(due_times(read), [0, 0.010, 0.010])
        np.testing.assert_allclose(due_times(read, rate_hz=200), [0, 0.005, 0.010])


def test_without_time_stamps_the_repetition_time_paces(tmp_path):
    path = recording(tmp_path / "scan.h5", [acquisition(line) for line in range(3)], more=TR_4_MS)
    with Recording(path) as read:
        np.testing.assert_allclose(due_times(read), [0, 0.004, 0.008])


def test_without_any_times_pacing_is_refused(tmp_path):
    path = recording(tmp_path / "scan.h5", [acquisition(line) for line in range(3)])
    with Recording(path) as read, pytest.raises(ConfigurationError, match="--rate"):
        due_times(read)


def test_samples_that_contradict_the_header_are_named(tmp_path):
    path = recording(tmp_path / "scan.h5", [acquisition(0), acquisition(1)])
    with h5py.File(path, "a") as file:
        row = file["dataset/data"][1:2]
        row["head"]["number_of_samples"] = 99
        file["dataset/data"][1:2] = row
    with Recording(path) as read, pytest.raises(ScanError, match="acquisition 1 "):
        list(read.acquisitions())


@pytest.mark.parametrize("content", [None, b"not HDF5 at all"])
def test_files_that_cannot_be_read_say_so(tmp_path, content):
    if content is not None:
        (tmp_path / "scan.h5").write_bytes(content)
    with pytest.raises(ConfigurationError, match="cannot read"):
        Recording(tmp_path / "scan.h5")


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["gre_HEAD_3T", "trufi_R2_12ch_noise", "epi_bold_80_3T"])
def test_measured_files_read_as_the_ismrmrd_library_reads_them(real_data, name):
    path = real_data / "ismrmrd" / f"{name}.h5"
    with Recording(path) as read, ismrmrd.File(str(path), "r") as file:
        own, peer = list(read.acquisitions()), file["dataset"].acquisitions[:]
        assert len(own) == len(peer)
        for mine, theirs in zip(own, peer, strict=True):
            assert mine.header.tobytes() == bytes(theirs.getHead())
            np.testing.assert_array_equal(mine.data, theirs.data)
