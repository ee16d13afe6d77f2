"""What a cell takes along: values, modules by name, modules behind modules; names that were asked for."""

from __future__ import annotations

import math
import os
import types
import xml
import xml.dom.minidom

import pytest

from nbray.errors import UsageError
from nbray.notebook.inputs import Inputs, gather


def test_values_and_modules_are_told_apart() -> None:
    namespace = {"m": math, "x": 3, "unused": 4, "path": os.path}
    found = gather(["m", "x", "path", "print", "nowhere"], namespace, "")
    assert found == Inputs({"x": 3}, {"m": "math", "path": os.path.__name__}, ())


def test_what_is_ipythons_own_stays() -> None:
    assert gather(["exit", "x"], {"exit": 1, "x": 2}, "", is_own=lambda name: name == "exit").values == {"x": 2}


def test_a_module_made_by_hand_travels_as_a_value() -> None:
    module = types.ModuleType("made_by_hand_here")
    assert gather(["module"], {"module": module}, "").values == {"module": module}


def test_modules_behind_modules_are_imported_too() -> None:
    assert "xml.dom.minidom" in gather(["xml"], {"xml": xml}, "xml.dom.minidom.parseString(t)").submodules
    assert gather(["xml"], {"xml": xml}, "xml.dom").submodules == ("xml.dom",)
    assert gather(["xml"], {"xml": xml}, "print(xml)").submodules == ()
    assert xml.dom.minidom is not None


def test_names_that_are_asked_for_replace_the_values_but_not_the_modules() -> None:
    namespace = {"m": math, "x": 3, "y": 4}
    found = gather(["m", "x"], namespace, "", only=["y", "y"])
    assert (found.values, found.modules) == ({"y": 4}, {"m": "math"})


def test_a_missing_name_is_refused_with_the_nearest() -> None:
    with pytest.raises(UsageError, match=r"^-i datta: the notebook has no such name. Did you mean data\?$"):
        gather([], {"data": 1, "_datta": 2}, "", only=["datta"])
