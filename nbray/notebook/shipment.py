"""The inputs of a `%%remote` cell on their way: bytes that each run unpacks afresh, large buffers stored once by content.

They travel as bytes inside the task's function, since a worker keeps functions: a run must not find what an earlier one has
changed, and a worker must not keep alive what a cell took along.
"""

from __future__ import annotations

import copy
import pickle
import types
from collections.abc import Iterable, Mapping, Sequence
from importlib import import_module
from typing import Any

from nbray import serialization
from nbray.ids import ObjectId
from nbray.notebook import run_measures
from nbray.notebook.remote_cell import CellCode, CellOutcome, run_cell

Buffers = Sequence[Any]
"""Objects that speak the buffer protocol."""


class Shipment:
    """Values by name, with the namespace that functions of the notebook share."""

    def __init__(self, stream: bytes, buffers: Buffers, nested: Sequence[ObjectId] = ()) -> None:
        self._stream = stream
        self._buffers = buffers
        self._nested = nested

    @classmethod
    def of(cls, values: Mapping[str, Any], namespace: dict[str, Any]) -> Shipment:
        """Pack values of a notebook with this namespace. Raises NotShippable.

        The values are referred to, not copied, so they must not change before the shipment is pickled.
        """
        # A function of the notebook: all such that travel together share one dict of globals on the other side.
        home = types.FunctionType((lambda: None).__code__, namespace, "home")
        return cls(*serialization.dumps((home, dict(values)), "the cell"))

    def __reduce__(self) -> Any:
        for object_id in self._nested:
            serialization.note_reference(object_id)
        return Shipment, (self._stream, list(self._buffers))

    @property
    def size(self) -> int:
        """Bytes, those included that the cluster has already."""
        return len(self._stream) + sum(memoryview(buffer).nbytes for buffer in self._buffers)

    def unpack(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """The values, and the namespace in which functions among them look up their globals; new ones at each call."""
        home, values = pickle.loads(self._stream, buffers=self._buffers)
        return values, home.__globals__


def run_shipped(
    code: CellCode, shipment: Shipment, modules: Mapping[str, str], submodules: Sequence[str], wanted: tuple[str, ...],
    changed: Sequence[str], only_wanted: bool,
) -> CellOutcome:  # fmt: skip
    """Run a cell in the namespace that its functions share, so that they see what it assigns; in the worker."""
    run_measures.begin()
    for name in submodules:
        import_module(name)
    values, namespace = shipment.unpack()
    return run_cell(code, with_own(values, changed), modules, wanted, namespace, only_wanted=only_wanted)


def with_own(values: Mapping[str, Any], changed: Iterable[str]) -> dict[str, Any]:
    """The values, those that the cell changes in place as copies: arrays arrive as read-only views of the store."""
    own: dict[int, Any] = {}
    return {**values, **{name: own_copy(values[name], own) for name in changed if name in values}}


def own_copy(value: Any, copied: dict[int, Any]) -> Any:
    """A deep copy, in which what was shared with values `copied` before still is; a value that refuses stays as it is."""
    try:
        return copy.deepcopy(value, copied)
    except Exception:  # noqa: BLE001 - the value's own __deepcopy__ may raise anything
        return value
