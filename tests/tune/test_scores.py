from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest

from nbray.tune.scores import figure, names_in, score


@pytest.mark.parametrize("value", [0.25, Fraction(1, 4), np.float32(0.25), np.array(0.25), "0.25"])
def test_whatever_is_a_number_is_one(value: object) -> None:
    assert figure({"loss": value}, "loss") == 0.25
    assert score({"loss": value}, "loss", "min") == -0.25
    assert score({"loss": value}, "loss", "max") == 0.25


@pytest.mark.parametrize("value", [None, "low", [1], object()])
def test_what_is_no_number_is_missing(value: object) -> None:
    assert figure({"loss": value}, "loss") is None
    assert score({"loss": value}, "loss", "min") is None


def test_a_slash_leads_into_a_dict() -> None:
    result = {"eval": {"deep": {"loss": 0.5}, "n": 1}, "a/b": 2.0, "a": {"b": 3.0, "c": None}}
    assert figure(result, "eval/deep/loss") == 0.5
    assert figure(result, "a/b") == 2.0, "a name that is there goes before"
    assert [figure(result, name) for name in ("eval", "eval/deep", "eval/none", "eval/n/x", "a/c", "/", "")] == [None] * 7
    assert names_in(result) == ["eval/deep/loss", "eval/n", "a/b", "a/b", "a/c"]


def test_what_was_not_reported_is_missing() -> None:
    assert score({}, "loss", "max") is None
    assert score({"loss": 1}, None, "max") is None
