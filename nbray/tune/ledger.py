"""The trials of an experiment and what is said of them: how they are born, begin, move and end, and who is told."""

from __future__ import annotations

from typing import Any

from nbray.tune.agenda import Agenda, id_of
from nbray.tune.events import Action, Moved, Say, Start
from nbray.tune.experiment_config import ExperimentConfig
from nbray.tune.retention import CheckpointShelf
from nbray.tune.trial import Trial, TrialState


class Ledger:
    """Keeps the trials; every change of one is made here, and becomes an action unless Start or Answer tells it."""

    def __init__(self, config: ExperimentConfig) -> None:
        self._scheduler = config.scheduler
        self._searcher = config.searcher
        self.trials: dict[str, Trial] = {}
        self.working: dict[str, None] = {}
        """Ids of those that have a runner."""
        self.unfinished: dict[str, None] = {}
        self.found_done: set[str] = set()
        """Ids of those that a stopper has found done and that are about to end."""
        self.agenda = Agenda(config, self.trials)
        self.shelf = CheckpointShelf(config.keep)
        self.actions: list[Action] = []
        """What follows from the event in hand."""
        self.now = 0.0
        self._said: set[str] = set()

    def say(self, text: str, about: str = "") -> None:
        """Tell the user, once; what is `about` the same matter is told once, however it is worded."""
        if (about or text) not in self._said:
            self._said.add(about or text)
            self.actions.append(Say(text))

    def tell(self, text: str) -> None:
        """Tell the user, each time."""
        self.actions.append(Say(text))

    def draft(self, config: dict[str, Any]) -> Trial:
        """The next trial, which is not one of the experiment's before it begins."""
        return Trial(id_of(len(self.trials)), config, number=len(self.trials))

    def born(self, trial: Trial) -> None:
        """A draft becomes one of the experiment's trials."""
        self.trials[trial.trial_id] = trial
        self.unfinished[trial.trial_id] = None

    def queue(self, config: dict[str, Any], why: str, checkpoint: str | None = None) -> Trial:
        """A new trial that somebody wants; it waits for a place."""
        trial = self.draft(config)
        self.born(trial)
        trial.checkpoint = checkpoint
        trial.why = why
        self.shelf.need(trial.trial_id, checkpoint)
        self.actions.append(Moved(trial.trial_id, TrialState.PENDING, why, config, checkpoint))
        self.agenda.wait(trial.trial_id)
        self._searcher.on_trial_given(trial.trial_id, config)
        return trial

    def begin(self, trial: Trial, start: Start) -> None:
        """A trial, perhaps a draft, gets a place."""
        if trial.trial_id not in self.trials:
            self.born(trial)
        trial.config = start.config
        trial.checkpoint = start.checkpoint
        trial.begin(start.attempt, start.iteration, self.now)
        self.shelf.need(trial.trial_id, start.checkpoint)
        self.working[trial.trial_id] = None
        self.actions.append(start)

    def at_work(self, trial_id: str, attempt: int) -> Trial | None:
        """The trial whose run this is; None if that run is over."""
        trial = self.trials.get(trial_id)
        return trial if trial is not None and trial.runs(attempt) else None

    def put_checkpoint(self, trial: Trial, path: str) -> None:
        """A trial has written a checkpoint."""
        trial.checkpoint = path
        self.shelf.put(trial.trial_id, path, trial.iteration, trial.last_result)

    def move(self, trial: Trial, state: TrialState, why: str) -> None:
        """A trial changes its state, or only the reason for it."""
        if trial.state is not state:
            trial.move(state)
        if not trial.at_work:
            self.working.pop(trial.trial_id, None)
        trial.why = why
        self.actions.append(Moved(trial.trial_id, state, why))

    def wait_again(self, trial: Trial, why: str) -> None:
        """A trial goes back to those that wait for a place."""
        self.move(trial, TrialState.PENDING, why)
        self.agenda.wait(trial.trial_id)

    def pause(self, trial: Trial, why: str) -> None:
        """A trial has left its place and keeps its checkpoint."""
        self.move(trial, TrialState.PAUSED, why)
        self.agenda.paused(trial.trial_id)

    def finish(self, trial: Trial, state: TrialState, why: str, complete: bool = False) -> None:
        """A trial ends; `complete` if it had run as far as it was to."""
        complete = complete or trial.trial_id in self.found_done
        self.move(trial, state, why)
        trial_id = trial.trial_id
        if trial.last_result:
            trial.last_result = {**trial.last_result, "done": True}
        del self.unfinished[trial_id]
        self.found_done.discard(trial_id)
        self.agenda.forget(trial_id)
        if state is TrialState.TERMINATED:  # one that failed may be told to run on, in a restored experiment
            self.shelf.need(trial_id, None)
        if complete:
            self._scheduler.on_trial_complete(trial, trial.last_result)
        elif trial.attempt:
            self._scheduler.on_trial_remove(trial)
        result = trial.last_result or None
        if complete or state is TrialState.ERROR:
            self._searcher.on_trial_complete(trial_id, result, error=state is TrialState.ERROR)
        else:
            self._searcher.on_trial_stopped(trial_id, result)

    def revive(self, trial: Trial, trial_checkpoint: str | None, why: str) -> None:
        """A trial that failed runs again, in a restored experiment."""
        trial.revive()
        trial.checkpoint = trial_checkpoint
        trial.why = why
        self.unfinished[trial.trial_id] = None
        self.shelf.need(trial.trial_id, trial_checkpoint)
        self.actions.append(Moved(trial.trial_id, TrialState.PENDING, why))
        self.agenda.wait(trial.trial_id)
        self._scheduler.on_trial_add(trial)
