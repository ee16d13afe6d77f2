"""Which of the trials' checkpoints are kept, and which may go."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from nbray.tune.scores import score


@dataclass(frozen=True, slots=True)
class Retention:
    """Of each trial the `num_to_keep` best by an attribute of their reports, or the newest without one; None: all."""

    num_to_keep: int | None = None
    score_attribute: str | None = None
    score_order: str = "max"


@dataclass(frozen=True, slots=True)
class _Kept:
    path: str
    order: int
    score: float


class CheckpointShelf:
    """All checkpoints of an experiment.

    What must stay true: the newest checkpoint of a trial stays whatever its score, and so does one that a trial begins
    from, whoever wrote it, until that trial has one of its own.

    >>> shelf = CheckpointShelf(Retention(num_to_keep=1))
    >>> for number in (1, 2, 3):
    ...     shelf.put("00000", f"checkpoint_{number}", number, {})
    >>> shelf.take_superfluous()
    ['checkpoint_1', 'checkpoint_2']
    """

    def __init__(self, retention: Retention) -> None:
        self._rule = retention
        self._of: dict[str, list[_Kept]] = {}
        self._iterations: dict[str, int] = {}
        self._needed: dict[str, str] = {}
        """The checkpoint that each trial would run on from."""
        self._needs = Counter[str]()
        self._condemned: dict[str, None] = {}
        self._count = 0

    def put(self, trial_id: str, path: str, iteration: int, result: Mapping[str, Any]) -> None:
        """A trial has written one, after so many reports; it would run on from it."""
        self._count += 1
        self._iterations[path] = iteration
        self._of.setdefault(trial_id, []).append(_Kept(path, self._count, self._score(result)))
        self.need(trial_id, path)
        self._condemn(trial_id)

    def need(self, trial_id: str, path: str | None) -> None:
        """A trial runs on from this one, or would; None: from nothing."""
        before = self._needed.pop(trial_id, None)
        if before is not None:
            self._needs[before] -= 1
        if path is not None:
            self._needed[trial_id] = path
            self._needs[path] += 1

    def iteration(self, path: str | None) -> int:
        """How many reports had been made when it was written."""
        return 0 if path is None else self._iterations.get(path, 0)

    def take_superfluous(self) -> list[str]:
        """The checkpoints that nobody needs any more, each once."""
        free = [path for path in self._condemned if not self._needs[path]]
        for path in free:
            del self._condemned[path], self._iterations[path]
        return free

    def _score(self, result: Mapping[str, Any]) -> float:
        value = score(result, self._rule.score_attribute, self._rule.score_order)
        return -math.inf if value is None or math.isnan(value) else value

    def _condemn(self, trial_id: str) -> None:
        """Give up those of a trial that are neither among its best nor its newest; order breaks ties."""
        mine = self._of[trial_id]
        if self._rule.num_to_keep is None or len(mine) <= self._rule.num_to_keep:
            return
        best = sorted(mine, key=lambda kept: (kept.score, kept.order), reverse=True)[: self._rule.num_to_keep]
        stay = {*best, mine[-1]}
        self._condemned.update((kept.path, None) for kept in mine if kept not in stay)
        self._of[trial_id] = [kept for kept in mine if kept in stay]
