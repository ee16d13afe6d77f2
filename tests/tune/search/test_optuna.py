from __future__ import annotations

import builtins
import logging
import math
import pickle
from statistics import median
from typing import Any

import optuna
import pytest

from nbray.errors import UsageError
from nbray.tune.search.concurrency_limiter import ConcurrencyLimiter
from nbray.tune.search.optuna import OptunaSearch
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.search.searcher import FINISHED, Searcher
from nbray.tune.spaces import choice, grid_search, loguniform, randint, sample_from, uniform
from tests.tune.search.searching import prepare, run

SPACE = {"x": uniform(-5, 5), "y": loguniform(1e-3, 1e3), "n": randint(0, 10), "m": choice(["a", "b"])}


def valley(config: dict[str, Any]) -> float:
    """Lowest, 0, at x=2, y=1, n=3, m=b."""
    return float((config["x"] - 2) ** 2 + math.log10(config["y"]) ** 2 + abs(config["n"] - 3) + (config["m"] == "a"))


def trials_of(search: Searcher) -> list[optuna.trial.FrozenTrial]:
    assert isinstance(search, OptunaSearch)
    assert search._study is not None
    return search._study.trials


def test_one_trial_after_another_is_what_optuna_alone_would_try() -> None:
    def objective(ask: optuna.Trial) -> float:
        config = {"x": ask.suggest_float("x", -5, 5), "y": ask.suggest_float("y", 1e-3, 1e3, log=True),
                  "n": ask.suggest_int("n", 0, 9), "m": ask.suggest_categorical("m", ["a", "b"])}  # fmt: skip
        tried.append(config)
        return valley(config)

    tried: list[dict[str, Any]] = []
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=5))
    study.optimize(objective, n_trials=25)
    assert run(prepare(OptunaSearch(seed=5), SPACE, 25), valley) == tried


@pytest.mark.parametrize("sampler", ["tpe", "cmaes", "nsga2", "qmc", "random"])
def test_each_sampler_suggests_from_the_space_and_the_same_again(sampler: str) -> None:
    search = prepare(OptunaSearch(sampler=sampler), SPACE, 20, seed=3)
    configs = run(search, valley)
    assert search.total() == len(configs) == 20
    for config in configs:
        assert all(domain.contains(config[name]) for name, domain in SPACE.items())
    assert run(prepare(OptunaSearch(sampler=sampler), SPACE, 20, seed=3), valley) == configs
    assert run(prepare(OptunaSearch(sampler=sampler), SPACE, 20, seed=4), valley) != configs


def test_tpe_beats_random_search() -> None:
    def best(search: Searcher) -> float:
        return min(valley(config) for config in run(search, valley))

    learned = [best(prepare(OptunaSearch(), SPACE, 60, seed=seed)) for seed in range(5)]
    drawn = [best(prepare(RandomSearch(), SPACE, 60, seed=seed)) for seed in range(5)]
    assert median(learned) < median(drawn) / 3


def test_more_is_better_if_the_mode_says_so() -> None:
    search = OptunaSearch()
    search.set_search_properties("gain", "max", {"x": uniform(0, 1)}, 40, 0)
    for number in range(40):
        config = search.suggest(str(number))
        assert isinstance(config, dict)
        search.on_trial_complete(str(number), {"gain": config["x"]})
    late = [trial.params["x"] for trial in trials_of(search)[20:]]
    assert median(late) > 0.85


def test_many_trials_at_once_differ() -> None:
    search = prepare(OptunaSearch(), {"x": uniform(0, 1)}, 30)
    configs = [search.suggest(str(number)) for number in range(30)]
    assert len({str(config) for config in configs}) == 30
    assert search.suggest("more") is FINISHED


def test_conditional_spaces_functions_and_constants() -> None:
    space = {
        "model": choice([{"kind": "svm", "C": uniform(0, 10)}, {"kind": "forest", "depth": choice([2, None])}]),
        "twice": sample_from(lambda config: config["model"].get("C", 0) * 2),
        "f": sample_from(lambda config: choice([config["model"]["kind"], "x"])),
    }
    configs = run(prepare(OptunaSearch(space), {"data": "iris"}, 25), lambda config: config["twice"])
    assert {config["data"] for config in configs} == {"iris"}
    svms = [config for config in configs if config["model"]["kind"] == "svm"]
    assert 0 < len(svms) < 25
    assert all(config["twice"] == 2 * config["model"]["C"] for config in svms)
    assert all(set(config["model"]) == {"kind", "depth"} for config in configs if config not in svms)


def test_points_are_tried_first_and_optuna_learns_from_them() -> None:
    points: list[dict[str, Any]] = [{"x": 2.0, "y": 1.0, "n": 3, "m": "b"}, {"m": "a"}]
    search = prepare(OptunaSearch(points_to_evaluate=points), SPACE, 5)
    configs = run(search, valley)
    assert configs[0] == points[0]
    assert configs[1]["m"] == "a"
    assert len(configs) == 5
    assert trials_of(search)[0].params == points[0]
    assert trials_of(search)[0].value == 0.0


def test_points_whose_metric_is_known_are_not_tried_again() -> None:
    points: list[dict[str, Any]] = [{"x": 2.0, "y": 1.0, "n": 3, "m": "b"}, {"x": 4.0}]
    search = prepare(OptunaSearch(points_to_evaluate=points, evaluated_rewards=[0.0, 9.0]), SPACE, 3)
    configs = run(search, valley)
    assert len(configs) == 3
    assert points[0] not in configs
    assert [trial.value for trial in trials_of(search)[:2]] == [0.0, 9.0]
    assert len(trials_of(search)) == 5
    with pytest.raises(UsageError, match="got 1 evaluated_rewards for 2 points_to_evaluate"):
        OptunaSearch(points_to_evaluate=points, evaluated_rewards=[1.0])


def test_errors_and_missing_numbers_teach_nothing() -> None:
    search = prepare(OptunaSearch(), SPACE, 5)
    results: list[Any] = [({"loss": 1.0}, True), (None, False), ({"loss": math.nan}, False), ({"loss": "low"}, False)]
    for number, (result, error) in enumerate(results):
        search.suggest(str(number))
        search.on_trial_complete(str(number), result, error)
    search.on_trial_complete("0", {"loss": 1.0})
    assert {trial.state.name for trial in trials_of(search)} == {"FAIL"}


def test_with_tpe_a_stopped_trial_counts_by_how_far_it_came() -> None:
    search = prepare(OptunaSearch(), SPACE, 5)
    search.suggest("a")
    for step, loss in ((1, 5.0), (2, 4.0), (2, 3.9)):
        search.on_trial_result("a", {"loss": loss, "training_iteration": step})
    search.on_trial_stopped("a", {"loss": 3.0, "training_iteration": 3})
    trial = trials_of(search)[0]
    assert trial.state.name == "PRUNED"
    assert trial.intermediate_values == {1: 5.0, 2: 4.0, 3: 3.0}


def test_a_trial_stopped_without_a_number_teaches_nothing() -> None:
    search = prepare(OptunaSearch(), SPACE, 5)
    search.suggest("a")
    search.on_trial_stopped("a", None)
    assert trials_of(search)[0].state.name == "FAIL"


def test_other_samplers_take_a_stopped_trial_as_ended() -> None:
    search = prepare(OptunaSearch(sampler="cmaes"), SPACE, 5)
    search.suggest("a")
    search.on_trial_stopped("a", {"loss": 3.0, "training_iteration": 3})
    assert (trials_of(search)[0].state.name, trials_of(search)[0].value) == ("COMPLETE", 3.0)


def test_tpe_learns_from_stopped_trials() -> None:
    """Trials away from 0.8 are stopped at the first rung, as a scheduler would."""
    search = prepare(OptunaSearch(), {"x": uniform(0, 1)}, 60)
    for number in range(60):
        config = search.suggest(str(number))
        assert isinstance(config, dict)
        loss = abs(config["x"] - 0.8)
        if loss > 0.1:
            search.on_trial_stopped(str(number), {"loss": loss, "training_iteration": 1})
        else:
            search.on_trial_result(str(number), {"loss": loss, "training_iteration": 1})
            search.on_trial_stopped(str(number), {"loss": loss / 2, "training_iteration": 9})
    assert median(abs(trial.params["x"] - 0.8) for trial in trials_of(search)[30:]) < 0.1


def test_it_learns_from_a_configuration_that_somebody_added() -> None:
    search = prepare(OptunaSearch(), SPACE, 5)
    added = {"x": 2.0, "y": 1.0, "n": 3, "m": "b"}
    search.on_trial_given("z", added)
    search.on_trial_complete("z", {"loss": 0.0})
    search.on_trial_given("out of the space", {**added, "x": 77.0})
    search.on_trial_complete("out of the space", {"loss": 0.0})
    search.on_trial_given("part of it", {"x": 2.0})
    search.on_trial_complete("part of it", {"loss": 0.0})
    assert [(trial.params, trial.value) for trial in trials_of(search) if trial.state.name == "COMPLETE"] == [(added, 0.0)]
    assert search.total() == len(run(search, valley)) == 5


def test_a_suggestion_that_was_replaced_is_forgotten() -> None:
    search = prepare(OptunaSearch(), SPACE, 5)
    search.suggest("a")
    replacement = {"x": 1.0, "y": 1.0, "n": 1, "m": "a"}
    search.on_trial_given("a", replacement)
    search.on_trial_complete("a", {"loss": 6.0})
    first, second = trials_of(search)
    assert first.state.name == "FAIL"
    assert (second.params, second.value) == (replacement, 6.0)


def test_a_function_may_ask_the_trial() -> None:
    def ask(trial: optuna.Trial) -> dict[str, Any] | None:
        if trial.suggest_categorical("kind", ["svm", "forest"]) == "svm":
            trial.suggest_float("C", 0.1, 10, log=True)
            return None
        return {"depth": trial.suggest_int("d", 1, 4) * 2}

    configs = run(prepare(OptunaSearch(ask, points_to_evaluate=[{"kind": "forest", "d": 3}]), {"data": "iris"}, 12))
    assert configs[0] == {"data": "iris", "kind": "forest", "d": 3, "depth": 6}
    assert {config["kind"] for config in configs} == {"svm", "forest"}
    assert all(("C" in config) == (config["kind"] == "svm") for config in configs)


def test_a_sampler_of_optunas_is_taken_as_it_is() -> None:
    sampler = optuna.samplers.TPESampler(seed=5)
    assert run(prepare(OptunaSearch(sampler=sampler), SPACE, 12), valley) == run(prepare(OptunaSearch(seed=5), SPACE, 12), valley)


def test_it_can_be_pickled_before_it_begins_and_on_the_way() -> None:
    search = prepare(pickle.loads(pickle.dumps(OptunaSearch(seed=1))), SPACE, 20)
    first = run(search, valley, most=12)
    assert first + run(pickle.loads(pickle.dumps(search)), valley) == run(prepare(OptunaSearch(seed=1), SPACE, 20), valley)


def test_it_works_under_a_limiter() -> None:
    assert len(run(prepare(ConcurrencyLimiter(OptunaSearch(), 2, batch=True), SPACE, 12), valley)) == 12


def test_it_prints_nothing_and_leaves_optunas_logging_alone(caplog: pytest.LogCaptureFixture) -> None:
    before = optuna.logging.get_verbosity()
    optuna.logging.set_verbosity(logging.INFO)
    optuna.logging.enable_propagation()
    try:
        with caplog.at_level(logging.INFO):
            run(prepare(OptunaSearch(), SPACE, 3), valley)
        assert optuna.logging.get_verbosity() == logging.INFO
    finally:
        optuna.logging.disable_propagation()
        optuna.logging.set_verbosity(before)
    assert caplog.records == []


def test_it_needs_a_mode_and_takes_the_metric_of_plain_numbers_if_none_is_named() -> None:
    with pytest.raises(UsageError, match=r'OptunaSearch learns from results and got mode=None; write mode="min"'):
        prepare(OptunaSearch(), SPACE, mode=None)
    search = prepare(OptunaSearch(), SPACE, metric=None)
    search.suggest("a")
    search.on_trial_complete("a", {"_metric": 3.0})
    assert trials_of(search)[0].value == 3.0


@pytest.mark.parametrize("option", ["storage", "study_name"])
def test_a_storage_of_optunas_is_refused_by_name(option: str) -> None:
    options: dict[str, Any] = {option: "sqlite:///x.db"}
    with pytest.raises(UsageError, match=f"OptunaSearch got {option}='sqlite:///x.db'.*Tuner.restore.*Leave it out"):
        OptunaSearch(**options)


def test_a_grid_is_refused_before_the_first_trial() -> None:
    with pytest.raises(UsageError, match=r"OptunaSearch cannot search 'g'.*Write tune.choice\(\[1, 2\]\)"):
        prepare(OptunaSearch(), {"g": grid_search([1, 2]), "x": uniform(0, 1)})


def test_without_optuna_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def without_optuna(name: str, *rest: Any) -> Any:
        if name == "optuna":
            raise ModuleNotFoundError("No module named 'optuna'")
        return real(name, *rest)

    search = OptunaSearch()
    monkeypatch.setattr(builtins, "__import__", without_optuna)
    with pytest.raises(UsageError, match=r'OptunaSearch needs Optuna \(No module named .optuna.\): pip install "nbray\[tune\]"'):
        prepare(search, SPACE)
