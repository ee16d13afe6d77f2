"""Rows: filters, and how they look."""

from __future__ import annotations

import builtins
from typing import Any

import pytest

import nbray
from nbray.tables import SHOWN, Rows


@pytest.fixture
def rows() -> Rows:
    return Rows(["name", "state", "size"], [("a", "RUNNING", 1), ("b<i>", "FAILED", 20), ("c", "RUNNING", None)])


def test_a_row_is_a_dict_with_attributes(rows: Rows) -> None:
    assert rows[0] == {"name": "a", "state": "RUNNING", "size": 1}
    assert rows[0].state == rows[0]["state"] == "RUNNING"
    with pytest.raises(AttributeError, match="no 'colour': it has name, state, size"):
        rows[0].colour  # noqa: B018


def test_filters_of_both_kinds(rows: Rows) -> None:
    assert [row.name for row in rows.where([("state", "=", "running"), ("name", "!=", "a")])] == ["c"]
    assert [row.name for row in rows.where(equal={"state": "RUNNING", "size": 1})] == ["a"]
    assert [row.name for row in rows.where(equal={"size": None})] == ["c"]
    assert [row.name for row in rows.where([("size", "=", "20")])] == ["b<i>"]
    assert rows.where() == rows


@pytest.mark.parametrize("wrong", [("state", "RUNNING"), ("state", ">", 1), "state=RUNNING", None])
def test_a_filter_of_another_form_is_refused(rows: Rows, wrong: Any) -> None:
    with pytest.raises(nbray.UsageError, match='expected \\(column, "=" or "!=", value\\)'):
        rows.where([wrong])


def test_a_column_that_is_not_there_is_refused(rows: Rows) -> None:
    with pytest.raises(nbray.UsageError, match="no column 'stat' to compare with 'x': there are name, state, size"):
        rows.where(equal={"stat": "x"})


def test_text_and_html(rows: Rows) -> None:
    assert repr(rows) == "name  state    size\na     RUNNING  1\nb<i>  FAILED   20\nc     RUNNING"
    assert repr(Rows(["n"], [(1,), (20,)])) == " n\n 1\n20"
    assert "<td style=\"text-align:left\">b&lt;i&gt;</td>" in rows._repr_html_()
    assert repr(Rows(["a"])) == "a\n(no rows)"
    many = Rows(["n"], [(number,) for number in range(SHOWN + 7)])
    assert repr(many).endswith("(7 more rows)")
    assert many._repr_html_().endswith("<p>(7 more rows)</p></div>")
    assert repr(Rows(["t"], [("x" * 99,)])).endswith("xxx...")
    assert repr(Rows(["t"], [("a\x1b[31m\u202e\nb",)])).endswith("a�[31m� b")


def test_a_pandas_frame(rows: Rows, monkeypatch: pytest.MonkeyPatch) -> None:
    frame = rows.to_frame()
    assert list(frame.columns) == ["name", "state", "size"]
    assert list(frame["name"]) == ["a", "b<i>", "c"]
    real = builtins.__import__

    def without_pandas(name: str, *args: Any, **kwargs: Any) -> Any:
        if name == "pandas":
            raise ImportError(name)
        return real(name, *args, **kwargs)

    monkeypatch.setattr(builtins, "__import__", without_pandas)
    with pytest.raises(nbray.UsageError, match="pip install pandas"):
        rows.to_frame()
