"""What an experiment is told: TuneConfig, RunConfig and the configs they hold, each checked where it is made."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

from nbray.errors import NotSupportedHere, UsageError, WrongType
from nbray.tune.arguments import check_flag, check_kind, check_metric, check_seconds, check_whole, refuse
from nbray.tune.callbacks import Callback, check_callbacks
from nbray.tune.objectives import check_mode
from nbray.tune.schedulers.scheduler import TrialScheduler
from nbray.tune.search.searcher import Searcher
from nbray.tune.stoppers import stopper_of
from nbray.tune.trial import Trial

_DIRNAMES = "a trial's directory is trial_<id>; give trials a name with trial_name_creator="
_FILESYSTEM = "nbray writes to folders of this machine: give one as storage_path="
_SYNC = "nbray works on one machine and writes straight to storage_path="
_REPORTER = "progress is drawn by the notebook's card or as lines in a terminal: verbose=0 to 3 says how much"
_LOG_TO_FILE = "what a trial prints appears in your cell, marked with its name"


@dataclass
class TuneConfig:
    """What is tried, how much of it, and what is called good.

    `metric` names the figure that trials report and `mode` says whether "min" or "max" is best. `num_samples` configurations
    are tried (-1: until something else ends it), at most `max_concurrent_trials` at a time (None or 0: as many as fit), and
    after `time_budget_s` seconds the experiment is stopped. With `reuse_actors=False` each trial gets a process of its own.
    `trial_name_creator` gets a trial and returns what people call it. The same `seed` gives the same configurations. A trial
    that reports NaN as its metric is stopped if `stop_on_nan`, and is otherwise ranked last.

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

    def __post_init__(self) -> None:
        check_mode(self.mode, "TuneConfig")
        check_metric(self.metric)
        if self.search_alg is not None:
            check_kind("search_alg", self.search_alg, Searcher, "RandomSearch()")
        if self.scheduler is not None:
            check_kind("scheduler", self.scheduler, TrialScheduler, "ASHAScheduler()")
        check_whole("num_samples", self.num_samples, 1, endless=True)
        if self.max_concurrent_trials is not None:
            check_whole("max_concurrent_trials", self.max_concurrent_trials, 0)
            self.max_concurrent_trials = self.max_concurrent_trials or None
        if self.budget is not None:
            check_seconds("time_budget_s", self.budget)
        check_flag("reuse_actors", self.reuse_actors)
        if self.trial_name_creator is not None and not callable(self.trial_name_creator):
            raise WrongType(f"trial_name_creator={self.trial_name_creator!r}: expected a function of a trial that returns a name")
        refuse("trial_dirname_creator", self.trial_dirname_creator, _DIRNAMES)
        check_whole("seed", self.seed, 0)
        check_flag("stop_on_nan", self.stop_on_nan)

    @property
    def budget(self) -> float | None:
        """`time_budget_s` in seconds."""
        given = self.time_budget_s
        return given.total_seconds() if isinstance(given, timedelta) else given


@dataclass
class FailureConfig:
    """What becomes of an experiment when trials fail.

    A trial may fail `max_failures` times (-1: as often as it likes) and runs on from its last checkpoint. With
    `fail_fast=True` the first trial that has failed for good stops the experiment; with "raise" `fit()` raises its error, too.
    """

    max_failures: int = 0
    fail_fast: bool | str = False

    def __post_init__(self) -> None:
        check_whole("max_failures", self.max_failures, 0, endless=True)
        if not (isinstance(self.fail_fast, bool) or self.fail_fast == "raise"):
            raise UsageError(f'fail_fast={self.fail_fast!r}: expected False, True or "raise"')
        if self.fail_fast and self.max_failures:
            raise UsageError(
                f"max_failures={self.max_failures} with fail_fast={self.fail_fast!r}: a trial that may fail again does not end "
                "the experiment at once: leave one of the two out"
            )


@dataclass
class CheckpointConfig:
    """Which checkpoints are written and kept.

    Of each trial the `num_to_keep` best by `checkpoint_score_attribute` stay, or the newest where that is not given; the
    newest stays in any case. `checkpoint_frequency` says how often a checkpoint is due where a trial leaves that open (it
    reports a function, or is a class): after so many reports, and at its end unless `checkpoint_at_end=False`.
    """

    num_to_keep: int | None = None
    checkpoint_score_attribute: str | None = None
    checkpoint_score_order: str = "max"
    checkpoint_frequency: int = 0
    checkpoint_at_end: bool | None = None

    def __post_init__(self) -> None:
        if self.num_to_keep is not None:
            check_whole("num_to_keep", self.num_to_keep, 1)
        if self.checkpoint_score_attribute is not None and not isinstance(self.checkpoint_score_attribute, str):
            raise WrongType(f"checkpoint_score_attribute={self.checkpoint_score_attribute!r}: expected the name of a metric")
        if self.checkpoint_score_order not in ("min", "max"):
            raise UsageError(f'checkpoint_score_order={self.checkpoint_score_order!r}: expected "min" or "max"')
        check_whole("checkpoint_frequency", self.checkpoint_frequency, 0)
        if self.checkpoint_at_end is not None:
            check_flag("checkpoint_at_end", self.checkpoint_at_end)


@dataclass
class RunConfig:
    """Where an experiment lives, when its trials stop, and who hears of it.

    Its directory is `storage_path` (~/nbray_results) / `name` (what is tuned, and the time). `stop` is a dict of limits,
    a function of (trial_id, result), or a Stopper. `callbacks` are instances of Callback. `verbose` is 0 for silence, 1 for
    progress, 2 for a line of each trial that ends and 3 for one of each report; the notebook's card knows 0 and 1.
    """

    name: str | None = None
    storage_path: str | os.PathLike[str] | None = None
    storage_filesystem: None = None
    failure_config: FailureConfig = field(default_factory=FailureConfig)
    checkpoint_config: CheckpointConfig = field(default_factory=CheckpointConfig)
    sync_config: None = None
    verbose: int = 1
    stop: Any = None
    callbacks: Sequence[Callback] = ()
    progress_reporter: None = None
    log_to_file: bool = False
    local_dir: str | os.PathLike[str] | None = None
    """Another word for `storage_path`."""

    def __post_init__(self) -> None:
        check_name(self.name)
        self._settle_storage()
        self._settle_what_is_none()
        check_kind("failure_config", self.failure_config, FailureConfig, "tune.FailureConfig(max_failures=2)")
        check_kind("checkpoint_config", self.checkpoint_config, CheckpointConfig, "tune.CheckpointConfig(num_to_keep=2)")
        if isinstance(self.verbose, bool) or self.verbose not in range(4):
            raise UsageError(f"verbose={self.verbose!r}: expected 0 (silent), 1 (progress), 2 (each trial) or 3 (each report)")
        self.stop = stopper_of(self.stop)
        self.callbacks = check_callbacks(self.callbacks)
        refuse("storage_filesystem", self.storage_filesystem, _FILESYSTEM)
        refuse("sync_config", self.sync_config, _SYNC)
        refuse("progress_reporter", self.progress_reporter, _REPORTER)
        refuse("log_to_file", self.log_to_file, _LOG_TO_FILE, nothing=False)

    def _settle_what_is_none(self) -> None:
        """Programs written for Ray may pass None for what is not given."""
        given: Any = self
        given.failure_config = FailureConfig() if given.failure_config is None else given.failure_config
        given.checkpoint_config = CheckpointConfig() if given.checkpoint_config is None else given.checkpoint_config
        given.verbose = 1 if given.verbose is None else given.verbose
        given.callbacks = () if given.callbacks is None else given.callbacks

    def _settle_storage(self) -> None:
        if self.local_dir is not None and self.storage_path is not None:
            raise UsageError(f"local_dir={self.local_dir!r} and storage_path={self.storage_path!r} mean the same: give one")
        check_folder("storage_path", self.storage_path)
        check_folder("local_dir", self.local_dir)
        self.storage_path, self.local_dir = self.local_dir or self.storage_path, None


@dataclass(frozen=True)
class ResumeConfig:
    """Which trials of an experiment on the disk run on."""

    unfinished: bool = True
    errored: bool = False
    """From their last checkpoint."""
    restart_errored: bool = False
    """From the beginning."""

    def __post_init__(self) -> None:
        for name in ("unfinished", "errored", "restart_errored"):
            check_flag(f"resume_{name}" if name != "restart_errored" else name, getattr(self, name))
        if self.errored and self.restart_errored:
            raise UsageError("resume_errored and restart_errored are both True: failed trials run on, or begin anew: give one")


def check_name(name: Any) -> None:
    """Refuse what cannot be the name of a directory."""
    if name is None or (isinstance(name, str) and name.strip(" .") and "/" not in name and "\0" not in name):
        return
    raise UsageError(f'name={name!r}: expected the name of a directory, without "/", for example name="forest"')


def check_folder(argument: str, folder: Any) -> None:
    """Refuse what is no path of this machine."""
    if folder is not None and (not isinstance(folder, (str, os.PathLike)) or not str(folder)):
        raise WrongType(f'{argument}={folder!r}: expected a folder, for example {argument}="./results"')
    if isinstance(folder, str) and "://" in folder and not folder.startswith("file://"):
        raise NotSupportedHere(f'{argument}={folder!r}: nbray writes to folders of this machine, such as {argument}="./results"')
