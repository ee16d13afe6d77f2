from __future__ import annotations

import json
import math
from pathlib import PurePosixPath
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nbray.errors import UsageError
from nbray.tune.journal_codec import pack, same_value, unpack


def double(x: int) -> int:
    return 2 * x


def there_and_back(value: Any) -> Any:
    return unpack(json.loads(json.dumps(pack(value), allow_nan=False)))


@pytest.mark.parametrize(
    "value",
    [
        None, True, 0, -7, 0.1, "ä\n", [1, [2]], {"a": {"b": []}}, (1, (2, "x")), 2**70, -(2**60), math.inf, -math.inf,
        {"~": 1}, {"~": ["tuple", [1]]}, {1: "one"}, {"layers": (64, 32)}, {1, 2}, PurePosixPath("/x"), double, 1 + 2j, b"bytes",
        np.float64(0.5), np.int64(3), np.float32(0.1), np.bool_(True), np.longdouble(0.5), "\ud800", {"\ud800": "x"}, "ä",
    ],
)  # fmt: skip
def test_values_come_back_as_they_were(value: Any) -> None:
    back = there_and_back(value)
    assert back == value
    assert type(back) is type(value)


def test_nan_and_arrays_come_back() -> None:
    assert math.isnan(there_and_back(math.nan))
    assert math.isnan(there_and_back(np.float64("nan")))
    assert there_and_back(np.arange(3)).tolist() == [0, 1, 2]
    assert there_and_back(lambda x: x + 1)(2) == 3


def test_what_json_holds_stays_readable() -> None:
    value = {"lr": 0.1, "name": "sgd", "sizes": [1, 2], "on": None}
    assert pack(value) == value
    assert pack(np.float64(0.5)) == {"~": ["numpy", ["float64", 0.5]]}


json_like = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner) | st.tuples(inner, inner),
    max_leaves=10,
)


@given(json_like)
def test_any_value_comes_back(value: Any) -> None:
    assert there_and_back(value) == value
    assert same_value(value, there_and_back(value))


def test_values_that_do_not_compare_are_compared() -> None:
    assert same_value({"x": np.arange(3), "f": double}, {"x": np.arange(3), "f": double})
    assert not same_value({"x": np.arange(3)}, {"x": np.arange(4)})
    assert same_value(math.nan, math.nan)


class Stubborn:
    def __reduce__(self) -> Any:
        raise RuntimeError("a socket, say")


def test_a_value_that_cannot_be_written() -> None:
    with pytest.raises(UsageError, match=r"type Stubborn cannot be written into the journal .*: a socket, say\. Put a"):
        pack({"x": [Stubborn()]})
