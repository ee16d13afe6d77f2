"""Tab and Shift-Tab on handles: what their type has is offered, and nothing is fetched."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pandas as pd
import pytest
from IPython.core.completer import provisionalcompleter
from IPython.core.interactiveshell import InteractiveShell

from nbray.notebook import looking
from nbray.notebook.values import Preview, RemoteValue
from nbray.objects import put
from tests.fakes import fake_session


@pytest.fixture
def frame(shell: InteractiveShell) -> Iterator[RemoteValue]:
    table = pd.DataFrame({"name": ["a"], "number": [1]})
    with fake_session():
        shell.user_ns["table"] = RemoteValue(put(table), Preview.of(table, 100_000))
        yield shell.user_ns["table"]


def completions(shell: Any, text: str) -> list[str]:
    with provisionalcompleter():
        return [each.text for each in shell.Completer.completions(text, len(text))]


def is_fetched(handle: RemoteValue) -> bool:
    return not repr(handle).startswith("<pandas.DataFrame on the cluster")


@pytest.mark.parametrize("use_jedi", [True, False], ids=["jedi", "without jedi"])
def test_tab_offers_attributes_and_columns(shell: Any, frame: RemoteValue, use_jedi: bool) -> None:
    undo = looking.install(shell)
    shell.Completer.use_jedi = use_jedi
    dot = "" if use_jedi else "."
    assert completions(shell, "table.groupb") == [f"{dot}groupby"]
    assert completions(shell, "table.numb") == [f"{dot}number"]
    assert completions(shell, 'table["n') == ["name", "number"]
    assert not is_fetched(frame)
    undo()
    assert "completions" not in vars(shell.Completer)


def test_shift_tab_shows_the_preview(shell: Any, frame: RemoteValue) -> None:
    undo = looking.install(shell)
    shown = shell.object_inspect_mime("table")["text/plain"]
    assert "on the cluster: 1 x 2, 1 str + 1 int64" in shown
    assert not is_fetched(frame)
    undo()
    assert "object_inspect_mime" not in vars(shell)


def test_what_was_overridden_before_stays_so(shell: Any) -> None:
    def inspect(name: str) -> str:
        return name

    shell.object_inspect_mime = inspect
    looking.install(shell)()
    assert shell.object_inspect_mime is inspect
