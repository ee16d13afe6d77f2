"""What a worker can import by name."""

from __future__ import annotations

import collections
import json
import os.path
import sys
import types
import xml.dom.minidom
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from nbray.importability import is_importable, is_importable_module


def here() -> None: ...


class Outer:
    class Inner: ...

    def method(self) -> None: ...


def decorated() -> Any:
    def inner() -> None: ...

    return inner


@pytest.mark.parametrize(
    "obj", [json.dumps, collections.OrderedDict, np.mean, np.ndarray, xml.dom.minidom.parse, Outer.Inner, Outer.method, here]
)
def test_module_level_things_are(obj: Any) -> None:
    assert is_importable(obj)


def test_the_notebook_s_own_and_nested_things_are_not(monkeypatch: pytest.MonkeyPatch) -> None:
    main = types.ModuleType("__main__")
    exec("def f(): ...\nclass C: ...", main.__dict__)
    monkeypatch.setitem(sys.modules, "__main__", main)
    assert not is_importable(main.f)
    assert not is_importable(main.C)
    assert not is_importable(decorated())
    assert not is_importable(lambda: 0)


def test_what_has_been_replaced_in_its_module_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    old = json.dumps
    monkeypatch.setattr(json, "dumps", lambda: 0)
    assert not is_importable(old)


def test_modules(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "made_by_hand_here", types.ModuleType("made_by_hand_here"))
    assert not is_importable_module("made_by_hand_here")
    assert is_importable_module("numpy.linalg")
    assert is_importable_module(os.path.__name__)
    assert not is_importable_module("__main__")
    (tmp_path / "beside_the_notebook.py").write_text("")
    assert not is_importable_module("beside_the_notebook")
    monkeypatch.syspath_prepend(tmp_path)
    assert is_importable_module("beside_the_notebook")


def test_nbray_is_wherever_this_process_has_gone(monkeypatch: pytest.MonkeyPatch) -> None:
    """A checkout is found through the working directory, which a notebook may change."""
    monkeypatch.setattr(sys, "meta_path", [])
    assert is_importable_module("nbray.tune.reporting")
