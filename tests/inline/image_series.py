"""Series of images as a site sends them that has no raw data: messages with their times in the meta."""

from __future__ import annotations

import json

import numpy as np

from inline.mrd.headers import IMAGE, IMAGE_PIXELS
from inline.mrd.messages import Close, ConfigFile, Header, Image, ImageType, Text
from inline.mrd.meta import to_xml

TYPES = {kind: number for number, kind in IMAGE_PIXELS.items()}

XML = """<?xml version="1.0"?>
<ismrmrdHeader xmlns="http://www.ismrm.org/ISMRMRD">
  <measurementInformation><protocolName>{protocol}</protocolName></measurementInformation>
  <experimentalConditions><H1resonanceFrequency_Hz>123000000</H1resonanceFrequency_Hz></experimentalConditions>
  <encoding>
    <encodedSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>300</x><y>300</y><z>8</z></fieldOfView_mm></encodedSpace>
    <reconSpace><matrixSize><x>{x}</x><y>{y}</y><z>1</z></matrixSize>
      <fieldOfView_mm><x>300</x><y>300</y><z>8</z></fieldOfView_mm></reconSpace>
    <encodingLimits></encodingLimits><trajectory>cartesian</trajectory>
  </encoding>
</ismrmrdHeader>"""


def message(pixels, number=0, slice_=0, meta=None, kind=ImageType.MAGNITUDE, user=0.0, z_mm=0.0):
    """Return an image message of (y, x) pixels."""
    pixels = np.ascontiguousarray(pixels)[None, None]
    header = np.zeros(1, IMAGE)[0]
    header["version"], header["data_type"], header["channels"] = 1, TYPES[pixels.dtype], 1
    header["matrix_size"] = pixels.shape[:0:-1]
    header["field_of_view"] = 300, 300, 8
    header["position"] = 0, 0, z_mm or 10.0 * slice_
    header["read_dir"], header["phase_dir"], header["slice_dir"] = (1, 0, 0), (0, 1, 0), (0, 0, 1)
    header["slice"], header["image_index"], header["image_type"] = slice_, number + 1, kind
    header["set"] = number
    header["user_float"][0] = user
    return Image(header, to_xml(meta or {}), pixels)


def series(images, times_ms, name="InversionTime", slice_=0):
    """Return the messages of (measurements, y, x) images."""
    return [
        message(one, number, slice_, {name: float(time)})
        for number, (one, time) in enumerate(zip(images, times_ms, strict=True))
    ]


def conversation(messages, route, protocol="maps", **parameters):
    """Return what a console says to have images mapped."""
    y, x = messages[0].pixels.shape[-2:]
    said = [ConfigFile(route), Header(XML.format(protocol=protocol, x=x, y=y))]
    return [*said, Text(json.dumps({"parameters": {"report": "false"} | parameters})), *messages, Close()]
