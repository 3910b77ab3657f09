"""MRD headers of simulated scans, as XML (ismrmrd/ismrmrd, schema/ismrmrd.xsd)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any
from xml.etree import ElementTree as ET

from inline.header import Limit, Space

NAMESPACE = "http://www.ismrm.org/ISMRMRD"


def describe(
    *,
    measurement_id: str,
    coils: int,
    encoded: Space,
    recon: Space,
    limits: Mapping[str, Limit],
    sequence: Mapping[str, Sequence[float]],
    sequence_type: str,
    acceleration: int = 1,
    calibration_mode: str = "",
    trajectory: str = "cartesian",
    trajectory_name: str = "ConventionalEPI",
    trajectory_longs: Mapping[str, int] | None = None,
    trajectory_doubles: Mapping[str, float] | None = None,
    diffusion: Sequence[Sequence[float]] = (),
    protocol: str = "",
    study: str = "",
    user: Mapping[str, str] | None = None,
) -> str:
    """Return an MRD header.

    Parameters
    ----------
    limits
        Range of each counter, in the schema's order.
    sequence
        ``TR``, ``TE``, ``TI`` in ms, ``flipAngle_deg``, ``echo_spacing`` in ms; each a list, in the schema's order.
    calibration_mode
        How calibration lines are acquired; embedded in an accelerated scan unless it is given.
    trajectory_name
        Identifier of the trajectory's description.
    trajectory_longs, trajectory_doubles
        Parameters of the trajectory's description; left out where None.
    diffusion
        For each value of the counter ``set``: b in s/mm^2 and the direction rl, ap, fh in the patient's axes.
    protocol
        Its name; that of the trajectory unless given.
    study
        UID of the study; none unless given.
    user
        User parameters, texts.
    """
    root = ET.Element("ismrmrdHeader", xmlns=NAMESPACE)
    _fill(root, "studyInformation", {"studyTime": "09:30:00"} | ({"studyInstanceUID": study} if study else {}))
    name = protocol or f"simulated_{trajectory}"
    _fill(
        root,
        "measurementInformation",
        {"measurementID": measurement_id, "patientPosition": "HFS", "protocolName": name},
    )
    _fill(
        root,
        "acquisitionSystemInformation",
        {
            "systemVendor": "boreside",
            "systemModel": "simulated scanner",
            "systemFieldStrength_T": 2.89362,
            # simulated noise is white over the whole band, so a noise scan has no narrower one
            "relativeReceiverNoiseBandwidth": 1.0,
            "receiverChannels": coils,
        },
    )
    system = root[-1]
    for number in range(coils):
        _fill(system, "coilLabel", {"coilNumber": number, "coilName": f"HeadArray:1:H{number + 1}"})
    _fill(root, "experimentalConditions", {"H1resonanceFrequency_Hz": 123263033})
    encoding = ET.SubElement(root, "encoding")
    _space(encoding, "encodedSpace", encoded)
    _space(encoding, "reconSpace", recon)
    ranges = ET.SubElement(encoding, "encodingLimits")
    for name, limit in limits.items():
        _fill(ranges, name, {"minimum": limit.minimum, "maximum": limit.maximum, "center": limit.center})
    ET.SubElement(encoding, "trajectory").text = trajectory
    if trajectory_longs is not None:
        description = ET.SubElement(encoding, "trajectoryDescription")
        ET.SubElement(description, "identifier").text = trajectory_name
        for kind, values in (("Long", trajectory_longs), ("Double", trajectory_doubles or {})):
            for name, value in values.items():
                _fill(description, f"userParameter{kind}", {"name": name, "value": value})
        ET.SubElement(description, "comment").text = f"simulated, {trajectory_name}"
    parallel = ET.SubElement(encoding, "parallelImaging")
    factors = {"kspace_encoding_step_1": acceleration, "kspace_encoding_step_2": 1}
    _fill(parallel, "accelerationFactor", factors)
    ET.SubElement(parallel, "calibrationMode").text = calibration_mode or ("embedded" if acceleration > 1 else "other")
    timing = ET.SubElement(root, "sequenceParameters")
    for name in ("TR", "TE", "TI", "flipAngle_deg"):
        _repeat(timing, name, sequence.get(name, ()))
    ET.SubElement(timing, "sequence_type").text = sequence_type
    _repeat(timing, "echo_spacing", sequence.get("echo_spacing", ()))
    _weightings(timing, diffusion)
    if user:
        parent = ET.SubElement(root, "userParameters")
        for label, text in user.items():
            _fill(parent, "userParameterString", {"name": label, "value": text})
    ET.indent(root)
    return '<?xml version="1.0"?>\n' + ET.tostring(root, encoding="unicode")


def describe_ct(
    *,
    measurement_id: str,
    protocol: str,
    views: int,
    encoded: Space,
    recon: Space,
    view_s: float,
    parameters: Mapping[str, str | float],
    subject: Mapping[str, str] | None = None,
    study: str = "",
    frame: str = "",
    position: str = "HFS",
) -> str:
    """Return the MRD header of a CT scan.

    Parameters
    ----------
    views
        How many will come; 0 if nobody knows.
    view_s
        Time from one view to the next.
    parameters
        User parameters, see `inline.views`.
    subject
        ``patientName`` and ``patientID``.
    study, frame
        UIDs of the study and of the frame of reference.
    position
        Of the patient, as DICOM writes it.
    """
    root = ET.Element("ismrmrdHeader", xmlns=NAMESPACE)
    if subject:
        _fill(root, "subjectInformation", subject)
    if study:
        _fill(root, "studyInformation", {"studyInstanceUID": study})
    measurement = {"measurementID": measurement_id, "patientPosition": position, "protocolName": protocol}
    _fill(root, "measurementInformation", measurement | ({"frameOfReferenceUID": frame} if frame else {}))
    _fill(root, "acquisitionSystemInformation", {"receiverChannels": encoded.matrix[2]})
    _fill(root, "experimentalConditions", {"H1resonanceFrequency_Hz": 0})  # the schema wants one
    encoding = ET.SubElement(root, "encoding")
    _space(encoding, "encodedSpace", encoded)
    _space(encoding, "reconSpace", recon)
    ranges = ET.SubElement(encoding, "encodingLimits")
    if views:
        _fill(ranges, "kspace_encoding_step_1", {"minimum": 0, "maximum": views - 1, "center": 0})
    ET.SubElement(encoding, "trajectory").text = "other"
    sequence = ET.SubElement(root, "sequenceParameters")
    _repeat(sequence, "TR", [1e3 * view_s])
    user = ET.SubElement(root, "userParameters")
    for kind, wanted in (("Double", float | int), ("String", str)):
        for name, value in parameters.items():
            if isinstance(value, wanted):
                _fill(user, f"userParameter{kind}", {"name": name, "value": value})
    ET.indent(root)
    return '<?xml version="1.0"?>\n' + ET.tostring(root, encoding="unicode")


def _fill(parent: ET.Element, name: str, values: Mapping[str, Any]) -> None:
    element = ET.SubElement(parent, name)
    for key, value in values.items():
        ET.SubElement(element, key).text = str(value)


def _repeat(parent: ET.Element, name: str, values: Sequence[float]) -> None:
    for value in values:
        ET.SubElement(parent, name).text = f"{value:.6f}" if math.isfinite(value) else "INF"


def _weightings(parent: ET.Element, diffusion: Sequence[Sequence[float]]) -> None:
    if diffusion:
        ET.SubElement(parent, "diffusionDimension").text = "set"
    for b, *direction in diffusion:
        element = ET.SubElement(parent, "diffusion")
        _fill(
            element,
            "gradientDirection",
            {axis: f"{x:.9f}" for axis, x in zip(("rl", "ap", "fh"), direction, strict=True)},
        )
        ET.SubElement(element, "bvalue").text = f"{b:.6f}"


def _space(parent: ET.Element, name: str, space: Space) -> None:
    element = ET.SubElement(parent, name)
    _fill(element, "matrixSize", dict(zip("xyz", space.matrix, strict=True)))
    _fill(
        element,
        "fieldOfView_mm",
        {axis: f"{x * 1e3:.6f}" for axis, x in zip("xyz", space.field_of_view_m, strict=True)},
    )
