"""A short scan of noise, for pipelines to run before the first patient's: imports, plans and pages cost time once.

Measured in a fresh process, the first scan of 16 coils took 120 ms longer than the second.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace

import numpy as np

from inline.header import Encoding, Limit, Scan, Space
from inline.mrd.headers import ACQUISITION
from inline.mrd.messages import Flag
from inline.scan import Counters, Readout
from inline.views import Projection, parameters_of
from recon_models.ct.geometry import Detector, Scanner, Shape, View

_COILS, _SIZE, _CALIBRATION, _SPOKES = 16, 128, 24, 69
_COLUMNS, _VIEWS, _PIXELS = 736, 64, 512


def rehearsal(acceleration: int = 1, navigators: int = 0) -> tuple[Scan, Iterator[Readout]]:
    """Return the header and the readouts of a scan of nothing but noise, with a noise scan and calibration lines.

    Parameters
    ----------
    acceleration
        Undersampling along y.
    navigators
        Lines for phase correction before the others, read to and fro as all of them are then.
    """
    encoded = Space((2 * _SIZE, _SIZE, 1), (0.4, 0.2, 0.005))
    recon = Space((_SIZE, _SIZE, 1), (0.2, 0.2, 0.005))
    limits = {"kspace_encoding_step_1": Limit(0, _SIZE - 1, _SIZE // 2)}
    encoding = Encoding(encoded, recon, limits, acceleration=(acceleration, 1), calibration_mode="embedded")
    return Scan((encoding,)), _readouts(acceleration, navigators)


def diffusion_rehearsal() -> tuple[Scan, Iterator[Readout]]:
    """Return the header and the readouts of a diffusion scan of nothing but noise, of two repetitions."""
    scan, _ = rehearsal()
    (encoding,) = scan.encodings
    axes = np.array([(0, 0, 0), (1, 1, 0), (1, -1, 0), (1, 0, 1), (1, 0, -1), (0, 1, 1), (0, 1, -1)]) / np.sqrt(2)
    limits = {**encoding.limits, "set": Limit(0, len(axes) - 1), "repetition": Limit(0, 1)}
    parameters = {"bvalues": json.dumps([0] + [500] * 6), "bvectors": json.dumps(axes.tolist())}
    return replace(scan, encodings=(replace(encoding, limits=limits),), parameters=parameters), _shots(len(axes))


def _shots(entries: int) -> Iterator[Readout]:
    """Yield the readouts of every shot; one shot's noise serves for all."""
    noise, *shot = _readouts(1, 3)
    yield noise
    for repetition in range(2):
        for entry in range(entries):
            for readout in shot:
                counters = readout.counters._replace(set=entry, repetition=repetition)
                header = readout.header.copy()
                header["read_dir"], header["phase_dir"], header["slice_dir"] = np.eye(3)
                yield replace(readout, counters=counters, header=header)


def live_rehearsal() -> tuple[Scan, Iterator[Readout]]:
    """Return the header and the readouts of golden-angle spokes through nothing but noise."""
    encoded = Space((2 * _SIZE, 2 * _SIZE, 1), (0.4, 0.4, 0.005))
    recon = Space((_SIZE, _SIZE, 1), (0.2, 0.2, 0.005))
    random = np.random.default_rng(0)
    readouts = (_readout(random, line, Flag(0) if line else Flag.NOISE) for line in range(_SPOKES))
    return Scan((Encoding(encoded, recon, trajectory="goldenangle"),)), readouts


def map_rehearsal(images: int = 5) -> tuple[Scan, Iterator[Readout]]:
    """Return the header and the readouts of a map of nothing but noise: images one after the other, as MOLLI has it."""
    scan, readouts = rehearsal(2)
    encoding = scan.encodings[0]
    limits = {**encoding.limits, "set": Limit(0, images - 1)}
    times = tuple(0.1 + number for number in range(images))
    return replace(scan, encodings=(replace(encoding, limits=limits),), inversion_times_s=times), _sets(
        list(readouts), images
    )


def _sets(readouts: list[Readout], images: int) -> Iterator[Readout]:
    for number in range(images):
        for readout in readouts:
            if not (number and readout.has(Flag.NOISE)):
                yield replace(readout, counters=readout.counters._replace(set=number))


def ct_rehearsal() -> tuple[Scan, Iterator[Readout]]:
    """Return the header and the views of a CT scan of nothing, of the usual size of detector and image."""
    detector = Detector(Shape.CURVED, _COLUMNS, 1, 1.2858e-3, 1.0947e-3, (_COLUMNS - 1) / 2, 0.0)
    scanner = Scanner(0.595, 1.0856, detector, _VIEWS)
    space = Space((_PIXELS, _PIXELS, 1), (0.4, 0.4, 0.0006))
    parameters = {name: str(value) for name, value in parameters_of(scanner).items()}
    encoding = Encoding(space, space, {"kspace_encoding_step_1": Limit(0, _VIEWS - 1)}, "other")
    return Scan((encoding,), parameters=parameters), _views(scanner)


def _views(scanner: Scanner) -> Iterator[Readout]:
    for number in range(_VIEWS):
        header = np.zeros(1, ACQUISITION)[0]
        Projection(np.zeros((1, _COLUMNS), np.float32), View(number * scanner.step_rad), number).describe(header)
        samples = np.zeros((1, _COLUMNS), np.complex64)
        yield Readout(samples, np.zeros((0, 0), np.float32), Counters(), 0, 0, 0, 0.0, header)


def _readouts(acceleration: int, navigators: int) -> Iterator[Readout]:
    random = np.random.default_rng(0)
    calibration = range(_SIZE // 2 - _CALIBRATION // 2, _SIZE // 2 + _CALIBRATION // 2)
    yield _readout(random, 0, Flag.NOISE)
    for number in range(navigators):
        yield _readout(random, 0, Flag.NAVIGATION | (Flag.REVERSE if number % 2 else Flag(0)))
    for line in range(_SIZE):
        flags = Flag.REVERSE if navigators and line % 2 else Flag(0)
        if acceleration > 1 and line in calibration:
            flags |= Flag.PARALLEL_CALIBRATION_AND_IMAGING if line % acceleration == 0 else Flag.PARALLEL_CALIBRATION
        if line % acceleration == 0 or line in calibration:
            yield _readout(random, line, flags)


def _readout(random: np.random.Generator, line: int, flags: Flag) -> Readout:
    samples = random.standard_normal((_COILS, 2 * _SIZE, 2), np.float32).view(np.complex64)[..., 0]
    return Readout(
        samples=samples,
        trajectory=np.zeros((0, 0), np.float32),
        counters=Counters(line=line),
        flags=int(flags),
        encoding=0,
        center_sample=_SIZE,
        dwell_s=5e-6,
        header=np.zeros(1, ACQUISITION)[0],
    )
