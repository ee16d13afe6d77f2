"""What happens in an experiment reaches the hooks of its callbacks, in order, and a logger that breaks ends nothing."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import pytest

from nbray.checkpoints import Checkpoint
from nbray.tune import dispatch
from nbray.tune.callbacks import Callback
from nbray.tune.configs import FailureConfig, RunConfig
from nbray.tune.dispatch import Dispatch
from nbray.tune.loggers import CSVLoggerCallback
from nbray.tune.loggers.logger import LoggerCallback
from nbray.tune.loggers.results_table import ResultsTable
from nbray.tune.plan import Plan
from nbray.tune.trial import Trial, TrialState
from nbray.tune.view import View
from tests.tune.led_experiment import Led, plan


def recording(hook: str) -> Any:
    def record(self: Listener, **arguments: Any) -> None:
        self.calls.append((hook, arguments))

    return record


class Listener(Callback):
    """Keeps what it hears of trials."""

    def __init__(self) -> None:
        self.calls: list[tuple[str, dict[str, Any]]] = []

    for hook in vars(Callback):
        if hook.startswith("on_") and "step" not in hook:
            vars()[hook] = recording(hook)
    setup = recording("setup")

    @property
    def heard(self) -> list[tuple[str, str]]:
        """Hook and trial of each call."""
        return [(hook, given["trial"].trial_id if "trial" in given else "") for hook, given in self.calls]


def test_a_trial_begins_reports_and_ends(tmp_path: Path) -> None:
    listener = Listener()
    led = Led(plan(tmp_path, [1]), [listener]).run(lambda config: [{"loss": 2.0}, {"loss": 1.0}])
    (trial,) = led.view.trials
    assert listener.heard == [
        ("setup", ""), ("on_trial_start", trial), ("on_trial_result", trial), ("on_trial_result", trial),
        ("on_trial_complete", trial), ("on_experiment_end", ""),
    ]  # fmt: skip
    setup, _, first, second, complete, _ = [given for _, given in listener.calls]
    assert setup["plan"].name == "forest"
    assert [each["result"]["loss"] for each in (first, second)] == [2.0, 1.0]
    assert second["result"]["training_iteration"] == 2
    assert [each.trial_id for each in complete["trials"]] == [trial]
    assert first["iteration"] < second["iteration"]


class Thorough(Listener):
    on_step_begin = recording("on_step_begin")
    on_step_end = recording("on_step_end")


def test_steps_surround_what_happened(tmp_path: Path) -> None:
    listener = Thorough()
    Led(plan(tmp_path, [1]), [listener]).run(lambda config: [{"loss": 2.0}])
    heard = [hook for hook, _ in listener.heard]
    assert heard[1:4] == ["on_step_begin", "on_trial_start", "on_step_end"]
    assert heard.count("on_step_begin") == heard.count("on_step_end") == 3


def test_a_checkpoint_is_told_with_the_report_it_came_with(tmp_path: Path) -> None:
    listener = Listener()
    Led(plan(tmp_path, [1]), [listener]).run(lambda config: [{"loss": 2.0}], checkpoints=[str(tmp_path / "checkpoint_000001")])
    assert [hook for hook, _ in listener.heard][2:5] == ["on_trial_result", "on_trial_save", "on_checkpoint"]
    checkpoint = listener.calls[4][1]["checkpoint"]
    assert isinstance(checkpoint, Checkpoint)
    assert checkpoint.path == str(tmp_path / "checkpoint_000001")


def failing_once() -> Any:
    failures = iter([True])

    def reports(config: dict[str, Any]) -> Any:
        yield {"loss": 1.0}
        if next(failures, False):
            raise ValueError("no luck")

    return reports


def test_a_failure_that_is_tried_again_is_a_recovery_from_its_checkpoint(tmp_path: Path) -> None:
    listener = Listener()
    run = RunConfig(failure_config=FailureConfig(max_failures=1))
    Led(plan(tmp_path, [1], run), [listener]).run(failing_once(), checkpoints=["/c1"])
    assert [hook for hook, _ in listener.heard][5:8] == ["on_trial_recover", "on_trial_restore", "on_trial_start"]
    assert [hook for hook, _ in listener.heard][-2:] == ["on_trial_complete", "on_experiment_end"]


def test_a_failure_for_good_is_an_error(tmp_path: Path) -> None:
    listener = Listener()
    Led(plan(tmp_path, [1]), [listener]).run(failing_once())
    assert [hook for hook, _ in listener.heard][2:] == ["on_trial_result", "on_trial_error", "on_experiment_end"]
    trial: Trial = listener.calls[-2][1]["trial"]
    assert (trial.state, trial.error) == (TrialState.ERROR, "Traceback\nValueError: no luck")


class Breaking(Callback):
    def on_trial_result(self, *_args: Any, **_info: Any) -> None:
        raise OSError("disk full")


def test_what_a_users_hook_raises_goes_through(tmp_path: Path) -> None:
    with pytest.raises(OSError, match="disk full"):
        Led(plan(tmp_path, [1]), [Breaking()]).run(lambda config: [{"loss": 2.0}])


def test_a_logger_that_breaks_is_dropped_and_that_is_said(tmp_path: Path) -> None:
    listener = Listener()
    led = Led(plan(tmp_path, [1]), [Breaking(), listener], patient=True).run(lambda config: [{"loss": 2.0}, {"loss": 1.0}])
    (line,) = led.lines
    assert line.startswith("Breaking is told no more: its on_trial_result raised\nTraceback")
    assert "disk full" in line
    assert [hook for hook, _ in listener.heard].count("on_trial_result") == 2


class Historian(Listener):
    hears_the_past: ClassVar[bool] = True


def test_the_past_is_told_only_to_those_who_want_it(tmp_path: Path) -> None:
    led = Led(plan(tmp_path, [1])).run(lambda config: [{"loss": 2.0}])
    listener, historian = Listener(), Historian()
    again, view = Dispatch([listener, historian], led.plan, patient=True), View("loss", "min")
    for entry in led.entries:
        view.fold(entry)
        again.tell(entry, view, past=True)
    assert [hook for hook, _ in listener.heard] == ["setup"]
    assert [hook for hook, _ in historian.heard] == ["setup", "on_trial_start", "on_trial_result", "on_trial_complete"], (
        "that it ended then says nothing about now"
    )


def test_only_hooks_that_do_something_are_called() -> None:
    assert dispatch.overridden(Breaking()) == {"on_trial_result"}
    assert dispatch.overridden(Callback()) == frozenset()
    assert dispatch.overridden(ResultsTable()) == {"on_experiment_end"}


@dataclass
class Counter(Callback):
    reports: int = 0

    def on_trial_result(self, *_args: Any, **_info: Any) -> None:
        self.reports += 1


def test_a_callback_may_be_a_dataclass(tmp_path: Path) -> None:
    counter = Counter()
    Led(plan(tmp_path, [1]), [counter]).run(lambda config: [{"loss": 2.0}, {"loss": 1.0}])
    assert counter.reports == 2


def test_file_loggers_and_the_table_are_called_in_the_controller_and_others_in_the_driver(tmp_path: Path) -> None:
    logger, listener = CSVLoggerCallback(), Listener()
    given: Plan = plan(tmp_path, [1], RunConfig(callbacks=[logger, listener]))
    names = [type(each).__name__ for each in dispatch.in_controller(given).callbacks]
    assert names == ["CSVLoggerCallback", "ResultsTable"]
    assert dispatch.in_driver([logger, listener], given).callbacks == [listener]
    assert LoggerCallback.hears_the_past
