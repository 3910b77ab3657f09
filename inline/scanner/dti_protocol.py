"""What is set at the console of the simulated scanner for a diffusion scan of the heart."""

from __future__ import annotations

import argparse
from dataclasses import dataclass, fields
from typing import Any, Final

from inline.errors import ConfigurationError
from recon_models.diffusion.btable import BTable
from recon_models.physics.diffusion import spin_echo_table, steam_table
from recon_models.physics.motion import Motion

FIELD_OF_VIEW_M: Final = 0.256
ENCODINGS: Final = ("se", "steam")
"""A motion-compensated spin echo, one heart beat for an image; a stimulated echo, which takes two."""

_B: Final = {"se": 450.0, "steam": 600.0}
_RANGES: Final = {
    "directions": (6, 256),
    "averages": (1, 64),
    "unweighted": (1, 16),
    "b": (50.0, 3000.0),
    "coils": (1, 64),
    "matrix": (32, 512),
    "slices": (1, 32),
    "snr": (0.1, 1e6),
    "phase": (0.0, 1.0),
    "ghost": (0.0, 4.0),
    "shot_phase": (0.0, 20.0),
    "shift": (0.0, 50.0),
    "rr_s": (0.4, 3.0),
}

Shot = tuple[int, int]
"""Entry of the b-table and repetition, both counted from 0."""


@dataclass(frozen=True, slots=True)
class Protocol:
    """A diffusion scan to simulate.

    Attributes
    ----------
    seed
        Everything random follows from it.
    encoding
        One of `ENCODINGS`.
    directions, unweighted
        Entries of the b-table: images without weighting come first. A stimulated echo has one reference image.
    averages
        Repetitions of the whole table, each in a breath-hold of its own.
    b
        s/mm^2; 0 for the usual one.
    snr
        Mean over the muscle of signal over the standard deviation of noise (real part) in an unweighted image.
    coils, matrix, slices
        Of the scan.
    phase
        Of the heart, 0 in diastole to 1 at the end of systole.
    healthy
        Whether the heart has no lesion.
    ghost
        How strong the ghost's phase is, 1 for that of a head scan.
    shot_phase
        Standard deviation in rad of each coefficient of the phase that motion leaves in a shot.
    shift
        Standard deviation in mm of the heart's place between breath-holds, along y; half of it along x.
    spoilt
        Shots whose signal the heart's motion took away.
    late
        Shots that were triggered late: at another phase of the heart, by the clock; their images are spoilt too.
    lost
        Shots that never arrive.
    rr_s
        Time from one heart beat to the next.
    noise_scan
        Whether noise is measured before the scan.
    """

    seed: int = 0
    encoding: str = "se"
    directions: int = 12
    unweighted: int = 1
    averages: int = 4
    b: float = 0.0
    snr: float = 20.0
    coils: int = 16
    matrix: int = 128
    slices: int = 1
    phase: float = 1.0
    healthy: bool = False
    ghost: float = 1.0
    shot_phase: float = 1.0
    shift: float = 0.0
    spoilt: tuple[Shot, ...] = ()
    late: tuple[Shot, ...] = ()
    lost: tuple[Shot, ...] = ()
    rr_s: float = 0.9
    noise_scan: bool = True
    motion: tuple[Motion, ...] = ()

    def __post_init__(self) -> None:
        if self.encoding not in ENCODINGS:
            raise ConfigurationError(f"there is no encoding {self.encoding!r}; choose one of {', '.join(ENCODINGS)}")
        for name, (least, most) in _RANGES.items():
            value = getattr(self, name)
            if not least <= value <= most and not (name == "b" and value == 0):
                raise ConfigurationError(f"{name} = {value:g} is not between {least:g} and {most:g}")
        if self.motion:
            raise ConfigurationError("a diffusion scan moves between breath-holds: use --shift instead of --motion")
        for entry, repetition in (*self.spoilt, *self.late, *self.lost):
            if not (0 <= entry < len(self.table) and 0 <= repetition < self.averages):
                raise ConfigurationError(
                    f"there is no shot {entry}:{repetition}; entries go to {len(self.table) - 1}, repetitions to "
                    f"{self.averages - 1}"
                )

    @property
    def table(self) -> BTable:
        """The b-table, in the axes of the image."""
        b = self.b or _B[self.encoding]
        if self.encoding == "steam":
            return steam_table(self.directions, b)
        return spin_echo_table(self.directions, b, self.unweighted)


def shot(text: str) -> Shot:
    """Read ``ENTRY:REPETITION``.

    Raises
    ------
    ConfigurationError
        If it is none.
    """
    entry, colon, repetition = text.partition(":")
    if not (entry.isdigit() and (repetition.isdigit() or not colon)):
        raise ConfigurationError(f"{text!r} is not ENTRY:REPETITION, such as 3:1")
    return int(entry), int(repetition or 0)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Add what ``boreside simulate dti`` takes besides its output."""
    usual = Protocol()
    parser.add_argument("--encoding", choices=ENCODINGS, default=usual.encoding, help="spin or stimulated echo")
    for name, meaning in (
        ("seed", "everything random follows from it"),
        ("directions", "weighted images of a repetition"),
        ("unweighted", "images without weighting of a repetition"),
        ("averages", "repetitions, one to a breath-hold"),
        ("b", "s/mm^2; 0 for the usual one"),
        ("snr", "signal-to-noise ratio of the muscle in one unweighted image"),
        ("coils", "receive channels"),
        ("matrix", "points along x and y"),
        ("slices", "slices"),
        ("phase", "of the heart, 0 in diastole to 1 at the end of systole"),
        ("ghost", "strength of the Nyquist ghost"),
        ("shot-phase", "rad: how much the phase differs from shot to shot"),
        ("shift", "mm: how far the heart's place differs between breath-holds"),
    ):
        default = getattr(usual, name.replace("-", "_"))
        parser.add_argument(f"--{name}", type=type(default), default=default, help=meaning)
    parser.add_argument("--rr", type=float, default=usual.rr_s * 1e3, metavar="MS", help="heart beat interval")
    parser.add_argument("--healthy", action="store_true", help="a heart without lesions")
    for name, meaning in (
        ("spoilt", "a shot whose signal motion took away"),
        ("late", "a shot that was triggered late"),
        ("lost", "a shot that never arrives"),
    ):
        help_ = f"{meaning}; repeatable"
        parser.add_argument(f"--{name}", action="append", default=[], metavar="ENTRY[:REPETITION]", help=help_)
    parser.add_argument("--no-noise-scan", dest="noise_scan", action="store_false", help="measure no noise before")


def options(arguments: argparse.Namespace) -> dict[str, Any]:
    """Return the attributes of `Protocol` that the command line gives; its motion is left out."""
    given = vars(arguments) | {"rr_s": arguments.rr * 1e-3}
    for name in ("spoilt", "late", "lost"):
        given[name] = tuple(map(shot, given[name]))
    return {field.name: given[field.name] for field in fields(Protocol) if field.name != "motion"}
