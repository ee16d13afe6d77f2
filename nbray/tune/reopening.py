"""What becomes of an experiment's trials when it goes on in another process, where their runs are lost."""

from __future__ import annotations

from nbray.tune.ending import Ending
from nbray.tune.events import Reopened
from nbray.tune.ledger import Ledger
from nbray.tune.trial import Trial, TrialState


def reopen(ledger: Ledger, ending: Ending, event: Reopened) -> None:
    """Let unfinished and, if that is wanted, failed trials wait for a place again; the rest stays as it is."""
    for trial in list(ledger.trials.values()):
        if trial.state is TrialState.ERROR:
            _reopen_failed(ledger, trial, event)
        elif not trial.ended:
            _reopen_unfinished(ledger, ending, trial, event)
    ending.reopen()


def _reopen_failed(ledger: Ledger, trial: Trial, event: Reopened) -> None:
    if event.restart_errored:
        ledger.revive(trial, trial_checkpoint=None, why="begins anew after its failure")
    elif event.resume_errored:
        ledger.revive(trial, trial_checkpoint=trial.checkpoint, why="runs on after its failure")


def _reopen_unfinished(ledger: Ledger, ending: Ending, trial: Trial, event: Reopened) -> None:
    if not event.resume_unfinished:
        ledger.finish(trial, TrialState.TERMINATED, "left out when the experiment was restored")
    elif trial.state is TrialState.STOPPING and not ending.spares(trial):
        ledger.finish(trial, TrialState.TERMINATED, trial.why)
    elif trial.state is TrialState.PAUSING and ledger.shelf.iteration(trial.checkpoint) == trial.iteration:
        ledger.pause(trial, trial.why)
    elif trial.at_work:
        ledger.wait_again(trial, "its run was lost with the process that led the experiment")
