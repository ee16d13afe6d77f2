"""The guard itself: what leaks is reported, what ends in time or belongs to a wider fixture is not."""

from __future__ import annotations

import textwrap
from pathlib import Path

import pytest

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent

CONFTEST = """
import os
from pathlib import Path
from tests.leak_guard import MARK, LeakGuard

def pytest_configure(config):
    directory = Path("run")
    directory.mkdir()
    guard = LeakGuard(directory, grace=0.3, elsewhere=[(Path("elsewhere"), "spill-*")])
    config.addinivalue_line("markers", "local: starts processes")
    os.environ[MARK] = guard.mark
    config.pluginmanager.register(guard)
"""

LEAKS = """
import mmap, os, socket, subprocess, sys, threading, time
from pathlib import Path
import pytest

keep = []

def test_process():
    keep.append(subprocess.Popen(["sleep", "60"]))

def test_orphan():
    subprocess.run(["sh", "-c", "sleep 60 & exit 0"], check=True)

def test_process_without_the_mark():
    keep.append(subprocess.Popen(["sleep", "60"], env={}))

def test_zombie():
    if (pid := os.fork()) == 0:
        os._exit(0)

def test_thread():
    threading.Thread(target=time.sleep, args=(60,), daemon=True, name="forgotten").start()

def test_descriptor():
    keep.append(os.pipe())

def test_reopened_descriptor():
    reader, writer = keep[-1]
    os.dup2(os.open("/dev/null", os.O_RDONLY), reader)

def test_socket():
    keep.append(socket.socket(socket.AF_UNIX))
    keep[-1].bind("leaked.sock")

@pytest.mark.local
def test_memory():
    descriptor = os.memfd_create("nbray-arena")
    os.ftruncate(descriptor, 4096)
    keep.append(mmap.mmap(descriptor, 4096, mmap.MAP_SHARED, mmap.PROT_READ))
    os.close(descriptor)

def test_run_directory():
    Path("run/nbray/abc").mkdir(parents=True)

def test_spilled_file():
    Path("elsewhere/spill-abc").mkdir(parents=True)
    Path("elsewhere/results").mkdir(parents=True)

def test_clean_after_all_that():
    pass

def test_ends_in_time():
    keep.append(subprocess.Popen(["sleep", "0.1"]))
    threading.Thread(target=keep[-1].wait).start()
"""

SHARED = """
import os, subprocess, sys
import pytest

PARENT = (
    "import subprocess, sys; sys.stdin.readline(); subprocess.Popen(['sleep', '60']); "
    "print(flush=True); sys.stdin.readline()"
)

@pytest.fixture(scope="module")
def shared():
    process = subprocess.Popen([sys.executable, "-c", PARENT], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    yield process
    process.kill(), process.wait(), process.stdin.close(), process.stdout.close()

def test_first(shared):
    pass

def test_child_of_the_shared_one(shared):
    shared.stdin.write(b"\\n"), shared.stdin.flush(), shared.stdout.readline()

def test_own_leak(shared):
    shared.leak = os.pipe()
"""

LAST = """
def test_after_the_module():
    pass
"""


def outcomes(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, **modules: str
) -> tuple[dict[str, str], str]:  # fmt: skip
    """Run the modules under a guard of their own; the outcome of each test's teardown, and all the text."""
    pytester.makeconftest(CONFTEST)
    pytester.makepyfile(**{name: textwrap.dedent(text) for name, text in modules.items()})
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", "-p", "no:unraisableexception", "-rA", timeout=50)
    lines = [line.split(" ", 2) for line in result.outlines if line.startswith(("PASSED ", "ERROR "))]
    return {line[1].partition("::")[2]: line[0] for line in lines}, result.stdout.str()


@pytest.mark.local
def test_each_kind_of_leak_fails_its_own_test_only(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    ends, text = outcomes(pytester, monkeypatch, test_leaks=LEAKS)
    assert ends == {
        "test_process": "ERROR",
        "test_orphan": "ERROR",
        "test_process_without_the_mark": "ERROR",
        "test_zombie": "ERROR",
        "test_thread": "ERROR",
        "test_descriptor": "ERROR",
        "test_reopened_descriptor": "ERROR",
        "test_socket": "ERROR",
        "test_memory": "ERROR",
        "test_run_directory": "ERROR",
        "test_spilled_file": "ERROR",
        "test_clean_after_all_that": "PASSED",
        "test_ends_in_time": "PASSED",
    }
    for sign in (
        "(sleep 60", "a zombie", "thread 'forgotten'", "-> pipe:", "AF_UNIX SOCK_STREAM 'leaked.sock'", "which is still mapped",
        "run directory entry nbray/abc", "  elsewhere/spill-abc",
    ):  # fmt: skip
        assert sign in text
    assert "elsewhere/results" not in text


@pytest.mark.local
def test_a_shared_fixture_owns_what_it_started(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    ends, text = outcomes(pytester, monkeypatch, test_a_shared=SHARED, test_b_last=LAST)
    assert ends["test_first"] == "PASSED"
    assert ends["test_child_of_the_shared_one"] == "PASSED"
    assert ends["test_own_leak"] == "ERROR"
    assert ends["test_after_the_module"] == "PASSED"
    assert "file descriptor" in text
    assert "(sleep 60" in text, "the orphan of the fixture's process must be gone once the fixture is"
