"""What is set at the console of the simulated scanner for a cardiac fingerprint."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import Any, Final

from inline.errors import ConfigurationError
from recon_models.fingerprint.description import Description, SequenceError
from recon_models.physics.motion import Motion
from recon_models.physics.rhythm import KINDS

FIELD_OF_VIEW_M: Final = 0.3

ORDERS: Final = ("spread", "golden", "in turn")
"""Of arms: each path once before any comes again, neighbours in time far apart; by the golden angle to the nearest;
one path after the other."""

_RANGES: Final = {
    "rate": (30.0, 140.0),
    "coils": (1, 64),
    "matrix": (32, 512),
    "interleaves": (1, 512),
    "snr": (0.1, 1e6),
    "b1": (0.5, 1.5),
    "efficiency": (0.5, 1.0),
}


@dataclass(frozen=True, slots=True)
class Protocol:
    """A cardiac fingerprint to simulate.

    Attributes
    ----------
    seed
        Everything random follows from it.
    sequence
        Name of a shipped description (`recon_models.fingerprint.description`), or one written out.
    rhythm
        One of `recon_models.physics.rhythm.KINDS`.
    rate
        Mean heart rate, beats per minute.
    snr
        Mean over the muscle of the signal's root mean square over the scan, in a fully sampled image of one time point
        and of all coils, over the standard deviation of its noise (real part).
    coils, matrix
        Of the scan.
    interleaves
        Arms that sample k-space fully.
    order
        One of `ORDERS`.
    b1, efficiency
        Actual over nominal flip angle, and of inversions; dictionaries believe in 1.
    lost
        Arms that never arrive.
    motion
        What the chest does from heart beat to heart beat.
    noise_scan
        Whether noise is measured before the scan.
    """

    seed: int = 0
    sequence: str = "cardiac"
    rhythm: str = "regular"
    rate: float = 65.0
    snr: float = 20.0
    coils: int = 16
    matrix: int = 192
    interleaves: int = 48
    order: str = "spread"
    b1: float = 1.0
    efficiency: float = 1.0
    lost: tuple[int, ...] = ()
    motion: tuple[Motion, ...] = ()
    noise_scan: bool = True

    def __post_init__(self) -> None:
        if self.rhythm not in KINDS:
            raise ConfigurationError(f"there is no rhythm {self.rhythm!r}; choose one of {', '.join(KINDS)}")
        if self.order not in ORDERS:
            raise ConfigurationError(f"there is no order {self.order!r}; choose one of {', '.join(ORDERS)}")
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most:
                raise ConfigurationError(f"{name} = {value:g} is not between {least:g} and {most:g}")
        if self.matrix % 2:
            raise ConfigurationError(f"matrix = {self.matrix} is not even")
        if any(motion.kind == "through-plane" for motion in self.motion):
            raise ConfigurationError("a fingerprint is simulated without through-plane motion; leave it out")
        try:
            self.description()
        except SequenceError as error:
            raise ConfigurationError(str(error)) from error

    def description(self) -> Description:
        """Return what is played."""
        from recon_models.fingerprint.dictionary import described  # brings the spins' kernels along

        return described(self.sequence)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``boreside simulate mrf`` takes besides its output."""
    usual = Protocol()
    parser.add_argument("--rhythm", choices=KINDS, default=usual.rhythm, help="of the heart")
    parser.add_argument("--sequence", default=usual.sequence, help="name of a shipped description, or one as JSON")
    parser.add_argument("--order", choices=ORDERS, default=usual.order, help="of the arms")
    for name, meaning in (
        ("seed", "everything random follows from it"),
        ("rate", "heart beats per minute"),
        ("snr", "signal-to-noise ratio of the muscle in one fully sampled time point"),
        ("coils", "receive channels"),
        ("matrix", "points along x and y"),
        ("interleaves", "arms that sample k-space fully"),
        ("b1", "actual over nominal flip angle"),
        ("efficiency", "of inversions"),
    ):
        default = getattr(usual, name)
        parser.add_argument(f"--{name}", type=type(default), default=default, help=meaning)
    parser.add_argument(
        "--lost", type=int, action="append", default=[], metavar="ARM", help="an arm that never arrives; repeatable"
    )
    parser.add_argument("--no-noise-scan", dest="noise_scan", action="store_false", help="measure no noise before")


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the protocol's attributes, motion left out, as the command line gave them."""
    given = vars(arguments) | {"lost": tuple(arguments.lost)}
    return {field.name: given[field.name] for field in fields(Protocol) if field.name != "motion"}
