"""One run of a `%%parallel` cell: a task for each item, the results in order, and those that failed once more."""

from __future__ import annotations

import functools
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from msgspec import structs

from nbray import serialization, session
from nbray.backends.backend import Backend, CallOptions
from nbray.dual_errors import original
from nbray.errors import NotShippable, TaskCancelledError
from nbray.ids import ObjectId
from nbray.notebook import cell_runs, cells, homecoming, promises
from nbray.notebook.cell_history import HISTORY
from nbray.notebook.cells import CellOptions, RemoteCell
from nbray.notebook.inputs import gather
from nbray.notebook.item_cell import run_item
from nbray.objects import ObjectRef
from nbray.wording import count_text, one_line

SHOWN_FAILURES = 5

Call = Callable[[Mapping[str, Any]], dict[str, Any]]


class Item(NamedTuple):
    """One item of the loop."""

    label: str
    bound: dict[str, Any]
    """The target's names with their values."""


class ParallelRun:
    """What a `%%parallel` cell has given so far, and what is left of it; used by the thread that runs cells.

    The lists of results are made once and filled in place, so that a retry also mends what `Out` and names hold. A failed
    item's place has its exception, that of an item which has not run None.
    """

    def __init__(self, cell: RemoteCell, given: CellOptions, options: CallOptions, items: Sequence[Item]) -> None:
        self.cell = cell
        self._given = given
        self._options = options
        self._items = items
        self._left = dict.fromkeys(range(len(items)))
        self._errors: dict[int, BaseException] = {}
        self._backend: Backend | None = None
        self._refs: dict[int, ObjectRef] = {}
        self.results: dict[str, list[Any]] = {name: [None] * len(items) for name in cell.wanted}

    @property
    def number(self) -> str:
        """The number of its cell, "4" for [4]."""
        return self.cell.code.label.strip("[]")

    @property
    def left(self) -> int:
        """How many items have given nothing: they failed, were stopped, or have not run."""
        return len(self._left)

    @property
    def size(self) -> int:
        """How many items there are."""
        return len(self._items)

    @property
    def runs(self) -> bool:
        """Whether items have been submitted whose results nobody has taken."""
        return bool(self._refs)

    @property
    def refs(self) -> Sequence[ObjectRef]:
        """The results of those."""
        return tuple(self._refs.values())

    @property
    def first_error(self) -> BaseException | None:
        """What the first of the failed items raised."""
        return self._errors[min(self._errors)] if self._errors else None

    # ---------------------------------------------------------------- running

    def start(self, shell: Any) -> None:
        """Submit the items that are left, with the values that the notebook's names have now; raises what forbids that."""
        backend = cells.cluster_for_cells(self._given.magic)
        call = self._call(shell)
        refs = self._submit(backend, call)
        self._errors.clear()
        self._backend, self._refs = backend, refs
        self._promise(backend, refs)

    def finish(self) -> None:
        """Wait until all have ended. What items raise is kept, not raised.

        An interrupt of the waiting goes through; what is there by then is kept.
        """
        backend, refs = self._backend, self._refs
        assert backend is not None
        try:
            for index, ref in refs.items():
                self._take(index, backend, ref.id)
        except BaseException:
            promises.keep(refs.values())
            self._take_what_is_there(backend, refs)
            raise
        finally:
            self._backend, self._refs = None, {}

    def _call(self, shell: Any) -> Call:
        """What runs the body for an item, with the notebook's values of now: a function may have been mended since."""
        cell, kept = self.cell, self._given.kept or ()
        needed = [name for name in cell.names.needed if name not in kept]
        inputs = gather(needed, shell.user_ns, cell.code.source, only=self._given.inputs, is_own=cells.owned_by(shell))
        shipment = cells.shipment_of(cell._replace(inputs=inputs))
        HISTORY.note_inputs(cell_runs.current(), inputs.values, shipment.size)
        return functools.partial(
            run_item, cell.code, shipment, inputs.modules, inputs.submodules, cell.wanted, cell.names.changed
        )

    def _submit(self, backend: Backend, call: Call) -> dict[int, ObjectRef]:
        refs: dict[int, ObjectRef] = {}
        cell_run = session.current_cell_run()
        try:
            for index in self._left:
                label, bound = self._items[index]
                [object_id] = backend.submit(call, (bound,), {}, structs.replace(self._options, name=label), cell_run)
                refs[index] = ObjectRef(object_id, backend.epoch, label)
        except Exception as error:
            backend.cancel([ref.id for ref in refs.values()])
            if isinstance(error, NotShippable):
                raise _named(error, index, bound) from None
            raise
        return refs

    def _promise(self, backend: Backend, refs: Mapping[int, ObjectRef]) -> None:
        if len(refs) == len(self._items):  # of a retry the other results are in this process alone
            ids = [ref.id for ref in refs.values()]
            promise = promises.Promise(kind="items", ids=ids, wanted=self.cell.wanted, required=True)
            promises.give(backend, session.current_cell_run(), promise)

    def _take(self, index: int, backend: Backend, object_id: ObjectId) -> None:
        """Wait for one item and note what became of it."""
        try:
            values = backend.get([object_id])[0]
        except Exception as error:  # noqa: BLE001 - what the item raised, an exit or an interrupt of its own included
            self._fail(index, error.with_traceback(None))
        else:
            self._succeed(index, values)

    def _succeed(self, index: int, values: Mapping[str, Any]) -> None:
        copied: dict[int, Any] = {}
        for name, results in self.results.items():
            results[index] = homecoming.own(values[name], copied)
        self._left.pop(index, None)

    def _fail(self, index: int, error: BaseException) -> None:
        self._errors[index] = error
        for results in self.results.values():
            results[index] = error

    def _forget(self, index: int) -> None:
        """The item has not run."""
        del self._errors[index]
        for results in self.results.values():
            results[index] = None

    def _take_what_is_there(self, backend: Backend, refs: Mapping[int, ObjectRef]) -> None:
        waiting = {ref.id: index for index, ref in refs.items() if index in self._left and index not in self._errors}
        if not backend.lost and waiting:
            ready = backend.wait(list(waiting), len(waiting), 0.0)
            for index in [waiting[object_id] for object_id in waiting if object_id in ready]:
                self._take(index, backend, refs[index].id)
                if isinstance(self._errors.get(index), TaskCancelledError):  # by what interrupted the wait
                    self._forget(index)

    # ---------------------------------------------------------------- what the user reads

    def summary(self, names: Sequence[str]) -> str:
        """Which items failed and why, what has not run, which names hold the results, what to type; "" when all is well."""
        if not self._left:
            return ""
        failed = [index for index in sorted(self._errors) if not isinstance(self._errors[index], TaskCancelledError)]
        counts = {"failed": len(failed), "not run to the end": len(self._left) - len(failed)}
        words = " and ".join(f"{count:,} {word}" for word, count in counts.items() if count)
        lines = [f"nbray: {words}, of {count_text(len(self._items), 'item')}."]
        lines += [f"  {self._line(index)}" for index in failed[:SHOWN_FAILURES]]
        if len(failed) > SHOWN_FAILURES:
            lines.append(f"  and {len(failed) - SHOWN_FAILURES:,} more")
        if names:
            places = ["an exception where an item failed"] * bool(self._errors)
            places += ["None where one has not run"] * (len(self._errors) < len(self._left))
            lines.append(f"{', '.join(names)}: the results, with {' and '.join(places)}.")
        lines.append(f"%nbray retry {self.number} runs these items again, and only these.")
        return "\n".join(lines) + "\n"

    def _line(self, index: int) -> str:
        error = original(self._errors[index])
        return f"[{index}] {self._items[index].label}: {one_line(f'{type(error).__name__}: {error}', 150)}"


def _named(error: NotShippable, index: int, bound: Mapping[str, Any]) -> NotShippable:
    """The same error with the way from the loop's name to the culprit."""
    for name, value in bound.items():
        try:
            serialization.dumps(value, name)
        except NotShippable as found:
            return NotShippable(f"item [{index}]: {found}")
    return error
