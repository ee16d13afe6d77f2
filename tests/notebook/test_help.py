"""`%nbray?`, `%%remote?`, `%%parallel?`, `%remote?`, `%%local?`: complete, with an example of everything."""

from __future__ import annotations

import argparse
import re
from collections.abc import Callable
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.notebook import extension, remote_mode
from nbray.notebook.magics import NbrayMagics
from nbray.notebook.parallel_magics import ParallelMagics
from nbray.notebook.remote_magics import RemoteMagics

MAGICS: dict[str, Callable[..., Any]] = {
    "%%remote": NbrayMagics.remote, "%%parallel": ParallelMagics.parallel, "%remote": RemoteMagics.remote,
    "%nbray": NbrayMagics.nbray,
}  # fmt: skip


def arguments(magic: str) -> list[argparse.Action]:
    parser: argparse.ArgumentParser = MAGICS[magic].parser  # type: ignore[attr-defined]
    return parser._actions


def options() -> list[Any]:
    known = [(magic, option) for magic in MAGICS for option in arguments(magic) if option.option_strings]
    return [pytest.param(magic, option, id=f"{magic} {option.option_strings[-1]}") for magic, option in known]


def test_what_is_declared_is_all_that_nbray_brings(shell: InteractiveShell) -> None:
    before = {kind: set(known) for kind, known in shell.magics_manager.magics.items()}
    extension.load_ipython_extension(shell)
    marks = {"line": "%", "cell": "%%"}
    added = {
        marks[kind] + name for kind, known in shell.magics_manager.magics.items() for name in set(known) - before[kind]
    }  # fmt: skip
    extension.unload_ipython_extension(shell)
    assert added == {*MAGICS, "%%local", f"%%{remote_mode.CELL_MAGIC}"}  # the last is typed by nobody


@pytest.mark.parametrize(("magic", "option"), options())
def test_each_option_has_an_example_and_says_what_it_is(magic: str, option: argparse.Action) -> None:
    text = MAGICS[magic].__doc__ or ""
    flags = "|".join(map(re.escape, option.option_strings))
    value = "" if option.nargs == 0 else r" [^\s-]"
    assert re.search(rf"(?<!%){magic}\b[^\n]*(?<=\s)(?:{flags}){value}", text), f"an example line of {magic} with {flags}"
    assert option.help


@pytest.mark.parametrize("magic", MAGICS)
def test_help_begins_with_how_it_is_typed_and_fits_a_page(magic: str) -> None:
    text = MAGICS[magic].__doc__ or ""
    assert text.startswith(f"::\n\n  {magic} [")
    assert max(map(len, text.splitlines())) <= 120


def test_each_action_of_remote_mode_has_an_example() -> None:
    text = MAGICS["%remote"].__doc__ or ""
    [action] = [each for each in arguments("%remote") if each.dest == "action"]
    for name in str(action.metavar).split("|"):
        assert re.search(rf"^  %remote {name}\b", text, re.MULTILINE), name


@pytest.mark.parametrize("magic", [*MAGICS, "%%local"])
def test_a_question_mark_shows_it(shell: InteractiveShell, capsys: pytest.CaptureFixture[str], magic: str) -> None:
    extension.load_ipython_extension(shell)
    shell.run_cell(f"{magic}?")
    extension.unload_ipython_extension(shell)
    assert f"  {magic}" in capsys.readouterr().out
