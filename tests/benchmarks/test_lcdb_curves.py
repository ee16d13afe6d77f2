"""LCDB's table becomes one curve for each classifier that was trained on everything."""

from __future__ import annotations

import pandas as pd

from tests.benchmarks import lcdb_curves
from tests.benchmarks.lcdb_curves import SHARES


def test_curves_have_a_step_at_each_share_and_small_data_sets_pay_once() -> None:
    sizes = [16, 23, 32, 45, 64, 91]
    rows = [("forest", size, 0.5 + size / 200, size / 10) for size in sizes]
    rows += [("too slow", size, 0.9, 100.0) for size in sizes[:-1]]
    table = pd.DataFrame(rows, columns=["learner", "size_train", "score_valid", "traintime"])
    found = lcdb_curves._data_set(7, table.set_index(["learner", "size_train"]))
    assert list(found.learners) == ["forest"], "the other was never trained on everything"
    steps = found.learners["forest"]
    assert len(steps) == len(SHARES)
    assert [cost for _, cost in steps] == [1.6, 0.0, 3.2, 9.1]
    assert found.best == 0.5 + 91 / 200
    assert found.full_seconds == 9.1
