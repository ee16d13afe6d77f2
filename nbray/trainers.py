"""Trainer: a function is tuned or run once, over several workers, with two calls."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbray.tune.result_grid import Result, ResultGrid


class Trainer:
    """A training, or the search for its best configuration."""

    def __init__(
        self,
        name: str | None = None,
        config: Mapping[str, Any] | None = None,
        search_space: Mapping[str, Any] | None = None,
        scheduler: Any = None,
        stop: Any = None,
        checkpoint_freq: int = 0,
        report_to: Any = None,
    ) -> None:
        self.name = name

    def fit(
        self,
        train_task: Callable[..., Any],
        resources: Mapping[str, float] | None = None,
        num_workers: int = 1,
        local_dir: str | Path | None = None,
    ) -> ResultGrid | Result:
        """Run it."""
        raise NotImplementedError
