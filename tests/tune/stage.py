"""A stage on which tests lead an experiment by hand: what it does is checked against its promises after every event."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from nbray.tune.events import (
    Action,
    Added,
    Answer,
    Asked,
    Close,
    Ended,
    Entry,
    Event,
    Failed,
    Moved,
    Reopened,
    Reported,
    Say,
    Slots,
    Start,
    Tick,
)
from nbray.tune.experiment import Experiment
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.schedulers.scheduler import Decision, Resumption, TrialScheduler
from nbray.tune.search.searcher import FINISHED, Exhausted, Searcher
from nbray.tune.stoppers import Stopper
from nbray.tune.trial import ENDED, Trial, TrialState
from nbray.tune.view import View

Call = tuple[Any, ...]


class ListSearcher(Searcher):
    """Suggests {"x": value} for each value, None for "later", and remembers what it hears."""

    def __init__(self, values: Sequence[Any] = (1, 2, 3), total: int | None = None) -> None:
        super().__init__()
        self._values = list(values)
        self._total = total
        self.heard: list[Call] = []

    def set_search_properties(
        self, metric: str | None, mode: str | None, space: Mapping[str, Any], num_samples: int, seed: int
    ) -> None:
        self.metric, self.mode = metric, mode

    def suggest(self, trial_id: str) -> dict[str, Any] | Exhausted | None:
        if not self._values:
            return FINISHED
        value = self._values.pop(0)
        return None if value == "later" else {"x": value}

    def on_trial_result(self, trial_id: str, result: Mapping[str, Any]) -> None:
        self.heard.append(("result", trial_id, result["training_iteration"]))

    def on_trial_complete(self, trial_id: str, result: Mapping[str, Any] | None, error: bool = False) -> None:
        self.heard.append(("complete", trial_id, error))

    def on_trial_stopped(self, trial_id: str, result: Mapping[str, Any] | None) -> None:
        self.heard.append(("stopped", trial_id))

    def on_trial_given(self, trial_id: str, config: Mapping[str, Any]) -> None:
        self.heard.append(("given", trial_id, dict(config)))

    def total(self) -> int | None:
        return self._total


class ScriptedScheduler(TrialScheduler):
    """Decides what it was told to, by trial and report; resumes and drops what a test puts into its lists."""

    def __init__(self, script: Mapping[tuple[str, int], Decision] | None = None) -> None:
        super().__init__()
        self.script = dict(script or {})
        self.resume: list[Resumption] = []
        self.drop: list[str] = []
        self.lines: list[str] = []
        self.wants_new = True
        self.instead_of_pause = Decision.CONTINUE
        self.heard: list[Call] = []

    def on_trial_add(self, trial: Trial) -> None:
        self.heard.append(("add", trial.trial_id))

    def on_trial_result(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        self.heard.append(("result", trial.trial_id, result["training_iteration"]))
        return self.script.get((trial.trial_id, result["training_iteration"]), Decision.CONTINUE)

    def on_cannot_pause(self, trial: Trial, result: Mapping[str, Any]) -> Decision:
        self.heard.append(("cannot pause", trial.trial_id))
        return self.instead_of_pause

    def on_trial_complete(self, trial: Trial, result: Mapping[str, Any]) -> None:
        self.heard.append(("complete", trial.trial_id, result.get("training_iteration")))

    def on_trial_remove(self, trial: Trial) -> None:
        self.heard.append(("remove", trial.trial_id))

    def choose_trial_to_run(self) -> Resumption | None:
        return self.resume.pop(0) if self.resume else None

    def wants_new_trials(self) -> bool:
        return self.wants_new

    def take_dropped(self) -> Sequence[str]:
        dropped, self.drop = self.drop, []
        return dropped

    def on_search_finished(self) -> None:
        self.heard.append(("search finished",))

    def on_stall(self) -> None:
        self.heard.append(("stall",))

    def take_lines(self) -> Sequence[str]:
        lines, self.lines = self.lines, []
        return lines


class Stage:
    """An experiment with the view of it, and what was done so far."""

    def __init__(
        self,
        searcher: Searcher | None = None,
        scheduler: TrialScheduler | None = None,
        stopper: Stopper | None = None,
        slots: int = 0,
        **options: Any,
    ) -> None:
        self.searcher = searcher if searcher is not None else ListSearcher()
        self.scheduler = scheduler if scheduler is not None else ScriptedScheduler()
        options = {"metric": "loss", "mode": "min", "num_samples": -1, **options}
        self.experiment = Experiment(ExperimentConfig(self.searcher, self.scheduler, stopper, **options))
        self.view = View(self.experiment.metric, self.experiment.mode, self.experiment.total())
        self.entries: list[Entry] = []
        self.now = 0.0
        self._slots = 0
        self._ends: set[str] = set()
        if slots:
            self.tell(Slots(slots))

    @property
    def trials(self) -> Mapping[str, Trial]:
        return self.experiment.trials

    def tell(self, event: Event, after: float = 1.0) -> list[Action]:
        """Something happens, so many seconds later."""
        was_closed = self.experiment.closed is not None
        self.now += after
        actions = self.experiment.handle(event, self.now)
        self.entries.append(Entry(len(self.entries) + 1, self.now, event, list(actions)))
        self.view.fold(self.entries[-1])
        self._check(event, actions, was_closed)
        return actions

    def report(self, trial_id: str, after: float = 1.0, **metrics: Any) -> Answer:
        """A trial reports; keywords `checkpoint` and `resumable` are those of Reported."""
        more = {name: metrics.pop(name) for name in ("checkpoint", "resumable") if name in metrics}
        attempt = self.trials[trial_id].attempt
        actions = self.tell(Reported(trial_id, attempt, metrics or {"loss": 1.0}, **more), after)
        return next(action for action in actions if isinstance(action, Answer))

    def end(self, trial_id: str, **more: Any) -> list[Action]:
        return self.tell(Ended(trial_id, self.trials[trial_id].attempt, **more))

    def obey(self, trial_id: str, **more: Any) -> list[Action]:
        return self.end(trial_id, obeyed=True, **more)

    def fail(self, trial_id: str, error: str = "Traceback\nValueError: no") -> list[Action]:
        return self.tell(Failed(trial_id, self.trials[trial_id].attempt, error))

    def ask(self, what: str, trial_id: str = "") -> list[Action]:
        return self.tell(Asked(what, trial_id))

    def add(self, x: Any) -> list[Action]:
        return self.tell(Added({"x": x}))

    def tick(self, after: float = 1.0) -> list[Action]:
        return self.tell(Tick(), after)

    def states(self) -> dict[str, str]:
        return {trial_id: str(trial.state) for trial_id, trial in self.trials.items()}

    def picture(self) -> object:
        """All that a replay has to lead to."""
        return picture(self.experiment)

    def _check(self, event: Event, actions: list[Action], was_closed: bool) -> None:
        answers = [action for action in actions if isinstance(action, Answer)]
        assert [answer.trial_id for answer in answers] == ([event.trial_id] if isinstance(event, Reported) else [])
        if isinstance(event, Reopened):
            self._ends &= {trial_id for trial_id, trial in self.trials.items() if trial.ended}
            self._slots = 0
        elif was_closed:
            assert actions == list(answers), "nothing follows after the end"
        if isinstance(event, Slots):
            self._slots = event.count
        if any(isinstance(action, Start) for action in actions):
            assert sum(trial.at_work for trial in self.trials.values()) <= self._slots
        self._check_ends(actions)
        assert self.experiment.closed == self.view.closed
        assert pictures(self.view.trials) == pictures(self.trials), "the view knows what the experiment knows"

    def _check_ends(self, actions: list[Action]) -> None:
        ends = [action.trial_id for action in actions if isinstance(action, Moved) and action.state in ENDED]
        assert len(ends) == len(set(ends))
        assert not self._ends & set(ends), "each trial ends once"
        self._ends |= set(ends)
        closes = [place for place, action in enumerate(actions) if isinstance(action, Close)]
        assert closes in ([], [len(actions) - 1]), "Close comes last"
        if closes:
            assert not any(trial.at_work for trial in self.trials.values())


def picture(experiment: Experiment) -> object:
    """All that can be seen of an experiment."""
    rungs = [
        (rung.bracket, rung.level, repr(rung.values), sorted(rung.went_on), repr(rung.cutoff)) for rung in experiment.rungs()
    ]
    return pictures(experiment.trials), experiment.closed, experiment.wakes_at(), rungs, experiment.most_at_once()


def pictures(trials: Mapping[str, Trial]) -> list[Call]:
    """What is known of trials, to compare."""
    return [
        (
            trial.trial_id, trial.number, trial.config, str(trial.state), trial.iteration, repr(trial.last_result),
            trial.checkpoint, trial.attempt, trial.failures, trial.error, trial.why, trial.seconds, trial.since,
        )
        for trial in trials.values()
    ]  # fmt: skip


def starts(actions: Sequence[Action]) -> list[str]:
    """Ids of the trials that are started."""
    return [action.trial_id for action in actions if isinstance(action, Start)]


def said(actions: Sequence[Action]) -> list[str]:
    """What the user is told."""
    return [action.text for action in actions if isinstance(action, Say)]


def closed(actions: Sequence[Action]) -> Close | None:
    """The end, if this is it."""
    return next((action for action in actions if isinstance(action, Close)), None)


PAUSE, STOP, CONTINUE = Decision.PAUSE, Decision.STOP, Decision.CONTINUE
RUNNING, PENDING, PAUSED = TrialState.RUNNING, TrialState.PENDING, TrialState.PAUSED
