"""What `import nbray` offers, and what it costs."""

from __future__ import annotations

import ast
import inspect
import subprocess
import sys
from pathlib import Path

import pytest

import nbray
from nbray import errors

SOURCE = Path(nbray.__file__).read_text()


def names_for_type_checkers() -> set[str]:
    """The names that `nbray/__init__.py` imports for type checkers only."""
    (block,) = [node for node in ast.parse(SOURCE).body if isinstance(node, ast.If)]
    imports = [node for node in block.body if isinstance(node, ast.ImportFrom)]
    return {alias.asname or alias.name for node in imports for alias in node.names}


def test_every_public_name_is_there_and_typed() -> None:
    assert {name for name in nbray.__all__ if getattr(nbray, name, None) is None} == set()
    assert names_for_type_checkers() - {"Any"} == set(nbray.__all__)
    assert set(nbray.__all__) <= set(dir(nbray))


def test_every_error_is_public() -> None:
    raised = {name for name, value in vars(errors).items() if inspect.isclass(value) and issubclass(value, errors.NbrayError)}
    assert raised - set(nbray.__all__) == {"RemoteTraceback"}
    assert nbray.errors is errors


def test_every_public_thing_says_what_it_is() -> None:
    assert [name for name in nbray.__all__ if not getattr(nbray, name).__doc__] == []


def test_an_unknown_name_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'nbray' has no attribute 'spark'"):
        nbray.spark  # noqa: B018


def test_importing_nbray_imports_next_to_nothing() -> None:
    code = "import sys, importlib, __future__; before = set(sys.modules); import nbray; print(sorted(set(sys.modules) - before))"
    imported = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert ast.literal_eval(imported) == ["nbray", "nbray.import_hooks"]


def test_the_api_itself_stays_light() -> None:
    """What a first `@nbray.remote` imports: no numpy, zmq, dill, IPython; those come where they are needed."""
    code = "import sys, nbray; nbray.remote, nbray.init, nbray.map; print([m for m in sys.argv[1:] if m in sys.modules])"
    heavy = ["numpy", "zmq", "dill", "cloudpickle", "IPython", "psutil", "asyncio.subprocess", "pandas"]
    loaded = subprocess.run([sys.executable, "-c", code, *heavy], capture_output=True, text=True, check=True).stdout
    assert loaded == "[]\n"
