"""What people may ask of an experiment while it runs: to stop, pause, resume, clone a trial, or all of it."""

from __future__ import annotations

from collections.abc import Callable

from nbray.tune.ending import GRACE_OF_ONE, Ending
from nbray.tune.events import Asked, CloseReason
from nbray.tune.ledger import Ledger
from nbray.tune.schedulers.scheduler import Decision
from nbray.tune.trial import Trial, TrialState


class Steering:
    """Does what was asked, or says why not."""

    def __init__(self, ledger: Ledger, ending: Ending) -> None:
        self._ledger = ledger
        self._ending = ending
        self._pause_asked: set[str] = set()
        """Trials that pause at their next report."""

    def ask(self, asked: Asked) -> None:
        """Do what a person asks."""
        if not asked.trial_id:
            self._OF_ALL.get(asked.what, Steering._not_understood)(self, asked)
            return
        trial = self._ledger.trials.get(asked.trial_id)
        if trial is None:
            last = f"00000 to {max(self._ledger.trials)}" if self._ledger.trials else "none yet"
            self._ledger.tell(f"there is no trial {asked.trial_id!r} to {asked.what}: there are {last}")
        elif trial.ended and asked.what != "clone":
            self._ledger.tell(f"trial {trial.trial_id} has ended already ({trial.state})")
        elif asked.what in self._OF_ONE:
            self._OF_ONE[asked.what](self, trial)
        else:
            self._not_understood(asked)

    def pauses(self, trial: Trial, resumable: bool, decision: Decision) -> Decision:
        """A trial has reported, and this was decided for it: what a person who has asked for its pause makes of that."""
        if trial.trial_id not in self._pause_asked or decision is Decision.STOP:
            return decision
        self._pause_asked.discard(trial.trial_id)
        if decision is Decision.PAUSE or resumable:
            self._ledger.agenda.hold(trial.trial_id, own_turn=decision is Decision.CONTINUE)
            return Decision.PAUSE
        self._ledger.tell(
            f"trial {trial.trial_id} cannot be paused, it makes no checkpoints: give some to tune.report(metrics, checkpoint=...)"
        )
        return decision

    def _stop(self, trial: Trial) -> None:
        if trial.at_work:
            self._ending.stop_run(trial, "stopped by hand", GRACE_OF_ONE)
        else:
            self._ledger.finish(trial, TrialState.TERMINATED, "stopped by hand")

    def _pause(self, trial: Trial) -> None:
        trial_id = trial.trial_id
        if trial.state is TrialState.RUNNING:
            self._pause_asked.add(trial_id)
            self._ledger.move(trial, TrialState.RUNNING, "pauses at its next report")
        elif trial.state is TrialState.PENDING:
            self._ledger.agenda.hold(trial_id, own_turn=True)
            self._ledger.move(trial, TrialState.PAUSED, "paused by hand")
        elif trial.state is TrialState.STOPPING:
            self._ledger.tell(f"trial {trial_id} cannot be paused, it is being stopped")
        else:
            self._ledger.agenda.hold(trial_id)

    def _resume(self, trial: Trial) -> None:
        trial_id = trial.trial_id
        if trial_id in self._pause_asked:
            self._pause_asked.discard(trial_id)
            self._ledger.move(trial, trial.state, "")
        elif self._ledger.agenda.is_held(trial_id):
            self._ledger.agenda.release(trial_id)
        elif trial.state is TrialState.PAUSED:
            self._ledger.tell(f"trial {trial_id} was not paused by hand: its scheduler decides when it runs on")

    def _clone(self, trial: Trial) -> None:
        self._ledger.queue(dict(trial.config), f"a clone of trial {trial.trial_id}", trial.checkpoint)

    def _stop_all(self, asked: Asked) -> None:
        self._ending.want(CloseReason.STOPPED, "stopped by hand")

    def _interrupt_all(self, asked: Asked) -> None:
        self._ending.want(CloseReason.INTERRUPTED, "interrupted")

    def _pause_all(self, asked: Asked) -> None:
        self._ledger.agenda.halted = True
        for trial_id in list(self._ledger.working):
            if self._ledger.trials[trial_id].state is TrialState.RUNNING:
                self._pause(self._ledger.trials[trial_id])

    def _resume_all(self, asked: Asked) -> None:
        self._ledger.agenda.halted = False
        for trial in list(self._ledger.trials.values()):
            if not trial.ended and (trial.trial_id in self._pause_asked or self._ledger.agenda.is_held(trial.trial_id)):
                self._resume(trial)

    def _not_understood(self, asked: Asked) -> None:
        self._ledger.tell(f"{asked.what!r} was asked for; one can stop, pause, resume a trial or all, clone one, interrupt all")

    _OF_ONE: dict[str, Callable[[Steering, Trial], None]] = {
        "stop": _stop, "pause": _pause, "resume": _resume, "clone": _clone,
    }  # fmt: skip
    _OF_ALL: dict[str, Callable[[Steering, Asked], None]] = {
        "stop": _stop_all, "interrupt": _interrupt_all, "pause": _pause_all, "resume": _resume_all,
    }  # fmt: skip
