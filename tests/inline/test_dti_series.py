"""Diffusion-weighted image series in, and whatever else a console may say of how they are weighted."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from streams import read, run

from inline import console
from inline.errors import ScanError
from inline.header import Encoding, Limit, Scan, Space
from inline.mrd import messages as m
from inline.mrd.headers import IMAGE
from inline.mrd.meta import from_xml, to_xml
from inline.own_node import own_node
from inline.pipelines.dti import dti
from inline.scan import Context, Counters, Geometry, Image
from inline.scanner.client import converse
from inline.scanner.description import describe
from inline.scanner.simulate import simulate
from inline.stages.weighting import Weighting
from recon_models.diffusion.btable import SECONDS_PER_MM2
from recon_models.diffusion.invariants import eigensystem, fractional_anisotropy, mean_diffusivity
from recon_models.diffusion.tensor import fit_wls
from recon_models.physics.diffusion import directions, spin_echo_table, weighted_signals
from recon_models.physics.ventricle import random_heart

AXIAL = Geometry((0.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0), (0.16, 0.16, 0.008))
OBLIQUE = replace(AXIAL, read=(0.6, 0.8, 0.0), phase=(-0.8, 0.6, 0.0))
TABLE = spin_echo_table(12)


def axes(geometry):
    """The image's x, y and z in the patient's axes, as rows."""
    return np.array([geometry.read, geometry.phase, geometry.slice])


def heart():
    return random_heart(np.random.default_rng(5), ill=False).maps(64, 2.5e-3)


def series(geometry=AXIAL, table=TABLE, meta=True, repetitions=1, noise=0.0):
    """A heart's weighted images with their weighting in the patient's axes in their meta."""
    random, found, clean = np.random.default_rng(1), heart(), weighted_signals(heart().s0, heart().tensor, table)
    images = []
    for repetition in range(repetitions):
        for entry, signal in enumerate(clean):
            axis = table.directions[entry] @ axes(geometry)
            stated = {"DiffusionBValue": str(table.b[entry] / SECONDS_PER_MM2)}
            stated["DiffusionGradientOrientation"] = [str(part) for part in axis]
            pixels = np.abs(signal + noise * random.standard_normal(signal.shape)).astype(np.float32)[None, None]
            counters = Counters(set=entry, repetition=repetition)
            images.append(Image(pixels, geometry, counters, received=stated if meta else {}, index=len(images) + 1))
    return images, found


def plain(parameters=None, xml=""):
    space = Space((64, 64, 1), (0.16, 0.16, 0.008))
    return Scan((Encoding(space, space),), parameters=parameters or {}, xml=xml)


def maps(images, scan=None, **parameters):
    found, findings = run(dti, images, scan or plain(), parameters={"denoise": "none", **parameters})
    return {image.quantity: image.pixels[0, 0] for image in found}, findings


@pytest.mark.parametrize("geometry", [AXIAL, OBLIQUE], ids=["axial", "oblique"])
def test_directions_are_turned_from_the_patient_to_the_image(geometry):
    images, truth = series(geometry)
    found, _ = maps(images, organ="heart")
    wall = truth.wall
    assert np.abs(found["FA"] - fractional_anisotropy(truth.tensor))[wall].max() < 1e-3
    apart = np.abs((found["HA"] - np.degrees(truth.helix_rad) + 90) % 180 - 90)[wall & (found["HA"] != 0)]
    assert np.median(apart) < 3  # the wall's frame is about the centre that was found


def test_table_in_parameters_says_the_same_as_meta():
    images, _ = series()
    listed = {
        "bvalues": json.dumps((TABLE.b / SECONDS_PER_MM2).tolist()),
        "bvectors": json.dumps(TABLE.directions.tolist()),
    }
    silent, _ = series(meta=False)
    for found in (maps(silent, **listed)[0], maps(silent, plain(listed))[0]):
        np.testing.assert_allclose(found["MD"], maps(images)[0]["MD"], atol=1e-5)


def test_table_as_fsl_writes_it_is_taken_the_right_way_round():
    silent, _ = series(meta=False)
    listed = {"bvalues": json.dumps((TABLE.b / SECONDS_PER_MM2).tolist())}
    rows = maps(silent, bvectors=json.dumps(TABLE.directions.tolist()), **listed)[0]
    columns = maps(silent, bvectors=json.dumps(TABLE.directions.T.tolist()), **listed)[0]
    np.testing.assert_array_equal(rows["FA"], columns["FA"])


def test_volumes_of_several_planes_are_slices():
    images, _ = series()
    doubled = [replace(image, pixels=np.repeat(image.pixels, 2, axis=1)) for image in images]
    found, _ = run(dti, doubled, plain(), parameters={"denoise": "none"})
    assert [image.counters.slice for image in found if image.quantity == "MD"] == [0, 1]


def test_repetitions_of_a_series_are_averaged():
    images, truth = series(repetitions=6, noise=0.02)
    found, _ = maps(images)
    one, _ = maps(images[:13])
    wrong = [np.abs(m["MD"] - 1e9 * mean_diffusivity(truth.tensor))[truth.wall].mean() for m in (found, one)]
    assert wrong[0] < 0.6 * wrong[1]


def header(b, axes, limit=None, dimension="set"):
    space = Space((64, 64, 1), (0.16, 0.16, 0.008))
    xml = describe(
        measurement_id="1", coils=1, encoded=space, recon=space,
        limits={"set": Limit(0, (limit or len(b)) - 1)}, sequence={}, sequence_type="EPI",
        diffusion=np.column_stack((b, axes)).tolist(),
    ).replace("<diffusionDimension>set", f"<diffusionDimension>{dimension}")  # fmt: skip
    return Scan.from_xml(xml)


B = [0.0] + [450.0] * 12
AXES = np.concatenate((np.zeros((1, 3)), directions(12)))


def test_header_states_the_table_in_the_patients_axes():
    silent, _ = series(OBLIQUE, meta=False)
    turned = AXES @ axes(OBLIQUE)
    np.testing.assert_allclose(maps(silent, header(B, turned))[0]["FA"], maps(series(OBLIQUE)[0])[0]["FA"], atol=2e-3)


@pytest.mark.parametrize(
    ("b", "axes", "match"),
    [
        (B, 1.3 * AXES, "length 1.3 instead of 1"),
        ([450.0] * 13, np.concatenate((directions(12)[:1], directions(12))), "no image is unweighted"),
        (B[:5], AXES[:5], "determine 4 of a tensor's 6"),
        ([0.0] + [float("nan")] * 12, AXES, "not a number"),
    ],
    ids=["not unit", "no b0", "too few", "no number"],
)
def test_table_that_no_tensor_can_be_fitted_with_is_refused(b, axes, match):
    silent, _ = series(meta=False)
    with pytest.raises(ScanError, match=match):
        maps(silent[: len(b)], header(b, axes))


def test_table_of_the_wrong_length_is_refused():
    with pytest.raises(ScanError, match="13 diffusion elements, but its set counter takes 14"):
        Weighting.of(header(B, AXES, limit=14), Context(report=print))
    silent, _ = series(meta=False)
    short = {"bvalues": json.dumps(B[:9]), "bvectors": json.dumps(AXES[:9].tolist())}
    with pytest.raises(ScanError, match="9 entries, but an image of set 9 came"):
        maps(silent, **short)


@pytest.mark.parametrize(
    ("parameters", "match"),
    [
        ({"bvalues": "[0, 450]"}, "bvectors is missing"),
        ({"bvalues": "[0, 450]", "bvectors": "[[0, 0, 0]]"}, "one triple each"),
        ({"bvalues": "nonsense", "bvectors": "[]"}, "JSON lists"),
        ({"bvalues": "[0]", "bvectors": "[[0, 0, 0]]", "bvectors_frame": "world"}, "image or patient"),
    ],
)
def test_parameters_that_are_no_table_are_refused(parameters, match):
    with pytest.raises(ScanError, match=match):
        Weighting.of(plain(), Context(report=print, parameters=parameters))


def test_dimension_that_is_no_counter_is_refused():
    with pytest.raises(ScanError, match="diffusion dimension is 'user_3'"):
        Weighting.of(header(B, AXES, dimension="user_3"), Context(report=print))


def test_series_that_says_nothing_of_its_weighting_is_refused():
    silent, _ = series(meta=False)
    with pytest.raises(ScanError, match="nothing says how image 1 is weighted"):
        maps(silent)


def test_meta_that_is_no_number_is_refused():
    images, _ = series()
    spoilt = [replace(image, received={**image.received, "DiffusionBValue": "many"}) for image in images]
    with pytest.raises(ScanError, match="that is no number"):
        maps(spoilt)


def test_images_of_another_size_are_refused():
    images, _ = series()
    images[3] = replace(images[3], pixels=images[3].pixels[..., :60])
    with pytest.raises(ScanError, match="60 x 64 pixels"):
        maps(images)


def test_readouts_may_say_it_themselves(tmp_path):
    """In user floats, as sequences do whose header cannot hold a table."""
    simulate("dti", tmp_path / "dti.h5", matrix=64, coils=4, averages=1, snr=40.0)
    scan, readouts = read(tmp_path / "dti.h5")
    table = Weighting.of(scan, Context(report=print))
    stated = []
    for readout in readouts:
        head = readout.header.copy()
        head["user_float"][2:6] = [
            table.b[readout.counters.set] / SECONDS_PER_MM2,
            *table.directions[readout.counters.set],
        ]
        stated.append(replace(readout, header=head))
    first, _ = run(dti, readouts, scan)
    silent = replace(scan, xml="", parameters={"diffusion_user_float": "2"})
    second, _ = run(dti, stated, silent)
    one, other = (next(i.pixels for i in images if i.quantity == "MD") for images in (first, second))
    np.testing.assert_allclose(one, other, atol=2e-3)


# --- through a running node -------------------------------------------------------------------------------------------


def wire(pixels, b, axis, slice_, index):
    head = np.zeros(1, IMAGE)[0]
    head["version"], head["data_type"], head["channels"], head["image_type"] = 1, 5, 1, 1
    head["matrix_size"], head["field_of_view"] = (pixels.shape[1], pixels.shape[0], 1), (200, 200, 2)
    head["read_dir"], head["phase_dir"], head["slice_dir"] = np.eye(3)
    head["position"], head["slice"] = (0, 0, 2 * slice_), slice_
    head["image_index"], head["image_series_index"] = index, 1
    meta = {"DiffusionBValue": float(b), "DiffusionGradientOrientation": [float(part) for part in axis]}
    return m.Image(head, to_xml(meta), np.ascontiguousarray(pixels, np.float32)[None, None])


def stream(images, table):
    space = Space((images.shape[3], images.shape[2], 1), (0.2, 0.2, 0.002))
    yield m.ConfigFile("dti")
    yield m.Header(describe(measurement_id="1", coils=1, encoded=space, recon=space, limits={}, sequence={},
                            sequence_type="EPI"))  # fmt: skip
    yield m.Text(json.dumps({"parameters": {"denoise": "none", "report": "false"}}))
    for number, (volume, b, axis) in enumerate(zip(images, table.b, table.directions, strict=True)):
        for slice_, pixels in enumerate(volume):
            yield wire(pixels, b / SECONDS_PER_MM2, axis, slice_, number + 1)
    yield m.Close()


@pytest.fixture(scope="module")
def node():
    with own_node() as node:
        yield node


def received(conversation, quantity):
    """Return the maps of one quantity, (slices, y, x); none if there is none."""
    sent = [arrival.image for arrival in conversation.images]
    return np.array([console.value(i)[0, 0] for i in sent if from_xml(i.attributes)["Quantity"] == quantity])


def merged(images, table):
    """Averages of entries that are alike, as dipy would be given them."""
    stated = [
        (round(b / SECONDS_PER_MM2, 3), *np.round(axis, 3)) for b, axis in zip(table.b, table.directions, strict=True)
    ]
    groups = [[n for n, other in enumerate(stated) if other == one] for one in dict.fromkeys(stated)]
    return np.stack([images[group].mean(axis=0) for group in groups]), table.part([group[0] for group in groups])


def dipy_md_and_fa(images, table, mask):
    from dipy.core.gradients import gradient_table
    from dipy.reconst.dti import TensorModel

    gradients = gradient_table(table.b / SECONDS_PER_MM2, bvecs=table.directions, b0_threshold=50)
    fit = TensorModel(gradients, fit_method="WLS").fit(images[:, mask].T)
    return 1e3 * fit.md, fit.fa


@pytest.mark.real_data
@pytest.mark.parametrize("name", ["Philips brain", "cord"])
def test_measured_series_streamed_to_a_node_agrees_with_dipy(node, real_data, name):
    from diffusion_data import cord, philips_brain

    images, table = {"Philips brain": philips_brain, "cord": cord}[name](real_data)
    conversation = converse(node.address, stream(images, table))
    assert conversation.closed
    assert not conversation.broken
    averages, kept = merged(images, table)
    b0 = averages[kept.unweighted].mean(axis=0)
    mask = (b0 > 0.3 * np.percentile(b0, 95)) & (averages.min(axis=0) > 0)
    md, fa = dipy_md_and_fa(averages, kept, mask)
    found_md, found_fa = (received(conversation, quantity)[mask] for quantity in ("MD", "FA"))
    # dipy sets negative eigenvalues to zero: those cannot be compared
    possible = eigensystem(fit_wls(averages[:, mask][:, None], kept).tensor)[0][2, 0] > 0
    assert possible.mean() > 0.7
    assert np.mean(np.abs(found_md - md)[possible] < 0.01 * md[possible] + 0.001) > 0.99
    assert np.mean(np.abs(found_fa - fa)[possible] < 0.01 * fa[possible] + 0.0005) > 0.99


def test_broken_series_ends_with_a_clear_word(node):
    images, _ = series()
    pixels = np.stack([image.pixels[0] for image in images])
    wrong = TABLE.part(np.arange(13))
    spoilt = replace(wrong, directions=2 * wrong.directions)
    conversation = converse(node.address, stream(pixels, spoilt))
    assert conversation.closed
    assert any("length 2 instead of 1" in line.text for line in conversation.lines)
    assert not len(received(conversation, "MD"))
