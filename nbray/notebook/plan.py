"""What `%%remote --plan` prints: what the cell would take along, how large it is, what would come back."""

from __future__ import annotations

import builtins
from typing import Any, NamedTuple

from nbray import serialization
from nbray.errors import NbrayError
from nbray.functions import LARGE
from nbray.ids import Reference
from nbray.notebook.cells import RemoteCell
from nbray.notebook.values import RemoteValue
from nbray.wording import one_line, size_text


class Row(NamedTuple):
    """One name that goes along."""

    name: str
    kind: str
    size: str
    how: str


def plan_text(cell: RemoteCell, what: str = "This cell would", there_are: str = "find in its namespace", back: str = "") -> str:
    """The plan of a cell, as text; pickles its inputs to measure them, and starts no cluster.

    `what` is planned, what `there_are` the names that do not go along, and `back` what comes, unless it is the names.
    """
    values, modules, _ = cell.inputs
    rows = [_module_row(name, module) for name, module in modules.items()]
    rows += [_value_row(name, value) for name, value in values.items()]
    lines = [f"Nothing was run. {what}", *_section("take along, as copies", _table(rows))]
    there = [name for name in cell.names.needed if name in cell.kept]
    if there:
        lines += _section(there_are, [", ".join(there)])
    known = {*values, *modules, *there}
    missing = [name for name in cell.names.needed if name not in known and _is_unknown(name)]
    if missing:
        lines += _section("not find in the notebook (a NameError where it is read)", [", ".join(missing)])
    lines += _section("bring back when it has ended well", [back or ", ".join(cell.wanted) or "nothing"])
    changed = [name for name in cell.names.changed if name in values and name not in cell.wanted]
    if changed:
        lines += _section(
            "change in its copy only, not here (assign it anew, or ask for it with -o, to have it back)",
            [", ".join(changed)],
        )
    return "\n".join(lines) + "\n"


def _is_unknown(name: str) -> bool:
    return not hasattr(builtins, name) and name != "get_ipython"


def _section(title: str, lines: list[str]) -> list[str]:
    return [f"  {title}:", *(f"    {line}" for line in lines)]


def _table(rows: list[Row]) -> list[str]:
    if not rows:
        return ["nothing"]
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    return [
        f"{row.name:<{widths[0]}}  {row.kind:<{widths[1]}}  {row.size:>{widths[2]}}  {row.how}".rstrip() for row in rows
    ]


def _module_row(name: str, module: str) -> Row:
    return Row(name, "module", "", f"imported there: import {module}")


def _value_row(name: str, value: Any) -> Row:
    kind = one_line(type(value).__name__, 40)
    if type(value) is RemoteValue:
        return Row(name, one_line(value.preview.type_name, 40), size_text(value.preview.size), "on the cluster already")
    if isinstance(value, Reference):
        return Row(name, kind, "", "the reference, not its value")
    try:
        size = serialization.encoded_size(serialization.dumps(value, name))
    except NbrayError as error:
        return Row(name, kind, "", str(error))
    how = "stored on the cluster once, sent again when it has changed" if size >= LARGE else ""
    return Row(name, kind, size_text(size), how)
