from __future__ import annotations

import math
import random

from nbray.tune.retention import CheckpointShelf, Retention


def test_all_are_kept_unless_a_number_is_given() -> None:
    shelf = CheckpointShelf(Retention())
    for number in range(50):
        shelf.put("a", f"a{number}", number, {})
    assert shelf.take_superfluous() == []
    assert shelf.iteration("a7") == 7
    assert shelf.iteration(None) == shelf.iteration("unknown") == 0


def test_the_newest_are_kept_and_each_of_the_others_goes_once() -> None:
    shelf = CheckpointShelf(Retention(num_to_keep=2))
    gone = []
    for number in range(5):
        shelf.put("a", f"a{number}", number, {})
        shelf.put("b", f"b{number}", number, {})
        gone += shelf.take_superfluous()
    assert gone == ["a0", "b0", "a1", "b1", "a2", "b2"]


def test_the_best_and_the_newest_are_kept() -> None:
    for order, kept in (("max", {"a1", "a3", "a5"}), ("min", {"a0", "a4", "a5"})):
        shelf = CheckpointShelf(Retention(2, "score", order))
        values = [0.1, 0.9, 0.5, 0.8, 0.2, math.nan]
        for number, value in enumerate(values):
            shelf.put("a", f"a{number}", number, {"score": value})
        assert set(shelf.take_superfluous()) == {f"a{number}" for number in range(6)} - kept


def test_without_the_attribute_it_is_the_worst_and_equal_ones_go_by_age() -> None:
    shelf = CheckpointShelf(Retention(1, "score", "min"))
    for number, result in enumerate([{}, {"score": 2.0}, {"score": 2.0}, {}]):
        shelf.put("a", f"a{number}", number, result)
    assert shelf.take_superfluous() == ["a0", "a1"]


def test_what_another_trial_begins_from_stays_until_it_has_its_own() -> None:
    shelf = CheckpointShelf(Retention(num_to_keep=1))
    shelf.put("donor", "d1", 1, {})
    shelf.need("taker", "d1")
    shelf.put("donor", "d2", 2, {})
    assert shelf.take_superfluous() == []
    shelf.put("taker", "t1", 2, {})
    assert shelf.take_superfluous() == ["d1"]


def test_a_taker_that_ends_needs_nothing() -> None:
    shelf = CheckpointShelf(Retention(num_to_keep=1))
    shelf.put("donor", "d1", 1, {})
    shelf.need("taker", "d1")
    shelf.put("donor", "d2", 2, {})
    shelf.need("taker", None)
    assert shelf.take_superfluous() == ["d1"]


def test_whatever_happens_nothing_goes_that_is_needed_and_each_at_most_once() -> None:
    for seed in range(30):
        chance = random.Random(seed)
        shelf = CheckpointShelf(Retention(chance.choice([1, 2, 3]), chance.choice([None, "score"])))
        newest: dict[str, str] = {}
        needed: dict[str, str | None] = {}
        gone: set[str] = set()
        for number in range(200):
            trial = chance.choice("abcd")
            if chance.random() < 0.7 or not newest:
                newest[trial] = needed[trial] = f"{trial}{number}"
                shelf.put(trial, f"{trial}{number}", number, {"score": chance.random()})
            else:
                needed[trial] = chance.choice([None, *newest.values()])
                shelf.need(trial, needed[trial])
            now_gone = shelf.take_superfluous()
            assert not gone & set(now_gone)
            gone.update(now_gone)
            assert not gone & {*newest.values(), *needed.values()}, seed
