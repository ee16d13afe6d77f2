"""How large a value is, told without pickling it: what arrays and frames say themselves, and a sample of what containers hold."""

from __future__ import annotations

import types
from collections.abc import Callable, Iterable
from itertools import islice
from typing import Any, NamedTuple

from nbray.by_value import used_globals
from nbray.importability import is_importable

SAMPLE = 20
"""So many items of a container are looked at."""
DEEPEST = 3
CODE_PARTS, IMPORTED_PARTS = 200, 10
"""So many pieces is a function or class of a notebook, and one that is imported by its name."""
_PICKLING = ("__reduce_ex__", "__reduce__", "__getstate__", "__getattribute__")
MOST_COLUMNS = 200
"""Of a frame with more nobody looks at each."""
_PLAIN = (bool, int, float, complex, type(None))
_SEQUENCES = (list, tuple, set, frozenset)


class Weight(NamedTuple):
    """Bytes, and how many pieces a walk over the value would meet; both are estimates where it holds other values."""

    size: int
    parts: int


UNKNOWN = Weight(0, -1)
"""It cannot be told without calling the value's own code."""


def weigh(value: Any, depth: int = 0) -> Weight:
    """The weight of a value; takes microseconds, whatever the value.

    >>> weigh(b"x" * 1000), weigh([1.5] * 1000), weigh({"a": 1}), weigh(object())
    (Weight(size=1000, parts=1), Weight(size=9000, parts=1001), Weight(size=10, parts=3), Weight(size=0, parts=-1))
    """
    kind = type(value)
    if kind in _PLAIN:
        return Weight(9, 1)
    if kind in (bytes, bytearray, str):
        return Weight(len(value), 1)
    if kind in _SEQUENCES:
        return _of_items(value, len(value), depth)
    if _is_code(value):
        return _of_code(value)
    if kind in (types.ModuleType, types.BuiltinFunctionType):
        return Weight(0, IMPORTED_PARTS)
    if kind is dict:
        pairs = (part for pair in value.items() for part in pair)
        return _of_items(pairs, 2 * len(value), depth)
    return _of_library(value, kind, depth)


def _of_items(items: Iterable[Any], count: int, depth: int) -> Weight:
    if not count:
        return Weight(0, 1)
    if depth == DEEPEST:
        return UNKNOWN
    seen = [weigh(item, depth + 1) for item in islice(items, SAMPLE)]
    if UNKNOWN in seen:
        return UNKNOWN
    size, parts = (sum(column) * count // len(seen) for column in zip(*seen, strict=True))
    return Weight(size, parts + 1)


def _of_code(value: Any) -> Weight:
    """A function with the globals that it names, a class with its methods; what can be imported counts by its name."""
    waiting, seen, found = [value], {id(value)}, []
    while waiting:
        code = waiting.pop()
        found.append(Weight(0, IMPORTED_PARTS if is_importable(code) else CODE_PARTS))
        for used in () if is_importable(code) else _used_by(code):
            if id(used) in seen:
                continue
            seen.add(id(used))
            if _is_code(used):
                waiting.append(used)
            else:
                found.append(weigh(used, 1))
    if UNKNOWN in found:
        return UNKNOWN
    return Weight(sum(each.size for each in found), sum(each.parts for each in found))


def _is_code(value: Any) -> bool:
    return type(value) is types.FunctionType or issubclass(type(value), type)


def _used_by(code: Any) -> list[Any]:
    if type(code) is types.FunctionType:
        cells = [cell.cell_contents for cell in code.__closure__ or () if _is_filled(cell)]
        return [*used_globals(code).values(), *cells, *(code.__defaults__ or ())]
    return [part for name, part in vars(code).items() if name not in ("__dict__", "__weakref__", "__module__")]


def _is_filled(cell: types.CellType) -> bool:
    try:
        return cell.cell_contents is not None
    except ValueError:  # a variable that is not assigned yet
        return False


def _of_library(value: Any, kind: type, depth: int) -> Weight:
    """What libraries' own types say; only of those that are known to answer at once."""
    if kind.__module__ == "numpy" and kind.__name__ != "ndarray":
        return Weight(int(value.nbytes), 10) if hasattr(value, "nbytes") else Weight(0, IMPORTED_PARTS)  # a function
    look = _LIBRARIES.get(f"{kind.__module__.partition('.')[0]}.{kind.__name__}")
    return _of_object(value, kind, depth) if look is None else look(value)


def _of_object(value: Any, kind: type, depth: int) -> Weight:
    """One that is pickled as its attributes, without code of its own."""
    plain = all(getattr(kind, name, None) is getattr(object, name, None) for name in _PICKLING)
    if not plain or not kind.__dictoffset__ or isinstance(value, type) or hasattr(kind, "__slots__"):
        return UNKNOWN
    inside = _of_items((part for pair in vars(value).items() for part in pair), 2 * len(vars(value)), depth)
    return UNKNOWN if inside is UNKNOWN else Weight(inside.size, inside.parts + CODE_PARTS)


def _of_numpy(array: Any) -> Weight:
    return Weight(int(array.nbytes), int(array.size) if array.dtype.hasobject else 10)


def _of_pandas(frame: Any) -> Weight:
    """Columns of objects hold pointers: their texts are weighed by a sample."""
    if len(frame.columns) > MOST_COLUMNS:
        return Weight(int(frame.memory_usage(index=False).sum()), -1)
    columns = [frame[name] for name in frame.columns] if frame.columns.is_unique else []
    weights = [_of_column(column) for column in columns]
    return Weight(sum(each.size for each in weights), sum(each.parts for each in weights)) if columns else UNKNOWN


def _of_column(column: Any) -> Weight:
    size = int(column.memory_usage(index=False))
    dtype = column.dtype
    if getattr(dtype, "char", "") == "O":
        return _of_items(iter(column.array), len(column), DEEPEST - 1)
    in_one_piece = getattr(dtype, "kind", "O") in "biufcmM" or getattr(dtype, "storage", "") == "pyarrow"
    return Weight(size, 300 if in_one_piece else 300 + len(column))


_LIBRARIES: dict[str, Callable[[Any], Weight]] = {
    "numpy.ndarray": _of_numpy,
    "pandas.DataFrame": _of_pandas,
    "pandas.Series": _of_column,
    "pyarrow.Table": lambda table: Weight(int(table.nbytes), -1),
    "polars.DataFrame": lambda frame: Weight(int(frame.estimated_size()), -1),
    "torch.Tensor": lambda tensor: Weight(int(tensor.element_size() * tensor.nelement()), -1),
}
"""By package and name of the type."""
