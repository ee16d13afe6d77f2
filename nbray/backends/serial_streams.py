"""Streams of the serial backend: a generator runs from item to item, as they are asked for."""

from __future__ import annotations

import contextlib
from collections import deque
from collections.abc import AsyncIterator, Callable, Coroutine, Iterable, Iterator
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from nbray import serialization
from nbray.backends.serial_objects import Failed, SerialObjects
from nbray.errors import TaskCancelledError
from nbray.ids import CellRunId, ObjectId, TaskId

if TYPE_CHECKING:
    from nbray.backends.serial_tasks import Outcome, Work


class _Stream:
    def __init__(self, items: Iterator[Any], work: Work) -> None:
        self.items = items
        self.work = work
        self.made: deque[ObjectId] = deque()
        """Items that were made and not taken."""


class SerialStreams:
    """Every generator that somebody still has."""

    def __init__(
        self, objects: SerialObjects, inside: Callable[[Work], AbstractContextManager[None]],
        failed: Callable[[BaseException, Work], Failed],
        end: Callable[[str, CellRunId, list[ObjectId], Outcome], None],
    ) -> None:  # fmt: skip
        self._objects = objects
        self._inside = inside
        self._failed = failed
        self._end = end
        self._streams: dict[TaskId, _Stream] = {}

    def begin(self, items: Iterator[Any], work: Work) -> None:
        """A task has become a stream."""
        self._streams[work.task_id] = _Stream(items, work)

    def take(self, stream: TaskId) -> ObjectId | None:
        """The next item; the generator runs until it has made one. None at its end."""
        running = self._streams.get(stream)
        if running is None or not self._advance(running):
            return None
        return running.made.popleft()

    def look(self, stream: TaskId) -> None:
        """See that the next item, or the end, is there."""
        if stream in self._streams:
            self._advance(self._streams[stream])

    def finish(self, stream: TaskId) -> None:
        """Run it to its end."""
        running = self._streams.get(stream)
        if running is not None:
            made: list[ObjectId] = []
            while self._advance(running):
                made.append(running.made.popleft())
            running.made.extend(made)

    def runs(self, stream: TaskId) -> bool:
        """Whether it has not ended."""
        return stream in self._streams and stream not in self._objects

    def of(self, cell_runs: Iterable[CellRunId] | None) -> list[TaskId]:
        """Those that have not ended, of these cell runs or of all."""
        wanted = None if cell_runs is None else set(cell_runs)
        return [
            each for each, stream in self._streams.items()
            if self.runs(each) and (wanted is None or stream.work.cell_run in wanted)
        ]  # fmt: skip

    def stop(self, stream: TaskId) -> bool:
        """Cancel it; False where it has ended."""
        if not self.runs(stream):
            return False
        running = self._streams[stream]
        self._close(running)
        work = running.work
        self._end(work.name, work.cell_run, work.returns, Failed(TaskCancelledError(f"{work.name} was cancelled")))
        return True

    def give_up(self, stream: TaskId) -> None:
        """Nobody has the generator any more; what was taken from it stays."""
        running = self._streams.pop(stream, None)
        if running is not None:
            self._close(running)
            self._objects.release(running.made)
        self._objects.release([stream])

    @staticmethod
    def _close(stream: _Stream) -> None:
        with contextlib.suppress(ValueError):  # it is running: its own code has dropped the last reference, or cancels itself
            getattr(stream.items, "close", lambda: None)()

    def _advance(self, stream: _Stream) -> bool:
        """Let the generator make its next item if none is there; False at its end."""
        work = stream.work
        if stream.made or work.task_id in self._objects:
            return bool(stream.made)
        outcome: Outcome
        with self._inside(work):
            try:
                item = next(stream.items)  # kept until it is stored, with the refs in it
                stream.made.append(self._objects.store(serialization.dumps(item, f"an item of {work.name}")))
                return True
            except StopIteration:
                outcome = [serialization.dumps(None)]
            except KeyboardInterrupt:
                raise
            except BaseException as error:  # noqa: BLE001 - the generator's own failure is its end
                outcome = self._failed(error, work)
        self._end(work.name, work.cell_run, work.returns, outcome)
        return False


def is_generator(result: Any) -> bool:
    """Whether a result must be iterated to get values."""
    return hasattr(result, "__next__") or hasattr(result, "__aiter__")


def items_of(result: Any, name: str, run: Callable[[Coroutine[Any, Any, Any]], Any]) -> Iterator[Any]:
    """What a task yields, item by item; of an asynchronous generator all at once."""
    if hasattr(result, "__aiter__"):
        return iter(run(_all_of(result)))
    if hasattr(result, "__iter__") and not isinstance(result, (str, bytes, dict)):
        return iter(result)
    raise TypeError(
        f"{name} has num_returns for a generator but returned {type(result).__name__}, which cannot be iterated: yield the "
        "items, or return an iterator of them"
    )


async def _all_of(items: AsyncIterator[Any]) -> list[Any]:
    return [item async for item in items]


def all_items(items: Iterator[Any], objects: SerialObjects, failed: Callable[[BaseException], Failed]) -> list[ObjectId]:
    """Objects of all items; an error of the generator stands behind them as the last one."""
    made: list[ObjectId] = []
    try:
        for item in items:
            made.append(objects.store(serialization.dumps(item)))
    except Exception as error:  # noqa: BLE001 - it becomes an object
        made.append(objects.new_id())
        objects.hold(made[-1])
        objects.settle(made[-1], failed(error))
    return made
