"""What halving saves, and what it loses: ASHA beside random search on digits, and on LCDB's data sets, in fake time.

`python -m tests.benchmarks.halving` prints all of it. Every level was written down before the first run.
"""

from __future__ import annotations

import functools
import math
import statistics
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from nbray.tune.schedulers import ASHAScheduler
from nbray.tune.schedulers.scheduler import TrialScheduler
from nbray.tune.simulator import Curve, Simulated
from tests.benchmarks import curves, lcdb_curves
from tests.benchmarks.lcdb_curves import SHARES, DataSet
from tests.benchmarks.measurements import Measured
from tests.benchmarks.replays import replay
from tests.benchmarks.systems import System, Unsupported

SEEDS = 40
TRIALS = 150
GOOD = 0.99
"""Of the best accuracy that random search finds: what ASHA is to reach."""
LEVELS = (0.97, 0.975, 0.98)
FORMS: dict[str, Callable[[], TrialScheduler | None]] = {
    "random": lambda: None,
    "stop": lambda: ASHAScheduler(max_t=curves.EPOCHS, grace_period=1, reduction_factor=3, type="stop"),
    "promote": lambda: ASHAScheduler(max_t=curves.EPOCHS, grace_period=1, reduction_factor=3, type="promote"),
}


@dataclass(frozen=True)
class Search:
    """One search on digits: when its best accuracy grew, and what it took in all."""

    steps: list[tuple[float, float]]
    """Simulated seconds and the best accuracy so far."""
    seconds: float
    epochs: int

    @property
    def best(self) -> float:
        return self.steps[-1][1]

    def reached(self, accuracy: float) -> float:
        """When it was first as accurate; infinity if never."""
        return next((when for when, best in self.steps if best >= accuracy), math.inf)


def _digits_curve(config: Mapping[str, object]) -> Curve:
    accuracy, seconds = curves.digits().of(config)
    return Curve([{"score": value} for value in accuracy], seconds)


def _search_of(simulated: Simulated) -> Search:
    return Search(simulated.best_over_time("score", "max"), simulated.seconds, len(simulated.reports))


@functools.cache
def on_digits() -> dict[str, list[Search]]:
    """Of each form, a search for each seed: the same configurations in the same order, on two workers."""
    table = curves.digits()
    found: dict[str, list[Search]] = {form: [] for form in FORMS}
    for seed in range(SEEDS):
        order = np.random.default_rng(seed).permutation(len(table.configs))[:TRIALS]
        configs = [table.configs[number] for number in order]
        for form, scheduler in FORMS.items():
            found[form].append(_search_of(replay(configs, _digits_curve, scheduler())))
    return found


def _only_nbray(system: System) -> None:
    if system.module != "nbray":
        raise Unsupported


def _spread(values: list[float]) -> str:
    low, high = np.quantile(values, [0.1, 0.9], method="nearest")
    return f"{statistics.median(values):.3g} ({low:.3g} to {high:.3g})"


def _share_of_time(form: str) -> Measured:
    """Time to 99 % of random search's best accuracy, as a share of random search's whole training time."""
    searches = on_digits()
    pairs = list(zip(searches[form], searches["random"], strict=True))
    shares = [one.reached(GOOD * other.best) / other.seconds for one, other in pairs]
    fair = [one.reached(GOOD * other.best) / other.reached(GOOD * other.best) for one, other in pairs]
    missed = sum(math.isinf(share) for share in shares)
    return Measured(shares, f"{_spread(shares)}; never in {missed} of {SEEDS}; of random's own time to there {_spread(fair)}")


def stop_form(system: System) -> Measured:
    _only_nbray(system)
    return _share_of_time("stop")


def promote_form(system: System) -> Measured:
    _only_nbray(system)
    return _share_of_time("promote")


def _given_up(form: str) -> Measured:
    """Percentage points between the best accuracies of random search and of ASHA, after as many configurations."""
    searches = on_digits()
    lost = [(other.best - one.best) * 100 for one, other in zip(searches[form], searches["random"], strict=True)]
    return Measured(lost, f"{_spread(lost)}; nothing in {sum(loss <= 0 for loss in lost)} of {SEEDS}")


def stop_form_loses(system: System) -> Measured:
    _only_nbray(system)
    return _given_up("stop")


def promote_form_loses(system: System) -> Measured:
    _only_nbray(system)
    return _given_up("promote")


def speed(system: System) -> Measured:
    """Reports a second of the simulator, decisions of ASHA included."""
    _only_nbray(system)
    table = curves.digits()
    rates = []
    for _ in range(5):
        start = time.perf_counter()
        reports = sum(len(replay(table.configs, _digits_curve, FORMS[form]()).reports) for form in ("random", "stop", "promote"))
        rates.append(reports / (time.perf_counter() - start))
    return Measured(rates)


@dataclass(frozen=True)
class Choice:
    """One classifier chosen by halving: the share of the time of training all, and the accuracy given up."""

    share: float
    given_up: float


def choose(data_set: DataSet, scheduler: TrialScheduler, seed: int) -> Choice:
    """Halve the classifiers of a data set, one after another on one worker; the best of those that came farthest is chosen, and
    trained on everything if it was not."""
    names = list(np.random.default_rng(seed).permutation(list(data_set.learners)))

    def curve_of(config: Mapping[str, str]) -> Curve:
        steps = data_set.learners[config["learner"]]
        results = [{"score": accuracy, "share": share} for share, (accuracy, _) in zip(SHARES, steps, strict=True)]
        return Curve(results, [seconds for _, seconds in steps])

    simulated = replay([{"learner": str(name)} for name in names], curve_of, scheduler, workers=1)
    farthest: dict[str, int] = {}
    for trial in simulated.trials.values():
        farthest[trial.config["learner"]] = trial.iteration
    last = max(farthest.values())
    chosen = max((name for name in farthest if farthest[name] == last), key=lambda name: data_set.learners[name][last - 1][0])
    rest = sum(seconds for _, seconds in data_set.learners[chosen][last:])
    accuracy = data_set.learners[chosen][-1][0]
    return Choice((simulated.work + rest) / data_set.full_seconds, data_set.best - accuracy)


@functools.cache
def on_lcdb(form: str, factor: int) -> list[Choice]:
    """One choice for each data set."""

    def scheduler() -> TrialScheduler:
        return ASHAScheduler(time_attr="share", max_t=SHARES[-1], grace_period=1, reduction_factor=factor, type=form)

    return [choose(data_set, scheduler(), data_set.name) for data_set in lcdb_curves.data_sets()]


def _lcdb(system: System, form: str) -> Measured:
    _only_nbray(system)
    choices = on_lcdb(form, 3)
    lost = [choice.given_up for choice in choices]
    exact = sum(loss <= 0 for loss in lost) / len(lost)
    note = f"{len(lost)} data sets; accuracy given up {statistics.fmean(lost):.4f} in the mean, none in {exact:.0%}"
    return Measured([choice.share for choice in choices], note)


def lcdb_stop(system: System) -> Measured:
    return _lcdb(system, "stop")


def lcdb_promote(system: System) -> Measured:
    return _lcdb(system, "promote")


def _cell(searches: list[Search], level: Callable[[int], float]) -> str:
    times = [search.reached(level(seed)) for seed, search in enumerate(searches)]
    missed = sum(math.isinf(when) for when in times)
    if 2 * missed > len(times):
        return f"missed {missed}"
    return f"{statistics.median(times):.3g} s" + (f", missed {missed}" if missed else "")


def main() -> None:
    """Print the tables."""
    searches = on_digits()
    random = searches["random"]
    levels: dict[str, Callable[[int], float]] = {f"{level:g}": lambda seed, level=level: level for level in LEVELS}  # type: ignore[misc]
    levels["99 % of random's best"] = lambda seed: GOOD * random[seed].best
    levels["random's best"] = lambda seed: random[seed].best
    print(f"{TRIALS} configurations, {SEEDS} seeds, 2 simulated workers; medians\n")
    print(f"| accuracy reached | {' | '.join(FORMS)} |\n|---|{'---|' * len(FORMS)}")
    for title, level in levels.items():
        print(f"| {title} | {' | '.join(_cell(searches[form], level) for form in FORMS)} |")
    print(f"| all of it | {' | '.join(f'{statistics.median(s.seconds for s in searches[form]):.3g} s' for form in FORMS)} |")
    print(f"| best accuracy | {' | '.join(f'{statistics.median(s.best for s in searches[form]):.4f}' for form in FORMS)} |")
    for form in ("stop", "promote"):
        print(f"\n{form}: {_share_of_time(form).note}; points given up {_given_up(form).note}")


if __name__ == "__main__":
    main()
