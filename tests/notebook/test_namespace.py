"""A persistent namespace in this process: what stays, what is borrowed from the notebook each time anew, what comes back."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbray.notebook.names import find_names
from nbray.notebook.namespace import Namespace, RemoteName
from nbray.notebook.remote_shell import CellCode
from nbray.notebook.shipment import Shipment
from nbray.notebook.values import RemoteValue
from tests.fakes import fake_session
from tests.notebook.worker_side import Shown, as_task, worker_process


class Place:
    """A namespace and the notebook that sends cells to it."""

    def __init__(self) -> None:
        self.notebook: dict[str, Any] = {"__name__": "__main__"}
        self.shown = Shown()
        with as_task(self.shown):
            self.namespace = Namespace({"num_cpus": 2}, "place")

    def run(self, source: str, *wanted: str, anew: tuple[str, ...] = (), label: str = "[4]") -> dict[str, Any]:
        names = find_names(source)
        values = {name: self.notebook[name] for name in names.needed if name in self.notebook}
        with as_task(self.shown):
            shipment = Shipment(*_sent(Shipment.of(values, self.notebook)))
            code = CellCode(source, "/tmp/ipykernel_1/4.py", label)
            result = self.namespace.run(code, shipment, {}, (), wanted, names.changed, anew)
        return result.outcome.values

    def define(self, source: str) -> None:
        exec(source, self.notebook)

    @property
    def own(self) -> dict[str, tuple[str, str]]:
        return {each.name: (each.type_name, each.facts) for each in self.namespace.contents().names}


def _sent(shipment: Shipment) -> tuple[bytes, list[Any]]:
    stream, buffers = shipment.__reduce__()[1]
    return stream, [bytes(memoryview(buffer)) for buffer in buffers]


@pytest.fixture
def place() -> Iterator[Place]:
    with worker_process(), fake_session():
        yield Place()


def test_names_stay_and_only_the_wanted_come_back(place: Place) -> None:
    assert place.run("x = 1\ny = [x]") == {}
    assert place.run("z = x + 1", "y", "z") == {"y": [1], "z": 2}


def test_the_notebooks_names_come_each_time_anew(place: Place) -> None:
    for value in (1, 2):
        place.notebook["x"] = value
        assert place.run("y = x", "y") == {"y": value}
    assert "x" not in place.own


@pytest.mark.parametrize("source", ["x = [2]", "x.append(3)", "x[0] = 4", "x += [5]"])
def test_what_a_cell_assigns_or_changes_is_the_namespaces_own(place: Place, source: str) -> None:
    place.notebook["x"] = [1]
    place.run(source)
    kept = place.run("y = x", "y")
    place.notebook["x"] = "the notebook's"
    assert place.run("y = x", "y") == kept
    assert place.own["x"][0] == "list"
    assert place.run("y = x", "y", anew=("x",)) == {"y": "the notebook's"}


def test_a_deleted_name_is_the_notebooks_again(place: Place) -> None:
    place.notebook["x"] = 1
    place.run("x = 2")
    place.run("del x")
    assert place.run("y = x", "y") == {"y": 1}


def test_functions_of_the_notebook_see_what_cells_assign_there(place: Place) -> None:
    place.define("rate = 2\ndef tax(x): return rate * x\ndef both(x): return tax(x) + 1")
    assert place.run("y = both(10)", "y") == {"y": 21}
    place.run("rate = 3")
    assert place.run("y = both(10)", "y") == {"y": 31}
    place.define("def tax(x): return -rate * x")
    assert place.run("y = both(10)", "y") == {"y": -29}


def test_functions_of_cells_see_later_cells(place: Place) -> None:
    place.run("k = 1\ndef f(): return k")
    place.run("k = 2")
    assert place.run("y = f()", "y") == {"y": 2}


def test_what_a_failed_cell_has_assigned_stays(place: Place) -> None:
    with pytest.raises(ZeroDivisionError):
        place.run("x = 5\n1 / 0")
    assert place.own == {"x": ("int", "5")}


def test_hidden_assignments_stay_too_and_ipythons_own_are_not_listed(place: Place) -> None:
    place.run("exec('a = 1')\nglobals()['b'] = 2\n_private = 3\nopen('/dev/null').close()")
    assert set(place.own) == {"a", "b"}
    place.notebook["_private"] = "other"
    assert place.run("c = _private", "c") == {"c": 3}


def test_contents_say_what_is_reserved_and_what_is_there(place: Place) -> None:
    place.run("import numpy as np\nx = np.zeros((3, 2))\nn = 10 ** 50\ns = 'abc'\ndef f(): ...")
    contents = place.namespace.contents()
    assert contents.reserved == {"num_cpus": 2}
    assert RemoteName("x", "ndarray", "3 x 2, float64") in contents.names
    assert place.own["s"] == ("str", "3 items")
    assert place.own["f"] == ("function", "")
    assert len(place.own["n"][1]) == 30


def test_fetch_brings_copies_handles_and_reasons(place: Place) -> None:
    place.run("import numpy as np\nsmall = 1\nlarge = np.zeros(100_000)\ngen = (i for i in [])")
    outcome = place.namespace.fetch(("small", "large", "gen", "missing"))
    assert outcome.values["small"] == 1
    assert type(outcome.values["large"]) is RemoteValue
    assert "generator" in outcome.left_out["gen"]
    assert "missing" not in {**outcome.values, **outcome.left_out}


def test_a_borrowed_array_that_is_changed_is_a_writable_copy(place: Place) -> None:
    place.notebook["a"] = np.zeros(3)
    place.run("a[0] = 1")
    assert place.run("total = float(a.sum())", "total") == {"total": 1.0}
    assert place.notebook["a"][0] == 0


def test_completions_and_explanations(place: Place) -> None:
    place.run("class C:\n    '''What it is.'''\n    first = second = 1\nc, d = C(), {'alpha': 1}")
    complete = place.namespace.complete
    assert complete("c.fi", "x = c.fi") == ["c.first"]
    assert complete("c.nothing", "c.nothing") == []
    assert [each.strip("'") for each in complete("al", "d['al")] == ["alpha"]
    assert complete("d", "d") == []
    assert "What it is." in place.namespace.inspect("c", 0)["text/plain"]
    assert place.namespace.inspect("missing", 0) == {}


def test_last_expressions_stay_under_the_names_that_they_have_in_every_notebook(place: Place) -> None:
    place.notebook["_"] = "the notebook's"
    place.run("[1, 2]", label="[7]")
    place.run("None", label="[8]")
    place.run("sum(_);", label="[9]")
    place.run("sum(_)", label="[10]")
    assert place.run("found = _, __, Out, _7", "found") == {"found": (3, [1, 2], {7: [1, 2], 10: 3}, [1, 2])}
    assert set(place.own) == {"found"}


def test_a_name_of_the_users_is_left_to_him(place: Place) -> None:
    place.run("for _ in range(3): pass")
    place.run("'shown'")
    assert place.run("x = _", "x") == {"x": 2}


def test_old_code_is_told_before_it_runs(place: Place, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    file = tmp_path / "held_by_place.py"
    file.write_text("x = 1")
    place.run("import held_by_place")
    file.write_text("x = 1000")
    place.run("print(held_by_place.x)")
    [(_, told), (_, printed)] = [piece for piece in place.shown if piece[0] in ("stderr", "stdout")]
    assert "since the namespace 'place' has imported it: held_by_place. The old code runs here." in told
    assert printed == "1\n"
    place.run("import importlib; importlib.reload(held_by_place); print(held_by_place.x)")
    assert [text for stream, text in place.shown if stream == "stdout"][-1] == "1000\n"
    del sys.modules["held_by_place"]


def test_what_was_imported_is_no_loss(place: Place) -> None:
    place.run(
        "import os.path as p\nfrom json import dumps\nfrom collections import Counter\nfrom math import sqrt\n"
        "def f(): pass\nclass C: pass\nx = 1\nc = Counter()"
    )
    found = {each.name: (each.facts, each.imported) for each in place.namespace.contents().names}
    assert found["p"] == ("posixpath", True)
    assert found["dumps"] == ("from json", True)
    assert found["Counter"] == ("from collections", True)
    assert found["sqrt"] == ("from math", True)
    assert {name for name, (_, imported) in found.items() if not imported} == {"f", "C", "x", "c"}
