"""Which names hold refs, and how the report looks."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pandas as pd
import pytest

import nbray
from nbray.introspection import object_rows
from nbray.memory_report import names_of_objects, report, user_names
from nbray.snapshot import ObjectSnapshot, StoreSnapshot
from tests.fakes import FakeBackend, fake_session


@pytest.fixture(autouse=True)
def backend() -> Iterator[FakeBackend]:
    with fake_session() as backend:
        yield backend


def test_names_and_outputs_that_hold_refs() -> None:
    one, two, three = nbray.put(1), nbray.put(2), nbray.put(3)
    names = {
        "one": one, "both": [one, {"deep": (two,)}], "text": "x", "Out": {3: two, 7: [three]}, "_": two, "__": three, "_3": two,
        "_oh": {3: two},
    }  # fmt: skip
    assert names_of_objects(names) == {
        one.hex(): ["one", "both[0]"], two.hex(): ["both[1]['deep'][0]", "Out[3]"], three.hex(): ["Out[7][0]"]
    }  # fmt: skip


def test_in_a_script_underscores_are_names_like_others() -> None:
    one = nbray.put(1)
    assert names_of_objects({"_": one}) == {one.hex(): ["_"]}
    assert "__name__" in user_names()


def test_the_report() -> None:
    objects = [ObjectSnapshot(nbray.put(1).id, "ready", 2_500_000, "arena", 2, ["driver", "task f (2 x)"], "cell [3]")]
    rows = object_rows(objects)
    shown = report(StoreSnapshot(10_000_000, 2_500_000, 1, inline=300), rows, {rows[0].object_id: ["table"]})
    text = repr(shown)
    assert text.startswith("store: 2.5 MB of 10 MB in 1 objects, small values in the scheduler 300 B\nobject_id")
    for part in ("2.5 MB", "driver, task f (2 x)", "cell [3]", "table"):
        assert part in text.splitlines()[-1]
    assert shown.rows[0]["size"] == 2_500_000
    assert "<table>" in shown._repr_html_()


def test_a_backend_without_lists_says_so() -> None:
    with pytest.raises(nbray.NotSupportedHere, match="the backend 'fake' keeps no list of objects"):
        nbray.memory()
    with pytest.raises(nbray.NotSupportedHere, match="the backend 'fake' has no worker processes"):
        nbray.stack()


class Handle:
    """Stands for a value that lives on the cluster."""

    def __init__(self, ref: nbray.ObjectRef) -> None:
        self.ref = ref

    def __nbray_ref__(self) -> nbray.ObjectRef:
        return self.ref

    def __getattr__(self, name: str) -> None:
        raise AssertionError(f"{name} would fetch the value")


def test_a_handle_holds_its_object_and_is_not_fetched_for_that() -> None:
    ref = nbray.put(1)
    handle = Handle(ref)
    assert names_of_objects({"table": handle, "Out": {4: [handle]}}) == {ref.hex(): ["table", "Out[4][0]"]}


class Model:
    def __init__(self, weights: object) -> None:
        self.layers = [{"weights": weights}]
        self.module, self.function, self.itself = nbray, names_of_objects, self


def test_what_arrays_inside_frames_and_models_hold_has_names(backend: FakeBackend, monkeypatch: pytest.MonkeyPatch) -> None:
    stored, own = np.arange(4.0), np.arange(4.0)
    addresses = {stored.ctypes.data: nbray.put(1).id}
    monkeypatch.setattr(backend, "object_at", addresses.get)
    names = {"model": Model(stored), "frame": pd.DataFrame({"a": stored}, copy=False), "array": stored, "other": Model(own)}
    [held_by] = names_of_objects(names).values()
    assert held_by == ["model", "frame", "array"]
