"""A second user of the same machine gets nothing: no byte, no connection, no file, whatever the umask.

This needs root, which can become somebody else; elsewhere the kernel's own rules cannot be tried.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

SOMEBODY = 54_321
SECRET = "a-secret-that-nobody-else-may-read-7f3a"
ROOT = Path(__file__).parents[2]
SETTINGS = {"PYTHONPATH": str(ROOT), "PYTHONDONTWRITEBYTECODE": "1"}

pytestmark = [
    pytest.mark.local,
    pytest.mark.skipif(os.getuid() != 0, reason="only root can become another user"),
]


@pytest.fixture
def home() -> Iterator[Path]:
    """Shorter than tmp_path, and not below a folder that is closed."""
    with tempfile.TemporaryDirectory(dir="/tmp") as name:
        yield Path(name)


@contextmanager
def session(home: Path, umask: str, at_the_end: str = "whole") -> Iterator[dict[str, Any]]:
    """A user's session with a cluster, below a home that everybody may enter; what it has, as paths and processes."""
    home.chmod(0o755)
    (home / "cache").mkdir()
    (home / "tmp").mkdir()
    (home / "tmp").chmod(0o1777)
    environment = {name: value for name, value in os.environ.items() if name not in ("XDG_RUNTIME_DIR", "JUPYTER_RUNTIME_DIR")}
    environment |= SETTINGS | {"HOME": str(home), "XDG_CACHE_HOME": str(home / "cache"), "TMPDIR": str(home / "tmp")}
    victim = subprocess.Popen(
        [sys.executable, "-m", "tests.security.victim", umask],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True, env=environment, cwd=ROOT,
    )  # fmt: skip
    assert victim.stdin
    assert victim.stdout
    try:
        victim.stdin.write(SECRET + "\n")
        victim.stdin.flush()
        for line in victim.stdout:
            if line.startswith("{"):
                yield json.loads(line)
                break
        else:
            pytest.fail("the session ended before it had begun")
    finally:
        victim.stdin.write(at_the_end)
        victim.stdin.close()
        victim.stdout.read()
        victim.stdout.close()
        assert victim.wait(30) == 0


def attack(told: dict[str, Any], uid: int = SOMEBODY) -> dict[str, Any]:
    """What a user gets at that knows every path and every process."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.security.other_user", str(uid)],
        input=json.dumps({**told, "secret": SECRET}), capture_output=True, text=True, check=True, cwd=ROOT,
        env={**os.environ, **SETTINGS},
    )  # fmt: skip
    found: dict[str, Any] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("umask", ["000", "002", "022", "077"])
def test_another_user_gets_nothing(home: Path, umask: str) -> None:
    (home / "open").write_text("what everybody may read: the attack came so far")
    (home / "open").chmod(0o644)
    with session(home, umask) as told:
        found = attack({**told, "places": [*told["places"], str(home / "open")]})
    tried = found.pop("tried")
    assert found.pop("read") == [str(home / "open")]
    assert tried > len(told["pids"]) + len(told["places"]) - 1
    assert found == {kind: [] for kind in found}


def test_the_attack_finds_what_is_open(home: Path) -> None:
    """The test above could not fail otherwise."""
    with session(home, "022", at_the_end="") as told:
        private = list(dict.fromkeys(folder for name in told["places"] for folder in (Path(name).parent, Path(name))))
        modes = {path: path.stat().st_mode for path in private}
        for path in private:
            path.chmod(0o777)
        try:
            found = attack(told)
        finally:
            for path in private:
                if path.exists():
                    path.chmod(modes[path])
    assert found["read"]
    assert found["secret"]
    assert found["made"]
    assert found["listed"]
    assert any(name.endswith("scheduler.sock") for name in found["written"] + found["removed"]), "it could reach the socket"
    assert not found["connected"], "the kernel names the peer: an open socket does not help"
    assert not found["process"]
