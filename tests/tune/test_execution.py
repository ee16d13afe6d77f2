"""How functions and classes are run."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from nbray import tune
from nbray.errors import UsageError
from nbray.tune import reporting
from nbray.tune.attempt import Assignment, Attempt, Workplace
from nbray.tune.configs import CheckpointConfig
from nbray.tune.events import Ended, Failed, Start
from nbray.tune.execution import Execution
from nbray.tune.trainables import Trainable, with_parameters
from tests.tune.plans import make_plan
from tests.tune.test_attempt import Judge


@pytest.fixture
def judge() -> Judge:
    return Judge()


def attempt(directory: Path, judge: Judge, start: Start | None = None, **checkpoints: Any) -> Attempt:
    plan = make_plan(None, directory, checkpoints=CheckpointConfig(**checkpoints))
    assignment = Assignment(start or Start("00000", 1, {"x": 2}), "train_00000", plan.directory_of("00000"))
    return Attempt(assignment, Workplace.of(plan, {"CPU": 1.0}, "loss"), judge)


def losses(judge: Judge) -> list[Any]:
    return [message.metrics["loss"] for message in judge.heard]


# -------------------------------------------------------------------- functions


def reports(config: dict[str, Any]) -> None:
    for step in range(3):
        tune.report(loss=config["x"] * step)


def told_by_reporter(config: dict[str, Any], reporter: Any) -> None:
    reporter(loss=0, checkpoint={"a": 1})
    reporter({"loss": 2})
    reporter(loss=4)


def yields(config: dict[str, Any]) -> Iterator[Any]:
    yield 0
    yield {"loss": config["x"]}
    yield 2.0 * config["x"]


@pytest.mark.parametrize("function", [reports, told_by_reporter, yields])
def test_functions_that_report_or_yield(function: Any, tmp_path: Path, judge: Judge) -> None:
    outcome = Execution(function).run(attempt(tmp_path, judge))
    assert outcome == Ended("00000", 1)
    assert losses(judge) == [0, 2, 4]
    with pytest.raises(UsageError, match="outside a trial"):
        reporting.get_context()


def returns_after_yields(config: dict[str, Any]) -> Any:
    yield 1
    return {"loss": 7}


@pytest.mark.parametrize(
    ("function", "loss"),
    [(lambda config: 3, 3), (lambda config: {"loss": 4}, 4), (returns_after_yields, 7), (lambda config: True, True)],
)
def test_what_is_returned_is_the_last_report(function: Any, loss: Any, tmp_path: Path, judge: Judge) -> None:
    outcome = Execution(function).run(attempt(tmp_path, judge))
    assert isinstance(outcome, Ended)
    assert outcome.metrics is not None
    assert outcome.metrics["loss"] == loss


@pytest.mark.parametrize("value", ["text", [1, 2], object()])
def test_what_is_returned_and_means_nothing(value: Any, tmp_path: Path, judge: Judge) -> None:
    outcome = Execution(lambda config: value).run(attempt(tmp_path, judge))
    assert isinstance(outcome, Failed)
    assert f"a {type(value).__name__}: expected a number, which is the metric, or a dict of metrics" in outcome.error


def test_what_a_function_raises_is_its_outcome(tmp_path: Path, judge: Judge) -> None:
    outcome = Execution(lambda config: 1 / 0).run(attempt(tmp_path, judge))
    assert isinstance(outcome, Failed)
    assert outcome.error.rstrip().endswith("ZeroDivisionError: division by zero")
    assert "nbray/tune/execution.py" not in outcome.error  # it begins with the user's own code
    leaves = Execution(lambda config: sys.exit(3)).run(attempt(tmp_path, judge))
    assert isinstance(leaves, Failed)
    assert "SystemExit: 3" in leaves.error


def test_an_interrupt_passes(tmp_path: Path, judge: Judge) -> None:
    def interrupted(config: dict[str, Any]) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        Execution(interrupted).run(attempt(tmp_path, judge))
    with pytest.raises(UsageError, match="outside a trial"):
        reporting.get_context()


def test_who_is_told_to_stop_tidies_up(tmp_path: Path, judge: Judge) -> None:
    tidied: list[str] = []

    def function(config: dict[str, Any]) -> None:
        try:
            tune.report(loss=1)
        except Exception:  # noqa: BLE001 - as users write it
            tidied.append("caught")
        finally:
            tidied.append("function")

    def generator(config: dict[str, Any]) -> Iterator[int]:
        try:
            yield 1
        finally:
            tidied.append("generator")

    for trainable in (function, generator):
        judge.heard, judge.decisions = [], {1: "STOP"}
        assert Execution(trainable).run(attempt(tmp_path, judge)) == Ended("00000", 1, obeyed=True)
    assert tidied == ["function", "generator"]


def test_a_bare_except_does_not_keep_it(tmp_path: Path, judge: Judge) -> None:
    def stubborn(config: dict[str, Any]) -> float:
        for _ in range(5):
            try:
                tune.report(loss=1)
            except BaseException:  # noqa: BLE001 - as users write it
                pass
        return 2.0

    judge.decisions = {1: "STOP"}
    assert Execution(stubborn).run(attempt(tmp_path, judge)) == Ended("00000", 1, obeyed=True)
    assert len(judge.heard) == 1


def test_the_next_trial_begins_where_this_one_began(tmp_path: Path, judge: Judge) -> None:
    before = Path.cwd()

    def goes_away(config: dict[str, Any]) -> int:
        os.chdir(tmp_path)
        return 1

    Execution(goes_away).run(attempt(tmp_path, judge))
    assert Path.cwd() == before


# -------------------------------------------------------------------- classes


class Walk(Trainable):
    made = 0
    cleaned = 0
    reset = False

    def setup(self, config: dict[str, Any], first: int = 0, **parameters: Any) -> None:
        type(self).made += 1
        self.at = first

    def step(self) -> dict[str, Any]:
        self.at += self.config["x"]
        return {"loss": self.at, "done": self.at >= 6}

    def save_checkpoint(self, checkpoint_dir: str) -> dict[str, Any] | None:
        return {"at": self.at}

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.at = checkpoint["at"]

    def reset_config(self, new_config: dict[str, Any]) -> bool:
        self.at = 0
        return self.reset

    def cleanup(self) -> None:
        type(self).cleaned += 1


class Files(Walk):
    def save_checkpoint(self, checkpoint_dir: str) -> None:
        Path(checkpoint_dir, "at").write_text(str(self.at))

    def load_checkpoint(self, checkpoint: Any) -> None:
        self.at = int(Path(checkpoint, "at").read_text())


@pytest.fixture(params=[Walk, Files])
def kind(request: pytest.FixtureRequest) -> type[Walk]:
    return type("Fresh", (request.param,), {"made": 0, "cleaned": 0})


def test_steps_until_it_is_done(kind: type[Walk], tmp_path: Path, judge: Judge) -> None:
    execution = Execution(kind)
    outcome = execution.run(attempt(tmp_path, judge))
    assert isinstance(outcome, Ended)
    assert losses(judge) == [2, 4]
    assert outcome.metrics is not None
    assert outcome.metrics["loss"] == 6
    assert (kind.made, kind.cleaned) == (1, 0)
    execution.close()
    execution.close()
    assert kind.cleaned == 1


def test_a_class_goes_on_from_its_checkpoint(kind: type[Walk], tmp_path: Path, judge: Judge) -> None:
    judge.decisions = {2: "PAUSE"}
    paused = Execution(kind).run(attempt(tmp_path, judge))
    assert paused == Ended("00000", 1, obeyed=True, checkpoint="trial_00000/checkpoint_000002")
    judge.heard, judge.decisions = [], {}
    start = Start("00000", 2, {"x": 1}, checkpoint=paused.checkpoint, iteration=2)
    outcome = Execution(kind).run(attempt(tmp_path, judge, start))
    assert isinstance(outcome, Ended)
    assert losses(judge) == [5]  # on from 4


def test_the_last_step_is_kept_if_it_is_due(kind: type[Walk], tmp_path: Path, judge: Judge) -> None:
    outcome = Execution(kind).run(attempt(tmp_path, judge, checkpoint_frequency=3, checkpoint_at_end=False))
    assert isinstance(outcome, Ended)
    assert outcome.checkpoint == "trial_00000/checkpoint_000003"


@pytest.mark.parametrize(("reset", "made", "cleaned"), [(True, 1, 0), (False, 2, 1)])
def test_an_instance_takes_another_configuration_if_it_can(
    kind: type[Walk], reset: bool, made: int, cleaned: int, tmp_path: Path, judge: Judge
) -> None:
    kind.reset = reset
    execution = Execution(kind)
    execution.run(attempt(tmp_path, judge))
    judge.heard = []
    execution.run(attempt(tmp_path, judge, Start("00001", 1, {"x": 3})))
    assert losses(judge) == [3]
    assert (kind.made, kind.cleaned) == (made, cleaned)


def test_one_that_failed_is_not_used_again(kind: type[Walk], tmp_path: Path, judge: Judge) -> None:
    kind.reset = True
    execution = Execution(kind)
    assert isinstance(execution.run(attempt(tmp_path, judge, Start("00000", 1, {}))), Failed)
    assert kind.cleaned == 1
    execution.run(attempt(tmp_path, judge, Start("00001", 1, {"x": 3})))
    assert kind.made == 2


def test_what_a_cleanup_raises_is_printed_and_fails_no_other_trial(
    tmp_path: Path, judge: Judge, capfd: pytest.CaptureFixture[str]
) -> None:
    class Untidy(Walk):
        def cleanup(self) -> None:
            raise OSError("it does not close")

    execution = Execution(Untidy)
    execution.run(attempt(tmp_path, judge))
    assert isinstance(execution.run(attempt(tmp_path, judge, Start("00001", 1, {"x": 3}))), Ended)
    assert "OSError: it does not close" in capfd.readouterr().err


def test_constants_of_a_class(kind: type[Walk], tmp_path: Path, judge: Judge) -> None:
    Execution(with_parameters(kind, first=3)).run(attempt(tmp_path, judge))
    assert losses(judge) == [5]


def test_a_class_without_checkpoints_cannot_be_paused(tmp_path: Path, judge: Judge) -> None:
    class Bare(Trainable):
        def step(self) -> dict[str, Any]:
            return {"loss": 1, "done": self.iteration == 1}

    Execution(Bare).run(attempt(tmp_path, judge))
    assert [message.resumable for message in judge.heard] == [False]
