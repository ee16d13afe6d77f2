"""joblib's batches as bytes: pickled here and run in a worker, with their large arrays beside them in the store."""

from __future__ import annotations

import contextlib
import io
import pickle
from collections.abc import Callable
from typing import Any

from nbray.errors import NotShippable
from nbray.fallback_pickler import FallbackPickler
from nbray.objects import ObjectRef, put
from nbray.pickler import PROTOCOL, FastPickler, ReferenceCollector
from nbray.shippability import dump_or_explain

LARGE = 64 * 1024
"""Arrays of so many bytes go through the store."""


class SharedArrays:
    """Large arrays that are in the store, each once, however many batches have it and wherever it stands in them.

    Two arrays are the same when they lie at the same place in memory: a DataFrame makes new ones over its own data each time
    it is pickled. Each is kept alive here, so that nothing else comes to lie there.
    """

    def __init__(self) -> None:
        self._known: dict[tuple[Any, ...], tuple[ObjectRef, Any]] = {}

    def share(self, array: Any) -> ObjectRef:
        """The reference to an array in the store."""
        place = (array.__array_interface__["data"][0], array.shape, array.strides, array.dtype.str)
        known = self._known.get(place)
        if known is None:
            known = self._known[place] = put(array), array
        return known[0]


class _Sharing:
    """The persistent ids of one pickling: numbers of arrays, which travel beside the bytes."""

    def __init__(self, arrays: SharedArrays) -> None:
        self._arrays = arrays
        self.refs: dict[ObjectRef, int] = {}

    def persistent_id(self, obj: Any) -> int | None:
        kind = type(obj)
        if kind.__name__ != "ndarray" or kind.__module__ != "numpy" or obj.nbytes < LARGE or obj.dtype.hasobject:
            return None
        return self.refs.setdefault(self._arrays.share(obj), len(self.refs))


class _FastBatchPickler(FastPickler):
    """Everything but large arrays in band, so that it arrives writable."""

    def __init__(self, file: io.BytesIO, sharing: _Sharing) -> None:
        super().__init__(file, PROTOCOL)
        self.persistent_id = sharing.persistent_id  # type: ignore[method-assign]


class _Unpickler(pickle.Unpickler):
    """Arrays from `read_only` bytes on are views into the store; smaller ones are copies, which the code may write to."""

    def __init__(self, file: io.BytesIO, arrays: tuple[Any, ...], read_only: float) -> None:
        super().__init__(file)
        self._arrays = [array if array.nbytes >= read_only else array.copy() for array in arrays]

    def persistent_load(self, pid: Any) -> Any:
        return self._arrays[pid]


def pack(batch: Callable[[], Any], arrays: SharedArrays) -> tuple[bytes, list[ObjectRef]]:
    """A batch as bytes, and the references to its large arrays. Raises NotShippable."""
    with ReferenceCollector():  # a handle travels as a reference; who calls joblib keeps it meanwhile
        return _pack(batch, arrays)


def _pack(batch: Callable[[], Any], arrays: SharedArrays) -> tuple[bytes, list[ObjectRef]]:
    file, sharing = io.BytesIO(), _Sharing(arrays)
    try:
        _FastBatchPickler(file, sharing).dump(batch)
    except (NotShippable, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a value's own __reduce__ may raise anything
        file, sharing = io.BytesIO(), _Sharing(arrays)
        pickler = FallbackPickler(file, lambda buffer: True, sharing.persistent_id)
        dump_or_explain(pickler, batch, "a batch of joblib", error)
    return file.getvalue(), list(sharing.refs)


def run_batch(threads: int | None, read_only: float, blob: bytes, *arrays: Any) -> bytes:
    """Run a batch in a worker, whose libraries use `threads` threads of their own; returns the results as bytes.

    Its arrays of at least `read_only` bytes cannot be written to.
    """
    batch = _Unpickler(io.BytesIO(blob), arrays, read_only).load()
    with _limited(threads):
        results = batch()
    return _dump_results(results)


def unpack(blob: bytes) -> Any:
    """The results; their arrays are writable, as with joblib's own backends."""
    return pickle.loads(blob)


def _limited(threads: int | None) -> contextlib.AbstractContextManager[Any]:
    if threads is None:
        return contextlib.nullcontext()  # the worker has seen to it: as many as the task has CPUs
    import threadpoolctl

    return threadpoolctl.threadpool_limits(threads)  # type: ignore[no-any-return]


def _dump_results(results: Any) -> bytes:
    file = io.BytesIO()
    try:
        FastPickler(file, PROTOCOL).dump(results)
    except (NotShippable, MemoryError):
        raise
    except Exception as error:  # noqa: BLE001 - a value's own __reduce__ may raise anything
        file = io.BytesIO()
        dump_or_explain(FallbackPickler(file, lambda buffer: True), results, "the results of a batch of joblib", error)
    return file.getvalue()
