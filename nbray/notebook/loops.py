"""The line of `%%parallel`, read: `for TARGET in ITEMS`, with options before or behind it.

Pure. The line is text; `Loop.bind` gives one item's values to the target's names, as `for` would.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Iterable
from itertools import islice
from typing import Any, NamedTuple

from nbray.errors import UsageError, WrongType
from nbray.ids import Reference
from nbray.wording import one_line

MOST_ITEMS = 1_000_000
SHOWN_CHARACTERS = 40
LINE = "%%parallel for x in xs"

_FOR = re.compile(r"(?:^|\s)for\s")
_OPTION = re.compile(r"\s(?:--[a-z]|-[a-z](?=\s))")
_SIMPLE = (int, float, complex, str, bytes, bool, type(None))


class Loop(NamedTuple):
    """What the line says."""

    target: str
    """As Python writes it: "x", "(i, (a, b))"."""
    names: tuple[str, ...]
    """The names that the target binds."""
    items: str
    """The expression that is gone through."""
    options: str
    """The rest of the line."""

    def bind(self, item: Any) -> dict[str, Any]:
        """The target's names with their values for this item; raises what unpacking raises."""
        names: dict[str, Any] = {"_nbray_item": item}
        exec(compile(f"{self.target} = _nbray_item", LINE, "exec"), {"__builtins__": {}}, names)
        del names["_nbray_item"]
        return names

    def label(self, number: int, bound: dict[str, Any]) -> str:
        """How one item is called in prints, cards and errors: "path='a.csv'", or "item 3" where it is nothing simple."""
        simple = [f"{name}={value!r}" for name, value in bound.items() if isinstance(value, _SIMPLE) or _is_path(value)]
        return one_line(", ".join(simple), SHOWN_CHARACTERS) or f"item {number}"


def _is_path(value: Any) -> bool:
    return type(value).__module__.startswith("pathlib")


def read_line(line: str) -> Loop:
    """Read the line behind `%%parallel`; raises UsageError.

    >>> read_line("for i, x in enumerate(xs) -o y z")
    Loop(target='(i, x)', names=('i', 'x'), items='enumerate(xs)', options='-o y z')
    """
    found = _FOR.search(line)
    if found is None:
        raise UsageError(f"%%parallel {line.strip()}: expected what to go through, as {LINE}")
    before, loop = line[: found.start()], line[found.start() :].strip()
    problem: SyntaxError | None = None
    for end in (*(option.start() for option in _OPTION.finditer(loop)), len(loop)):
        header = loop[:end].strip().removesuffix(":")
        try:
            tree = ast.parse(f"{header}: pass")
        except SyntaxError as error:
            problem = error
        except (ValueError, MemoryError, RecursionError) as error:  # half a surrogate pair; nested too deeply for the parser
            problem = SyntaxError(str(error) or "it is nested too deeply")
        else:
            return _loop(tree, header, f"{before} {loop[end:]}".strip())
    raise _refusal(loop, problem)


def _loop(tree: ast.Module, header: str, options: str) -> Loop:
    statement = tree.body[0]
    assert isinstance(statement, ast.For)
    stored = [node for node in ast.walk(statement.target) if isinstance(getattr(node, "ctx", None), ast.Store)]
    strangers = [ast.unparse(node) for node in stored if isinstance(node, (ast.Attribute, ast.Subscript))]
    if strangers:
        raise UsageError(f"%%parallel {header}: {strangers[0]} cannot be set for each item; expected a name, as {LINE}")
    names = tuple(node.id for node in stored if isinstance(node, ast.Name))
    return Loop(ast.unparse(statement.target), names, ast.unparse(statement.iter), options)


def _refusal(loop: str, problem: SyntaxError | None) -> UsageError:
    reason = "" if problem is None else f" ({problem.msg})"
    condition = re.fullmatch(r"for\s+(.+?)\s+in\s+(.+?)\s+if\s+(.+)", loop)
    if condition:
        target, items, test = condition.groups()
        reason = f": a loop has no condition; write for {target} in [{target} for {target} in {items} if {test}]"
    return UsageError(f"%%parallel {loop}{reason or ' is no loop'}; expected {LINE}")


def take_items(source: str, value: Any) -> list[Any]:
    """All that is gone through, as a list; `source` is the expression whose value it is."""
    if isinstance(value, Reference):
        kind = type(value).__name__
        raise WrongType(f"{source} is a reference ({kind}), not its value: %%parallel for x in nbray.get({source})")
    try:
        iterator = iter(value) if not isinstance(value, type) else None
    except TypeError:
        iterator = None
    if not isinstance(iterator, Iterable):
        raise WrongType(f"{source} is of type {type(value).__name__}, and cannot be gone through: expected a list or an iterable")
    items = list(islice(iterator, MOST_ITEMS + 1))
    if len(items) > MOST_ITEMS:
        raise UsageError(
            f"{source} has more than {MOST_ITEMS:,} items, or has no end: take some with itertools.islice({source}, 1000), or "
            "let each item be a batch of them"
        )
    return items
