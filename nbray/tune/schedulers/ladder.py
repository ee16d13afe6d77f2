"""A ladder: the rungs of one bracket of successive halving, with the score of each trial at each of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping
from dataclasses import dataclass, field
from math import floor, isnan

from nbray.tune.schedulers.scheduler import Rung

_SLACK = 1e-9
"""Levels are products of floats: 3 ** 5 / 3 ** 2 and the like must not miss a report by a rounding error."""


def levels(grace_period: float, max_t: float, factor: float, skipped: int = 0) -> list[float]:
    """grace_period x factor^k up to max_t, without the first `skipped`.

    >>> levels(1, 27, 3)
    [1, 3, 9, 27]
    """
    found: list[float] = []
    level = grace_period
    while level <= max_t * (1 + _SLACK):
        found.append(level)
        level *= factor
    return found[skipped:]


Place = tuple[float, int, str]
"""Where a trial stands on its rung, best first: (-score, number of its arrival, trial)."""


@dataclass(slots=True)
class Step:
    """One rung: scores (larger is better) in the order of arrival and in their own, and who was let past it.

    Trials that scored NaN have arrived, but stand behind all that are ranked.
    """

    level: float
    scores: dict[str, float] = field(default_factory=dict)
    went_on: set[str] = field(default_factory=set)
    ranking: list[Place] = field(default_factory=list)
    waiting: list[Place] = field(default_factory=list)
    """Of the ranked ones, those that have paused here."""
    _place: dict[str, Place] = field(default_factory=dict)

    def record(self, trial_id: str, score: float) -> None:
        """Note a trial's score; the first one holds."""
        if trial_id in self.scores:
            return
        if not isnan(score):
            self._place[trial_id] = (-score, len(self.scores), trial_id)
            insort(self.ranking, self._place[trial_id])
        self.scores[trial_id] = score

    def forget(self, trial_id: str) -> float:
        """Take the trial that came last off the rung again and give its score."""
        self.leave(trial_id)
        _remove(self.ranking, self._place.pop(trial_id, None))
        return self.scores.pop(trial_id)

    def wait(self, trial_id: str) -> None:
        """A trial that has arrived pauses here."""
        if trial_id in self._place:
            insort(self.waiting, self._place[trial_id])

    def leave(self, trial_id: str) -> None:
        """A trial does not wait here any more, if it did."""
        _remove(self.waiting, self._place.get(trial_id))

    def best(self, factor: float) -> list[str]:
        """The best 1/factor of those that have arrived, best first."""
        return [trial_id for _, _, trial_id in self.ranking[: self.places(factor)]]

    def has_among_best(self, trial_id: str, factor: float) -> bool:
        """Whether a trial is one of them."""
        place = self._place.get(trial_id)
        return place is not None and bisect_left(self.ranking, place) < self.places(factor)

    def places(self, factor: float) -> int:
        """How many of those that have arrived may go on."""
        return floor(len(self.scores) / factor + _SLACK)

    def percentile(self, fraction: float) -> float | None:
        """The score that `fraction` of the scores lie below, interpolated linearly; None without scores."""
        if not self.ranking:
            return None
        last = len(self.ranking) - 1
        position = fraction * last
        low = min(int(position), last)
        rest = position - low
        lower = -self.ranking[last - low][0]
        upper = -self.ranking[max(last - low - 1, 0)][0]
        step = upper - lower
        return lower + step * rest if rest < 0.5 else upper - step * (1 - rest)


class Ladder:
    """The rungs of one bracket, lowest first."""

    def __init__(self, heights: list[float]) -> None:
        self.steps = [Step(level) for level in heights]
        self._heights = heights

    def reached(self, t: float) -> int:
        """Index of the highest rung that a trial of age `t` stands on; -1 below the first."""
        return bisect_right(self._heights, t * (1 + _SLACK)) - 1

    def arrival(self, trial_id: str, t: float) -> int | None:
        """Index of the rung that a trial has reached with this report; None if it reached none, or was compared there before.

        Rungs that were jumped over are not made up for.
        """
        index = self.reached(t)
        if index < 0 or any(trial_id in step.scores for step in self.steps[index:]):
            return None
        return index

    def picture(self, bracket: int, sign: float, cutoffs: Mapping[int, float | None]) -> list[Rung]:
        """The rungs for people to look at; `sign` turns scores back into what was reported."""
        return [
            Rung(
                bracket,
                step.level,
                {trial_id: sign * score for trial_id, score in step.scores.items()},
                frozenset(step.went_on),
                None if (cutoff := cutoffs.get(index)) is None else sign * cutoff,
            )
            for index, step in enumerate(self.steps)
        ]


def _remove(places: list[Place], place: Place | None) -> None:
    """Take a place out of a ranking, if it is in it."""
    if place is not None:
        index = bisect_left(places, place)
        if index < len(places) and places[index] == place:
            del places[index]
