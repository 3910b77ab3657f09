"""What a client asks of a route: texts that become numbers and switches, or an error that says what would be right."""

from __future__ import annotations

import math
from collections.abc import Mapping

from inline.errors import ConfigurationError

Parameters = Mapping[str, str]


def switched(parameters: Parameters, name: str, *, usual: bool = True) -> bool:
    """Return whether something is wanted; any text but ``true`` says no."""
    return parameters.get(name, str(usual)).lower() == "true"


def number(parameters: Parameters, name: str, usual: float, least: float, most: float) -> float:
    """Return a number between two others.

    Raises
    ------
    ConfigurationError
        If it is none, or out of range.
    """
    text = parameters.get(name, "")
    try:
        found = float(text) if text else float(usual)
    except ValueError as error:
        raise ConfigurationError(f"{name}={text!r} is not a number") from error
    if not least <= found <= most:
        raise ConfigurationError(f"{name}={found:g} is out of range; give {least:g} to {most:g}")
    return found


def deadline_s(parameters: Parameters, usual: float) -> float:
    """Return how many seconds a network may take.

    Raises
    ------
    ConfigurationError
        If ``deadline`` is no positive number.
    """
    text = parameters.get("deadline", str(usual))
    try:
        seconds = float(text)
    except ValueError as error:
        raise ConfigurationError(f"deadline={text} is no number of seconds") from error
    if not 0 < seconds < math.inf:
        raise ConfigurationError(f"deadline={text}; seconds must be positive")
    return seconds
