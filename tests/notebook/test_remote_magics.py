"""`%remote`: what its line refuses, and in a real kernel what it shows, fetches and ends."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from IPython.core.error import UsageError
from IPython.core.interactiveshell import InteractiveShell

from nbray import errors
from nbray.notebook import extension
from nbray.notebook.remote_magics import NO_NAMESPACE
from nbray.notebook.remote_mode import CELL_MAGIC
from tests.fakes import fresh_session
from tests.notebook.kernel import Kernel


@pytest.fixture
def notebook(shell: InteractiveShell) -> Iterator[InteractiveShell]:
    with fresh_session():
        extension.load_ipython_extension(shell)
        yield shell
        extension.unload_ipython_extension(shell)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("whoo", "%remote whoo: did you mean who?"),
        ("nothing", "%remote nothing: there are on, off, who, fetch, drop"),
        ("fetch", "name what shall be brought, as %remote fetch model --on gpu0"),
        ("fetch x", "%remote fetch: no namespace lives"),
        ("fetch x --on a", "there is no namespace 'a': there is none"),
        ("drop", "name the namespace that shall end, as %remote drop gpu0"),
        ("drop a", "there is no namespace 'a'"),
        ("who a", "there is no namespace 'a'"),
        ("who --on a", "takes no --on: name the namespace, as %remote who a"),
        ("on a b", "cells run in one namespace, as %remote on a"),
        ("on a/b", "'a/b' is no name of a namespace"),
        ("off a", "it ends the mode; %remote drop a ends a namespace"),
        ("fetch --onn a", "did you mean --on?"),
    ],
)
def test_bad_lines_are_refused(notebook: InteractiveShell, line: str, message: str) -> None:
    with pytest.raises((UsageError, errors.UsageError)) as caught:
        notebook.run_line_magic("remote", line)
    assert message in str(caught.value)


def test_without_a_cluster_none_is_started(notebook: InteractiveShell, capsys: pytest.CaptureFixture[str]) -> None:
    notebook.run_line_magic("remote", "")
    assert capsys.readouterr().out == NO_NAMESPACE + "\n"


def test_it_goes_with_the_extension(shell: InteractiveShell) -> None:
    with fresh_session():
        extension.load_ipython_extension(shell)
        extension.unload_ipython_extension(shell)
    magics = shell.magics_manager.magics
    assert not {"remote", "local", CELL_MAGIC} & {*magics["line"], *magics["cell"]}


@pytest.mark.local
def test_names_are_listed_fetched_and_ended(kernel: Kernel) -> None:
    kernel.run_ok("%%remote --on a\nimport numpy as np\nlarge = np.arange(100_000.0)\nsmall = {'k': 1}\ndef f(): return small")
    [table] = kernel.run_ok("%remote who").data("text/plain")
    assert re.search(r"^a +large +ndarray +100,000, float64$", table, re.MULTILINE), table
    kernel.run_ok("%remote fetch small large f")
    assert kernel.run_ok("small, f(), float(large.sum()), type(large).__name__").result == (
        "({'k': 1}, {'k': 1}, 4999950000.0, 'RemoteValue')"
    )
    kernel.run_ok("%%remote --on b\ngen = (i for i in [])")
    assert "gen stays behind" in kernel.run_ok("%remote fetch gen --on b").stderr
    assert "there are a, b: say which by --on NAMESPACE" in kernel.run("%remote fetch small").stderr
    assert "has ended, with all its names" in kernel.run_ok("%remote drop a b").stdout
    kernel.run_ok("%nbray stop")
    assert kernel.run_ok("%remote").stdout == NO_NAMESPACE + "\n"
