"""What can be seen of a value without fetching it is small, true, and costs nothing that the value refuses."""

from __future__ import annotations

import pickle
from typing import Any

import numpy as np
import pandas as pd
import pytest

from nbray.notebook import previews
from nbray.notebook.previews import MOST_HTML, Preview, facts_of
from nbray.notebook.values import RemoteValue
from nbray.objects import put
from tests.fakes import fake_session
from tests.notebook.worker_side import Shown, as_task


class Counter:
    """An object without a shape."""


def described(value: Any) -> str:
    with fake_session():
        return repr(RemoteValue(put(value), Preview.of(value, 24_100)))


def test_the_preview_has_type_facts_and_size() -> None:
    first, *head = described(np.zeros((1000, 3))).splitlines()
    assert first == "<numpy.ndarray on the cluster: 1,000 x 3, float64, 24.1 kB; fetched when used>"
    assert head[0] == "array([[0., 0., 0.],"


@pytest.mark.parametrize(
    ("value", "facts"),
    [
        ([1] * 12_345, "12,345 items"), (Counter(), ""), (np.float64(3), "float64"), (np.zeros((2, 3), "i4"), "2 x 3, int32"),
        (pd.DataFrame({"a": [1.0], "b": [2.0], "c": [1]}), "1 x 3, 2 float64 + 1 int64"), (pd.Series([True]), "1, bool"),
        (pd.DataFrame({str(n): pd.Series([1], dtype=t) for n, t in enumerate(["i1", "i2", "i4", "i8", "f8"])}),
         "1 x 5, 1 int8 + 1 int16 + 1 int32 + 1 int64 + others"),
    ],
    ids=["list", "object", "scalar", "array", "frame", "series", "many types"],
)  # fmt: skip
def test_facts(value: Any, facts: str) -> None:
    assert facts_of(value) == facts


def test_a_frame_is_previewed_by_its_head() -> None:
    preview = Preview.of(pd.DataFrame({"a": range(100)}), 10)
    assert preview.facts == "100 x 1, 1 int64"
    assert len(preview.head.splitlines()) == 6
    assert preview.html.count("<tr") == 6
    assert (preview.length, preview.keys, preview.known["shape"]) == (100, ("a",), (100, 1))
    shown = preview.bundle("<first & last>\nmore")
    assert shown["text/html"].startswith("<div><code>&lt;first &amp; last&gt;</code>")
    assert shown["text/plain"] == "<first & last>\nmore"


def test_only_a_table_has_html() -> None:
    assert list(Preview.of(["<script>"], 1).bundle("text")) == ["text/plain"]


class Arrow:
    """A table as pyarrow has them, as far as a preview looks at it."""

    column_names = ["n", "name"]
    shape = (100_000, 2)

    class schema:  # noqa: N801
        types = ("int64", "string")

    def __len__(self) -> int:
        return 100_000

    def slice(self, offset: int, length: int) -> Arrow:
        assert (offset, length) == (0, 5)
        return self

    def to_pylist(self) -> list[dict[str, Any]]:
        return [{"n": n, "name": f"<{n}>"} for n in range(5)]


def test_an_arrow_table_is_previewed_as_a_table() -> None:
    preview = Preview.of(Arrow(), 10)
    assert preview.facts == "100,000 x 2, 1 int64 + 1 string"
    assert preview.head.splitlines()[:2] == ["n  name", "0  <0>"]
    assert "<td" in preview.html
    assert "&lt;4&gt;" in preview.html
    assert preview.keys == ("n", "name")


def test_a_picture_is_kept_and_no_text_stands_for_it() -> None:
    class Picture:
        def _repr_png_(self) -> bytes:
            return b"\x89PNG"

    preview = Preview.of(Picture(), 10)
    assert preview.bundle("text") == {"text/plain": "text", "image/png": "iVBORw=="}
    Picture._repr_png_ = lambda self: b"x" * previews.MOST_PICTURE  # type: ignore[method-assign]
    assert Preview.of(Picture(), 10).picture == ""


def test_it_says_which_cell_and_worker_made_it() -> None:
    with as_task(Shown()):
        assert Preview.of([1], 10).made_by == "cell on worker 0"
        assert ", from cell on worker 0; fetched" in described([1])
    assert Preview.of([1], 10).made_by == ""
    with as_task(Shown(), "cell [5] on lab"):
        assert Preview.of([1], 10).made_by == "cell [5] on lab, worker 0"


@pytest.mark.parametrize(
    "value",
    [["x" * 10_000] * 10_000, dict.fromkeys(range(1000), "x" * 10_000), "x" * 1_000_000, b"x" * 1_000_000, set(range(10_000)),
     np.zeros((2000, 2000)), pd.DataFrame(np.zeros((1000, 1000))), [[[0] * 1000] * 1000] * 1000,
     pd.DataFrame({f"column {number}": [number] for number in range(5000)})],
    ids=["list", "dict", "text", "bytes", "set", "array", "frame", "deep list", "wide frame"],
)  # fmt: skip
def test_a_preview_stays_small(value: Any) -> None:
    preview = Preview.of(value, 10)
    assert 0 < len(preview.head) <= previews.HEAD_CHARACTERS
    assert len(preview.head.splitlines()) <= previews.HEAD_LINES
    assert len(pickle.dumps(preview)) < 20_000
    assert len(preview.keys) <= previews.MOST_KEYS


def test_a_table_that_is_too_long_is_left_out_whole() -> None:
    wide = pd.DataFrame({f"column {n} " + "x" * 100: range(3) for n in range(400)})
    with pd.option_context("display.max_columns", 400):
        assert len(wide._repr_html_()) > MOST_HTML
        assert Preview.of(wide, 1).html == ""


class Hostile:
    shape = ("?",)

    def __len__(self) -> int:
        raise RuntimeError("no length")

    def __repr__(self) -> str:
        raise RuntimeError("no repr")

    def head(self, count: int) -> Any:
        raise RuntimeError("no head")


def test_a_hostile_value_is_only_shown_worse() -> None:
    preview = Preview.of(Hostile(), 10)
    assert preview.type_name.endswith(".Hostile")
    assert (preview.facts, preview.head, preview.html, preview.length, preview.keys) == ("", "", "", None, ())
    with fake_session():
        assert repr(RemoteValue(put(1), preview)).endswith(".Hostile on the cluster: 10 B; fetched when used>")
