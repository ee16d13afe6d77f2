"""How manifests look: text for terminals, HTML without scripts, and nothing foreign becomes markup."""

from __future__ import annotations

import time
from typing import Any

from nbray.notebook.history_view import Details, History, Why
from nbray.notebook.manifest import FAILED, OK, Manifest, Piece, Stages, Tasks

EVIL = "<script>alert(1)</script>"


def manifest(number: int = 4, **fields: Any) -> Manifest:
    given = {
        "cell_run": f"run-{number}", "number": number, "notebook": "/home/me/a.ipynb", "began": time.time() - 60 * number,
        "how": "remote", "outcome": OK, "line": "y = f(x)", "stages": Stages(ship=1.0, run=3.0), "code": "c0de",
    }  # fmt: skip
    return Manifest(**{**given, **fields})


def test_why_says_and_draws_it() -> None:
    why = Why(manifest(), [])
    assert repr(why).splitlines() == [
        "[4] y = f(x): 4.0 s, ok",
        "75 % of the 4.0 s was its own code.",
        "ship   ██████████                                  1.0 s  25 %",
        "run    ██████████████████████████████              3.0 s  75 %",
    ]
    html = why._repr_html_()
    assert "75 % of the 4.0 s was its own code." in html
    assert "width:25.00%" in html
    assert "width:75.00%" in html


def test_the_table_has_the_latest_first() -> None:
    on_cluster = Piece("h", "ndarray", size=9**9, on_cluster=True)
    pieces = (Piece("x", "int", size=9), Piece("big", "ndarray", size=4_000_000), on_cluster)
    failed, tasks = manifest(3, outcome=FAILED, error="ValueError: no"), manifest(5, how="tasks", tasks=Tasks(12))
    table = History([failed, manifest(4, inputs=pieces), tasks], ["a note"])
    lines = repr(table).splitlines()
    assert [line.split()[0] for line in lines] == ["cell", "[5]", "[4]", "[3]", "a"]
    assert "12 tasks" in lines[1]
    assert "h, big, x (3.8 MiB)" in lines[2]
    assert "failed: ValueError: no" in lines[3]
    assert "run 75 %" in lines[3]
    html = table._repr_html_()
    assert html.count("<tr>") == 4
    assert "a note" in html


def test_of_many_the_latest_are_shown() -> None:
    lines = repr(History([manifest(number) for number in range(1, 101)], of_all=True)).splitlines()
    assert len(lines) == 32
    assert lines[0].startswith("notebook")
    assert lines[1].startswith("a.ipynb")
    assert "[100]" in lines[1]
    assert lines[-1] == "(70 earlier ones)"


def test_one_cell_tells_everything() -> None:
    before = manifest(2, modules={"rates": "0123456789abcdef"})
    told = manifest(
        engine="local cluster e1", worker="worker 0 (pid 5)", attempt=2, shipped=5000, python="3.11.7",
        packages={"numpy": "2.4.6"}, modules={"rates": "fedcba9876543210"}, tasks=Tasks(1), cache="kept result",
        inputs=(Piece("x", "int", size=9, hash="ab12"), Piece("m", "Model", unhashed="of a type that is not looked into")),
        outputs=(Piece("y", "ndarray", "5, int64", 40_000, on_cluster=True), Piece("z", "ndarray", size=8, hash="~12")),
    )  # fmt: skip
    for text in (repr(Details(told, [before])), Details(told, [before])._repr_html_()):
        for part in (
            "local cluster e1, worker 0 (pid 5), attempt 2", "4.9 KiB", "rates fedcba98", "Python 3.11.7, numpy 2.4.6", "ab12",
            "not hashed: of a type that is not looked into", "on the cluster", "5, int64", "(of a sample)", "ok, kept result",
            "the same code ran in [2] at", "now different: module rates 01234567",
        ):  # fmt: skip
            assert part in text
    assert "nothing different that is hashed" in repr(Details(before, [before]))
    assert "the same code" not in repr(Details(manifest(), []))
    assert "12, 3.0 s of work in 1.5 s, 2 failed" in repr(Details(manifest(tasks=Tasks(12, 2, 0, 3.0, 1.5)), []))


def test_nothing_foreign_becomes_markup() -> None:
    piece = Piece(EVIL, EVIL, EVIL, 9, unhashed=EVIL)
    told = manifest(
        line=EVIL, how=EVIL, outcome=FAILED, error=EVIL, inputs=(piece,), outputs=(piece,), modules={EVIL: EVIL},
        packages={EVIL: EVIL}, engine=EVIL, worker=EVIL, waited_for=EVIL, cache=EVIL, notebook=EVIL, stages=Stages(queue=3.0),
    )  # fmt: skip
    for shown in (Why(told, []), History([told], [EVIL], of_all=True), Details(told, [told])):
        assert "<script" not in shown._repr_html_()


def test_a_run_that_took_no_time_can_be_drawn() -> None:
    nothing = manifest(stages=Stages())
    assert "0 ms" in repr(Why(nothing, []))
    assert Details(nothing, [nothing])._repr_html_()
    assert repr(History([nothing]))
