from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune import spaces
from nbray.tune.domains import Choice, Grid


@pytest.mark.parametrize(("call", "error", "message"), [
    ("choice([])", UsageError, r"choice\(\) got no values.*choice\(\[1, 2, 3\]\)"),
    ("grid_search(())", UsageError, r"grid_search\(\) got no values"),
    ('choice("adam")', WrongType, r"choice\(\) got 'adam'. It takes a list"),
    ('choice({"a": 1})', WrongType, r"choice\(\) got \{'a': 1\}"),
    ("choice(3)", WrongType, r"choice\(\) got 3. It takes a list of values"),
    ("choice({1, 2})", WrongType, r"choice\(\) got a set, which has no order.*sorted"),
    ('uniform("0", 1)', WrongType, r"uniform\(\) got lower='0', of type str"),
    ("uniform(True, 2)", WrongType, "lower=True"),
    ("uniform(0, float('inf'))", UsageError, "upper=inf. It takes a finite number"),
    ("uniform(-1.7e308, 1.7e308)", UsageError, "wider than a float"),
    ("uniform(2, 1)", UsageError, r"uniform\(2, 1\): the lower bound is above the upper one. Swap them"),
    ("uniform(1, 1)", UsageError, "For a constant, write 1 alone"),
    ("randint(3, 3)", UsageError, r"randint\(3, 3\): nothing lies between"),
    ("loguniform(0, 1)", UsageError, r"loguniform\(\) got lower=0. A logarithm needs positive bounds"),
    ("lograndint(-4, -1)", UsageError, r"lograndint\(\) got lower=-4.*not as logarithms"),
    ("loguniform(1, 2, base=10)", UsageError, r"loguniform\(\) got base=10, which changes nothing"),
    ("quniform(0, 1, 0)", UsageError, "q=0. Values are multiples of q, which is positive"),
    ("quniform(0, 1, 0.3)", UsageError, r"1.0 is not a multiple of 0.3.*write 0.9"),
    ("quniform(0.25, 1, 0.5)", UsageError, "0.25 is not a multiple of 0.5"),
    ("qrandint(4, 5, 3)", UsageError, "no multiple of 3 lies between them"),
    ("randint(0.5, 3)", WrongType, r"randint\(\) got lower=0.5. It takes whole numbers"),
    ("randint(1, float('inf'))", WrongType, "upper=inf. It takes whole numbers"),
    ("qrandint(0, 10, 2.5)", WrongType, r"q=2.5. It takes whole numbers, such as qrandint\(2, 10, 2\)"),
    ("randn(0, -1)", UsageError, r"randn\(\) got sd=-1. A standard deviation is positive: write randn\(0, 1\)"),
    ("qrandn(0, 0, 0.5)", UsageError, r"write qrandn\(0, 1, 0.5\)"),
    ("sample_from(3)", WrongType, r"sample_from\(\) got 3. It takes a function"),
])  # fmt: skip
def test_bad_arguments_are_quoted(call: str, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        eval(call, vars(spaces))


def test_values_may_come_from_any_ordered_collection() -> None:
    assert spaces.choice(range(3)) == Choice((0, 1, 2))
    assert spaces.choice(value for value in "ab") == Choice(("a", "b"))
    assert spaces.grid_search((None, {})) == Grid((None, {}))


def test_arrays_give_plain_numbers() -> None:
    assert [type(value) for value in spaces.choice(np.linspace(0, 1, 3)).categories] == [float] * 3
    bounds: list[Any] = [np.float32(0), np.int64(1)]
    assert spaces.uniform(*bounds) == spaces.uniform(0, 1)


def test_functions_print_by_their_names() -> None:
    def width(config: dict[str, int]) -> int:
        return config["depth"] * 2

    assert repr(spaces.sample_from(width)) == "sample_from(width)"
