"""Which trial runs next when a place is free: one that waits, else one that the scheduler lets run on, else a new one."""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.schedulers.scheduler import Resumption
from nbray.tune.search.searcher import Exhausted
from nbray.tune.trial import Trial, TrialState


@dataclass(frozen=True, slots=True)
class Turn:
    """A trial whose turn it is to run."""

    trial_id: str
    config: Mapping[str, Any] | None = None
    """Its configuration if it is new or gets another one."""
    checkpoint_of: str | None = None
    """The trial whose newest checkpoint it runs on from; None: its own."""


def id_of(number: int) -> str:
    """The id of an experiment's trial; numbers count from 0."""
    return f"{number:05d}"


class Agenda:
    """Asks the scheduler and the searcher, in this order, and keeps those who wait for a place.

    Trials that a person has paused are held: what the scheduler wants of them waits until they are released.
    """

    def __init__(self, config: ExperimentConfig, trials: Mapping[str, Trial]) -> None:
        self._scheduler = config.scheduler
        self._searcher = config.searcher
        self._num_samples = config.num_samples
        self._trials = trials
        self._waiting: deque[Turn] = deque()
        self._due: dict[str, Turn] = {}
        """Trials that shall run on as soon as they are paused, or released."""
        self._suggested = 0
        self._held: set[str] = set()
        self.halted = False
        """Whether a person has paused the whole experiment."""
        self.exhausted = False
        """Whether no new trial will come from the searcher."""
        self.silent = False
        """Whether the searcher, asked last, had nothing at the moment."""

    def next(self) -> Turn | None:
        """Whose turn it is; asked once for each free place until it says None."""
        if self.halted:
            return None
        if self._waiting:
            return self._waiting.popleft()
        return self._resumed() or self._new()

    def total(self) -> int | None:
        """How many trials the searcher will have suggested in the end; None if nobody knows."""
        known = self._searcher.total()
        if known is None and self._num_samples >= 0:
            return self._num_samples
        return known

    def wait(self, trial_id: str) -> None:
        """A trial waits for a place, after those that wait already."""
        self._waiting.append(Turn(trial_id))

    def forget(self, trial_id: str) -> None:
        """A trial has ended."""
        self._held.discard(trial_id)
        self._due.pop(trial_id, None)
        if any(turn.trial_id == trial_id for turn in self._waiting):
            self._waiting = deque(turn for turn in self._waiting if turn.trial_id != trial_id)

    def hold(self, trial_id: str, own_turn: bool = False) -> None:
        """A person pauses a trial: it gets no turn until it is released, and then one of its `own_turn`, or the scheduler's."""
        self._held.add(trial_id)
        if own_turn:
            self._due[trial_id] = Turn(trial_id)
        for turn in [turn for turn in self._waiting if turn.trial_id == trial_id]:
            self._waiting.remove(turn)
            self._due[trial_id] = turn

    def is_held(self, trial_id: str) -> bool:
        """Whether a person has paused it."""
        return trial_id in self._held

    def release(self, trial_id: str) -> None:
        """A person lets it run on."""
        self._held.remove(trial_id)
        if self._trials[trial_id].state is TrialState.PAUSED:
            self.paused(trial_id)

    def paused(self, trial_id: str) -> None:
        """A trial has its checkpoint and has left its place: if it is due, it waits for one."""
        if trial_id not in self._held and trial_id in self._due:
            self._waiting.append(self._due.pop(trial_id))

    def give_back(self, turn: Turn) -> None:
        """A turn was not used."""
        self._waiting.appendleft(turn)

    def take(self, trial_id: str) -> Turn:
        """The turn of this trial, out of its order."""
        for turn in self._waiting:
            if turn.trial_id == trial_id:
                self._waiting.remove(turn)
                return turn
        if trial_id in self._due:
            return self._due.pop(trial_id)
        return Turn(trial_id, None if trial_id in self._trials else {})

    def _resumed(self) -> Turn | None:
        while (resumption := self._scheduler.choose_trial_to_run()) is not None:
            trial = self._trials[resumption.trial_id]
            if trial.state is TrialState.PAUSED and trial.trial_id not in self._held:
                return _turn(resumption)
            if not trial.ended:
                self._due[trial.trial_id] = _turn(resumption)
        return None

    def _new(self) -> Turn | None:
        self.silent = False
        if self.exhausted or not self._scheduler.wants_new_trials():
            return None
        if self._searcher.total() is None and 0 <= self._num_samples <= self._suggested:
            return self._finish_search()
        trial_id = id_of(len(self._trials))
        config = self._searcher.suggest(trial_id)
        if isinstance(config, Exhausted):
            return self._finish_search()
        if config is None:
            self.silent = True
            return None
        self._suggested += 1
        return Turn(trial_id, config)

    def _finish_search(self) -> Turn | None:
        self.exhausted = True
        self._scheduler.on_search_finished()
        return self._resumed()


def _turn(resumption: Resumption) -> Turn:
    return Turn(resumption.trial_id, resumption.config, resumption.checkpoint_of)
