"""What a trial's function says and asks: `report`, `get_checkpoint`, `get_context`."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Protocol

from nbray.checkpoints import Checkpoint, Content
from nbray.errors import UsageError, WrongType

CheckpointGiven = Content | Callable[[], Content]
"""What `report` takes: a function is only called when a checkpoint is due."""


class Reporting(Protocol):
    """The trial that runs in this process, as `report` and the others see it."""

    trial_id: str
    name: str
    experiment: str
    directory: Path
    resources: Mapping[str, float]
    checkpoint: Checkpoint | None
    """What it runs on from."""
    iteration: int
    """Reports so far, over all attempts."""

    def report(self, metrics: Mapping[str, Any], checkpoint: CheckpointGiven | None) -> None:
        """Send a report and obey the answer."""


class TrialEnd(BaseException):
    """Unwinds a trial that was told to stop or to pause: no `except Exception` keeps it, and `finally` blocks run."""


class _Current:
    reporting: Reporting | None = None
    strangers: frozenset[threading.Thread] = frozenset()
    """Threads that earlier trials have left behind: what they report is none of this trial's."""


_current = _Current()


def enter(reporting: Reporting) -> None:
    """A trial begins in this process, on this thread; threads that it starts may report, too."""
    _current.reporting = reporting
    _current.strangers = frozenset(threading.enumerate()) - {threading.current_thread()}


def leave() -> None:
    """The trial of this process has ended."""
    _current.reporting, _current.strangers = None, frozenset()


def report(metrics: Mapping[str, Any] | None = None, *, checkpoint: CheckpointGiven | None = None, **more: Any) -> None:
    """Report metrics of the trial that runs here, as a dict or by name, and hear how it goes on.

    Blocks until the decision is there. Where that is to stop or to pause, it ends the function by raising a BaseException that
    is none of yours: `finally` blocks run. `checkpoint` is a dict, a directory or a Checkpoint, which is copied before the report
    is sent, or a function that returns one and is only called when a checkpoint is due. Raises UsageError outside a trial.

    >>> from nbray import tune
    >>> def train(config):
    ...     for step in range(3):
    ...         tune.report(loss=config["lr"] * step)
    """
    if metrics is not None and not isinstance(metrics, Mapping):
        raise WrongType(f'report({metrics!r}): expected a dict of metrics, for example tune.report({{"loss": 0.5}})')
    _here("report").report({**(metrics or {}), **more}, checkpoint)


def get_checkpoint() -> Checkpoint | None:
    """The checkpoint that this trial runs on from; None where it begins from nothing."""
    return _here("get_checkpoint").checkpoint


def get_context() -> TuneContext:
    """Who the trial is that runs here."""
    return TuneContext(_here("get_context"))


class TuneContext:
    """Answers for the trial that runs in this process, by the names that Ray gives the questions."""

    def __init__(self, reporting: Reporting) -> None:
        self._reporting = reporting

    def get_experiment_name(self) -> str:
        """The name of the experiment."""
        return self._reporting.experiment

    def get_trial_id(self) -> str:
        """The id of the trial, which tables and directories bear."""
        return self._reporting.trial_id

    def get_trial_name(self) -> str:
        """What people call the trial."""
        return self._reporting.name

    def get_trial_dir(self) -> str:
        """The trial's directory, to write into; it is made by this call if it is not there."""
        self._reporting.directory.mkdir(parents=True, exist_ok=True)
        return str(self._reporting.directory)

    def get_trial_resources(self) -> dict[str, float]:
        """What the trial has reserved."""
        return dict(self._reporting.resources)

    def __repr__(self) -> str:
        return f"TuneContext({self._reporting.name}, pid {os.getpid()})"


def _here(verb: str) -> Reporting:
    if _current.reporting is None or threading.current_thread() in _current.strangers:
        raise UsageError(
            f"tune.{verb}() was called outside a trial: call it in the function that you give to tune.Tuner, in the process that "
            "runs it, before it ends (what a trial starts as remote tasks has to return its results to the trial)"
        )
    return _current.reporting
