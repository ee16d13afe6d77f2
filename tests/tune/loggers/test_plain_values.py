"""What trials report is written as plain numbers and text, whatever numpy made of it."""

from __future__ import annotations

import json
from typing import Any

import numpy as np
import pytest

from nbray.tune.loggers.plain_values import flat, number, plain


def test_dicts_become_names_with_slashes() -> None:
    assert flat({"a": 1, "b": {"c": 2, "d": {"e": 3}}, "f": {}}) == {"a": 1, "b/c": 2, "b/d/e": 3, "f": {}}
    assert flat({"x": 1}, "config/") == {"config/x": 1}


@pytest.mark.parametrize(("value", "written"), [
    (1, 1), (True, True), (None, None), ("a", "a"), (0.5, 0.5), (float("nan"), "nan"), (float("-inf"), "-inf"),
    (np.float32(0.5), 0.5), (np.int64(3), 3), (np.bool_(True), True), (np.array([1, 2]), [1, 2]), ((1, (2,)), [1, [2]]),
    (np.zeros(2000), "array of shape (2000,)"), ({"a": np.float64(1)}, {"a": 1.0}), (b"x", "b'x'"), (len, repr(len)),
    ({1: 2}, {"1": 2}),
])  # fmt: skip
def test_values_become_what_json_knows(value: Any, written: Any) -> None:
    assert plain(value) == written
    json.dumps(plain(value), allow_nan=False)


@pytest.mark.parametrize(("value", "drawn"), [
    (1, 1.0), (np.float32(0.5), 0.5), (np.array([2.0]), 2.0), (True, None), ("1", None), (None, None), (np.zeros(2), None),
    (np.bool_(True), None),
])  # fmt: skip
def test_only_numbers_are_drawn(value: Any, drawn: float | None) -> None:
    assert number(value) == drawn
