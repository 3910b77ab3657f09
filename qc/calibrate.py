"""Limits from a site's own scans: how often clean ones would raise an alarm is then known, whatever their distribution.

A limit is the k-th largest score of n clean scans. One more scan of the same kind is as likely to take any place among
them, so it lies above with probability k / (n + 1), without any assumption on how scores are distributed. Amber follows
the clean scans up and down. Red only goes up: clean scans tell from where on a score is unusual, not from where on it
matters.

Source: Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World (2005), section 2.2, conformal prediction.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

import numpy as np

from qc.limits import SHIPPED, Limit, Limits
from qc.signature import SECTION, digest

AMBER_RATE: Final = 0.1
RED_RATE: Final = 0.02
"""Of clean scans that may raise an alarm, for each measure."""

ALL: Final = "*"
"""Stands for every protocol."""

_DIGITS: Final = 4
_QUANTILES: Final = (("median", 0.5), ("quantile_90", 0.9), ("largest", 1.0))


def fewest(rate: float) -> int:
    """Return how many scans a false-alarm rate needs."""
    return math.ceil(1 / rate - 1e-9) - 1


def threshold(scores: Sequence[float], rate: float) -> float:
    """Return the limit that a further clean scan reaches with at most this probability.

    Raises
    ------
    ValueError
        If there are too few scans to know.
    """
    if len(scores) < fewest(rate):
        raise ValueError(
            f"a false-alarm rate of {rate:.3g} takes {fewest(rate)} clean scans, {len(scores)} were given: give more "
            f"scans or a higher rate"
        )
    place = math.floor(rate * (len(scores) + 1) + 1e-9)
    return _above(sorted(scores)[-place])


def _above(value: float) -> float:
    """Return a number of few digits above a value: what equals the value is no alarm."""
    if value <= 0:
        return float(np.nextafter(0, 1))
    step = 10.0 ** (math.floor(math.log10(value)) - _DIGITS + 1)
    return float(f"{(math.floor(value / step) + 1) * step:.{_DIGITS}g}")


def proposed(
    scores: Mapping[str, Sequence[float]], amber: float = AMBER_RATE, red: float = RED_RATE, now: Limits = SHIPPED
) -> dict[str, Limit]:
    """Return the limits that keep to the false-alarm rates.

    Parameters
    ----------
    scores
        For each measure the score of each clean scan. A measure that was zero in all of them keeps its limits.
    amber, red
        Rates for each measure, per scan.
    now
        Limits so far.

    Raises
    ------
    ValueError
        If there are too few scans, or red is to be more frequent than amber.
    """
    if not 0 < red <= amber < 1:
        raise ValueError(f"rates of {amber:g} for amber and {red:g} for red: they must be above 0, red the rarer one")
    found = {}
    for name, values in scores.items():
        limits = threshold(values, amber), max(threshold(values, red), now[name].red)
        if any(values):
            found[name] = Limit(*limits, now[name].measure, f"{len(values)} clean scans of the site")
    return found


def content(
    scores: Mapping[str, Sequence[float]],
    found: Mapping[str, Limit],
    origin: Mapping[str, Any],
    protocol: str = ALL,
) -> dict[str, Any]:
    """Return what stands in a signed limits file.

    Parameters
    ----------
    scores, found
        What was measured, and the limits proposed for it.
    origin
        Where it comes from: version of the node, date, rates, digests of the scans.
    protocol
        Pattern of the protocols that it holds for.
    """
    own = {name: {"amber": limit.amber, "red": limit.red} for name, limit in found.items()}
    measured = {
        name: {label: float(f"{np.quantile(values, part):.6g}") for label, part in _QUANTILES}
        for name, values in scores.items()
    }
    whole: dict[str, Any] = {"limits": own} if protocol == ALL else {"protocols": {protocol: own}}
    whole["calibration"] = {**origin, "measured": measured}
    return {**whole, SECTION: {"sha256": digest(whole)}}


def toml(whole: Mapping[str, Any]) -> str:
    """Return nested tables of numbers, texts and lists of texts as TOML."""
    return "\n".join(_lines(whole, ())).lstrip("\n") + "\n"


def _lines(table: Mapping[str, Any], place: tuple[str, ...]) -> list[str]:
    plain = {name: value for name, value in table.items() if not isinstance(value, Mapping)}
    lines = ["", f"[{'.'.join(_key(part) for part in place)}]"] if plain and place else []
    lines += [f"{_key(name)} = {_value(value)}" for name, value in plain.items()]
    for name, value in table.items():
        if isinstance(value, Mapping):
            lines += _lines(value, (*place, name))
    return lines


def _key(name: str) -> str:
    return name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else _text(name)


def _value(value: Any) -> str:
    if isinstance(value, str):
        return _text(value)
    if isinstance(value, float | int):
        return repr(value)
    return "[\n" + "".join(f"    {_text(one)},\n" for one in value) + "]"


def _text(text: str) -> str:
    """Return a TOML string; a line break or another control character cannot be in one."""
    if not text.isprintable():
        raise ValueError(f"{text!r} cannot stand in a limits file")
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
