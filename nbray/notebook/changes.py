"""Which calls change an object in place, as far as their names tell: `x.append(1)`, `shuffle(x)`, `np.add(a, b, out=x)`."""

from __future__ import annotations

import ast

_METHODS = frozenset(
    {"add", "append", "clear", "discard", "extend", "fill", "fit", "fit_transform", "insert", "load_state_dict"}
    | {"partial_fit", "pop", "popitem", "remove", "reverse", "setdefault", "sort", "update"}
)
"""They change the object that they are called on."""

_FUNCTIONS = frozenset({"shuffle", "heapify", "heappush", "heappop", "insort", "copyto", "fill_diagonal", "place"})
"""They change their first argument."""


def changed_by_call(call: ast.Call) -> list[ast.expr]:
    """The expressions whose value the call changes.

    >>> [ast.unparse(changed) for changed in changed_by_call(ast.parse("df.drop('a', inplace=True)", mode="eval").body)]
    ['df']
    """
    outputs = [keyword.value for keyword in call.keywords if keyword.arg == "out"]
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if name in _FUNCTIONS:
        return outputs + call.args[:1]
    if not outputs and isinstance(call.func, ast.Attribute) and (name in _METHODS or _is_in_place(call)):
        return [call.func.value]
    return outputs


def _is_in_place(call: ast.Call) -> bool:
    return any(
        keyword.arg == "inplace" and isinstance(keyword.value, ast.Constant) and keyword.value.value is True
        for keyword in call.keywords
    )
