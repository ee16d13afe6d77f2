"""An experiment that a test leads by hand, in one process and without waiting, with its view and its callbacks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from nbray.tune.callbacks import Callback
from nbray.tune.configs import RunConfig, TuneConfig
from nbray.tune.dispatch import Dispatch
from nbray.tune.events import Action, Ended, Entry, Event, Failed, Reported, Slots, Start
from nbray.tune.experiment import Experiment
from nbray.tune.plan import Plan
from nbray.tune.schedulers.fifo import FIFOScheduler
from nbray.tune.search.grid_search import GridSearch
from nbray.tune.view import View

Reports = Sequence[Mapping[str, Any]]


def plan(path: Path, values: Sequence[Any] = (1, 2), run: RunConfig | None = None, **options: Any) -> Plan:
    """An experiment called "forest" that tries x of some values and reports `loss`."""
    config = TuneConfig(**{"metric": "loss", "mode": "min", **options})
    config.search_alg, config.scheduler = GridSearch(), FIFOScheduler()
    space = {"x": {"grid_search": list(values)}}
    return Plan("forest", str(path), len, space, config, run or RunConfig(), trainable_name="train")


class Led:
    """Its trials report what a function of their configuration says, one after another; one second between events."""

    def __init__(self, plan: Plan, callbacks: Sequence[Callback] = (), patient: bool = False) -> None:
        self.plan = plan
        self.experiment = Experiment.of(plan)
        self.view = View(plan.tune.metric, plan.tune.mode, self.experiment.total())
        self.dispatch = Dispatch(callbacks, plan, patient=patient)
        self.entries: list[Entry] = []
        self.lines: list[str] = []
        self._waiting: list[Start] = []

    def tell(self, event: Event) -> list[Action]:
        """Something happens."""
        number = len(self.entries) + 1
        actions = self.experiment.handle(event, float(number))
        entry = Entry(number, float(number), event, actions)
        self.entries.append(entry)
        self.view.fold(entry)
        self.lines += self.dispatch.tell(entry, self.view)
        self._waiting += [action for action in actions if isinstance(action, Start)]
        return actions

    def run(self, reports: Callable[[dict[str, Any]], Reports], checkpoints: Sequence[str] = ()) -> Led:
        """Lead it to its end, one trial after another; what `reports` raises is the trial's failure."""
        self.tell(Slots(1))
        paths = list(checkpoints)
        while self._waiting:
            start = self._waiting.pop(0)
            for metrics in _until_it_fails(reports, start.config):
                if isinstance(metrics, Exception):
                    error = f"Traceback\n{type(metrics).__name__}: {metrics}"
                    self.tell(Failed(start.trial_id, start.attempt, error))
                    break
                self.tell(Reported(start.trial_id, start.attempt, dict(metrics), paths.pop(0) if paths else None))
            else:
                self.tell(Ended(start.trial_id, start.attempt))
        return self


def _until_it_fails(
    reports: Callable[[dict[str, Any]], Reports], config: dict[str, Any]
) -> Iterator[Mapping[str, Any] | Exception]:
    """The trial's reports, and what it raised."""
    try:
        yield from reports(config)
    except Exception as error:  # noqa: BLE001 - the pretended trial's own
        yield error
