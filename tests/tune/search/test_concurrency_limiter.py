from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from nbray.errors import UsageError, WrongType
from nbray.tune.search.concurrency_limiter import ConcurrencyLimiter
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.search.searcher import FINISHED, Exhausted, Searcher
from nbray.tune.spaces import uniform
from tests.tune.search.searching import prepare, run


class Hearing(Searcher):
    """Suggests numbers, and writes down what it hears."""

    def __init__(self, count: int = 100, waits_after: int = 100) -> None:
        super().__init__()
        self.count = count
        self.waits_after = waits_after
        self.suggested = 0
        self.heard: list[tuple[Any, ...]] = []

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        self.metric, self.mode = metric, mode

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        if self.suggested == self.count:
            return FINISHED
        if self.suggested - sum(entry[0] == "complete" for entry in self.heard) >= self.waits_after:
            return None
        self.suggested += 1
        return {"x": self.suggested}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.heard.append(("result", trial_id, result["loss"]))

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool = False) -> None:
        self.heard.append(("complete", trial_id, (result or {}).get("loss"), error))

    def on_trial_stopped(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        self.heard.append(("stopped", trial_id))

    def on_trial_given(self, trial_id: str, config: Mapping[str, Any]) -> None:
        self.heard.append(("given", trial_id, dict(config)))

    def total(self) -> int | None:
        return self.count


def test_no_more_than_the_limit_are_under_way() -> None:
    search = prepare(ConcurrencyLimiter(Hearing(3), 2))
    assert search.suggest("a") == {"x": 1}
    assert search.suggest("b") == {"x": 2}
    assert search.suggest("c") is None
    search.on_trial_complete("a", {"loss": 1.0})
    assert search.suggest("c") == {"x": 3}
    search.on_trial_stopped("b", None)
    assert search.suggest("d") is FINISHED
    assert search.total() == 3


def test_all_is_passed_on() -> None:
    inner = Hearing()
    search = prepare(ConcurrencyLimiter(inner, 2))
    assert (search.metric, search.mode) == (inner.metric, inner.mode) == ("loss", "min")
    for trial_id in "ab":
        search.suggest(trial_id)
    search.on_trial_result("a", {"loss": 2.0})
    search.on_trial_complete("a", None, error=True)
    search.on_trial_stopped("b", {"loss": 3.0})
    search.on_trial_given("z", {"x": 9})
    assert inner.heard == [("result", "a", 2.0), ("complete", "a", None, True), ("stopped", "b"), ("given", "z", {"x": 9})]


def test_a_round_is_told_when_all_of_it_has_ended() -> None:
    inner = Hearing()
    search = prepare(ConcurrencyLimiter(inner, 2, batch=True))
    search.suggest("a")
    search.suggest("b")
    search.on_trial_stopped("b", {"loss": 2.0})
    assert search.suggest("c") is None
    assert inner.heard == []
    search.on_trial_complete("a", {"loss": 1.0})
    assert inner.heard == [("complete", "a", 1.0, False), ("stopped", "b")]
    assert search.suggest("c") == {"x": 3}


def test_a_round_that_began_one_by_one_is_still_filled() -> None:
    inner = Hearing()
    search = prepare(ConcurrencyLimiter(inner, 2, batch=True))
    search.suggest("a")
    search.on_trial_complete("a", {"loss": 1.0})
    assert inner.heard == []
    assert search.suggest("b") == {"x": 2}


def test_a_round_ends_early_if_the_searcher_waits_for_it_or_is_through() -> None:
    waiting = Hearing(waits_after=1)
    search = prepare(ConcurrencyLimiter(waiting, 4, batch=True))
    search.suggest("a")
    assert search.suggest("b") is None
    search.on_trial_complete("a", {"loss": 1.0})
    assert search.suggest("b") == {"x": 2}

    through = Hearing(1)
    search = prepare(ConcurrencyLimiter(through, 4, batch=True))
    search.suggest("a")
    assert search.suggest("b") is FINISHED
    search.on_trial_complete("a", {"loss": 1.0})
    assert through.heard == [("complete", "a", 1.0, False)]


def test_what_ends_twice_or_was_not_suggested_is_passed_on_at_once() -> None:
    inner = Hearing()
    search = prepare(ConcurrencyLimiter(inner, 2, batch=True))
    search.on_trial_complete("z", {"loss": 1.0})
    assert inner.heard == [("complete", "z", 1.0, False)]


@pytest.mark.parametrize("batch", [False, True])
def test_it_changes_nothing_but_the_pace(batch: bool) -> None:
    space = {"x": uniform(0, 1)}
    assert run(prepare(ConcurrencyLimiter(RandomSearch(), 3, batch), space)) == run(prepare(RandomSearch(), space))


def test_bad_arguments_are_quoted() -> None:
    wrong: Any = RandomSearch
    with pytest.raises(WrongType, match=r"ConcurrencyLimiter got <class.*It takes a searcher: ConcurrencyLimiter\(Random"):
        ConcurrencyLimiter(wrong, 2)
    with pytest.raises(UsageError, match=r"ConcurrencyLimiter got max_concurrent=0. It is a whole number of trials, such as 4.$"):
        ConcurrencyLimiter(RandomSearch(), 0)
