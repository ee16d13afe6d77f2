"""An attempt: one run of one trial in this process, from its Start to its end, with its reports and checkpoints."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from nbray import checkpoints
from nbray.checkpoints import Checkpoint
from nbray.errors import WrongType
from nbray.tune.events import Answer, Ended, Reported, Start
from nbray.tune.plan import Plan
from nbray.tune.reporting import CheckpointGiven, TrialEnd
from nbray.tune.schedulers.scheduler import Decision
from nbray.tune.scores import DEFAULT_METRIC


@dataclass(frozen=True)
class Workplace:
    """What all attempts of an experiment have in common."""

    experiment: str
    path: str
    """The experiment's directory; checkpoints are told relative to it."""
    resources: Mapping[str, float]
    metric: str
    """What a plain number is."""
    checkpoint_frequency: int = 0
    checkpoint_at_end: bool = False

    @classmethod
    def of(cls, plan: Plan, resources: Mapping[str, float], metric: str | None) -> Workplace:
        """That of a plan's trials; `metric` is the experiment's, if it has one."""
        kept = plan.run.checkpoint_config
        at_end = bool(kept.checkpoint_frequency) if kept.checkpoint_at_end is None else kept.checkpoint_at_end
        return cls(plan.name, plan.path, resources, metric or DEFAULT_METRIC, kept.checkpoint_frequency, at_end)


@dataclass(frozen=True)
class Assignment:
    """A trial to run, with what people call it."""

    start: Start
    name: str
    directory: str
    """The trial's, absolute."""


Send = Callable[[Reported], Answer]


class Attempt:
    """The trial that runs in this process; see `reporting.Reporting`."""

    def __init__(self, assignment: Assignment, workplace: Workplace, send: Send) -> None:
        start = assignment.start
        self.trial_id = start.trial_id
        self.name = assignment.name
        self.config = start.config
        self.experiment = workplace.experiment
        self.directory = Path(assignment.directory)
        self.resources = workplace.resources
        self.checkpoint = None if start.checkpoint is None else Checkpoint(Path(workplace.path) / start.checkpoint)
        self.iteration = start.iteration
        self.workplace = workplace
        self._number = start.attempt
        self._send = send
        self._lock = threading.Lock()
        """One report at a time, whichever thread makes it."""
        self._last = time.monotonic()
        self._given: CheckpointGiven | None = None
        """The checkpoint of the last report, until it is written."""
        self._unsaid: str | None = None
        """A checkpoint that was written after the last report was sent."""
        self._told = False
        """It was told to stop or to pause."""

    def report(self, metrics: Mapping[str, Any], checkpoint: CheckpointGiven | None) -> None:
        """See `reporting.report`."""
        with self._lock:
            self._obey()
            values = plain_metrics(metrics)
            self.iteration += 1
            self._given = checkpoint
            written = self._write() if self._is_due() else None
            self._unsaid = None
            message = Reported(
                self.trial_id, self._number, self._timed(values), checkpoint=written, resumable=checkpoint is not None
            )
            answer = self._send(message)
            if answer.decision != Decision.CONTINUE:
                self._told = True
                if answer.decision == Decision.PAUSE or self.workplace.checkpoint_at_end:
                    self._write()
            self._obey()

    def ended(self, returned: Mapping[str, Any] | None = None, checkpoint: CheckpointGiven | None = None) -> Ended:
        """It is over, and not by an error; `returned` are the metrics of a last report that nobody has to answer."""
        with self._lock:
            if self._told:
                return Ended(self.trial_id, self._number, obeyed=True, checkpoint=self._unsaid)
            if returned is not None:
                returned = self._timed(plain_metrics(returned))
                self.iteration += 1
            self._given = self._given if checkpoint is None else checkpoint
            if self.workplace.checkpoint_at_end or (checkpoint is not None and self._is_due()):
                self._write()
            return Ended(self.trial_id, self._number, metrics=returned, checkpoint=self._unsaid)

    @property
    def number(self) -> int:
        """The how-maniest run of its trial this is."""
        return self._number

    def _obey(self) -> None:
        if self._told:  # also where the function has caught it and goes on to report
            raise TrialEnd

    def _timed(self, values: dict[str, Any]) -> dict[str, Any]:
        now = time.monotonic()
        taken, self._last = now - self._last, now
        return {"time_this_iter_s": taken, "timestamp": time.time(), **values}

    def _is_due(self) -> bool:
        """Whether the checkpoint that was given is to be written now; files are, as they may be gone a moment later."""
        given, frequency = self._given, self.workplace.checkpoint_frequency
        if given is None:
            return False
        if not callable(given) and not isinstance(given, Mapping):
            return True
        return self.iteration % frequency == 0 if frequency else not callable(given)

    def _write(self) -> str | None:
        """Write the checkpoint of the last report if that has not been done; returns its path."""
        given, self._given = self._given, None
        if given is None:
            return None
        target = self.directory / f"checkpoint_{self.iteration:06d}"
        checkpoints.write(given() if callable(given) else given, target)
        self._unsaid = str(target.relative_to(self.workplace.path))
        return self._unsaid


def plain_metrics(metrics: Mapping[str, Any]) -> dict[str, Any]:
    """Metrics with numpy's and torch's numbers made Python's. Raises WrongType.

    >>> import numpy
    >>> plain_metrics({"loss": numpy.float32(0.5), "per class": {"a": numpy.int64(3)}})
    {'loss': 0.5, 'per class': {'a': 3}}
    """
    for name in metrics:
        if not isinstance(name, str):
            raise WrongType(f"report({dict(metrics)!r}): {name!r} is no name of a metric; write, for example, {{'loss': 0.5}}")
    return {name: _plain(value) for name, value in metrics.items()}


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(each) for name, each in value.items()}
    if getattr(value, "ndim", None) == 0 and hasattr(value, "item"):
        return value.item()
    return value
