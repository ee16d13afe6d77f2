"""Tab and Shift-Tab on names of a namespace, in a real kernel; and what is left alone."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest
from IPython.core.interactiveshell import InteractiveShell

from nbray.notebook.remote_completion import RemoteCompletion, matches, namespace_of
from nbray.notebook.remote_mode import RemoteMode
from tests.notebook.kernel import ANSI, Kernel, running_kernel

PATIENT = "import nbray.notebook.remote_completion as asked\nasked.PATIENCE = asked.INSPECT_PATIENCE = 10"
"""What is answered counts here, not how soon: tests/benchmarks measures that."""


@pytest.mark.parametrize(
    ("cell", "namespace"),
    [
        ("%%remote --on a\nx", "a"),
        ("%%remote -o y --on=gpu.0 --bg\nx", "gpu.0"),
        ("%%remote --bg\nx --on a", None),
        ("x = '%%remote --on a'", None),
    ],
)
def test_the_line_of_a_cell_names_its_namespace(cell: str, namespace: str | None) -> None:
    assert namespace_of(cell) == namespace


def test_a_namespace_that_was_not_used_has_nothing() -> None:
    assert matches("never used", "x", "x") == []


def test_it_goes_without_a_trace(shell: InteractiveShell) -> None:
    before = list(shell.Completer.custom_matchers)
    inspects = shell.object_inspect_mime
    mode = RemoteMode(shell)
    RemoteCompletion(shell, mode).close()
    mode.close()
    assert shell.Completer.custom_matchers == before
    assert shell.object_inspect_mime == inspects


# -------------------------------------------------------------------- in a kernel


@pytest.fixture(scope="module")
def kernel(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Kernel]:
    with running_kernel(tmp_path_factory.mktemp("completion"), "%load_ext nbray", "%nbray start -n 1") as kernel:
        kernel.run_ok("here_only = 1")
        kernel.run_ok(PATIENT)
        kernel.run_ok(
            "%%remote --on a\nclass Table:\n    '''All of it.'''\n    columns = 3\n    def collect(self, how): ...\n"
            "table, there_only, config = Table(), 2, {'rate': 1, 'rounds': 2}"
        )
        yield kernel


def completed(kernel: Kernel, code: str) -> list[str]:
    content: dict[str, Any] = kernel.client.complete(code, len(code), reply=True, timeout=30)["content"]
    assert content["status"] == "ok"
    return [code[: content["cursor_start"]] + match for match in content["matches"]]


def inspected(kernel: Kernel, code: str, detail: int = 0) -> str:
    content = kernel.client.inspect(code, len(code), detail_level=detail, reply=True, timeout=30)["content"]
    return ANSI.sub("", str(content["data"].get("text/plain", "")))


@pytest.mark.local
def test_a_cell_for_a_namespace_completes_its_names(kernel: Kernel) -> None:
    line = "%%remote --on a\n"
    assert completed(kernel, line + "there_o") == [line + "there_only"]
    assert set(completed(kernel, line + "print(table.co")) == {line + "print(table.columns", line + "print(table.collect"}
    assert set(completed(kernel, line + "config['r")) == {line + "config['rate", line + "config['rounds"}
    assert completed(kernel, line + "here_o") == [line + "here_only"]
    assert completed(kernel, "there_o") == []


@pytest.mark.local
def test_remote_mode_completes_and_explains(kernel: Kernel) -> None:
    kernel.run_ok("%remote on a")
    try:
        assert completed(kernel, "there_o") == ["there_only"]
        assert completed(kernel, "y = table.col") == ["y = table.collect", "y = table.columns"]
        assert "All of it." in inspected(kernel, "table")
        assert "def collect(self, how)" in inspected(kernel, "table.collect", 1)
        assert "int" in inspected(kernel, "here_only")
        assert inspected(kernel, "nobody_knows") == ""
    finally:
        kernel.run_ok("%remote off")
    assert completed(kernel, "there_o") == []
    assert inspected(kernel, "table") == ""


@pytest.mark.local
def test_a_busy_namespace_is_not_waited_for(kernel: Kernel) -> None:
    running = kernel.run_ok("%%remote --on a --bg\nimport time\nprint('on', flush=True)\ntime.sleep(60)")
    kernel.until(lambda: "on" in running.stdout, 20, running)
    kernel.run_ok("asked.PATIENCE = 0.12")
    started = time.perf_counter()
    assert completed(kernel, "%%remote --on a\ntable.col") == []
    assert completed(kernel, "%%remote --on a\nthere_o") == ["%%remote --on a\nthere_only"]
    assert time.perf_counter() - started < 30, "the cell there goes on for longer"
    kernel.run_ok("asked.PATIENCE = 10")
    kernel.run_ok(f"%nbray cancel {running.number}")
    assert kernel.run_ok("%%remote --on a\nprint(there_only)").stdout == "2\n"
