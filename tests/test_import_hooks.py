"""Calls that wait for an import."""

from __future__ import annotations

import sys
from pathlib import Path
from types import ModuleType

import pytest

from nbray import import_hooks
from nbray.import_hooks import when_imported


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.syspath_prepend(str(tmp_path))
    monkeypatch.setattr(sys, "meta_path", list(sys.meta_path))
    (tmp_path / "imported_later.py").write_text("value = 1\n")
    (tmp_path / "that_fails.py").write_text("1 / 0\n")
    monkeypatch.delitem(sys.modules, "imported_later", raising=False)
    return tmp_path


def test_it_calls_once_and_after_the_module_has_run() -> None:
    seen: list[int] = []
    when_imported("imported_later", lambda module: seen.append(module.value))
    assert seen == []
    import imported_later  # type: ignore[import-not-found]

    assert seen == [1]
    del sys.modules["imported_later"]
    import imported_later  # noqa: F811

    assert seen == [1]
    assert imported_later.value == 1


def test_what_is_imported_already_is_not_waited_for() -> None:
    seen: list[ModuleType] = []
    when_imported("sys", seen.append)
    assert seen == [sys]


def test_imports_go_on_as_always() -> None:
    when_imported("that_fails", lambda module: None)
    when_imported("that_never_comes", lambda module: None)
    with pytest.raises(ZeroDivisionError):
        import that_fails  # type: ignore[import-not-found] # noqa: F401
    with pytest.raises(ModuleNotFoundError):
        import that_never_comes  # type: ignore[import-not-found] # noqa: F401
    assert import_hooks._waiting.pop("that_never_comes", None) is not None
