"""The founding article's job runs as it is written there; each argument of a Trainer has its effect or is refused by name."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import tune
from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.trainers import Trainer, callbacks_of
from nbray.tune import loggers
from nbray.tune.registry import make_env, register_env
from nbray.tune.result import Result
from nbray.tune.result_grid import ResultGrid
from nbray.tune.schedulers import ASHAScheduler
from nbray.tune.search import RandomSearch
from tests.fakes import fresh_session

SPACE = {"config": {"x": tune.grid_search([1, 2, 3])}, "metric": "score", "mode": "max"}


@pytest.fixture(scope="module")
def cluster() -> Iterator[None]:
    with fresh_session():
        nbray.init(num_workers=2)
        yield


ARTICLE = '''
import nbray
from nbray import tune
from nbray.trainers import Trainer
from nbray.tune.registry import register_env
from nbray.tune.search import RandomSearch
from nbray.tune.schedulers import ASHAScheduler

nbray.init()

def train_task(config):
    from sklearn.datasets import load_iris
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.model_selection import train_test_split

    x, y = load_iris(return_X_y=True)
    x_train, x_test, y_train, y_test = train_test_split(x, y, random_state=config["seed"])
    forest = RandomForestClassifier(
        n_estimators=config["n_estimators"], max_depth=config["max_depth"], random_state=config["seed"])
    forest.fit(x_train, y_train)
    return forest.score(x_test, y_test)

nbray.register_remote_function("train_task", train_task)

search_space = {
    "n_estimators": tune.choice([5, 10, 20]),
    "max_depth": tune.choice([None, 2, 4]),
}
scheduler = ASHAScheduler(
    time_attr="training_iteration", max_t=100, grace_period=1, reduction_factor=2, metric="accuracy", mode="max", verbose=1)
trainer = Trainer(
    name="iris_forest",
    config={"seed": 0},
    search_space={"config": search_space, "metric": "accuracy", "mode": "max", "num_samples": 6},
    scheduler=scheduler,
    stop={"training_iteration": 10},
    checkpoint_freq=10,
    report_to="ray",
)
results = trainer.fit(train_task, resources={"CPU": 1, "GPU": 0}, num_workers=4, local_dir="./results")
'''


@pytest.mark.local
@pytest.mark.slow
@pytest.mark.usefixtures("cluster")
def test_the_articles_job(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]) -> None:
    monkeypatch.chdir(tmp_path)
    names: dict[str, Any] = {"__name__": "__main__"}
    began = time.monotonic()
    exec(compile(ARTICLE, "<article>", "exec"), names)
    assert time.monotonic() - began < 30
    results = names["results"]
    assert (len(results), results.num_errors) == (6, 0)
    assert set(results.best_config) == {"seed", "n_estimators", "max_depth"}
    assert results.best_score == max(result.metrics["accuracy"] for result in results) > 0.8
    assert results.experiment_path == str(tmp_path / "results" / "iris_forest")
    assert (tmp_path / "results" / "iris_forest" / "results.csv").read_text().count("\n") == 7
    said = capfd.readouterr().err
    assert said.count("4 trials at a time were asked for, and 2 fit") == 1
    assert "6 of 6 trials ended" in said
    assert "no trial has reported" not in said


# ------------------------------------------------------------------ each argument has its effect


def product(config: dict[str, Any]) -> float:
    return float(config["x"]) * float(config.get("factor", 1))


def epochs(config: dict[str, Any]) -> Any:
    for epoch in range(40):
        yield {"score": config["x"] * (epoch + 1)}


def fit(path: Path, task: Any = product, *, resources: Any = None, num_workers: int = 1, **options: Any) -> Any:
    options = {"name": "job", "report_to": None, "search_space": SPACE, **options}
    return Trainer(**options).fit(task, resources=resources, num_workers=num_workers, local_dir=path)


@pytest.fixture(scope="module", params=["serial", pytest.param("local", marks=pytest.mark.local)])
def backend(request: pytest.FixtureRequest) -> Iterator[str]:
    with fresh_session():
        nbray.init(request.param, num_workers=2)
        yield request.param


@pytest.mark.usefixtures("backend")
class TestOnEveryBackend:
    def test_name_and_local_dir_say_where_results_lie(self, tmp_path: Path) -> None:
        assert fit(tmp_path, name="forest").experiment_path == str(tmp_path / "forest")

    def test_config_has_constants_that_the_space_goes_before(self, tmp_path: Path) -> None:
        grid = fit(tmp_path, config={"factor": 10, "x": 77})
        assert grid.best_config == {"factor": 10, "x": 3}
        assert grid.best_score == 30.0

    def test_num_samples_says_how_many(self, tmp_path: Path) -> None:
        space = {"config": {"x": tune.uniform(0, 1)}, "metric": "score", "mode": "min", "num_samples": 5}
        grid = fit(tmp_path, search_space=space)
        assert len(grid) == 5
        assert grid.best_score == min(result.config["x"] for result in grid)

    def test_search_alg_says_who_suggests(self, tmp_path: Path) -> None:
        search = RandomSearch(points_to_evaluate=[{"x": 0.25}])
        space = {"config": {"x": tune.uniform(0, 1)}, "metric": "score", "mode": "min", "search_alg": search}
        assert fit(tmp_path, search_space=space).best_config == {"x": 0.25}

    def test_the_scheduler_ends_trials(self, tmp_path: Path) -> None:
        scheduler = ASHAScheduler(max_t=4, grace_period=1, metric="score", mode="max")
        grid = fit(tmp_path, epochs, scheduler=scheduler)
        assert max(result.metrics["training_iteration"] for result in grid) == 4

    def test_stop_ends_them_if_it_comes_first(self, tmp_path: Path) -> None:
        scheduler = ASHAScheduler(max_t=30, metric="score", mode="max")
        grid = fit(tmp_path, epochs, scheduler=scheduler, stop={"training_iteration": 3})
        assert max(result.metrics["training_iteration"] for result in grid) == 3

    def test_checkpoint_freq_says_how_often_an_offered_checkpoint_is_written(self, tmp_path: Path) -> None:
        def offering(config: dict[str, Any]) -> None:
            for epoch in range(25):
                tune.report({"score": config["x"]}, checkpoint=lambda epoch=epoch: {"epoch": epoch})

        def epochs_kept(freq: int) -> list[int]:
            space = {**SPACE, "config": {"x": 1}}
            kept = fit(tmp_path, offering, checkpoint_freq=freq, search_space=space)[0].best_checkpoints
            return [checkpoint.to_dict()["epoch"] for checkpoint, _ in kept]

        assert epochs_kept(10)[:2] == [9, 19]
        assert epochs_kept(0) == []

    def test_report_to_names_loggers(self, tmp_path: Path) -> None:
        grid = fit(tmp_path, report_to=["json", "csv"])
        assert {path.name for path in Path(grid[0].path).iterdir()} == {"params.json", "result.json", "progress.csv"}

    def test_report_to_takes_callbacks(self, tmp_path: Path) -> None:
        class Counting(tune.Callback):
            count = 0

            def on_trial_complete(self, *_args: Any, **_info: Any) -> None:
                Counting.count += 1

        fit(tmp_path, report_to=Counting())
        assert Counting.count == 3

    @pytest.mark.parametrize(("report_to", "shown"), [("nbray", True), ("ray", True), (None, False)])
    def test_report_to_shows_progress_or_not(
        self, tmp_path: Path, capfd: pytest.CaptureFixture[str], report_to: str | None, shown: bool
    ) -> None:
        fit(tmp_path, report_to=report_to)
        assert ("3 of 3 trials ended" in capfd.readouterr().err) == shown

    def test_resources_are_reserved_in_any_spelling(self, tmp_path: Path) -> None:
        def reserved(config: dict[str, Any]) -> dict[str, Any]:
            return {"score": 1, "resources": tune.get_context().get_trial_resources()}

        grid = fit(tmp_path, reserved, resources={"cpu": 2, "GPU": 0})
        assert grid[0].metrics["resources"]["CPU"] == 2.0

    def test_functions_may_be_given_by_name(self, tmp_path: Path) -> None:
        nbray.register_remote_function("product_of_two", product)
        assert fit(tmp_path, "product_of_two").best_config == {"x": 3}

    @pytest.mark.parametrize("task", [
        lambda config: config["x"],
        lambda config: {"score": config["x"]},
        lambda config, reporter: reporter(score=config["x"]),
        lambda config: tune.report({"score": config["x"]}),
        epochs,
    ])  # fmt: skip
    def test_a_function_may_return_report_or_yield(self, tmp_path: Path, task: Any) -> None:
        grid = fit(tmp_path, task)
        assert (grid.num_errors, grid.best_config) == (0, {"x": 3})

    def test_without_a_search_space_one_result_comes(self, tmp_path: Path) -> None:
        result = fit(tmp_path, search_space=None, config={"x": 4})
        assert isinstance(result, Result)
        assert (result.config, result.metrics["_metric"]) == ({"x": 4}, 4.0)
        assert isinstance(fit(tmp_path), ResultGrid)

    def test_a_trainer_can_be_used_again(self, tmp_path: Path) -> None:
        trainer = Trainer("job", search_space=SPACE, report_to="json")
        grids = [trainer.fit(product, local_dir=tmp_path) for _ in range(2)]
        assert [grid.best_score for grid in grids if isinstance(grid, ResultGrid)] == [3.0, 3.0]


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_num_workers_trials_run_at_the_same_time(tmp_path: Path) -> None:
    def meet(config: dict[str, Any]) -> int:
        """How many have begun by now; it waits for two."""
        (tmp_path / f"begun{config['x']}").touch()
        deadline = time.monotonic() + 20
        while (begun := len(list(tmp_path.glob("begun*")))) < 2 and time.monotonic() < deadline:
            time.sleep(0.01)
        return begun

    grid = fit(tmp_path, meet, num_workers=2, search_space={**SPACE, "config": {"x": tune.grid_search([1, 2])}})
    assert [result.metrics["score"] for result in grid] == [2, 2]


@pytest.mark.local
@pytest.mark.usefixtures("cluster")
def test_one_worker_runs_them_one_after_another(tmp_path: Path) -> None:
    def timed(config: dict[str, Any]) -> dict[str, float]:
        began = time.monotonic()
        time.sleep(0.02)
        return {"score": 0, "began": began, "ended": time.monotonic()}

    times = sorted((result.metrics["began"], result.metrics["ended"]) for result in fit(tmp_path, timed, num_workers=1))
    assert [ended <= began for (_, ended), (began, _) in itertools.pairwise(times)] == [True, True]


# ------------------------------------------------------------------ or is refused by name


@pytest.mark.parametrize(("options", "kind", "said"), [
    ({"name": "a/b"}, UsageError, "name='a/b'"),
    ({"config": [1]}, WrongType, r"config=\[1\]: expected a dict of constants"),
    ({"config": {"lr": tune.uniform(0, 1)}}, UsageError, "holds something to choose from, and config is for constants"),
    ({"search_space": [1]}, WrongType, r"search_space=\[1\]: expected a dict such as"),
    ({"search_space": {"x": 1}}, UsageError, "search_space has the key 'x', and no \"config\""),
    ({"search_space": {"config": {}}}, UsageError, r'search_space\["config"\] is {}: expected what to choose from'),
    ({"search_space": {**SPACE, "metrics": 1}}, UsageError, "search_space has the key 'metrics': did you mean 'metric'"),
    ({"search_space": {**SPACE, "mode": "high"}}, UsageError, "mode='high'"),
    ({"search_space": {**SPACE, "num_samples": 0}}, UsageError, "num_samples=0"),
    ({"search_space": SPACE, "scheduler": ASHAScheduler(metric="loss", mode="min")}, UsageError,
     "ASHAScheduler has metric='loss'"),
    ({"scheduler": "asha"}, WrongType, "scheduler='asha': expected a TrialScheduler"),
    ({"stop": 3}, WrongType, "stop= got 3"),
    ({"checkpoint_freq": -1}, UsageError, "checkpoint_freq=-1: expected a whole number >= 0"),
    ({"report_to": "jsn"}, UsageError, "report_to has 'jsn': did you mean 'json'"),
    ({"report_to": [3]}, WrongType, "report_to=3: expected a Callback"),
    ({"report_to": loggers.CSVLoggerCallback}, WrongType, "not a class"),
])  # fmt: skip
def test_wrong_arguments_are_told_at_once(options: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        Trainer(**options)


@pytest.mark.parametrize(("arguments", "kind", "said"), [
    ({"num_workers": 0}, UsageError, "num_workers=0: expected a whole number >= 1"),
    ({"num_workers": 2}, NotSupportedHere, "num_workers=2 without a search_space"),
    ({"resources": {"CPU": -1}}, UsageError, "CPU"),
    ({"resources": 2}, WrongType, "resources=2: expected a dict"),
    ({"local_dir": "/proc/results"}, UsageError, "/proc/results cannot be written"),
])  # fmt: skip
def test_and_those_of_fit(arguments: dict[str, Any], kind: type[Exception], said: str) -> None:
    with pytest.raises(kind, match=said):
        Trainer("job", config={"x": 1}).fit(product, **arguments)


def test_report_to_in_all_its_forms() -> None:
    names = [type(each).__name__ for each in callbacks_of(["nbray", "csv", "json", "tensorboard", tune.Callback()])]
    assert names == ["CSVLoggerCallback", "JsonLoggerCallback", "TBXLoggerCallback", "Callback"]
    assert callbacks_of(None) == callbacks_of("ray") == []


def test_a_trainer_shows_what_it_is_for() -> None:
    assert repr(Trainer("iris", search_space=SPACE)) == "Trainer('iris', a search)"
    assert repr(Trainer("iris")) == "Trainer('iris', one training)"


def test_a_job_in_the_article_registers_an_environment() -> None:
    register_env("corridor", lambda config: list(range(config["length"])))
    assert make_env("corridor", {"length": 2}) == [0, 1]
