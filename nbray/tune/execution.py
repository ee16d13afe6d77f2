"""How a trainable is run: functions that report, yield or return, and classes step by step, one attempt after another."""

from __future__ import annotations

import contextlib
import inspect
import numbers
import os
import traceback
from collections.abc import Generator, Mapping
from pathlib import Path
from typing import Any

from nbray.checkpoints import Filling
from nbray.errors import WrongType
from nbray.exceptions_shipping import format_traceback
from nbray.tune import reporting, trainables
from nbray.tune.attempt import Attempt
from nbray.tune.events import Ended, Failed
from nbray.tune.reporting import TrialEnd
from nbray.tune.trainables import Trainable


class Execution:
    """Runs attempts of one trainable, one after another in this process; an instance of a class may serve several."""

    def __init__(self, trainable: Any) -> None:
        self._trainable = trainable
        inner = trainables.inner_of(trainable)
        self._class: type[Trainable] | None = inner if isinstance(inner, type) and issubclass(inner, Trainable) else None
        self._instance: Trainable | None = None

    def run(self, attempt: Attempt) -> Ended | Failed:
        """Run it to its end, on this thread; a KeyboardInterrupt passes, everything else is in what comes back."""
        reporting.enter(attempt)
        directory = Path.cwd()
        try:
            return self._call(attempt) if self._class is None else self._step(attempt)
        except TrialEnd:
            return attempt.ended()
        except KeyboardInterrupt:
            self.close()
            raise
        except BaseException as error:  # noqa: BLE001 - whatever the user's code raises is what came of the trial
            text = format_traceback(error)
            self.close()
            return Failed(attempt.trial_id, attempt.number, text)
        finally:
            reporting.leave()
            os.chdir(directory)  # the next trial shall not begin where this one has gone

    def close(self) -> None:
        """Let the instance tidy up, if there is one; what that raises is printed: it is no other trial's failure."""
        instance, self._instance = self._instance, None
        if instance is not None:
            try:
                instance.cleanup()
            except Exception:  # noqa: BLE001 - as the docstring says
                traceback.print_exc()

    # ---------------------------------------------------------------- functions

    def _call(self, attempt: Attempt) -> Ended:
        """Call the function; what it returns is a last report."""
        extra = (_Reporter(attempt),) if trainables.takes_reporter(self._trainable) else ()
        returned = self._trainable(attempt.config, *extra)
        if inspect.isgenerator(returned):
            returned = _consume(returned, attempt)
        return attempt.ended(None if returned is None else as_metrics(returned, attempt.workplace.metric))

    # ---------------------------------------------------------------- classes

    def _step(self, attempt: Attempt) -> Ended:
        """Step until the instance says that it is done."""
        instance = self._instance = self._ready(attempt)
        save = (lambda: Filling(instance.save_checkpoint)) if instance.saves() else None
        while True:
            metrics = as_metrics(instance.step(), attempt.workplace.metric)
            instance.iteration = attempt.iteration + 1
            if metrics.get("done"):
                return attempt.ended(metrics, save)
            attempt.report(metrics, save)

    def _ready(self, attempt: Attempt) -> Trainable:
        """An instance with the attempt's configuration and state."""
        instance = self._instance
        if instance is not None and instance.reset_config(dict(attempt.config)):
            instance.config = dict(attempt.config)
        else:
            self.close()
            assert self._class is not None
            instance = self._class(attempt.config, **trainables.parameters_of(self._trainable))
        instance.iteration = attempt.iteration
        if attempt.checkpoint is not None:
            instance.load_checkpoint(attempt.checkpoint.to_dict() if attempt.checkpoint.is_dict else attempt.checkpoint.path)
        return instance


class _Reporter:
    """What a function of (config, reporter) gets: `reporter(loss=0.5)` or `reporter({"loss": 0.5})` reports."""

    def __init__(self, attempt: Attempt) -> None:
        self._attempt = attempt

    def __call__(self, metrics: Mapping[str, Any] | None = None, **more: Any) -> None:
        checkpoint = more.pop("checkpoint", None)
        reporting.report(metrics, checkpoint=checkpoint, **more)


def as_metrics(value: Any, metric: str) -> Mapping[str, Any]:
    """What a trainable has returned or yielded, as metrics: a number is `metric`. Raises WrongType."""
    if isinstance(value, Mapping):
        return value
    if isinstance(value, numbers.Number) or (getattr(value, "ndim", None) == 0 and hasattr(value, "item")):
        return {metric: value}
    raise WrongType(
        f"the trial returned or yielded {value!r}, a {type(value).__name__}: expected a number, which is the metric, or a dict "
        'of metrics, for example {"loss": 0.5}'
    )


def _consume(steps: Generator[Any, Any, Any], attempt: Attempt) -> Any:
    """Report what a generator yields; what it returns. Where the trial is told to stop, its `finally` blocks run."""
    with contextlib.closing(steps):
        while True:
            try:
                yielded = next(steps)
            except StopIteration as end:
                return end.value
            attempt.report(as_metrics(yielded, attempt.workplace.metric), None)
