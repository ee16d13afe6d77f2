"""The table of `%nbray attach`."""

from __future__ import annotations

from typing import Any, cast

import pytest

from nbray.errors import UsageError
from nbray.ids import CellRunId, ObjectId
from nbray.notebook.attached import Attached, FoundCell, number_of, state_of
from nbray.notebook.comebacks import Comeback
from nbray.notebook.promises import Promise
from nbray.objects import ObjectRef
from nbray.snapshot import CellRunSnapshot


def counts(number: int = 4, **values: Any) -> CellRunSnapshot:
    return CellRunSnapshot(CellRunId(f"c{number}"), f"cell [{number}] of a.ipynb", "job", **values)


class Kept:
    """A comeback as the table sees it."""

    def __init__(self, *assigned: str, done: bool = True, failed: bool = False, value: Any = None, names: Any = ()) -> None:
        self.assigned, self.done, self.failed, self.value, self.names = assigned, done, failed, value, names
        self.promise = Promise(kind="cell", ids=[], wanted=("x",))


def found(run: CellRunSnapshot, *comebacks: Kept, missed: bool = True, refs: int = 0) -> FoundCell:
    held = [ObjectRef(ObjectId(n + 1), "none") for n in range(refs)]
    return FoundCell(run, 65.0, missed, cast("list[Comeback]", list(comebacks)), held)


@pytest.mark.parametrize(
    ("run", "said"),
    [
        (counts(running=1), "runs"),
        (counts(running=1, succeeded=2, failed=1), "runs, 3 of 4 tasks ended"),
        (counts(succeeded=2), "ended 1 min 5 s ago"),
        (counts(succeeded=2, failed=1, cancelled=3), "ended 1 min 5 s ago, 1 failed, 3 cancelled of 6 tasks"),
    ],
)
def test_how_far_a_cell_is(run: CellRunSnapshot, said: str) -> None:
    assert state_of(run, 65.0) == said


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (found(counts(), Kept("x", "y")), "assigned x, y"),
        (found(counts(), Kept(done=False, names=("x",))), "assigns x when it has ended"),
        (found(counts(), Kept(done=False)), "_[4].value has its list when it has ended"),
        (found(counts(), Kept(value=[1, 2])), "a list of 2 results: _[4].value"),
        (found(counts(), Kept("x", value=[1])), "assigned x; a list of 1 result: _[4].value"),
        (found(counts(), Kept(failed=True)), "failed, as shown above, and so assigns nothing"),
        (found(counts(), missed=False, refs=3), "3 results without a name: nbray.get(_[4].refs)"),
        (
            found(counts(), refs=1),
            "1 result without a name: nbray.get(_[4].refs); its own code ended with the kernel: what that had still to print and "
            "to assign is lost",
        ),
    ],
)
def test_what_came_of_a_cell(cell: FoundCell, said: str) -> None:
    assert cell.outcome() == said


def test_a_cell_that_has_ended_since_says_so() -> None:
    assert found(counts(running=1), Kept("x")).state == "has ended"
    assert found(counts(running=1), Kept(done=False)).state == "runs"


def test_the_table() -> None:
    others = [FoundCell(CellRunSnapshot(CellRunId("o"), "cell [1] of b.ipynb", "b", running=1), 0.0, False, (), ())]
    cells = [found(counts(3, succeeded=1), Kept("x")), found(counts(4, running=1), Kept(done=False, names=("y",)))]
    table = Attached(cells, [("gpu0", "df")], [("Counter 'c'", "nbray.get_actor('c')")], others, 0, [])
    lines = [" ".join(line.split()) for line in repr(table).splitlines()]
    assert lines == [
        "cell [3] ended 1 min 5 s ago assigned x", "cell [4] runs assigns y when it has ended",
        "namespace gpu0 lives df", "actor Counter 'c' lives nbray.get_actor('c')", "cell [1] of b.ipynb runs another notebook's",
    ]  # fmt: skip
    assert table[4].number == 4
    assert list(table) == cells
    assert len(table) == 2


def test_foreign_text_is_text() -> None:
    run = CellRunSnapshot(CellRunId("c"), "cell <script>", "job", running=1)
    shown = Attached([found(run)], [("<b>", "<i>")], [], [], 2, ["a <note>"])._repr_html_()
    assert "<script>" not in shown
    assert "<i>" not in shown
    assert "<note>" not in shown
    assert "2 cells of other notebooks in this cluster: %nbray attach --all" in shown


def test_nothing_is_said_to_be_nothing() -> None:
    assert repr(Attached([], [], [], [], 0, [])) == "nbray: nothing of this notebook goes on in the cluster, or was missed."


def test_a_cell_that_was_not_found() -> None:
    with pytest.raises(UsageError, match=r"nothing of a cell \[7\]; what it has found: \[4\]"):
        Attached([found(counts())], [], [], [], 0, [])[7]


def test_a_label_without_a_number() -> None:
    assert number_of("background") == 0
