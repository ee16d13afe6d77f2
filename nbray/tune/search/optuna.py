"""Search by Optuna's samplers (TPE, CMA-ES, Gaussian processes and others), through its ask and tell."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from nbray.errors import UsageError
from nbray.tune.scores import DEFAULT_METRIC
from nbray.tune.search.optuna_samplers import check_sampler, learns_from_stopped, make_sampler
from nbray.tune.search.optuna_spaces import FunctionSpace, SpaceFunction, TreeSpace, asked_space
from nbray.tune.search.points import Point, check_points
from nbray.tune.search.searcher import FINISHED, Exhausted, Searcher

if TYPE_CHECKING:
    from optuna.samplers import BaseSampler
    from optuna.study import Study
    from optuna.trial import Trial as Ask


class OptunaSearch(Searcher):
    """Suggests what one of Optuna's samplers thinks good after the results so far; needs `pip install "nbray[tune]"`.

    `sampler` is "tpe" (the default; Bergstra et al. 2011), "cmaes", "gp", "nsga2", "qmc", "random" or a sampler object of
    Optuna's, which needs a seed of its own if the search shall be the same again. `space` may be given here or as the
    experiment's param_space; conditional spaces and `sample_from` work, grid_search does not. It may also be a function that
    asks an Optuna trial, as in `trial.suggest_float("x", 0, 1)`, and returns None or a dict of constants.

    `evaluated_rewards` are the metrics of `points_to_evaluate`, which are then not tried again. With TPE, a trial that the
    scheduler stopped counts by how far it came, as in BOHB (Falkner, Klein and Hutter 2018).

    >>> from nbray import tune
    >>> search = OptunaSearch({"x": tune.uniform(-1, 1)}, metric="loss", mode="min", seed=1)
    >>> search.set_search_properties(None, None, {}, num_samples=60, seed=0)
    >>> best = 1.0
    >>> for number in range(60):
    ...     config = search.suggest(str(number))
    ...     search.on_trial_complete(str(number), {"loss": config["x"] ** 2, "training_iteration": 1})
    ...     best = min(best, config["x"] ** 2)
    >>> best < 0.001
    True
    """

    def __init__(
        self, space: Mapping[str, Any] | SpaceFunction | None = None, metric: str | None = None, mode: str | None = None,
        points_to_evaluate: Sequence[Point] | None = None, sampler: str | BaseSampler | None = None, study_name: None = None,
        storage: None = None, seed: int | None = None, evaluated_rewards: Sequence[float] | None = None,
    ) -> None:  # fmt: skip
        super().__init__(metric, mode)
        _refuse_storage(study_name, storage)
        check_sampler(sampler)
        self._space = space
        self._points = check_points(points_to_evaluate, "OptunaSearch")
        self._rewards = _check_rewards(evaluated_rewards, self._points)
        self._sampler = sampler
        self._seed = seed
        self._count = 0
        self._suggested = 0
        self._study: Study | None = None
        self._asked_space: TreeSpace | FunctionSpace | None = None
        self._asks: dict[str, Ask] = {}
        """What was asked for the trials that have not ended."""
        self._steps: dict[str, int] = {}
        """The last iteration of each of them that Optuna has heard of."""

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        super().set_search_properties(metric, mode, space, num_samples, seed)
        if self.mode is None:
            raise UsageError('OptunaSearch learns from results and got mode=None; write mode="min" if less is better.')
        self.metric = self.metric or DEFAULT_METRIC
        self._seed = seed if self._seed is None else self._seed
        self._count = num_samples
        self._asked_space = asked_space(self._space, space, self._points, self._seed)
        self._study = _new_study(self.mode, self._sampler, self._seed)
        for point, reward in zip(self._points, self._rewards, strict=False):
            self._tell(self._ask(point)[0], float(reward))

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        total = self.total()
        if total is not None and self._suggested >= total:
            return FINISHED
        points = () if self._rewards else self._points
        point = points[self._suggested] if self._suggested < len(points) else None
        self._suggested += 1
        self._asks[trial_id], config = self._ask(point)
        return config

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        """What a trial reports on its way matters only if it is stopped."""
        step, value = result.get("training_iteration"), self._value(result)
        if trial_id not in self._asks or value is None or not isinstance(step, int) or step <= self._steps.get(trial_id, -1):
            return
        self._steps[trial_id] = step
        self._asks[trial_id].report(value, step)

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool = False) -> None:
        self._end(trial_id, None if error else self._value(result))

    def on_trial_stopped(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        assert self._study is not None, "set_search_properties comes first"
        if self._value(result) is None or not learns_from_stopped(self._study.sampler):
            self._end(trial_id, self._value(result))
            return
        self.on_trial_result(trial_id, result or {})
        self._end(trial_id, None, was_stopped=True)

    def on_trial_given(self, trial_id: str, config: Mapping[str, Any]) -> None:
        """Learn from a configuration that came from elsewhere, if it lies in the space and has a value for each parameter."""
        assert self._asked_space is not None, "set_search_properties comes first"
        self._end(trial_id, None)
        try:
            ask, _ = self._ask(config)
        except UsageError:
            return
        if set(ask.params) <= set(self._asked_space.params(config)):
            self._asks[trial_id] = ask
        else:
            self._tell(ask, None)

    def total(self) -> int | None:
        return None if self._count == -1 else max(self._count, 0 if self._rewards else len(self._points))

    def _ask(self, point: Mapping[str, Any] | None) -> tuple[Ask, dict[str, Any]]:
        assert self._study is not None, "set_search_properties comes first"
        assert self._asked_space is not None, "made together with the study"
        if point is not None:
            self._study.enqueue_trial(self._asked_space.params(point))
        ask = self._study.ask()
        return ask, self._asked_space.config(ask, point)

    def _value(self, result: Mapping[str, Any] | None) -> float | None:
        """The metric as a number; None if there is none to learn from."""
        value = (result or {}).get(self.metric or "")
        return float(value) if isinstance(value, numbers.Real) and not math.isnan(value) else None

    def _end(self, trial_id: str, value: float | None, *, was_stopped: bool = False) -> None:
        ask = self._asks.pop(trial_id, None)
        self._steps.pop(trial_id, None)
        if ask is not None:
            self._tell(ask, value, was_stopped=was_stopped)

    def _tell(self, ask: Ask, value: float | None, *, was_stopped: bool = False) -> None:
        from optuna.trial import TrialState

        assert self._study is not None, "it was asked"
        if value is not None:
            self._study.tell(ask, value)
        else:
            self._study.tell(ask, state=TrialState.PRUNED if was_stopped else TrialState.FAIL)


def _new_study(mode: str, sampler: str | BaseSampler | None, seed: int) -> Study:
    try:
        import optuna
    except ImportError as error:
        raise UsageError(f'OptunaSearch needs Optuna ({error}): pip install "nbray[tune]"') from None
    with _quiet():
        return optuna.create_study(direction="maximize" if mode == "max" else "minimize", sampler=make_sampler(sampler, seed))


@contextmanager
def _quiet() -> Iterator[None]:
    """Optuna prints a line for each new study; ours is nobody's business."""
    from optuna import logging

    before = logging.get_verbosity()
    logging.set_verbosity(logging.WARNING)
    try:
        yield
    finally:
        logging.set_verbosity(before)


def _refuse_storage(study_name: object, storage: object) -> None:
    for name, value in (("study_name", study_name), ("storage", storage)):
        if value is not None:
            raise UsageError(
                f"OptunaSearch got {name}={value!r}. The record of an experiment is its journal, from which "
                "tune.Tuner.restore() goes on; a second one in Optuna's storage would differ from it after a crash. Leave it out."
            )


def _check_rewards(rewards: Sequence[float] | None, points: Sequence[Point]) -> tuple[float, ...]:
    given = tuple(rewards or ())
    if rewards is not None and len(given) != len(points):
        raise UsageError(
            f"OptunaSearch got {len(given)} evaluated_rewards for {len(points)} points_to_evaluate. They are the metrics of "
            "these points, one for each."
        )
    return given
