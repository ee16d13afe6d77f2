"""Experiments that never ran: views folded from entries made by hand, for tests of what is drawn."""

from __future__ import annotations

import math
import random
from collections.abc import Mapping, Sequence
from typing import Any

from nbray.tune.events import Answer, Close, CloseReason, Ended, Entry, Event, Failed, Moved, Reported, Say, Slots, Start
from nbray.tune.schedulers.scheduler import Rung
from nbray.tune.view import View


class Story:
    """A view, told entry by entry."""

    def __init__(self, metric: str = "accuracy", mode: str = "max", total: int | None = None) -> None:
        self.view = View(metric, mode, total)
        self.metric = metric
        self.now = 0.0
        self.born = 0

    def tell(self, event: Event, *actions: Any, after: float = 0.2) -> None:
        """One more entry."""
        self.now += after
        self.view.fold(Entry(self.view.number + 1, self.now, event, list(actions)))

    def begin(self, config: Mapping[str, Any]) -> str:
        """A trial starts; returns its id."""
        trial = f"{self.born:05d}"
        self.born += 1
        self.tell(Slots(2), Start(trial, 1, dict(config)), after=0.0)
        return trial

    def report(self, trial: str, value: Any, decision: str = "CONTINUE", why: str = "") -> None:
        """A trial reports its metric and is answered."""
        self.tell(Reported(trial, 1, {self.metric: value}), Answer(trial, decision, why))

    def end(self, trial: str, why: str = "") -> None:
        """A trial ends."""
        self.tell(Ended(trial, 1, obeyed=bool(why)), Moved(trial, "TERMINATED", why))

    def fail(self, trial: str, error: str) -> None:
        """A trial fails for good."""
        self.tell(Failed(trial, 1, error), Moved(trial, "ERROR", "it failed"))

    def say(self, text: str) -> None:
        """The experiment tells the user something."""
        self.tell(Slots(2), Say(text), after=0.0)

    def close(self, text: str = "", why: CloseReason = CloseReason.DONE) -> View:
        """The experiment is over."""
        self.tell(Slots(2), Close(why, text), after=0.0)
        return self.view


def config_of(rng: random.Random) -> dict[str, Any]:
    """One of a space with all kinds of parameters."""
    return {
        "lr": 10 ** rng.uniform(-4, -1), "hidden": rng.choice([16, 32, 64, 128, 256]), "dropout": rng.uniform(0, 0.5),
        "net": {"activation": rng.choice(["relu", "tanh", None])}, "solver": "adam",
    }  # fmt: skip


def halving(trials: int = 27, running: int = 0, seed: int = 1, close: bool = True) -> View:
    """Trials with curves under successive halving with rungs at 1, 3 and 9 reports; `running` of them are not over."""
    rng = random.Random(seed)
    story = Story(total=trials)
    rungs: dict[int, dict[str, float]] = {1: {}, 3: {}, 9: {}}
    on: dict[int, set[str]] = {level: set() for level in rungs}
    for index in range(trials - (4 if running else 0)):
        config = config_of(rng)
        good = 0.98 - 0.09 * abs(math.log10(config["lr"]) + 2.5) - 0.2 * config["dropout"] * rng.random() - rng.random() * 0.05
        trial, still = story.begin(config), index >= trials - 4 - running and running > 0
        for step in range(1, 28):
            value = round(good - 0.5 * math.exp(-step / 4) + rng.uniform(-0.006, 0.006), 4)
            stays = False
            if step in rungs:
                others = sorted(rungs[step].values())
                rungs[step][trial] = value
                stays = bool(others) and not still and value < others[int(len(others) * 2 / 3)]
                on[step] |= set() if stays else {trial}
            last = step == 27
            story.report(trial, value, "STOP" if stays or last else "CONTINUE",
                         f"below the cut-off at rung {step}" if stays else "reached max_t" if last else "")  # fmt: skip
            if stays or last:
                story.end(trial, f"below the cut-off at rung {step}" if stays else "reached max_t")
                break
            if still and step > 4 + rng.random() * 12:
                break
        story.view.rungs = [
            Rung(0, level, values, frozenset(on[level]), _cutoff(list(values.values()))) for level, values in rungs.items()
        ]
    return story.close() if close and not running else story.view


def _cutoff(values: Sequence[float]) -> float | None:
    return sorted(values)[int(len(values) * 2 / 3)] if len(values) > 2 else None


def single_reports(trials: int = 40, seed: int = 2, fail: int = 2) -> View:
    """Trials that report once each, the last few of them in an error."""
    rng = random.Random(seed)
    story = Story("mean_accuracy", total=trials)
    for index in range(trials):
        config: dict[str, Any] = {"n_estimators": rng.choice([10, 50, 100, 200]), "max_depth": rng.choice([None, 3, 5, 10]),
                  "min_samples_split": rng.choice([2, 5, 10])}  # fmt: skip
        trial = story.begin(config)
        if index >= trials - fail:
            story.fail(trial, "Traceback (most recent call last):\n  File ...\nValueError: <b>max_depth</b> must be positive")
            continue
        story.report(trial, 0.9 + 0.02 * (config["max_depth"] is None) + 0.0002 * config["n_estimators"] + rng.uniform(0, 0.02))
        story.end(trial)
    story.say("4 trials were asked for at once; 2 CPUs run 2 at a time.")
    return story.close("all trials have ended")
