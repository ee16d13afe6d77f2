"""The README's code runs, in the order in which it stands there, and its links lead somewhere."""

from __future__ import annotations

import io
import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook

from nbray import demo

README = Path(__file__).parent.parent / "README.md"


@pytest.mark.slow
def test_its_python_blocks_run_in_a_kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)  # what they write goes there
    blocks = re.findall(r"^```python\n(.*?)^```", README.read_text(), re.DOTALL | re.MULTILINE)
    assert len(blocks) >= 6
    source = tmp_path / "readme.ipynb"
    nbformat.write(new_notebook(cells=[new_code_cell(block.strip()) for block in blocks]), source)
    notebook, failure = demo.execute(source, io.StringIO())
    assert failure is None
    text = "".join(output.get("text", "") for cell in notebook.cells for output in cell.outputs)
    assert "the worker made 64000000 bytes" in text
    assert "0.5" in text
    shown = [output.data.get("text/plain") for cell in notebook.cells for output in cell.outputs if "data" in output]
    assert "4.0" in shown
    assert "best score (max): 9 with {'power': 2, 'x': 3}" in text


def test_its_links_to_files_lead_somewhere() -> None:
    targets = re.findall(r"\]\(([^)#:]+)\)", README.read_text())
    assert targets != []
    assert [target for target in targets if not (README.parent / target).exists()] == []


@pytest.mark.parametrize("line", [
    'python -m venv .venv && . .venv/bin/activate && pip install ".[demo]" && nbray demo',
    "bash tests/run",
])  # fmt: skip
def test_the_two_commands_stand_there_to_be_copied(line: str) -> None:
    assert f"```sh\n{line}\n```" in README.read_text()
