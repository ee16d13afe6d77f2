"""What an experiment is told: TuneConfig, RunConfig, FailureConfig, CheckpointConfig, ResumeConfig, each checked where it is made."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbray.errors import UsageError
from nbray.tune.schedulers.scheduler import TrialScheduler
from nbray.tune.search.searcher import Searcher
from nbray.tune.trial import Trial

if TYPE_CHECKING:
    from nbray.tune.callbacks import Callback

MODES = ("min", "max")


@dataclass
class TuneConfig:
    """What is tried, how much of it, and what is called good.

    `metric` names the figure that trials report and `mode` says whether "min" or "max" is best. `num_samples` configurations are
    tried (-1: until something else ends it), at most `max_concurrent_trials` at a time, no new ones after `time_budget_s` seconds.
    A trial is told to stop when it reports NaN as its metric if `stop_on_nan`. The same `seed` gives the same configurations.
    With `reuse_actors=False` each trial gets a process of its own.

    >>> from nbray import tune
    >>> tune.TuneConfig(metric="loss", mode="min", num_samples=8).num_samples
    8
    """

    mode: str | None = None
    metric: str | None = None
    search_alg: Searcher | None = None
    scheduler: TrialScheduler | None = None
    num_samples: int = 1
    max_concurrent_trials: int | None = None
    time_budget_s: float | timedelta | None = None
    reuse_actors: bool = True
    trial_name_creator: Callable[[Trial], str] | None = None
    trial_dirname_creator: None = None
    seed: int = field(default=0, kw_only=True)
    stop_on_nan: bool = field(default=False, kw_only=True)

    @property
    def budget(self) -> float | None:
        """`time_budget_s` in seconds."""
        given = self.time_budget_s
        return given.total_seconds() if isinstance(given, timedelta) else given


@dataclass
class FailureConfig:
    """What becomes of an experiment when trials fail.

    A trial may fail `max_failures` times (-1: without end) and runs on from its last checkpoint. With `fail_fast=True` the first trial that
    has failed for good stops the experiment; with "raise" its error is raised, too.
    """

    max_failures: int = 0
    fail_fast: bool | str = False


@dataclass
class CheckpointConfig:
    """Which checkpoints are written and kept.

    Of each trial the `num_to_keep` best by `checkpoint_score_attribute` stay, or the newest if that is not given, and the newest in any
    case. One is written every `checkpoint_frequency` reports, and at the end if `checkpoint_at_end` (None: if a frequency was given).
    """

    num_to_keep: int | None = None
    checkpoint_score_attribute: str | None = None
    checkpoint_score_order: str = "max"
    checkpoint_frequency: int = 0
    checkpoint_at_end: bool | None = None


@dataclass
class RunConfig:
    """Where an experiment lives, when its trials stop, and who hears of it."""

    name: str | None = None
    storage_path: str | Path | None = None
    failure_config: FailureConfig = field(default_factory=FailureConfig)
    checkpoint_config: CheckpointConfig = field(default_factory=CheckpointConfig)
    verbose: int = 1
    stop: Any = None
    callbacks: Sequence[Callback] = ()


@dataclass(frozen=True)
class ResumeConfig:
    """Which trials of an experiment on the disk run on."""

    unfinished: bool = True
    errored: bool = False
    """From their last checkpoint."""
    restart_errored: bool = False
    """From the beginning."""
