"""What was fetched because it was used is said once, with its name where it has one, and not of a hundred handles."""

from __future__ import annotations

from nbray.ids import CellRunId
from nbray.notebook.fetch_notices import MOST_LINES, Notices, name_of


def test_a_cell_has_few_lines_and_then_one_more() -> None:
    notices = Notices()
    lines = [notices.text(CellRunId("one"), f"{number}\n") for number in range(MOST_LINES + 3)]
    assert lines[:MOST_LINES] == [f"{number}\n" for number in range(MOST_LINES)]
    assert lines[MOST_LINES:] == ["nbray: this cell fetches more handles, of which it does not speak\n", "", ""]
    assert notices.text(CellRunId("two"), "again\n") == "again\n"


def test_the_name_is_the_users_own() -> None:
    value = object()
    assert name_of(value, {"_": value, "_3": value, "table": value}) == "table"
    assert name_of(value, {"_": value, "Out": {3: value}}) == ""
