"""LCDB's learning curves of 20 kinds of classifiers on some 240 data sets, as trials that learn from more and more of the data.

Source: F. Mohr, T. Viering, M. Loog, J. van Rijn, "LCDB 1.0: An Extensive Learning Curves Database for Classification Tasks",
ECML PKDD 2022; the package `lcdb` brings 1.95 million trainings along.
"""

from __future__ import annotations

import functools
import importlib.util
from dataclasses import dataclass
from pathlib import Path
from typing import Any

SHARES = (1, 3, 9, 27)
"""How much of the data a trial learns from, one report after another, in 27ths of all."""
FEWEST = 8
"""Data sets with fewer classifiers that were trained on all the data are left out."""


@dataclass(frozen=True)
class DataSet:
    """One data set: of each classifier, the accuracy on validation data and the seconds of training, at each share.

    A small data set has no such small shares: there the next larger one stands, and counts once.
    """

    name: int
    """Its number on OpenML."""
    learners: dict[str, list[tuple[float, float]]]
    full_seconds: float
    """What it takes to train all of them on everything."""

    @property
    def best(self) -> float:
        """The best accuracy after training on everything."""
        return max(steps[-1][0] for steps in self.learners.values())


@functools.cache
def data_sets() -> list[DataSet]:
    """All of them; reading the package's table takes some seconds."""
    import pandas as pd

    spec = importlib.util.find_spec("lcdb")
    if spec is None or spec.origin is None:
        raise ModuleNotFoundError("pip install lcdb")
    columns = ["openmlid", "learner", "size_train", "traintime", "score_valid"]
    table = pd.read_csv(Path(spec.origin).with_name("database-accuracy.csv"), usecols=columns)
    means = table.groupby(["openmlid", "learner", "size_train"]).mean()
    found = [_data_set(int(name), part.droplevel(0)) for name, part in means.groupby(level=0)]
    return [data_set for data_set in found if len(data_set.learners) >= FEWEST]


def _data_set(name: int, means: Any) -> DataSet:
    """The classifiers that were trained on as much as any was."""
    everything = means.index.get_level_values("size_train").max()
    learners, full_seconds = {}, 0.0
    for learner, part in means.groupby(level=0):
        sizes = part.droplevel(0)
        if sizes.index.max() == everything:
            nearest = [min(sizes.index, key=lambda size: _apart(size, everything * share / SHARES[-1])) for share in SHARES]
            full_seconds += float(sizes.traintime[everything])
            costs = [0.0 if size in nearest[:place] else float(sizes.traintime[size]) for place, size in enumerate(nearest)]
            learners[str(learner)] = [(float(sizes.score_valid[size]), cost) for size, cost in zip(nearest, costs, strict=True)]
    return DataSet(name, learners, full_seconds)


def _apart(size: float, wanted: float) -> float:
    return max(size / wanted, wanted / size)
