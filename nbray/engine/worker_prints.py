"""What workers have printed and cannot send themselves: their logs, and at the end of one what it had in its memory."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from nbray.config import ClusterConfig
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.engine.worker_logs import Puncher, WorkerLog
from nbray.ids import NO_TASK, ProcessId, TaskId
from nbray.scheduler.events import Received
from nbray.scheduler.messages import Output, TaskResult


class WorkerPrints:
    """Hands to the scheduler, by `tell`, what the worker of a slot would have sent as Output."""

    def __init__(
        self, config: ClusterConfig, words: Words, unsent: Unsent, process_of: Callable[[int], ProcessId | None],
        tell: Callable[[Received], None],
    ) -> None:  # fmt: skip
        self._config = config
        self._words = words
        self._unsent = unsent
        self._process_of = process_of
        self._tell = tell
        self._logs: dict[int, WorkerLog] = {}
        self._puncher = Puncher()

    def log(self, slot: int) -> WorkerLog:
        """The log of the workers of a slot."""
        if slot not in self._logs:
            path = Path(self._config.run_directory) / "logs" / f"worker-{slot}.log"
            self._logs[slot] = WorkerLog(path, self._config.log_limit, self._puncher.punch)
        return self._logs[slot]

    def read_finished(self, slot: int, results: Iterable[TaskResult]) -> None:
        """The worker reports these results, with how long its log was behind each task that wrote to it."""
        for result in results:
            if result.log_end:
                self._send(slot, result.task_id, result.log_end)

    def read_live(self, slots: Iterable[int]) -> bool:
        """What running tasks have written so far; whether one writes so much that its log should be looked at again soon."""
        floods = False
        for slot in slots:
            log = self.log(slot)
            task_id, end, before = self._words.started(slot), log.settled_end(), log.position
            if before >= self._words.log_length(slot):
                self._send(slot, task_id, end)
            floods = floods or log.position - before > self._config.log_limit // 4
        return floods

    def close(self) -> None:
        """Close the logs; what is to be given back of them is."""
        self._puncher.close()
        for log in self._logs.values():
            log.close()

    def read_unsent(self, slot: int, process: ProcessId) -> None:
        """The worker is gone: pass on what it had not sent."""
        for task_id, stream, data in self._unsent.of(slot).take():
            self._tell(Received(process, Output(task_id, stream, data)))

    def read_last_words(self, slot: int) -> None:
        """And then, behind the results that it had not sent, what C code wrote."""
        self._send(slot, self._words.started(slot), None)

    def _send(self, slot: int, task_id: TaskId, end: int | None) -> None:
        process = self._process_of(slot)
        if process is None or task_id == NO_TASK:
            return
        for stream, data in self.log(slot).read(task_id, end, self._config.output_limit):
            self._tell(Received(process, Output(task_id, stream, data)))
