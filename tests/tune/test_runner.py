"""The runner, with a controller that only pretends to be one."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import tune
from nbray.errors import ActorDied
from nbray.tune import registry, runner
from nbray.tune.attempt import Assignment, Workplace
from nbray.tune.events import Answer, Ended, Failed, Reported, Start
from nbray.tune.execution import Execution
from nbray.tune.runner import Equipment, Runner
from tests.fakes import FakeBackend, fake_session
from tests.tune.plans import make_plan


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


class Call:
    def __init__(self, function: Any) -> None:
        self.function = function

    def remote(self, *args: Any) -> nbray.ObjectRef:
        return nbray.put(self.function(*args))


class Pretended:
    """Hands out assignments, and remembers what it is told."""

    def __init__(self, *assignments: Assignment) -> None:
        self.assignments = list(assignments)
        self.outcomes: list[Any] = []
        self.reports: list[Reported] = []
        self.next_assignment = Call(self._next)
        self.report = Call(self._report)

    def _next(self, number: int, outcome: Any) -> Assignment | None:
        self.outcomes.append(outcome)
        return self.assignments.pop(0) if self.assignments else None

    def _report(self, message: Reported) -> Answer:
        self.reports.append(message)
        return Answer(message.trial_id, "CONTINUE")


def make(trainable: Any, directory: Path, controller: Pretended) -> Runner:
    plan = make_plan(trainable, directory)
    code = nbray.put((trainable, {"corridor": len}))
    return Runner(7, Equipment(code, Workplace.of(plan, {"CPU": 1.0}, "loss")), controller)  # type: ignore[arg-type]


def assignment(number: int) -> Assignment:
    trial_id = f"{number:05d}"
    return Assignment(Start(trial_id, 1, {"x": number}), f"train_{trial_id}", f"/nowhere/trial_{trial_id}")


def squares(config: dict[str, Any]) -> int:
    tune.report(loss=config["x"])
    return int(config["x"] ** 2)


def test_one_trial_after_another(tmp_path: Path) -> None:
    controller = Pretended(assignment(2), assignment(3))
    each = make(squares, tmp_path, controller)
    first = each.run(None, True)
    assert (first, controller.outcomes) == (assignment(2), [None])
    assert each.run(first, False) is None
    _, *others = controller.outcomes
    assert [(each.trial_id, each.metrics["loss"]) for each in others] == [("00002", 4), ("00003", 9)]
    assert [report.metrics["loss"] for report in controller.reports] == [2, 3]
    assert registry.make_env("corridor", {"a": 1}) == 1


def test_a_call_that_has_run_long_enough_hands_the_next_job_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(runner, "RENEWAL_SECONDS", 0.0)
    controller = Pretended(assignment(3), assignment(4))
    each = make(squares, tmp_path, controller)
    assert each.run(assignment(2), False) == assignment(3)
    assert each.run(assignment(3), False) == assignment(4)
    assert len(controller.outcomes) == 2


def test_a_trial_that_runs_alone_hands_the_next_one_back(tmp_path: Path) -> None:
    each = make(squares, tmp_path, Pretended(assignment(3)))
    assert each.run(assignment(2), True) == assignment(3)
    assert each.run(assignment(3), True) is None


class Unloadable:
    def __reduce__(self) -> Any:
        return int, ("no number",)


def test_code_that_cannot_be_loaded_fails_its_trial(tmp_path: Path) -> None:
    controller = Pretended()
    make(Unloadable(), tmp_path, controller).run(assignment(1), True)
    (outcome,) = controller.outcomes
    assert isinstance(outcome, Failed)
    assert "no number" in outcome.error


def test_without_a_controller_the_trial_ends_and_so_does_the_call(tmp_path: Path) -> None:
    tidied: list[int] = []

    def dead(*args: Any) -> Any:
        raise ActorDied("it is gone")

    def function(config: dict[str, Any]) -> None:
        try:
            tune.report(loss=1)
        finally:
            tidied.append(1)

    controller = Pretended()
    each = make(None, tmp_path, controller)
    each._execution = Execution(function)
    controller.report = Call(dead)
    each.run(assignment(1), True)
    assert tidied == [1]
    assert isinstance(controller.outcomes[0], Ended)
