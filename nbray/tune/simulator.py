"""The simulator: runs an experiment on recorded learning curves in pretended time, with everything real but the trials."""

from __future__ import annotations

import copy
import heapq
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import count
from typing import Any, NamedTuple

from nbray.errors import InternalError, UsageError
from nbray.tune.configs import TuneConfig
from nbray.tune.events import Action, Answer, Ended, Entry, Event, Interrupt, Reported, Slots, Start, Tick
from nbray.tune.experiment import Experiment
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.schedulers.fifo import FIFOScheduler
from nbray.tune.search.random_search import RandomSearch
from nbray.tune.stoppers import Stopper, stopper_of
from nbray.tune.trial import Trial


class Curve(NamedTuple):
    """What a trial would report, and how long it takes from one report to the next."""

    results: Sequence[Mapping[str, Any]]
    seconds: float | Sequence[float] = 1.0
    """One number for all reports, or one for each."""

    def lasts(self, place: int) -> float:
        """Seconds of work for the report at this place, from 0."""
        return float(self.seconds if isinstance(self.seconds, (int, float)) else self.seconds[place])


class SimulatedReport(NamedTuple):
    """A report, and when it came."""

    time: float
    trial_id: str
    iteration: int
    metrics: Mapping[str, Any]


@dataclass(slots=True)
class Simulated:
    """What an experiment did in pretended time."""

    reports: list[SimulatedReport] = field(default_factory=list)
    trials: Mapping[str, Trial] = field(default_factory=dict)
    seconds: float = 0.0
    """Pretended time from the first event to the last."""
    work: float = 0.0
    """Seconds of training, of all trials together."""
    handled: int = 0
    """Events."""

    def best_over_time(self, metric: str, mode: str) -> list[tuple[float, float]]:
        """When a report was better than all before it, and how good: pairs (time, value).

        >>> reports = [SimulatedReport(1.0, "a", 1, {"loss": 3}), SimulatedReport(2.0, "b", 1, {"loss": 2})]
        >>> Simulated(reports).best_over_time("loss", "min")
        [(1.0, 3.0), (2.0, 2.0)]
        """
        steps: list[tuple[float, float]] = []
        sign = -1.0 if mode == "min" else 1.0
        for report in self.reports:
            value = float(report.metrics[metric])
            if value == value and (not steps or sign * value > sign * steps[-1][1]):
                steps.append((report.time, value))
        return steps

    def seconds_until(self, metric: str, mode: str, target: float) -> float | None:
        """When the first report was as good as `target`; None if none was."""
        sign = -1.0 if mode == "min" else 1.0
        return next((time for time, value in self.best_over_time(metric, mode) if sign * value >= sign * target), None)


@dataclass(slots=True)
class _Run:
    """A pretended run of a trial; `place` counts the results that are behind it."""

    attempt: int
    curve: Curve
    place: int


def simulate(
    experiment: Experiment | TuneConfig,
    curves: Callable[[Mapping[str, Any]], Curve],
    workers: int,
    *,
    param_space: Mapping[str, Any] | None = None,
    stop: object = None,
    checkpoints: bool = True,
    listen: Callable[[Entry], None] | None = None,
) -> Simulated:
    """Run an experiment to its end on `workers` pretended workers; `curves` gives the Curve of a configuration.

    The loop is the one that leads real trials: searcher, scheduler and stopper decide as they always do. A trial that pauses
    runs on where it stopped, unless `checkpoints=False`. `param_space` and `stop` go with a TuneConfig, as in a Tuner; it can be
    used again. `listen` is called with each entry of the journal.

    >>> from nbray import tune
    >>> from nbray.tune.schedulers import ASHAScheduler
    >>> config = tune.TuneConfig(metric="score", mode="max", num_samples=30, scheduler=ASHAScheduler(max_t=9, reduction_factor=3))
    >>> def curve(config):
    ...     return Curve([{"score": config["x"] * t} for t in range(1, 10)], seconds=0.5)
    >>> simulated = simulate(config, curve, workers=4, param_space={"x": tune.uniform(0, 1)})
    >>> len(simulated.trials), simulated.work < 30 * 9 * 0.5 / 2
    (30, True)
    """
    if isinstance(experiment, TuneConfig):
        experiment = _experiment_of(experiment, param_space or {}, stopper_of(stop))
    elif param_space is not None or stop is not None:
        raise UsageError("simulate() got an Experiment, which has its space and its stopper: leave param_space= and stop= out")
    if isinstance(workers, bool) or not isinstance(workers, int) or workers < 1:
        raise UsageError(f"simulate() got workers={workers!r}; type how many trials run at once, 1 or more")
    return _Simulation(experiment, curves, checkpoints, listen).run(workers)


def _experiment_of(config: TuneConfig, space: Mapping[str, Any], stopper: Stopper) -> Experiment:
    return Experiment(
        ExperimentConfig(
            copy.deepcopy(config.search_alg) or RandomSearch(),
            copy.deepcopy(config.scheduler) or FIFOScheduler(),
            copy.deepcopy(stopper),
            space,
            config.metric,
            config.mode,
            config.num_samples,
            config.seed,
            config.budget,
            config.max_concurrent_trials,
            stop_on_nan=config.stop_on_nan,
        )
    )


class _Simulation:
    """Feeds an experiment with what its pretended trials do, in the order of pretended time."""

    def __init__(
        self,
        experiment: Experiment,
        curves: Callable[[Mapping[str, Any]], Curve],
        checkpoints: bool,
        listen: Callable[[Entry], None] | None,
    ) -> None:
        self._experiment = experiment
        self._curves = curves
        self._checkpoints = checkpoints
        self._listen = listen
        self._runs: dict[str, _Run] = {}
        self._queue: list[tuple[float, int, Event]] = []
        self._numbers = count()
        self._simulated = Simulated(trials=experiment.trials)
        self._now = 0.0

    def run(self, workers: int) -> Simulated:
        """Until the experiment closes."""
        self._put(0.0, Slots(workers))
        while self._experiment.closed is None:
            self._step()
        self._simulated.seconds = self._now
        return self._simulated

    def _step(self) -> None:
        wakes_at = self._experiment.wakes_at()
        if wakes_at is not None and (not self._queue or wakes_at < self._queue[0][0]):
            self._handle(wakes_at, Tick())
        elif self._queue:
            now, _, event = heapq.heappop(self._queue)
            self._handle(now, event)
        else:
            raise InternalError(f"the experiment waits for nothing: {list(self._experiment.trials.values())}")

    def _handle(self, now: float, event: Event) -> None:
        run = None
        if isinstance(event, (Reported, Ended)):
            run = self._runs.get(event.trial_id)
            if run is None:
                return
        self._now = max(now, self._now)
        if isinstance(event, Reported) and run is not None:
            self._note(run, event)
        elif isinstance(event, Ended):
            del self._runs[event.trial_id]
        actions = self._experiment.handle(event, self._now)
        self._simulated.handled += 1
        if self._listen is not None:
            self._listen(Entry(self._simulated.handled, self._now, event, list(actions)))
        for action in actions:
            self._act(action)

    def _note(self, run: _Run, event: Reported) -> None:
        self._simulated.work += run.curve.lasts(run.place)
        run.place += 1
        self._simulated.reports.append(SimulatedReport(self._now, event.trial_id, run.place, event.metrics))

    def _act(self, action: Action) -> None:
        match action:
            case Start():
                place = int(action.checkpoint.rpartition("/")[2]) if action.checkpoint else 0
                self._runs[action.trial_id] = _Run(action.attempt, self._curves(action.config), place)
                self._go_on(action.trial_id)
            case Answer(trial_id, "CONTINUE"):
                self._go_on(trial_id)
            case Answer(trial_id) | Interrupt(trial_id):
                self._end(trial_id)
            case _:
                pass  # of the rest nothing follows for a trial

    def _go_on(self, trial_id: str) -> None:
        """The next report comes when it is due; after the last one the trial ends."""
        run = self._runs[trial_id]
        if run.place >= len(run.curve.results):
            self._put(self._now, Ended(trial_id, run.attempt, checkpoint=self._checkpoint(trial_id, run)))
            return
        metrics = dict(run.curve.results[run.place])
        self._put(self._now + run.curve.lasts(run.place), Reported(trial_id, run.attempt, metrics, resumable=self._checkpoints))

    def _end(self, trial_id: str) -> None:
        run = self._runs.get(trial_id)
        if run is not None:
            self._put(self._now, Ended(trial_id, run.attempt, obeyed=True, checkpoint=self._checkpoint(trial_id, run)))

    def _checkpoint(self, trial_id: str, run: _Run) -> str | None:
        return f"{trial_id}/{run.place}" if self._checkpoints else None

    def _put(self, when: float, event: Event) -> None:
        heapq.heappush(self._queue, (when, next(self._numbers), event))
