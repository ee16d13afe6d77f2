"""Inputs on their way: fresh at each run, one namespace, what the cell changes is its own."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from nbray import serialization
from nbray.errors import NotShippable
from nbray.notebook.shipment import Shipment, with_own

CODE = """
k = 1
def helper(x):
    return x + k
def other():
    return helper(0)
"""


def notebook(code: str = CODE) -> dict[str, Any]:
    """A notebook's namespace after a cell."""
    namespace: dict[str, Any] = {"__name__": "__main__"}
    exec(code, namespace)
    return namespace


def shipped(shipment: Shipment) -> tuple[dict[str, Any], dict[str, Any]]:
    """What arrives on the other side."""
    return over_the_wire(shipment).unpack()


def over_the_wire(shipment: Shipment) -> Shipment:
    """The shipment as a worker has it."""
    arrived: Shipment = serialization.loads(serialization.encode(serialization.dumps(shipment)))
    return arrived


def test_functions_share_the_namespace_in_which_the_cell_runs() -> None:
    here = notebook()
    values, namespace = shipped(Shipment.of({"helper": here["helper"], "other": here["other"]}, here))
    assert values["helper"](1) == 2
    namespace["k"] = 10
    assert (values["helper"](1), values["other"]()) == (11, 10)
    assert here["helper"](1) == 2


def test_each_run_unpacks_afresh() -> None:
    arrived = over_the_wire(Shipment.of({"xs": [1]}, notebook()))
    arrived.unpack()[0]["xs"].append(2)
    assert arrived.unpack()[0] == {"xs": [1]}


def test_what_the_cell_changes_is_its_own_and_may_be_written() -> None:
    array = np.zeros(20_000)
    values, _ = shipped(Shipment.of({"a": array, "b": array, "c": {"inner": array}}, notebook()))
    assert not values["a"].flags.writeable
    own = with_own(values, ["a", "c", "missing"])
    own["a"][0] = own["c"]["inner"][1] = 1
    assert own["a"][:2].tolist() == [1, 1], "the two names still share one array"
    assert values["a"][0] == own["b"][0] == array[0] == 0


def test_what_refuses_to_be_copied_stays_as_it_is() -> None:
    class Stubborn:
        def __deepcopy__(self, memo: object) -> Stubborn:
            raise ValueError("no")

    value = Stubborn()
    assert with_own({"x": value}, ["x"])["x"] is value


def test_an_input_that_cannot_travel_is_refused() -> None:
    with pytest.raises(NotShippable, match="generator"):
        Shipment.of({"g": (i for i in range(3))}, notebook())
