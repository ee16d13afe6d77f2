"""Names with sizes and hashes: equal values have equal ones, and a cell never loses more time than it may."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import pytest

from nbray import session
from nbray.ids import ObjectId
from nbray.notebook import input_hashes
from nbray.notebook.input_hashes import pieces
from nbray.notebook.manifest import Piece
from nbray.notebook.values import ModuleName, Preview, RemoteValue
from nbray.objects import ObjectRef

GENEROUS = 5.0


def of(value: Any, seconds: float = GENEROUS) -> Piece:
    return pieces({"x": value}, seconds)[0]


@pytest.mark.parametrize("value", [3, "text", [1, 2.5], {"a": (1, None)}, np.arange(5), np.float64(2.5)])
def test_the_same_content_has_the_same_hash(value: Any) -> None:
    import copy

    assert of(value).hash == of(copy.deepcopy(value)).hash != ""


def test_other_content_has_another() -> None:
    found = {of(value).hash for value in (3, 4, "3", [3], [3, 3], np.arange(3), np.arange(4), lambda: 3, lambda: 4)}
    assert len(found) == 9


def test_what_stands_for_a_value_is_not_looked_into() -> None:
    handle = RemoteValue(None, Preview("numpy.ndarray", "5, int64", "", "", 4000))  # type: ignore[arg-type]
    assert of(handle) == Piece("x", "ndarray", "5, int64", 4000, on_cluster=True)
    assert of(ModuleName("json")) == Piece("x", "module", "json")



class Model:
    def __reduce__(self) -> str:
        return "nowhere"


def test_what_is_not_hashed_says_why() -> None:
    assert of(Model()) == Piece("x", "Model", unhashed="of a type that is not looked into")
    assert "too much" in of(["a"] * 1_000_000, 0.01).unhashed
    assert of(["a"] * 1_000_000, 0.01).size >= 1_000_000


def test_of_a_large_array_a_sample_is_hashed() -> None:
    large = np.zeros(20_000_000)
    before = of(large, 0.001)
    assert before.hash.startswith("~")
    large += 1
    assert of(large, 0.001).hash not in ("", before.hash)
    assert of(large[::2], 0.001).hash == ""  # in pieces
    assert "too much" in of(large[::2], 0.001).unhashed


def test_the_light_ones_go_first() -> None:
    now = iter([0.0, 0.0, 0.005, 0.02])
    found = pieces({"heavy": [1] * 4000, "light": 1, "middle": [1] * 400}, 0.01, lambda: next(now))
    assert [piece.name for piece in found] == ["heavy", "light", "middle"]
    assert [bool(piece.hash) for piece in found] == [False, True, True]


def test_no_cell_loses_much_time() -> None:
    values = {f"x{i}": [i] * 20_000 for i in range(300)}
    began = time.perf_counter()
    found = pieces(values)
    assert time.perf_counter() - began < 1.0  # a hundredth of it, when nothing else runs
    assert len(found) == input_hashes.MOST


class Query:
    """Whose length takes a question to a database."""

    def __len__(self) -> int:
        pytest.fail("it was asked for its length")


def test_no_code_of_the_value_itself_runs() -> None:
    assert of(Query()).facts == ""


class Engine:
    epoch, lost = "e1", ""

    def size(self, object_id: int) -> int | None:
        return {5: 4000}.get(object_id)

    def release(self, object_id: int) -> None:
        pass


def test_of_a_reference_the_size_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    assert of(ObjectRef(ObjectId(5), "e1")).size == 0  # nothing runs
    monkeypatch.setattr(session.current, "backend", Engine())
    found = [of(ObjectRef(ObjectId(number), epoch)) for number, epoch in ((5, "e1"), (6, "e1"), (5, "e0"))]
    assert [piece.size for piece in found] == [4000, 0, 0]
    assert found[0] == Piece("x", "ObjectRef", size=4000, on_cluster=True)
