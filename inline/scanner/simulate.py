"""``boreside simulate``: scans of bodies that exist only as formulae, written as ordinary ISMRMRD files."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from inline.errors import ConfigurationError
from inline.scanner import cartesian, cine, ct, ct_protocol, dti, dti_protocol, epi, mrf_protocol, radial
from inline.scanner.faults import FAULTS, fault
from inline.scanner.protocol import Protocol
from inline.scanner.writer import Recording, write
from recon_models.physics.motion import KINDS, Motion

_MAPS: Final = ("molli", "sasha", "t2prep", "t2star")


def _mapping(kind: str) -> Callable[..., Recording]:
    """Return what records a mapping scan; the spins' kernels are loaded when it does."""

    def record(**options: Any) -> Recording:
        from inline.scanner import mapping

        return mapping.record(kind, Protocol(**options))

    return record


def _fingerprint(**options: Any) -> Recording:
    from inline.scanner import mrf  # brings the spins' kernels along

    return mrf.record(mrf_protocol.Protocol(**options))


SCANS: Final[Mapping[str, Callable[..., Recording]]] = {
    "cartesian": lambda **options: cartesian.record(Protocol(**options)),
    "cine": lambda **options: cine.record(Protocol(**options)),
    "ct": lambda **options: ct.record(ct_protocol.Protocol(**options)),
    "dti": lambda **options: dti.record(dti_protocol.Protocol(**options)),
    "epi": lambda **options: epi.record(Protocol(**options)),
    **{kind: _mapping(kind) for kind in _MAPS},
    "mrf": _fingerprint,
    "radial": lambda **options: radial.record(Protocol(**options)),
    "spiral": lambda **options: radial.record(Protocol(**options), "spiral"),
}
"""What can be simulated, from the attributes of its protocol."""

_ARGUMENTS: Final = {
    "ct": ct_protocol.add_arguments,
    "dti": dti_protocol.add_arguments,
    "mrf": mrf_protocol.add_arguments,
}
_OPTIONS: Final = {"ct": ct_protocol.options, "dti": dti_protocol.options, "mrf": mrf_protocol.options}
"""Of the kinds whose protocol is not `Protocol`."""

_FOLLOWS_NO_HEART: Final = "mistriggering needs a scan that follows the heart: simulate cine"


def simulate(kind: str, output: Path, **options: Any) -> None:
    """Simulate a scan and write it to a file.

    Parameters
    ----------
    kind
        One of `SCANS`.
    output
        File to write; an existing one is replaced.
    **options
        Attributes of `Protocol`, for ``ct`` of `ct_protocol.Protocol`.

    Raises
    ------
    ConfigurationError
        If there is no such kind of scan.
    """
    if kind not in SCANS:
        raise ConfigurationError(f"there is no simulated scan called {kind!r}; choose one of {', '.join(SCANS)}")
    if kind != "cine" and any(fault.kind == cine.MISTRIGGER for fault in options.get("faults", ())):
        raise ConfigurationError(_FOLLOWS_NO_HEART)
    write(SCANS[kind](**options), output)


def motion(text: str) -> Motion:
    """Read ``KIND[:MM][@FRACTION]``, such as ``step:5@0.4``.

    Raises
    ------
    ConfigurationError
        If it is none, or the kind belongs to another sort of scan.
    """
    rest, _, onset = text.partition("@")
    kind, _, millimetres = rest.partition(":")
    if kind == cine.MISTRIGGER:
        raise ConfigurationError(_FOLLOWS_NO_HEART)
    if kind not in KINDS:
        raise ConfigurationError(f"there is no motion called {kind!r}; choose one of {', '.join(KINDS)}")
    usual_m, usual_onset = KINDS[kind]
    try:
        amplitude_m = float(millimetres) * 1e-3 if millimetres else usual_m
        fraction = float(onset) if onset else usual_onset
    except ValueError as error:
        raise ConfigurationError(f"motion {text!r} is not KIND[:MM][@FRACTION], such as step:5@0.4") from error
    if not 0 <= fraction <= 1:
        raise ConfigurationError(f"motion {text!r} starts at {fraction} of the scan; give a fraction from 0 to 1")
    return Motion(kind, amplitude_m, fraction)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``boreside simulate`` takes."""
    kinds = parser.add_subparsers(dest="kind", metavar="|".join(sorted(SCANS)), required=True)
    for kind in sorted(SCANS):
        own = kinds.add_parser(kind, help=f"see boreside simulate {kind} --help")
        own.add_argument("-o", "--output", type=Path, required=True, help="file to write")
        _ARGUMENTS.get(kind, _add_magnetic)(own)
        if kind in _MAPS:
            _add_mapping(own)
        own.add_argument(
            "--motion",
            action="append",
            default=[],
            metavar="KIND[:MM][@FRACTION]",
            help=f"{', '.join(KINDS)}, or mistrigger[:BEATS] of cine; repeatable",
        )


def _add_magnetic(parser: argparse.ArgumentParser) -> None:
    usual = Protocol()
    for name, meaning in (
        ("seed", "everything random follows from it"),
        ("snr", "mean signal-to-noise ratio of the fully sampled image"),
        ("coils", "receive channels"),
        ("matrix", "points along x and y (default: what is usual for the kind)"),
        ("acceleration", "every how-many-th line is acquired"),
        ("slices", "slices of a 2D scan"),
        ("partitions", "partitions of a 3D scan"),
        ("repetitions", "how often the scan is repeated"),
        ("averages", "how often each slice is acquired"),
        ("contrasts", "echo times"),
        ("partial_fourier", "fraction of the lines that is acquired"),
        ("prescan", "lines around the centre measured before the scan as a separate reference"),
        ("asymmetric_echo", "fraction of the readout left out before the echo"),
    ):
        default = getattr(usual, name)
        parser.add_argument(f"--{name.replace('_', '-')}", type=type(default), default=default, help=meaning)
    parser.add_argument("--calibration", type=int, help="fully sampled central lines (default: 24 if accelerated)")
    parser.add_argument("--tr", type=float, default=0.0, metavar="MS", help="repetition time in milliseconds")
    parser.add_argument("--rr", type=float, default=0.0, metavar="MS", help="heart beat interval; 0: no gating")
    parser.add_argument("--order", choices=("linear", "interleaved"), default=usual.order, help="order of the lines")
    parser.add_argument("--random", action="store_true", help="choose lines at random, denser in the centre")
    parser.add_argument("--no-noise-scan", dest="noise_scan", action="store_false", help="measure no noise before")
    parser.add_argument(
        "--fault",
        action="append",
        default=[],
        metavar="KIND[:SIZE][@FRACTION]",
        help=f"{', '.join(FAULTS)}; repeatable",
    )


def _add_mapping(parser: argparse.ArgumentParser) -> None:
    usual = Protocol()
    parser.add_argument("--heart-rate", type=float, default=60.0, metavar="BPM", help="heart beats in a minute")
    parser.add_argument(
        "--scheme", default=usual.scheme, help="of MOLLI: images and (pauses), such as 5(3)3 or 4(1)3(1)2"
    )
    parser.add_argument(
        "--blood-t1", type=float, default=0.0, metavar="MS", help="T1 of blood after contrast medium; 0: a native scan"
    )


def run(arguments: argparse.Namespace) -> None:
    """Do what the command line asked for."""
    options = _OPTIONS.get(arguments.kind, _magnetic)(arguments)
    moved = tuple(motion(text) for text in arguments.motion if not _is_mistrigger(arguments.kind, text))
    simulate(arguments.kind, arguments.output, **options, motion=moved)
    if arguments.kind == "ct" and arguments.dicom:
        from inline.dicom.write_series import to_folder
        from inline.scanner.source import open_source

        with open_source(arguments.output) as recording:
            focal_spot = ct_protocol.FOCAL_SPOTS[arguments.focal_spot]
            to_folder(recording, arguments.dicom, focal_spot=focal_spot, implicit=arguments.implicit)


def _magnetic(arguments: argparse.Namespace) -> dict[str, Any]:
    given = dict(vars(arguments))
    wrong = [text for text in arguments.motion if _is_mistrigger(arguments.kind, text)]
    given["faults"] = (*map(fault, arguments.fault), *map(cine.mistrigger, wrong))
    given["tr_s"], given["rr_s"] = arguments.tr * 1e-3, arguments.rr * 1e-3
    if arguments.kind in _MAPS:
        given["rr_s"] = given["rr_s"] or 60.0 / arguments.heart_rate
        given["blood_t1_s"] = arguments.blood_t1 * 1e-3
    return {name: given[name] for name in Protocol.__dataclass_fields__ if name != "motion" and name in given}


def _is_mistrigger(kind: str, text: str) -> bool:
    """Whether this is of the gating, not of the body."""
    return kind == "cine" and text.startswith(cine.MISTRIGGER)
