"""What can be typed, what it prints and what it exits with."""

from __future__ import annotations

import importlib.util
from importlib.machinery import ModuleSpec
from pathlib import Path

import pytest

from nbray import __version__, cli


def test_the_version_is_printed(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["--version"])
    assert ended.value.code == 0
    assert capsys.readouterr().out == f"nbray {__version__}\n"


def test_an_unknown_command_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        cli.main(["dmeo"])
    assert ended.value.code == 2
    assert "dmeo" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [["demo"], ["demo", "--lab"]])
def test_without_the_extra_the_line_to_type_is_printed(
    arguments: list[str], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    find_spec = importlib.util.find_spec

    def without_two(name: str) -> ModuleSpec | None:
        return None if name in ("nbclient", "sklearn") else find_spec(name)

    monkeypatch.setattr(importlib.util, "find_spec", without_two)
    assert cli.main([*arguments, "--output", str(tmp_path)]) == 2
    message = capsys.readouterr().err
    assert "nbclient, scikit-learn, which are not installed" in message
    assert 'pip install "nbray[demo]"' in message
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_cannot_be_made_is_named(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    file = tmp_path / "file"
    file.write_text("")
    assert cli.main(["demo", "--output", str(file)]) == 2
    assert str(file) in capsys.readouterr().err
