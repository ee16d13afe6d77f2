"""The README's table of Ray Tune's public names: complete, and true of what is here."""

from __future__ import annotations

import importlib
import importlib.util
import re
from typing import Any

import pytest

from nbray import tune
from tests.ray_tables import README, table_between

VERDICTS = ("same", "differs", "not here")

RAY = {
    "ray.tune": """
        CLIReporter Callback Checkpoint CheckpointConfig Experiment ExperimentAnalysis FailureConfig JupyterNotebookReporter
        PlacementGroupFactory ProgressReporter Result ResultGrid ResumeConfig RunConfig Stopper SyncConfig Trainable TuneConfig
        TuneContext TuneError Tuner choice create_scheduler create_searcher get_checkpoint get_context grid_search lograndint
        loguniform qlograndint qloguniform qrandint qrandn quniform randint randn register_env register_trainable report run
        run_experiments sample_from uniform with_parameters with_resources""",
    "ray.tune.schedulers": """
        TrialScheduler HyperBandScheduler AsyncHyperBandScheduler ASHAScheduler MedianStoppingRule FIFOScheduler
        PopulationBasedTraining PopulationBasedTrainingReplay HyperBandForBOHB ResourceChangingScheduler""",
    "ray.tune.schedulers.pb2": "PB2",
    "ray.tune.search": "SearchAlgorithm Searcher ConcurrencyLimiter Repeater BasicVariantGenerator SearchGenerator",
    "ray.tune.search.basic_variant": "BasicVariantGenerator",
    "ray.tune.search.optuna": "OptunaSearch",
    "ray.tune.search.ax": "AxSearch",
    "ray.tune.search.bayesopt": "BayesOptSearch",
    "ray.tune.search.bohb": "TuneBOHB",
    "ray.tune.search.hebo": "HEBOSearch",
    "ray.tune.search.hyperopt": "HyperOptSearch",
    "ray.tune.search.nevergrad": "NevergradSearch",
    "ray.tune.search.zoopt": "ZOOptSearch",
    "ray.tune.stopper": """
        Stopper CombinedStopper ExperimentPlateauStopper FunctionStopper MaximumIterationStopper NoopStopper TimeoutStopper
        TrialPlateauStopper""",
    "ray.tune.logger": "LoggerCallback pretty_print CSVLoggerCallback JsonLoggerCallback TBXLoggerCallback",
    "ray.tune.registry": "register_env register_trainable",
    "ray.air.integrations.mlflow": "MLflowLoggerCallback",
    "ray.air.integrations.wandb": "WandbLoggerCallback",
}
"""The public names of Ray 2.60's Tune, by where they are imported from."""

NAMES = {f"{place}.{name}" for place, names in RAY.items() for name in names.split()}

INSTALLED = ["ray.tune", "ray.tune.schedulers", "ray.tune.stopper", "ray.tune.logger"]
"""Where an installed Ray is asked for its `__all__`."""


def rows() -> dict[str, tuple[str, str]]:
    return table_between("### From Ray Tune", "## Names")


def resolve(name: str) -> Any:
    """What is here under a name of Ray's, with only `ray` replaced; None where nothing is."""
    place, _, attribute = name.replace("ray", "nbray", 1).rpartition(".")
    try:
        return getattr(importlib.import_module(place), attribute, None)
    except ModuleNotFoundError:
        return None


def test_every_name_is_in_the_table_and_no_other() -> None:
    assert set(rows()) == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_the_table_tells_the_truth(name: str) -> None:
    verdict, explanation = rows()[name]
    assert verdict in VERDICTS
    assert (resolve(name) is not None) == (verdict != "not here"), f"{name}: {verdict}"
    assert explanation or verdict == "same", "say how, or what to use instead"


def test_every_name_of_tune_is_written_about() -> None:
    text = README[README.index("## Tune") : README.index("## Names")]
    assert [name for name in tune.__all__ if not re.search(rf"\b{name}\b", text)] == []


def test_the_list_has_what_an_installed_ray_offers() -> None:
    needed = ("ray", "pyarrow", "fsspec")
    if any(importlib.util.find_spec(name) is None for name in needed):  # the tests' own environment has none
        return
    for place in INSTALLED:
        offered = importlib.import_module(place).__all__
        assert {f"{place}.{name}" for name in offered} - NAMES == set()
