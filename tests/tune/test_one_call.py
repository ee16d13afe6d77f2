"""tune.run takes what Ray's takes, gives results by the older names, and refuses by name what has no effect here."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

import nbray
from nbray import tune
from nbray.errors import NotSupportedHere, TuneError, UsageError
from nbray.tune.experiment_analysis import ExperimentAnalysis
from nbray.tune.loggers import CSVLoggerCallback
from nbray.tune.schedulers import ASHAScheduler
from tests.fakes import fresh_session


@pytest.fixture(scope="module")
def serial() -> Iterator[None]:
    with fresh_session():
        nbray.init("serial", num_workers=2)
        yield


def epochs(config: dict[str, Any]) -> Any:
    for epoch in range(4):
        yield {"loss": config["x"] / (epoch + 1)}


def run(path: Path, task: Any = epochs, **options: Any) -> ExperimentAnalysis:
    defaults = {"config": {"x": tune.grid_search([2, 1])}, "metric": "loss", "mode": "min", "verbose": 0, "storage_path": path}
    return tune.run(task, **{**defaults, **options})


@pytest.mark.usefixtures("serial")
class TestItsArguments:
    def test_results_by_the_older_names(self, tmp_path: Path) -> None:
        analysis = run(tmp_path, name="job")
        assert analysis.best_config == {"x": 1}
        assert analysis.best_result["loss"] == 0.25
        assert analysis.experiment_path == str(tmp_path / "job")

    def test_num_samples_and_seed(self, tmp_path: Path) -> None:
        space = {"x": tune.uniform(0, 1)}
        first, second, other = (run(tmp_path, config=space, num_samples=3, seed=seed) for seed in (5, 5, 6))
        assert first.get_all_configs() == second.get_all_configs() != other.get_all_configs()
        assert len(first) == 3

    def test_stop_and_scheduler(self, tmp_path: Path) -> None:
        assert run(tmp_path, stop={"training_iteration": 2}).best_result["training_iteration"] == 2
        assert run(tmp_path, scheduler=ASHAScheduler(max_t=3)).best_result["training_iteration"] == 3

    def test_resources_per_trial(self, tmp_path: Path) -> None:
        def reserved(config: dict[str, Any]) -> dict[str, Any]:
            return {"loss": 1, "cpus": tune.get_context().get_trial_resources()["CPU"]}

        assert run(tmp_path, reserved, resources_per_trial={"cpu": 2}).best_result["cpus"] == 2.0

    def test_local_dir_is_another_word_for_storage_path(self, tmp_path: Path) -> None:
        analysis = run(tmp_path, storage_path=None, local_dir=tmp_path / "here", name="job")
        assert analysis.experiment_path == str(tmp_path / "here" / "job")

    def test_checkpoints(self, tmp_path: Path) -> None:
        def saving(config: dict[str, Any]) -> None:
            for epoch in range(6):
                tune.report({"loss": epoch}, checkpoint=lambda epoch=epoch: {"epoch": epoch})

        analysis = run(tmp_path, saving, config={"x": 1}, checkpoint_freq=2, keep_checkpoints_num=2)
        assert [checkpoint.to_dict()["epoch"] for checkpoint, _ in analysis[0].best_checkpoints] == [3, 5]

    def test_callbacks(self, tmp_path: Path) -> None:
        analysis = run(tmp_path, callbacks=[CSVLoggerCallback()])
        assert (Path(analysis[0].path) / "progress.csv").exists()

    def test_a_failed_trial_raises_unless_one_says_otherwise(self, tmp_path: Path) -> None:
        def fails(config: dict[str, Any]) -> Any:
            yield {"loss": 1.0}
            if config["x"] == 1:
                raise ValueError("no luck")

        with pytest.raises(TuneError, match=r"(?s)1 of 2 trials failed; the first one of this:.*ValueError: no luck"):
            run(tmp_path, fails)
        assert run(tmp_path, fails, raise_on_failed_trial=False).num_errors == 1
        assert run(tmp_path, fails, raise_on_failed_trial=False, max_failures=2)[1].record.failures == 3

    def test_resume_goes_on_with_the_experiment_of_that_name(self, tmp_path: Path) -> None:
        assert len(run(tmp_path, name="job", resume="AUTO")) == 2
        again = run(tmp_path, name="job", resume=True)
        assert again.experiment_path == str(tmp_path / "job")
        assert len(again) == 2
        with pytest.raises(UsageError, match=r"resume=True needs the experiment's name"):
            run(tmp_path, resume=True)
        with pytest.raises(UsageError, match="holds no experiment"):
            run(tmp_path, name="other", resume=True)
        with pytest.raises(UsageError, match="resume='ERRORED_ONLY': expected True, False or \"AUTO\""):
            run(tmp_path, name="job", resume="ERRORED_ONLY")


@pytest.mark.parametrize("argument", [
    "chdir_to_trial_dir", "export_formats", "log_to_file", "progress_reporter", "restore", "resume_config", "storage_filesystem",
    "sync_config", "trial_dirname_creator",
])  # fmt: skip
def test_what_has_no_effect_is_refused_by_name(tmp_path: Path, argument: str) -> None:
    with pytest.raises(NotSupportedHere, match=f"{argument}='given' is not supported"):
        run(tmp_path, **{argument: "given"})


def test_an_unknown_argument_gets_the_nearest(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"tune\.run has no argument 'num_sample': did you mean 'num_samples'"):
        run(tmp_path, num_sample=3)
