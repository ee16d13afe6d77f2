"""`nbray.Executor`: the cluster behind the interface of `concurrent.futures`."""

from __future__ import annotations

import concurrent.futures
import contextlib
import functools
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any

from nbray import call_options, session
from nbray.backends.backend import CallOptions
from nbray.call_futures import CallFuture, by_backend
from nbray.chunks import run_chunk
from nbray.completions import Completions
from nbray.errors import UsageError, WrongType
from nbray.exceptions_shipping import DumpedException, load_exception
from nbray.objects import check_timeout
from nbray.parallel_map import slots
from nbray.remote_functions import RemoteFunction, check_gives_one_value
from nbray.worker_setup import Setup, run_after_setup

REMEMBERED = 256
"""Functions whose prepared form is kept: a function is pickled once as long as it stays the same object."""

Function = Callable[..., Any]
Prepared = tuple[Function, Function]
"""The function as the user gave it, kept alive since it is remembered by its id, and as it is submitted."""


class Executor(concurrent.futures.Executor):
    """Runs calls as tasks of the cluster; use it wherever a `concurrent.futures.Executor` is wanted.

    At most `max_workers` calls run at once (default: as many as the cluster can). `initializer(*initargs)` runs once in each
    worker, before the executor's first call there. The options are those of remote functions (`num_cpus=2`, ...) and apply to
    each call. A call that no worker has begun can be cancelled; exceptions carry their remote traceback. The end of a script
    ends the calls that it does not wait for, as it ends its cluster.

    >>> import nbray
    >>> with nbray.Executor() as executor:
    ...     print(executor.submit(pow, 2, 10).result(), list(executor.map(abs, [-1, 2])))
    1024 [1, 2]
    """

    def __init__(
        self, max_workers: int | None = None, *, initializer: Function | None = None, initargs: Sequence[Any] = (),
        **options: Any,
    ) -> None:  # fmt: skip
        self._options = checked_options(options)
        self._max_workers = checked_count("max_workers", max_workers)
        self._setup = None if initializer is None else Setup(initializer, tuple(initargs))
        self._lock = threading.RLock()
        """Guards what follows; reentrant, since a finalizer that runs inside may submit."""
        self._idle = threading.Condition(self._lock)
        self._open: set[CallFuture] = set()
        """Futures that are not done."""
        self._held_back: deque[CallFuture] = deque()
        """Those beyond `max_workers`, which the cluster has not been given."""
        self._running = 0
        self._limit: int | None = None
        self._limit_known = False
        self._closed = False
        self._broken = ""
        self._prepared: dict[int, Prepared] = {}
        self.completions = Completions("nbray-executor")

    # ---------------------------------------------------------------- what users call

    def submit(self, fn: Function, /, *args: Any, **kwargs: Any) -> CallFuture:
        """Submit a call and return its future at once. Raises NotShippable, and RuntimeError after `shutdown`."""
        return self.submit_call(self._prepare(fn), args, kwargs)

    def map(
        self, fn: Function, *iterables: Iterable[Any], timeout: float | None = None, chunksize: int = 1,
        buffersize: int | None = None,
    ) -> Iterator[Any]:  # fmt: skip
        """The results in order; all calls are submitted at once, or with `buffersize` only so many ahead of the consumer.

        `chunksize` calls travel and run together. An exception is raised in its place and cancels what has not begun, and
        so does TimeoutError where a result is missing `timeout` seconds after this call.
        """
        check_timeout(timeout)
        size, ahead = checked_count("chunksize", chunksize) or 1, checked_count("buffersize", buffersize)
        deadline = None if timeout is None else time.monotonic() + timeout
        rows = zip(*iterables, strict=False)
        submitted = self._submit_rows(fn, rows) if size == 1 else self._submit_chunks(fn, rows, size)
        window = deque(submitted if ahead is None else itertools.islice(submitted, ahead))
        return self._results(window, submitted, _single if size == 1 else _unpack_chunk, deadline)

    def shutdown(self, wait: bool = True, *, cancel_futures: bool = False) -> None:
        """Take no more calls; `wait` until all have ended. With `cancel_futures` those that no worker has begun are cancelled."""
        with self._lock:
            self._closed = True
            futures = list(self._open) if cancel_futures else []
        self._withdraw(futures)
        if wait:
            backend = session.current.backend
            with contextlib.nullcontext() if backend is None or not self._open else backend.waiting(), self._idle:
                self._idle.wait_for(lambda: not self._open)

    def cancel_all(self) -> None:
        """Cancel every call, running ones too; does not wait for their ends."""
        with self._lock:
            futures, held_back = list(self._open), list(self._held_back)
            self._held_back.clear()
        for future in held_back:
            future.give_up()
        for backend, ids in by_backend(futures).items():
            backend.abandon(ids)

    # ---------------------------------------------------------------- for pools and joblib

    def submit_call(self, function: Function, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> CallFuture:
        """Submit a call of a function that is prepared."""
        with self._lock:
            self._check_open()
            limit = self._limit if self._limit_known else self._find_limit()
            future = CallFuture(self, function, args, kwargs)
            self._open.add(future)
            waits = limit is not None and self._running >= limit
            if waits:
                self._held_back.append(future)
            else:
                self._running += 1
        if not waits:
            try:
                future.launch()
            except BaseException:
                self.ended(future)
                raise
        return future

    @property
    def options(self) -> CallOptions:
        """The options of each call."""
        return self._options

    def ended(self, future: CallFuture) -> None:
        """The future is done: the next call that was held back may go."""
        following = None
        with self._lock:
            if future not in self._open:
                return
            self._open.discard(future)
            if future.launched:
                self._running -= 1
                following = self._next()
            if not self._open:
                self._idle.notify_all()
        if following is not None:
            following.launch_late()

    def mark_broken(self, reason: str) -> None:
        """The initializer has failed: no more calls are taken, as with the executors of the standard library."""
        self._broken = reason

    def withdraw_held_back(self, future: CallFuture) -> bool:
        """Take back a call that the cluster has not been given."""
        with self._lock:
            if future not in self._held_back:
                return False
            self._held_back.remove(future)
            return True

    # ---------------------------------------------------------------- inside

    def _check_open(self) -> None:
        if self._broken:
            raise concurrent.futures.BrokenExecutor(self._broken)
        if self._closed:
            raise RuntimeError("cannot schedule new futures after shutdown: make a new nbray.Executor()")

    def _find_limit(self) -> int | None:
        """`max_workers` where it is less than what the cluster runs at once anyway; then nothing needs to be held back."""
        wanted = self._max_workers
        if wanted is not None and wanted < slots(session.current_backend(), self._options):
            self._limit = wanted
        self._limit_known = True
        return self._limit

    def _next(self) -> CallFuture | None:
        if not self._held_back:
            return None
        self._running += 1
        return self._held_back.popleft()

    def _prepare(self, fn: Function) -> Function:
        known = self._prepared.get(id(fn))
        if known is not None:
            return known[1]
        plain = fn.function if isinstance(fn, RemoteFunction) else fn
        if not callable(plain):
            raise WrongType(f"Executor.submit({fn!r}, ...): expected the function first, as in executor.submit(pow, 2, 10)")
        check_gives_one_value(plain)
        function = plain if self._setup is None else functools.partial(run_after_setup, plain, self._setup)
        with self._lock:
            while len(self._prepared) >= REMEMBERED:
                del self._prepared[next(iter(self._prepared))]
            self._prepared[id(fn)] = fn, function
        return function

    def _submit_rows(self, fn: Function, rows: Iterator[tuple[Any, ...]]) -> Iterator[CallFuture]:
        function = self._prepare(fn)
        return (self.submit_call(function, row, {}) for row in rows)

    def _submit_chunks(self, fn: Function, rows: Iterator[tuple[Any, ...]], size: int) -> Iterator[CallFuture]:
        self._prepare(fn)
        function = self._prepare(functools.partial(run_chunk, fn.function if isinstance(fn, RemoteFunction) else fn))
        chunks = iter(lambda: list(itertools.islice(rows, size)), [])
        return (self.submit_call(function, (list(map(list, zip(*chunk, strict=True))), []), {}) for chunk in chunks)

    def _results(
        self, window: deque[CallFuture], submitted: Iterator[CallFuture], unpack: Callable[[Any], Iterable[Any]],
        deadline: float | None,
    ) -> Iterator[Any]:  # fmt: skip
        """The values of the futures in the window, which moves on over those that are yet to be submitted."""
        try:
            while window:
                left = None if deadline is None else max(0.0, deadline - time.monotonic())
                value = window[0].result(left)
                window.popleft()
                window.extend(itertools.islice(submitted, 1))
                yield from unpack(value)
        finally:
            self._withdraw(window)

    def _withdraw(self, futures: Iterable[CallFuture]) -> None:
        for future in futures:
            if self.withdraw_held_back(future):
                future.give_up()
        for backend, ids in by_backend(futures).items():
            backend.withdraw(ids)


def _single(value: Any) -> Iterable[Any]:
    return (value,)


def _unpack_chunk(outcome: tuple[float, list[Any], list[tuple[int, DumpedException]]]) -> Iterator[Any]:
    _, results, failures = outcome
    if not failures:
        yield from results
        return
    row, dumped = failures[0]
    yield from results[:row]
    raise load_exception(*dumped)


def checked_options(options: Mapping[str, Any]) -> CallOptions:
    """The options of the calls of an executor, each of which has one result."""
    checked = call_options.build(options)
    if checked.num_returns != 1:
        raise UsageError(f"num_returns={options['num_returns']!r}: a future has one result; return a tuple instead")
    return checked


def checked_count(name: str, value: Any) -> int | None:
    """A whole number of at least 1, or None."""
    if value is not None and (not isinstance(value, int) or isinstance(value, bool) or value < 1):
        raise UsageError(f"{name}={value!r}: expected a whole number >= 1, for example {name}=2, or leave it out")
    return value
