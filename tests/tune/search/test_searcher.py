from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.search.searcher import Exhausted, Searcher


class Counting(Searcher):
    """The least that a searcher has to have, and an ear."""

    number = 0
    heard: tuple[Any, ...] = ()

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        self.number += 1
        return {"x": self.number}

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool = False) -> None:
        self.heard = (trial_id, result, error)


def test_suggest_is_all_that_it_takes() -> None:
    search = Counting()
    search.set_search_properties("loss", "min", {"data": "iris"}, 5, 0)
    assert (search.metric, search.mode, search.total()) == ("loss", "min", None)
    assert search.suggest("a") == {"x": 1}
    search.on_trial_result("a", {"loss": 1})
    search.on_trial_given("b", {"x": 7})


def test_a_stopped_trial_is_an_ended_one_to_who_does_not_care() -> None:
    search = Counting()
    search.on_trial_stopped("a", {"loss": 1})
    assert search.heard == ("a", {"loss": 1}, False)


def test_its_metric_and_mode_are_checked_under_its_own_name() -> None:
    with pytest.raises(UsageError, match="Counting got mode='best'"):
        Counting(mode="best")
    several: Any = ["loss", "acc"]
    with pytest.raises(WrongType, match=r"Counting got metric=\['loss', 'acc'\]"):
        Counting(metric=several)
    with pytest.raises(UsageError, match="Counting has metric='acc' and the experiment"):
        Counting(metric="acc").set_search_properties("loss", None, {}, 5, 0)
