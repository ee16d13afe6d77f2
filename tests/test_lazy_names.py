"""Names that are imported at their first use."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

PACKAGES = ["nbray.util", "nbray.tune", "nbray.tune.schedulers", "nbray.tune.search", "nbray.tune.loggers"]


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """A package with a lazy name, a module of its own, and a module that must not be imported for them."""
    root = tmp_path / "lazy_package_of_tests"
    root.mkdir()
    root.joinpath("__init__.py").write_text(
        "from nbray.lazy_names import lazy_names\n"
        "__getattr__, __dir__ = lazy_names(__name__, {f'{__name__}.shapes': ['Round', 'Square']}, ['colours'])\n"
    )
    root.joinpath("shapes.py").write_text("made = []\nclass Round: pass\nclass Square: pass\n")
    root.joinpath("colours.py").write_text("RED = 1\n")
    monkeypatch.syspath_prepend(str(tmp_path))
    yield root.name
    for name in [name for name in sys.modules if name.startswith(root.name)]:
        del sys.modules[name]


def test_a_module_is_imported_when_one_of_its_names_is_first_used(package: str) -> None:
    module = importlib.import_module(package)
    assert f"{package}.shapes" not in sys.modules
    square = module.Square
    assert square is sys.modules[f"{package}.shapes"].Square
    assert vars(module)["Square"] is square
    assert "Round" not in vars(module)
    assert f"{package}.colours" not in sys.modules
    assert module.colours.RED == 1


def test_names_are_completed_before_they_are_imported(package: str) -> None:
    module = importlib.import_module(package)
    assert {"Round", "Square", "colours", "__name__"} <= set(dir(module))
    assert f"{package}.shapes" not in sys.modules


def test_an_unknown_name_is_an_attribute_error(package: str) -> None:
    module = importlib.import_module(package)
    with pytest.raises(AttributeError, match=f"module '{package}' has no attribute 'Triangle'"):
        module.Triangle  # noqa: B018
    assert not hasattr(module, "Triangle")


@pytest.mark.parametrize("name", PACKAGES)
def test_each_package_offers_just_what_it_lists(name: str) -> None:
    module = importlib.import_module(name)
    assert [each for each in module.__all__ if getattr(module, each, None) is None] == []
    assert set(module.__all__) <= set(dir(module))
    with pytest.raises(AttributeError, match=f"module '{name}' has no attribute 'spark'"):
        module.spark  # noqa: B018
