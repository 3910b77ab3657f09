"""What is wrong with a CT scan is found in its views, and nothing is found in scans with nothing wrong.

Simulated scans of a torso; thresholds were set on other seeds (0 to 139) than those used here.
"""

from __future__ import annotations

import numpy as np
import pytest
from torsos import DOSE, causes, fan, scan, torso, watched

from qc.consistency import Conjugates, Moments
from qc.finding import Severity
from qc.projections import CHECKS, ProjectionWatch
from recon_models.ct.geometry import Shape, View
from recon_models.physics.phantom import Phantom, Region

ANCHORS_MM = {0.5: 0.149, 1.0: 0.294, 2.0: 0.587, 5.0: 1.465}
"""Published beside facts of this house: HL1 residual of a torso that makes a step at half a turn, at 3.75e4 photons."""


def turned(scanner, views):
    """Moments and opposite rays of a scan: residual in mm, RMS over noise, view of the jump and its size in mm."""
    moments, pairs = Moments(scanner, scanner.step_rad), Conjugates(scanner, scanner.step_rad)
    found = []
    for number, _, values in views:
        moments.add(number, values[0])
        found.append(pairs.add(number, values[0], np.full(736, DOSE)))
    course = moments.judge(DOSE)
    mean = np.sqrt(np.mean([one for one in found if one is not None]))
    return course.residual_m * 1e3, mean, course.view, course.jump_m * 1e3


@pytest.fixture(scope="module")
def steps():
    """A torso that steps sideways at half a turn, full size of detector and turn."""
    scanner = fan(736, 1152, offset=0.0)
    return {
        step: turned(scanner, scan(scanner, torso(), 1152, moved=torso().moved(0.0, (step * 1e-3, 0.0)), onset=576))
        for step in (0.0, *ANCHORS_MM)
    }


def test_the_centre_of_mass_shows_a_step_as_published(steps):
    for step, residual in ANCHORS_MM.items():
        assert steps[step][0] == pytest.approx(residual, rel=0.05)
    assert steps[0.0][0] < 0.03


def test_opposite_rays_differ_more_the_larger_the_step(steps):
    different = [steps[step][1] for step in (0.0, *ANCHORS_MM)]
    assert different == sorted(different)
    assert different[0] < 1
    assert different[-1] > 5


def test_when_the_step_was_and_how_large(steps):
    for step in (1.0, 2.0, 5.0):
        _, _, view, jump = steps[step]
        assert view == pytest.approx(576, abs=30)
        assert jump == pytest.approx(0.83 * step, rel=0.03)  # the lungs' weight spreads the step over some angles


def test_the_mass_seen_does_not_depend_on_the_angle():
    scanner = fan(736, 576)
    moments = Moments(scanner, scanner.step_rad)
    for number, _, values in scan(scanner, torso(), 700, photons=None):
        moments.add(number, values[0])
    course = moments.judge(np.inf)
    assert course.mass < 5e-4
    assert course.residual_m < 2e-5


def random_scan(seed):
    random = np.random.default_rng(seed)
    scanner = fan(
        368, int(random.choice([288, 384])), random.choice([Shape.FLAT, Shape.CURVED]), random.choice([0, 1.1])
    )
    body = torso(random.uniform(0.5, 1.05)).moved(random.uniform(-0.3, 0.3), tuple(random.uniform(-0.02, 0.02, 2)))
    views, photons = int(scanner.views_per_turn * random.uniform(0.7, 1.3)), 10 ** random.uniform(3.7, 5.3)
    return scanner, scan(scanner, body, views, photons, seed, turn=int(random.choice([-1, 1])))


@pytest.mark.parametrize("seed", range(5000, 5010))
def test_nothing_is_found_in_clean_scans(seed):
    found, watch = watched(*random_scan(seed))
    assert causes(found) == []
    assert watch.measures["Conjugate_z"] < 1  # it was looked at


def hot(column, by=0.08):
    return lambda _, values: values + by * (np.arange(values.shape[1]) == column)


def lamp_fails(number, values):
    return values - np.float32(1.0 if number >= 100 else 0.0)


FAULTS = {
    "dead column": ("detector defect", lambda _, values: np.where(np.arange(values.shape[1]) == 150, 2.0, values)),
    "hot column": ("detector defect", hot(150)),
    "saturated columns": ("detector saturated", lambda _, values: np.maximum(values, 0.8)),
    "no photons": ("photon starvation", lambda _, values: np.minimum(values, 4.0)),
    "flat of another dose": ("brighter than air", lamp_fails),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_faults_of_the_detector_are_found_and_motion_is_not_judged(fault):
    cause, change = FAULTS[fault]
    scanner = fan()
    found, watch = watched(scanner, scan(scanner, torso(), 384), change)
    assert cause in causes(found)
    assert "motion" not in causes(found)
    assert watch.found["motion not assessed"].severity is Severity.GREY


def test_a_defect_names_its_column():
    scanner = fan()
    found, _ = watched(scanner, scan(scanner, torso(), 384), hot(150))
    (defect,) = (one for one in found if one.cause == "detector defect")
    assert "columns 150," in defect.message
    assert defect.score == 1


@pytest.mark.parametrize("photons", [DOSE, None])
def test_the_edge_of_a_disc_about_the_axis_is_no_defect(photons):
    """It falls on the same column in every view."""
    scanner = fan(offset=0.1)
    disc = Phantom((Region("muscle", (0.0, 0.0), (0.16, 0.16)),))
    found, _ = watched(scanner, scan(scanner, disc, 384, photons))
    assert "detector defect" not in causes(found)


def test_a_body_wider_than_the_fan_is_found():
    scanner = fan()
    found, _ = watched(scanner, scan(scanner, torso(1.5), 384))
    assert "truncation" in causes(found)
    assert "detector defect" not in causes(found)


@pytest.mark.parametrize("moved", [(0.0, (1e-3, 0.0)), (0.0, (0.0, -1e-3)), (0.015, (0.0, 0.0))])
def test_motion_is_found_during_the_scan(moved):
    scanner = fan(736, 576)
    found, _ = watched(scanner, scan(scanner, torso(), 576, moved=torso().moved(*moved), onset=250))
    assert causes(found) == ["motion"]


def test_less_dose_than_promised_is_found_and_electronic_noise_alone_is_not_enough():
    scanner = fan()
    body = list(scan(scanner, torso(), 384, DOSE))
    assert causes(watched(scanner, body, promised=DOSE)[0]) == []
    assert causes(watched(scanner, body, promised=10 * DOSE)[0]) == ["dose"]


def test_a_helical_scan_is_not_judged_by_what_holds_for_one_slice():
    scanner = fan()
    views = ((n, View(v.angle_rad, 1e-4 * n), p) for n, v, p in scan(scanner, torso(), 200))
    found, _ = watched(scanner, views)
    assert causes(found) == ["motion not assessed"]


def test_rows_on_either_side_of_the_source_stand_for_the_one_between():
    scanner = fan(rows=4)
    moved = torso().moved(0.0, (2e-3, 0.0))
    assert causes(watched(scanner, scan(scanner, torso(), 384))[0]) == []
    assert causes(watched(scanner, scan(scanner, torso(), 384, moved=moved, onset=200))[0])[0] == "motion"


def test_a_check_that_fails_is_grey_and_the_others_go_on():
    def broken(limits, known):
        yield []
        raise RuntimeError("out of order")

    watch = ProjectionWatch(fan(), checks={"odd": broken, **CHECKS})
    found = watch.see(np.zeros((1, 368), np.float32), View(0.0), 0)
    assert causes(found) == ["odd not assessed"]
    assert "out of order" in found[0].message
