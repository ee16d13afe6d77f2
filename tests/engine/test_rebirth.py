import os
import subprocess
from pathlib import Path

import pytest

from nbray.engine import rebirth
from nbray.engine.inheritance import Inheritance
from nbray.engine.unsent import Unsent
from nbray.engine.words import Words
from nbray.ids import ObjectId
from nbray.store.arena import Arena
from tests.scheduler.pretend import make_config

ROOT = Path(__file__).parents[2]

FIND_AGAIN = """
import os, sys
from nbray.engine import rebirth
from nbray.ids import ObjectId
inheritance, slot = rebirth.unpack(int(sys.argv[1]))
inheritance.words.start(slot, ObjectId(42), 7)
inheritance.unsent.of(slot).add(ObjectId(42), "stdout", b"hello")
inheritance.arena.write_view(0, 3)[:] = b"abc"
print(inheritance.config.epoch, inheritance.profile.decode(), os.read(inheritance.death_pipe, 1), os.environ["LEVEL"])
"""


@pytest.mark.local
def test_what_is_shared_is_found_again(monkeypatch: pytest.MonkeyPatch) -> None:
    words, unsent, arena = Words(), Unsent(), Arena.create(4096)
    read, write = os.pipe()
    os.write(write, b"x")
    ran = []

    def run(program: str, arguments: list[str], environ: dict[str, str]) -> None:
        """Stands in for exec: a child with the same descriptors."""
        file = arguments[-1].rpartition("(")[2].rstrip(")")
        kept = [descriptor for descriptor in range(3, 256) if _is_inheritable(descriptor)]
        done = subprocess.run(
            [program, "-c", FIND_AGAIN, file], env=environ, pass_fds=kept, capture_output=True, text=True, check=False
        )
        os.close(int(file))
        ran.append(done.stdout + done.stderr)

    monkeypatch.setattr(os, "execve", run)
    inheritance = Inheritance(make_config(), words, unsent, arena, read, profile=b"P")
    rebirth.replace_process(inheritance, 3, {"LEVEL": "9", "PYTHONPATH": str(ROOT), "PATH": os.environ["PATH"]})
    assert ran == ["test P b'x' 9\n"]
    assert words.started(3) == ObjectId(42)
    assert unsent.of(3).take() == [(42, "stdout", b"hello")]
    assert bytes(arena.read_view(0, 3)) == b"abc"
    os.close(read)
    os.close(write)
    arena.close()


def _is_inheritable(descriptor: int) -> bool:
    try:
        return os.get_inheritable(descriptor)
    except OSError:
        return False
