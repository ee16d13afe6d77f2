"""Thirty kills at moments that a seed chose, and nothing is left; `python -m tests.orphans` plays hundreds of others."""

from __future__ import annotations

import itertools
import statistics

import pytest

from tests.orphans import rounds
from tests.orphans.__main__ import faults, main, table
from tests.orphans.rounds import Outcome, Plan, play

PARTS = [("kernel", 6), ("kernel", 7), ("kernel's group", 6), ("scheduler", 6), ("supervisor", 6), ("everything", 6)]
"""Kinds of kills, each with a seed; five rounds each, so that none takes long."""


@pytest.mark.local
@pytest.mark.parametrize(("kill", "seed"), PARTS)
def test_nothing_is_left_two_seconds_after(kill: str, seed: int) -> None:
    """Of most rounds, where other work may keep the cores busy, it is asked that the last process has ended in time."""
    outcomes = []
    for plan in itertools.islice(rounds.plans(kill, seed), 5):
        outcomes.append(play(plan))
        assert outcomes[-1].left == [], plan
    print(table(outcomes))
    assert statistics.median(outcome.seconds for outcome in outcomes) < 2
    assert all(outcome.processes > 10 for outcome in outcomes if outcome.plan.moment != "start")


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
