"""TBXLoggerCallback: each trial's reports for TensorBoard; the only file that imports tensorboardX."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from typing import Any

from nbray.errors import UsageError
from nbray.tune.loggers.logger import LoggerCallback
from nbray.tune.loggers.plain_values import flat, number
from nbray.tune.trial import Trial

OPEN = 32
"""Writers at a time; each has a file and a thread."""


class TBXLoggerCallback(LoggerCallback):
    """Writes event files for TensorBoard, by tensorboardX, into each trial's directory.

    Every number of a report becomes a scalar over `training_iteration`; at a trial's end its configuration and last report are
    written for the HPARAMS tab. `tensorboard --logdir` on the experiment's directory shows them all.

    >>> from nbray import tune
    >>> run_config = tune.RunConfig(callbacks=[tune.loggers.TBXLoggerCallback()])
    """

    def __init__(self) -> None:
        _tensorboardx()  # it is missed here, where one asked for it, rather than on a worker
        self._writers: OrderedDict[str, Any] = OrderedDict()
        self._begun: set[str] = set()

    def log_trial_start(self, trial: Trial) -> None:
        if trial.trial_id not in self._begun:
            self._begun.add(trial.trial_id)
            for old in self.directory(trial).glob("events.out.tfevents.*"):
                old.unlink()

    def log_trial_result(self, iteration: int, trial: Trial, result: Mapping[str, Any]) -> None:
        writer = self._writer(trial)
        for name, value in _numbers(result).items():
            writer.add_scalar(name, value, global_step=trial.iteration)

    def log_trial_end(self, trial: Trial, failed: bool = False) -> None:
        _write_hparams(self._writer(trial), trial)
        self._writers.pop(trial.trial_id).close()

    def on_experiment_end(self, trials: Sequence[Trial], **info: Any) -> None:
        for writer in self._writers.values():
            writer.close()
        self._writers.clear()

    def _writer(self, trial: Trial) -> Any:
        """The one of a trial; a paused trial's is closed when others need the place, and writes another file later."""
        if trial.trial_id not in self._writers:
            if len(self._writers) >= OPEN:
                self._writers.popitem(last=False)[1].close()
            self._writers[trial.trial_id] = _tensorboardx().SummaryWriter(logdir=str(self.directory(trial)), flush_secs=10)
        self._writers.move_to_end(trial.trial_id)
        return self._writers[trial.trial_id]


def _numbers(values: Mapping[str, Any]) -> dict[str, float]:
    found = ((name, number(value)) for name, value in flat(values).items())
    return {name: value for name, value in found if value is not None}


def _write_hparams(writer: Any, trial: Trial) -> None:
    """The three summaries that TensorBoard's HPARAMS tab reads."""
    known = {
        name: value if isinstance(value, (bool, int, float, str)) else repr(value) for name, value in flat(trial.config).items()
    }
    if not known:
        return
    summaries = _tensorboardx().summary.hparams(known, dict.fromkeys(_numbers(trial.last_result)))
    for summary in summaries:
        writer.file_writer.add_summary(summary)


def _tensorboardx() -> Any:
    try:
        import tensorboardX
        import tensorboardX.summary
    except ImportError:
        raise UsageError('TBXLoggerCallback needs tensorboardX, which is not installed: pip install "nbray[tune]"') from None
    return tensorboardX
