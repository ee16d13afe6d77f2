"""Which runner gets which trial."""

from __future__ import annotations

import pytest

from nbray.errors import InternalError
from nbray.tune.attempt import Assignment
from nbray.tune.events import Start
from nbray.tune.pool import Pool, RunnerState


def assignment(trial_id: str) -> Assignment:
    return Assignment(Start(trial_id, 1, {}), f"train_{trial_id}", f"/e/trial_{trial_id}")


def test_a_runner_counts_once_it_has_spoken() -> None:
    pool = Pool()
    first, second = pool.add(), pool.add()
    assert (first, second, pool.slots) == (1, 2, 0)
    pool.is_free(first)
    assert pool.slots == 1


def test_jobs_go_to_idle_runners_in_order() -> None:
    pool = Pool()
    first, second = pool.add(), pool.add()
    for trial_id in "abc":
        pool.queue(assignment(trial_id))
    assert pool.take_matches() == []
    pool.is_free(second)
    assert pool.take_matches() == [(second, assignment("a"))]
    assert pool.take_matches() == []
    pool.is_free(first)
    assert pool.take_matches() == [(first, assignment("b"))]
    pool.is_free(second)
    assert pool.take_matches() == [(second, assignment("c"))]
    runner = pool.runner_of("c")
    assert runner is not None
    assert (runner.number, runner.state, runner.runs) == (second, RunnerState.BUSY, 2)
    assert pool.runner_of("a") is None


def test_a_runner_that_is_lost_gives_its_job_back() -> None:
    pool = Pool()
    number = pool.add()
    pool.is_free(number)
    pool.queue(assignment("a"))
    pool.take_matches()
    assert pool.drop(number) == assignment("a")
    assert (pool.slots, pool.runner_of("a")) == (0, None)
    assert pool.add() == 2  # numbers are not used again


def test_a_job_that_nobody_has_can_be_taken_back() -> None:
    pool = Pool()
    pool.queue(assignment("a"))
    pool.queue(assignment("b"))
    assert pool.withdraw("b") == assignment("b")
    assert pool.withdraw("b") is None
    pool.is_free(pool.add())
    assert [each for _, each in pool.take_matches()] == [assignment("a")]


def test_only_who_has_a_trial_can_be_interrupted() -> None:
    pool = Pool()
    number = pool.add()
    with pytest.raises(InternalError, match="runner 1 is COMING and has no trial"):
        pool.interrupt(number)
    pool.is_free(number)
    pool.queue(assignment("a"))
    pool.take_matches()
    pool.interrupt(number)
    assert pool.runners[number].state is RunnerState.INTERRUPTED
    pool.queue(assignment("b"))
    assert pool.take_matches() == []  # it gets no other trial until it has spoken again
