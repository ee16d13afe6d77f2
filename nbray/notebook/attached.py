"""What `%nbray attach` has found, as a table: cells with what came back of each, namespaces, actors, others' work."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from nbray.errors import UsageError
from nbray.notebook.comebacks import Comeback
from nbray.objects import ObjectRef
from nbray.snapshot import CellRunSnapshot
from nbray.wording import count_text, one_line, plain_html, time_text

MOST_ROWS = 40
_NUMBER = re.compile(r"\[(\d+)\]")


class FoundCell(NamedTuple):
    """One cell run, and what of it has come to this kernel."""

    counts: CellRunSnapshot
    ended_ago: float
    missed: bool
    """It ran when its kernel was lost."""
    comebacks: Sequence[Comeback]
    refs: Sequence[ObjectRef]
    """Results that no name had: `nbray.get(found[4].refs)`, after `found = %nbray attach`."""

    @property
    def number(self) -> int:
        """4 for cell [4]; 0 where nobody knows."""
        return number_of(self.counts.label)

    @property
    def value(self) -> Any:
        """The list that a `%%parallel` cell gives, where it has no name."""
        return next((each.value for each in self.comebacks if each.value is not None), None)

    @property
    def label(self) -> str:
        """ "cell [4] of train.ipynb"."""
        return one_line(self.counts.label or str(self.counts.cell_run), 60)

    @property
    def state(self) -> str:
        """ "runs, 3 of 10 tasks ended", as it was when it was looked for."""
        if self.counts.waiting + self.counts.running and self.comebacks and all(each.done for each in self.comebacks):
            return "has ended"
        return state_of(self.counts, self.ended_ago)

    def outcome(self) -> str:
        """What came back, and how to reach the rest from a cell below the table, where that is `_`."""
        parts = [_outcome(each, self.number) for each in self.comebacks]
        if self.refs:
            parts.append(f"{count_text(len(self.refs), 'result')} without a name: nbray.get(_[{self.number}].refs)")
        if self.missed and not self.comebacks:
            parts.append("its own code ended with the kernel: what that had still to print and to assign is lost")
        return "; ".join(filter(None, parts))


def _outcome(comeback: Comeback, number: int) -> str:
    if comeback.failed:
        return "failed, as shown above, and so assigns nothing"
    if not comeback.done:
        then = f"assigns {', '.join(comeback.names)}" if comeback.names else f"_[{number}].value has its list"
        return f"{then} when it has ended" if comeback.promise.wanted else ""
    parts = [f"assigned {', '.join(comeback.assigned)}"] if comeback.assigned else []
    if comeback.value is not None:
        parts.append(f"a list of {count_text(len(comeback.value), 'result')}: _[{number}].value")
    return "; ".join(parts)


def number_of(label: str) -> int:
    """The number of a cell in its label.

    >>> number_of("cell [4] of train.ipynb"), number_of("tune")
    (4, 0)
    """
    found = _NUMBER.search(label)
    return int(found[1]) if found else 0


def short(label: str) -> str:
    """A cell of this notebook, whose name need not be told.

    >>> short("cell [4] of train.ipynb")
    'cell [4]'
    """
    return label.partition("] of ")[0] + "]" if "] of " in label else label


def state_of(counts: CellRunSnapshot, ended_ago: float) -> str:
    """How far a cell run is."""
    finished = counts.succeeded + counts.failed + counts.cancelled
    left = counts.waiting + counts.running
    if left:
        return f"runs, {finished:,} of {count_text(finished + left, 'task')} ended" if finished + left > 1 else "runs"
    bad = ", ".join(f"{count:,} {word}" for count, word in ((counts.failed, "failed"), (counts.cancelled, "cancelled")) if count)
    return f"ended {time_text(ended_ago)} ago" + (f", {bad} of {count_text(finished, 'task')}" if bad else "")


class Attached:
    """The answer to `%nbray attach`; `found[4]` is what was found of cell [4].

    Results that have no name live as long as this does.
    """

    def __init__(
        self, cells: Sequence[FoundCell], namespaces: Sequence[tuple[str, str]], actors: Sequence[tuple[str, str]],
        others: Sequence[FoundCell], hidden: int, notes: Sequence[str],
    ) -> None:  # fmt: skip
        """`namespaces` and `actors` are pairs of a name and what is to be said of it; `hidden` counts others' cell runs."""
        self.cells = tuple(cells)
        self._namespaces = namespaces
        self._actors = actors
        self._others = others
        self._hidden = hidden
        self._notes = notes

    def __getitem__(self, number: int) -> FoundCell:
        found = next((cell for cell in reversed(self.cells) if cell.number == number), None)
        if found is None:
            known = ", ".join(f"[{cell.number}]" for cell in self.cells) or "none"
            raise UsageError(f"[{number!r}]: %nbray attach has found nothing of a cell [{number}]; what it has found: {known}")
        return found

    def __len__(self) -> int:
        return len(self.cells)

    def __iter__(self) -> Iterator[FoundCell]:
        return iter(self.cells)

    def __repr__(self) -> str:
        rows = self._rows()
        widths = [max(map(len, column)) for column in list(zip(*rows, strict=True))[:-1]] if rows else []
        lines = [
            "  ".join([*(f"{cell:<{width}}" for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip() for row in rows
        ]
        return "\n".join([*lines, *self._lines()])

    def _repr_html_(self) -> str:
        rows = "".join(
            "<tr>" + "".join(f'<td style="text-align:left">{html.escape(cell)}</td>' for cell in row) + "</tr>"
            for row in self._rows()
        )
        lines = "".join(f"<div>{html.escape(line)}</div>" for line in self._lines())
        return plain_html(f"{f'<table><tbody>{rows}</tbody></table>' if rows else ''}{lines}")

    def _rows(self) -> list[tuple[str, ...]]:
        """What it is, how it fares, what came of it."""
        rows: list[tuple[str, ...]] = [(short(cell.label), cell.state, cell.outcome()) for cell in self.cells[-MOST_ROWS:]]
        rows += [(f"namespace {name}", "lives", said) for name, said in self._namespaces]
        rows += [(f"actor {name}", "lives", said) for name, said in self._actors]
        rows += [(cell.label, cell.state, "another notebook's") for cell in self._others[-MOST_ROWS:]]
        return rows

    def _lines(self) -> list[str]:
        lines = list(self._notes)
        if self._hidden:
            lines.append(f"{count_text(self._hidden, 'cell')} of other notebooks in this cluster: %nbray attach --all")
        return lines or ([] if self._rows() else ["nbray: nothing of this notebook goes on in the cluster, or was missed."])
