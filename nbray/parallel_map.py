"""`nbray.map`: a function over many items, in chunks that size themselves."""

from __future__ import annotations

import functools
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from nbray import call_options, session
from nbray.backends.backend import Backend, CallOptions
from nbray.chunk_sizes import ChunkSizes
from nbray.chunks import Chunk, Columns, Failed, Source, run_chunk, run_item, take_out_refs
from nbray.errors import UsageError, WrongType
from nbray.functions import name_of
from nbray.ids import ObjectId
from nbray.objects import ObjectRef
from nbray.remote_functions import RemoteFunction, check_gives_one_value

Function = Callable[..., Any]


def parallel_map(
    function: Function | RemoteFunction, *iterables: Iterable[Any], ordered: bool = True, chunksize: int | None = None,
    **options: Any,
) -> MapResult:  # fmt: skip
    """Call the function for each item on the cluster; returns an iterator over the results, which starts to work at once.

    Several iterables give the function several arguments, and the shortest one ends it. With `ordered=False` results come
    as they are ready. Items travel in chunks that grow to about 50 ms of work each, or of `chunksize`; the work runs
    ahead of the consumer, and of an endless iterable, by a bounded number of chunks. The options are those of remote
    functions, for each chunk; with `timeout` or `retry_exceptions` each item is a task of its own.

    An item's exception is raised where its result would come; the results after it stay to be had. `list(...)` and
    `.get()` give all results; an iterator that is closed or dropped cancels what has not run.

    >>> import nbray
    >>> list(nbray.map(abs, [-1, 2, -3]))
    [1, 2, 3]
    """
    plain: Function = function
    if isinstance(function, RemoteFunction):
        plain, options = function.function, {**function.given, **options}
    _check(plain, iterables, chunksize)
    checked = call_options.build({"name": name_of(plain), **options})
    if checked.num_returns != 1:
        raise UsageError(f"num_returns={options['num_returns']!r}: nbray.map gives one result an item; return a tuple instead")
    by_item = bool(checked.retry_exceptions or checked.timeout)
    call = functools.partial(run_item if by_item else run_chunk, plain)
    backend = session.current_backend()
    total = _length(iterables)
    sizes = ChunkSizes(slots(backend, checked), total, 1 if by_item else chunksize)
    return MapResult(call, Source(iterables), sizes, checked, backend, total, ordered)


def _check(function: Any, iterables: Sequence[Any], chunksize: Any) -> None:
    if not callable(function):
        raise WrongType(f"nbray.map({function!r}, ...): expected the function first, as in nbray.map(abs, [-1, 2])")
    check_gives_one_value(function)
    if not iterables:
        raise UsageError(f"nbray.map({name_of(function)}) has nothing to go through: nbray.map({name_of(function)}, items)")
    for each in iterables:
        if isinstance(each, ObjectRef):
            raise WrongType(f"nbray.map got {each!r} to go through: write nbray.map(f, nbray.get(ref)), or [ref] for one item")
        if not isinstance(each, Iterable) and not hasattr(each, "__getitem__"):
            raise WrongType(f"nbray.map cannot go through {each!r} ({type(each).__name__}): expected a list or an iterable")
    if chunksize is not None and (not isinstance(chunksize, int) or isinstance(chunksize, bool) or chunksize < 1):
        raise UsageError(f"chunksize={chunksize!r}: expected a whole number >= 1, or None to let nbray choose")


def _length(iterables: Sequence[Any]) -> int | None:
    """How many items there will be, where all iterables know their length."""
    if all(hasattr(each, "__len__") for each in iterables):
        return min(len(each) for each in iterables)
    return None


def slots(backend: Backend, options: CallOptions) -> int:
    """How many such tasks the cluster runs at once."""
    total = backend.snapshot().resources
    asked = options.resources or call_options.build({}).resources
    return min(total.get(name, 0) // units for name, units in asked.items())


class MapResult:
    """The results of `nbray.map`, in order or as they come: an iterator, with `len` where the items have one."""

    def __init__(
        self, call: Function, source: Source, sizes: ChunkSizes, options: CallOptions, backend: Backend, total: int | None,
        ordered: bool,
    ) -> None:  # fmt: skip
        self._in_flight: dict[ObjectId, Chunk] = {}
        self._untaken: deque[Chunk] = deque()
        """In flight or ended, in order: of submission, or where that does not matter, of their ends."""
        self._call = call
        self._source = source
        self._sizes = sizes
        self._options = options
        self._backend = backend
        self._cell_run = session.current_cell_run()
        self._ordered = ordered
        self._total = total
        self._submitted = 0
        self._done = 0
        self._current: Chunk | None = None
        self._collected: list[Any] = []
        self._first_failed: Failed | None = None
        self._submit()

    # ---------------------------------------------------------------- what users call

    def __iter__(self) -> Iterator[Any]:
        while (chunk := self._chunk()) is not None:
            assert chunk.rest is not None
            if chunk.failed is None:
                yield from chunk.rest
            else:
                for result in chunk.rest:
                    if type(result) is Failed:
                        raise result.error
                    yield result
            self._current = None

    def __next__(self) -> Any:
        for result in self:
            return result
        raise StopIteration

    def __len__(self) -> int:
        if self._total is None:
            raise TypeError("this nbray.map goes through an iterable without a length, so how many results come is not known")
        return self._total

    def get(self, *, return_exceptions: bool = False) -> list[Any]:
        """All results that were not taken yet, as a list.

        The first failure is raised; `get(return_exceptions=True)` has then, too, each item's result or exception.
        """
        while (chunk := self._chunk()) is not None:
            assert chunk.rest is not None
            self._collected.extend(chunk.rest)
            self._first_failed = self._first_failed or chunk.failed
            self._current = None
            if self._first_failed is not None and not return_exceptions:
                break
        if return_exceptions:
            return [each.error if type(each) is Failed else each for each in self._collected]
        if self._first_failed is not None:
            raise self._first_failed.error
        return self._collected

    def close(self) -> None:
        """Cancel what has not run; results that are here already can still be taken."""
        self._source.ended = True
        chunks, self._in_flight = self._in_flight, {}
        if chunks:
            self._untaken = deque(chunk for chunk in self._untaken if chunk.rest is not None)
            self._backend.cancel(list(chunks))

    def __enter__(self) -> MapResult:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        chunks = getattr(self, "_in_flight", None)
        if chunks and self._backend is session.current.backend and not self._backend.lost:
            self._backend.abandon(list(chunks))

    def __repr__(self) -> str:
        of = "" if self._total is None else f" of {self._total:,}"
        return f"MapResult({self._options.name}, {self._done:,}{of} items done)"

    # ---------------------------------------------------------------- chunks

    def _chunk(self) -> Chunk | None:
        """The chunk whose results come next, with results left or not; None at the end."""
        while self._current is None:
            if self._untaken and self._untaken[0].rest is not None:
                self._current = self._untaken.popleft()
            elif not self._in_flight and not self._submit():
                error, self._source.error = self._source.error, None
                if error is not None:
                    raise error
                return None
            else:
                self._reap()
            self._submit()
        return self._current

    def _submit(self) -> int:
        """Keep the workers fed; returns how many chunks were submitted."""
        count = 0
        while not self._source.ended and self._sizes.may_submit(len(self._in_flight), len(self._untaken)):
            size = self._sizes.take()
            columns = self._source.cut(size) if size else []
            if not columns or not len(columns[0]):
                self._source.ended = True
                break
            self._submit_chunk(columns)
            count += 1
        return count

    def _submit_chunk(self, columns: Columns) -> None:
        rows = len(columns[0])
        columns, holes, refs = take_out_refs(columns)
        (object_id,) = self._backend.submit(self._call, (columns, holes, *refs), {}, self._options, self._cell_run)
        chunk = Chunk(self._submitted, rows, ObjectRef(object_id, self._backend.epoch, self._options.name))
        self._submitted += rows
        self._in_flight[object_id] = chunk
        if self._ordered:
            self._untaken.append(chunk)

    def _reap(self) -> None:
        """Wait until a chunk has ended, and take over all that have."""
        for object_id in self._ready():
            chunk = self._in_flight[object_id]
            seconds = chunk.take_over(self._backend, self._options.name)
            del self._in_flight[object_id]
            self._done += chunk.count
            if seconds is not None:
                self._sizes.ran(chunk.count, seconds)
            if not self._ordered:
                self._untaken.append(chunk)

    def _ready(self) -> list[ObjectId]:
        submitted = list(self._in_flight)
        ready = self._backend.wait(submitted, 1)
        return [object_id for object_id in submitted if object_id in ready]
