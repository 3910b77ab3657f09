"""Scans that scanners measured, streamed to a running node over TCP."""

from __future__ import annotations

import numpy as np
import pytest

from inline import console
from inline.mrd.meta import from_xml
from inline.own_node import own_node
from inline.scanner.client import send
from inline.scanner.recording import Recording

pytestmark = pytest.mark.real_data

FILES = {  # images, and the shape of each
    "gre_HEAD_3T": (1, None),
    "gre_2rep_bodycoil_3T": (2, (160, 160)),
    "gre_bodycoil_MID273_3T": (None, None),
    "localizer_7T_1ch": (None, None),
    "trufi_R2_12ch_noise": (1, None),
    "epi_bold_80_3T": (None, None),
}


@pytest.fixture(scope="module")
def node():
    with own_node() as own:
        yield own


@pytest.mark.parametrize("name", FILES)
def test_every_measured_scan_comes_back_as_images(node, real_data, name):
    path = real_data / "ismrmrd" / f"{name}.h5"
    conversation = send(path, node.address, parameters={"report": "false"})
    assert conversation.closed
    number, shape = FILES[name]
    assert len(conversation.images) >= 1
    assert number in (None, len(conversation.images))
    for arrival in conversation.images:
        pixels = console.value(arrival.image)
        assert shape in (None, pixels.shape[2:])
        assert np.ptp(pixels) > 0
        meta = from_xml(arrival.image.attributes)
        assert {"Quantity", "Unit", "Method", "QC", "Node_version", "Config_sha256"} <= set(meta)
        assert meta["QC"] in ("green", "amber", "grey"), meta["QC_findings"]
    assert not [line.text for line in conversation.lines if line.text.startswith("ERROR")]


def test_slices_are_where_the_scanner_says(node, real_data):
    """Position and directions of each image against the file as the ISMRMRD library reads it."""
    ismrmrd = pytest.importorskip("ismrmrd")
    path = real_data / "ismrmrd" / "localizer_7T_1ch.h5"
    images = {int(arrival.image.header["slice"]): arrival.image for arrival in send(path, node.address).images}
    with Recording(path) as recording:
        assert recording.xml
    with ismrmrd.File(str(path), mode="r") as file:
        acquisitions = file["dataset"].acquisitions[:]
    for acquisition in acquisitions:
        head = acquisition.getHead()
        header = images[head.idx.slice].header
        for name in ("position", "read_dir", "phase_dir", "slice_dir"):
            np.testing.assert_allclose(header[name], list(getattr(head, name)), atol=1e-4)
