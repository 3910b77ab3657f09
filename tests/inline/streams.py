"""Streams for tests: recordings as the items a pipeline sees."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from inline.header import Scan
from inline.scan import Context, Readout
from inline.scanner.recording import Recording


def read(path):
    """Return the header and all readouts of an ISMRMRD file, copied out of it."""
    with Recording(path) as recording:
        scan = Scan.from_xml(recording.xml)
        readouts = []
        for acquisition in recording.acquisitions():
            readout = Readout.from_acquisition(acquisition)
            readouts.append(replace(readout, samples=readout.samples.copy()))
    return scan, readouts


def run(pipeline, readouts, scan, **options):
    """Return the images and findings of a pipeline, without a report unless it is asked for."""
    findings = []
    options["parameters"] = {"report": "false"} | options.get("parameters", {})
    images = list(pipeline(iter(readouts), scan, Context(report=findings.append, **options)))
    return images, findings


def nrmse(image, reference):
    """Error of a magnitude image, scaled to fit best, relative to the reference."""
    image, reference = np.asarray(image, float).squeeze(), np.asarray(reference, float).squeeze()
    scale = (image * reference).sum() / (image * image).sum()
    return np.linalg.norm(scale * image - reference) / np.linalg.norm(reference)


def causes(findings):
    return [finding.cause for finding in findings]
