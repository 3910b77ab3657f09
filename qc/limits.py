"""Thresholds, each with where it comes from; a site may set its own, per protocol.

A limits file is TOML. What stands under a protocol's name (with ``*`` and ``?`` as in file names) holds for it alone:

    [limits.motion]
    amber = 25
    red = 80

    [protocols."*FLAIR*".spikes]
    red = 12

A file that ``boreside qc calibrate`` wrote says what it was made from and is signed; see `qc.signature`.
"""

from __future__ import annotations

import hashlib
import math
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from qc.finding import Severity
from qc.signature import SECTION, fault


@dataclass(frozen=True, slots=True)
class Limit:
    """From where on a measure is amber, and from where on red.

    Attributes
    ----------
    amber, red
        In the unit of the measure; infinity for never.
    measure
        What is measured, with its unit.
    source
        A paper, a standard, or the simulated scans it was set on.
    """

    amber: float
    red: float
    measure: str
    source: str

    def colour(self, value: float) -> Severity:
        """Return the severity of a value."""
        if value >= self.red != NEVER:
            return Severity.RED
        return Severity.AMBER if value >= self.amber != NEVER else Severity.GREEN


Limits = Mapping[str, Limit]

NEVER: Final = float("inf")
_CLEAN: Final = "24 clean simulated scans of benchmarks/watch.py, seeds 1000-1007"

SHIPPED: Final[Limits] = MappingProxyType(
    {
        "motion": Limit(
            6.0,
            36.0,
            "log likelihood ratio of motion, the strongest comparison left out",
            "the largest of 156 clean scans, 24 with contrast agent and 24 with pulsation (benchmarks/watch.py, seeds "
            "1000-1023) was 1.3; red is the most that three comparisons may say",
        ),
        "motion impact": Limit(
            0.003,
            0.02,
            "estimated error of the image, NRMSE",
            "below 0.01 motion counts as harmless; twice that, since the estimate was not yet held against true errors",
        ),
        "spikes": Limit(
            8.0,
            12.0,
            "amplitude over the line's median, in 1.4826 median absolute deviations",
            f"8 is the usual robust outlier limit; no alarm in {_CLEAN}",
        ),
        "interference": Limit(
            15.0,
            25.0,
            "power of a frequency over its neighbours', over 16 lines, and over 4 in the outer half of kx",
            "a tone as strong as the noise of a sample gives 16 or more; anatomy of measured heads up to 13",
        ),
        "saturation": Limit(
            1.0, 4.0, "readouts with samples at the limit of the receiver", "one is one too many; shots repeat it"
        ),
        "coil": Limit(
            8.0,
            20.0,
            "noise power of a coil over its own before, or its smallest peak power before over that now",
            f"9 dB; no alarm in {_CLEAN}",
        ),
        "noise level": Limit(
            2.0, NEVER, "noise power of all coils over that before", f"3 dB: SNR falls by 30 %; no alarm in {_CLEAN}"
        ),
        "missed triggers": Limit(
            1.5, 1.5, "RR interval over the median", "a missed beat doubles the interval; half of it is the middle"
        ),
        "double triggers": Limit(
            1 / 0.6, 1 / 0.6, "median over RR interval", "the shortest RR of a sinus rhythm is 0.6 of its median"
        ),
        "mistriggers": Limit(
            0.12,
            0.12,
            "seconds from where the scanner usually triggers after the R wave",
            "as long as a QRS complex that is called broad; triggers at the T wave come 0.3 s late",
        ),
        "irregular rhythm": Limit(
            0.2, NEVER, "relative deviation of the RR interval from its median", "arrhythmia rejection window of 20 %"
        ),
        "displacement": Limit(
            0.5, NEVER, "pixels between two images of a slice", "half a pixel; each image for itself may be sound"
        ),
        "entropy change": Limit(
            0.006,
            NEVER,
            "relative rise of the gradient's entropy over the slice's first image",
            "four times the largest of 36 clean simulated repetitions at SNR 10 and 30, 0.0015",
        ),
        "SNR drop": Limit(
            1.4, NEVER, "SNR of the slice's first image over this one's", "3 dB; what it lacks is said, not why"
        ),
        "aliasing": Limit(
            0.1,
            NEVER,
            "root mean square signal where the object would fold to, over the object's",
            "five times the largest of 9 clean simulated scans with R = 2 to 4, 0.02",
        ),
        "g-factor": Limit(2.0, NEVER, "95th percentile of the g-factor over the object", "noise twice what it must be"),
        "motion in image": Limit(
            NEVER,
            NEVER,
            "probability that motion has spoilt the image, by a network",
            "silent until a site calibrates it: a quarter of measured heads at rest reach 0.9 (benchmarks/severity.py)",
        ),
        "map misfit": Limit(
            0.1,
            NEVER,
            "part of the pixels whose reduced chi-square exceeds 3",
            "of noise alone 1 % with 5 degrees of freedom, 8 % with 1",
        ),
        "map noise": Limit(
            0.05,
            NEVER,
            "median of the map's standard deviation over its value",
            "native myocardium: 20-45 ms of 1000 at SNR 23-43 (Kellman 2013)",
        ),
        "map motion": Limit(
            8.0,
            NEVER,
            "mm that an image of a map was moved by",
            "as thick as a slice: what breathing moves in the plane as far as this it moves through it as well",
        ),
        "odd image": Limit(
            5.0,
            NEVER,
            "squared residual of a fit with an image over that without it, per degree of freedom",
            "1 if all belong together and the model is exact; the first image of three measured MOLLI series gives 3.4",
        ),
        "match residual": Limit(
            0.05, NEVER, "median part of a fingerprint that its entry does not explain", "noise alone at SNR 3: 0.05"
        ),
        "beat displacement": Limit(
            1.0,
            4.0,
            "mm between where the chest lay in a heart beat and where it usually lay",
            "five times the largest of 8 clean simulated scans in four rhythms at SNR 8 and 20, 0.19 mm "
            "(benchmarks/fingerprint.py limits); a step of 2 mm is seen in all of them, as 2.1 to 2.5",
        ),
        "fingerprint network": Limit(
            0.08,
            0.2,
            "median relative difference of a network's map from the dictionary's, in tissue",
            "inversions of 93 % move the dictionary's T1 by 14 % (benchmarks/fingerprint.py nuisance)",
        ),
        "slice dropout": Limit(
            3.5, 6.0, "modified z of missing signal within a shell", "SOLID, Sairanen 2018: 3.5 suspect, 6.0 rejected"
        ),
        "impossible tensors": Limit(
            0.05, NEVER, "part of the tensors that cannot be", "one in twenty; of noise alone it depends on the SNR"
        ),
        "network residual": Limit(
            1.5,
            3.0,
            "squared residual of the acquired lines over the noise power",
            "1 if noise is all that remains; the margin is for sensitivities, known to some per cent only",
        ),
        "network held out": Limit(
            2.0,
            4.0,
            "squared error of lines it did not see over the noise power",
            "1 plus the noise gain of the prediction, which is about 1 at twofold acceleration",
        ),
        "network disagreement": Limit(
            5.0,
            10.0,
            "99th percentile of the difference from the classical image over its noise",
            "2.6 for noise alone; a lesion that is worth seeing stands out by 5",
        ),
        "centre of mass": Limit(
            0.1,
            0.5,
            "what a body at rest leaves unexplained of its centre of mass seen from all sides, mm RMS",
            "100 clean torsos of tests/qc/torsos.py leave 0.014 at most, a step of 0.5 mm at half a turn 0.15",
        ),
        "opposite rays": Limit(
            1.3,
            4.0,
            "difference of rays measured from either end over noise and interpolation, RMS",
            "80 clean simulated scans give 0.91 at most (torsos of tests/qc/torsos.py) and 1.14 (water), 2 mm give 2.4",
        ),
        "truncation": Limit(
            0.1,
            1.0,
            "line integral at the ends of the fan",
            "5 mm and 50 mm of water, where there should be air",
        ),
        "detector defect": Limit(
            1.0,
            8.0,
            "elements of the detector that stand out",
            "each leaves a ring; their 5 % are half a ring of 50 HU",
        ),
        "detector saturated": Limit(
            1.0, 10.0, "views with four neighbours at the smallest value or more", "noise makes no two values agree"
        ),
        "photon starvation": Limit(
            1.0, NEVER, "views with four neighbours at the largest value or more", "noise makes no two values agree"
        ),
        "brighter than air": Limit(
            1.0,
            1.0,
            "views with four elements below a line integral of -0.5 or more",
            "65 % more light than through air",
        ),
        "dose": Limit(
            8.0,
            NEVER,
            "photons that the scanner promises over those that the noise tells of",
            "up to 7 in clean simulated scans of 3 % dose through 320 mm of water, where electronics add to the noise",
        ),
        "ct network disagreement": Limit(
            5.0,
            10.0,
            "99th percentile of the difference from the classical image over its noise",
            "2.6 for noise alone; a lesion that is worth seeing stands out by 5",
        ),
        "ct network bias": Limit(
            3.0,
            10.0,
            "median difference of the network's image from the classical one over the body, HU",
            "2 HU is what the network may be off on held-out patients",
        ),
        "missing readouts": Limit(1.0, 1.0, "readouts that never came", "none may be lost"),
        "disordered readouts": Limit(1.0, NEVER, "readouts out of order", "harmless if they all come"),
        "echo shift": Limit(
            2.0,
            NEVER,
            "samples that the echo moved since the first of its slice",
            "one pixel with twofold oversampling",
        ),
        "shot phase": Limit(
            0.25,
            0.4,
            "rad from pixel to pixel of the phase that motion left in a shot",
            "at 0.25 the smooth image that the phase is taken from has lost half of its signal, at 0.4 nearly all",
        ),
        "trigger delay": Limit(
            0.05,
            0.12,
            "seconds from when the slice's shots are usually measured in the heart beat",
            "the heart rests for 0.1 s at the end of systole; as long as a broad QRS complex beyond that",
        ),
        "tensor error": Limit(
            0.1,
            NEVER,
            "expected error of the wall's tensors, relative, where the scan may stop",
            "FA is then known to 0.04 (benchmarks/diffusion_stop.py)",
        ),
        "navigator": Limit(0.2, NEVER, "relative difference of a navigator from the first", "a fifth of the signal"),
    }
)


SHIPPED_ORIGIN: Final = "shipped"
"""What images say where a site set no limits of its own."""

_SECTIONS: Final = {"limits", "protocols", "calibration", SECTION}
_LARGEST: Final = 1 << 16
"""Bytes of a limits file: it travels to the workers on their command line."""


@dataclass(frozen=True, slots=True)
class Site:
    """The limits of a site as they stand in its file.

    Attributes
    ----------
    name
        Of the file; empty for none.
    text
        What stands in it.
    """

    name: str = ""
    text: str = ""

    @property
    def origin(self) -> str:
        """Which limits these are, for images and the audit log."""
        if not self.name:
            return SHIPPED_ORIGIN
        return f"{self.name}, SHA-256 {hashlib.sha256(self.text.encode()).hexdigest()}"

    @property
    def contents(self) -> Mapping[str, Any]:
        """What the text says."""
        return tomllib.loads(self.text)

    def limits(self, protocol: str = "") -> Limits:
        """Return the limits for a protocol; see `limits` for what is wrong with some files."""
        return limits(self.contents, protocol)


def load(path: Path) -> Site:
    """Read a site's limits file and check all of it, whichever protocol it is about.

    Raises
    ------
    ValueError
        If it is no TOML, was changed after it was signed, or sets what cannot be set.
    OSError
        If it cannot be read.
    """
    content = path.read_bytes()
    if len(content) > _LARGEST:
        raise ValueError(f"{path} is no limits file: it is larger than {_LARGEST >> 10} KiB")
    try:
        site = Site(path.name, content.decode())
        own = site.contents
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ValueError(f"{path} is not TOML: {error}") from error
    try:
        limits(own)
        if wrong := fault(own):
            raise ValueError(wrong)
    except ValueError as error:
        raise ValueError(f"{path}: {error}") from error
    return site


def limits(site: Mapping[str, Any] | None = None, protocol: str = "") -> Limits:
    """Return the limits for a protocol; what is said about others is checked as well.

    Parameters
    ----------
    site
        Contents of a limits file; None for the shipped limits.
    protocol
        Name of the protocol as the header gives it.

    Raises
    ------
    ValueError
        If the file names a measure or a key that does not exist, or amber lies above red.
    """
    found = dict(SHIPPED)
    if site is None:
        return MappingProxyType(found)
    if unknown := set(site) - _SECTIONS:
        raise ValueError(f"the limits file has an unknown section {min(unknown)!r}; use `limits` and `protocols`")
    _apply(found, _table(site.get("limits", {}), "limits"), "the site's limits file")
    for pattern, own in _table(site.get("protocols", {}), "protocols").items():
        concerned = found if fnmatch(protocol, pattern) else dict(found)
        _apply(concerned, _table(own, f"protocols.{pattern}"), f"the site's limits file, protocol {pattern}")
    return MappingProxyType(found)


def _table(values: Any, name: str) -> Mapping[str, Any]:
    if not isinstance(values, Mapping):
        raise ValueError(f"`{name}` is {values!r}; it must be a section, such as [{name}.motion]")
    return values


def _apply(found: dict[str, Limit], own: Mapping[str, Any], source: str) -> None:
    for name, values in own.items():
        if name not in found:
            raise ValueError(f"there is no limit called {name!r}; choose one of {', '.join(sorted(found))}")
        given = _table(values, name)
        if set(given) - {"amber", "red"} or not all(map(_is_limit, given.values())):
            raise ValueError(f"limit {name!r} takes numbers `amber` and `red`, not {dict(given)!r}")
        amber, red = (float(given.get(key, getattr(found[name], key))) for key in ("amber", "red"))
        if amber > red:
            raise ValueError(f"limit {name!r} has amber {amber:g} above red {red:g}")
        found[name] = replace(found[name], amber=amber, red=red, source=source)


def _is_limit(value: Any) -> bool:
    """Whether it is a number that a measure can be compared with; infinity stands for never."""
    return isinstance(value, int | float) and not isinstance(value, bool) and not math.isnan(value)
