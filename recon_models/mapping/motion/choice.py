"""Which registration is believed: a network's only if it explains the series better than the classical one."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

import numpy as np

from recon_models.mapping.motion.groupwise import Registration

CLASSICAL, NETWORK, NONE = "classical", "network", "none"
WORSE: Final = 1.0
"""Residual over that before from which on a correction is none."""


@dataclass(frozen=True, slots=True, eq=False)
class Choice:
    """What the images are warped with.

    Attributes
    ----------
    method
        `CLASSICAL`, `NETWORK`, or `NONE` if nothing could be believed: the fields are zero then.
    registration
        Its fields and residuals.
    reason
        Why this one, in words.
    """

    method: str
    registration: Registration
    reason: str


def choose(classical: Registration, learnt: Registration | None = None) -> Choice:
    """Return the registration to use.

    Parameters
    ----------
    classical
        Always computed.
    learnt
        The network's, if there was one in time.
    """
    doubt = refusal(classical)
    if learnt is not None:
        against = refusal(learnt)
        if not against and (doubt or learnt.gain <= classical.gain):
            return Choice(NETWORK, learnt, f"leaves {learnt.gain:.2f} of the residual, classical {classical.gain:.2f}")
        why = against or f"leaves {learnt.gain:.2f} of the residual, classical {classical.gain:.2f}"
        if not doubt:
            return Choice(CLASSICAL, classical, f"network not used: {why}")
    if not doubt:
        return Choice(CLASSICAL, classical, f"leaves {classical.gain:.2f} of the residual")
    still = replace(classical, fields=np.zeros_like(classical.fields), residual_after=classical.residual_before)
    return Choice(NONE, still, f"registration not used: {doubt}")


def refusal(registration: Registration) -> str:
    """Return why a registration cannot be believed, empty if it can."""
    fault = registration.character.fault()
    if fault:
        return fault
    if not registration.gain < WORSE:
        return f"leaves {registration.gain:.2f} of the residual"
    return ""
