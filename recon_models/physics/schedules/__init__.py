"""Sequences driven by the heart: what each plays out for the RR intervals that came, and when each image is taken.

Every schedule takes the RR intervals as they were: a missed beat is a long one, arrhythmia is uneven ones. What a fit
needs to know of an image (inversion, saturation or echo time) and what the simulator plays come from the same place.
"""

from recon_models.physics.schedules.echoes import multi_echo_gre
from recon_models.physics.schedules.fingerprint import cardiac_fingerprint, inversion_train
from recon_models.physics.schedules.molli import molli
from recon_models.physics.schedules.prepared import sasha, t2_prepared
from recon_models.physics.schedules.shot import Schedule, Shot

__all__ = [
    "Schedule",
    "Shot",
    "cardiac_fingerprint",
    "inversion_train",
    "molli",
    "multi_echo_gre",
    "sasha",
    "t2_prepared",
]
