"""Another sequence runs by its description alone: signals of an inversion train are matched by the same functions."""

import numpy as np

from recon_models.fingerprint.description import Description, shipped
from recon_models.fingerprint.dictionary import Reference, basis_for, dictionary
from recon_models.physics.sequence import Tissue
from recon_models.physics.signal import received


def test_signals_of_an_inversion_train_are_matched():
    description = Description.read(shipped("inversion_train").write())
    random = np.random.default_rng(4)
    t1, t2 = random.uniform(0.3, 2.0, 300), random.uniform(0.03, 0.2, 300)
    measured = received(description.sequence(), Tissue(t1, t2), profile=description.profile())
    noise = random.standard_normal((*measured.shape, 2)).view(complex)[..., 0]
    measured = measured * np.exp(0.8j) + 0.002 * noise
    basis = basis_for(description)
    reference = Reference(dictionary(description.sequence(), basis, description.profile()), rank=12)
    found = reference.maps((measured @ basis).T.astype(np.complex64))
    assert np.median(np.abs(found.t1_s / t1 - 1)) < 0.02
    assert np.median(np.abs(found.t2_s / t2 - 1)) < 0.04
