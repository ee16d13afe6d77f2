"""What fills the store and who keeps it there: objects with their holders, and in this process the names that hold refs."""

from __future__ import annotations

import gc
import html
import sys
import types
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from nbray import session
from nbray.actor_handles import ActorHandle
from nbray.cluster_info import format_bytes
from nbray.ids import ObjectId
from nbray.introspection import list_objects
from nbray.objects import ObjectRef
from nbray.snapshot import StoreSnapshot
from nbray.tables import Rows

DEEPEST = 3
"""So many containers inside each other are looked into for refs."""
MOST_ITEMS = 10_000
"""So many items of one container are looked at."""
MOST_PARTS = 1000
"""So many parts of any other value, as a frame or a model, are looked into for arrays over the store."""

_NO_PARTS = (types.ModuleType, types.FunctionType, types.BuiltinFunctionType, types.FrameType, type)
"""What leads to all that there is."""

_COLUMNS = ("object_id", "size", "state", "place", "cell", "holders", "names")


class MemoryReport:
    """The objects of a cluster, the largest first; `rows` has them as records, sizes in bytes."""

    def __init__(self, store: StoreSnapshot, rows: Rows) -> None:
        self.store = store
        self.rows = rows

    @property
    def headline(self) -> str:
        """How full the store is."""
        store = self.store
        small = f", small values in the scheduler {format_bytes(store.inline)}" if store.inline else ""
        return f"store: {format_bytes(store.used)} of {format_bytes(store.limit)} in {store.objects} objects{small}"

    def _shown(self) -> Rows:
        return Rows(self.rows.columns, ([_readable(name, row[name]) for name in self.rows.columns] for row in self.rows))

    def __repr__(self) -> str:
        return f"{self.headline}\n{self._shown()!r}"

    def _repr_html_(self) -> str:
        return f"<p>{html.escape(self.headline)}</p>{self._shown()._repr_html_()}"


def memory(limit: int = 50, names: Mapping[str, Any] | None = None) -> MemoryReport:
    """What is in the store, the largest objects first: who keeps each alive, and which names here hold refs to it.

    Names are those of the notebook, or `__main__`, with `Out[3]` for a cell's value that IPython keeps. A handle keeps its
    object as a ref does. An array that was got from the store, also one inside a frame or a model, keeps its object without
    a ref, and is found by its name too. `names` are other names to look at.

    >>> import nbray
    >>> table = nbray.put(bytes(2_000_000))
    >>> nbray.memory(names={"table": table}).rows[0]["names"]
    ['table']
    """
    store = session.current_backend().snapshot().store
    return report(store, list_objects(limit=limit), names_of_objects(user_names() if names is None else names))


def report(store: StoreSnapshot, objects: Rows, named: Mapping[str, list[str]]) -> MemoryReport:
    """The report on these objects, as `list_objects` has them, with the names that hold each, by its id."""
    rows = Rows(
        _COLUMNS,
        (
            (row.object_id, row.object_size, row.state, row.place, row.cell, row.holders, named.get(row.object_id, []))
            for row in objects
        ),
    )
    return MemoryReport(store, rows)


def user_names() -> Mapping[str, Any]:
    """The names of the notebook that runs here, or of the script."""
    shell = getattr(sys.modules.get("IPython"), "get_ipython", lambda: None)()
    return vars(sys.modules["__main__"]) if shell is None else shell.user_ns


def names_of_objects(names: Mapping[str, Any]) -> dict[str, list[str]]:
    """By object id, in hex, the expressions that hold a ref to it, or an array over it: "model", "results[3]", "Out[7]"."""
    found: dict[str, list[str]] = {}
    outputs = names.get("Out")
    for name, value in list(names.items()):
        if name == "Out" and isinstance(value, dict):
            pairs: Iterable[tuple[str, Any]] = [(f"Out[{number}]", each) for number, each in list(value.items())]
        elif isinstance(outputs, dict) and _is_history(name):
            continue  # _, __, _7: the same values as in Out
        else:
            pairs = [(name, value)]
        for expression, each in pairs:
            for path, object_id in _objects(expression, each, 0):
                found.setdefault(f"{object_id:016x}", []).append(path)
    return found


def _is_history(name: str) -> bool:
    return name.strip("_") == "" or (name[:1] == "_" and name[1:].isdigit()) or name in ("_oh", "_i", "_ii", "_iii", "_ih", "In")


def _objects(path: str, value: Any, depth: int) -> Iterator[tuple[str, ObjectId]]:
    if isinstance(value, ObjectRef):
        yield path, value.id
    elif hasattr(type(value), "__nbray_ref__"):
        yield path, value.__nbray_ref__().id
    elif isinstance(value, ActorHandle):
        yield path, value._actor_id
    elif _is_array(value):
        yield from ((path, object_id) for object_id in _under([value]))
    elif depth < DEEPEST and isinstance(value, (list, tuple)):
        for index, each in enumerate(value[:MOST_ITEMS]):
            yield from _objects(f"{path}[{index}]", each, depth + 1)
    elif depth < DEEPEST and type(value) is dict:
        for key, each in list(value.items())[:MOST_ITEMS]:
            yield from _objects(f"{path}[{key!r}]", each, depth + 1)
    elif type(value).__module__ != "builtins" and not isinstance(value, _NO_PARTS):
        yield from ((path, object_id) for object_id in _under(_arrays_inside(value)))


def _is_array(value: Any) -> bool:
    return type(value).__module__ == "numpy" and hasattr(value, "__array_interface__")


def _under(arrays: Iterable[Any]) -> set[ObjectId]:
    """The objects over which arrays lie."""
    found = (session.current_backend().object_at(array.__array_interface__["data"][0]) for array in arrays)
    return {object_id for object_id in found if object_id is not None}


def _arrays_inside(value: Any) -> Iterator[Any]:
    """The arrays that a frame, a model or an instance holds, as far as a short walk finds them."""
    waiting, seen = [value], {id(value)}
    while waiting and len(seen) < MOST_PARTS:
        for part in gc.get_referents(waiting.pop()):
            if id(part) in seen or isinstance(part, _NO_PARTS):
                continue
            seen.add(id(part))
            if _is_array(part):
                yield part
            elif gc.is_tracked(part) or isinstance(part, (dict, tuple)):  # of arrays alone those need no tracking
                waiting.append(part)


def _readable(column: str, value: Any) -> Any:
    return format_bytes(value) if column == "size" else value
