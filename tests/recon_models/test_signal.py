"""The simulator of spins against closed formulae, and against itself where two ways must agree."""

import numpy as np
import pytest

from recon_models.physics.profile import Profile, of_pulse
from recon_models.physics.schedules import Shot, cardiac_fingerprint, molli
from recon_models.physics.sequence import Inversion, Saturation, T2Preparation, Tissue, Train, Wait
from recon_models.physics.signal import STATES, received

T1 = np.array([0.3, 1.0, 1.5])[:, None]
T2 = np.array([0.04, 0.08, 0.25])


def train(pulses, flip_deg, *, tr=5e-3, te=0.0, phases=None, **kinds):
    phases = np.zeros(pulses) if phases is None else phases
    return Train(np.full(pulses, np.deg2rad(flip_deg)), phases, tr, te, **{"balanced": False, **kinds})


def last(sequence, tissue, **more):
    readouts = sum(len(event.flips_rad) for event in sequence if isinstance(event, Train))
    return received(sequence, tissue, readouts=np.array([readouts - 1]), **more)[..., 0]


@pytest.mark.parametrize("flip", [3, 15, 60])
def test_ideally_spoilt_train_ends_in_ernsts_steady_state(flip):
    signal = last((train(3000, flip, te=2e-3, ideally_spoilt=True),), Tissue(T1, T2))
    e1, angle = np.exp(-5e-3 / T1), np.deg2rad(flip)
    expected = np.sin(angle) * (1 - e1) / (1 - e1 * np.cos(angle)) * np.exp(-2e-3 / T2)
    np.testing.assert_allclose(signal, expected, atol=2e-5)


def test_flash_with_phases_of_117_degrees_is_spoilt_nearly_ideally():
    n = np.arange(1500)
    phases = np.deg2rad(117.0) * n * (n + 1) / 2
    tissue = Tissue(np.array(1.0), np.array(0.05))
    spoilt = last((train(1500, 10, phases=phases),), tissue, states=64)
    ideal = last((train(1500, 10, ideally_spoilt=True),), tissue)
    assert abs(abs(spoilt) / abs(ideal) - 1) < 0.06
    assert abs(last((train(1500, 10),), tissue)) > 1.3 * abs(ideal)  # a gradient alone leaves echoes


@pytest.mark.parametrize("flip", [20, 50])
@pytest.mark.parametrize("off_hz", [0.0, 30.0, -30.0])
def test_balanced_train_ends_in_freemans_steady_state(flip, off_hz):
    tr, angle = 4e-3, np.deg2rad(flip)
    signal = last(
        (train(4000, flip, tr=tr, phases=np.pi * (np.arange(4000) % 2), balanced=True),), Tissue(T1, T2, off_hz)
    )
    e1, e2 = np.exp(-tr / T1), np.exp(-tr / T2)
    turn = 2 * np.pi * off_hz * tr + np.pi  # Freeman and Hill 1971, with the phase alternation as precession
    below = (1 - e1 * np.cos(angle)) * (1 - e2 * np.cos(turn)) - e2 * (e1 - np.cos(angle)) * (e2 - np.cos(turn))
    expected = (1 - e1) * np.sin(angle) * np.hypot(1 - e2 * np.cos(turn), e2 * np.sin(turn)) / below
    np.testing.assert_allclose(np.abs(signal), expected, atol=3e-5)


def test_precession_between_pulse_and_echo_turns_the_signal_forward():
    signal = last((train(1, 90, te=2.5e-3),), Tissue(T1, T2, 100.0))
    np.testing.assert_allclose(np.angle(signal), np.pi / 2, atol=1e-5)


@pytest.mark.parametrize("off_hz", [0.0, 60.0])
def test_the_phase_of_the_pulses_is_taken_out(off_hz):
    tissue = Tissue(T1, T2, off_hz)
    plain = received((train(40, 30, balanced=True),), tissue)
    turned = received((train(40, 30, balanced=True, phases=np.full(40, 0.7)),), tissue)
    np.testing.assert_allclose(turned, plain, atol=1e-6)


def test_pulses_whose_phase_advances_see_spins_that_lag_behind():
    """A phase that grows by d each TR is a frame that turns: on resonance, spins are off by -d / (2 pi TR) in it."""
    advance = 0.4
    tissue, lagging = Tissue(T1, T2), Tissue(T1, T2, -advance / (2 * np.pi * 5e-3))
    advancing = received((train(60, 40, balanced=True, phases=advance * np.arange(60)),), tissue)
    np.testing.assert_allclose(advancing, received((train(60, 40, balanced=True),), lagging), atol=1e-5)
    assert np.abs(advancing.imag).max() > 0.1


def test_look_locker_recovers_with_t1_star():
    flip, tr = np.deg2rad(8), 10e-3
    signal = received(
        (Inversion(), train(400, 8, tr=tr, ideally_spoilt=True)), Tissue(np.array(1.2), np.array(0.05))
    ).real
    rate = 1 / 1.2 - np.log(np.cos(flip)) / tr
    e1 = np.exp(-tr / 1.2)
    steady = (1 - e1) / (1 - e1 * np.cos(flip)) * np.sin(flip)
    expected = steady - (steady + np.sin(flip)) * np.exp(-np.arange(400) * tr * rate)
    np.testing.assert_allclose(signal, expected, atol=2e-5)


def test_preparations_do_what_they_say():
    tissue = Tissue(np.array(0.9), np.array(0.06), efficiency=0.9)
    probe = train(1, 90)
    assert last((Inversion(), probe), tissue).real == pytest.approx(-0.8, abs=1e-6)
    assert last((Saturation(), probe), tissue).real == pytest.approx(0.1, abs=1e-6)
    assert last((T2Preparation(0.03), probe), tissue).real == pytest.approx(np.exp(-0.5), abs=1e-6)
    recovered = 1 - 1.8 * np.exp(-0.5 / 0.9)
    assert last((Inversion(), Wait(0.5), probe), tissue).real == pytest.approx(recovered, abs=1e-6)


def test_isochromats_of_a_gradient_spoilt_train_add_up_to_its_phase_graph():
    """A voxel whose spins are spread evenly over one turn per TR, each a balanced train of its own frequency."""
    rng = np.random.default_rng(0)
    flips, tr, te = np.deg2rad(rng.uniform(5, 60, 60)), 6e-3, 0.0
    phases = rng.uniform(0, 2 * np.pi, 60)
    wound = (Inversion(), Wait(0.02), Train(flips, phases, tr, te, balanced=False))
    plain = (Inversion(), Wait(0.02), Train(flips, phases, tr, te, balanced=True))
    turns = np.arange(512) / 512 / tr
    spins = received(plain, Tissue(np.array(0.8), np.array(0.1), off_resonance_hz=turns)).mean(0)
    np.testing.assert_allclose(spins, received(wound, Tissue(np.array(0.8), np.array(0.1)), states=64), atol=2e-5)


def test_precession_does_not_change_how_much_a_gradient_spoilt_train_gives():
    """Whether precession is computed or known to move spins within a turn only: the same."""
    sequence = cardiac_fingerprint(np.linspace(0.7, 1.2, 15))
    tissue = Tissue(np.array([1.1, 0.4]), np.array([0.045, 0.2]), off_resonance_hz=40.0)
    short = received(sequence, tissue)
    forced = received((*sequence, train(1, 5, tr=1e-3, balanced=True)), tissue)[:, :-1]
    np.testing.assert_allclose(short, forced, atol=1e-6)
    np.testing.assert_allclose(np.abs(short), np.abs(received(sequence, Tissue(tissue.t1_s, tissue.t2_s))), atol=1e-6)


def test_few_states_are_enough():
    """The longest T2 asks for the most states; the error of the default stays below 0.15 % of M0."""
    sequence = cardiac_fingerprint(np.full(15, 0.8))
    tissue = Tissue(np.array([0.3, 1.0, 3.0])[:, None], np.array([0.04, 0.1, 0.25]))
    exact = received(sequence, tissue, states=128)
    errors = [np.abs(received(sequence, tissue, states=n) - exact).max() for n in (8, 16, STATES)]
    assert errors[0] > errors[1] > errors[2]
    assert errors[2] < 1.5e-3


def test_a_slice_is_the_sum_of_its_angles():
    sequence = cardiac_fingerprint(np.full(15, 0.8))
    tissue = Tissue(np.array(1.0), np.array(0.05))
    parts = Profile(np.array([0.5, 1.0]), np.array([0.25, 0.7]))
    expected = 0.25 * received(sequence, Tissue(tissue.t1_s, tissue.t2_s, b1=0.5)) + 0.7 * received(sequence, tissue)
    np.testing.assert_allclose(received(sequence, tissue, profile=parts), expected, atol=1e-6)


def test_five_angles_stand_for_a_slice():
    sequence = cardiac_fingerprint(np.full(15, 0.8))
    tissue = Tissue(np.array([0.5, 1.2]), np.array([0.04, 0.1]))
    flip = np.deg2rad(15)
    fine = received(sequence, tissue, profile=of_pulse(flip, points=60))
    coarse = received(sequence, tissue, profile=of_pulse(flip))
    assert np.linalg.norm(coarse - fine) < 0.01 * np.linalg.norm(fine)


def test_any_number_of_tissues_in_any_shape_gives_the_same():
    schedule = molli("5(3)3", np.full(12, 0.9), shot=Shot(pulses=30, centre=10))
    rng = np.random.default_rng(1)
    tissue = Tissue(rng.uniform(0.2, 2, (7, 101)), rng.uniform(0.02, 0.2, 101), rng.uniform(-60, 60, (7, 1)))
    signal = received(schedule.sequence, tissue, readouts=schedule.centres)
    assert signal.shape == (7, 101, 8)
    one = Tissue(tissue.t1_s[3, 7], tissue.t2_s[7], tissue.off_resonance_hz[3, 0])
    np.testing.assert_allclose(signal[3, 7], received(schedule.sequence, one)[schedule.centres], atol=1e-6)


@pytest.mark.parametrize(
    ("sequence", "tissue", "message"),
    [
        ((Wait(-0.1),), Tissue(np.array(1.0), np.array(0.1)), "wait"),
        ((train(2, 10, te=6e-3),), Tissue(np.array(1.0), np.array(0.1)), "TE"),
        ((Train(np.ones(3), np.zeros(2), 5e-3, 0.0, balanced=True),), Tissue(np.array(1.0), np.array(0.1)), "phases"),
        ((train(2, 10),), Tissue(np.array(0.0), np.array(0.1)), "positive"),
        ((train(2, 10),), Tissue(np.array(1.0), np.array(np.nan)), "positive"),
    ],
)
def test_what_is_not_physical_is_refused(sequence, tissue, message):
    with pytest.raises(ValueError, match=message):
        received(sequence, tissue)
