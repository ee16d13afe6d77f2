"""Pickle, once renounced, ends the process; and nothing of what the scheduler process imports asks for it."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


def python(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False)


WAYS = {
    "pickle": "import pickle; use = lambda: pickle.loads(b'x')",
    "by its name in C": "import pickle; import _pickle; use = lambda: _pickle.loads(b'x')",
    "its Python twin": "import pickle; use = lambda: pickle._loads(b'x')",
    "an Unpickler": "import io, pickle; use = lambda: pickle.Unpickler(io.BytesIO(b'x'))",
    "to pickle": "import pickle; use = lambda: pickle.dumps(1)",
    "dill": "import dill; use = lambda: dill.loads(b'x')",
    "cloudpickle": "import cloudpickle; use = lambda: cloudpickle.loads(b'x')",
    "nbray's own": "from nbray import serialization; use = lambda: serialization.loads(b'\\x80\\x05N.')",
    "what is imported later": "use = lambda: __import__('dill').loads(b'x')",
    "imported by name later": "def use():\n    from pickle import loads\n    loads(b'x')",
}


@pytest.mark.local
@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_each_way_ends_the_process_and_says_where(way: str) -> None:
    done = python(f"{way}\nfrom nbray.engine import no_pickle\nno_pickle.renounce()\nuse()\nprint('alive')")
    assert done.returncode == -signal.SIGABRT
    assert done.stdout == ""
    assert "was about to pickle or unpickle, which it must never do" in done.stderr
    assert "<string>" in done.stderr


@pytest.mark.local
def test_the_entry_point_of_the_scheduler_process_renounces_first() -> None:
    code = (
        "import pickle\nfrom types import SimpleNamespace\nfrom nbray.engine import scheduler_process\n"
        "scheduler_process.SchedulerProcess = lambda inheritance: SimpleNamespace(run=lambda: pickle.loads(b'N.'))\n"
        "scheduler_process.stack_dumps = SimpleNamespace(install=lambda directory: None)\n"
        "scheduler_process.run(SimpleNamespace(config=SimpleNamespace(run_directory='.')))\nprint('alive')"
    )
    done = python(code)
    assert (done.returncode, done.stdout) == (-signal.SIGABRT, "")


@pytest.mark.local
def test_what_the_scheduler_process_imports_knows_no_pickle() -> None:
    """Neither by itself, nor by way of another package; in a process where nobody else has imported anything."""
    code = (
        "import sys, nbray.engine.scheduler_process\n"
        "kin = {'pickle', '_pickle', 'dill', 'cloudpickle', 'zmq', 'numpy', 'multiprocessing'}\n"
        "print(sorted(kin & {name.partition('.')[0] for name in sys.modules}))"
    )
    done = python(code)
    assert (done.stdout, done.stderr) == ("[]\n", "")
