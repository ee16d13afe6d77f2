"""What came of an experiment: one Result per trial, and the ResultGrid of them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbray.tune.plan import Plan


@dataclass(frozen=True)
class Result:
    """What came of one trial."""

    metrics: Mapping[str, Any]
    config: Mapping[str, Any]
    error: Exception | None
    path: str


class ResultGrid:
    """What came of each trial of an experiment."""

    def __init__(self, view: Any, plan: Plan) -> None:
        self._view = view
        self._plan = plan

    def __len__(self) -> int:
        raise NotImplementedError

    def __getitem__(self, index: int) -> Result:
        raise NotImplementedError

    def get_best_result(self, metric: str | None = None, mode: str | None = None, scope: str = "last") -> Result:
        """The best trial's result."""
        raise NotImplementedError
