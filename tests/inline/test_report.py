"""The report shows what was measured, in one file."""

from __future__ import annotations

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
import pytest
from PIL import Image as Picture

from inline.report import Exhibit, Remark, render


def exhibit(image, truth, **more):
    return Exhibit(
        **{
            "name": "Head <b>",
            "description": "a scan",
            "image": image,
            "truth": truth,
            "quantity": "magnitude",
            "unit": "SNR",
            "colour": "amber",
            "scan_s": 0.7,
            "latency_s": 0.0123,
            **more,
        }
    )


@pytest.fixture
def truth():
    y, x = np.mgrid[-1:1:32j, -1:1:48j]
    return np.where(x**2 + y**2 < 0.5, 40 + 10 * x, 0).astype(np.float32)


def page(*exhibits):
    return render(exhibits, title="Title", lead="Lead", origin="here")


def pictures(html):
    return [
        np.asarray(Picture.open(io.BytesIO(base64.b64decode(code))))
        for code in re.findall(r'src="data:image/png;base64,([^"]+)"', html)
    ]


def test_the_page_needs_nothing_beside_itself(truth):
    html = page(exhibit(truth, truth))
    assert not re.search(r"(?:src|href)=\"(?!data:|#)", html)
    assert "@import" not in html
    assert "url(" not in html
    assert "$" not in html


def test_the_page_is_well_formed(truth):
    opened: list[str] = []

    class Balance(HTMLParser):
        def handle_starttag(self, tag, attrs):
            if tag not in {"meta", "img"}:
                opened.append(tag)

        def handle_startendtag(self, tag, attrs):
            pass

        def handle_endtag(self, tag):
            assert opened.pop() == tag

    Balance().feed(page(exhibit(truth, truth, remarks=[Remark("red", "lie still")]), exhibit(None, None)))
    assert opened == []


def test_it_says_what_it_is_not():
    html = page(exhibit(None, None, latency_s=float("nan")))
    assert "not a medical device" in html
    assert "simulated" in html
    assert "No image came back" in html


def test_texts_from_outside_are_escaped(truth):
    html = page(exhibit(truth, truth, remarks=[Remark("red", "<script>alert(1)</script>")]))
    assert "<script>" not in html
    assert "Head &lt;b&gt;" in html


def test_latency_quality_and_findings_are_on_the_page(truth):
    html = page(exhibit(truth, truth, remarks=[Remark("amber", "The head moved. Repeat the scan.")]))
    assert "12.3" in html
    assert 'class="colour amber"' in html
    assert "Repeat the scan." in html


def test_image_truth_and_difference_are_the_pictures(truth):
    image = truth.copy()
    image[10, 20] += 8  # 16 % of white, of the 20 % at which the difference is brightest
    shown, expected, difference = pictures(page(exhibit(image, truth)))
    assert shown.shape == expected.shape == truth.shape
    assert np.unravel_index(difference.sum(-1).argmax(), truth.shape) == (10, 20)
    assert difference[0, 0].sum() < 30
    np.testing.assert_array_equal(shown[0], expected[0])


def test_a_scale_between_image_and_truth_is_not_an_error_but_is_stated(truth):
    scaled = exhibit(0.5 * truth, truth)
    assert scaled.scale == pytest.approx(0.5)
    assert scaled.error < 1e-6
    assert "times 0.50" in page(scaled)
    assert "times" not in page(exhibit(truth, truth))


def test_the_error_is_that_of_the_object(truth):
    noise = np.random.default_rng(0).normal(size=truth.shape).astype(np.float32)
    inside = truth > 0
    expected = np.linalg.norm(noise[inside]) / np.linalg.norm(truth[inside])
    assert exhibit(truth + noise, truth).error == pytest.approx(expected, rel=0.05)
