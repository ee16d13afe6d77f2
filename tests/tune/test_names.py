"""What `nbray.tune` offers: everything that is named, documented, light to import, and as a type checker sees it."""

from __future__ import annotations

import ast
import subprocess
import sys
from pathlib import Path

import pytest

import nbray
from nbray import tune
from nbray.tune import loggers

SOURCE = Path(tune.__file__).read_text()


def names_for_type_checkers(source: str) -> set[str]:
    (block,) = [node for node in ast.parse(source).body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_every_name_is_there_typed_and_documented() -> None:
    assert [name for name in tune.__all__ if not getattr(tune, name).__doc__] == []
    assert names_for_type_checkers(SOURCE) == set(tune.__all__) <= set(dir(tune))
    assert len(set(tune.__all__)) == len(tune.__all__)


def test_loggers_are_there_typed_and_documented() -> None:
    assert [name for name in loggers.__all__ if not getattr(loggers, name).__doc__] == []
    assert names_for_type_checkers(Path(loggers.__file__).read_text()) == set(loggers.__all__) <= set(dir(loggers))
    assert {getattr(loggers, name).__name__ for name in loggers.BY_NAME.values()} < set(loggers.__all__)


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match=r"module 'nbray\.tune' has no attribute 'spark'"):
        tune.spark  # noqa: B018
    with pytest.raises(AttributeError, match=r"module 'nbray\.tune\.loggers' has no attribute 'spark'"):
        loggers.spark  # noqa: B018


def test_modules_are_reached_through_the_package() -> None:
    assert nbray.tune is tune
    assert tune.loggers is loggers
    assert tune.schedulers.ASHAScheduler.__module__ == "nbray.tune.schedulers.asha"


def test_no_module_bears_the_name_of_a_public_function() -> None:
    """`tune.run` would otherwise be the module, for whoever imported that first."""
    assert {path.stem for path in Path(tune.__file__).parent.glob("*.py")} & set(tune.__all__) == set()


def test_importing_it_imports_next_to_nothing() -> None:
    code = "import sys; from nbray import tune; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["nbray.tune.tuner", "nbray.session", "numpy", "optuna", "tensorboardX", "mlflow", "pandas", "msgspec"]
    loaded = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True).stdout
    assert loaded == "[]\n"


def test_what_tuning_needs_is_light() -> None:
    """The extras come when they are used; IPython, pandas and bokeh never do."""
    code = "import sys; from nbray import tune; tune.Tuner; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["optuna", "tensorboardX", "mlflow", "pandas", "IPython", "bokeh", "sklearn"]
    loaded = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True).stdout
    assert loaded == "[]\n"
