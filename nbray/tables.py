"""Rows about tasks, objects and workers, as what people read: text, HTML, a pandas frame."""

from __future__ import annotations

import html
from collections.abc import Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NoReturn

from nbray.errors import UsageError
from nbray.wording import one_line, plain_html

if TYPE_CHECKING:
    import pandas

SHOWN = 50
"""Rows in a display; the list itself has all."""
WIDEST = 60
"""Characters of one cell in a display."""

Filter = tuple[str, str, Any]
"""Column, "=" or "!=", value: as Ray has them."""


class Row(dict[str, Any]):
    """One record, by `row["state"]` and by `row.state`."""

    def __getattr__(self, name: str) -> Any:
        if name in self:
            return self[name]
        raise AttributeError(f"a row has no {name!r}: it has {', '.join(self)}")


class Rows(list[Row]):
    """Records with the same columns.

    >>> rows = Rows(["name", "size"], [("a", 1), ("b", 2)])
    >>> rows[1].size, rows.where([("name", "=", "a")])
    (2, name  size
    a        1)
    """

    def __init__(self, columns: Sequence[str], rows: Iterable[Sequence[Any]] = ()) -> None:
        super().__init__(Row(zip(columns, row, strict=True)) for row in rows)
        self.columns = list(columns)

    def where(self, filters: Iterable[Filter] | None = None, equal: Mapping[str, Any] | None = None) -> Rows:
        """The rows that pass every filter; text is compared without regard to upper and lower case."""
        checks = [*(_checked(each) for each in filters or ()), *((name, "=", value) for name, value in (equal or {}).items())]
        for name, _, value in checks:
            if name not in self.columns:
                self._refuse_column(name, value)
        kept = Rows(self.columns)
        kept.extend(row for row in self if all(_passes(row[name], sign, value) for name, sign, value in checks))
        return kept

    def to_frame(self) -> pandas.DataFrame:
        """The rows as a pandas frame. Raises UsageError where pandas is not installed."""
        try:
            import pandas
        except ImportError:
            raise UsageError("to_frame() needs pandas, which is not installed: pip install pandas") from None
        return pandas.DataFrame(list(self), columns=self.columns)

    def _refuse_column(self, name: str, value: Any) -> NoReturn:
        raise UsageError(f"there is no column {name!r} to compare with {value!r}: there are {', '.join(self.columns)}")

    def __repr__(self) -> str:
        """A table of plain text."""
        texts = [self.columns, *([_text(row[name]) for name in self.columns] for row in self[:SHOWN])]
        widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
        right = [bool(self) and all(isinstance(row[name], (int, float)) for row in self[:SHOWN]) for name in self.columns]
        lines = [
            "  ".join(
                cell.rjust(width) if numeric else cell.ljust(width)
                for cell, width, numeric in zip(line, widths, right, strict=True)
            ).rstrip()
            for line in texts
        ]
        return "\n".join([*lines, *self._rest()])

    def _repr_html_(self) -> str:
        left = 'style="text-align:left"'
        head = "".join(f"<th {left}>{html.escape(name)}</th>" for name in self.columns)
        body = "".join(
            f"<tr>{''.join(f'<td {left}>{html.escape(_text(row[name]))}</td>' for name in self.columns)}</tr>"
            for row in self[:SHOWN]
        )
        rest = "".join(f"<p>{html.escape(line)}</p>" for line in self._rest())
        return plain_html(f"<table><thead><tr>{head}</tr></thead><tbody>{body}</tbody></table>{rest}")

    def _rest(self) -> list[str]:
        return [f"({len(self) - SHOWN} more rows)"] if len(self) > SHOWN else [] if self else ["(no rows)"]


def _checked(given: Any) -> Filter:
    wrong = not isinstance(given, (tuple, list)) or len(given) != 3 or given[1] not in ("=", "!=")
    if wrong:
        raise UsageError(f'filters has {given!r}: expected (column, "=" or "!=", value), for example ("state", "=", "RUNNING")')
    return given[0], given[1], given[2]


def _passes(has: Any, sign: str, wanted: Any) -> bool:
    same = has == wanted or (wanted is not None and str(has).lower() == str(wanted).lower())
    return bool(same) is (sign == "=")


def _text(value: Any) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.3f}"
    text = ", ".join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)
    text = one_line(text, 4 * WIDEST)  # a terminal obeys control characters
    return text if len(text) <= WIDEST else f"{text[: WIDEST - 3]}..."
