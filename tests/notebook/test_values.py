"""Lazy handles: shown without being fetched, fetched at the first use, and then as good as their value."""

from __future__ import annotations

import copy
import math
import operator
import pickle
from collections.abc import Callable, Iterator
from typing import Any
from unittest.mock import Mock

import numpy as np
import pandas as pd
import pytest
from IPython.core.formatters import DisplayFormatter

import nbray
from nbray import serialization, session
from nbray.errors import WrongCluster, WrongType
from nbray.fingerprints import fingerprint
from nbray.notebook import fetch_notices, values
from nbray.notebook.values import LARGE, LARGE_PLAIN, Preview, RemoteValue, limit_of, only_looking
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def handle(value: Any) -> Any:
    """A RemoteValue; to the type checker anything, as for a user."""
    size = serialization.encoded_size(serialization.dumps(value))
    return RemoteValue(nbray.put(value), Preview.of(value, size))


def fetched(value: Any) -> bool:
    return object.__getattribute__(value, "_value") is not values._NOT_FETCHED


class Counter:
    """An object with state, as a model is."""

    def __init__(self, count: int = 0) -> None:
        self.count = count

    def __call__(self, by: int = 1) -> int:
        self.count += by
        return self.count

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Counter) and other.count == self.count


# -------------------------------------------------------------------- what costs no fetch

LOOKS: dict[str, Callable[[Any], Any]] = {
    "repr": repr,
    "str": str,
    "format": lambda x: f"{x}",
    "bundle": lambda x: x._repr_mimebundle_(),
    "dir": dir,
    "type": type,
    "isinstance": lambda x: isinstance(x, np.ndarray),
    "preview": lambda x: x.preview.facts,
    "ref": lambda x: x.ref,
    "ship": serialization.dumps,
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "display": lambda x: DisplayFormatter().format(x),
    "is": lambda x: x is None,
    "callable": callable,
    "len": len,
    "keys": lambda x: x._ipython_key_completions_(),
    "bool of a container": lambda x: isinstance(x, (np.ndarray, pd.DataFrame)) or bool(x),
}


@pytest.mark.parametrize("look", LOOKS.values(), ids=LOOKS)
@pytest.mark.parametrize("value", [np.ones((3, 4)), pd.DataFrame({"a": [1]}), [1, 2], {"a": 1}], ids=lambda x: type(x).__name__)
def test_looking_does_not_fetch(value: Any, look: Callable[[Any], Any]) -> None:
    x = handle(value)
    look(x)
    assert not fetched(x)


@pytest.mark.parametrize("name", ["_repr_png_", "_repr_html_", "_ipython_display_", "__wrapped__", "__name__", "__await__"])
def test_who_asks_what_it_can_do_is_not_a_user(name: str) -> None:
    x = handle([1, 2])
    assert not hasattr(x, name)
    assert not fetched(x)


def test_completion_knows_the_attributes_of_its_type() -> None:
    x = handle(pd.DataFrame({"a": [1]}))
    assert {"groupby", "get", "fetch", "preview", "ref", "a"} <= set(dir(x))
    strange = RemoteValue(x.ref, x.preview._replace(type_name="not_here.Thing", keys=()))
    assert dir(strange) == ["fetch", "get", "preview", "ref"]


def test_attributes_that_say_what_it_is_are_known() -> None:
    x, frame = handle(np.ones((3, 4))), handle(pd.DataFrame({"a": [1, 2]}))
    assert (x.shape, x.dtype, x.ndim, x.nbytes, len(x)) == ((3, 4), np.dtype("f8"), 2, 96, 3)
    assert (frame.shape, list(frame.columns), str(frame.dtypes["a"]), len(frame)) == ((2, 1), ["a"], "int64", 2)
    assert not fetched(x)
    assert not fetched(frame)
    frame["b"] = 3
    assert frame.shape == (2, 2)


def test_who_only_looks_sees_attributes_of_its_type_and_fetches_nothing() -> None:
    x = handle(pd.DataFrame({"a": [1]}))
    with only_looking():
        assert x.groupby is pd.DataFrame.groupby
        assert x.shape == (1, 1)
        with pytest.raises(WrongType, match="only to be looked at"):
            x["a"]
        with pytest.raises(AttributeError):
            x.nothing  # noqa: B018
    assert not fetched(x)
    assert x["a"].sum() == 1


# -------------------------------------------------------------------- what fetches, and says so


def test_a_use_says_once_what_was_fetched(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fetch_notices, "_notices", fetch_notices.Notices())
    x = handle(np.ones((300, 40)))
    assert x.sum() == (x + 0).sum() == 12_000
    said = capsys.readouterr().err
    assert said.count("nbray: fetched a value (numpy.ndarray, 96.1 kB) in 0.") == said.count("\n") == 1


@pytest.mark.parametrize("ask", [lambda x: x.get(), lambda x: x.fetch()], ids=["get", "fetch"])
def test_who_asks_for_the_plain_value_is_told_nothing(ask: Callable[[Any], Any], capsys: pytest.CaptureFixture[str]) -> None:
    x = handle(np.ones(3))
    assert type(ask(x)) is np.ndarray
    assert x.sum() == 3
    assert capsys.readouterr().err == ""


def test_the_function_get_takes_handles_like_refs() -> None:
    x, frame = handle(ARRAY), handle(pd.DataFrame({"a": [1]}))
    frame["b"] = 2
    array, [again, (changed,), ref] = nbray.get(x), nbray.get([x, (frame,), nbray.put(3)])
    assert type(array) is type(again) is np.ndarray
    assert type(changed) is pd.DataFrame
    assert (list(changed), ref) == (["a", "b"], 3)


def test_get_with_arguments_is_that_of_the_value() -> None:
    assert (handle({"a": 1}).get("a"), handle({"a": 1}).get("b", 2), handle({"a": 1}).get()) == (1, 2, {"a": 1})
    assert handle(pd.DataFrame({"a": [1]})).get("a").tolist() == [1]


def test_a_dict_is_no_array() -> None:
    with pytest.raises(WrongType, match=r"pandas.DataFrame\(x.get\(\)\)"):
        pd.DataFrame(handle({"a": [1, 2]}))
    assert pd.DataFrame(handle({"a": [1, 2]}).get()).a.sum() == 3


def test_an_item_of_a_shared_array_is_not_set_and_it_says_what_to_type() -> None:
    x = handle(np.ones(3))
    x.fetch().flags.writeable = False
    with pytest.raises(ValueError, match="read-only") as caught:
        x[0] = 2
    assert caught.value.__notes__ == [values.READ_ONLY]


# -------------------------------------------------------------------- what fetches, once

USES: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "attribute": (np.array(4), lambda x: x.T),
    "method": ([1, 2], lambda x: x.index(2)),
    "call": (Counter(), lambda x: x(3)),
    "index": ([1, 2], lambda x: x[1]),
    "slice": ([1, 2], lambda x: x[:1]),
    "key": ({"a": 1}, lambda x: x["a"]),
    "iter": ([1, 2], list),
    "unpack": ([1, 2], lambda x: [*x]),
    "mapping": ({"a": 1}, lambda x: {**x}),
    "reversed": ([1, 2], lambda x: list(reversed(x))),
    "in": ([1, 2], lambda x: 2 in x),
    "bool": (np.array(0), bool),
    "not": (np.array(1), operator.not_),
    "hash": ((1, 2), hash),
    "int": (np.array(4), int),
    "float": (np.array(4.5), float),
    "complex": (np.array(4.5), complex),
    "index()": (3, lambda x: [0, 1, 2, 3][x]),
    "round": (2.567, lambda x: round(x, 1)),
    "divmod": (7, lambda x: divmod(x, 2)),
    "trunc": (2.5, math.floor),
    "bytes": (bytearray(b"ab"), bytes),
    "neg": (3, operator.neg),
    "pos": (3, operator.pos),
    "abs": (-3, abs),
    "invert": (3, operator.invert),
    "format": (2.567, lambda x: f"{x:.1f}"),
    "text": ("long text", str),
    "text in text": ("long text", lambda x: f"<{x}>"),
    "percent": ("%d!", lambda x: x % 3),
    "equal": ([1, 2], lambda x: x == [1, 2]),
    "unequal": ([1, 2], lambda x: x != [1, 2]),
    "less": (3, lambda x: x < 4),
    "greater, reflected": (3, lambda x: 4 > x),  # noqa: SIM300
    "power of three": (3, lambda x: pow(x, 2, 5)),
    "in place": ([1], lambda x: operator.iadd(x, [2])),
}


@pytest.mark.parametrize(("value", "use"), USES.values(), ids=USES)
def test_a_use_gives_what_the_value_gives(value: Any, use: Callable[[Any], Any]) -> None:
    x = handle(value)
    assert use(x) == use(copy.deepcopy(value))
    assert fetched(x)


BINARY = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod, operator.pow,
    operator.lshift, operator.rshift, operator.and_, operator.or_, operator.xor, divmod,
    operator.lt, operator.le, operator.eq, operator.ne, operator.gt, operator.ge,
]  # fmt: skip


@pytest.mark.parametrize("operation", BINARY, ids=lambda each: each.__name__)
def test_operators_take_handles_on_either_side(operation: Callable[[Any, Any], Any]) -> None:
    assert operation(handle(7), 2) == operation(7, handle(2)) == operation(handle(7), handle(2)) == operation(7, 2)


def test_the_matrix_product_takes_handles_on_either_side() -> None:
    a, b = np.arange(4.0).reshape(2, 2), np.ones((2, 2))
    for product in (handle(a) @ b, a @ handle(b), handle(a) @ handle(b)):
        assert type(product) is np.ndarray
        assert np.array_equal(product, a @ b)


def test_it_is_fetched_once(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    get = Mock(wraps=backend.get)
    monkeypatch.setattr(backend, "get", get)
    x = handle([1, 2])
    assert (x[1], x[0], x.fetch()) == (2, 1, [1, 2])
    get.assert_called_once()


def test_attributes_and_items_are_set_on_the_value() -> None:
    x = handle(Counter(1))
    x.count = 5
    assert (x.count, x.fetch().count, x()) == (5, 5, 6)
    del x.count
    assert not hasattr(x, "count")
    y = handle({"a": 1})
    y["b"] = 2
    del y["a"]
    assert y.fetch() == {"b": 2}


def test_an_attribute_that_is_not_there_is_missed_on_the_value() -> None:
    with pytest.raises(AttributeError, match="'list' object has no attribute 'shape'"):
        handle([1]).shape  # noqa: B018


# -------------------------------------------------------------------- libraries

ARRAY = np.arange(12.0).reshape(3, 4)
NUMPY: dict[str, Callable[[Any], Any]] = {
    "asarray": np.asarray,
    "array": np.array,
    "sum": lambda x: np.sum(x, axis=0),
    "sqrt": np.sqrt,
    "add": lambda x: np.add(x, 1),
    "dot": lambda x: np.dot(x, x.T),
    "concatenate": lambda x: np.concatenate([x, x]),
    "mean": np.mean,
    "as another type": lambda x: np.asarray(x, dtype=np.float32),
    "index with it": lambda x: np.arange(12)[np.asarray(x, int)],
    "reflected": lambda x: np.ones((3, 4)) + x,
    "compare": lambda x: (x > 3).sum(),
    "mask": lambda x: x[x > 3],
    "linalg": lambda x: np.linalg.norm(x),
    "where": lambda x: np.where(x > 2, x, 0),
    "stack": lambda x: np.stack([x, ARRAY]),
}


@pytest.mark.parametrize("function", NUMPY.values(), ids=NUMPY)
def test_numpy_takes_it_for_an_array(function: Callable[[Any], Any]) -> None:
    result, expected = function(handle(ARRAY)), function(ARRAY)
    assert type(result) is type(expected)
    assert np.array_equal(result, expected)


def test_numpy_takes_a_list_and_a_frame_too() -> None:
    assert np.asarray(handle([1, 2])).tolist() == [1, 2]
    assert np.asarray(handle(FRAME[["b"]])).tolist() == [[4], [5], [6]]
    assert np.array(handle([1, 2]), copy=True).tolist() == [1, 2]


FRAME = pd.DataFrame({"a": ["x", "y", "x"], "b": [4, 5, 6]})
PANDAS: dict[str, Callable[[Any], Any]] = {
    "frame of it": lambda x: pd.DataFrame(x),
    "concat": lambda x: pd.concat([x, x]),
    "concat with another": lambda x: pd.concat([FRAME, x]),
    "merge": lambda x: pd.merge(x, FRAME, on="a"),
    "merged into another": lambda x: FRAME.merge(x, on="a"),
    "join": lambda x: FRAME.add_suffix("_").join(x),
    "column": lambda x: x["b"] * 2,
    "attribute": lambda x: x.b,
    "mask": lambda x: x[x.b > 4],
    "groupby": lambda x: x.groupby("a").sum(),
    "loc": lambda x: x.loc[1:, ["b"]],
    "compare": lambda x: x == x,
    "add": lambda x: FRAME[["b"]] + x[["b"]],
    "crosstab": lambda x: pd.crosstab(x.a, x.b),
    "describe": lambda x: x.describe(),
}


@pytest.mark.parametrize("function", PANDAS.values(), ids=PANDAS)
def test_pandas_takes_it_for_a_frame(function: Callable[[Any], Any]) -> None:
    result, expected = function(handle(FRAME)), function(FRAME)
    assert type(result) is type(expected)
    assert result.equals(expected)


def test_isinstance_says_what_it_stands_for() -> None:
    assert isinstance(handle(ARRAY), np.ndarray)
    assert isinstance(handle(FRAME), pd.DataFrame)
    assert isinstance(handle(FRAME), RemoteValue)
    assert not isinstance(handle([1]), list), "IPython would show it item by item"


def test_scikit_learn_takes_models_and_data() -> None:
    from sklearn.base import clone, is_classifier
    from sklearn.linear_model import LogisticRegression
    from sklearn.model_selection import cross_val_score

    x, y = np.arange(20.0).reshape(-1, 1), np.arange(20) // 10
    model = LogisticRegression()
    expected = model.fit(x, y).predict(x)
    assert (LogisticRegression().fit(handle(x), handle(y)).predict(handle(x)) == expected).all()
    assert (handle(model).predict(x) == expected).all()
    assert is_classifier(handle(model))
    assert type(clone(handle(model))) is LogisticRegression
    assert len(cross_val_score(handle(model), handle(x), handle(y), cv=2)) == 2


# -------------------------------------------------------------------- on its way


def travelled(value: Any) -> Any:
    """The value after it was shipped."""
    return serialization.loads(serialization.encode(serialization.dumps(value)))


def test_a_file_has_the_value_and_no_handle_that_dies_with_its_cluster() -> None:
    x, frame = handle(ARRAY), handle(pd.DataFrame({"a": [1]}))
    saved = pickle.dumps({"x": x, "frame": frame})
    with fake_session():
        loaded = pickle.loads(saved)
    assert [type(each) for each in loaded.values()] == [np.ndarray, pd.DataFrame]
    assert np.array_equal(loaded["x"], ARRAY)
    lost = handle([1])
    with fake_session(), pytest.raises(WrongCluster):
        pickle.dumps(lost)


def test_its_fingerprint_is_that_of_its_value() -> None:
    def digest(value: Any) -> str:
        return fingerprint(value, str, str).digest

    x = handle(ARRAY)
    other = RemoteValue(x.ref, x.preview._replace(made_by="cell [7] on worker 1"))
    assert digest(x) == digest(other)
    assert digest(x) != digest(handle(ARRAY + 1))


def test_in_a_notebook_it_travels_as_a_handle() -> None:
    x = handle(ARRAY)
    back = travelled(x)
    assert type(back) is RemoteValue
    assert not fetched(back)
    assert (back.ref, back.preview) == (x.ref, x.preview)
    assert np.array_equal(back.fetch(), ARRAY)
    assert copy.copy(x).ref == copy.deepcopy(x).ref == x.ref


def test_a_task_gets_its_value(monkeypatch: pytest.MonkeyPatch) -> None:
    x = handle(ARRAY)
    data = serialization.encode(serialization.dumps({"big": x}))
    monkeypatch.setattr(session.current, "in_worker", True)
    arrived = serialization.loads(data)["big"]
    assert type(arrived) is np.ndarray
    assert np.array_equal(arrived, ARRAY)


def test_its_bytes_keep_the_object(backend: FakeBackend) -> None:
    x = handle(ARRAY)
    payload = serialization.dumps([x])
    assert payload.nested == [x.ref.id]
    assert len(payload.stream) < 1000


def test_what_was_changed_here_travels_as_it_is_now() -> None:
    x = handle({"a": [1]})
    x["a"].append(2)
    assert travelled(x) == {"a": [1, 2]}
    frame = handle(FRAME)
    frame["c"] = 1
    assert list(travelled(frame).columns) == ["a", "b", "c"]


def test_what_cannot_have_been_changed_stays_on_the_cluster() -> None:
    for value in (ARRAY, "text", b"bytes"):
        x = handle(value)
        x[:1]
        assert fetched(x)
        assert type(travelled(x)) is RemoteValue


def test_the_object_lives_as_long_as_a_handle(backend: FakeBackend) -> None:
    x = handle([1])
    object_id = x.ref.id
    y = copy.copy(x)
    del x
    assert backend.counts[object_id] == 1
    del y
    assert backend.counts[object_id] == 0


def test_without_its_cluster_the_preview_is_left(backend: FakeBackend) -> None:
    x = handle(ARRAY)
    with fake_session():
        assert "lost with its cluster" in repr(x)
        with pytest.raises(WrongCluster, match="run the cell that made it again"):
            x[0]


def test_what_is_here_outlives_its_cluster(backend: FakeBackend) -> None:
    x = handle(ARRAY)
    x.fetch()
    with fake_session():
        assert np.array_equal(travelled(x), ARRAY)
        assert repr(x) == repr(ARRAY)


UNCHANGED: dict[str, tuple[Any, Callable[[Any], Any]]] = {
    "frame": (pd.DataFrame({"a": np.arange(3.0), "b": ["x", "y", "z"]}), lambda x: x.groupby("b").sum()),
    "series": (pd.Series([1.0, 2.0]), lambda x: x.mean()),
    "list": ([[1, "a"], {"b": 2}], lambda x: x[0]),
    "object": (Counter(3), lambda x: x.count),
}


@pytest.mark.parametrize(("value", "use"), UNCHANGED.values(), ids=UNCHANGED)
def test_what_was_only_used_stays_on_the_cluster(value: Any, use: Callable[[Any], Any]) -> None:
    x = handle(value)
    use(x)
    assert fetched(x)
    payload = serialization.dumps([x])
    assert payload.nested == [x.ref.id]
    assert payload.buffers == []


def test_a_copy_of_what_is_here_is_another_value() -> None:
    x = handle({"a": [1]})
    x["b"] = 2
    shallow, deep = copy.copy(x), copy.deepcopy(x)
    assert shallow == deep == {"a": [1], "b": 2}
    shallow["c"] = deep["c"] = 3
    deep["a"].append(4)
    assert x.fetch() == {"a": [1], "b": 2}


def test_a_shown_value_that_is_here_is_shown_as_it_is_now() -> None:
    frame, items = handle(pd.DataFrame({"a": [1]})), handle([1] * 1000)
    frame["b"] = 2
    items.append(2)
    assert repr(frame) == repr(frame.get())
    assert repr(items).startswith("<list fetched from the cluster: 1,001 items, ")
    assert repr(items).endswith("\n[1, 1, 1, 1, 1, ...]")


@pytest.mark.parametrize(
    ("value", "limit"),
    [(np.ones(1), LARGE), (pd.DataFrame(), LARGE), ([1], LARGE_PLAIN), ("text", LARGE_PLAIN), ({}, LARGE_PLAIN), (1, LARGE)],
)
def test_what_c_code_wants_comes_back_as_it_is_while_it_is_not_too_large(value: Any, limit: int) -> None:
    assert limit_of(value) == limit
