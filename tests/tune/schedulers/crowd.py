"""Trials that are moved by hand, to see what a scheduler decides about them."""

from __future__ import annotations

from typing import Any

from nbray.tune.schedulers.scheduler import Decision, Resumption, TrialScheduler
from nbray.tune.trial import Trial, TrialState


class Crowd:
    """The trials of one scheduler; each begins when it first reports."""

    def __init__(self, scheduler: TrialScheduler, mode: str = "max", seed: int = 0, config: dict[str, Any] | None = None) -> None:
        self.scheduler = scheduler
        self.trials: dict[str, Trial] = {}
        self.config = config or {}
        scheduler.set_search_properties("score", mode, seed)

    def add(self, name: str, config: dict[str, Any] | None = None) -> Trial:
        trial = Trial(name, dict(self.config if config is None else config), len(self.trials))
        self.trials[name] = trial
        self.scheduler.on_trial_add(trial)
        trial.move(TrialState.RUNNING)
        return trial

    def report(self, name: str, t: float, value: float | None = None, checkpoint: str | None = None) -> Decision:
        """One report; the trial goes where the scheduler sends it."""
        trial = self.trials[name] if name in self.trials else self.add(name)
        result = {"training_iteration": t} if value is None else {"training_iteration": t, "score": value}
        trial.last_result = result
        trial.checkpoint = checkpoint or trial.checkpoint
        decision = self.scheduler.on_trial_result(trial, result)
        if decision is Decision.PAUSE:
            trial.move(TrialState.PAUSING)
            trial.checkpoint = f"{name}/{t:g}"
            trial.move(TrialState.PAUSED)
        elif decision is Decision.STOP:
            trial.move(TrialState.TERMINATED)
            self.scheduler.on_trial_remove(trial)
        return decision

    def resume(self) -> Resumption | None:
        """What the scheduler wants to run on with; that trial runs then."""
        chosen = self.scheduler.choose_trial_to_run()
        if chosen is not None:
            self.trials[chosen.trial_id].move(TrialState.RUNNING)
        return chosen

    def drop(self) -> list[str]:
        """Trials that the scheduler has given up; they end."""
        dropped = list(self.scheduler.take_dropped())
        for name in dropped:
            self.trials[name].move(TrialState.TERMINATED)
            self.scheduler.on_trial_remove(self.trials[name])
        return dropped

    def complete(self, name: str) -> None:
        """A trial's function returns."""
        trial = self.trials[name]
        trial.move(TrialState.TERMINATED)
        self.scheduler.on_trial_complete(trial, trial.last_result)
