from __future__ import annotations

import ast
import datetime
import random
import time
from typing import Any

import numpy as np
import pytest

from nbray.notebook.doubts import doubtful, meanings


@pytest.mark.parametrize(
    ("cell", "doubts"),
    [
        ("t = time.time()", ["time.time"]), ("datetime.datetime.now()", ["datetime.datetime.now"]),
        ("x = np.random.rand(3) + random.random()", ["np.random.rand", "random.random"]),
        ("np.random.seed(1)\nx = np.random.rand(3)", []), ("rng = np.random.default_rng(1)\nrng.random()", []),
        ("x = time_of_day + self.now", []), ("y = f(x)[0].time", []), ("key = jax.random.normal(jax.random.PRNGKey(0))", []),
        ("from time import time\nx = time()", ["time"]), ("import time as t\nx = t.time()", ["t.time"]),
        ("from random import random as r\nr()", ["r"]), ("from numpy.random import default_rng as new\nnew().random()", ["new"]),
        ("random.seed()\nrandom.random()", ["random.seed", "random.random"]), ("random.seed(7)\nrandom.random()", []),
        ("rng = np.random.default_rng()", ["np.random.default_rng"]), ("rng = np.random.default_rng(seed=1)", []),
        ("np.random.seed(1)\nrng = np.random.default_rng()", ["np.random.default_rng"]),
        ("secrets.token_hex()", ["secrets.token_hex"]),
        ("from datetime import datetime\ndatetime.now()", ["datetime.now"]), ("import uuid, os\nuuid.uuid4(), os.urandom(2)",
         ["uuid.uuid4", "os.urandom"]),
    ],
)  # fmt: skip
def test_clocks_and_unseeded_randomness_are_noticed(cell: str, doubts: list[str]) -> None:
    assert doubtful(ast.parse(cell), {}) == doubts


def test_names_of_the_notebook_are_what_they_stand_for() -> None:
    values = {"now": time.time, "draw": random.random, "rand": np.random.rand, "day": datetime.date, "fit": lambda x: x, "n": 3}
    known = meanings(values, {"xp": "numpy"})
    assert doubtful(ast.parse("now(), draw(), rand(2), day.today(), fit(n), xp.random.rand()"), known) == [
        "now", "day.today", "draw", "rand", "xp.random.rand",
    ]  # fmt: skip


def test_a_value_is_not_asked_for_anything() -> None:
    class Handle:
        def __getattribute__(self, name: str) -> Any:
            raise AssertionError(f"fetched for {name}")

    assert meanings({"big": Handle()}, {}) == {}
