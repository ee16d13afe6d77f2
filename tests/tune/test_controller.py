"""Experiments on a real cluster: what the controller does about trials and runners, and about those that die."""

from __future__ import annotations

import os
import signal
import threading
import time
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import tune
from nbray.tune import launch
from nbray.tune.configs import CheckpointConfig, FailureConfig
from nbray.tune.events import CloseReason
from nbray.tune.trial import TrialState
from nbray.tune.tune_run import TuneRun
from tests.contract.conftest import until
from tests.tune.plans import grid, make_plan

pytestmark = [pytest.mark.local, pytest.mark.usefixtures("cluster", "leftovers")]


def states(run: TuneRun) -> list[str]:
    return [trial.state.value for trial in run.view.trials.values()]


def seen(run: TuneRun, condition: Any, seconds: float = 10.0) -> bool:
    """Whether the condition comes true of what the run tells in time."""

    def look() -> bool:
        run.refresh(0.05)
        return bool(condition())

    return until(look, seconds)


# -------------------------------------------------------------------- the usual course


def three_steps(config: dict[str, Any]) -> None:
    for step in range(3):
        tune.report({"loss": config["x"] * step})


def test_trials_report_and_end(tmp_path: Path) -> None:
    run = launch.start(make_plan(three_steps, tmp_path / "e", grid(1, 2, 3)))
    results = run.results()
    assert len(results) == 3
    assert states(run) == ["TERMINATED"] * 3
    assert [trial.curve for trial in run.view.trials.values()] == [[(1, 0), (2, x), (3, 2 * x)] for x in (1, 2, 3)]
    assert (tmp_path / "e" / "results.csv").exists()
    assert not list((tmp_path / "e").glob("trial_*"))  # nothing was written into one
    assert launch.running() == []


def its_process(config: dict[str, Any]) -> dict[str, float]:
    return {"loss": 0.0, "pid": os.getpid()}


@pytest.mark.parametrize(("reuse", "processes"), [(True, {1, 2}), (False, {5})])
def test_processes_are_used_again_unless_told_otherwise(tmp_path: Path, reuse: bool, processes: set[int]) -> None:
    run = launch.start(make_plan(its_process, tmp_path / "e", grid(*range(5)), reuse_actors=reuse))
    run.results()
    assert len({trial.last_result["pid"] for trial in run.view.trials.values()}) in processes


def asks_tasks(config: dict[str, Any]) -> float:
    squares = [nbray.apply_async(pow, (config["x"], 2)) for _ in range(4)]
    return float(sum(nbray.get(squares)))


def test_trials_that_wait_for_tasks_leave_them_their_cpus(tmp_path: Path) -> None:
    run = launch.start(make_plan(asks_tasks, tmp_path / "e", grid(1, 2, 3, 4)))
    run.results(timeout=30)
    assert [trial.last_result["loss"] for trial in run.view.trials.values()] == [4.0, 16.0, 36.0, 64.0]


def test_so_many_trials_at_a_time_as_fit(tmp_path: Path) -> None:
    trainable = tune.with_resources(its_process, {"cpu": 2})
    run = launch.start(make_plan(trainable, tmp_path / "e", grid(1, 2, 3), max_concurrent_trials=3))
    run.results()
    assert run.view.slots == 1
    assert [line for line in run.view.lines if "3 trials at a time were asked for, and 1 fit, each with 2 CPU" in line]


def test_a_trial_that_could_never_run_is_refused(tmp_path: Path) -> None:
    trainable = tune.with_resources(its_process, {"CPU": 1, "GPU": 64})
    with pytest.raises(nbray.InfeasibleRequest, match=r"GPU: 64 asked, 0 in the cluster"):
        launch.start(make_plan(trainable, tmp_path / "e"))


class Holder:
    def ready(self) -> bool:
        return True


def test_it_is_said_why_no_trial_begins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "PATIENCE_SECONDS", 0.1)
    holder = nbray.remote(num_cpus=2)(Holder).remote()
    nbray.get(holder.ready.remote())
    run = launch.start(make_plan(its_process, tmp_path / "e"))
    assert seen(run, lambda: run.view.lines)
    assert "No trial could begin so far: each needs 1 CPU, and what other tasks and actors leave is 0 CPU" in run.view.lines[0]
    nbray.kill(holder)
    assert len(run.results(timeout=20)) == 1


# -------------------------------------------------------------------- trials that fail, and processes that die


def falls(config: dict[str, Any]) -> float:
    if config["x"] == 1:
        raise ValueError("it does not like one")
    return float(config["x"])


def test_a_trial_that_raises_leaves_the_others_alone(tmp_path: Path) -> None:
    run = launch.start(make_plan(falls, tmp_path / "e", grid(0, 1, 2)))
    results = run.results()
    assert states(run) == ["TERMINATED", "ERROR", "TERMINATED"]
    error = run.view.trials["00001"].error
    assert "ValueError: it does not like one" in error
    assert 'raise ValueError("it does not like one")' in error
    assert (tmp_path / "e" / "trial_00001" / "error.txt").read_text() == error
    assert results.num_errors == 1


def test_the_error_is_raised_where_that_was_asked_for(tmp_path: Path) -> None:
    run = launch.start(make_plan(falls, tmp_path / "e", grid(1, 0), failures=FailureConfig(fail_fast="raise")))
    with pytest.raises(nbray.TuneError, match=r"trial 00000 .* failed(.|\n)*ValueError: it does not like one"):
        run.results()


def dies_once(config: dict[str, Any]) -> None:
    mark = Path(config["x"])
    begin = tune.get_checkpoint()
    first = 0 if begin is None else begin.to_dict()["step"]
    for step in range(first, 5):
        if step == 3 and not mark.exists():
            mark.touch()
            os.kill(os.getpid(), signal.SIGKILL)
        tune.report({"loss": step}, checkpoint={"step": step + 1})


def test_a_trial_whose_process_dies_runs_on_from_its_checkpoint(tmp_path: Path) -> None:
    plan = make_plan(dies_once, tmp_path / "e", grid(str(tmp_path / "died")), failures=FailureConfig(max_failures=1))
    run = launch.start(plan)
    run.results()
    trial = run.view.trials["00000"]
    assert (trial.state, trial.failures, trial.attempt) == (TrialState.TERMINATED, 1, 2)
    assert trial.curve == [(1, 0), (2, 1), (3, 2), (4, 3), (5, 4)]
    assert "SIGKILL" in trial.error


def test_a_trial_whose_process_dies_for_good_says_how(tmp_path: Path) -> None:
    run = launch.start(make_plan(dies_once, tmp_path / "e", grid(str(tmp_path / "died"))))
    run.results()
    assert states(run) == ["ERROR"]
    assert "SIGKILL" in run.view.trials["00000"].error


def test_code_that_cannot_be_sent_is_refused_at_once(tmp_path: Path) -> None:
    lock = threading.Lock()
    with pytest.raises(nbray.NotShippable, match="lock"):
        launch.start(make_plan(lambda config: lock.locked(), tmp_path / "e"))
    assert launch.running() == []


def reports_a_lock(config: dict[str, Any]) -> None:
    tune.report({"loss": 1.0, "lock": threading.Lock()})


def test_metrics_that_cannot_be_sent_fail_their_trial(tmp_path: Path) -> None:
    run = launch.start(make_plan(reports_a_lock, tmp_path / "e"))
    run.results()
    assert states(run) == ["ERROR"]
    assert "NotShippable" in run.view.trials["00000"].error


# -------------------------------------------------------------------- steering


def tidies_up(config: dict[str, Any]) -> None:
    tune.report({"loss": 1.0})
    try:
        time.sleep(60)
    finally:
        Path(config["x"]).touch()


def runs_for_ever(config: dict[str, Any]) -> None:
    while True:
        time.sleep(0.01)
        tune.report({"loss": 1.0})


def cannot_be_interrupted(config: dict[str, Any]) -> None:
    if config["x"]:
        return
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    tune.report({"loss": 1.0})
    time.sleep(60)


def test_a_trial_is_stopped_at_its_next_report(tmp_path: Path) -> None:
    run = launch.start(make_plan(runs_for_ever, tmp_path / "e", grid(0, 1)))
    assert seen(run, lambda: len(run.view.trials) == 2)
    run.stop_trial("00000")
    assert seen(run, lambda: run.view.trials["00000"].state is TrialState.TERMINATED)
    assert run.view.trials["00001"].state is TrialState.RUNNING
    run.stop()
    assert len(run.results()) == 2
    assert run.view.closed is not None
    assert run.view.closed.why is CloseReason.STOPPED


def test_stopping_all_interrupts_who_does_not_report_and_lets_them_tidy_up(tmp_path: Path) -> None:
    run = launch.start(make_plan(tidies_up, tmp_path / "e", grid(str(tmp_path / "tidy"))))
    assert seen(run, lambda: run.view.trials and run.view.trials["00000"].iteration)
    began = time.monotonic()
    run.stop()
    run.results()
    assert time.monotonic() - began < 5
    assert (tmp_path / "tidy").exists()


def test_a_trial_that_nothing_can_interrupt_is_killed(tmp_path: Path) -> None:
    run = launch.start(make_plan(cannot_be_interrupted, tmp_path / "e", grid(0)))
    assert seen(run, lambda: run.view.trials and run.view.trials["00000"].iteration)
    began = time.monotonic()
    run.stop()
    run.results()
    assert time.monotonic() - began < 6
    assert launch.running() == []


def counts_on(config: dict[str, Any]) -> None:
    begin = tune.get_checkpoint()
    step = 0 if begin is None else begin.to_dict()["step"]
    while step < 100_000:
        time.sleep(0.005)
        step += 1
        tune.report({"loss": step}, checkpoint=lambda: {"step": step})  # noqa: B023 - it is called before the next step


def test_a_paused_trial_runs_on_from_where_it_was(tmp_path: Path) -> None:
    run = launch.start(make_plan(counts_on, tmp_path / "e", grid(0)))
    assert seen(run, lambda: run.view.trials and run.view.trials["00000"].iteration >= 2)
    trial = run.view.trials["00000"]
    run.pause_trial("00000")
    assert seen(run, lambda: trial.state is TrialState.PAUSED)
    at = trial.iteration
    assert (tmp_path / "e" / str(trial.checkpoint)).is_dir()
    run.resume_trial("00000")
    assert seen(run, lambda: trial.iteration >= at + 2)
    assert [value for _, value in trial.curve] == list(range(1, trial.iteration + 1))
    run.stop()
    run.results()


def test_configurations_can_be_added(tmp_path: Path) -> None:
    run = launch.start(make_plan(runs_for_ever, tmp_path / "e", grid(0)))
    assert seen(run, lambda: run.view.trials)
    run.add({"x": 7})
    assert seen(run, lambda: "00001" in run.view.trials and run.view.trials["00001"].iteration > 0)
    assert run.view.trials["00001"].config == {"x": 7}
    run.stop()
    run.results()


def test_only_checkpoints_that_are_kept_are_on_the_disk(tmp_path: Path) -> None:
    run = launch.start(make_plan(keeps_dicts, tmp_path / "e", grid(0), checkpoints=CheckpointConfig(num_to_keep=2)))
    run.results()
    found = sorted(path.name for path in (tmp_path / "e" / "trial_00000").iterdir())
    assert found == ["checkpoint_000005", "checkpoint_000006"]


def keeps_dicts(config: dict[str, Any]) -> None:
    for step in range(6):
        tune.report({"loss": -step}, checkpoint={"step": step})
