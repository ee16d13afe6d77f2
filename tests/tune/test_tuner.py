"""A Tuner checks what it is given before anything runs, and its experiments end, fail, go on and leave what they should."""

from __future__ import annotations

import csv
import json
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import tune
from nbray.errors import InfeasibleRequest, NotShippable, TuneError, UsageError, WrongType
from nbray.tune.loggers import CSVLoggerCallback, JsonLoggerCallback
from nbray.tune.schedulers import ASHAScheduler, Decision, FIFOScheduler
from nbray.tune.search import RandomSearch
from nbray.tune.trial import Trial
from tests.fakes import fresh_session

LOSS = tune.TuneConfig(metric="loss", mode="min")


def square(config: dict[str, Any]) -> float:
    return float(config["x"]) ** 2


def epochs(config: dict[str, Any]) -> None:
    for epoch in range(config.get("epochs", 3)):
        tune.report(loss=config["x"] + 1 / (epoch + 1))


class Thrifty(FIFOScheduler):
    """Allows five reports in its life."""

    left = 5

    def on_trial_result(self, trial: Trial, result: Any) -> Decision:
        self.left -= 1
        return Decision.CONTINUE if self.left > 0 else Decision.STOP


def quiet(path: Path, **options: Any) -> tune.RunConfig:
    return tune.RunConfig(**{"storage_path": path, "name": "forest", "verbose": 0, **options})


# ------------------------------------------------------------------ before anything runs


@pytest.mark.parametrize(("trainable", "options", "kind", "said"), [
    (3, {}, WrongType, "trainable=3 is an? int"),
    ("nobody", {}, UsageError, "no function is registered under 'nobody'"),
    (square, {"param_space": [1]}, WrongType, r"param_space=\[1\]: expected a dict"),
    (square, {"param_space": {}}, UsageError, "param_space={} is empty, so there is nothing to try"),
    (square, {"param_space": {"x": {"grid_search": []}}}, UsageError, "grid_search"),
    (square, {"tune_config": {"metric": "loss"}}, WrongType, "tune_config=.*: expected a TuneConfig"),
    (square, {"run_config": tune.RunConfig}, WrongType, "not a class: write run_config=RunConfig"),
    (square, {"tune_config": tune.TuneConfig(metric="loss")}, UsageError, "metric='loss' without a mode"),
    (square, {"tune_config": tune.TuneConfig("min", "loss", scheduler=ASHAScheduler(metric="accuracy"))}, UsageError,
     "ASHAScheduler has metric='accuracy' and the experiment .* has metric='loss'"),
    (square, {"tune_config": tune.TuneConfig("min", "loss", RandomSearch(mode="max"))}, UsageError,
     "RandomSearch has mode='max'"),
])  # fmt: skip
def test_wrong_arguments_are_told(trainable: Any, options: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        tune.Tuner(trainable, **options)


def test_a_value_that_cannot_be_shipped_is_named_before_anything_runs(tmp_path: Path) -> None:
    tuner = tune.Tuner(square, param_space={"x": tune.choice([1, threading.Lock()])}, run_config=quiet(tmp_path))
    with pytest.raises(NotShippable, match=r"^param_space\['x'\]"):
        tuner.fit()
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_written_is_told_before_anything_runs() -> None:
    with pytest.raises(UsageError, match="/proc/results cannot be written"):
        tune.Tuner(square, run_config=quiet(Path("/proc/results"))).fit()


def test_there_are_no_results_before_fit() -> None:
    with pytest.raises(UsageError, match=r"there are no results yet: call fit\(\) first"):
        tune.Tuner(square).get_results()


def test_a_tuner_shows_what_it_tunes() -> None:
    assert repr(tune.Tuner(square)) == "Tuner(square)"


def test_only_an_experiment_can_be_restored(tmp_path: Path) -> None:
    assert not tune.Tuner.can_restore(tmp_path)
    with pytest.raises(UsageError, match="holds no experiment"):
        tune.Tuner.restore(tmp_path, square)


# ------------------------------------------------------------------ experiments


@pytest.fixture(scope="module", params=["serial", pytest.param("local", marks=pytest.mark.local)])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fresh_session():
        nbray.init(request.param, num_workers=2)
        yield request.param


@pytest.mark.usefixtures("backend")
class TestOnEveryBackend:
    def test_the_best_of_a_grid(self, tmp_path: Path) -> None:
        space = {"x": tune.grid_search([3, -1, 2])}
        grid = tune.Tuner(square, param_space=space, tune_config=LOSS, run_config=quiet(tmp_path)).fit()
        assert [result.metrics["loss"] for result in grid] == [9.0, 1.0, 4.0]
        assert grid.best_config == {"x": -1}
        assert grid.experiment_path == str(tmp_path / "forest")

    def test_without_a_space_it_runs_once(self, tmp_path: Path) -> None:
        (result,) = tune.Tuner(lambda config: {"found": config}, run_config=quiet(tmp_path)).fit()
        assert result.metrics["found"] == {}

    def test_the_same_name_again_never_writes_over_results(self, tmp_path: Path) -> None:
        tuner = tune.Tuner(square, param_space={"x": 1}, run_config=quiet(tmp_path))
        paths = [tuner.fit().experiment_path for _ in range(2)]
        assert paths == [str(tmp_path / "forest"), str(tmp_path / "forest_2")]

    def test_a_scheduler_begins_anew_each_time(self, tmp_path: Path) -> None:
        config = tune.TuneConfig("min", "loss", scheduler=Thrifty())
        tuner = tune.Tuner(epochs, param_space={"x": 1, "epochs": 9}, tune_config=config, run_config=quiet(tmp_path))
        assert [grid[0].metrics["training_iteration"] for grid in (tuner.fit(), tuner.fit())] == [5, 5]

    def test_the_same_seed_gives_the_same_configurations(self, tmp_path: Path) -> None:
        def configs(seed: int) -> list[float]:
            config = tune.TuneConfig("min", "loss", num_samples=3, seed=seed)
            tuner = tune.Tuner(square, param_space={"x": tune.uniform(0, 1)}, tune_config=config, run_config=quiet(tmp_path))
            return [result.config["x"] for result in tuner.fit()]

        assert configs(1) == configs(1) != configs(2)

    def test_a_trial_that_fails_is_in_the_results(self, tmp_path: Path) -> None:
        space = {"x": tune.grid_search([0, 1])}
        grid = tune.Tuner(lambda config: 1 / config["x"], param_space=space, run_config=quiet(tmp_path)).fit()
        assert (grid.num_errors, grid.num_terminated) == (1, 1)
        assert "ZeroDivisionError" in str(grid[0].error)

    def test_or_raises_if_one_asks_for_it(self, tmp_path: Path) -> None:
        config = quiet(tmp_path, failure_config=tune.FailureConfig(fail_fast="raise"))
        with pytest.raises(TuneError, match="ZeroDivisionError"):
            tune.Tuner(lambda config: 1 / config["x"], param_space={"x": 0}, run_config=config).fit()

    def test_stop_ends_trials(self, tmp_path: Path) -> None:
        config = quiet(tmp_path, stop={"training_iteration": 2})
        (result,) = tune.Tuner(epochs, param_space={"x": 1, "epochs": 50}, tune_config=LOSS, run_config=config).fit()
        assert result.metrics["training_iteration"] == 2

    def test_a_metric_that_is_never_reported_is_told(self, tmp_path: Path) -> None:
        config = tune.TuneConfig(metric="accuracy", mode="max")
        with pytest.raises(UsageError, match=r"(?s)accuracy.*loss"):
            tune.Tuner(epochs, param_space={"x": 1}, tune_config=config, run_config=quiet(tmp_path)).fit().get_best_result()

    def test_files_are_written_by_loggers_and_always_a_table(self, tmp_path: Path) -> None:
        config = quiet(tmp_path, callbacks=[CSVLoggerCallback(), JsonLoggerCallback()])
        tune.Tuner(epochs, param_space={"x": tune.grid_search([1, 2])}, tune_config=LOSS, run_config=config).fit()
        trial = tmp_path / "forest" / "trial_00001"
        assert len((trial / "result.json").read_text().splitlines()) == 3
        assert json.loads((trial / "params.json").read_text()) == {"x": 2}
        assert [float(row["loss"]) for row in _table(trial / "progress.csv")][-1] == pytest.approx(2 + 1 / 3)
        assert [row["config/x"] for row in _table(tmp_path / "forest" / "results.csv")] == ["1", "2"]

    def test_callbacks_are_called_here_on_this_thread(self, tmp_path: Path) -> None:
        class Watcher(tune.Callback):
            losses: list[float] = []
            threads: set[str] = set()

            def __init__(self) -> None:
                self.lock = threading.Lock()  # it need not be shippable

            def on_trial_result(
                self, iteration: int, trials: Sequence[Trial], trial: Trial, result: Any, **info: Any
            ) -> None:
                self.losses.append(result["loss"])
                self.threads.add(threading.current_thread().name)

        config = quiet(tmp_path, callbacks=[Watcher()])
        tune.Tuner(epochs, param_space={"x": 0}, tune_config=LOSS, run_config=config).fit()
        assert Watcher.losses == [1.0, 1 / 2, 1 / 3]
        assert Watcher.threads == {threading.current_thread().name}

    def test_what_a_callback_raises_ends_the_experiment(self, tmp_path: Path) -> None:
        class Impatient(tune.Callback):
            def on_trial_result(self, *_args: Any, **_info: Any) -> None:
                raise LookupError("seen enough")

        tuner = tune.Tuner(epochs, param_space={"x": 0}, tune_config=LOSS, run_config=quiet(tmp_path, callbacks=[Impatient()]))
        with pytest.raises(LookupError, match="seen enough"):
            tuner.fit()

    def test_trials_have_names(self, tmp_path: Path) -> None:
        config = tune.TuneConfig("min", "loss", trial_name_creator=lambda trial: f"x={trial.config['x']}")

        def named(config: dict[str, Any]) -> dict[str, Any]:
            return {"loss": 1, "name": tune.get_context().get_trial_name()}

        (result,) = tune.Tuner(named, param_space={"x": 5}, tune_config=config, run_config=quiet(tmp_path)).fit()
        assert (result.name, result.metrics["name"]) == ("x=5", "x=5")

    def test_environments_are_known_in_trials(self, tmp_path: Path) -> None:
        tune.register_env("corridor", lambda config: list(range(config["length"])))

        def walk(config: dict[str, Any]) -> int:
            return len(tune.make_env("corridor", config))

        (result,) = tune.Tuner(walk, param_space={"length": 4}, run_config=quiet(tmp_path)).fit()
        assert result.metrics["_metric"] == 4

    def test_an_experiment_is_taken_up_again_where_it_was(self, tmp_path: Path) -> None:
        flag = tmp_path / "fixed"

        def fragile(config: dict[str, Any]) -> None:
            begin = tune.get_checkpoint()
            first = begin.to_dict()["epoch"] + 1 if begin is not None else 0
            for epoch in range(first, 4):
                if epoch == 2 and config["x"] == 1 and not flag.exists():
                    raise RuntimeError("broken")
                tune.report({"loss": config["x"], "epoch": epoch, "first": first}, checkpoint={"epoch": epoch})

        tuner = tune.Tuner(fragile, param_space={"x": tune.grid_search([0, 1])}, tune_config=LOSS, run_config=quiet(tmp_path))
        first = tuner.fit()
        assert tuner.get_results() is first
        assert (first.num_errors, len(first)) == (1, 2)
        flag.touch()
        moved = (tmp_path / "forest").rename(tmp_path / "moved")
        assert tune.Tuner.can_restore(moved)
        as_it_is = tune.Tuner.restore(moved, fragile).get_results()
        assert as_it_is.num_errors == 1
        restored = tune.Tuner.restore(moved, fragile, resume_errored=True)
        assert repr(restored) == f"Tuner(fragile, {moved})"
        again = restored.fit()
        assert again.num_errors == 0
        assert [result.metrics["epoch"] for result in again] == [3, 3]
        assert again[1].metrics["first"] == 2, "it went on from its last checkpoint"
        assert again.experiment_path == str(moved)


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
class TestOnACluster:
    def test_trials_run_at_the_same_time(self, tmp_path: Path) -> None:
        def meet(config: dict[str, Any]) -> int:
            (tmp_path / f"{config['x']}").touch()
            deadline = time.monotonic() + 20
            while len(list(tmp_path.glob("[01]"))) < 2 and time.monotonic() < deadline:
                time.sleep(0.01)
            return len(list(tmp_path.glob("[01]")))

        grid = tune.Tuner(meet, param_space={"x": tune.grid_search([0, 1])}, run_config=quiet(tmp_path)).fit()
        assert [result.metrics["_metric"] for result in grid] == [2, 2]

    def test_a_trial_that_could_never_run_is_refused_and_leaves_nothing(self, tmp_path: Path) -> None:
        greedy = tune.with_resources(square, {"CPU": 64})
        with pytest.raises(InfeasibleRequest, match="64"):
            tune.Tuner(greedy, param_space={"x": 1}, run_config=quiet(tmp_path)).fit()
        assert list(tmp_path.iterdir()) == []

    def test_start_leaves_the_cell_free(self, tmp_path: Path) -> None:
        def endless(config: dict[str, Any]) -> None:
            for step in range(100_000):
                tune.report(loss=step)
                time.sleep(0.01)

        class Bell(tune.Callback):
            rang = threading.Event()

            def on_trial_result(self, *_args: Any, **_info: Any) -> None:
                self.rang.set()

        config = quiet(tmp_path, callbacks=[Bell()])
        run = tune.Tuner(endless, param_space={"x": 1}, tune_config=LOSS, run_config=config).start()
        assert Bell.rang.wait(20)
        assert not run.done
        run.stop()
        (result,) = run.results(timeout=20)
        assert result.metrics["loss"] >= 0

    def test_progress_is_told_without_a_card(self, tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
        tune.Tuner(square, param_space={"x": 2}, tune_config=LOSS, run_config=quiet(tmp_path, verbose=2)).fit()
        said = capfd.readouterr().err
        assert f"forest: 1 trial in {tmp_path}/forest" in said
        assert "square_00000 ended after 1 reports" in said
        assert "best configuration: {'x': 2}" in said


def _table(path: Path) -> list[dict[str, str]]:
    with path.open(newline="") as file:
        return list(csv.DictReader(file))
