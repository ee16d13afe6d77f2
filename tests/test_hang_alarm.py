"""The alarm itself: it rings, it tells where each process is, and the next test runs."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
import pytest_timeout  # type: ignore[import-untyped]

from tests.hang_alarm import HangAlarm
from tests.leak_guard import MARK
from tests.notebook.kernel import running_kernel

pytest_plugins = ["pytester"]

ROOT = Path(__file__).parent.parent

CONFTEST = """
import os
from pathlib import Path
from tests.hang_alarm import HangAlarm
from tests.leak_guard import MARK, LeakGuard

def pytest_configure(config):
    runtime = Path(os.environ["XDG_RUNTIME_DIR"])
    guard = LeakGuard(runtime, grace=0.3)
    os.environ[MARK] = guard.mark
    config.pluginmanager.register(guard)
    config.pluginmanager.register(HangAlarm(guard.mark, runtime, Path("kernels"), report_to=os.dup(2)))
"""

HANGS = """
import signal, subprocess, threading, time
from pathlib import Path
import nbray

def stuck_in_a_task(place):
    Path(place).touch()
    time.sleep(600)

def test_hangs(tmp_path):
    place = tmp_path / "started"
    nbray.init(num_workers=1)
    child = subprocess.Popen(["sleep", "600"])
    task = nbray.apply_async(stuck_in_a_task, (str(place),))
    while not place.exists():
        time.sleep(0.01)
    signal.setitimer(signal.ITIMER_REAL, 0.05)  # the sixty seconds are up
    try:
        nbray.get(task)
    finally:
        child.kill(), child.wait()
        nbray.shutdown()

def test_goes_on():
    pass
"""


@pytest.mark.local
def test_it_tells_where_every_process_is(pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch) -> None:
    pytester.makeconftest(CONFTEST)
    pytester.makeini("[pytest]\ntimeout = 50")
    pytester.makepyfile(test_hangs=HANGS)
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider", timeout=50)
    result.assert_outcomes(failed=1, passed=1)
    text = result.stdout.str()
    assert "test_hangs.py::test_hangs has not ended within 50 s" in text
    for sign in (
        " in test_hangs\n", "nbray.get(task)", "Thread 'nbray-driver'",  # this process
        " in stuck_in_a_task", " in _serve", " in _step",  # the worker, the zygote, the scheduler process
        ": sleep 600\n", "(sleep), state S, waits in ",
    ):  # fmt: skip
        assert sign in text, sign


@pytest.mark.local
def test_a_kernel_answers_and_its_user_sees_nothing_of_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    alarm = HangAlarm(os.environ[MARK], tmp_path, tmp_path / "kernels", report_to=2)
    alarm.configure_kernels(tmp_path / "ipython")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    with running_kernel(tmp_path) as kernel:
        kernel.run_ok("def stuck():\n    import time\n    open('here', 'w').close()\n    time.sleep(600)")
        assert kernel.run_ok("%who").stdout.split() == ["stuck"]
        cell = kernel.submit("stuck()")
        kernel.until((tmp_path / "here").exists, 20, cell)
        assert " in stuck\n" in alarm.report()
        kernel.interrupt()
        assert kernel.wait(cell).error_name == "KeyboardInterrupt"


def test_what_knows_no_handler_is_described_and_not_signalled(tmp_path: Path) -> None:
    with subprocess.Popen([sys.executable, "-S", "-c", "input()"], stdin=subprocess.PIPE) as child:
        report = HangAlarm(os.environ[MARK], tmp_path, tmp_path, report_to=2).report()
        assert child.poll() is None
    assert f"Process {child.pid}, child of {os.getpid()}, state" in report
    assert f"thread {child.pid} (python" in report
    assert report.startswith(f"This process, {os.getpid()}:\nThread ")


def test_it_rings_in_time_and_not_after_the_end(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    """With a timer of this test's own, which the session's alarm is given back afterwards."""
    alarm = HangAlarm("no such mark", tmp_path, tmp_path, report_to=2)
    settings = pytest_timeout.Settings(0.05, "signal", False, False)
    left = signal.getitimer(signal.ITIMER_REAL)[0]
    handler = signal.getsignal(signal.SIGALRM)
    try:
        assert alarm.pytest_timeout_set_timer(request.node, settings)
        with pytest.raises(pytest.fail.Exception, match=r"has not ended within 0\.05 s"):
            time.sleep(20)
        assert request.node._report_sections.pop()[:2] == ("call", "all processes")
        alarm.pytest_timeout_set_timer(request.node, settings)
        alarm.pytest_timeout_cancel_timer(request.node)
        assert signal.getitimer(signal.ITIMER_REAL)[0] == 0
    finally:
        signal.signal(signal.SIGALRM, handler)
        signal.setitimer(signal.ITIMER_REAL, left)


def test_without_signals_pytest_timeout_goes_its_own_way(request: pytest.FixtureRequest, tmp_path: Path) -> None:
    alarm = HangAlarm("no such mark", tmp_path, tmp_path, report_to=2)
    assert alarm.pytest_timeout_set_timer(request.node, pytest_timeout.Settings(1, "thread", False, False)) is None
