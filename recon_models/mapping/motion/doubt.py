"""Why a registration cannot be believed: fields no heart could follow, or images that fit the curves no better."""

from __future__ import annotations

from recon_models.mapping.motion.groupwise import Registration


def refusal(registration: Registration) -> str:
    """Return why a registration cannot be believed, empty if it can."""
    fault = registration.character.fault()
    if fault:
        return fault
    return "" if registration.gain < 1 else f"leaves {registration.gain:.2f} of the residual"
