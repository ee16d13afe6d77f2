"""Replay: an experiment brought to where its journal ends, by handling the journal's events again."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from nbray.tune.events import Entry
from nbray.tune.experiment import Experiment
from nbray.tune.recorded import Recorded

if TYPE_CHECKING:
    from nbray.tune.plan import Plan


def replay(entries: Iterable[Entry], experiment: Experiment) -> list[str]:
    """Bring a fresh experiment to where the entries end; returns what it decided differently this time, in sentences.

    What the journal says has happened, and goes before what is decided now. With the same seed and the same versions of
    searcher and scheduler nothing differs.
    """
    differences: list[str] = []
    for entry in entries:
        recorded = Recorded(entry.actions)
        experiment.handle(entry.event, entry.now, recorded)
        differences.extend(f"entry {entry.number}: {difference}" for difference in recorded.differences)
    return differences


def resume(plan: Plan, entries: Iterable[Entry]) -> tuple[Experiment, list[str]]:
    """The experiment of a plan, with a fresh searcher and scheduler, where its journal ends; and the differences."""
    experiment = Experiment.of(plan)
    return experiment, replay(entries, experiment)
