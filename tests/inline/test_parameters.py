"""What a client writes becomes a number or a switch, or it hears what would be right."""

from __future__ import annotations

import pytest

from inline.errors import ConfigurationError
from inline.parameters import deadline_s, number, switched


@pytest.mark.parametrize(("text", "wanted"), [("true", True), ("True", True), ("false", False), ("no", False)])
def test_a_switch_is_on_only_if_it_says_so(text, wanted):
    assert switched({"deep": text}, "deep") is wanted
    assert switched({"deep": text}, "other") and not switched({"deep": text}, "other", usual=False)


def test_a_number_is_between_its_limits():
    assert number({"step": "4"}, "step", 1, 1, 8) == 4
    assert number({}, "step", 1, 1, 8) == 1


@pytest.mark.parametrize("text", ["9", "0", "nan", "four"])
def test_a_number_that_cannot_be_is_refused_by_its_name(text):
    with pytest.raises(ConfigurationError, match="step="):
        number({"step": text}, "step", 1, 1, 8)


@pytest.mark.parametrize("text", ["0", "-1", "inf", "nan", "soon"])
def test_a_deadline_is_a_positive_number_of_seconds(text):
    assert deadline_s({}, 0.5) == 0.5
    with pytest.raises(ConfigurationError, match="deadline="):
        deadline_s({"deadline": text}, 0.5)
