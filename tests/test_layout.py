"""The tree keeps its promises: tests mirror modules, nothing grows too long, and what is public is written about."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import nbray

ROOT = Path(__file__).parent.parent
PACKAGE = ROOT / "nbray"
MODULES = sorted(path for path in PACKAGE.rglob("*.py") if path.name != "__init__.py")

LONGEST_FILE = 600
LONGEST_FUNCTION = 60

NO_TEST_FILE = {
    "snapshot.py": "records without behaviour",
    "config.py": "a record without behaviour",
    "backends/backend.py": "abstract: tests/contract is its test, run on each implementation",
    "scheduler/messages.py": "records without behaviour",
    "scheduler/events.py": "records without behaviour",
    "scheduler/actions.py": "records without behaviour",
    "tune/events.py": "records without behaviour",
}
"""Modules without a test file of their own, each with the reason. The list may only shrink."""


def mirror(module: Path) -> Path:
    relative = module.relative_to(PACKAGE)
    return ROOT / "tests" / relative.parent / f"test_{relative.name}"


def functions(path: Path) -> Iterator[tuple[str, int]]:
    """Name and length of each function in a file, its docstring not counted."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.name, length - (docstring.count("\n") + 1 if docstring else 0)


def test_every_module_has_its_test_file() -> None:
    missing = {str(path.relative_to(PACKAGE)) for path in MODULES if not mirror(path).exists()}
    assert missing - set(NO_TEST_FILE) == set(), "write tests/<same place>/test_<name>.py"
    assert set(NO_TEST_FILE) - missing == set(), "has a test file now or is gone: take it off the list"


def test_no_file_is_too_long() -> None:
    files = [*MODULES, *(ROOT / "tests").rglob("*.py")]
    lengths = {str(path.relative_to(ROOT)): path.read_text().count("\n") for path in files}
    assert {name: length for name, length in lengths.items() if length > LONGEST_FILE} == {}


def test_no_function_is_too_long() -> None:
    files = [*MODULES, *(ROOT / "tests").rglob("*.py")]
    found = {f"{path.relative_to(ROOT)}:{name}": length for path in files for name, length in functions(path)}
    assert {name: length for name, length in found.items() if length > LONGEST_FUNCTION} == {}


def test_no_module_bears_the_name_of_a_public_function() -> None:
    """`from nbray import map` would otherwise give the module to whoever imported it first."""
    assert {path.stem for path in PACKAGE.glob("*.py")} & set(nbray.__all__) == set()


def test_every_public_name_is_written_about() -> None:
    text = (ROOT / "README.md").read_text() + "".join(path.read_text() for path in (ROOT / "notebooks").glob("*.ipynb"))
    silent = [name for name in nbray.__all__ if not re.search(rf"\b{name}\b", text)]
    assert silent == [], "say in README.md or a notebook what it is for"
