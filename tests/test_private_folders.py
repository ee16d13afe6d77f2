"""Folders for one user alone. That another user gets at nothing is tried in tests/security."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest

from nbray.private_folders import make, problem


@pytest.fixture(autouse=True)
def umask() -> Iterator[None]:
    """The one that lets everybody do everything."""
    before = os.umask(0)
    yield
    os.umask(before)


def mode(folder: Path) -> int:
    return stat.S_IMODE(folder.stat().st_mode)


def test_all_that_is_made_is_closed(tmp_path: Path) -> None:
    folder = tmp_path / "a" / "b" / "c"
    make(folder)
    assert [mode(each) for each in (folder, folder.parent, folder.parent.parent)] == [0o700] * 3
    make(folder)


def test_others_lose_the_right_to_write(tmp_path: Path) -> None:
    folder = tmp_path / "open"
    folder.mkdir(mode=0o777)
    make(folder)
    assert mode(folder) == 0o755
    folder.chmod(0o700)
    make(folder)
    assert mode(folder) == 0o700


def test_the_users_own_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "disk").mkdir(mode=0o777)
    (tmp_path / "link").symlink_to(tmp_path / "disk")
    make(tmp_path / "link")
    assert mode(tmp_path / "disk") == 0o755


def test_what_is_no_folder_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    (tmp_path / "dangling").symlink_to(tmp_path / "nowhere")
    assert problem(tmp_path / "file") == "is no folder"
    assert problem(tmp_path / "dangling") == "is a link to nothing"
    assert problem(tmp_path / "missing" / "deep") == ""
    assert problem(tmp_path / "file" / "below").startswith("cannot be looked at")
    for name in ("file", "dangling"):
        with pytest.raises(PermissionError, match="it is "):
            make(tmp_path / name)


def test_what_belongs_to_somebody_else_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "theirs").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "theirs")
    monkeypatch.setattr(os, "getuid", lambda: -5)
    assert problem(tmp_path / "theirs") == "belongs to somebody else"
    assert problem(tmp_path / "link") == "is a link that somebody else has made"
    with pytest.raises(PermissionError, match="it belongs to somebody else"):
        make(tmp_path / "theirs")
