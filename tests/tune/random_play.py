"""A play of random events for an experiment: runners that report, end, fail and die, and people who want things."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any, TypeVar

from nbray.tune.events import (
    Action,
    Added,
    Answer,
    Asked,
    Ended,
    Event,
    Failed,
    Interrupt,
    Reopened,
    Reported,
    Slots,
    Start,
    Tick,
)
from tests.tune.stage import Stage

T = TypeVar("T")


class RandomPlay:
    """Plays on a stage until the experiment is over; the same seed gives the same events."""

    def __init__(self, stage: Stage, seed: int, people: bool = True, crashes: bool = True) -> None:
        self._stage = stage
        self._chance = random.Random(seed)
        self._people = people
        self._crashes = crashes
        self._runs: dict[str, tuple[int, bool]] = {}
        """Attempt of each run in progress, and whether it was told to end."""
        self._late: list[Event] = []
        self._checkpoints = 0

    def play(self, events: int) -> None:
        """So many random events, or fewer, if the experiment ends; then it is led to its end."""
        self._tell(Slots(self._chance.randint(1, 4)))
        for _ in range(events):
            if self._stage.experiment.closed is None:
                self._tell(self._event())
            elif self._crashes and self._chance.random() < 0.7 and self._stage.experiment.closed.why != "ERROR":
                self._reopen()
        self._lead_to_the_end()

    def _lead_to_the_end(self) -> None:
        """Everybody goes on, every run ends: then the experiment has to close."""
        for step in range(10_000):
            if self._stage.experiment.closed is not None:
                return
            if step % 50 == 0:
                self._tell(Slots(2))
                self._tell(Asked("resume"))
            elif self._runs:
                self._tell(self._run_event(self._chance.choice(list(self._runs)), ends=0.5))
            else:
                self._tell(Tick())
        raise AssertionError(f"it never ends: {self._stage.states()}")

    def _tell(self, event: Event) -> None:
        for action in self._stage.tell(event, after=self._chance.random()):
            self._act(action)

    def _act(self, action: Action) -> None:
        match action:
            case Start(trial_id, attempt):
                self._runs[trial_id] = (attempt, False)
            case Answer(trial_id, "STOP" | "PAUSE") | Interrupt(trial_id) if trial_id in self._runs:
                self._runs[trial_id] = (self._runs[trial_id][0], True)
            case _:
                pass

    def _event(self) -> Event:
        chance = self._chance.random()
        if self._late and chance < 0.03:
            return self._chance.choice(self._late)
        if self._people and chance < 0.12:
            return self._wish()
        if chance < 0.15:
            return Tick()
        if chance < 0.18:
            return Slots(self._chance.randint(0, 5))
        if self._crashes and chance < 0.19:
            self._runs.clear()
            return Reopened()
        return self._run_event(self._chance.choice(list(self._runs)), ends=0.1) if self._runs else Slots(3)

    def _wish(self) -> Event:
        if self._chance.random() < 0.2:
            return Added({"x": self._chance.random()})
        everything = self._chance.random() < 0.15
        what = self._chance.choice(["stop", "pause", "resume", "resume", "clone"])
        if everything:
            what = self._chance.choice(["pause", "resume", "resume", "resume", "stop", "interrupt"])
        return Asked(what, "" if everything else self._chance.choice([*self._stage.trials, "nobody"]))

    def _run_event(self, trial_id: str, ends: float) -> Event:
        attempt, told = self._runs[trial_id]
        obeys, chance = told and self._chance.random() < 0.7, self._chance.random()
        ends = 0.6 if told else ends
        event: Event
        if obeys:
            event = Ended(trial_id, attempt, obeyed=True, checkpoint=self._checkpoint(trial_id, 0.7))
        elif chance < ends / 2:
            event = Ended(trial_id, attempt, metrics=self._metrics() if self._chance.random() < 0.5 else None)
        elif chance < ends:
            event = Failed(trial_id, attempt, "Traceback\nRuntimeError: chance")
        else:
            event = Reported(trial_id, attempt, self._metrics(), self._checkpoint(trial_id, 0.3), self._chance.random() < 0.8)
        if not isinstance(event, Reported):
            del self._runs[trial_id]
        self._late.append(event)
        return event

    def _metrics(self) -> dict[str, Any]:
        value = self._chance.choice([self._chance.random(), self._chance.random(), self._chance.random(), float("nan")])
        return {"loss": value} if self._chance.random() < 0.95 else {"other": 1}

    def _checkpoint(self, trial_id: str, share: float) -> str | None:
        if self._chance.random() > share:
            return None
        self._checkpoints += 1
        return f"trial_{trial_id}/checkpoint_{self._checkpoints}"

    def _reopen(self) -> None:
        self._runs.clear()
        self._tell(Reopened(self._chance.random() < 0.9, self._chance.random() < 0.3, self._chance.random() < 0.2))
        self._tell(Slots(2))


class ChanceFault(Exception):
    """Raised by code that a test has made faulty."""


def faulty(cls: type[T], chance: random.Random, share: float) -> type[T]:
    """A class whose methods raise now and then, once its `armed` is set; its constructor does not."""

    def made_faulty(name: str) -> Callable[..., Any]:
        method = getattr(cls, name)

        def perhaps(self: Any, *arguments: Any, **more: Any) -> Any:
            if getattr(self, "armed", False) and chance.random() < share:
                raise ChanceFault(name)
            return method(self, *arguments, **more)

        return perhaps

    names = [name for name in dir(cls) if callable(getattr(cls, name)) and (not name.startswith("_") or name == "__call__")]
    return type(f"Faulty{cls.__name__}", (cls,), {name: made_faulty(name) for name in names})


def played(make: Callable[[], Stage], seed: int, events: int = 150, **options: bool) -> Stage:
    """A stage after a play."""
    stage = make()
    RandomPlay(stage, seed, **options).play(events)
    return stage
