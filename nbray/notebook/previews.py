"""What can be seen of a value without fetching it: made where the value is, small, and travelling with its handle."""

from __future__ import annotations

import html
import reprlib
from base64 import b64encode
from collections import Counter
from collections.abc import Callable, Mapping
from itertools import islice
from typing import Any, NamedTuple

from nbray import serialization
from nbray.engine import task_context
from nbray.errors import NotShippable
from nbray.tables import Rows

HEAD_ROWS = 5
HEAD_CHARACTERS = 600
HEAD_LINES = 12
MOST_HTML = 20_000
MOST_PICTURE = 500_000
MOST_KNOWN = 4096
"""Bytes of one attribute that is known without the value."""
MOST_KEYS = 200
MOST_TYPES = 4
"""Types of columns that are listed."""

_KNOWN = ("shape", "ndim", "size", "dtype", "dtypes", "columns", "nbytes", "itemsize", "empty", "schema", "height", "width",
          "num_rows", "num_columns", "column_names")  # fmt: skip
"""Attributes of arrays and tables that say what they are."""

_SHORT = reprlib.Repr()
_SHORT.maxlist = _SHORT.maxtuple = _SHORT.maxdict = _SHORT.maxset = _SHORT.maxfrozenset = _SHORT.maxdeque = 5
_SHORT.maxstring = _SHORT.maxother = 100
CONTAINERS = (list, tuple, dict, set, frozenset)
TEXTS = (str, bytes, bytearray)


class Preview(NamedTuple):
    """What is known of a value."""

    type_name: str
    facts: str
    """Shape, length, type of the elements: "1,000 x 3, float64"."""
    head: str
    html: str
    size: int
    """Bytes of the pickled value."""
    picture: str = ""
    """A PNG in base64, of a figure or an image."""
    length: int | None = None
    known: Mapping[str, Any] = {}
    """Attributes, as `shape` and `columns`."""
    keys: tuple[str, ...] = ()
    """The first columns of a table, or the first keys of a dict."""
    made_by: str = ""
    """For example "cell [2] on worker 1"."""

    @classmethod
    def of(cls, value: Any, size: int) -> Preview:
        """Look at a value; what its own methods refuse is left out."""
        top = _attempt(lambda: _top(value), None)
        table = "" if top is None else str(_attempt(lambda: top._repr_html_(), "") or "")
        return cls(
            type_name_of(value),
            facts_of(value),
            _attempt(lambda: _head(value if top is None else top), ""),
            table if len(table) <= MOST_HTML else "",
            size,
            _attempt(lambda: _picture(value), ""),
            _attempt(lambda: len(value), None) if hasattr(type(value), "__len__") else None,
            _attempt(lambda: _known(value), {}),
            _attempt(lambda: _keys(value), ()),
            _maker(),
        )

    def bundle(self, text: str) -> dict[str, Any]:
        """What a notebook shows of it, by kind of data; `text` is its description with its head."""
        shown: dict[str, Any] = {"text/plain": text}
        if self.picture:
            shown["image/png"] = self.picture
        elif self.html:
            shown["text/html"] = f"<div><code>{html.escape(text.splitlines()[0])}</code>{self.html}</div>"
        return shown


def type_name_of(value: Any) -> str:
    """How a type is called: "list", "pandas.DataFrame"."""
    kind = type(value)
    return kind.__qualname__ if kind.__module__ == "builtins" else f"{kind.__module__}.{kind.__qualname__}"


def facts_of(value: Any) -> str:
    """Shape and type of the elements, or the number of items; "" where there are none, or the value refuses."""
    return _attempt(lambda: _facts_of(value), "") or ""


def _attempt(look: Callable[[], Any], otherwise: Any) -> Any:
    """A preview is a courtesy: whatever a foreign `repr` raises must not cost the value."""
    try:
        return look()
    except Exception:  # noqa: BLE001
        return otherwise


def _top(value: Any) -> Any:
    """The first rows, for what has rows; else None."""
    if hasattr(value, "to_pylist") and hasattr(value, "column_names"):  # of pyarrow, whose text is one long line a column
        rows = value.slice(0, HEAD_ROWS).to_pylist()
        return Rows(value.column_names, [[row[name] for name in value.column_names] for row in rows])
    return value.head(HEAD_ROWS) if hasattr(value, "head") else None


def _facts_of(value: Any) -> str:
    shape = getattr(value, "shape", None)
    if not isinstance(shape, tuple):
        return f"{len(value):,} items" if hasattr(value, "__len__") else ""
    device = str(getattr(value, "device", "cpu"))
    facts = [" x ".join(f"{size:,}" for size in shape), _types_of(value), "" if device == "cpu" else device]
    return ", ".join(filter(None, facts))


def _types_of(value: Any) -> str:
    """The type of the elements, or of the columns with how many there are of each."""
    dtype = getattr(value, "dtype", None)
    if dtype is not None:
        return str(dtype)
    types = getattr(getattr(value, "schema", None), "types", None)
    columns = getattr(value, "dtypes", ()) if types is None else types
    counts = Counter(map(str, columns)).most_common()
    listed = [f"{count} {name}" for name, count in counts[:MOST_TYPES]]
    return " + ".join([*listed, *(["others"] if len(counts) > MOST_TYPES else [])])


def _head(value: Any) -> str:
    if isinstance(value, TEXTS):
        return repr(value[:200])
    if isinstance(value, CONTAINERS):
        return _SHORT.repr(value)  # looks at the first items only, at each depth
    lines = repr(value).splitlines()[:HEAD_LINES]
    return "\n".join(lines)[:HEAD_CHARACTERS]


def _picture(value: Any) -> str:
    if type_name_of(value) == "matplotlib.figure.Figure":
        from nbray.notebook.figures import png

        picture = png(value)
    else:
        draw = getattr(value, "_repr_png_", None)
        picture = None if draw is None else draw()
    text = picture if isinstance(picture, str) else b64encode(picture or b"").decode()
    return text if len(text) <= MOST_PICTURE else ""


def _known(value: Any) -> dict[str, Any]:
    if not isinstance(getattr(value, "shape", None), tuple):
        return {}
    found = {name: getattr(value, name) for name in _KNOWN if hasattr(type(value), name)}
    return {name: each for name, each in found.items() if not callable(each) and _is_small(each)}


def _is_small(value: Any) -> bool:
    try:
        return serialization.encoded_size(serialization.dumps(value)) <= MOST_KNOWN
    except NotShippable:
        return False


def _keys(value: Any) -> tuple[str, ...]:
    names: Any = value if isinstance(value, dict) else getattr(value, "column_names", None)
    names = getattr(value, "columns", ()) if names is None else names
    return tuple(name for name in islice(names, MOST_KEYS) if isinstance(name, str))


def _maker() -> str:
    task = task_context.current()
    if task is None:
        return ""
    return f"{task.name}{',' if ' on ' in task.name else ' on'} {task.worker.partition(' (')[0]}"
