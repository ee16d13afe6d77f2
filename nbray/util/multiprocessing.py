"""`Pool`: the cluster behind the interface of `multiprocessing.Pool`."""

from __future__ import annotations

import builtins
import contextlib
import functools
import itertools
import math
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError, Future, wait
from multiprocessing import TimeoutError
from queue import Empty, SimpleQueue
from typing import Any

from nbray import session
from nbray.chunks import run_chunk
from nbray.errors import WrongType
from nbray.exceptions_shipping import DumpedException, load_exception
from nbray.executor import Executor, checked_count
from nbray.parallel_map import slots

CHUNKS_EACH = 4
"""Chunks per process that a map is cut into, as `multiprocessing` does."""

AHEAD = 16
"""Chunks per process that are submitted ahead of the consumer, where nobody knows how many items come."""

Function = Callable[..., Any]
Outcome = tuple[float, list[Any], list[tuple[int, DumpedException]]]

__all__ = ["AsyncResult", "Pool", "ResultIterator", "TimeoutError"]


class Pool:
    """Runs functions in the workers of the cluster; the methods are those of `multiprocessing.Pool`.

    At most `processes` calls run at once (default: as many as the cluster can). Other options are those of remote functions,
    such as `num_cpus=2`, and apply to each call. `context` and `ray_remote_args` (options in a dict) are there for the sake of
    `multiprocessing`'s signature and Ray's.

    >>> from nbray.util.multiprocessing import Pool
    >>> with Pool() as pool:
    ...     pool.map(abs, [-1, 2, -3])
    [1, 2, 3]
    """

    def __init__(
        self, processes: int | None = None, initializer: Function | None = None, initargs: Sequence[Any] = (),
        maxtasksperchild: int | None = None, context: object = None, ray_remote_args: Mapping[str, Any] | None = None,
        **options: Any,
    ) -> None:  # fmt: skip
        options = {**(ray_remote_args or {}), **options}
        if checked_count("maxtasksperchild", maxtasksperchild) is not None:
            options["max_calls"] = maxtasksperchild
        self._processes = checked_count("processes", processes)
        self._executor = Executor(processes, initializer=initializer, initargs=initargs, **options)
        self._closed = False

    # ---------------------------------------------------------------- one call

    def apply(self, func: Function, args: Sequence[Any] = (), kwds: Mapping[str, Any] | None = None) -> Any:
        """Call the function in a worker and wait for the result."""
        return self.apply_async(func, args, kwds).get()

    def apply_async(
        self, func: Function, args: Sequence[Any] = (), kwds: Mapping[str, Any] | None = None,
        callback: Function | None = None, error_callback: Function | None = None,
    ) -> AsyncResult:  # fmt: skip
        """Call the function in a worker; the callbacks get the result or the exception, on a thread of the pool."""
        self._check_open()
        future = self._executor.submit(func, *args, **(kwds or {}))
        return AsyncResult([future], lambda futures: futures[0].result(), callback, error_callback)

    # ---------------------------------------------------------------- many calls

    def map(self, func: Function, iterable: Iterable[Any], chunksize: int | None = None) -> list[Any]:
        """The results for all items, in order; the first exception in that order is raised when all have ended."""
        return self.map_async(func, iterable, chunksize).get()  # type: ignore[no-any-return]

    def map_async(
        self, func: Function, iterable: Iterable[Any], chunksize: int | None = None,
        callback: Function | None = None, error_callback: Function | None = None,
    ) -> AsyncResult:  # fmt: skip
        """The same without waiting."""
        return self._rows_async(func, [(item,) for item in iterable], chunksize, callback, error_callback)

    def starmap(self, func: Function, iterable: Iterable[Iterable[Any]], chunksize: int | None = None) -> list[Any]:
        """As `map`, where each item is the arguments of a call."""
        return self.starmap_async(func, iterable, chunksize).get()  # type: ignore[no-any-return]

    def starmap_async(
        self, func: Function, iterable: Iterable[Iterable[Any]], chunksize: int | None = None,
        callback: Function | None = None, error_callback: Function | None = None,
    ) -> AsyncResult:  # fmt: skip
        """The same without waiting."""
        rows = [tuple(item) for item in iterable]
        by_row = functools.partial(call_with_row, func)
        return self._rows_async(by_row, [(row,) for row in rows], chunksize, callback, error_callback)

    def imap(self, func: Function, iterable: Iterable[Any], chunksize: int = 1) -> ResultIterator:
        """An iterator over the results in order."""
        return self._iterate(func, iterable, chunksize, ordered=True)

    def imap_unordered(self, func: Function, iterable: Iterable[Any], chunksize: int = 1) -> ResultIterator:
        """An iterator over the results as they come."""
        return self._iterate(func, iterable, chunksize, ordered=False)

    # ---------------------------------------------------------------- its end

    def close(self) -> None:
        """Take no more calls; those that were made go on."""
        self._closed = True

    def terminate(self) -> None:
        """Cancel every call, running ones too."""
        self._closed = True
        self._executor.cancel_all()
        self._executor.shutdown(wait=False)

    def join(self) -> None:
        """Wait until all calls have ended, after `close` or `terminate`."""
        if not self._closed:
            raise ValueError("Pool is still running: call close() before join()")
        self._executor.shutdown()

    def __enter__(self) -> Pool:
        self._check_open()
        return self

    def __exit__(self, *_: object) -> None:
        self.terminate()

    def __repr__(self) -> str:
        return f"<Pool of {self._processes or 'all'} processes, {'closed' if self._closed else 'open'}>"

    # ---------------------------------------------------------------- inside

    def _check_open(self) -> None:
        if self._closed:
            raise ValueError("Pool not running: it was closed, so make a new one")

    def _size(self) -> int:
        return self._processes or slots(session.current_backend(), self._executor.options)

    def _rows_async(
        self, func: Function, rows: list[tuple[Any]], chunksize: int | None, callback: Function | None,
        error_callback: Function | None,
    ) -> AsyncResult:  # fmt: skip
        self._check_open()
        size = checked_count("chunksize", chunksize) or max(1, math.ceil(len(rows) / (CHUNKS_EACH * self._size())))
        futures = list(self._submit_chunks(func, iter(rows), size))
        return AsyncResult(futures, _gather, callback, error_callback)

    def _submit_chunks(self, func: Function, rows: Iterator[tuple[Any]], size: int) -> Iterator[Future[Outcome]]:
        if not callable(func):
            raise WrongType(f"{func!r} is no function: write pool.map(function, items)")
        function = functools.partial(run_chunk, func)
        while chunk := [row for (row,) in itertools.islice(rows, size)]:
            yield self._executor.submit(function, [chunk], [])

    def _iterate(self, func: Function, iterable: Iterable[Any], chunksize: int, *, ordered: bool) -> ResultIterator:
        self._check_open()
        size = checked_count("chunksize", chunksize) or 1
        futures = self._submit_chunks(func, ((item,) for item in iterable), size)
        ahead = None if hasattr(iterable, "__len__") else AHEAD * self._size()
        return ResultIterator(futures, ahead, ordered=ordered)


def call_with_row(function: Function, row: Sequence[Any]) -> Any:
    """Call a function with the items of a row as its arguments; runs in a worker."""
    return function(*row)


def _gather(futures: Sequence[Future[Outcome]]) -> list[Any]:
    gathered: list[Any] = []
    for future in futures:
        _, results, failures = future.result()
        if failures:
            raise load_exception(*failures[0][1])
        gathered += results
    return gathered


class AsyncResult:
    """What comes of one `..._async` call."""

    def __init__(
        self, futures: Sequence[Future[Any]], gather: Callable[[Sequence[Future[Any]]], Any], callback: Function | None,
        error_callback: Function | None,
    ) -> None:  # fmt: skip
        self._futures = futures
        self._gather = gather
        self._callback, self._error_callback = callback, error_callback
        self._value: Any = None
        self._error: BaseException | None = None
        self._done = threading.Event()
        self._left = itertools.count(len(futures) - 1, -1)
        if not futures:
            self._finish()
        for future in futures:
            future.add_done_callback(self._one_is_done)

    def ready(self) -> bool:
        """Whether the call has ended."""
        return self._done.is_set()

    def successful(self) -> bool:
        """Whether it ended without an exception; ValueError before it has ended."""
        if not self.ready():
            raise ValueError(f"{self!r} has not ended: wait() for it first")
        return self._error is None

    def wait(self, timeout: float | None = None) -> None:
        """Wait for the end, at most `timeout` seconds."""
        deadline = None if timeout is None else time.monotonic() + timeout
        wait(self._futures, timeout)
        self._done.wait(None if deadline is None else max(0.0, deadline - time.monotonic()))

    def get(self, timeout: float | None = None) -> Any:
        """The result; raises the call's exception, or `multiprocessing.TimeoutError` after `timeout` seconds."""
        self.wait(timeout)
        if not self.ready():
            raise TimeoutError(f"the result was not there after {timeout:g} s; the call goes on")
        if self._error is not None:
            raise self._error
        return self._value

    def _one_is_done(self, _: Future[Any]) -> None:
        if next(self._left) == 0:
            self._finish()

    def _finish(self) -> None:
        try:
            self._value = self._gather(self._futures)
        except (Exception, CancelledError) as error:  # noqa: BLE001 - whatever it is, it is the outcome
            self._error = error
        try:
            if self._error is None and self._callback is not None:
                self._callback(self._value)
            if self._error is not None and self._error_callback is not None:
                self._error_callback(self._error)
        finally:
            self._done.set()


class ResultIterator:
    """The results of an `imap`; `next(timeout)` waits for so many seconds at most."""

    def __init__(self, futures: Iterator[Future[Outcome]], ahead: int | None, *, ordered: bool) -> None:
        self._futures = futures
        self._ordered = ordered
        self._window: deque[Future[Outcome]] = deque()
        """In order, where that matters."""
        self._ended: SimpleQueue[Future[Outcome]] = SimpleQueue()
        """In the order of their ends, where it does not."""
        self._left = 0
        """Futures that were not taken yet."""
        self._rest: deque[tuple[Any, DumpedException | None]] = deque()
        self._submit(ahead)

    def __iter__(self) -> ResultIterator:
        return self

    def __next__(self) -> Any:
        return self.next()

    def next(self, timeout: float | None = None) -> Any:
        """The next result, or its exception; `multiprocessing.TimeoutError` after `timeout` seconds."""
        while not self._rest:
            if not self._left:
                raise StopIteration
            future = self._first(timeout) if self._ordered else self._any(timeout)
            self._left -= 1
            self._submit(1)
            _, results, failures = future.result()
            errors = dict(failures)
            self._rest.extend((result, errors.get(row)) for row, result in enumerate(results))
        result, dumped = self._rest.popleft()
        if dumped is not None:
            raise load_exception(*dumped)
        return result

    def _submit(self, count: int | None) -> None:
        for future in itertools.islice(self._futures, count):
            self._left += 1
            if self._ordered:
                self._window.append(future)
            else:
                future.add_done_callback(self._ended.put)

    def _first(self, timeout: float | None) -> Future[Outcome]:
        try:
            self._window[0].exception(timeout)
        except CancelledError:
            pass
        except builtins.TimeoutError:
            raise _late(timeout) from None
        return self._window.popleft()

    def _any(self, timeout: float | None) -> Future[Outcome]:
        with contextlib.suppress(Empty):
            return self._ended.get_nowait()
        with session.current_backend().waiting():
            try:
                return self._ended.get(timeout=timeout)
            except Empty:
                raise _late(timeout) from None


def _late(timeout: float | None) -> TimeoutError:
    return TimeoutError(f"no result was there after {timeout or 0:g} s; the calls go on")
