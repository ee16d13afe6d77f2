"""Tuner: what makes an experiment of a function and its space, starts it, and brings one back from the disk."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from nbray.tune.configs import ResumeConfig, RunConfig, TuneConfig
from nbray.tune.result_grid import ResultGrid

if TYPE_CHECKING:
    from nbray.tune.tune_run import TuneRun  # type: ignore[import-not-found]


class Tuner:
    """An experiment to be."""

    def __init__(
        self,
        trainable: Any,
        *,
        param_space: Mapping[str, Any] | None = None,
        tune_config: TuneConfig | None = None,
        run_config: RunConfig | None = None,
    ) -> None:
        self._trainable = trainable
        self._space = param_space
        self._tune = tune_config
        self._run = run_config
        self._resume: ResumeConfig | None = None

    def start(self) -> TuneRun:
        """Start the experiment and return at once."""
        raise NotImplementedError

    def fit(self) -> ResultGrid:
        """Run the experiment to its end."""
        raise NotImplementedError

    @classmethod
    def restore(
        cls,
        path: str | Path,
        trainable: Any,
        resume_unfinished: bool = True,
        resume_errored: bool = False,
        restart_errored: bool = False,
        param_space: Mapping[str, Any] | None = None,
    ) -> Tuner:
        """The experiment of a directory, to go on with `fit()`."""
        raise NotImplementedError
