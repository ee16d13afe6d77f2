"""Starting, finding and taking up experiments: on a real cluster, and in a process without one."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import tune
from nbray.tune import launch
from nbray.tune.configs import ResumeConfig
from nbray.tune.events import CloseReason
from nbray.tune.journal import read_view
from nbray.tune.trial import TrialState
from tests.contract.conftest import until
from tests.fakes import fresh_session
from tests.tune.plans import grid, make_plan

pytestmark = [pytest.mark.local, pytest.mark.usefixtures("leftovers")]

ROOT = Path(__file__).parent.parent.parent


def counts(config: dict[str, Any]) -> None:
    """Writes down each step that it takes, so that a step that is taken twice is seen."""
    begin = tune.get_checkpoint()
    step = 0 if begin is None else begin.to_dict()["step"]
    while step < config.get("steps", 20):
        step += 1
        with Path(config["log"]).open("a") as log:
            log.write(f"{tune.get_context().get_trial_id()} {step}\n")
        time.sleep(config.get("seconds", 0.02))
        tune.report({"loss": config["x"] / step}, checkpoint={"step": step})


def interrupt_soon(run_is_there: Any) -> threading.Thread:
    """Press Stop on this process once the condition is true."""

    def press() -> None:
        assert until(run_is_there, 20)
        os.kill(os.getpid(), signal.SIGINT)

    thread = threading.Thread(target=press)
    thread.start()
    return thread


# -------------------------------------------------------------------- found again


@pytest.mark.usefixtures("cluster")
def test_an_experiment_goes_on_without_its_notebook_and_is_found_again(tmp_path: Path) -> None:
    space = {**grid(1, 2), "log": str(tmp_path / "log"), "steps": 50}
    first = launch.start(make_plan(counts, tmp_path / "e", space), background=True)
    assert until(lambda: len(first.view.trials) == 2)
    first.detach()
    assert launch.running() == ["e"]
    second = launch.attach()
    assert (second.name, second.plan.path) == ("e", str(tmp_path / "e"))
    assert len(second.results(timeout=30)) == 2
    assert [trial.iteration for trial in second.view.trials.values()] == [50, 50]
    assert launch.running() == []


@pytest.mark.usefixtures("cluster")
def test_an_experiment_that_is_over_and_nobody_asks_for_ends_itself(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(launch, "LINGER_SECONDS", 0.5)
    run = launch.start(make_plan(counts, tmp_path / "e", {**grid(1), "log": str(tmp_path / "log"), "steps": 1}))
    run.detach()
    assert launch.running() == ["e"]
    assert until(lambda: launch.running() == [], 20)
    assert read_view(tmp_path / "e" / "journal.jsonl").trials["00000"].state is TrialState.TERMINATED


def nests(config: dict[str, Any]) -> float:
    """Tunes inside a trial."""
    plan = make_plan(lambda config: config["x"] ** 2, Path(config["folder"]) / f"inner_{config['x']}", grid(1, 2))
    return float(launch.start(plan).results().get_best_result().metrics["loss"] + config["x"])


@pytest.mark.usefixtures("cluster")
def test_a_trial_may_tune_itself(tmp_path: Path) -> None:
    run = launch.start(make_plan(nests, tmp_path / "e", {**grid(10, 20), "folder": str(tmp_path)}))
    run.results(timeout=40)
    assert [trial.last_result.get("loss", trial.error) for trial in run.view.trials.values()] == [11.0, 21.0]


def test_a_cluster_that_is_shut_down_ends_what_is_followed(tmp_path: Path) -> None:
    with fresh_session():
        nbray.init(num_workers=2)
        log = tmp_path / "log"
        run = launch.start(make_plan(counts, tmp_path / "e", {**grid(1), "log": str(log), "steps": 9999}), background=True)
        assert until(lambda: run.view.trials and run.view.trials["00000"].iteration > 0, 20)
        nbray.shutdown()
        assert until(lambda: run.done)
        with pytest.raises(nbray.NbrayError):
            run.results()
        assert is_quiet(log)


@pytest.mark.usefixtures("cluster")
def test_attaching_to_what_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(nbray.errors.UsageError, match="no experiment goes on in this cluster"):
        launch.attach()
    run = launch.start(make_plan(counts, tmp_path / "e", {**grid(1), "log": str(tmp_path / "log"), "steps": 1000}))
    with pytest.raises(nbray.errors.UsageError, match=r"no experiment 'f' goes on in this cluster: there are 'e'"):
        launch.attach("f")
    with pytest.raises(nbray.errors.UsageError, match=r"experiment 'e' goes on already: attach to it"):
        launch.start(make_plan(counts, tmp_path / "other", name="e"))
    run.stop()
    run.results()


@pytest.mark.usefixtures("cluster")
def test_results_that_are_not_there_in_time(tmp_path: Path) -> None:
    run = launch.start(make_plan(counts, tmp_path / "e", {**grid(1), "log": str(tmp_path / "log"), "steps": 30}))
    with pytest.raises(nbray.GetTimeoutError, match=r"experiment 'e' has not ended \(0 of 1 trials"):
        run.results(timeout=0.05)
    assert until(lambda: run.done)  # it is followed in the background
    assert len(run.results()) == 1


@pytest.mark.usefixtures("cluster")
def test_a_controller_that_dies_is_told_with_what_to_do(tmp_path: Path) -> None:
    run = launch.start(make_plan(counts, tmp_path / "e", {**grid(1), "log": str(tmp_path / "log"), "steps": 1000}))
    assert until(lambda: bool(run.refresh(0.05)) and run.view.trials["00000"].iteration > 0)
    nbray.kill(nbray.get_actor("tune:e"))
    with pytest.raises(nbray.ActorDied, match=r"Tuner\.restore\("):
        run.results()
    log = tmp_path / "log"
    assert until(lambda: is_quiet(log))  # its runners end, too


def is_quiet(log: Path) -> bool:
    before = log.read_text()
    time.sleep(0.3)
    return log.read_text() == before


# -------------------------------------------------------------------- taken up again


@pytest.mark.usefixtures("cluster")
def test_an_interrupt_stops_it_and_it_can_be_taken_up(tmp_path: Path) -> None:
    log = tmp_path / "log"
    plan = make_plan(counts, tmp_path / "e", {**grid(1, 2, 3), "log": str(log)})
    run = launch.start(plan)
    pressed = interrupt_soon(lambda: log.exists() and log.read_text().count("\n") >= 6)
    how = r"experiment 'e' was stopped: 0 of 3 trials .* tune\.Tuner\.restore\('.*', counts\)"
    with pytest.raises(KeyboardInterrupt, match=how):
        run.results()
    pressed.join()
    assert run.view.closed is not None
    assert run.view.closed.why is CloseReason.INTERRUPTED
    assert launch.running() == []
    again = launch.start(make_plan(counts, tmp_path / "e", {**grid(1, 2, 3), "log": str(log)}), ResumeConfig())
    assert len(again.results()) == 3
    assert [trial.state for trial in again.view.trials.values()] == [TrialState.TERMINATED] * 3
    assert [trial.iteration for trial in again.view.trials.values()] == [20, 20, 20]
    assert len(log.read_text().splitlines()) <= 60 + 2  # the steps in which the two trials were interrupted, no others


DRIVER = """
import sys
sys.path.insert(0, {root!r})
import nbray
from pathlib import Path
from nbray.tune import launch
from tests.tune.plans import grid, make_plan
from tests.tune.test_launch import counts, grid
nbray.init(num_workers=2)
plan = make_plan(counts, Path({path!r}), {{**grid(1, 2, 3, 4), "log": {log!r}}})
launch.start(plan).results()
"""


@pytest.mark.usefixtures("cluster")
def test_a_driver_that_was_killed(tmp_path: Path) -> None:
    log, path = tmp_path / "log", tmp_path / "e"
    driver = subprocess.Popen([sys.executable, "-c", DRIVER.format(root=str(ROOT), path=str(path), log=str(log))])
    assert until(lambda: log.exists() and log.read_text().count("\n") >= 45, 30)
    driver.kill()
    driver.wait()
    assert until(lambda: is_quiet(log), 20)
    before = read_view(path / "journal.jsonl")
    reported = {trial.trial_id: trial.iteration for trial in before.trials.values()}
    taken = log.read_text().splitlines()
    run = launch.start(make_plan(counts, path, {**grid(1, 2, 3, 4), "log": str(log)}), ResumeConfig())
    results = run.results()
    for line in log.read_text().splitlines()[len(taken) :]:
        trial_id, step = line.split()
        assert int(step) > reported.get(trial_id, 0)  # no step that was reported is taken twice
    assert len(results) == 4
    assert results.get_best_result().config["x"] == 1
    assert [trial.curve[-1] for trial in run.view.trials.values()] == [(20, x / 20) for x in (1, 2, 3, 4)]


# -------------------------------------------------------------------- what fits


@pytest.mark.usefixtures("cluster")
def test_how_many_fit() -> None:
    assert launch.how_many_fit({"CPU": 1.0}) == 2
    assert launch.how_many_fit({"CPU": 0.5}) == 4
    assert launch.how_many_fit({"CPU": 0.0}) == 2
    with pytest.raises(nbray.InfeasibleRequest, match=r"There is no 'dsik' in the cluster"):
        launch.how_many_fit({"dsik": 1.0})


# -------------------------------------------------------------------- in this process


@pytest.fixture
def serial() -> Iterator[None]:
    with fresh_session():
        nbray.init("serial", num_workers=1)
        yield


@pytest.mark.usefixtures("serial")
def test_without_processes_it_runs_when_it_is_started(tmp_path: Path) -> None:
    run = launch.start(make_plan(counts, tmp_path / "e", {**grid(1, 2), "log": str(tmp_path / "log"), "seconds": 0}))
    assert run.done
    assert len(run.results()) == 2


@pytest.mark.usefixtures("serial")
def test_without_processes_an_interrupt_stops_it_too(tmp_path: Path) -> None:
    log = tmp_path / "log"
    space = {**grid(1, 2), "log": str(log)}
    pressed = interrupt_soon(lambda: log.exists() and log.read_text().count("\n") >= 25)
    with pytest.raises(KeyboardInterrupt, match=r"experiment 'e' was stopped: 1 of 2 trials"):
        launch.start(make_plan(counts, tmp_path / "e", space))
    pressed.join()
    run = launch.start(make_plan(counts, tmp_path / "e", space), ResumeConfig())
    assert len(run.results()) == 2
    assert len(log.read_text().splitlines()) <= 40 + 1
