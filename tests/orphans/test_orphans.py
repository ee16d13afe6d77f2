"""Thirty kills at moments that a seed chose, and nothing is left; `python -m tests.orphans` plays hundreds of others."""

from __future__ import annotations

import itertools
import statistics

import pytest

from tests.orphans import rounds
from tests.orphans.__main__ import faults, main, table
from tests.orphans.rounds import Outcome, Plan, play

ROUNDS = {"kernel": 12, "kernel's group": 5, "scheduler": 5, "supervisor": 5, "everything": 3}
SEED = 6
PLANS = [plan for kill, count in ROUNDS.items() for plan in itertools.islice(rounds.plans(kill, SEED), count)]


@pytest.fixture(scope="module")
def outcomes() -> list[Outcome]:
    """Of the rounds that this module has played."""
    return []


@pytest.mark.local
@pytest.mark.parametrize("plan", PLANS, ids=str)
def test_nothing_is_left(plan: Plan, outcomes: list[Outcome]) -> None:
    outcome = play(plan)
    assert outcome.left == []
    assert outcome.processes > 10 or plan.moment == rounds.START
    outcomes.append(outcome)


@pytest.mark.local
def test_two_seconds_were_enough(outcomes: list[Outcome]) -> None:
    """For most rounds: other work on these cores may have held up some."""
    print(table(outcomes))
    assert statistics.median([outcome.seconds for outcome in outcomes] or [0.0]) < 2


def test_the_same_seed_plays_the_same_rounds() -> None:
    def first(seed: int) -> list[Plan]:
        return list(itertools.islice(rounds.plans("kernel", seed), 20))

    assert first(1) == first(1) != first(2)
    assert {plan.moment for plan in first(1)} == {"idle", "get", "submit", "put", "stream", "die", "start", "shutdown"}
    assert {plan.moment for plan in itertools.islice(rounds.plans("supervisor", 1), 20)} <= set(rounds.BUSY)


def test_what_is_late_or_left_is_told() -> None:
    plan = Plan("kernel", "put", 0.0123)
    assert faults(Outcome(plan, 1.9, 20)) == []
    assert faults(Outcome(plan, 2.1, 20, ["file run/nbray-1"])) == [
        "kill the kernel 12.3 ms into put (script): left: file run/nbray-1",
        "kill the kernel 12.3 ms into put (script): the last process ended after 2.10 s",
    ]


def test_the_table_counts() -> None:
    outcomes = [Outcome(Plan("scheduler", "idle", 0), seconds, 20) for seconds in (0.1, 0.2, 2.5)]
    outcomes[0].left = ["name /dev/shm/x", "socket y"]
    assert table(outcomes).splitlines()[1].split() == ["scheduler", "3", "60", "0.20", "2.50", "1", "1"]


def test_the_command_fails_when_something_was_left(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    played: list[Plan] = []

    def pretend(plan: Plan) -> Outcome:
        played.append(plan)
        return Outcome(plan, 0.1, 20, ["socket y"] if plan.kill == "supervisor" else [])

    monkeypatch.setattr(rounds, "play", pretend)
    assert main(["--rounds", "20", "--kill", "kernel"]) == 0
    assert main(["--rounds", "20"]) == 1
    assert len(played) == 20 + 20
    assert "supervisor" in capsys.readouterr().out
