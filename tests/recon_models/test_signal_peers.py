"""The simulator of spins against blochsim and torchsim, which share nothing with it (but much with each other)."""

import importlib
import warnings

import numpy as np
import pytest

from recon_models.fingerprint.description import shipped
from recon_models.physics.schedules import Shot, cardiac_fingerprint, molli, sasha, t2_prepared
from recon_models.physics.sequence import Inversion, Saturation, T2Preparation, Tissue, Train, Wait
from recon_models.physics.signal import received

RR = np.array([0.8, 1.1, 0.7, 0.95, 1.6, 0.6, 0.9, 1.0, 0.85, 1.2, 0.75, 0.9, 0.8, 1.0, 0.9])
T1_S = np.array([0.05, 0.3, 0.8, 1.2, 2.0, 5.0])
T2_S = np.array([0.006, 0.03, 0.045, 0.08, 0.25, 0.5])
GRID = np.array([(t1, t2) for t1 in T1_S for t2 in T2_S if t2 <= t1]).T
WITHIN = 5e-3  # of M0


@pytest.fixture(scope="module", params=["blochsim", "torchsim"])
def peer(request):
    pytest.importorskip("torch")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pytest.importorskip(request.param)
        models = {"blochsim": "blochsim._model", "torchsim": "torchsim.model"}[request.param]
        return importlib.import_module(f"{request.param}.sequence"), importlib.import_module(models)


def operators(sequence, play, b1):
    """Our events as the peer's operators; preparations are made not to depend on B1."""
    parts = []
    for event in sequence:
        match event:
            case Wait():
                parts += [play.Delay(event.duration_s), play.Spoil()]
            case Inversion():
                parts += [play.Inversion(), play.Spoil()]
            case Saturation():
                parts += [play.Excitation(np.pi / 2 / b1), play.Spoil()]
            case T2Preparation() if event.echo_time_s > 0:
                half = event.echo_time_s / 2
                turns = ((np.pi / 2, 0.0), (np.pi, np.pi / 2), (np.pi / 2, np.pi))
                first, refocusing, back = (play.Excitation(flip / b1, phase) for flip, phase in turns)
                parts += [first, play.Delay(half), refocusing, play.Delay(half), back, play.Spoil()]
            case Train():
                for flip, phase in zip(event.flips_rad.tolist(), event.phases_rad.tolist(), strict=True):
                    kind = play.bSSFPReadout if event.balanced else play.SSFPFidReadout
                    kind = play.SPGRReadout if event.ideally_spoilt else kind
                    rest = kind(phase, duration_s=event.tr_s - event.te_s)
                    parts += [play.Excitation(flip, phase), play.Delay(event.te_s), rest]
    return parts


def simulated(peer, sequence, tissue, states):
    play, models = peer

    class Peer(models.Simulator):
        model = models.SpinPhysics()

        def layout(self):
            return operators(sequence, play, float(tissue.b1))

    Peer.states = states
    off, b1 = (np.broadcast_to(value, tissue.t1_s.shape).copy() for value in (tissue.off_resonance_hz, tissue.b1))
    given = {"T1": 1e3 * tissue.t1_s, "T2": 1e3 * tissue.t2_s, "B0": off, "B1": b1}
    return 1j * np.asarray(Peer().simulate(**{name: value.astype(np.float32) for name, value in given.items()}))


@pytest.mark.parametrize("b1", [0.8, 1.0, 1.2])
def test_cardiac_fingerprints_agree(peer, b1):
    sequence, tissue = cardiac_fingerprint(RR), Tissue(*GRID, b1=b1)
    expected = simulated(peer, sequence, tissue, 64)
    assert np.abs(received(sequence, tissue) - expected).max() < WITHIN
    assert np.abs(received(sequence, tissue, states=64) - expected).max() < WITHIN / 5


def test_the_variant_of_47_pulses_agrees(peer):
    """The schedule as PTB plays it: TR 10 ms, 47 pulses, inversion 20 ms, T2 preparations 30, 50 and 100 ms."""
    rr = np.clip(RR, 0.8, None)
    more = {"pulses": 47, "tr_s": 0.01, "te_s": 0.001, "inversion_time_s": 0.02, "echo_times_s": (0.03, 0.05, 0.1)}
    sequence, tissue = cardiac_fingerprint(rr, **more), Tissue(*GRID)
    assert np.abs(received(sequence, tissue) - simulated(peer, sequence, tissue, 64)).max() < WITHIN


def test_an_inversion_train_agrees(peer):
    sequence, tissue = shipped("inversion_train").sequence(), Tissue(*GRID, b1=0.9)
    expected = simulated(peer, sequence, tissue, 64)
    assert np.abs(received(sequence, tissue, states=64) - expected).max() < WITHIN


@pytest.mark.parametrize("off_hz", [0.0, 40.0, -90.0])
@pytest.mark.parametrize(
    "schedule",
    [
        molli("5(3)3", RR, shot=Shot(pulses=40, centre=15)),
        sasha(RR, shot=Shot(pulses=40, centre=15, flip_rad=1.2)),
        t2_prepared(RR, shot=Shot(pulses=40, centre=15)),
        molli("5(3)3", RR, shot=Shot(pulses=40, centre=15, balanced=False, flip_rad=0.15)),
    ],
    ids=["molli", "sasha", "t2prep", "molli-flash"],
)
def test_mapping_series_agree(peer, schedule, off_hz):
    tissue = Tissue(*GRID, off_resonance_hz=off_hz)
    if off_hz and any(isinstance(event, T2Preparation) for event in schedule.sequence):
        pytest.skip("our T2 preparation is perfect at every frequency, a hard-pulse one nearly")
    expected = simulated(peer, schedule.sequence, tissue, 1)[..., schedule.centres]
    found = received(schedule.sequence, tissue, readouts=schedule.centres)
    assert np.abs(np.abs(found) - np.abs(expected)).max() < WITHIN
    assert min(np.abs(found - expected).max(), np.abs(found - expected.conj()).max()) < WITHIN
