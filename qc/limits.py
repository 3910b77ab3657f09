"""Thresholds, each with where it comes from; a site may set its own, per protocol.

A limits file is TOML. What stands under a protocol's name (with ``*`` and ``?`` as in file names) holds for it alone:

    [limits.motion]
    amber = 25
    red = 80

    [protocols."*FLAIR*".spikes]
    red = 12
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from fnmatch import fnmatch
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final

from qc.finding import Severity


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
        return Severity.RED if value >= self.red else Severity.AMBER if value >= self.amber else Severity.GREEN


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
        "irregular rhythm": Limit(
            0.2, NEVER, "relative deviation of the RR interval from its median", "arrhythmia rejection window of 20 %"
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
        "missing readouts": Limit(1.0, 1.0, "readouts that never came", "none may be lost"),
        "disordered readouts": Limit(1.0, NEVER, "readouts out of order", "harmless if they all come"),
        "echo shift": Limit(
            2.0,
            NEVER,
            "samples that the echo moved since the first of its slice",
            "one pixel with twofold oversampling",
        ),
        "navigator": Limit(0.2, NEVER, "relative difference of a navigator from the first", "a fifth of the signal"),
    }
)


def load(path: Path) -> Mapping[str, Any]:
    """Read a site's limits file.

    Raises
    ------
    ValueError
        If it is no TOML.
    OSError
        If it cannot be read.
    """
    try:
        return tomllib.loads(path.read_text(encoding="utf-8"))
    except tomllib.TOMLDecodeError as error:
        raise ValueError(f"{path} is not TOML: {error}") from error


def limits(site: Mapping[str, Any] | None = None, protocol: str = "") -> Limits:
    """Return the limits for a protocol.

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
    unknown = set(site) - {"limits", "protocols"}
    if unknown:
        raise ValueError(f"the limits file has an unknown section {min(unknown)!r}; use `limits` and `protocols`")
    _apply(found, site.get("limits", {}), "the site's limits file")
    for pattern, own in site.get("protocols", {}).items():
        if fnmatch(protocol, pattern):
            _apply(found, own, f"the site's limits file, protocol {pattern}")
    return MappingProxyType(found)


def _apply(found: dict[str, Limit], own: Mapping[str, Any], source: str) -> None:
    for name, values in own.items():
        if name not in found:
            raise ValueError(f"there is no limit called {name!r}; choose one of {', '.join(sorted(found))}")
        wrong = sorted(set(values) - {"amber", "red"})
        if wrong or not all(isinstance(value, int | float) for value in values.values()):
            raise ValueError(f"limit {name!r} takes numbers `amber` and `red`, not {dict(values)!r}")
        amber, red = (float(values.get(key, getattr(found[name], key))) for key in ("amber", "red"))
        found[name] = replace(found[name], amber=amber, red=red, source=source)
        if found[name].amber > found[name].red:
            raise ValueError(f"limit {name!r} has amber {found[name].amber:g} above red {found[name].red:g}")
