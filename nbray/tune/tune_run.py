"""TuneRun: an experiment that runs on the cluster, as this process follows and steers it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Protocol

from nbray.tune.configs import ResumeConfig
from nbray.tune.events import Entry
from nbray.tune.plan import Plan

if TYPE_CHECKING:
    from nbray.tune.result_grid import ResultGrid
    from nbray.tune.view import View


class Follower(Protocol):
    """Hears of everything that happens in an experiment: a card, the lines in a terminal, the user's callbacks."""

    def tell(self, entry: Entry, view: View) -> None:
        """An entry has been folded into the view."""

    def close(self) -> None:
        """There will be no other."""


class TuneRun:
    """An experiment that was started, or found again; it goes on whether anybody looks or not."""

    plan: Plan
    view: View
    """What is known of it so far."""

    def follow(self, follower: Follower) -> None:
        """Tell it of all entries from now on, on the thread that reads them."""
        raise NotImplementedError

    @property
    def done(self) -> bool:
        """Whether it has ended, as far as this process has heard."""
        raise NotImplementedError

    def refresh(self, timeout: float = 0.0) -> list[Entry]:
        """Fold what has happened into `view`, waiting at most `timeout` seconds for something; returns what was new."""
        raise NotImplementedError

    def results(self, timeout: float | None = None) -> ResultGrid:
        """Wait for the end and return the results; an interrupt stops the experiment. Raises GetTimeoutError, and what
        `fail_fast="raise"` lets through."""
        raise NotImplementedError

    def stop(self) -> None:
        """Stop it: trials that report are told so, others are interrupted."""
        raise NotImplementedError

    def stop_trial(self, trial_id: str) -> None:
        """Stop one trial at its next report."""
        raise NotImplementedError

    def pause_trial(self, trial_id: str) -> None:
        """Let a trial write its checkpoint and leave its place to others."""
        raise NotImplementedError

    def resume_trial(self, trial_id: str) -> None:
        """Let a trial that was paused run on."""
        raise NotImplementedError

    def add(self, config: Mapping[str, Any]) -> None:
        """Try this configuration, too."""
        raise NotImplementedError


def start(plan: Plan, resume: ResumeConfig | None = None) -> TuneRun:
    """Start an experiment, or go on with the one on the disk at `plan.path`; returns at once."""
    raise NotImplementedError


def attach(name: str = "") -> TuneRun:
    """The experiment of that name that runs on this cluster, or the only one. Raises UsageError where there is none."""
    raise NotImplementedError


def running() -> list[str]:
    """Names of the experiments on this cluster that run, or have ended and were not told to anybody."""
    raise NotImplementedError
